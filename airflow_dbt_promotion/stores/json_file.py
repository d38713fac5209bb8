"""State as JSON files: `<root>/<environment>.json`, replaced as a whole, with a lock of writers beside each.

A document is written to a temporary file in the same folder, made durable, and put in place by one rename; readers need
no lock and see the old document or the new. Writers compare and set under a short lock of the operating system, on a
file that stays where it is: it ends with its process, however that ends. On a network file system it is as good as its
`flock`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from filelock import FileLock, Timeout

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    StateError,
    StateUnwritableError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, environment_name, is_environment_name
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores import durable
from airflow_dbt_promotion.stores.agreement import agree, risen
from airflow_dbt_promotion.stores.endangered import warnings_of

WRITE_TIMEOUT = 60.0
"""Seconds to wait for other writers; each holds the lock for a fraction of one."""


class JsonFileStore:
    """Keeps documents in one folder. Creates it, and anything in it, with the first write or lock, never by reading."""

    def __init__(self, root: Path, endangered: tuple[Path, ...] = ()) -> None:
        """Take the folder, and folders that other tools delete."""
        self.root = root
        self._endangered = endangered

    @classmethod
    def open(cls, root: str, base: Path, endangered: tuple[Path, ...]) -> Self:
        """Return the store for a folder, or for a `file:` address; `~` is the home of whoever runs this."""
        try:
            path = _from_address(root) if root.lower().startswith("file:") else root
            return cls(base / Path(path).expanduser(), endangered)
        except (RuntimeError, ValueError) as error:
            raise ConfigError("state", f"{root!r} names no folder of this machine: {error}") from None

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        """Return the newest document, None where there is none; StateError where it cannot be read."""
        path = self._path(environment)
        data = _bytes(path)
        return None if data is None else codec.decode(data, str(path), environment)

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        """Replace a document that has the expected serial, and our lineage; raise StateConflictError if it has not."""
        path = self._path(state.environment)
        written = risen(state, expected_serial)
        data = codec.encode(written)
        with _unwritable(path), _locked(_beside(path, "json.lock"), WRITE_TIMEOUT):
            agree(_bytes(path), state, expected_serial, str(path))
            durable.replace_file(path, data)
        durable.make_durable(path.parent)
        return written

    def where(self, environment: EnvironmentName) -> str:
        """Return the path of a document."""
        return str(self._path(environment))

    def environments(self) -> tuple[EnvironmentName, ...]:
        """Return the environments of which there is a file; StateError where the folder cannot be read."""
        try:
            names = sorted(path.stem for path in self.root.glob("*.json"))
        except OSError as error:
            raise StateError(str(self.root), f"cannot be listed: {error.strerror}") from error
        return tuple(EnvironmentName(name) for name in names if is_environment_name(name))

    def warnings(self) -> tuple[str, ...]:
        """Say so where the folder lies in one that other tools delete."""
        return warnings_of(self.root, self._endangered)

    def _path(self, environment: EnvironmentName) -> Path:
        """Return where a document really is: behind symbolic links, so that one document has one lock."""
        link = self.root / f"{environment_name(environment)}.json"
        try:
            path = link.resolve()
            dangling = link.is_symlink() and not path.exists()
        except (OSError, RuntimeError) as error:
            raise StateError(str(link), f"cannot be followed: {error}") from None
        if dangling:
            raise StateError(str(link), f"is a symbolic link to {path}, which is not there; is it mounted?")
        return path


def _from_address(root: str) -> str:
    """Return the folder in a `file:` address; raise ValueError where there is none."""
    address = urlsplit(root)
    path = unquote(address.path)
    if address.netloc not in {"", "localhost"} or address.query or address.fragment or not path or "\0" in path:
        raise ValueError("write file:///folder")
    return path


def _bytes(path: Path) -> bytes | None:
    """Return what a file holds, None where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(str(path), f"cannot be read: {error.strerror or error}") from error


def _beside(path: Path, what: str) -> Path:
    """Return the hidden file that goes with a document."""
    return path.with_name(f".{path.stem}.{what}")


@contextmanager
def _unwritable(path: Path) -> Iterator[None]:
    """Turn what the operating system says into StateUnwritableError."""
    try:
        yield
    except OSError as error:
        problem = f"cannot be written: {error.strerror or error}"
        raise StateUnwritableError(str(path), f"{problem} ({error.filename or path.parent})") from error


@contextmanager
def _locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold the short lock of writers."""
    durable.make_folder(path.parent)
    held = FileLock(path)
    try:
        held.acquire(timeout=timeout, poll_interval=0.005)
    except Timeout:
        raise StateUnwritableError(str(path), f"another process has held this lock for {timeout:.0f} s") from None
    try:
        yield
    finally:
        held.release()
