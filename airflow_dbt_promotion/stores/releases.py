"""Kept sources: the release store over any kind of blobs.

Below the root of the store lie

    trees/<release id>.json             the top folder of a release, and where the release comes from
    folders/ab/cdef....zst              one folder of some release, or a part of a large one: the SHA-256 of each file
                                        and folder in it
    files/ab/cdef....zst                one file of some release
    parses/<release id>/<key>.zst       a cached parse, which may be gone the next time
    served/<environment>/manifest.json  what an environment runs, as dbt wrote it down last; a cache, too

Files and folders are named by the SHA-256 of what they hold and compressed with zstandard, so that releases that share
them store them once; an edit of one file costs that file, the folders above it and a tree.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from itertools import takewhile

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
from airflow_dbt_promotion.core.identity import EnvironmentName, ReleaseId, environment_name
from airflow_dbt_promotion.core.kept import Provenance, Sources, SourceTree, Waste
from airflow_dbt_promotion.failpoints import Failpoint, reached
from airflow_dbt_promotion.stores.blobs import Blobs, Listed, is_unfinished
from airflow_dbt_promotion.stores.folders import Folder, folders_of

FORMAT = 1
MOST_BYTES = 1 << 30
"""The largest file that is kept, so that a damaged one cannot ask for all memory."""

IDLE = timedelta(days=30)
"""How long a cached parse is kept that nobody reads."""

_CHUNK = 1 << 20
_AGAIN = "record a run of the same sources again, which keeps them again, or promote newer versions"
_HINT = f"restore it from a backup; or {_AGAIN}"
_DAMAGED = f"restore it from a backup; or delete that file, and {_AGAIN}"

_OURS = re.compile(
    r"trees/[0-9a-f]+\.json|(?:folders|files)/[0-9a-f]{2}/[0-9a-f]{62}\.zst|parses/[0-9a-f]+/[^/]+\.zst"
    r"|(?:trees|folders|files|parses)/(?:[0-9a-f]+/)?\.[^/]+\.[0-9a-f]+\.tmp"
)
"""The names of what this store writes; anything else is of others, and is left alone."""


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
        """Keep sources: files, then folders, then the tree; see `ports.ReleaseStore`.

        Of what is kept already, what was lost meanwhile is written again.
        """
        tree = sources.tree
        name = _tree_name(tree.id)
        top, folders = folders_of(tree)
        contents = map(_file_name, set(tree.files.values()))
        there = self._blobs.hold({*contents, *map(_folder_name, folders), name})
        self._blobs.write(_new(_files(sources, tree), folders, there))
        reached(Failpoint.SOURCES_WRITTEN)
        if not self._blobs.touch(name):
            head = _Tree(format=FORMAT, folder=top, provenance=provenance)
            self._blobs.write([(name, msgspec.json.format(msgspec.json.encode(head), indent=1) + b"\n")])
        return tree.id

    # --- reading ------------------------------------------------------------------------------------------------------

    def has(self, release: ReleaseId) -> bool:
        """Say whether a release is kept."""
        return self._blobs.read(_tree_name(release)) is not None

    def tree(self, release: ReleaseId) -> SourceTree:
        """Return the files of a release, and insist that they make its id."""
        tree = SourceTree(dict(self._files(self._head(release).folder, "")))
        if tree.id != release:
            raise CorruptReleaseError(self._blobs.where(_tree_name(release)), f"is not what was kept; {_DAMAGED}")
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
            raise CorruptReleaseError(self._blobs.where(name), f"is damaged ({error}); {_DAMAGED}") from error
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
        for part in folder.parts:
            yield from self._files(part, above)

    def _folder(self, digest: str, path: str) -> Folder:
        name = _folder_name(digest)
        try:
            return msgspec.json.decode(self._content(name, digest, path), type=Folder)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise CorruptReleaseError(self._blobs.where(name), f"is no folder ({error}); {_DAMAGED}") from error

    def _content(self, name: str, digest: str, path: str) -> bytes:
        """Return what a blob holds, and insist that it is what it is called."""
        data = self._blobs.read(name)
        if data is None:
            raise MissingReleaseError(self._blobs.where(name), f"the kept sources of {path} are not there; {_HINT}")
        try:
            content = _unpacked(data)
        except zstandard.ZstdError as error:
            problem = f"the kept sources of {path} are damaged ({error}); {_DAMAGED}"
            raise CorruptReleaseError(self._blobs.where(name), problem) from error
        if hashlib.sha256(content).hexdigest() != digest:
            raise CorruptReleaseError(self._blobs.where(name), f"the kept sources of {path} were changed; {_DAMAGED}")
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
        with suppress(ReleaseError):
            self._blobs.touch(name)
        return found

    def keep_parse(self, release: ReleaseId, key: str, files: Mapping[str, bytes]) -> None:
        """Cache a parse, if it can be written."""
        try:
            packed = _compressor().compress(msgspec.msgpack.encode(dict(files)))
            self._blobs.write([(_parse_name(release, key), packed)])
        except ReleaseUnwritableError:
            return

    def keep_manifest(self, environment: EnvironmentName, manifest: bytes) -> None:
        """Keep a manifest as it is, so that other tools can read it, if it can be written."""
        try:
            self._blobs.write([(_manifest_name(environment), manifest)])
        except ReleaseUnwritableError:
            return

    def manifest(self, environment: EnvironmentName) -> str | None:
        """Return where a manifest lies, None where there is none, or where it is no file."""
        path = self._blobs.path(_manifest_name(environment))
        return None if path is None else str(path)

    # --- waste --------------------------------------------------------------------------------------------------------

    def waste(self, needed: Collection[ReleaseId], before: datetime) -> Waste:
        """Return what neither a needed release nor one that was touched lately refers to.

        Raises CorruptReleaseError or MissingReleaseError where it cannot be told what such a release refers to.
        """
        there = list(self._everything())
        young = (_release_of(one) for one in there if one.touched >= before.timestamp())
        used: set[str] = set()
        for release in {*needed, *(one for one in young if one is not None)}:
            self._use(release, used)
        old = [one for one in there if one.touched < before.timestamp()]
        idle = (before - IDLE).timestamp()
        unused = [one for one in old if _is_waste(one, used, needed, idle)]
        return Waste(
            releases=tuple(sorted(found for one in unused if (found := _release_of(one)) is not None)),
            blobs=sum(one.name.startswith("files/") for one in unused),
            parses=sum(one.name.startswith("parses/") for one in unused),
            bytes=sum(one.size for one in unused),
            names=tuple(sorted((one.name for one in unused), key=_trees_first)),
            before=before,
        )

    def remove(self, waste: Waste) -> None:
        """Delete what was found, trees first; what somebody has touched since stays, and with a tree all that follows.

        So nobody who keeps a release meanwhile loses a file of it: whoever finds its tree gone keeps all of it again.
        """
        before = waste.before.timestamp() if waste.before is not None else float("inf")
        names = sorted(filter(_OURS.fullmatch, waste.names), key=_trees_first)
        trees = list(takewhile(_is_in_trees, names))
        if all(self._blobs.delete(name, before) for name in trees):
            self._blobs.delete_all(names[len(trees) :], before)

    def _everything(self) -> Iterator[Listed]:
        for folder in ("trees", "folders", "files", "parses"):
            yield from (one for one in self._blobs.names(folder) if _OURS.fullmatch(one.name))

    def _use(self, release: ReleaseId, used: set[str]) -> None:
        """Add the names of all that a release is made of; nothing where it is not kept."""
        try:
            head = self._head(release)
        except MissingReleaseError:
            return
        used.add(_tree_name(release))
        self._use_folder(head.folder, used)

    def _use_folder(self, digest: str, used: set[str]) -> None:
        """Add a folder and all below it, which were added before where the folder was."""
        if _folder_name(digest) in used:
            return
        used.add(_folder_name(digest))
        folder = self._folder(digest, digest)
        used.update(_file_name(content) for content in folder.files.values())
        for inner in (*folder.folders.values(), *folder.parts):
            self._use_folder(inner, used)


def _release_of(one: Listed) -> ReleaseId | None:
    """Return the release whose tree this is, None for anything else."""
    return ReleaseId(one.name[6:-5]) if one.name.startswith("trees/") and not is_unfinished(one.name) else None


def _is_waste(one: Listed, used: Collection[str], needed: Collection[ReleaseId], idle: float) -> bool:
    """Say whether nothing refers to an old blob."""
    if is_unfinished(one.name):
        return True
    if one.name.startswith("parses/"):
        return one.name.split("/")[1] not in needed or one.touched < idle
    return one.name not in used


def _is_in_trees(name: str) -> bool:
    return name.startswith("trees/")


def _trees_first(name: str) -> tuple[bool, str]:
    return not _is_in_trees(name), name


def _tree_name(release: ReleaseId) -> str:
    return f"trees/{release}.json"


def _folder_name(digest: str) -> str:
    return f"folders/{digest[:2]}/{digest[2:]}.zst"


def _file_name(digest: str) -> str:
    return f"files/{digest[:2]}/{digest[2:]}.zst"


def _manifest_name(environment: EnvironmentName) -> str:
    return f"served/{environment_name(environment)}/manifest.json"


def _parse_name(release: ReleaseId, key: str) -> str:
    return f"parses/{release}/{key}.zst"


def _files(sources: Sources, tree: SourceTree) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Yield each content of a tree once, with what reads it."""
    for digest, path in {digest: path for path, digest in tree.files.items()}.items():
        yield digest, partial(_read, sources, path, digest)


