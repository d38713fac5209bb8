"""Kept sources: the release store over any kind of blobs.

Below the root of the store lie

    trees/<release id>.json             the top folder of a release, and where the release comes from
    folders/ab/cdef....zst              one folder of some release: the SHA-256 of each file and folder in it
    files/ab/cdef....zst                one file of some release
    parses/<release id>/<key>.zst       a cached parse, which may be gone the next time

Files and folders are named by the SHA-256 of what they hold and compressed with zstandard, so that releases that share
them store them once; an edit of one file costs that file, the folders above it and a tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import PurePosixPath

import msgspec
import zstandard
from msgspec import Struct

from airflow_dbt_promotion.core.errors import (
    CorruptReleaseError,
    MissingReleaseError,
    ReleaseError,
    ReleaseUnwritableError,
    SourcesError,
)
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.kept import Provenance, Sources, SourceTree, Waste
from airflow_dbt_promotion.stores.blobs import Blobs, Listed, is_unfinished

FORMAT = 1
MOST_BYTES = 1 << 30
"""The largest file that is kept, so that a damaged one cannot ask for all memory."""

IDLE = timedelta(days=30)
"""How long a cached parse is kept that nobody reads."""

_BATCH = 400
_HINT = "restore it from a backup; or build the models anew in the source, record that, and promote them"


class _Folder(Struct, frozen=True):
    """One folder: its files and folders by name, each with the SHA-256 of what it holds."""

    files: dict[str, str] = {}
    folders: dict[str, str] = {}


class _Tree(Struct, frozen=True, kw_only=True):
    """The head of one release."""

    format: int
    folder: str
    provenance: Provenance


class BlobReleaseStore:
    """The port `ReleaseStore` over blobs."""

    def __init__(self, blobs: Blobs) -> None:
        """Take the place where blobs are kept."""
        self._blobs = blobs

    # --- keeping ------------------------------------------------------------------------------------------------------

    def keep(self, sources: Sources, provenance: Provenance) -> ReleaseId:
        """Keep sources: files, then folders, then the tree; see `ports.ReleaseStore`."""
        tree = sources.tree
        if self._blobs.touch(_tree_name(tree.id)):
            return tree.id
        self._write((_file_name(digest), _read(sources, path, digest)) for path, digest in _by_content(tree))
        top, folders = _folders(tree)
        self._write((_folder_name(digest), data) for digest, data in folders.items())
        head = _Tree(format=FORMAT, folder=top, provenance=provenance)
        self._blobs.write({_tree_name(tree.id): msgspec.json.format(msgspec.json.encode(head), indent=1) + b"\n"})
        return tree.id

    def _write(self, blobs: Iterable[tuple[str, bytes | Iterator[bytes]]]) -> None:
        """Write what is not there yet, in batches; what is there is marked as in use."""
        batch: dict[str, bytes] = {}
        for name, data in blobs:
            if self._blobs.touch(name):
                continue
            batch[name] = _packed(data if isinstance(data, bytes) else next(data))
            if len(batch) >= _BATCH:
                self._blobs.write(batch)
                batch = {}
        if batch:
            self._blobs.write(batch)

    # --- reading ------------------------------------------------------------------------------------------------------

    def has(self, release: ReleaseId) -> bool:
        """Say whether a release is kept."""
        return self._blobs.read(_tree_name(release)) is not None

    def tree(self, release: ReleaseId) -> SourceTree:
        """Return the files of a release, and insist that they make its id."""
        tree = SourceTree(dict(self._files(self._head(release).folder, "")))
        if tree.id != release:
            raise CorruptReleaseError(self._blobs.where(_tree_name(release)), f"is not what was kept; {_HINT}")
        return tree

    def read(self, digest: str, path: str) -> bytes:
        """Return a file, and insist that it is what was kept."""
        return self._content(_file_name(digest), digest, path)

    def provenance(self, release: ReleaseId) -> Provenance:
        """Return where a release comes from."""
        return self._head(release).provenance

    def _head(self, release: ReleaseId) -> _Tree:
        name = _tree_name(release)
        data = self._blobs.read(name)
        if data is None:
            raise MissingReleaseError(self._blobs.where(name), f"release {release[:8]} is not kept there; {_HINT}")
        try:
            head = msgspec.json.decode(data, type=_Tree)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CorruptReleaseError(self._blobs.where(name), f"is damaged ({error}); {_HINT}") from error
        if head.format != FORMAT:
            problem = f"has format {head.format}, and this release of the package reads {FORMAT}; upgrade it"
            raise CorruptReleaseError(self._blobs.where(name), problem)
        return head

    def _files(self, digest: str, above: str) -> Iterator[tuple[str, str]]:
        """Yield the files of a folder and of all below it."""
        folder = self._folder(digest, above or ".")
        yield from ((f"{above}{name}", content) for name, content in folder.files.items())
        for name, inner in folder.folders.items():
            yield from self._files(inner, f"{above}{name}/")

    def _folder(self, digest: str, path: str) -> _Folder:
        name = _folder_name(digest)
        try:
            return msgspec.json.decode(self._content(name, digest, path), type=_Folder)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CorruptReleaseError(self._blobs.where(name), f"is no folder ({error}); {_HINT}") from error

    def _content(self, name: str, digest: str, path: str) -> bytes:
        """Return what a blob holds, and insist that it is what it is called."""
        data = self._blobs.read(name)
        if data is None:
            raise MissingReleaseError(self._blobs.where(name), f"the kept sources of {path} are not there; {_HINT}")
        try:
            content = _unpacked(data)
        except zstandard.ZstdError as error:
            problem = f"the kept sources of {path} are damaged ({error}); {_HINT}"
            raise CorruptReleaseError(self._blobs.where(name), problem) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise CorruptReleaseError(self._blobs.where(name), f"the kept sources of {path} were changed; {_HINT}")
        return content

    # --- cached parses ------------------------------------------------------------------------------------------------

    def parse(self, release: ReleaseId, key: str) -> Mapping[str, bytes] | None:
        """Return a cached parse; one that is damaged is none."""
        name = _parse_name(release, key)
        try:
            data = self._blobs.read(name)
            if data is None:
                return None
            found = msgspec.msgpack.decode(_unpacked(data), type=dict[str, bytes])
        except (ReleaseError, zstandard.ZstdError, msgspec.MsgspecError):
            return None
        self._blobs.touch(name)
        return found

    def keep_parse(self, release: ReleaseId, key: str, files: Mapping[str, bytes]) -> None:
        """Cache a parse, if it can be written."""
        try:
            self._blobs.write({_parse_name(release, key): _packed(msgspec.msgpack.encode(dict(files)))})
        except ReleaseUnwritableError:
            return

    # --- waste --------------------------------------------------------------------------------------------------------

    def waste(self, needed: Collection[ReleaseId], before: datetime) -> Waste:
        """Return what no needed release refers to; raises CorruptReleaseError where it cannot be told."""
        used = {name for release in needed for name in self._used(release)}
        old = [one for one in self._everything() if one.touched < before.timestamp()]
        idle = (before - IDLE).timestamp()
        unused = [one for one in old if _is_waste(one, used, needed, idle)]
        blobs = sum(one.name.startswith("files/") for one in unused)
        releases = (ReleaseId(one.name[6:-5]) for one in unused if one.name.startswith("trees/"))
        return Waste(
            releases=tuple(sorted(release for release in releases if not is_unfinished(f"{release}.json"))),
            blobs=blobs,
            parses=sum(one.name.startswith("parses/") for one in unused),
            bytes=sum(one.size for one in unused),
            names=tuple(sorted((one.name for one in unused), key=_trees_first)),
            before=before,
        )

    def remove(self, waste: Waste) -> None:
        """Delete what was found, trees first; what somebody has touched since stays, and with a tree all that follows.

        So nobody who keeps a release meanwhile loses a file of it.
        """
        touched = {one.name: one.touched for one in self._everything()}
        before = waste.before.timestamp() if waste.before is not None else float("inf")
        for name in sorted(waste.names, key=_trees_first):
            if name not in touched:
                continue
            if touched[name] >= before:
                if name.startswith("trees/"):
                    return
                continue
            self._blobs.delete(name)

    def _everything(self) -> Iterator[Listed]:
        for folder in ("trees", "folders", "files", "parses"):
            yield from self._blobs.names(folder)

    def _used(self, release: ReleaseId) -> Iterator[str]:
        """Yield the names of all that a release is made of; nothing where it is not kept."""
        try:
            head = self._head(release)
        except MissingReleaseError:
            return
        yield _tree_name(release)
        yield from self._used_below(head.folder)

    def _used_below(self, digest: str) -> Iterator[str]:
        yield _folder_name(digest)
        folder = self._folder(digest, digest)
        yield from (_file_name(content) for content in folder.files.values())
        for inner in folder.folders.values():
            yield from self._used_below(inner)


def _is_waste(one: Listed, used: Collection[str], needed: Collection[ReleaseId], idle: float) -> bool:
    """Say whether nothing refers to an old blob."""
    if is_unfinished(one.name):
        return True
    if one.name.startswith("parses/"):
        return one.name.split("/")[1] not in needed or one.touched < idle
    return one.name not in used


def _trees_first(name: str) -> tuple[bool, str]:
    return not name.startswith("trees/"), name


def _tree_name(release: ReleaseId) -> str:
    return f"trees/{release}.json"


def _folder_name(digest: str) -> str:
    return f"folders/{digest[:2]}/{digest[2:]}.zst"


def _file_name(digest: str) -> str:
    return f"files/{digest[:2]}/{digest[2:]}.zst"


def _parse_name(release: ReleaseId, key: str) -> str:
    return f"parses/{release}/{key}.zst"


def _by_content(tree: SourceTree) -> Iterator[tuple[str, str]]:
    """Yield each content of a tree once, with a path that has it."""
    for digest, path in {digest: path for path, digest in tree.files.items()}.items():
        yield path, digest


def _read(sources: Sources, path: str, digest: str) -> Iterator[bytes]:
    """Yield the bytes of a file once they are asked for. Raises SourcesError where they are not what the tree says."""
    data = sources.read(path)
    if len(data) > MOST_BYTES:
        raise SourcesError(
            path, f"is larger than {MOST_BYTES >> 20} MiB; leave it out with kept_paths in promotion.yml"
        )
    if hashlib.sha256(data).hexdigest() != digest:
        raise SourcesError(path, "changed while it was being kept; let the project be still, and try again")
    yield data


def _folders(tree: SourceTree) -> tuple[str, dict[str, bytes]]:
    """Return the digest of the top folder, and every folder of a tree by digest."""
    top = _Folder({}, {})
    inner: dict[str, _Folder] = {"": top}
    for path in sorted(tree.files):
        parts = PurePosixPath(path).parts
        for depth in range(1, len(parts)):
            inner.setdefault("/".join(parts[:depth]), _Folder({}, {}))
        inner["/".join(parts[:-1])].files[parts[-1]] = tree.files[path]
    packed: dict[str, bytes] = {}
    digest = ""
    for path in sorted(inner, key=lambda path: (-path.count("/") - bool(path), path)):
        data = msgspec.json.encode(inner[path], order="sorted")
        digest = hashlib.sha256(data).hexdigest()
        packed[digest] = data
        if path:
            above, _, name = path.rpartition("/")
            inner[above].folders[name] = digest
    return digest, packed


def _packed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=9, write_checksum=True).compress(data)


def _unpacked(data: bytes) -> bytes:
    """Return what was compressed, up to the most that is kept. Raises ZstdError."""
    with zstandard.ZstdDecompressor().stream_reader(data) as stream:
        found = stream.read(MOST_BYTES + 1)
    if len(found) > MOST_BYTES:
        raise zstandard.ZstdError("it holds more than was ever kept")
    return found
