"""What one parse of a dbt project says, in dbt's own words, as far as a version needs it.

These values are what a reader of artifacts produces and what `fingerprint` takes. Field names are those of dbt's
manifest, so that a typed decoder can fill them without a detour. Nothing here is checked twice: a reader hands in
complete values or raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from msgspec import Raw, Struct, field


class Lineage(Struct, frozen=True, gc=False):
    """The nodes that a node depends on, by unique id.

    dbt's list of macros is left out: it holds what one rendering reached, see `core.macros`.
    """

    nodes: tuple[str, ...] = ()


class Checksum(Struct, frozen=True, gc=False):
    """dbt's checksum of a file: `name` is `sha256`, `none`, or `path` for a seed over 1 MiB that dbt did not read."""

    name: str = "none"
    checksum: str = ""

    @property
    def is_of_path(self) -> bool:
        """Whether it is of the path, and says nothing of the content."""
        return self.name == "path"


class NodeConfig(Struct, frozen=True, gc=False):
    """The rendered config, as far as it decides what a node is, and whether a run builds all of it; `meta` as JSON."""

    materialized: str | None = None
    meta: Raw = field(default_factory=lambda: Raw(b"{}"))
    incremental_strategy: object = None
    begin: object = None
    full_refresh: object = None


class Column(Struct, frozen=True, gc=False):
    """A declared column; `meta`, `tags`, `config` and `constraints` as JSON."""

    name: str
    data_type: str | None = None
    description: str = ""
    constraints: Raw = field(default_factory=lambda: Raw(b"[]"))
    quote: bool | None = None
    meta: Raw = field(default_factory=lambda: Raw(b"{}"))
    tags: Raw = field(default_factory=lambda: Raw(b"[]"))
    config: Raw = field(default_factory=lambda: Raw(b"{}"))


class TestMetadata(Struct, frozen=True, gc=False):
    """Which generic test a test is, and its arguments as JSON."""

    name: str
    namespace: str | None = None
    kwargs: Raw = field(default_factory=lambda: Raw(b"{}"))


class Node(Struct, frozen=True, gc=False):
    """A model, seed, snapshot, function or data test (and whatever else a manifest lists among its nodes).

    `tags` are JSON: only `core.labels` asks for them. `checksum_of_format_one` is what versions of format 1 had in
    place of `checksum`, where that was another. `changed_at` is when the file of a seed was last changed that dbt did
    not read. No manifest has these two.
    """

    unique_id: str
    name: str
    resource_type: str
    package_name: str
    fqn: tuple[str, ...] = ()
    original_file_path: str = ""
    patch_path: str | None = None
    raw_code: str = ""
    language: str = "sql"
    checksum: Checksum = Checksum()
    depends_on: Lineage = Lineage()
    config: NodeConfig = NodeConfig()
    unrendered_config: Raw = field(default_factory=lambda: Raw(b"{}"))
    columns: dict[str, Column] = field(default_factory=dict)
    description: str = ""
    group: str | None = None
    access: str | None = None
    version: str | int | float | None = None
    latest_version: str | int | float | None = None
    relation_name: str | None = None
    test_metadata: TestMetadata | None = None
    column_name: str | None = None
    attached_node: str | None = None
    tags: Raw = field(default_factory=lambda: Raw(b"[]"))
    checksum_of_format_one: str | None = None
    changed_at: datetime | None = None

    @property
    def is_ephemeral(self) -> bool:
        """Whether it is never built itself, but is part of what reads it."""
        return self.config.materialized == "ephemeral"


class Macro(Struct, frozen=True, gc=False):
    """A macro with its source."""

    unique_id: str
    name: str
    package_name: str
    macro_sql: str


class UnitTest(Struct, frozen=True, gc=False):
    """A unit test, its inputs and expectation as JSON."""

    unique_id: str
    name: str
    package_name: str
    model: str
    given: Raw = field(default_factory=lambda: Raw(b"[]"))
    expect: Raw = field(default_factory=lambda: Raw(b"{}"))
    overrides: Raw = field(default_factory=lambda: Raw(b"null"))
    depends_on: Lineage = Lineage()
    original_file_path: str = ""
    fqn: tuple[str, ...] = ()


