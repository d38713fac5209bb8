"""Which attributes of nodes some code reads: what dbt hands to Jinja and Python as `model`, `config` and `graph`.

Code that reads them makes other SQL when they change, so that they are part of what it is. That is told from Jinja's
syntax tree, not from words: a name counts where nothing in the code binds it, and of `model` and `config` only what is
accessed. A name that is computed, the object itself passed on, and code that cannot be parsed take all of it. A text
that holds Jinja of its own is looked into as well: dbt renders hooks later.
"""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterable, Iterator
from enum import StrEnum

from jinja2 import Environment, TemplateSyntaxError, meta, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser


class Attribute(StrEnum):
    """Something of a node that code can read beside its own text; GRAPH is all of every node."""

    META = "meta"
    TAGS = "tags"
    DESCRIPTION = "description"
    COLUMNS = "columns"
    GROUP = "group"
    ACCESS = "access"
    DOCS = "docs"
    GRANTS = "grants"
    PATH = "path"
    ALIAS = "alias"
    SCHEMA = "schema"
    DATABASE = "database"
    GRAPH = "graph"


OF_NODE = frozenset(Attribute) - {Attribute.GRAPH}
"""Everything of one node."""

_NAMED = {
    **{attribute.value: attribute for attribute in Attribute if attribute is not Attribute.GRAPH},
    "fqn": Attribute.PATH,
    "original_file_path": Attribute.PATH,
    "patch_path": Attribute.PATH,
    "meta_get": Attribute.META,
    "meta_require": Attribute.META,
    "doc_blocks": Attribute.DESCRIPTION,
}
"""What leads to an attribute, by the name under which code asks for it."""

_GETS = frozenset({"get", "require", "pop", "setdefault"})
_WHOLE = frozenset({"items", "values", "keys", "copy", "to_dict", "update", "model_dump"})
"""Methods that hand out all that there is."""

_IN_CODE = frozenset({
    # of which node it is
    "name", "unique_id", "package_name", "resource_type", "version", "language",
    # its code, and what is in its code or made of it
    "raw_code", "raw_sql", "compiled", "compiled_code", "compiled_sql", "compiled_path", "checksum", "refs", "sources",
    "metrics", "functions", "depends_on", "contract", "config_call_dict", "extra_ctes", "extra_ctes_injected", "batch",
    # where it is built, by environment
    "relation_name", "root_path", "build_path",
})  # fmt: skip
"""What `model` says that is part of a version anyway, or may not be."""

_PLACES = {
    "name": Attribute.ALIAS,
    "table": Attribute.ALIAS,
    "identifier": Attribute.ALIAS,
    "schema": Attribute.SCHEMA,
    "database": Attribute.DATABASE,
}
"""What `this` says that config decides."""

_HANDED_OUT = frozenset({"model", "config", "graph", "context", "builtins", "this"})
_WORTH_A_LOOK = re.compile(r"\b(?:model|graph|context|builtins|this)\b|\bconfig\b(?!\s*\()")
_PYTHON = re.compile(r"\bconfig\s*\.")


class _Blocks(Extension):
    """dbt's own blocks: what materializes, what tests, snapshots and docs."""

    tags = {"materialization", "test", "data_test", "snapshot", "docs"}  # noqa: RUF012 - as jinja2 declares it

    def parse(self, parser: Parser) -> nodes.Node:
        """Parse a block as a macro, so that its arguments are names of its own."""
        token = next(parser.stream)
        macro = nodes.Macro(lineno=token.lineno)
        macro.name = parser.parse_assign_target(name_only=True).name
        macro.args, macro.defaults = [], []
        if token.value in {"test", "data_test"}:
            parser.parse_signature(macro)
        else:
            while parser.stream.current.type != "block_end":
                next(parser.stream)
        macro.body = list(parser.parse_statements((f"name:end{token.value}",), drop_needle=True))
        return macro


@functools.cache
def _jinja() -> Environment:
    """Return dbt's Jinja, as far as it is needed to parse."""
    return Environment(extensions=["jinja2.ext.do", "jinja2.ext.loopcontrols", _Blocks], autoescape=False)  # noqa: S701 - nothing is rendered


@functools.lru_cache(maxsize=4_096)
def read_by_jinja(text: str) -> frozenset[Attribute]:
    """Return what a template, a macro or a text with Jinja in it reads."""
    if "{" not in text or not _WORTH_A_LOOK.search(text):
        return frozenset()
    try:
        tree = _jinja().parse(text)
        texts = list(_texts(tree))  # first: what comes next folds constants
        free = meta.find_undeclared_variables(tree)
    except (TemplateSyntaxError, RecursionError, AttributeError, ValueError):
        return frozenset(Attribute)
    later = frozenset(one for inner in texts for one in read_by_jinja(inner))
    return later | frozenset(_read(tree, free)) if free & _HANDED_OUT else later


