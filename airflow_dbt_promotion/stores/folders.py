"""Trees as folders: objects that are named by their content, so that releases share those that are the same."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.kept import SourceTree

_MOST_NAMES = 100
"""A folder of more names is kept in parts."""


class Folder(Struct, frozen=True, omit_defaults=True):
    """One folder: its files and folders by name, each with the SHA-256 of what it holds.

    A folder of many names is the sum of `parts`, each again such a folder, so that an edit rewrites one part.
    """

    files: dict[str, str] = {}
    folders: dict[str, str] = {}
    parts: tuple[str, ...] = ()


def folders_of(tree: SourceTree) -> tuple[str, dict[str, bytes]]:
    """Return the digest of the top folder, and every folder of a tree by digest."""
    top = Folder({}, {})
    inner: dict[str, Folder] = {"": top}
    for path in sorted(tree.files):
        parts = PurePosixPath(path).parts
        for depth in range(1, len(parts)):
            inner.setdefault("/".join(parts[:depth]), Folder({}, {}))
        inner["/".join(parts[:-1])].files[parts[-1]] = tree.files[path]
    packed: dict[str, bytes] = {}
    digest = ""
    for path in sorted(inner, key=lambda path: (-path.count("/") - bool(path), path)):
        digest = _pack(inner[path], packed, 0)
        if path:
            above, _, name = path.rpartition("/")
            inner[above].folders[name] = digest
    return digest, packed


def _pack(folder: Folder, packed: dict[str, bytes], depth: int) -> str:
    """Add a folder to those that are packed, in parts where it is large, and return its digest.

    A name's own digest says in which part it is, so that names that come or go move no other.
    """
    if len(folder.files) + len(folder.folders) > _MOST_NAMES:
        parts: dict[str, Folder] = {}
        for name, content in folder.files.items():
            parts.setdefault(_digit(name, depth), Folder({}, {})).files[name] = content
        for name, content in folder.folders.items():
            parts.setdefault(_digit(name, depth), Folder({}, {})).folders[name] = content
        folder = Folder(parts=tuple(_pack(parts[digit], packed, depth + 1) for digit in sorted(parts)))
    data = msgspec.json.encode(folder, order="sorted")
    digest = hashlib.sha256(data).hexdigest()
    packed[digest] = data
    return digest


def _digit(name: str, depth: int) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[depth]
