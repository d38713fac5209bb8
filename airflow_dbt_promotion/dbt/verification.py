"""Verification: are the sources at hand those that dbt parsed, so that they can be kept as a version's own?"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from airflow_dbt_promotion.core.definition import Origin
from airflow_dbt_promotion.core.errors import ArtifactError, SourcesError
from airflow_dbt_promotion.core.kept import Provenance
from airflow_dbt_promotion.core.macros import is_internal
from airflow_dbt_promotion.core.ports import Kept, ReleaseStore
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.dbt.kept_parse import KeptParse, read_kept_parse
from airflow_dbt_promotion.dbt.project_file import FILE
from airflow_dbt_promotion.dbt.source_tree import ProjectSources, sources_of
from airflow_dbt_promotion.dbt.sources import package_folders

_BIG = "path"
"""dbt's checksum of a seed over 1 MiB: the path, not the content."""


def keep_run(
    store: ReleaseStore,
    target_path: Path,
    project_dir: Path,
    release: Release,
    provenance: Provenance,
    kept_paths: Collection[str] = (),
) -> Kept:
    """Keep the sources of a run that lies in a target folder, if they are still at hand as dbt parsed them."""
    found = verified(target_path, project_dir, release, kept_paths)
    return Kept(release=None, why=found) if isinstance(found, str) else Kept(release=store.keep(found, provenance))


def verified(
    target_path: Path, project_dir: Path, release: Release, kept_paths: Collection[str] = ()
) -> ProjectSources | str:
    """Return the sources at hand if they are those of a release that was read from a target folder, else why not.

    Best is dbt's kept parse, which has a checksum of every file that dbt read. Without it, the release was read from
    the sources at hand, which had the checksums of the manifest, or it was not.
    """
    try:
        sources = sources_of(project_dir, kept_paths)
        if release.origin is Origin.MANIFEST:
            return "what dbt parsed is not at hand any more, neither its kept parse nor the same sources"
        kept = read_kept_parse(target_path) if release.origin is Origin.PARSE else None
        problem = next(_differences(kept, sources, project_dir, release), None) if kept is not None else None
    except (SourcesError, ArtifactError) as error:
        return str(error)
    except (OSError, UnicodeDecodeError) as error:
        return f"the project cannot be read: {error}"
    return sources if problem is None else problem


def _differences(kept: KeptParse, sources: ProjectSources, project_dir: Path, release: Release) -> Iterator[str]:
    """Yield in what the sources at hand are not what dbt parsed."""
    folders = {
        name: PurePosixPath(folder.relative_to(project_dir).as_posix())
        for name, folder in package_folders(project_dir).items()
    }
    files, known = sources.tree.files, set()
    for package, inner, digest in kept.read_files():
        if is_internal(package, release.adapter_type):
            continue
        if package not in folders:
            yield f"the package {package} is not installed any more"
            continue
        path = (folders[package] / inner).as_posix()
        known.add(path)
        if path not in files:
            there = (project_dir / path).is_file()
            yield (
                f"{path} is left out of what is kept (kept_paths, or by its name)"
                if there
                else f"{path} is not there any more"
            )
        elif digest is not None and _stripped(sources.read(path)) != digest:
            yield f"{path} changed since dbt parsed it"
    for package, digest in kept.project_digests().items():
        if not is_internal(package, release.adapter_type) and package in folders:
            path = (folders[package] / FILE).as_posix()
            if hashlib.sha256((project_dir / path).read_text(encoding="utf-8").encode()).hexdigest() != digest:
                yield f"{path} changed since dbt parsed it"
    if not any(PurePosixPath(path).name == ".dbtignore" for path in files):
        yield from (f"{path} came since dbt parsed the project" for path in files if _is_unknown(path, known, sources))


def _is_unknown(path: str, known: Collection[str], sources: ProjectSources) -> bool:
    """Say whether dbt would read a file that it did not read; it passes over empty ones, and those beside the project's
    file.
    """
    new = path not in known and PurePosixPath(path).suffix in {".sql", ".yml", ".yaml"}
    beside = PurePosixPath(path).with_name(FILE).as_posix() in sources.tree.files
    return new and not beside and bool(sources.read(path).strip())


def _stripped(data: bytes) -> str:
    """Return dbt's checksum of a file: of its text without white space around it."""
    return hashlib.sha256(data.decode().strip().encode()).hexdigest()
