"""The sources at hand: the files that dbt reads of a project and of its installed packages.

These are a few files beside dbt_project.yml, and what dbt parses below each source folder. Never kept: profiles, `.env`
files, hidden files, target, logs, and folders of other tools.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from airflow_dbt_promotion.core.errors import ArtifactError, SourcesError
from airflow_dbt_promotion.core.kept import SourceTree
from airflow_dbt_promotion.dbt.project_file import FILE, ProjectFile, read_project, reads_functions

BESIDE = (
    FILE,
    "packages.yml",
    "dependencies.yml",
    "package-lock.yml",
    "selectors.yml",
    "vars.yml",
    "catalogs.yml",
    ".dbtignore",
)
"""What dbt reads in a project's own folder."""

_SCHEMAS = frozenset({".yml", ".yaml"})
_PARSED = {
    "model-paths": frozenset({".sql", ".py", *_SCHEMAS}),
    "macro-paths": frozenset({".sql", *_SCHEMAS}),
    "seed-paths": frozenset({".csv", *_SCHEMAS}),
    "snapshot-paths": frozenset({".sql", *_SCHEMAS}),
    "test-paths": frozenset({".sql", *_SCHEMAS}),
    "analysis-paths": frozenset({".sql", *_SCHEMAS}),
    "function-paths": frozenset({".sql", ".py", *_SCHEMAS}),
    "docs-paths": frozenset({".md"}),
}
"""What dbt parses below each kind of folder; docs in all of them where they have no folder of their own."""

_IGNORE = ".dbtignore"
_NEVER_FILES = frozenset({"profiles.yml", "profiles.yaml"})
_NEVER_FOLDERS = frozenset({"target", "logs", "__pycache__", "node_modules", "venv"})
"""Beside dbt_project.yml, where a source folder is the project's own."""

_HIDDEN = (".", "#", "~")


class ProjectSources:
    """The files of a project at hand, as they were when they were listed; a `core.kept.Sources`."""

    def __init__(self, root: Path, tree: SourceTree) -> None:
        """Take the project's folder and its files."""
        self._root, self.tree = root, tree

    def holds(self, path: str) -> bool:
        """Say whether a file is in the project's folder, listed or not."""
        return (self._root / path).is_file()

    def read(self, path: str) -> bytes:
        """Return the bytes of a file. Raises SourcesError where it is gone, or no longer what it was."""
        data = _bytes(self._root / path)
        if hashlib.sha256(data).hexdigest() != self.tree.files.get(path):
            raise SourcesError(
                str(self._root / path), "changed since it was listed; let the project be still, try again"
            )
        return data


def sources_of(project_dir: Path, kept_paths: Collection[str] = ()) -> ProjectSources:
    """Return the sources of the project in a folder.

    `kept_paths` narrows what is kept: patterns over the path seen from the project, in which `*` stands for anything
    but `/`, `**` for anything, `?` for one character; a pattern that names a folder takes all in it. dbt_project.yml
    and .dbtignore, of the project and of its packages, are always kept: they say what the rest is. Raises SourcesError
    for a folder that is no project, source folders outside of it, or a name that is no text.
    """
    wanted = [_pattern(pattern) for pattern in kept_paths]
    files: dict[str, str] = {}
    for at, project in _packages(project_dir):
        for _, path in _own(project_dir / at, project):
            name = (at / path).as_posix()
            kept = not wanted or path.name in {FILE, _IGNORE} or any(pattern.fullmatch(name) for pattern in wanted)
            if kept and name not in files:
                _check_name(project_dir, name)
                files[name] = hashlib.sha256(_bytes(project_dir / at / path)).hexdigest()
    return ProjectSources(project_dir, SourceTree(files))


def _check_name(project_dir: Path, name: str) -> None:
    """Raise SourcesError for a name that is not UTF-8: the digest of a tree is one of text."""
    try:
        name.encode()
    except UnicodeEncodeError:
        place = str(project_dir / name).encode(errors="surrogateescape").decode(errors="backslashreplace")
        raise SourcesError(place, "has a name that is not UTF-8; rename it") from None


