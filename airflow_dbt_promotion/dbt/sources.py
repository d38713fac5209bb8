"""Where config is written, and the proof that it is the text that a manifest was made of.

Best is dbt's kept parse with each dbt_project.yml as it was parsed. Next are the sources on disk, where every file
that the manifest has a checksum of still has it. Else there is the manifest alone.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from airflow_dbt_promotion.core.definition import AsWritten, Checksum, Node
from airflow_dbt_promotion.core.errors import ArtifactError, SourcesError
from airflow_dbt_promotion.core.macros import sounds_internal
from airflow_dbt_promotion.dbt.kept_parse import KeptParse
from airflow_dbt_promotion.dbt.manifest import Manifest, packages
from airflow_dbt_promotion.dbt.project_file import FILE, SECTIONS, ProjectFile, load_yaml, read_project, reads_vars_file
from airflow_dbt_promotion.dbt.schema_file import SchemaFile, jinja_in, packed
from airflow_dbt_promotion.dbt.source_tree import parsed_of
from airflow_dbt_promotion.dbt.unchanged import SCHEMA_SUFFIXES, ParsedFile, is_as_parsed
from airflow_dbt_promotion.dbt.written import SETS_CONFIG, Texts

_SEED = "seed"

_NO_CONFIG = frozenset({"constraints", "arguments", "returns"})
"""What is written beside the config, and is none in the manifest."""

_ALIASED = frozenset({"database", "schema", "project", "dataset", "data_space", "catalog"})
"""Config that adapters know by several names."""


def kept_texts(manifest: Manifest, kept: KeptParse, project_dir: Path | None) -> Texts | None:
    """Return what dbt's kept parse has, or None where some dbt_project.yml is not at hand as it was parsed."""
    root = manifest.metadata.project_name or ""
    candidates = kept.folders(root, project_dir)
    projects: dict[str, ProjectFile] = {}
    folders: dict[str, Path] = {}
    internal = kept.internal(root)
    for name, digest in kept.project_digests().items():
        if name in internal:
            continue
        found = _as_parsed(candidates.get(name, ()), digest, manifest.metadata.dbt_version)
        if found is None:
            return None
        folders[name], projects[name] = found
    if root not in projects or not packages(manifest) <= projects.keys() | internal:
        return None
    schema_file = functools.cache(kept.schema_file)
    return Texts(root=root, projects=projects, folders=folders, schema_file=schema_file, yaml=kept.yaml)


def disk_texts(manifest: Manifest, project_dir: Path) -> Texts | None:
    """Return what the sources on disk have, or None where they are not, or no longer, those of the manifest."""
    root, dbt_version = manifest.metadata.project_name or "", manifest.metadata.dbt_version
    try:
        folders = package_folders(project_dir)
        projects = {
            name: read_project(folder, _text(folder / FILE), vars_file=reads_vars_file(dbt_version))
            for name, folder in folders.items()
        }
        if root not in projects or not packages(manifest) - internal_by_name(manifest) <= projects.keys():
            return None
        if not all(_unchanged(node, folders) for node in manifest.nodes.values()):
            return None
        files = {file_id: _schema_file(file_id, folders) for file_id in _schema_file_ids(manifest)}
        yaml = [
            load_yaml(path, text)
            for name in parsed_of(project_dir, dbt_version)
            if (path := project_dir / name).suffix in SCHEMA_SUFFIXES and "var" in (text := _text(path))
        ]
    except (OSError, UnicodeDecodeError, ArtifactError, SourcesError):
        return None
    return Texts(root=root, projects=projects, folders=folders, schema_file=files.get, yaml=lambda: yaml)


def contradicts(nodes: Mapping[str, Node], written: Mapping[str, AsWritten]) -> bool:
    """Say whether config that was read from disk contradicts what a manifest says of it.

    Schema files and dbt_project.yml have no checksum in a manifest. So what they say is held against
    `unrendered_config`, as far as no Jinja and no config in the node's own code stands between the two.
    """
    return any(
        _differs(node, written[id_].config)
        for id_, node in nodes.items()
        if node.resource_type in SECTIONS
        and node.test_metadata is None
        and node.language == "sql"
        and not SETS_CONFIG.search(node.raw_code)
    )


def package_folders(project_dir: Path) -> dict[str, Path]:
    """Return the folder of the project and of each installed package, by name. Raises OSError or ArtifactError."""
    root = read_project(project_dir, _text(project_dir / FILE), vars_file=False)
    folders = {root.name: project_dir}
    installed = project_dir / root.packages_path
    for folder in sorted(installed.iterdir()) if installed.is_dir() else ():
        if (folder / FILE).is_file():
            folders.setdefault(str(load_yaml(folder / FILE, _text(folder / FILE)).get("name", "")), folder)
    return folders