@functools.lru_cache(maxsize=1_024)
def read_by_python(code: str) -> frozenset[Attribute]:
    """Return what a Python model reads: it is handed `dbt.config`, and nothing else of its node."""
    if not _PYTHON.search(code):
        return frozenset()
    try:
        tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError):
        return OF_NODE
    found: set[Attribute] = set()
    for one in ast.walk(tree):
        if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Attribute) and one.value.attr == "config":
            found |= _named(one.attr) if one.attr not in _GETS else set()
        if isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr in _GETS:
            owner = one.func.value
            if isinstance(owner, ast.Attribute) and owner.attr == "config":
                named = one.args[0].value if one.args and isinstance(one.args[0], ast.Constant) else None
                found |= _named(named) if isinstance(named, str) else OF_NODE
    return frozenset(found)


def _read(tree: nodes.Template, free: Iterable[str]) -> Iterator[Attribute]:
    """Yield what a tree reads of the names that it does not bind."""
    names = set(free)
    parents = {child: parent for parent in _every(tree) for child in parent.iter_child_nodes()}
    for name in tree.find_all(nodes.Name):
        if name.ctx == "load" and name.name in names:
            yield from _of(name.name, name, parents)


def _texts(tree: nodes.Template) -> Iterator[str]:
    """Yield the texts of a tree that dbt may render later, as it does hooks."""
    data = (one.data for one in tree.find_all(nodes.TemplateData))
    for text in (*data, *(one.value for one in tree.find_all(nodes.Const))):
        if isinstance(text, str) and ("{{" in text or "{%" in text):
            yield text


def _every(tree: nodes.Node) -> Iterator[nodes.Node]:
    """Yield a tree's nodes, itself first."""
    yield tree
    yield from tree.find_all(nodes.Node)


def _of(name: str, node: nodes.Node, parents: dict[nodes.Node, nodes.Node]) -> Iterable[Attribute]:
    """Return what is read of something that dbt hands out, from how it is accessed."""
    match name:
        case "graph":
            return {Attribute.GRAPH}
        case "context" | "builtins":
            accessed = _accessed(node, parents)
            if accessed is None:
                return frozenset(Attribute)
            inner, at = accessed
            return _of(inner, at, parents) if inner in _HANDED_OUT else ()
        case "config" if isinstance(parents.get(node), nodes.Call) and _is_called(node, parents):
            return ()  # it sets config, which is in the code
        case "model" | "config":
            accessed = _accessed(node, parents)
            if accessed is None:
                return OF_NODE
            inner, at = accessed
            return _of_part(name, inner, at, parents)
        case "this":
            return _of_this(node, parents)
        case _:
            return ()


def _of_part(name: str, inner: str, at: nodes.Node, parents: dict[nodes.Node, nodes.Node]) -> Iterable[Attribute]:
    """Return what is read of a part of `model` or `config`."""
    if (name, inner) in {("model", "config"), ("config", "model")}:
        return _of(inner, at, parents)
    if name == "config" or inner in _NAMED or inner in _IN_CODE or not inner:
        return _named(inner)
    return OF_NODE


def _of_this(node: nodes.Node, parents: dict[nodes.Node, nodes.Node]) -> Iterable[Attribute]:
    """Return what is read of `this`: it is written as it is nearly always, and moves with its node."""
    parent = parents[node]
    if isinstance(parent, nodes.Output):
        return ()
    accessed = _accessed(node, parents)
    if accessed is None:
        return frozenset(_PLACES.values())
    return {_PLACES[accessed[0]]} if accessed[0] in _PLACES else ()


def _is_called(node: nodes.Node, parents: dict[nodes.Node, nodes.Node]) -> bool:
    """Say whether a name is what is called, and not an argument of the call."""
    call = parents[node]
    return isinstance(call, nodes.Call) and call.node is node


def _accessed(node: nodes.Node, parents: dict[nodes.Node, nodes.Node]) -> tuple[str, nodes.Node] | None:
    """Return which part of a thing is accessed, and the node that is it; None for the whole or a computed part."""
    parent = parents.get(node)
    match parent:
        case nodes.Getattr() if parent.attr in _WHOLE:
            return None
        case nodes.Getattr() if parent.attr in _GETS:
            call = parents.get(parent)
            if isinstance(call, nodes.Call) and call.node is parent and call.args:
                first = call.args[0]
                return (first.value, call) if isinstance(first, nodes.Const) and isinstance(first.value, str) else None
            return None
        case nodes.Getattr():
            return parent.attr, parent
        case nodes.Getitem() if parent.node is node and isinstance(parent.arg, nodes.Const):
            if parent.arg.value in _GETS | _WHOLE:
                return None
            return str(parent.arg.value), parent
        case nodes.Test() if parent.node is node:
            return "", parent  # `model is defined` says nothing of it
        case _:
            return None


def _named(name: object) -> frozenset[Attribute]:
    """Return the attribute of a name, if that is one."""
    found = _NAMED.get(name) if isinstance(name, str) else None
    return frozenset({found}) if found is not None else frozenset()
