"""Blobs in object storage, below `<prefix>/releases/`.

An object has no time that one could set without writing it anew, so that something is in use is said beside it: whoever
holds blobs writes one small object, `holds/<milliseconds>-<random>`, with the names of all of them. It is written first
and looked at by whoever deletes, and swept away when it is old. Thousands of blobs that are there already cost a few
requests so, and no blob is copied, which a bucket that keeps old versions would keep once more.

What remains: obstore deletes without a condition. Who deletes looks at the holds, at the object's own time, and deletes
at once; a hold that comes between the two is not seen.
"""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import TypeVar

import zstandard

from airflow_dbt_promotion.core.errors import ReleaseError, ReleaseUnwritableError
from airflow_dbt_promotion.stores.blobs import Listed
from airflow_dbt_promotion.stores.bucket import Bucket
from airflow_dbt_promotion.stores.object_address import address_of
from airflow_dbt_promotion.stores.object_faults import Fault, Kind
from airflow_dbt_promotion.stores.releases import BlobReleaseStore

_T = TypeVar("_T")
_R = TypeVar("_R")

FOLDER = "releases"
"""The folder below the prefix of the state."""

_HOLDS = f"{FOLDER}/holds"
_AT_ONCE = 16
"""Requests under way at the same time; twice as many blobs wait in memory."""

_FEW = 64
"""Up to so many names are asked for one by one; more of them by listing what is there."""

_FRESH = timedelta(days=1).total_seconds()
"""An object of this age is written anew when it is touched: caches live for a month."""

_HELD = timedelta(hours=6).total_seconds()
"""How long a hold lasts: far longer than `engine.cleaner.GRACE`, within which a document refers to what was held."""


def open_in_bucket(root: str, base: Path) -> BlobReleaseStore:  # noqa: ARG001 - no folder
    """Return the store of kept sources beside the state; nobody is asked anything yet."""
    return BlobReleaseStore(ObjectBlobs(Bucket(address_of(root))))


