"""The sources at hand: the files that dbt reads of a project and of its installed packages.

These are a few files beside dbt_project.yml, and below each source folder whatever ends as dbt's own sources do. Never
kept: profiles, `.env` files, hidden files, target, logs, and folders of other tools.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from airflow_dbt_promotion.core.errors import ArtifactError, SourcesError
from airflow_dbt_promotion.core.kept import SourceTree
from airflow_dbt_promotion.dbt.project_file import FILE, ProjectFile, read_project

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

SUFFIXES = frozenset({".sql", ".py", ".yml", ".yaml", ".csv", ".md"})
"""How the names of dbt's sources end."""

_NEVER_FILES = frozenset({"profiles.yml", "profiles.yaml"})
_NEVER_FOLDERS = frozenset({"target", "logs", "__pycache__", "node_modules", "venv"})
"""Beside dbt_project.yml, where a source folder is the project's own."""

_HIDDEN = (".", "#", "~")


class ProjectSources:
    """The files of a project at hand, as they were when they were listed; a `core.kept.Sources`."""

    def __init__(self, root: Path, tree: SourceTree) -> None:
        """Take the project's folder and its files."""
        self._root, self.tree = root, tree

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
    but `/`, `**` for anything, `?` for one character; a pattern that names a folder takes all in it. dbt_project.yml of
    the project and of its packages is always kept. Raises SourcesError for a folder that is no project, or source
    folders outside of it.
    """
    wanted = [_pattern(pattern) for pattern in kept_paths]
    files = {}
    for path in _paths(project_dir):
        name = path.as_posix()
        if not wanted or path.name == FILE or any(pattern.fullmatch(name) for pattern in wanted):
            files[name] = hashlib.sha256(_bytes(project_dir / path)).hexdigest()
    return ProjectSources(project_dir, SourceTree(files))


def _paths(project_dir: Path) -> Iterator[PurePosixPath]:
    """Yield the files of a project and of its packages, each once, seen from the project."""
    project = _project(project_dir)
    seen: set[PurePosixPath] = set()
    for path in _own(project_dir, project):
        if path not in seen:
            seen.add(path)
            yield path
    installed = _inside(project_dir, project.packages_path, "packages-install-path")
    folder = project_dir / installed
    for package in sorted(folder.iterdir()) if folder.is_dir() else ():
        if (package / FILE).is_file():
            for path in _own(package, _project(package)):
                inner = PurePosixPath(installed) / package.name / path
                if inner not in seen:
                    seen.add(inner)
                    yield inner


def _own(folder: Path, project: ProjectFile) -> Iterator[PurePosixPath]:
    """Yield the files of one project, without those of its packages."""
    yield from (PurePosixPath(name) for name in BESIDE if (folder / name).is_file())
    others = _NEVER_FOLDERS | {os.path.normpath(project.packages_path)}
    for written in project.source_paths:
        top = _inside(folder, written, "a source path")
        for above, folders, files in os.walk(folder / top):
            here = os.path.relpath(above, folder)
            folders.sort()
            if here == os.curdir:
                folders[:] = [name for name in folders if name not in others and not name.startswith(_HIDDEN)]
            for name in sorted(files):
                if _is_source(name):
                    yield PurePosixPath(Path(here).as_posix()) / name


def _is_source(name: str) -> bool:
    """Say whether a file is one of those that dbt reads below a source folder."""
    return PurePosixPath(name).suffix.lower() in SUFFIXES and not name.startswith(_HIDDEN) and name not in _NEVER_FILES


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