def _new(
    files: Iterable[tuple[str, Callable[[], bytes]]], folders: Mapping[str, bytes], there: Collection[str]
) -> Iterator[tuple[str, bytes]]:
    """Yield the files, then the folders, that are not there yet."""
    compressor = _compressor()
    for digest, read in files:
        if _file_name(digest) not in there:
            yield _file_name(digest), compressor.compress(read())
    for digest, data in folders.items():
        if _folder_name(digest) not in there:
            yield _folder_name(digest), compressor.compress(data)


def _read(sources: Sources, path: str, digest: str) -> bytes:
    """Return the bytes of a file. Raises SourcesError where they are not what the tree says."""
    data = sources.read(path)
    if len(data) > MOST_BYTES:
        raise SourcesError(
            path, f"is larger than {MOST_BYTES >> 20} MiB; leave it out with kept_paths in promotion.yml"
        )
    if hashlib.sha256(data).hexdigest() != digest:
        raise SourcesError(path, "changed while it was being kept; let the project be still, and try again")
    return data


def _compressor() -> zstandard.ZstdCompressor:
    return zstandard.ZstdCompressor(level=9, write_checksum=True)


def _unpacked(data: bytes) -> bytes:
    """Return what was compressed, up to the most that is kept, whatever size it claims to have. Raises ZstdError."""
    found, size = list[bytes](), 0
    with zstandard.ZstdDecompressor().stream_reader(data) as stream:
        while part := stream.read(_CHUNK):
            found.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise zstandard.ZstdError("it holds more than was ever kept")
    return b"".join(found)
