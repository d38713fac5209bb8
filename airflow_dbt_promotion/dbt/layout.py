"""How a kept release lies: which folder is which package's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import PurePosixPath
from typing import Any

from airflow_dbt_promotion.core.errors import ArtifactError, CorruptReleaseError
from airflow_dbt_promotion.core.kept import SourceTree
from airflow_dbt_promotion.dbt.project_file import FILE, ProjectFile, load_plain_yaml

ROOT = ""
"""The folder of the project itself."""


class Layout:
    """The files of one release, with what its project files say of packages."""

    def __init__(self, tree: SourceTree, read: Callable[[str, str], bytes]) -> None:
        """Take the tree, and what returns a file by digest and path."""
        self.tree, self._read = tree, read
        self._documents: dict[str, dict[str, Any]] = {}

    def read(self, path: str) -> bytes:
        """Return a file of the release. Raises ReleaseError and its kin."""
        return self._read(self.tree.files[path], path)

    @cached_property
    def root(self) -> ProjectFile:
        """The project's own dbt_project.yml."""
        return ProjectFile(self.document(FILE))

    @cached_property
    def folders(self) -> Mapping[str, str]:
        """The folder of the project and of each package, by the package's name.

        A local package lies in the project twice; what dbt reads is the one that is installed.
        """
        installed = str(PurePosixPath(self.root.packages_path))
        found = {self.root.name: ROOT}
        paths = [path for path in self.tree.files if PurePosixPath(path).name == FILE and path != FILE]
        for path in sorted(paths, key=lambda path: (str(PurePosixPath(path).parent.parent) != installed, path)):
            found.setdefault(str(self.document(path).get("name", "")), str(PurePosixPath(path).parent))
        return found

    def file_of(self, package: str, original_file_path: str) -> str | None:
        """Return the path of a package's file in the tree, None where it is not kept."""
        if package not in self.folders:
            return None
        path = str(PurePosixPath(self.folders[package]) / original_file_path.replace("\\", "/"))
        return path if path in self.tree.files else None

    def document(self, path: str) -> dict[str, Any]:
        """Return the mapping in a YAML file with values as dbt reads them, empty where there is no such file."""
        if path not in self.tree.files:
            return {}
        if path not in self._documents:
            try:
                self._documents[path] = load_plain_yaml(path, self.read(path))
            except ArtifactError as error:
                raise CorruptReleaseError(path, error.problem) from error
        return self._documents[path]
