"""Blobs: bytes under a name that never change once they are there; what a release store is built on.

A name is a relative path of plain parts. Whoever writes a name that is there already means the same bytes.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple, Protocol

from airflow_dbt_promotion.core.errors import ReleaseError, ReleaseUnwritableError, StateError
from airflow_dbt_promotion.stores import durable

_ONE_BY_ONE = 32
"""Up to so many files are flushed one by one; more of them by one flush of the file system, which is faster."""

_TEMPORARY = ".tmp"


class Listed(NamedTuple):
    """A blob: its size in bytes, and when it was written or last touched (seconds since the epoch)."""

    name: str
    size: int
    touched: float


class Blobs(Protocol):
    """Keeps blobs. Errors are ReleaseError and its kin."""

    def where(self, name: str) -> str:
        """Return how people find a blob."""

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Write blobs, each as a whole or not at all; durable once returned.

        They are asked for one by one, so that they need not fit into memory. Raises ReleaseUnwritableError.
        """

    def read(self, name: str) -> bytes | None:
        """Return a blob, None where there is none."""

    def path(self, name: str) -> Path | None:
        """Return the file that a blob is, None where it is none, or is not there."""

    def touch(self, name: str) -> bool:
        """Note that a blob is in use, to the day; say whether it is there."""

    def hold(self, names: Collection[str]) -> set[str]:
        """Note that blobs are about to be referred to, this instant; return those that are there.

        From now on each of them is one that was touched now, also where somebody else asks, and those that are yet to
        be written.
        """

    def names(self, folder: str) -> Iterator[Listed]:
        """Yield what lies below a folder, unfinished writes too."""

    def delete(self, name: str, before: float) -> bool:
        """Delete a blob that nobody has touched since an instant; say whether it is gone, as one that never was.

        Whoever holds it at the same time finds it in place, or is told that it is not there. Raises
        ReleaseUnwritableError.
        """

    def delete_all(self, names: Iterable[str], before: float) -> None:
        """Delete many, each as `delete` does."""


class FileBlobs:
    """Blobs as files below one folder, which the first write creates."""

    def __init__(self, root: Path) -> None:
        """Take the folder."""
        self._root = root

    def where(self, name: str) -> str:
        """Return the path of a blob."""
        return str(self._root / name)

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Write all to temporary files, flush these, and only then put each in place."""
        written: list[tuple[Path, Path]] = []
        changed: set[Path] = set()
        with self._unwritable():
            try:
                for name, data in blobs:
                    path = self._root / name
                    if path.parent not in changed:
                        changed.update(_made(path.parent))
                    temporary = _beside(path)
                    written.append((temporary, path))
                    _put(temporary, data)
                self._flush([temporary for temporary, _ in written], durable.flush)
                for temporary, path in written:
                    temporary.replace(path)
                self._flush(sorted(changed), durable.make_durable)
            except BaseException:
                for temporary, _ in written:
                    with suppress(OSError):
                        temporary.unlink(missing_ok=True)
                raise

    def _flush(self, paths: Sequence[Path], one_by_one: Callable[[Path], None]) -> None:
        """Let files, or the names in folders, survive a loss of power."""
        if len(paths) > _ONE_BY_ONE:
            durable.flush_everything(self._root)
        else:
            for path in paths:
                one_by_one(path)

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, None where there is no such file."""
        path = self._root / name
        try:
            return path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise ReleaseError(
                str(path), f"cannot be read: {error.strerror}; make it readable, and try again"
            ) from error

    def path(self, name: str) -> Path | None:
        """Return the path of a blob that is there."""
        path = self._root / name
        return path if path.is_file() else None

    def touch(self, name: str) -> bool:
        """Set a file's time to now; where that is not allowed, its being there must do."""
        path = self._root / name
        try:
            os.utime(path)
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return path.is_file()
        return True

    def hold(self, names: Collection[str]) -> set[str]:
        """Touch each."""
        return {name for name in names if self.touch(name)}

    def names(self, folder: str) -> Iterator[Listed]:
        """Yield the files below a folder."""
        for above, _, files in os.walk(self._root / folder):
            for file in files:
                path = Path(above) / file
                with suppress(FileNotFoundError):
                    found = path.stat()
                    yield Listed(path.relative_to(self._root).as_posix(), found.st_size, found.st_mtime)

    def delete(self, name: str, before: float) -> bool:
        """Move a file aside, look at its time, and delete it or put it back."""
        path = self._root / name
        aside = _beside(path)
        with self._unwritable():
            try:
                path.rename(aside)
            except (FileNotFoundError, NotADirectoryError):
                return True
            if aside.stat().st_mtime >= before:
                aside.replace(path)
                return False
            aside.unlink()
            return True

    def delete_all(self, names: Iterable[str], before: float) -> None:
        """Delete one after the other."""
        for name in names:
            self.delete(name, before)

    @contextmanager
    def _unwritable(self) -> Iterator[None]:
        """Tell what the operating system refuses as what it means here."""
        try:
            yield
        except OSError as error:
            problem = f"kept sources cannot be written there: {error.strerror or error}; make room, or make it writable"
            raise ReleaseUnwritableError(str(self._root), problem) from error
        except StateError as error:
            raise ReleaseUnwritableError(
                error.where, f"kept sources cannot be written there: {error.problem}"
            ) from error


class MemoryBlobs:
    """Blobs in memory, gone when the process ends."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._blobs: dict[str, tuple[bytes, float]] = {}
        self._changing = threading.Lock()

    def where(self, name: str) -> str:
        """Return how errors name a blob."""
        return f"memory://releases/{name}"

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Take the bytes."""
        written = [(name, bytes(data)) for name, data in blobs]
        with self._changing:
            self._blobs.update((name, (data, time.time())) for name, data in written)

    def read(self, name: str) -> bytes | None:
        """Return the bytes, None where there are none."""
        found = self._blobs.get(name)
        return None if found is None else found[0]

    def path(self, name: str) -> Path | None:  # noqa: ARG002 - whatever its name
        """Return None: there are no files."""
        return None

    def touch(self, name: str) -> bool:
        """Note the time."""
        with self._changing:
            if name not in self._blobs:
                return False
            self._blobs[name] = (self._blobs[name][0], time.time())
            return True

    def hold(self, names: Collection[str]) -> set[str]:
        """Touch each."""
        return {name for name in names if self.touch(name)}

    def names(self, folder: str) -> Iterator[Listed]:
        """Yield what lies below a folder."""
        for name, (data, touched) in list(self._blobs.items()):
            if name.startswith(f"{folder}/"):
                yield Listed(name, len(data), touched)

    def delete(self, name: str, before: float) -> bool:
        """Forget a blob that nobody has touched since."""
        with self._changing:
            found = self._blobs.get(name)
            if found is not None and found[1] >= before:
                return False
            self._blobs.pop(name, None)
            return True

    def delete_all(self, names: Iterable[str], before: float) -> None:
        """Forget one after the other."""
        for name in names:
            self.delete(name, before)


def is_unfinished(name: str) -> bool:
    """Say whether a file is what a write left that was interrupted."""
    return name.endswith(_TEMPORARY)


def _beside(path: Path) -> Path:
    """Return where a file is while it is written or deleted."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{_TEMPORARY}")


def _made(folder: Path) -> Iterator[Path]:
    """Make a folder and those above it; yield every folder that has a new name in it, or is about to."""
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        yield one.parent
    yield folder


def _put(path: Path, data: bytes) -> None:
    """Write a new file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
