"""Kept sources in Airflow Variables: one Variable `<prefix>:release:<id>` holds all files of a release, compressed.

A file a Variable would be a thousand of them, each a call; a release a Variable is whole or not there, is found by its
id, shares nothing with another, and so is lost to nobody's cleaning. What can be made again (parses, the manifest of
what is served) lies in a folder of the project, which may be gone at any time.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import msgspec
import zstandard
from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import (
    ConfigError,
    CorruptReleaseError,
    MissingReleaseError,
    ReleaseError,
    ReleaseUnwritableError,
    SourcesError,
    StateError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, ReleaseId
from airflow_dbt_promotion.core.instants import Instant
from airflow_dbt_promotion.core.kept import Provenance, Sources, SourceTree, Waste
from airflow_dbt_promotion.core.ports import ReleaseStore
from airflow_dbt_promotion.stores import open_releases
from airflow_dbt_promotion.stores.airflow_variables import Variables, address, at_hand, keys_of, told, value_of
from airflow_dbt_promotion.stores.blobs import FileBlobs
from airflow_dbt_promotion.stores.releases import BlobReleaseStore
from airflow_dbt_promotion.stores.variable import SHADOWED, Root

FORMAT = 1
CACHE = Path("target", "promotion_cache")
"""The folder of the project for what can be made again."""

MOST_TEXT = 8 << 20
"""Characters of a Variable: encrypted a third more, which is within what MySQL takes (16 MiB)."""

MOST_BYTES = 1 << 30
"""The most that a release may be unpacked, so that a damaged one cannot ask for all memory."""

_INTRODUCTION = "# airflow-dbt-promotion keeps sources here, do not edit it; "
_AGAIN = "record a run of the same sources again, which keeps them again, or promote newer versions"
_HINT = f"restore it from a backup; or {_AGAIN}"
_DAMAGED = f"restore it from a backup; or delete that Variable, and {_AGAIN}"
_ELSEWHERE = "keep sources elsewhere: `state: airflow-variable://prefix?releases=FOLDER_OR_ADDRESS`"
_NAME = "variable/"


class _Head(Struct, frozen=True, kw_only=True):
    """The first line: where the release comes from, and when somebody last kept it."""

    format: int
    touched: Instant
    provenance: Provenance


class _Release(NamedTuple):
    """A release as it is kept: its head, and the rest of the Variable."""

    head: _Head
    packed: str


class VariableReleases:
    """The port `ReleaseStore` over Variables."""

    def __init__(self, prefix: str, cache: ReleaseStore, reach: Callable[[], Variables] = at_hand) -> None:
        """Take the prefix of the keys, the store of what can be made again, and what reaches Variables."""
        self._prefix, self._cache, self._reach = f"{prefix}:release:", cache, reach
        self._trees: dict[ReleaseId, SourceTree] = {}
        self._contents: dict[str, bytes] = {}

    # --- keeping ------------------------------------------------------------------------------------------------------

    def keep(self, sources: Sources, provenance: Provenance) -> ReleaseId:
        """Keep sources, and read them back; what is kept already is marked as in use."""
        tree = sources.tree
        kept = self._kept(tree.id)
        if kept is not None:
            kept = kept._replace(head=replace(kept.head, touched=datetime.now(tz=UTC)))
        else:
            contents = {path: self._content(sources, path, digest) for path, digest in tree.files.items()}
            head = _Head(format=FORMAT, touched=datetime.now(tz=UTC), provenance=provenance)
            kept = _Release(head, _packed(contents))
        self._put(tree.id, _text(kept))
        return tree.id

    def _kept(self, release: ReleaseId) -> _Release | None:
        """Return a release that is kept and is what it is called; None where there is none, or a damaged one."""
        try:
            found = self._found(release)
            self._unpacked(release, found)
        except (MissingReleaseError, CorruptReleaseError):
            return None
        return found

    def _content(self, sources: Sources, path: str, digest: str) -> bytes:
        """Return a file, of what was read before where it is the same. Raises SourcesError."""
        if digest in self._contents:
            return self._contents[digest]
        data = sources.read(path)
        if hashlib.sha256(data).hexdigest() != digest:
            raise SourcesError(path, "changed while it was being kept; let the project be still, and try again")
        return data

    def _put(self, release: ReleaseId, text: str) -> None:
        """Write a Variable, and insist that a whole release is read back, whoever wrote it."""
        key = self._prefix + release
        if len(text) > MOST_TEXT:
            size = f"{len(text) >> 20} MiB, and a Variable takes {MOST_TEXT >> 20}"
            raise ReleaseUnwritableError(
                address(key),
                f"the sources have {size}; leave files out with kept_paths in promotion.yml, or {_ELSEWHERE}",
            )
        refusal: Exception | None = None
        try:
            self._reach().set(key, text, "Sources of a release, kept by airflow-dbt-promotion: do not edit it.")
        except ConfigError:
            raise
        except Exception as error:  # noqa: BLE001 - an API server, a database: whatever it is, reading back tells
            refusal = error
        if self._kept(release) is None:
            problem = f"cannot be written: {told(refusal)}" if refusal else f"is not there when read back: {SHADOWED}"
            raise ReleaseUnwritableError(address(key), problem) from refusal

    # --- reading ------------------------------------------------------------------------------------------------------

    def has(self, release: ReleaseId) -> bool:
        """Say whether a release is kept."""
        return self._value(release) is not None

    def tree(self, release: ReleaseId) -> SourceTree:
        """Return the files of a release, and insist that they make its id."""
        if release not in self._trees:
            self._unpacked(release, self._found(release))
        return self._trees[release]

    def read(self, digest: str, path: str) -> bytes:
        """Return a file, of the releases that were asked for before, else of any."""
        if digest not in self._contents:
            for release in self._all():
                if release not in self._trees:
                    self._kept(release)
        if digest not in self._contents:
            raise MissingReleaseError(address(f"{self._prefix}*"), f"the kept sources of {path} are not there; {_HINT}")
        return self._contents[digest]

    def provenance(self, release: ReleaseId) -> Provenance:
        """Return where a release comes from."""
        return self._found(release).head.provenance

    def _all(self) -> Iterator[ReleaseId]:
        """Yield every release that is kept."""
        try:
            keys = keys_of(self._reach(), self._prefix)
        except StateError as error:
            raise ReleaseError(error.where, error.problem) from error
        yield from (ReleaseId(key.removeprefix(self._prefix)) for key in keys)

    def _value(self, release: ReleaseId) -> str | None:
        """Return the text of a Variable."""
        try:
            return value_of(self._reach(), self._prefix + release)
        except StateError as error:
            raise ReleaseError(error.where, error.problem) from error

    def _found(self, release: ReleaseId) -> _Release:
        """Return a release as it is kept. Raises MissingReleaseError, CorruptReleaseError."""
        where, text = address(self._prefix + release), self._value(release)
        if text is None:
            raise MissingReleaseError(where, f"release {release[:8]} is not kept there; {_HINT}")
        line, _, packed = text.partition("\n")
        try:
            head = msgspec.json.decode(line.removeprefix(_INTRODUCTION), type=_Head)
        except msgspec.MsgspecError as error:
            raise CorruptReleaseError(where, f"is damaged ({error}); {_DAMAGED}") from error
        if head.format != FORMAT:
            problem = f"has format {head.format}, and this release of the package reads {FORMAT}; upgrade it"
            raise CorruptReleaseError(where, problem)
        return _Release(head, packed)

    def _unpacked(self, release: ReleaseId, found: _Release) -> None:
        """Remember the files of a release. Raises CorruptReleaseError where they do not make its id."""
        where = address(self._prefix + release)
        try:
            packed = base64.b64decode(found.packed)
            if zstandard.frame_content_size(packed) > MOST_BYTES:
                raise CorruptReleaseError(where, f"claims to hold more than was ever kept; {_DAMAGED}")
            contents = msgspec.msgpack.decode(zstandard.ZstdDecompressor().decompress(packed), type=dict[str, bytes])
            tree = SourceTree({path: hashlib.sha256(data).hexdigest() for path, data in contents.items()})
        except (ValueError, zstandard.ZstdError, msgspec.MsgspecError, SourcesError) as error:
            raise CorruptReleaseError(where, f"is damaged ({error}); {_DAMAGED}") from error
        if tree.id != release:
            raise CorruptReleaseError(where, f"is not what was kept; {_DAMAGED}")
        self._trees[release] = tree
        self._contents.update((tree.files[path], data) for path, data in contents.items())

    # --- what can be made again ---------------------------------------------------------------------------------------

    def parse(self, release: ReleaseId, key: str) -> Mapping[str, bytes] | None:
        """Return a parse that was cached on this machine."""
        return self._cache.parse(release, key)

    def keep_parse(self, release: ReleaseId, key: str, files: Mapping[str, bytes]) -> None:
        """Cache a parse on this machine."""
        self._cache.keep_parse(release, key, files)

    def keep_manifest(self, environment: EnvironmentName, manifest: bytes) -> None:
        """Keep a manifest on this machine."""
        self._cache.keep_manifest(environment, manifest)

    def manifest(self, environment: EnvironmentName) -> str | None:
        """Return where a manifest lies that was kept on this machine."""
        return self._cache.manifest(environment)

    # --- waste --------------------------------------------------------------------------------------------------------

    def waste(self, needed: Collection[ReleaseId], before: datetime) -> Waste:
        """Return the releases that are not needed; one that is damaged tells no age, and is left alone."""
        cached = self._cache.waste(needed, before)
        used, unused = set[str](), dict[ReleaseId, _Release]()
        for release in self._all():
            kept = self._kept(release)
            if kept is not None and release not in needed and kept.head.touched < before:
                unused[release] = kept
            elif kept is not None:
                used.update(self._trees[release].files.values())
        files = {digest for release in unused for digest in self._trees[release].files.values()}
        return Waste(
            releases=tuple(sorted(unused)),
            blobs=len(files - used),
            parses=cached.parses,
            bytes=cached.bytes + sum(len(kept.packed) for kept in unused.values()),
            names=(*(_NAME + release for release in sorted(unused)), *cached.names),
            before=before,
        )

    def remove(self, waste: Waste) -> None:
        """Delete what was found, unless somebody has kept it again since.

        Raises ReleaseUnwritableError where that cannot be told, which is so in a task.
        """
        variables = self._reach()
        for release in (ReleaseId(name.removeprefix(_NAME)) for name in waste.names if name.startswith(_NAME)):
            kept = self._kept(release)
            if kept is None or (waste.before is not None and kept.head.touched >= waste.before):
                continue
            key = self._prefix + release
            try:
                variables.delete(key, _text(kept))
            except Exception as error:
                raise ReleaseUnwritableError(address(key), f"cannot be deleted: {told(error)}") from error
        self._cache.remove(waste)


def open_in_variables(root: str, base: Path) -> ReleaseStore:
    """Return where sources are kept beside state in Variables: in Variables, or where `?releases=` says."""
    asked = Root.of(root)
    if asked.releases is not None:
        return open_releases(asked.releases, base)
    return VariableReleases(asked.prefix, BlobReleaseStore(FileBlobs(base / CACHE)))


def _packed(contents: Mapping[str, bytes]) -> str:
    """Return the files of a release as text."""
    packed = zstandard.ZstdCompressor(level=12, write_checksum=True).compress(msgspec.msgpack.encode(dict(contents)))
    return base64.b64encode(packed).decode()


def _text(kept: _Release) -> str:
    """Return what a Variable holds of a release."""
    return f"{_INTRODUCTION}{msgspec.json.encode(kept.head).decode()}\n{kept.packed}"
