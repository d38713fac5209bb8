"""Config as written: what dbt_project.yml and schema files say of every node, before any rendering.

Two places can say it, dbt's kept parse and the sources on disk; both hand their texts in here, so that they cannot
disagree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Raw

from airflow_dbt_promotion.core.definition import AsWritten, DeclaredVar, Macro, Node, TestMetadata, UnitTest
from airflow_dbt_promotion.core.macros import jinja_of as jinja_in_yaml
from airflow_dbt_promotion.core.vars import vars_read
from airflow_dbt_promotion.dbt.manifest import Manifest
from airflow_dbt_promotion.dbt.project_file import SECTIONS, ProjectFile, merged
from airflow_dbt_promotion.dbt.schema_file import NO_JINJA, Entry, JinjaIn, SchemaFile, jinja_in

SETS_CONFIG = re.compile(r"\bconfig\s*\(")
"""In-file config, which dbt renders into the manifest."""


class Texts(msgspec.Struct, frozen=True):
    """Where config is written: each package's dbt_project.yml and folder by name, schema files by `package://path`.

    `yaml` yields every schema file in which Jinja may read a var.
    """

    root: str
    projects: Mapping[str, ProjectFile]
    folders: Mapping[str, Path]
    schema_file: Callable[[str], SchemaFile | None]
    yaml: Callable[[], Iterable[object]]

    def vars_read(self) -> frozenset[str]:
        """Return the vars that Jinja in any dbt_project.yml or schema file reads."""
        documents = [*(project.document for project in self.projects.values()), *self.yaml()]
        return frozenset(name for document in documents for name in vars_read(jinja_in_yaml(document)))

    @property
    def flags(self) -> Mapping[str, object]:
        """Return the root project's flags."""
        return self.projects[self.root].flags

    def vars(self) -> tuple[DeclaredVar, ...]:
        """Return every var that a project file declares, in an order that does not depend on where it was read."""
        return tuple(var for name in sorted(self.projects) for var in self.projects[name].vars(self.projects))

    @property
    def dispatch(self) -> object:
        """Return the root project's dispatch config."""
        return self.projects[self.root].dispatch

    @property
    def quoting(self) -> object:
        """Return the root project's quoting."""
        return self.projects[self.root].quoting


class _Patch(msgspec.Struct, frozen=True, gc=False):
    """What a schema file says of one node, and where Jinja may stand in it."""

    entry: Entry
    jinja: JinjaIn


