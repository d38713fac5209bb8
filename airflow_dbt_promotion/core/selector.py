"""Selectors: a small part of dbt's node selection, asked of labels alone.

Whether a model is meant has to be known without dbt and without the graph. So only what a node says of itself can be
asked for; what dbt would follow edges for (`+`, `@`) or read other files for (`state:`, `selector:`) is refused. What
is known here means the same as to dbt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import Enum
from fnmatch import fnmatchcase

from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.labels import Labels

_SPEC = re.compile(r"(?:(?P<method>[\w.]+):)?(?P<value>.*)", re.DOTALL)
_GRAPH = re.compile(r"@|\d*\+|.*\+\d*\Z", re.DOTALL)
_WILD = re.compile(r"[*?\[\]]")
_FILES = (".sql", ".py", ".csv")
_TYPES = frozenset({"model", "seed", "snapshot", "function"})
_KNOWN = (
    "tag:, path:, file:, package:, resource_type:, group:, fqn:, config.materialized:, config.meta.<key>: and names"
)


class Method(Enum):
    """By what a model is selected."""

    FQN = "fqn"
    TAG = "tag"
    PATH = "path"
    FILE = "file"
    PACKAGE = "package"
    TYPE = "resource_type"
    GROUP = "group"
    CONFIG = "config"


class Criterion(Struct, frozen=True, kw_only=True):
    """One thing that is asked of a model; `keys` are those below `config`."""

    method: Method
    value: str
    keys: tuple[str, ...] = ()

    def selects(self, labels: Labels) -> bool:
        """Say whether a model is meant."""
        match self.method:
            case Method.FQN:
                return _named(labels.fqn, self.value, labels) or _named(labels.fqn[1:], self.value, labels)
            case Method.TAG:
                return any(fnmatchcase(tag, self.value) for tag in labels.tags)
            case Method.PATH:
                return _lies_at(labels, self.value)
            case Method.FILE:
                file = labels.path.rpartition("/")[2]
                return fnmatchcase(file, self.value) or fnmatchcase(file.rpartition(".")[0], self.value)
            case Method.PACKAGE:
                return labels.in_root if self.value == "this" else fnmatchcase(labels.package, self.value)
            case Method.TYPE:
                return labels.resource_type == self.value
            case Method.GROUP:
                return labels.group is not None and fnmatchcase(labels.group, self.value)
            case Method.CONFIG:  # pragma: no branch - the last one
                return _configured(labels, self.keys, self.value)


class Selector(Struct, frozen=True, kw_only=True):
    """Which models are meant: those that satisfy every criterion of one of `any_of`. `text` is as written."""

    text: str
    any_of: tuple[tuple[Criterion, ...], ...]

    def selects(self, labels: Labels) -> bool:
        """Say whether a model is meant."""
        return any(all(criterion.selects(labels) for criterion in criteria) for criteria in self.any_of)


def selector(text: str) -> Selector:
    """Return what a selector means: spaces part what is joined, commas what has to hold at once.

    Raises ConfigError (where: `select`) for what dbt knows and this does not, and for what neither does.
    """
    specs = text.split()
    if not specs:
        raise ConfigError("select", "is empty; name what is meant: tag:critical")
    return Selector(text=text, any_of=tuple(tuple(_criterion(part) for part in spec.split(",")) for spec in specs))


def _criterion(part: str) -> Criterion:
    """Return what one part of a selector asks."""
    if not part:
        raise ConfigError("select", "a comma stands beside nothing; commas join what has to hold at once: tag:a,path:b")
    if _GRAPH.match(part):
        problem = f"{part!r} follows the graph (`+`, `@`), which is not known here; name models by what they are: tag:a"
        raise ConfigError("select", problem)
    match = _SPEC.fullmatch(part)
    method, value = (match["method"], match["value"]) if match is not None else (None, part)
    if method is None:
        if ":" in part:
            raise ConfigError("select", f"{part!r} has no method that dbt knows; known: {_KNOWN}")
        return _asked(part, _meant(value).value, value)
    return _asked(part, method, value)


def _meant(value: str) -> Method:
    """Return what a bare name is to dbt: a path, a file or a name."""
    if "/" in value:
        return Method.PATH
    return Method.FILE if value.lower().endswith(_FILES) else Method.FQN


def _asked(part: str, method: str, value: str) -> Criterion:
    """Return what is asked by a method."""
    name, *keys = method.split(".")
    try:
        found = Method(name)
    except ValueError:
        raise ConfigError("select", f"{part!r}: the method {name!r} is not known here; known: {_KNOWN}") from None
    if not value:
        raise ConfigError("select", f"{part!r} asks for nothing; write a value behind the colon")
    if found is Method.CONFIG:
        if keys != ["materialized"] and (keys[:1] != ["meta"] or len(keys) == 1 or not all(keys)):
            raise ConfigError("select", f"{part!r}: of config, materialized and meta.<key> are known here")
    elif keys:
        raise ConfigError("select", f"{part!r}: the method {name!r} takes no key")
    if found is Method.TYPE and value not in _TYPES:
        raise ConfigError("select", f"{part!r}: only these are promoted: {', '.join(sorted(_TYPES))}")
    if found is Method.PATH and value.startswith("/"):
        raise ConfigError("select", f"{part!r}: a path is written as seen from the project: path:models/marts")
    return Criterion(method=found, value=value, keys=tuple(keys))


def _named(fqn: tuple[str, ...], value: str, labels: Labels) -> bool:
    """Say whether a qualified name is meant by another one: its own, its first parts, or a pattern from some part on.

    A version may be joined to its name by a dot or by an underscore.
    """
    wanted = value.split(".")
    leaf = fqn[-2] if labels.versioned else fqn[-1]
    if leaf == value or (labels.versioned and "_".join(fqn[-2:]) == "_".join(wanted[-2:])):
        return True
    flat = [part for segment in fqn for part in segment.split(".")]
    if len(flat) < len(wanted):
        return False
    wild = next((index for index, part in enumerate(wanted) if _WILD.search(part)), len(wanted))
    if flat[:wild] != wanted[:wild]:
        return False
    if wild == len(wanted) or fnmatchcase(".".join(flat[wild:]), ".".join(wanted[wild:])):
        return True
    return len(wanted) == 1 and fnmatchcase(leaf, value)


def _lies_at(labels: Labels, value: str) -> bool:
    """Say whether a file, or a folder that it lies in, is at a path; the YAML file that tells of it counts, too."""
    pattern = [part for part in value.split("/") if part not in {"", "."}]
    parts = labels.path.split("/")
    if any(_reaches(pattern, parts[:end], is_file=end == len(parts)) for end in range(len(parts) + 1)):
        return True
    return labels.patch_path is not None and _reaches(pattern, labels.patch_path.split("/"), is_file=True)


def _reaches(pattern: list[str], parts: list[str], *, is_file: bool) -> bool:
    """Say whether a path is one that a pattern names; `**` stands for any number of folders, and for no file."""
    if not pattern:
        return not parts
    first, rest = pattern[0], pattern[1:]
    if first == "**":
        if not rest and is_file:
            return False
        return any(_reaches(rest, parts[skipped:], is_file=is_file) for skipped in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], first) and _reaches(rest, parts[1:], is_file=is_file)


def _configured(labels: Labels, keys: tuple[str, ...], value: str) -> bool:
    """Say whether a config has a value: as text, or as true or false; one of a list is enough."""
    found: object = {"meta": labels.meta, "materialized": labels.materialized}
    for key in keys:
        if not isinstance(found, Mapping) or key not in found:
            return False
        found = found[key]
    truth = {"true": True, "false": False}.get(value.lower())
    held = found if isinstance(found, list) else [found]
    return any(one == value or (isinstance(one, bool) and one is truth) for one in held)