def parsed_of(project_dir: Path, dbt_version: str) -> Iterator[str]:
    """Yield the files that a dbt of this version would parse, seen from the project, some of them twice.

    A package that has a .dbtignore is left out, for what that hides is not told here. Raises SourcesError.
    """
    for at, project in _packages(project_dir):
        if (project_dir / at / _IGNORE).is_file():
            continue
        for kind, path in _own(project_dir / at, project):
            if kind and (kind != "function-paths" or reads_functions(dbt_version)):
                yield (at / path).as_posix()


def _is_parsed(kind: str, path: PurePosixPath, project: ProjectFile) -> bool:
    """Say whether dbt parses a file below a folder of some kind; that of a unit test's rows lies among the tests."""
    suffix = path.suffix.lower()
    if path.name in _NEVER_FILES:
        return False
    if suffix == ".md":
        return kind == "docs-paths" or "docs-paths" not in project.source_paths
    if suffix == ".csv" and kind == "test-paths":
        return any(path.is_relative_to(PurePosixPath(top) / "fixtures") for top in project.source_paths[kind])
    return suffix in _PARSED[kind]


def _packages(project_dir: Path) -> Iterator[tuple[PurePosixPath, ProjectFile]]:
    """Yield the project and each installed package: its folder seen from the project, and its file."""
    project = _project(project_dir)
    yield PurePosixPath(), project
    installed = _inside(project_dir, project.packages_path, "packages-install-path")
    folder = project_dir / installed
    for package in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (package / FILE).is_file():
            yield PurePosixPath(Path(installed).as_posix()) / package.name, _project(package)


def _own(folder: Path, project: ProjectFile) -> Iterator[tuple[str, PurePosixPath]]:
    """Yield the files of one project, without those of its packages, each with the kind of folder that it lies in.

    That is the key in dbt_project.yml, empty for what lies beside that. Links to folders are not followed, as dbt does
    not follow them either.
    """
    yield from (("", PurePosixPath(name)) for name in BESIDE if (folder / name).is_file())
    others = _NEVER_FOLDERS | {os.path.normpath(project.packages_path)}
    for kind, written in ((kind, path) for kind, paths in project.source_paths.items() for path in paths):
        top = _inside(folder, written, "a source path")
        for above, folders, files in os.walk(folder / top):
            here = os.path.relpath(above, folder)
            folders.sort()
            if here == os.curdir:
                folders[:] = [name for name in folders if name not in others and not name.startswith(_HIDDEN)]
            place = PurePosixPath(Path(here).as_posix())
            paths = (place / name for name in sorted(files) if not name.startswith(_HIDDEN))
            yield from ((kind, path) for path in paths if _is_parsed(kind, path, project))


def _project(folder: Path) -> ProjectFile:
    """Return a project's file. Raises SourcesError."""
    path = folder / FILE
    try:
        return read_project(folder, path.read_text(encoding="utf-8"), vars_file=False)
    except (OSError, UnicodeDecodeError, ArtifactError) as error:
        raise SourcesError(str(path), f"cannot be read as a dbt project: {error}") from error


def _inside(folder: Path, written: str, what: str) -> str:
    """Return a path of a project, in plain form. Raises SourcesError where it leads out or is not plain."""
    if "{{" in written or "{%" in written:
        raise SourcesError(
            str(folder / FILE), f"{what} holds Jinja ({written}); its sources cannot be kept. Write it out"
        )
    plain = os.path.normpath(written)
    if os.path.isabs(plain) or plain == ".." or plain.startswith(f"..{os.sep}"):  # noqa: PTH117 - text, not a place
        problem = (
            f"{what} lies outside of the project ({written}); its sources cannot be kept. Move it into the project"
        )
        raise SourcesError(str(folder / FILE), problem)
    return plain


def _pattern(written: str) -> re.Pattern[str]:
    """Return a pattern of kept_paths as a regular expression over a whole path."""
    parts = re.split(r"(\*\*/?|\*|\?)", written.strip("/"))
    meaning = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return re.compile("".join(meaning.get(part, re.escape(part)) for part in parts) + "(?:/.*)?")


def _bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises SourcesError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourcesError(str(path), f"cannot be read: {error.strerror}") from error
