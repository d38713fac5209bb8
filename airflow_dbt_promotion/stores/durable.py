"""Files that are there as a whole or not at all, and stay there when the power goes."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
from contextlib import suppress
from glob import escape
from pathlib import Path

from airflow_dbt_promotion.core.errors import StateError
from airflow_dbt_promotion.failpoints import Failpoint, reached

_NO_FOLDERS = frozenset({errno.EINVAL, errno.ENOTSUP, errno.EACCES, errno.EPERM})
"""What file systems say that cannot make a folder durable, or do not let us."""


def replace_file(path: Path, data: bytes) -> None:
    """Put a file in place as a whole; the caller holds its lock, so whatever temporary file is there is of the dead."""
    for leftover in path.parent.glob(f".{escape(path.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(path.stat().st_mode))
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        reached(Failpoint.DOCUMENT_WRITTEN)
        temporary.replace(path)
        reached(Failpoint.DOCUMENT_REPLACED)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def flush(path: Path) -> None:
    """Let a file that was written survive a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def flush_everything(folder: Path) -> None:
    """Let all that was written to the file system of a folder survive a loss of power: for thousands of files at once.

    Linux flushes that one file system and tells where it could not; elsewhere everything is flushed.
    """
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)
    if syncfs is None:
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it, each entry of them durable."""
    missing = [one for one in (folder, *folder.parents) if not one.is_dir()]
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        make_durable(one.parent)


def make_durable(folder: Path) -> None:
    """Make what was renamed or made in a folder survive a loss of power, where the file system can do that.

    Raises StateError: what was written is in place then, but nobody promises that it stays.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno not in _NO_FOLDERS:
            raise StateError(
                str(folder), f"was written, but may not survive a loss of power: {error.strerror}"
            ) from error
