"""The fingerprint: from one parse of a project to the versions of its models.

Nothing rendered and nothing that differs between environments enters a version: no relation name, compiled SQL, target,
path, timestamp or rendered config. The same commit parsed for two targets gives the same versions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core import flags
from airflow_dbt_promotion.core.attributes import Attribute, read_by_jinja, read_by_python
from airflow_dbt_promotion.core.definition import AsWritten, Definition, Macro, Node, Origin
from airflow_dbt_promotion.core.described import attributes_of, graph_of, read_in, said_of, unix, value_of
from airflow_dbt_promotion.core.graph import KINDS, Graph
from airflow_dbt_promotion.core.identity import MANIFEST_ONLY, Digest, ModelId, TestId, Version, digest_of
from airflow_dbt_promotion.core.macros import (
    ANY_MATERIALIZATION,
    MacroIndex,
    Reached,
    jinja,
    jinja_of,
    materializations,
)
from airflow_dbt_promotion.core.release import Model, ModelKind, Release, Test
from airflow_dbt_promotion.core.slices import slices_from
from airflow_dbt_promotion.core.testing import Testing
from airflow_dbt_promotion.core.vars import ALL_VARS, DeclaredVars, vars_read

FORMAT = 2
"""Enters every version; raised whenever the same code would get another fingerprint."""

PLACES = frozenset({"database", "schema", "alias", "project", "dataset", "catalog", "data_space"})
"""Config that says where a model goes, by each name that an adapter has for it."""

NOT_CODE = PLACES | {"tags", "meta", "docs", "grants", "group", "access"}
"""Config that says where a model goes or what people know of it, not what it is."""

_DEFAULT_MATERIALIZATION = {kind.value: kind.value for kind in ModelKind} | {ModelKind.MODEL.value: "view"}
_NO_CONSTRAINTS = Raw(b"[]")
_EMPTY = AsWritten()


def release_of(definition: Definition) -> Release:
    """Return the release that a parse makes: versions, tests and exposures.

    Raises MissingParentError for a parent that the manifest does not hold, CyclicGraphError for a ring.
    """
    return Fingerprinting(definition).release()


class Reading(Struct, frozen=True):
    """What the code of one node reads beside itself: macros by unique id, vars by name, and the dispatch order."""

    macros: frozenset[str]
    vars: frozenset[str]
    dispatched: bool


def reading_of(definition: Definition) -> Callable[[str], Reading]:
    """Return what tells, for the nodes and data tests of a definition by unique id, what their code reads."""
    return Fingerprinting(definition).reading


class _Config(Struct, frozen=True, gc=False):
    """Config as written, taken apart once for all nodes that share it.

    `code` and `known` (what people know of a model, and where it goes) are canonical JSON; `blocks` is Jinja in code,
    and `attributes` what that reads. `values` are what people know, by key.
    """

    code: Raw
    known: Raw
    blocks: str
    materialized: object
    values: Mapping[str, object]
    is_contract: bool
    attributes: frozenset[Attribute]


def _config(config: Mapping[str, object], *, known: frozenset[str]) -> _Config:
    """Take config apart; `known` are the keys that count as known of a model."""
    code = {key: value for key, value in config.items() if key not in NOT_CODE}
    return _Config(
        code=_canonical(sorted(code.items())),
        known=_canonical(sorted((key, value) for key, value in config.items() if key in known)),
        blocks=jinja_of(code),
        materialized=code.get("materialized"),
        values={key: value for key, value in config.items() if key in known},
        is_contract="contract" in code,
        attributes=read_in(code),
    )


class Fingerprinting:
    """One pass over one definition."""

    format = FORMAT

    def __init__(self, definition: Definition) -> None:
        """Index macros and vars, and put the nodes in order."""
        self._definition = definition
        self._graph = Graph(definition)
        self._macros = self._index_macros(definition)
        self._vars = DeclaredVars(definition.vars)
        self._testing = Testing(definition, self._graph, self._macros, self._vars)
        self._versions: dict[str, Version] = {}
        self._flags = flags.of_models(definition.flags)
        self._graphs: dict[int, Digest] = {}
        self._shared: dict[int, _Config] = {}
        self._rendered: dict[bytes, _Config] = {}

    def _index_macros(self, definition: Definition) -> MacroIndex:
        """Return the macros by what leads to them."""
        return MacroIndex(_unix(definition.macros), definition.internal)

    def release(self) -> Release:
        """Fingerprint every node, parents first."""
        definition, nodes = self._definition, self._graph.nodes
        codes = {}
        for id_ in self._graph.order:
            codes[id_] = self._code(nodes[id_])
            self._versions[id_] = self._version(nodes[id_], codes[id_])
        tests = self._testing.tests()
        required = _required(tests.values())
        models = {
            ModelId(id_): self._model(node, codes[id_], tuple(sorted(required.get(ModelId(id_), ()))))
            for id_, node in nodes.items()
            if id_ not in self._graph.ephemeral
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
            var_names=self._vars.names,
            ephemeral={ModelId(id_): codes[id_] for id_ in sorted(self._graph.ephemeral)},
            vars_read=self._vars_read(),
            declared_vars=self._vars.single(definition.project.name),
            flags=definition.flags,
            source_relations={
                id_: other.relation_name for id_, other in definition.others.items() if other.relation_name is not None
            },
            unread_seeds={
                ModelId(id_): node.changed_at
                for id_, node in nodes.items()
                if node.resource_type == ModelKind.SEED.value and (node.changed_at or node.checksum.is_of_path)
            },
        )

    def _vars_read(self) -> frozenset[str]:
        """Return the vars that any node, macro, test or YAML can read; of a manifest alone that cannot be told."""
        if self._definition.written is None:
            return frozenset({ALL_VARS})
        codes = (jinja(node.raw_code) for node in self._definition.nodes.values() if "var" in node.raw_code)
        read = {name for code in codes for name in vars_read(code)}
        return frozenset(read | self._macros.vars | self._definition.vars_in_yaml)

    def _config_of(self, node: Node) -> _Config:
        """Return the config as written; from the manifest's `unrendered_config` where nothing better is at hand."""
        if self._definition.written is None:
            data = bytes(node.unrendered_config)
            if data not in self._rendered:
                self._rendered[data] = _config(msgspec.json.decode(data) or {}, known=NOT_CODE - PLACES)
            return self._rendered[data]
        written = self._definition.written.get(node.unique_id, _EMPTY)
        if id(written) not in self._shared:
            self._shared[id(written)] = _config(written.config, known=NOT_CODE)
        return self._shared[id(written)]

    def _columns_of(self, node: Node) -> object:
        """Return the columns as written where that was found; None where the manifest says the same."""
        written = self._definition.written and self._definition.written.get(node.unique_id)
        return written.columns if written else None

    def _code(self, node: Node) -> Digest:
        """Return code(n): its source, the config that applies to it, contract and column types, macros, vars, what of
        nodes and sources its code reads, and the project's flags.
        """
        config, columns = self._config_of(node), self._columns_of(node)
        reached, read = self._reach(node, config, columns)
        return digest_of(
            [
                node.language,
                node.checksum.checksum if node.resource_type == ModelKind.SEED.value else unix(node.raw_code),
                config.code,
                _columns_built(node, config) if columns is None else columns,
                reached.digest,
                self._vars.of(read),
                self._definition.dispatch if reached.dispatched else None,
                self._attributes(node, config, reached),
                self._event_times(node, config),
                self._flags or None,
            ]
        )

    def _attributes(self, node: Node, config: _Config, reached: Reached) -> object:
        """Return what of this node, or of all, the code of the node and its macros reads; None for nothing."""
        code = read_by_jinja(unix(node.raw_code)) if node.language == "sql" else read_by_python(node.raw_code)
        read = code | config.attributes | reached.attributes
        written = self._definition.written.get(node.unique_id) if self._definition.written is not None else None
        found = attributes_of(node, config.values, written, read)
        if Attribute.GRAPH in read:
            found[Attribute.GRAPH.value] = self._graph_of(node.unique_id)
        return found or None

    def _graph_of(self, id_: str) -> Digest:
        """Return the digest of what a node finds in `graph`; in a composition, what it was validated with."""
        definition = self._definition.graphs.get(id_, self._definition)
        if id(definition) not in self._graphs:
            self._graphs[id(definition)] = graph_of(definition)
        return self._graphs[id(definition)]

    def _event_times(self, node: Node, config: _Config) -> object:
        """Return by which columns the sources of a microbatch model are filtered; None where nothing filters them."""
        if "microbatch" not in node.raw_code and b"microbatch" not in bytes(config.code):
            return None
        others = self._definition.others
        parents = sorted(parent for parent in set(node.depends_on.nodes) if parent in others)
        return [[parent, others[parent].config.event_time] for parent in parents]

    def _reach(self, node: Node, config: _Config, columns: object) -> tuple[Reached, frozenset[str]]:
        """Return the macros that a node reaches, and the vars that it and they read."""
        blocks = jinja(node.raw_code) if node.language == "sql" else ""
        if config.blocks or columns is not None:
            blocks = f"{blocks} {config.blocks} {jinja_of(columns)}"
        materialized = self._materializations(node, config, blocks) if self._macros.materializes else ()
        reached = self._macros.reach(blocks, materialized, namers=True)
        return reached, vars_read(blocks) | reached.vars

    def reading(self, id_: str) -> Reading:
        """Return what the code of a node, or of a data test, reads beside itself."""
        node = self._graph.nodes.get(id_)
        if node is None:
            reached = self._testing.reached(TestId(id_))
            return Reading(reached.ids, frozenset(), reached.dispatched)
        reached, read = self._reach(node, self._config_of(node), self._columns_of(node))
        return Reading(reached.ids, read, reached.dispatched)

    def _materializations(self, node: Node, config: _Config, blocks: str) -> Iterable[str]:
        """Return how a node may be materialized: by its config or code, else as dbt does by default."""
        named = config.materialized
        if named is None and self._definition.written is None:
            named = node.config.materialized
        found = materializations(blocks if node.language == "sql" else node.raw_code)
        if isinstance(named, str):
            found.add(ANY_MATERIALIZATION if "{" in named else named)
        return found or (_DEFAULT_MATERIALIZATION[node.resource_type],)

    def _version(self, node: Node, code: Digest) -> Version:
        """Return version(n): its code, the versions of its parents and the identities of its sources."""
        parents: list[str] = []
        others: list[str] = []
        for parent in set(node.depends_on.nodes):
            version = self._versions.get(parent)
            if version is None:
                others.append(parent)
            else:
                parents.append(version)
        parents.sort()
        others.sort()
        body = digest_of([self.format, node.unique_id, code, parents, others])
        rendered = (
            self._definition.origin is Origin.MANIFEST
            or (node.resource_type == ModelKind.SEED.value and node.checksum.is_of_path)
            # Sorted, a version that was made from a manifest alone comes after every other.
            or (parents and parents[-1].startswith(MANIFEST_ONLY))
        )
        return Version(MANIFEST_ONLY + body if rendered else body)

    def _model(self, node: Node, code: Digest, required: tuple[TestId, ...]) -> Model:
        """Put one model together."""
        return Model(
            id=ModelId(node.unique_id),
            name=node.name if node.version is None else f"{node.name}.v{node.version}",
            package=node.package_name,
            kind=KINDS[node.resource_type],
            version=self._versions[node.unique_id],
            code=code,
            tests=self._testing.digest(required),
            meta=self._meta(node),
            parents=self._graph.nearest(node.unique_id, node.depends_on.nodes),
            required=required,
            incremental=node.config.materialized == "incremental",
            fqn=node.fqn,
            path=node.original_file_path,
            relation=node.relation_name,
            slices_from=slices_from(node.config),
            full_refresh=node.config.full_refresh if isinstance(node.config.full_refresh, bool) else None,
        )

    def _meta(self, node: Node) -> Digest:
        """Return meta(n): what people know of a model, and where it goes."""
        columns = said_of(node.columns)
        return digest_of([unix(node.description), self._config_of(node).known, columns, node.group, node.access])