def with_seed_digests(nodes: Mapping[str, Node], folders: Mapping[str, Path]) -> Iterator[Node]:
    """Yield the seeds whose digest by dbt is not that of their text, with that, where the file is there.

    Those are seeds that dbt found too large to read, and, before dbt 1.12, seeds with the line endings of Windows.
    """
    for node in nodes.values():
        if node.resource_type != _SEED or node.package_name not in folders:
            continue
        path = folders[node.package_name] / node.original_file_path
        if node.checksum.name not in {"path", "sha256"} or not path.is_file():
            continue
        data = path.read_bytes()
        before = hashlib.sha256(data if node.checksum.is_of_path else data.strip()).hexdigest()
        digest = seed_digest(data)
        if node.checksum.is_of_path or (b"\r\n" in data and node.checksum.checksum in {before, digest}):
            found = Checksum("sha256", digest)
            changed_at = _changed_at(path) if node.checksum.is_of_path else None
            yield msgspec.structs.replace(node, checksum=found, checksum_of_format_one=before, changed_at=changed_at)


def _changed_at(path: Path) -> datetime:
    """Return when a file, or what is known of it, was last changed: a copy, and a time that was set, count too."""
    status = path.stat()
    return datetime.fromtimestamp(max(status.st_mtime, status.st_ctime), tz=UTC)


def seed_digest(data: bytes) -> str:
    """Return the digest of a seed's text as dbt 1.12 takes it: without white space around it, by Unix' line endings."""
    return hashlib.sha256(data.replace(b"\r\n", b"\n").strip()).hexdigest()


def _as_parsed(folders: Iterable[Path], digest: str, dbt_version: str) -> tuple[Path, ProjectFile] | None:
    """Return the first folder whose dbt_project.yml has the digest, taken as dbt does with universal newlines."""
    for folder in folders:
        try:
            text = _text(folder / FILE)
            if hashlib.sha256(text.encode()).hexdigest() == digest:
                return folder, read_project(folder, text, vars_file=reads_vars_file(dbt_version))
        except (OSError, UnicodeDecodeError, ArtifactError):
            continue
    return None


def internal_by_name(manifest: Manifest) -> frozenset[str]:
    """Return the packages that are called as dbt's own or an adapter's are; the project itself is never one."""
    adapter, root = manifest.metadata.adapter_type, manifest.metadata.project_name
    return frozenset(name for name in packages(manifest) if name != root and sounds_internal(name, adapter))


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _unchanged(node: Node, folders: Mapping[str, Path]) -> bool:
    """Say whether the file of a node is still as the manifest has it. A big seed has only to be there.

    That of a node which a schema file defines is compared as a schema file is.
    """
    path = folders[node.package_name] / node.original_file_path
    if node.checksum.name == "none" or path.suffix in SCHEMA_SUFFIXES:
        return True
    if node.checksum.is_of_path:
        return path.is_file()
    return is_as_parsed(path, path.read_bytes(), node.checksum.checksum, ParsedFile(texts=(node.raw_code,)))


def _schema_file_ids(manifest: Manifest) -> frozenset[str]:
    """Return the schema files that say something of nodes, of generic tests of sources, or of unit tests."""
    patches = {node.patch_path for node in manifest.nodes.values() if node.patch_path}
    tests = {
        f"{node.package_name}://{node.original_file_path}"
        for node in manifest.nodes.values()
        if node.test_metadata and node.attached_node is None
    }
    units = {f"{unit.package_name}://{unit.original_file_path}" for unit in manifest.unit_tests.values()}
    return frozenset(patches | tests | units)


def _schema_file(file_id: str, folders: Mapping[str, Path]) -> SchemaFile:
    """Return a schema file from disk. Raises OSError or ArtifactError."""
    package, _, name = file_id.partition("://")
    path = folders[package] / name
    return SchemaFile(packed(load_yaml(path, path.read_bytes().decode().strip())))


def _differs(node: Node, config: Mapping[str, object]) -> bool:
    """Say whether one node's config as written cannot have become what the manifest says."""
    said = {key.replace("-hook", "_hook"): value for key, value in msgspec.json.decode(node.unrendered_config).items()}
    kept = {key: value for key, value in config.items() if key not in _NO_CONFIG}
    if (kept.keys() ^ said.keys()) - _ALIASED:
        return True
    return any(
        isinstance(value, str | int | float)
        and isinstance(said[key], str | int | float)
        and not jinja_in(value)
        and value != said[key]
        for key, value in kept.items()
        if key in said
    )
