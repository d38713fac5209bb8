"""The fingerprint: from one parse of a project to the versions of its models.

Nothing rendered and nothing that differs between environments enters a version: no relation name, compiled SQL, target,
path, timestamp or rendered config. The same commit parsed for two targets gives the same versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Raw

from airflow_dbt_promotion.core.definition import AsWritten, Definition, Node, Origin, UnitTest
from airflow_dbt_promotion.core.errors import CyclicGraphError, MissingParentError
from airflow_dbt_promotion.core.identity import MANIFEST_ONLY, Digest, ModelId, TestId, Version, digest_of
from airflow_dbt_promotion.core.macros import ALL_VARS, MacroIndex, jinja, texts, vars_read, words
from airflow_dbt_promotion.core.release import Model, ModelKind, Release, Test

FORMAT = 1
"""Enters every version; raised whenever the same code would get another fingerprint."""

NOT_CODE = frozenset({"tags", "meta", "docs", "grants", "database", "schema", "alias"})
"""Config that says where a model goes or what people know of it, not what it is."""

_PLACES = frozenset({"database", "schema", "alias"})
_BUILT = {kind.value: kind for kind in ModelKind}
_EPHEMERAL = "ephemeral"
_EMPTY = AsWritten()


def release_of(definition: Definition) -> Release:
    """Return the release that a parse makes: versions, tests and exposures.

    Raises MissingParentError for a parent that the manifest does not hold, CyclicGraphError for a ring.
    """
    return _Fingerprinting(definition).release()


class _Fingerprinting:
    """One pass over one definition."""

    def __init__(self, definition: Definition) -> None:
        """Index macros and vars, and pick the nodes that carry a version."""
        self._definition = definition
        self._macros = MacroIndex(definition.macros, definition.adapter_type)
        self._nodes = {id_: node for id_, node in definition.nodes.items() if node.resource_type in _BUILT}
        self._vars: dict[str, list[tuple[str, str, object]]] = {}
        for var in definition.vars:
            self._vars.setdefault(var.name, []).append((var.declared_in, var.scope, var.value))
        self._order = _topological(self._nodes, definition)
        self._versions: dict[str, Version] = {}
        self._nearest: dict[str, tuple[ModelId, ...]] = {}

    def release(self) -> Release:
        """Fingerprint every node, parents first."""
        definition = self._definition
        codes = {}
        for id_ in self._order:
            node = self._nodes[id_]
            codes[id_] = self._code(node)
            self._versions[id_] = self._version(node, codes[id_])
            self._nearest[id_] = self._built_parents(node.depends_on.nodes)
        tests = {test.id: test for test in self._tests()}
        digests = {id_: self._test_digest(id_) for id_ in tests}
        required = _required(tests.values())
        models = {
            ModelId(id_): self._model(node, codes[id_], tuple(sorted(required.get(ModelId(id_), ()))), digests)
            for id_, node in self._nodes.items()
            if node.config.materialized != _EPHEMERAL
        }
        return Release(
            project=definition.project,
            origin=definition.origin,
            where=definition.where,
            manifest=definition.manifest,
            invocation_id=definition.invocation_id,
            generated_at=definition.generated_at,
            dbt_version=definition.dbt_version,
            adapter_type=definition.adapter_type,
            models=models,
            tests=tests,
            exposures=tuple(definition.exposures.values()),
            var_names=frozenset(self._vars),
        )

    # --- versions -----------------------------------------------------------------------------------------------------

    def _written(self, node: Node) -> AsWritten:
        """Return the config as written; from the manifest's `unrendered_config` where nothing better is at hand."""
        if self._definition.written is not None:
            return self._definition.written.get(node.unique_id, _EMPTY)
        config = msgspec.json.decode(node.unrendered_config)
        return AsWritten(config=config) if config else _EMPTY

    def _code(self, node: Node) -> Digest:
        """Return code(n): its source, the config that applies to it, contract and column types, macros, vars."""
        written = self._written(node)
        config = {key: value for key, value in written.config.items() if key not in NOT_CODE}
        blocks = jinja(node.raw_code) if node.language == "sql" else ""
        if config:
            blocks = " ".join((blocks, *(jinja(text) for text in texts(config))))
        materialized = words(f"{config.get('materialized', '')} {node.config.materialized or ''}")
        reached = self._macros.reach(blocks, materialized, namers=True)
        return digest_of(
            [
                node.language,
                node.checksum.checksum if node.resource_type == ModelKind.SEED.value else node.raw_code,
                sorted(config.items()),
                _column_types(node, written),
                reached.digest,
                self._declared(vars_read(blocks) | reached.vars),
                self._definition.dispatch if reached.dispatched else None,
            ]
        )

    def _declared(self, names: frozenset[str]) -> list[tuple[str, list[tuple[str, str, object]]]]:
        """Return what the project declares for some vars, sorted; every var where one is read by a computed name."""
        if not names:
            return []
        chosen: Iterable[str] = self._vars if ALL_VARS in names else names & self._vars.keys()
        return [(name, self._vars[name]) for name in sorted(chosen)]

    def _version(self, node: Node, code: Digest) -> Version:
        """Return version(n): its code, the versions of its parents and the identities of its sources."""
        parents = sorted(self._versions[parent] for parent in set(node.depends_on.nodes) if parent in self._nodes)
        others = sorted(parent for parent in set(node.depends_on.nodes) if parent not in self._nodes)
        body = digest_of([FORMAT, node.unique_id, code, parents, others])
        rendered = (
            self._definition.origin is Origin.MANIFEST
            or (node.resource_type == ModelKind.SEED.value and node.checksum.name == "path")
            or any(parent.startswith(MANIFEST_ONLY) for parent in parents)
        )
        return Version(MANIFEST_ONLY + body if rendered else body)

    def _built_parents(self, parents: Iterable[str]) -> tuple[ModelId, ...]:
        """Return the nearest parents that are built; ephemeral ones are looked through."""
        found: dict[ModelId, None] = {}
        for parent in parents:
            if parent not in self._nodes:
                continue
            if self._nodes[parent].config.materialized == _EPHEMERAL:
                found.update(dict.fromkeys(self._nearest[parent]))
            else:
                found[ModelId(parent)] = None
        return tuple(sorted(found))

    def _model(self, node: Node, code: Digest, required: tuple[TestId, ...], digests: Mapping[TestId, Digest]) -> Model:
        """Put one model together."""
        return Model(
            id=ModelId(node.unique_id),
            name=node.name if node.version is None else f"{node.name}.v{node.version}",
            package=node.package_name,
            kind=_BUILT[node.resource_type],
            version=self._versions[node.unique_id],
            code=code,
            tests=digest_of([(id_, digests[id_]) for id_ in required]),
            meta=self._meta(node),
            parents=self._nearest[node.unique_id],
            required=required,
            incremental=node.config.materialized == "incremental",
            fqn=node.fqn,
            path=node.original_file_path,
            relation=node.relation_name,
        )

    def _meta(self, node: Node) -> Digest:
        """Return meta(n): what people know of a model, and where it goes."""
        written = self._written(node)
        left_out = _PLACES if self._definition.written is None else frozenset()
        config = sorted((key, value) for key, value in written.config.items() if key in NOT_CODE - left_out)
        columns = [(name, column.description) for name, column in node.columns.items() if column.description]
        return digest_of([node.description, config, columns, node.group, node.access])

    # --- tests --------------------------------------------------------------------------------------------------------

    def _tests(self) -> Iterator[Test]:
        """Yield every data and unit test that some model needs, with the models that it depends on."""
        for id_, node in self._definition.nodes.items():
            if node.resource_type == "test":
                models = self._built_parents(node.depends_on.nodes)
                if models:
                    yield Test(
                        id=TestId(id_),
                        name=node.name,
                        unit=False,
                        models=models,
                        fqn=node.fqn,
                        package=node.package_name,
                    )
        for id_, unit in self._definition.unit_tests.items():
            models = self._built_parents(unit.depends_on.nodes)
            if models:
                yield Test(id=TestId(id_), name=unit.name, unit=True, models=models, package=unit.package_name)

    def _test_digest(self, id_: TestId) -> Digest:
        """Return the digest of one test: definition, arguments, severity, macros."""
        node = self._definition.nodes.get(id_)
        if node is None:
            return self._unit_digest(self._definition.unit_tests[id_])
        written = (self._definition.written or {}).get(id_)
        config: object = node.unrendered_config if written is None else [written.config, written.test]
        if node.test_metadata is not None:
            generic = node.test_metadata
            reached = self._macros.reach("", (f"test_{generic.name}",))
            return digest_of(
                [
                    id_,
                    generic.namespace,
                    generic.name,
                    generic.kwargs,
                    config,
                    reached.digest,
                    self._declared(reached.vars),
                ]
            )
        blocks = jinja(node.raw_code)
        reached = self._macros.reach(blocks)
        return digest_of([id_, node.raw_code, config, reached.digest, self._declared(vars_read(blocks) | reached.vars)])

    def _unit_digest(self, unit: UnitTest) -> Digest:
        """Return the digest of a unit test: inputs, expectation, overrides."""
        parts: list[Raw] = [unit.given, unit.expect, unit.overrides]
        return digest_of([unit.unique_id, unit.model, parts])