class Writing:
    """What is written of each node of one manifest, in `nodes` by unique id.

    A generic test is there only where Jinja stands in its entry or its macro sets config; of all others the manifest
    holds what is written.
    """

    def __init__(self, texts: Texts, manifest: Manifest) -> None:
        """Read all that is written of the nodes of a manifest."""
        self.texts = texts
        self._manifest_nodes = manifest.nodes
        self._configuring = _configuring_tests(manifest.macros.values())
        self._shared: dict[tuple[int, int, str], AsWritten] = {}
        self._patches: dict[str, _Patch | None] = {}
        self.nodes = dict(self._all())

    def _all(self) -> Iterator[tuple[str, AsWritten]]:
        """Yield what is written of each node of a kind that has config."""
        for id_, node in self._manifest_nodes.items():
            if node.resource_type in SECTIONS:
                written = (
                    self._generic_test(node, node.test_metadata) if node.test_metadata is not None else self._node(node)
                )
                if written is not None:
                    yield id_, written

    def unit_tests(self, unit_tests: Mapping[str, UnitTest]) -> dict[str, UnitTest]:
        """Return the unit tests, those with Jinja as written; fixtures, which dbt never renders, as dbt read them."""
        result = dict(unit_tests)
        for id_, unit in unit_tests.items():
            file = self.texts.schema_file(f"{unit.package_name}://{unit.original_file_path}")
            entry = file.unit_test(unit.name) if file else None
            if entry is not None:
                fixtures = [
                    _rows(unit.given, index)
                    for index, item in enumerate(_listed(entry.get("given")))
                    if _has_fixture(item)
                ]
                fixtures += [_rows(unit.expect, None)] if _has_fixture(entry.get("expect")) else []
                result[id_] = msgspec.structs.replace(
                    unit,
                    given=Raw(msgspec.json.encode([entry.get("given"), fixtures])),
                    expect=Raw(msgspec.json.encode(entry.get("expect"))),
                    overrides=Raw(msgspec.json.encode(entry.get("overrides"))),
                )
        return result

    def _node(self, node: Node) -> AsWritten:
        """Return what is written of a node: its package's folders, its schema file, and the root's folders last."""
        own, root = self._levels(node)
        patch = self._patch(node)
        if patch is None:
            return self._folders(own, root)
        config = patch.entry.config_of(node.version)
        columns = patch.entry.columns_of(node.version) if patch.jinja.columns else None
        talk = patch.entry.talk_of(node.version) if patch.jinja.talk else None
        told = patch.entry.told()
        if columns is None and talk is None and told is None:
            return self._folders(own, root, config)
        return AsWritten(config=merged((*own, config, *root)), columns=columns, talk=talk, description=told)

    def _generic_test(self, node: Node, test: TestMetadata) -> AsWritten | None:
        """Return what is written of a generic test, or None where the manifest says the same."""
        sets_config = test.name in self._configuring
        tested = self._manifest_nodes.get(node.attached_node or "")
        patch = self._patch(tested) if tested is not None else None
        if patch is not None and not patch.jinja.tests and not sets_config:
            return None
        name = f"{test.namespace}.{test.name}" if test.namespace else test.name
        entries: list[Any] = []
        if tested is None:
            file = self.texts.schema_file(f"{node.package_name}://{node.original_file_path}")
            entries = file.source_tests(name) if file else []
        elif patch is not None:
            entries = patch.entry.matching(tested.version, node.column_name, name)
        if not sets_config and not jinja_in(entries):
            return None
        return AsWritten(config=self._folders(*self._levels(node)).config, test=entries)

    def _levels(self, node: Node) -> tuple[tuple[Mapping[str, Any], ...], tuple[Mapping[str, Any], ...]]:
        """Return the folder levels of a node's own package, and of the root project where that is another."""
        section, projects = SECTIONS[node.resource_type], self.texts.projects
        own = projects[node.package_name].levels(section, node.fqn)
        return own, () if node.package_name == self.texts.root else projects[self.texts.root].levels(section, node.fqn)

    def _folders(
        self,
        own: tuple[Mapping[str, Any], ...],
        root: tuple[Mapping[str, Any], ...],
        config: Mapping[str, Any] = MappingProxyType({}),
    ) -> AsWritten:
        """Return the config of folders with a schema file's between them, one value for all nodes that share both.

        Project files keep levels alive, so that their identity tells them apart.
        """
        key = (id(own), id(root), repr(config) if config else "")
        if key not in self._shared:
            self._shared[key] = AsWritten(config=merged((*own, config, *root)))
        return self._shared[key]

    def _patch(self, node: Node) -> _Patch | None:
        """Return what a schema file says of a node."""
        if node.patch_path is None:
            return None
        if node.unique_id not in self._patches:
            file = self.texts.schema_file(node.patch_path)
            entry = file.entry(SECTIONS[node.resource_type], node.name) if file else None
            jinja = entry.jinja() if file and entry and file.holds_jinja else NO_JINJA
            self._patches[node.unique_id] = _Patch(entry, jinja) if entry else None
        return self._patches[node.unique_id]


def _configuring_tests(macros: Iterable[Macro]) -> frozenset[str]:
    """Return the names of the generic tests whose macro sets config itself, which dbt renders into the manifest."""
    return frozenset(
        macro.name.removeprefix("test_")
        for macro in macros
        if macro.name.startswith("test_") and SETS_CONFIG.search(macro.macro_sql)
    )


def _listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _has_fixture(item: object) -> bool:
    """Say whether the rows of a unit test's input or expectation stand in a file of their own."""
    return isinstance(item, dict) and item.get("fixture") is not None


def _rows(raw: Raw, index: int | None) -> object:
    """Return the rows that dbt read for one input (or for the expectation), from the manifest."""
    value = msgspec.json.decode(raw)
    if index is not None:
        value = value[index] if isinstance(value, list) and index < len(value) else None
    return value.get("rows") if isinstance(value, dict) else None
