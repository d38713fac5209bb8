"""A document and its history, apart and together again, byte by byte what they were.

A database keeps each promotion of the history as a row of its own, written once, and the rest of the document in
another, written again each time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Raw, Struct

from airflow_dbt_promotion.core.state import SCHEMA_VERSION, EnvironmentState

_PLACE = b'\n "history": '
"""What is before the history in a document; no text in it can look like that, for a text has no line breaks."""

_EMPTY = b"[]"


class _Whole(Struct):
    """The one part of a document that is looked into."""

    history: Raw


class Record(Struct, frozen=True):
    """One promotion of a history, as compact JSON, and the SHA-256 of that."""

    digest: str
    text: str


def record(text: str) -> Record:
    """Return a record with its digest."""
    return Record(digest=hashlib.sha256(text.encode()).hexdigest(), text=text)


def alone(state: EnvironmentState) -> EnvironmentState:
    """Return a document that holds the history of another, and nothing else of it."""
    return EnvironmentState(
        project=state.project, environment=state.environment, lineage=state.lineage, history=state.history
    )


def apart(document: bytes) -> tuple[bytes, tuple[Record, ...]]:
    """Return a document with an empty history, and the history that it had, newest first.

    It is one that `codec.encode` made.
    """
    history = bytes(msgspec.json.decode(document, type=_Whole).history)
    start = document.index(_PLACE) + len(_PLACE)
    records = msgspec.json.decode(history, type=list[Raw])
    return (
        document[:start] + _EMPTY + document[start + len(history) :],
        tuple(record(msgspec.json.format(bytes(one), indent=-1).decode()) for one in records),
    )


def together(document: bytes, records: Sequence[Record]) -> bytes:
    """Return a document with its history. Raises ValueError where the document has no place for one."""
    if not records:
        return document
    before, place, after = document.partition(_PLACE + _EMPTY)
    if not place:
        raise ValueError("its document has no empty `history`, where the promotions of its history belong")
    listed = b"[" + b",".join(one.text.encode() for one in records) + b"]"
    return before + _PLACE + msgspec.json.format(listed, indent=1).replace(b"\n", b"\n ") + after


def as_of(document: bytes, schema: int) -> bytes:
    """Return a document of the present schema that says it is of another, as the promotions in it are."""
    line = b'\n "schema_version": '
    return document.replace(line + str(SCHEMA_VERSION).encode(), line + str(schema).encode())


def overlap(new: Sequence[Record], old: Sequence[str]) -> int:
    """Return how many of the oldest of a new history are the newest of an old one, whose digests are given.

    Those need not be written again. A promotion that was added comes before them, one that fell out was after them.
    """
    digests = [one.digest for one in new]
    alike = (count for count in range(min(len(new), len(old)), 0, -1) if digests[-count:] == list(old[:count]))
    return next(alike, 0)
