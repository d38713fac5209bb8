"""Packing: a large document as a small one, which stays JSON: its head to be read, and the whole in one field.

    {"environment": ..., "lineage": ..., "packed": "<base64 of zstandard>", "schema_version": ..., "serial": ...}

`dbt-promote state show --full` prints it as it is unpacked; so does `jq -r .packed FILE | base64 -d | zstd -d`.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
import zstandard
from msgspec import Struct

LARGE = 1 << 20
"""Documents of more bytes are packed: those of about 700 models with evidence."""

MOST_BYTES = 1 << 29
"""The largest document that is unpacked, so that a damaged one cannot ask for all memory."""

_MARK = b'"packed"'
_HEAD = 4096


class Packed(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A packed document: its head, and the whole of it."""

    environment: str
    lineage: str
    packed: str
    schema_version: int
    serial: int


def pack(head: Packed, document: bytes) -> bytes:
    """Return a document packed under its head; `packed` of the head is filled in."""
    compressed = zstandard.ZstdCompressor(level=1, write_checksum=True, threads=0).compress(document)
    text = base64.b64encode(compressed).decode("ascii")
    return msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(head, packed=text)), indent=1) + b"\n"


def unpack(data: bytes) -> tuple[Packed, bytes] | None:
    """Return the head and the whole of a packed document, None for one that is not packed.

    Raises ValueError with the problem where it cannot be unpacked.
    """
    if _MARK not in data[:_HEAD]:
        return None
    try:
        head = msgspec.json.decode(data, type=Packed)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    try:
        compressed = base64.b64decode(head.packed, validate=True)
        size = zstandard.frame_content_size(compressed)
        if not 0 <= size <= MOST_BYTES:
            raise ValueError(f"it claims to hold {size} bytes")
        return head, zstandard.ZstdDecompressor().decompress(compressed, max_output_size=MOST_BYTES)
    except (binascii.Error, zstandard.ZstdError) as error:
        raise ValueError(f"what is packed is damaged: {error}") from error