class Owner(Struct, frozen=True, gc=False):
    """Who answers for an exposure."""

    name: str | None = None
    email: str | list[str] | None = None


class Exposure(Struct, frozen=True, gc=False):
    """A use of models outside dbt: a dashboard, an application."""

    unique_id: str
    name: str
    owner: Owner = Owner()
    depends_on: Lineage = Lineage()
    label: str | None = None
    url: str | None = None
    package_name: str = ""
    original_file_path: str = ""
    fqn: tuple[str, ...] = ()
    description: str = ""
    meta: Raw = field(default_factory=lambda: Raw(b"{}"))
    tags: Raw = field(default_factory=lambda: Raw(b"[]"))


class OtherConfig(Struct, frozen=True, gc=False):
    """The config of a source, as far as a version needs it."""

    event_time: str | None = None


class Other(Struct, frozen=True, gc=False):
    """Something without a version that a node may name as a parent: a source, metric, semantic model, saved query, or a
    model of another project.

    `relation_name` is a source's, rendered for the target of the parse. `meta` and `tags` are JSON.
    """

    depends_on: Lineage = Lineage()
    relation_name: str | None = None
    config: OtherConfig = OtherConfig()
    description: str | None = None
    label: str | None = None
    columns: dict[str, Column] = field(default_factory=dict)
    meta: Raw = field(default_factory=lambda: Raw(b"{}"))
    tags: Raw = field(default_factory=lambda: Raw(b"[]"))


class Origin(Enum):
    """Where config `as written` was read: dbt's kept parse, the sources on disk, or (rendered) the manifest alone."""

    PARSE = "parse"
    SOURCES = "sources"
    MANIFEST = "manifest"


class AsWritten(Struct, frozen=True):
    """The config that applies to one node from YAML and dbt_project.yml, before any rendering.

    `config` is merged over its levels, nearest last, without what the node's own code sets; keys have no leading `+`;
    hooks are joined lists. `columns` is the YAML list of columns where it holds Jinja, else None: then the manifest's
    columns say the same. `talk` is what that list says beside that (meta, tags ...; descriptions left out) where Jinja
    stands in it. `description` is there where it holds Jinja beside `doc()`. `test` is the YAML entry of a test, the
    same way.
    """

    config: Mapping[str, object] = {}
    columns: object = None
    talk: object = None
    description: str | None = None
    test: object = None


class ProjectIdentity(Struct, frozen=True):
    """dbt's name of a project and the id that dbt derives from it."""

    name: str
    id: str | None = None


class DeclaredVar(Struct, frozen=True):
    """A var as one dbt_project.yml declares it: in `scope`, a package's name or empty for all; `value` as written."""

    declared_in: str
    scope: str
    name: str
    value: object


class Definition(Struct, frozen=True):
    """One parse of one project.

    `others` is everything else that a node may name as a parent (sources, metrics, semantic models, exposures, models
    of other projects ...), by unique id. `quoting` and `flags` are the root project's, as written. `written` is None
    where only the manifest was at hand (`origin` is then MANIFEST). `vars_in_yaml` are the vars that dbt_project.yml
    and schema files read. `internal` are the packages that are dbt's own or its adapter's. `graphs` are, in a
    composition, the definitions that nodes come from, by unique id: what they find in `graph` is what they were
    validated with. `manifest` is the digest of manifest.json's bytes.
    """

    project: ProjectIdentity
    origin: Origin
    where: str
    manifest: str
    invocation_id: str
    generated_at: datetime | None
    dbt_version: str
    adapter_type: str | None
    nodes: Mapping[str, Node]
    macros: Mapping[str, Macro]
    unit_tests: Mapping[str, UnitTest]
    exposures: Mapping[str, Exposure]
    others: Mapping[str, Other]
    written: Mapping[str, AsWritten] | None
    vars: tuple[DeclaredVar, ...] = ()
    dispatch: object = None
    quoting: object = None
    flags: Mapping[str, object] = {}
    vars_in_yaml: frozenset[str] = frozenset()
    internal: frozenset[str] = frozenset({"dbt"})
    graphs: Mapping[str, Definition] = {}


def is_place(id_: str) -> bool:
    """Say whether an entry of `others` is a place to read: a source, or a model of another project."""
    return id_.startswith(("source.", "model."))