def _column_types(node: Node, written: AsWritten) -> object:
    """Return the types and constraints of declared columns, as written where that was found."""
    if written.columns is not None:
        return written.columns
    return [
        (name, column.data_type, column.constraints)
        for name, column in node.columns.items()
        if column.data_type or column.constraints != Raw(b"[]")
    ]


def _required(tests: Iterable[Test]) -> dict[ModelId, list[TestId]]:
    """Return the tests of each model."""
    required: dict[ModelId, list[TestId]] = {}
    for test in tests:
        for model in test.models:
            required.setdefault(model, []).append(test.id)
    return required


def _topological(nodes: Mapping[str, Node], definition: Definition) -> list[str]:
    """Return the nodes, parents first; raise MissingParentError or CyclicGraphError."""
    waiting: dict[str, int] = {}
    children: dict[str, list[str]] = {}
    for id_, node in nodes.items():
        parents = set(node.depends_on.nodes)
        for parent in parents:
            if parent in nodes:
                children.setdefault(parent, []).append(id_)
            elif parent not in definition.others and parent not in definition.nodes:
                raise MissingParentError(id_, parent)
        waiting[id_] = sum(parent in nodes for parent in parents)
    order = [id_ for id_, count in waiting.items() if count == 0]
    for id_ in order:
        for child in children.get(id_, ()):
            waiting[child] -= 1
            if waiting[child] == 0:
                order.append(child)
    if len(order) < len(nodes):
        raise CyclicGraphError(sorted(set(nodes) - set(order)))
    return order
