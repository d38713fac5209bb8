"""Verification: are the sources at hand those that dbt parsed, so that they can be kept as a version's own?"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.definition import Origin
from airflow_dbt_promotion.core.errors import ArtifactError, SourcesError
from airflow_dbt_promotion.core.kept import Provenance
from airflow_dbt_promotion.core.orders import Kept
from airflow_dbt_promotion.core.ports import ReleaseStore
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.dbt.kept_parse import FILE as KEPT_PARSE
from airflow_dbt_promotion.dbt.kept_parse import KeptParse, read_kept_parse
from airflow_dbt_promotion.dbt.manifest import read_manifest_bytes
from airflow_dbt_promotion.dbt.project_file import FILE
from airflow_dbt_promotion.dbt.schema_file import NOTHING
from airflow_dbt_promotion.dbt.source_tree import ProjectSources, parsed_of, sources_of
from airflow_dbt_promotion.dbt.sources import package_folders
from airflow_dbt_promotion.dbt.unchanged import ParsedFile, holds_code, is_as_parsed, texts_of_parse


class _Macro(Struct):
    """Where a macro is written, and what."""

    package_name: str
    original_file_path: str
    macro_sql: str


class _Macros(Struct):
    """The part of a manifest that says where macros are."""

    macros: dict[str, _Macro]


_decoder = msgspec.json.Decoder(_Macros)


def keep_run(
    store: ReleaseStore,
    target_path: Path,
    project_dir: Path,
    release: Release,
    provenance: Provenance,
    kept_paths: Collection[str] = (),
) -> Kept:
    """Keep the sources of a run that lies in a target folder, if they are still at hand as dbt parsed them.

    Raises ReleaseError and its kin where the store cannot take them.
    """
    found = verified(target_path, project_dir, release, kept_paths)
    if isinstance(found, str):
        return Kept(release=None, why=found)
    try:
        return Kept(release=store.keep(found, provenance))
    except SourcesError as error:
        return Kept(release=None, why=str(error))


def verified(
    target_path: Path, project_dir: Path, release: Release, kept_paths: Collection[str] = ()
) -> ProjectSources | str:
    """Return the sources at hand if they are those of a release that was read from a target folder, else why not.

    Best is dbt's kept parse, which has a checksum of every file that dbt read. Without it, the release was read from
    the sources at hand, which had the checksums of the manifest, or it was not.
    """
    try:
        sources = sources_of(project_dir, kept_paths)
        problem = next(_differences(target_path, sources, project_dir, release), None)
    except (SourcesError, ArtifactError) as error:
        return str(error)
    except msgspec.MsgspecError as error:
        return f"the manifest in {target_path} cannot be read: {error}"
    except (OSError, UnicodeDecodeError) as error:
        return f"the project cannot be read: {error}"
    return sources if problem is None else problem


def _differences(target_path: Path, sources: ProjectSources, project_dir: Path, release: Release) -> Iterator[str]:
    """Yield in what the sources at hand are not what dbt parsed."""
    kept = read_kept_parse(target_path) if release.origin is Origin.PARSE else None
    parsed = parsed_of(project_dir, release.dbt_version)
    folders = {
        name: PurePosixPath(folder.relative_to(project_dir).as_posix())
        for name, folder in package_folders(project_dir).items()
    }
    if release.origin is Origin.SOURCES:
        yield from (_left_out(path) for path in parsed if path not in sources.tree.files)
        yield from _changed_macros(target_path, sources, folders)
    elif kept is None:
        yield "what dbt parsed is not at hand any more, neither its kept parse nor the same sources"
    else:
        internal = kept.internal(release.project.name)
        for package in sorted({package for package, _, _ in kept.read_files()} - folders.keys()):
            if package not in internal:
                yield f"the package {package} is not installed in {project_dir}; run dbt deps there"
        yield from _changed_files(target_path, kept, sources, folders, parsed)
        yield from _changed_projects(kept, sources, folders)


def _changed_files(
    target_path: Path,
    kept: KeptParse,
    sources: ProjectSources,
    folders: Mapping[str, PurePosixPath],
    parsed: Iterable[str],
) -> Iterator[str]:
    """Yield which files are not as dbt read them; `parsed` are those that it would read now."""
    texts = texts_of_parse((target_path / KEPT_PARSE).read_bytes())
    read = {}
    for package, inner, digest in kept.read_files():
        if package not in folders:
            continue
        path, file = _path(folders[package], inner), f"{package}://{inner}"
        read[path] = digest
        if path not in sources.tree.files:
            yield _left_out(path) if sources.holds(path) else f"{path} is not there any more"
            continue
        data, yaml = sources.read(path), kept.files[file].dfy if file in kept.files else NOTHING
        if not is_as_parsed(Path(path), data, digest, texts.get(file, ParsedFile()), yaml):
            yield f"{path} changed since dbt parsed it"
    for path in parsed:
        # What is empty is nothing to dbt.
        if path not in read and path in sources.tree.files and sources.read(path).strip():
            yield f"{path} came since dbt parsed the project"


def _changed_projects(kept: KeptParse, sources: ProjectSources, folders: Mapping[str, PurePosixPath]) -> Iterator[str]:
    """Yield which dbt_project.yml is not as it was parsed: as text, with universal newlines."""
    for package, digest in kept.project_digests().items():
        if package in folders:
            path = (folders[package] / FILE).as_posix()
            text = sources.read(path).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            if hashlib.sha256(text).hexdigest() != digest:
                yield f"{path} changed since dbt parsed it"


def _changed_macros(target_path: Path, sources: ProjectSources, folders: Mapping[str, PurePosixPath]) -> Iterator[str]:
    """Yield which files do not hold the macros that a manifest holds; of nodes the checksums were compared before."""
    found = _decoder.decode(read_manifest_bytes(target_path))
    for macro in found.macros.values():
        if macro.package_name in folders:
            path = _path(folders[macro.package_name], macro.original_file_path)
            if path not in sources.tree.files:
                yield f"{path} is not there any more"
            elif not holds_code(sources.read(path), macro.macro_sql):
                yield f"{path} changed since dbt parsed it"


def _path(folder: PurePosixPath, inner: str) -> str:
    """Return where a file of a package lies, seen from the project; source paths may be written with `..` in them."""
    return PurePosixPath(os.path.normpath(folder / inner.replace("\\", "/"))).as_posix()


def _left_out(path: str) -> str:
    return f"{path} is left out of what is kept (kept_paths, or by its name)"
