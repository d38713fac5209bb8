"""What dbt left in a target folder, as core values: the definition, the release, the run."""

from __future__ import annotations

from pathlib import Path

from airflow_dbt_promotion.core.definition import Definition, Origin, ProjectIdentity
from airflow_dbt_promotion.core.errors import InvocationMismatchError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import digest
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.dbt import manifest as manifests
from airflow_dbt_promotion.dbt import results


def read_definition(target_path: Path, project_dir: Path | None) -> Definition:
    """Return what the manifest in a target folder says, with the config as written where that can be found.

    Raises MissingArtifactError, ArtifactError or UnsupportedSchemaError.
    """
    return _definition(target_path, manifests.read_manifest_bytes(target_path), project_dir)


def _definition(target_path: Path, data: bytes, project_dir: Path | None) -> Definition:
    """Return the definition in a manifest's bytes."""
    path = target_path / manifests.FILE
    manifest = manifests.manifest_of(path, data)
    metadata = manifest.metadata
    return Definition(
        project=ProjectIdentity(name=metadata.project_name or "", id=metadata.project_id),
        origin=Origin.MANIFEST,
        where=str(path),
        manifest=digest(data),
        invocation_id=metadata.invocation_id or "",
        generated_at=manifests.utc(metadata.generated_at),
        dbt_version=metadata.dbt_version,
        adapter_type=metadata.adapter_type,
        nodes=manifest.nodes,
        macros=manifest.macros,
        unit_tests=manifest.unit_tests,
        exposures=manifest.exposures,
        others=manifest.others(),
        written=None,
    )


class DbtArtifacts:
    """Reads target folders of one project; the port `ArtifactReader`.

    Keeps the last release, so that a manifest that did not change costs reading its bytes and a digest of them.
    """

    def __init__(self, project_dir: Path | None = None) -> None:
        """Take the folder of the project's sources, where they are at hand."""
        self._project_dir = project_dir
        self._last: Release | None = None

    def release(self, target_path: Path) -> Release:
        """Return the release that the manifest in a target folder says. Raises ArtifactError and its kin."""
        data = manifests.read_manifest_bytes(target_path)
        if self._last is None or self._last.manifest != digest(data):
            self._last = release_of(_definition(target_path, data, self._project_dir))
        return self._last

    def run(self, target_path: Path, handed: Release | None = None) -> tuple[Run, Release]:
        """Return the run in a target folder with the release that it ran on.

        `handed` is the release whose kept manifest was given to dbt for this very run: dbt then writes no manifest of its own.
        Raises InvocationMismatchError where both files are not of one invocation, RunRefusedError where the run proves nothing.
        """
        run = results.read_run(target_path)
        if handed is not None:
            return run, handed
        release = self.release(target_path)
        if run.invocation_id != release.invocation_id:
            raise InvocationMismatchError(str(target_path), run.invocation_id, release.invocation_id or "unknown")
        return run, release
