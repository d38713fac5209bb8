"""One file that dbt wrote: bytes, decoded into typed values, with errors that say file, place and what to do."""

from __future__ import annotations

import codecs
import gc
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec

from airflow_dbt_promotion.core.errors import ArtifactError, MissingArtifactError, UnsupportedSchemaError

T = TypeVar("T")

_GZIP = b"\x1f\x8b"
_SCHEMA = re.compile(r"/dbt/([a-z-]+)/v(\d+)\.json$")


class _Header(msgspec.Struct):
    """What every artifact of dbt says of itself."""

    dbt_schema_version: str | None = None
    dbt_version: str | None = None


class _Document(msgspec.Struct):
    """Any JSON document that could be an artifact."""

    metadata: _Header | None = None


def read_bytes(path: Path, remedy: str) -> bytes:
    """Return a file's bytes, without a byte order mark.

    `remedy` says what makes the file. Raises MissingArtifactError where there is none, ArtifactError where it cannot
    be read or is no text.
    """
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise MissingArtifactError(str(path), f"there is no such file; {remedy}") from None
    except OSError as error:
        raise ArtifactError(str(path), f"cannot be read: {error.strerror or error}") from error
    if data.startswith(_GZIP):
        raise ArtifactError(
            str(path), "is gzip-compressed, dbt writes plain JSON; decompress it (`gunzip`) and try again"
        )
    return data.removeprefix(codecs.BOM_UTF8)


class Kind(msgspec.Struct, frozen=True):
    """A kind of artifact: its name in `dbt_schema_version`, the lowest schema that is read, the dbt that brought it."""

    name: str
    floor: int
    since: str


def decode(path: Path, kind: Kind, data: bytes, decoder: msgspec.json.Decoder[T]) -> T:
    """Return the decoded artifact, with the cyclic collector off meanwhile.

    dbt 2 writes `null` where dbt 1 leaves a field out or empty: what does not decode as dbt 1 writes it is tried once
    more without nulls. Raises ArtifactError with file and place (`$.nodes[...]`) for what is no JSON, truncated, of
    another type or of another kind, UnsupportedSchemaError where the decoder cannot make sense of it because it is
    old.
    """
    try:
        with collector_off():
            try:
                return decoder.decode(data)
            except msgspec.ValidationError:
                return decoder.decode(msgspec.json.encode(_without_nulls(msgspec.json.decode(data))))
    except msgspec.ValidationError as error:
        _check_header(path, kind, data)
        raise ArtifactError(
            str(path), f"is no {kind.name} that can be read: {error}; run dbt again to write it anew"
        ) from error
    except RecursionError as error:
        raise ArtifactError(str(path), "is nested too deeply for a document of dbt's") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ArtifactError(str(path), f"is no whole JSON document: {error}; run dbt again to write it anew") from error


def check_schema(path: Path, kind: Kind, schema: str | None, dbt_version: str | None) -> None:
    """Raise ArtifactError where a document is no artifact of this kind, UnsupportedSchemaError where it is too old."""
    match = _SCHEMA.search(schema or "")
    if match is None or match[1] != kind.name:
        other = f"it says {schema!r}" if schema else "it has no metadata.dbt_schema_version"
        raise ArtifactError(
            str(path), f"is no {kind.name} of dbt: {other}; point at the target folder of the dbt project"
        )
    if int(match[2]) < kind.floor:
        raise UnsupportedSchemaError(
            str(path),
            f"is {kind.name} v{match[2]} of dbt {dbt_version or 'unknown'}; use dbt {kind.since} or newer "
            f"and parse or run the project again",
        )


def _check_header(path: Path, kind: Kind, data: bytes) -> None:
    """Check what a document says of itself; a second pass over it, so only made when decoding failed."""
    try:
        found = msgspec.json.decode(data, type=_Document).metadata
    except msgspec.ValidationError:
        found = None
    check_schema(path, kind, found.dbt_schema_version if found else None, found.dbt_version if found else None)


@contextmanager
def collector_off() -> Iterator[None]:
    """Switch the cyclic collector off: many new objects would make it run for longer than the decoding itself.

    Afterwards they count as old: the collector would go through all of them at once otherwise, and find nothing.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if gc.get_freeze_count() == 0:  # somebody else's frozen objects stay frozen
                gc.freeze()
                gc.unfreeze()
            gc.enable()


def _without_nulls(value: object) -> object:
    """Return a JSON value without the keys that are null, at every depth."""
    match value:
        case dict():
            return {key: _without_nulls(item) for key, item in value.items() if item is not None}
        case list():
            return [_without_nulls(item) for item in value]
        case _:
            return value
