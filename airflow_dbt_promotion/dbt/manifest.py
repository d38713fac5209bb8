"""manifest.json: a typed decode of the part that versions need, straight into core values."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from airflow_dbt_promotion.core.definition import Exposure, Macro, Node, Other, UnitTest
from airflow_dbt_promotion.core.errors import ArtifactError
from airflow_dbt_promotion.dbt.artifact_file import Kind, check_schema, decode, read_bytes

FILE = "manifest.json"

_KIND = Kind("manifest", floor=10, since="1.6")
_NO_CODE = "--placeholder--"
"""What early releases of dbt 2.0 write in place of a model's code."""


class Metadata(msgspec.Struct, gc=False):
    """What a manifest says of itself."""

    dbt_schema_version: str
    dbt_version: str = ""
    generated_at: datetime | None = None
    invocation_id: str | None = None
    project_name: str | None = None
    project_id: str | None = None
    adapter_type: str | None = None


class Manifest(msgspec.Struct):
    """The part of a manifest that is read; msgspec skips the rest without building it."""

    metadata: Metadata
    nodes: dict[str, Node]
    macros: dict[str, Macro]
    unit_tests: dict[str, UnitTest] = {}
    exposures: dict[str, Exposure] = {}
    functions: dict[str, Node] = {}
    sources: dict[str, Other] = {}
    metrics: dict[str, Other] = {}
    semantic_models: dict[str, Other] = {}
    saved_queries: dict[str, Other] = {}

    def take_out_foreign(self) -> dict[str, Other]:
        """Take the models of other projects out of the nodes and return them: they have no file here.

        A plugin of dbt (dbt-loom, a mesh) puts them there. They are places to read, as sources are.
        """
        foreign = {
            id_ for id_, node in self.nodes.items() if node.resource_type == "model" and not node.original_file_path
        }
        return {id_: Other(relation_name=self.nodes.pop(id_).relation_name) for id_ in sorted(foreign)}

    def others(self) -> dict[str, Other]:
        """Return everything without a version that a node may name as a parent, by unique id."""
        exposures = {id_: Other(depends_on=exposure.depends_on) for id_, exposure in self.exposures.items()}
        return {**self.sources, **self.metrics, **self.semantic_models, **self.saved_queries, **exposures}


_decoder = msgspec.json.Decoder(Manifest)


def read_manifest_bytes(target_path: Path) -> bytes:
    """Return the bytes of the manifest in a target folder; raises MissingArtifactError."""
    return read_bytes(
        target_path / FILE, "run `dbt parse` (or any dbt command that parses) with this target path first"
    )


def manifest_of(path: Path, data: bytes) -> Manifest:
    """Return the manifest that these bytes say.

    Raises UnsupportedSchemaError below v10 (dbt 1.6), ArtifactError for anything that is no manifest, with file and
    place.
    """
    manifest = decode(path, _KIND, data, _decoder)
    check_schema(path, _KIND, manifest.metadata.dbt_schema_version, manifest.metadata.dbt_version)
    if manifest.functions:
        manifest.nodes.update(manifest.functions)
    _check(path, manifest)
    return manifest


def _check(path: Path, manifest: Manifest) -> None:
    """Refuse a manifest whose entries are filed under a wrong id, or that holds no code."""
    if not manifest.metadata.project_name:
        raise ArtifactError(
            str(path), "names no project (metadata.project_name); parse the project again with `dbt parse`"
        )
    for key, node in manifest.nodes.items():
        if key != node.unique_id:
            raise ArtifactError(str(path), f"$.nodes[{key!r}] says that it is {node.unique_id!r}; no dbt wrote that")
        if node.raw_code == _NO_CODE:
            raise ArtifactError(
                str(path),
                f"$.nodes[{key!r}] holds no code, as early releases of dbt 2.0 write it; parse with a newer dbt",
            )


def utc(instant: datetime | None) -> datetime | None:
    """Return an instant of dbt's in UTC; dbt means UTC where it names no zone."""
    if instant is None:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)


def packages(manifest: Manifest) -> frozenset[str]:
    """Return the names of all packages that gave something to a manifest."""
    holders: tuple[Mapping[str, Node | Macro], ...] = (manifest.nodes, manifest.macros)
    return frozenset(entry.package_name for holder in holders for entry in holder.values())
