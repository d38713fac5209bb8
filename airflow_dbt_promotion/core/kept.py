"""Kept sources: the files of a project that dbt reads, as they were when a version was built of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import PurePosixPath
from typing import Protocol

from msgspec import Struct

from airflow_dbt_promotion.core.errors import SourcesError
from airflow_dbt_promotion.core.identity import ReleaseId, digest_of

TREE_FORMAT = 1


class SourceTree(Struct, frozen=True):
    """The files of one project: path, seen from the project's folder with `/`, to the SHA-256 of its bytes (64 hex).

    Installed packages lie in it as they lie in the project. Raises SourcesError for a path that leads out of the
    project.
    """

    files: Mapping[str, str]

    def __post_init__(self) -> None:
        """Hold the invariant: every path stays inside."""
        for path in self.files:
            parts = PurePosixPath(path).parts
            if not parts or path != "/".join(parts) or parts[0] == "/" or ".." in parts or "\\" in path:
                raise SourcesError(path, "is no path inside a project")

    @property
    def id(self) -> ReleaseId:
        """The digest of the whole."""
        return ReleaseId(digest_of([TREE_FORMAT, sorted(self.files.items())]))


class Sources(Protocol):
    """Files that are at hand to be kept."""

    @property
    def tree(self) -> SourceTree:
        """The files as they were when they were listed."""

    def read(self, path: str) -> bytes:
        """Return the bytes of a file of the tree.

        Raises SourcesError where it cannot be read, or is no longer what the tree says.
        """


class Provenance(Struct, frozen=True, kw_only=True):
    """Where kept sources come from, for people; it identifies nothing. `commit` is git's, where there is one."""

    kept_at: datetime
    dbt_version: str = ""
    adapter_type: str | None = None
    commit: str | None = None


class Waste(Struct, frozen=True, kw_only=True):
    """What nothing refers to any more.

    `releases` are kept sources by id, `blobs` how many files of theirs no other release has, `parses` how many cached
    parses; `bytes` is what all of it takes. `names` are the addresses below the root of the store, trees first.
    `before` is the instant since which nobody may have touched it.
    """

    releases: tuple[ReleaseId, ...] = ()
    blobs: int = 0
    parses: int = 0
    bytes: int = 0
    names: tuple[str, ...] = ()
    before: datetime | None = None
