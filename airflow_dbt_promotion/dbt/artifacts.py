"""What dbt left in a target folder, as core values: the definition, the release, the run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from airflow_dbt_promotion.core.definition import Definition, Origin, ProjectIdentity
from airflow_dbt_promotion.core.errors import ArtifactError, InvocationMismatchError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import Digest, digest
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.dbt import kept_parse, project_file, results
from airflow_dbt_promotion.dbt import manifest as manifests
from airflow_dbt_promotion.dbt.artifact_file import collector_off
from airflow_dbt_promotion.dbt.kept_parse import KeptParse, read_kept_parse
from airflow_dbt_promotion.dbt.manifest import Manifest, packages
from airflow_dbt_promotion.dbt.sources import (
    contradicts,
    disk_texts,
    internal_by_name,
    kept_texts,
    package_folders,
    with_seed_digests,
)
from airflow_dbt_promotion.dbt.written import Writing


def read_definition(target_path: Path, project_dir: Path | None) -> Definition:
    """Return what the manifest in a target folder says, with the config as written where that can be found.

    Raises MissingArtifactError, ArtifactError or UnsupportedSchemaError.
    """
    data = manifests.read_manifest_bytes(target_path)
    with collector_off():
        return _definition(target_path, data, digest(data), project_dir)


def _definition(target_path: Path, data: bytes, digested: Digest, project_dir: Path | None) -> Definition:
    """Return the definition in a manifest's bytes."""
    path = target_path / manifests.FILE
    kept = read_kept_parse(target_path)
    manifest = manifests.manifest_of(path, data)
    metadata, foreign = manifest.metadata, manifest.take_out_foreign()
    origin, found = _as_written(manifest, data, kept, project_dir)
    for node in with_seed_digests(manifest.nodes, found.texts.folders if found else _at_hand(project_dir)):
        manifest.nodes[node.unique_id] = node
    return Definition(
        project=ProjectIdentity(name=metadata.project_name or "", id=metadata.project_id),
        origin=origin,
        where=str(path),
        manifest=digested,
        invocation_id=metadata.invocation_id or "",
        generated_at=manifests.utc(metadata.generated_at),
        dbt_version=metadata.dbt_version,
        adapter_type=metadata.adapter_type,
        nodes=manifest.nodes,
        macros=manifest.macros,
        unit_tests=found.unit_tests(manifest.unit_tests) if found else manifest.unit_tests,
        exposures=manifest.exposures,
        others={**manifest.others(), **foreign},
        written=found.nodes if found else None,
        vars=found.texts.vars() if found else (),
        dispatch=found.texts.dispatch if found else None,
        quoting=found.texts.quoting if found else None,
        flags=found.texts.flags if found else {},
        internal=kept.internal(metadata.project_name or "")
        if kept is not None and origin is Origin.PARSE
        else _internal(manifest, project_dir),
        vars_in_yaml=found.texts.vars_read() if found else frozenset(),
    )


def _as_written(
    manifest: Manifest, data: bytes, kept: KeptParse | None, project_dir: Path | None
) -> tuple[Origin, Writing | None]:
    """Return the best that is at hand of what was written: dbt's kept parse, else the sources on disk, else nothing.

    Where the kept parse is that of the manifest, but a dbt_project.yml is another by now, the sources have moved on:
    they are not asked.
    """
    if kept is not None and kept.is_of(manifest, data):
        texts = kept_texts(manifest, kept, project_dir)
        return (Origin.PARSE, Writing(texts, manifest)) if texts else (Origin.MANIFEST, None)
    texts = disk_texts(manifest, project_dir) if project_dir is not None else None
    if texts is not None:
        found = Writing(texts, manifest)
        if not contradicts(manifest.nodes, found.nodes):
            return Origin.SOURCES, found
    return Origin.MANIFEST, None


def _internal(manifest: Manifest, project_dir: Path | None) -> frozenset[str]:
    """Return the packages that are dbt's own: those that are not installed in the project; else told by their names."""
    own = _at_hand(project_dir).keys()
    return packages(manifest) - own if manifest.metadata.project_name in own else internal_by_name(manifest)


def _at_hand(project_dir: Path | None) -> Mapping[str, Path]:
    """Return the folders of the packages at hand, none where that cannot be told."""
    try:
        return package_folders(project_dir) if project_dir is not None else {}
    except (OSError, UnicodeDecodeError, ArtifactError):
        return {}


def _signatures(target_path: Path, project_dir: Path | None) -> tuple[tuple[int, int] | None, ...]:
    """Return time and size of the files beside a manifest that matter; None for one that is not there."""
    return (
        _signature(target_path / kept_parse.FILE),
        _signature(project_dir / project_file.FILE) if project_dir is not None else None,
    )


def _signature(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


class _Last(msgspec.Struct, frozen=True):
    """The release that was read last, and what lay beside its manifest then."""

    release: Release
    target_path: Path
    beside: tuple[tuple[int, int] | None, ...]

    def holds_for(self, target_path: Path, manifest: Digest, beside: tuple[tuple[int, int] | None, ...]) -> bool:
        """Say whether reading again says the same: for good of dbt's parse, else while nothing beside it changed."""
        same = self.release.manifest == manifest and self.target_path == target_path
        return same and (self.release.origin is Origin.PARSE or self.beside == beside)


class DbtArtifacts:
    """Reads target folders of one project; the port `ArtifactReader`.

    Keeps the last release, so that a manifest that did not change costs reading its bytes and a digest of them.
    """

    def __init__(self, project_dir: Path | None = None) -> None:
        """Take the folder of the project's sources, where they are at hand."""
        self._project_dir = project_dir
        self._last: _Last | None = None

    def release(self, target_path: Path) -> Release:
        """Return the release that the manifest in a target folder says. Raises ArtifactError and its kin."""
        data = manifests.read_manifest_bytes(target_path)
        digested, beside = digest(data), _signatures(target_path, self._project_dir)
        last = self._last
        if last is None or not last.holds_for(target_path, digested, beside):
            with collector_off():
                release = release_of(_definition(target_path, data, digested, self._project_dir))
            last = self._last = _Last(release=release, target_path=target_path, beside=beside)
        return last.release

    def definition(self, target_path: Path) -> Definition:
        """Return what the manifest in a target folder says. Raises ArtifactError and its kin."""
        return read_definition(target_path, self._project_dir)

    def run(self, target_path: Path, handed: Release | None = None) -> tuple[Run, Release]:
        """Return the run in a target folder with the release that it ran on.

        `handed` is the release whose kept manifest was given to dbt for this very run: dbt then writes no manifest of
        its own. Raises InvocationMismatchError where both files are not of one invocation, RunRefusedError where the
        run proves nothing.
        """
        run = results.read_run(target_path)
        if handed is not None:
            return run, handed
        release = self.release(target_path)
        if run.invocation_id != release.invocation_id:
            raise InvocationMismatchError(str(target_path), run.invocation_id, release.invocation_id or "unknown")
        return run, release