class ObjectBlobs:
    """The port `Blobs` in a bucket. What was written by half before an error is waste, and no more."""

    def __init__(self, bucket: Bucket) -> None:
        """Take the prefix of the state."""
        self._bucket = bucket
        self._known: dict[str, frozenset[str]] = {}
        self._reading = threading.Lock()

    def where(self, name: str) -> str:
        """Return the address of a blob, without options."""
        return self._bucket.address.of(_key(name))

    def path(self, name: str) -> Path | None:  # noqa: ARG002 - whatever its name
        """Return None: there are no files."""
        return None

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Write blobs, several at once; the service takes each as a whole."""
        with self._unwritable():
            _each(blobs, lambda blob: self._bucket.put(_key(blob[0]), blob[1]))

    def read(self, name: str) -> bytes | None:
        """Return an object's bytes, None where there is none."""
        with self._unreadable(name):
            found = self._bucket.get(_key(name))
            return None if found is None else found.data

    def touch(self, name: str) -> bool:
        """Write an object anew that is older than a day; where that is not allowed, its being there must do."""
        with self._unreadable(name):
            found = self._bucket.head(_key(name))
            if found is None:
                return False
            if time.time() - found.touched > _FRESH and (data := self._bucket.get(_key(name))) is not None:
                with suppress(Fault):
                    self._bucket.put(_key(name), data.data)
        return True

    def hold(self, names: Collection[str]) -> set[str]:
        """Write down that they are held, then look which are there; sweep away what was held long ago.

        Where writing is not allowed, that they are there must do, as in a folder that may only be read.
        """
        wanted = set(names)
        packed = zstandard.compress("\n".join(sorted(wanted)).encode())
        with self._unwritable():
            try:
                self._bucket.put(f"{_HOLDS}/{math.ceil(time.time() * 1000)}-{secrets.token_hex(8)}", packed)
            except Fault as fault:
                if fault.kind is not Kind.DENIED:
                    raise
        with self._unreadable(""):
            self._sweep()
            if len(wanted) <= _FEW:
                keys = sorted(_key(name) for name in wanted)
                return {_name(one.name) for one in _each(keys, self._bucket.head) if one is not None}
            folders = {name.partition("/")[0] for name in wanted}
            return wanted & {one.name for folder in folders for one in self._listed(folder)}

    def names(self, folder: str) -> Iterator[Listed]:
        """Yield what lies below a folder, each as touched when it was written or held last."""
        with self._unreadable(folder):
            held = self._held()
            for one in self._listed(folder):
                yield one._replace(touched=max(one.touched, held.get(one.name, 0.0)))

    def delete(self, name: str, before: float) -> bool:
        """Look whether an object is held or was written since, and delete it."""
        with self._unwritable():
            return self._delete(name, before, self._held())

    def delete_all(self, names: Iterable[str], before: float) -> None:
        """Delete several at once, looking at the holds before each lot."""
        with self._unwritable():
            rest = iter(names)
            while lot := list(islice(rest, _AT_ONCE * 4)):
                held = self._held()
                _each(lot, lambda name: self._delete(name, before, held))  # noqa: B023 - called before the next lot

    def _delete(self, name: str, before: float, held: dict[str, float]) -> bool:
        """Delete an object that is not held since; say whether it is gone."""
        if held.get(name, 0.0) >= before:
            return False
        found = self._bucket.head(_key(name))
        if found is not None and found.touched >= before:
            return False
        if found is not None:
            self._bucket.delete(_key(name))
        return True

    def _listed(self, folder: str) -> Iterator[Listed]:
        """Yield the objects below a folder, by the names of blobs."""
        for one in self._bucket.names(_key(folder)):
            yield one._replace(name=_name(one.name))

    def _held(self) -> dict[str, float]:
        """Return when each name was held last; holds never change, so each is read once."""
        holds = list(self._bucket.names(_HOLDS))
        with self._reading:
            there = {one.name for one in holds}
            self._known = {key: names for key, names in self._known.items() if key in there}
            new = sorted(there - self._known.keys())
            self._known.update(zip(new, _each(new, self._names_in), strict=True))
            held: dict[str, float] = {}
            for one in sorted(holds, key=_instant):
                held.update(dict.fromkeys(self._known[one.name], _instant(one)))
        return held

    def _names_in(self, key: str) -> frozenset[str]:
        """Return the names in a hold; one that is gone was swept."""
        found = self._bucket.get(key)
        try:
            return frozenset() if found is None else frozenset(zstandard.decompress(found.data).decode().split("\n"))
        except (zstandard.ZstdError, UnicodeDecodeError) as error:
            problem = f"is damaged, so nobody knows what must not be deleted ({error}); delete it"
            raise ReleaseError(self._bucket.address.of(key), problem) from error

    def _sweep(self) -> None:
        """Delete the holds of long ago, if that is allowed."""
        old = [one.name for one in self._bucket.names(_HOLDS) if time.time() - one.touched > _HELD]
        with suppress(Fault):
            _each(old, self._bucket.delete)

    @contextmanager
    def _unreadable(self, name: str) -> Iterator[None]:
        """Tell a fault as what it means for whoever reads."""
        try:
            yield
        except Fault as fault:
            raise ReleaseError(self.where(name), f"cannot be read: {fault}") from None

    @contextmanager
    def _unwritable(self) -> Iterator[None]:
        """Tell a fault as what it means for whoever writes."""
        try:
            yield
        except Fault as fault:
            raise ReleaseUnwritableError(self.where(""), f"kept sources cannot be written there: {fault}") from None


def _key(name: str) -> str:
    """Return the key of a blob below the prefix of the state."""
    return f"{FOLDER}/{name}" if name else FOLDER


def _name(key: str) -> str:
    """Return the name of the blob with a key."""
    return key.removeprefix(f"{FOLDER}/")


def _instant(hold: Listed) -> float:
    """Return when a hold was written: the second by the clock of the service, its fraction by that of the writer."""
    said = hold.name.rpartition("/")[2].partition("-")[0]
    stated = int(said) / 1000 if said.isdecimal() else 0.0
    return max(hold.touched, min(stated, hold.touched + 1))


def _each(items: Iterable[_T], act: Callable[[_T], _R]) -> list[_R]:
    """Do something with each, several at once, in their order; takes no more of them than it can do soon.

    The first that fails ends it: what is under way is waited for, what has not begun is left.
    """
    done: list[_R] = []
    waiting: deque[Future[_R]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for item in items:
                if len(waiting) >= _AT_ONCE * 2:
                    done.append(waiting.popleft().result())
                waiting.append(pool.submit(act, item))
            done.extend(one.result() for one in waiting)
        except BaseException:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return done