def _canonical(value: object) -> Raw:
    """Return a value as canonical JSON."""
    return Raw(msgspec.json.encode(value, order="sorted"))


def column_types(node: Node) -> object:
    """Return the types and constraints of the columns that the manifest declares."""
    found = [
        (name, column.data_type, value_of(column.constraints))
        for name, column in node.columns.items()
        if column.data_type or column.constraints != _NO_CONSTRAINTS
    ]
    return sorted(found, key=_first) if found else found


def _columns_built(node: Node, config: _Config) -> object:
    """Return what columns decide over what is built: in a contract their order and quotes, too."""
    if not config.is_contract and "contract" not in node.raw_code:
        return column_types(node)
    return [
        (name, column.data_type, column.quote, value_of(column.constraints)) for name, column in node.columns.items()
    ]


def _unix(macros: Mapping[str, Macro]) -> Mapping[str, Macro]:
    """Return macros with the line endings of Unix; the same mapping where they all have them."""
    other = {id_: replace(one, macro_sql=unix(one.macro_sql)) for id_, one in macros.items() if "\r" in one.macro_sql}
    return {**macros, **other} if other else macros


def _first(row: tuple[str, object, object]) -> str:
    return row[0]


def _required(tests: Iterable[Test]) -> dict[ModelId, list[TestId]]:
    """Return the tests of each model."""
    required: dict[ModelId, list[TestId]] = {}
    for test in tests:
        for model in test.models:
            required.setdefault(model, []).append(test.id)
    return required
