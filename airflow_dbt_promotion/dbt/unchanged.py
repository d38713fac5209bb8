"""Is a file on disk the one that dbt parsed?

A checksum is a first look only: dbt 1.12 takes it of the text with its white space collapsed, so that `'a b'` and
`'a  b'` have the same one. Where it agrees, the texts themselves are compared: the code, macros, docs and YAML that the
parse holds. Line endings are no difference, and neither is white space around a file.
"""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec
from msgspec import Raw, Struct

from airflow_dbt_promotion.core.errors import ArtifactError
from airflow_dbt_promotion.dbt.project_file import load_yaml
from airflow_dbt_promotion.dbt.schema_file import NOTHING, packed, unpacked

SCHEMA_SUFFIXES = (".yml", ".yaml")


class _Text(Struct, gc=False):
    """What a parse holds of one thing that is written in a file: its text, under the name that dbt has for it."""

    package_name: str = ""
    original_file_path: str = ""
    raw_code: str | None = None
    macro_sql: str | None = None
    block_contents: str | None = None
    rows: object = None


class _Texts(Struct, gc=False):
    """The sections of a parse, or of a manifest, that hold texts."""

    nodes: dict[str, _Text] = {}
    functions: dict[str, _Text] = {}
    macros: dict[str, _Text] = {}
    docs: dict[str, _Text] = {}
    fixtures: dict[str, _Text] | None = None
    disabled: dict[str, list[_Text]] | None = None


_packed = msgspec.msgpack.Decoder(_Texts)
_written = msgspec.json.Decoder(_Texts)


class ParsedFile(Struct, frozen=True, gc=False):
    """What a parse holds of one file: each text of it, and the rows of a unit test where it is a file of rows."""

    texts: tuple[str, ...] = ()
    rows: object = None


def texts_of_parse(data: bytes) -> Mapping[str, ParsedFile]:
    """Return what dbt's kept parse holds of each file, by `package://path`. Raises MsgspecError."""
    return _by_file(_packed.decode(data))


def texts_of_manifest(data: bytes) -> Mapping[str, ParsedFile]:
    """Return what a manifest holds of each file, by `package://path`. Raises MsgspecError."""
    return _by_file(_written.decode(data))


def is_as_parsed(path: Path, data: bytes, digest: str | None, parsed: ParsedFile, yaml: Raw = NOTHING) -> bool:
    """Say whether the bytes of a file are those that dbt parsed.

    Args:
        path: Where the file lies; its suffix tells what it is.
        data: The bytes of the file now.
        digest: dbt's checksum of it, None where dbt took none (a seed over its limit).
        parsed: What the parse holds of the file.
        yaml: What the parse holds of a schema file, packed.
    """
    if digest is None:
        return True
    text = _unix(data.decode(errors="surrogateescape"))
    if digest in _digests(text.strip()):
        return True
    return digest == _digest(" ".join(text.split())) and _holds(path, text, parsed, yaml)


def holds_code(data: bytes, code: str) -> bool:
    """Say whether a file holds some code, whatever its line endings."""
    return _unix(code).strip() in _unix(data.decode(errors="surrogateescape"))


def _holds(path: Path, text: str, parsed: ParsedFile, yaml: Raw) -> bool:
    """Say whether a file says what the parse says of it, to the letter."""
    if path.suffix in SCHEMA_SUFFIXES:
        try:
            written = packed(load_yaml(path, text.strip()))
        except ArtifactError:
            return False
        return yaml is not NOTHING and unpacked(written) == unpacked(yaml)
    if isinstance(parsed.rows, list):
        return parsed.rows == list(csv.DictReader(io.StringIO(text.strip())))
    return all(_unix(part).strip() in text for part in parsed.texts)


def _by_file(found: _Texts) -> Mapping[str, ParsedFile]:
    """Return the texts of a parse by file; those of schema files are YAML, and stand elsewhere."""
    texts: dict[str, list[str]] = {}
    rows: dict[str, object] = {}
    for one in _all(found):
        if one.original_file_path.endswith(SCHEMA_SUFFIXES):
            continue
        file = f"{one.package_name}://{one.original_file_path}"
        parts = (one.raw_code, one.macro_sql, one.block_contents, one.rows)
        texts.setdefault(file, []).extend(part for part in parts if isinstance(part, str))
        if one.rows is not None:
            rows[file] = one.rows
    return {file: ParsedFile(texts=tuple(parts), rows=rows.get(file)) for file, parts in texts.items()}


def _all(found: _Texts) -> Iterator[_Text]:
    """Yield everything that holds a text."""
    sections: Iterable[Mapping[str, _Text] | None] = (
        found.nodes,
        found.functions,
        found.macros,
        found.docs,
        found.fixtures,
    )
    for section in sections:
        yield from (section or {}).values()
    for several in (found.disabled or {}).values():
        yield from several


def _digests(text: str) -> tuple[str, str]:
    """Return the checksums that dbt may have taken of a text: by its own line endings, LF or CRLF."""
    return _digest(text), _digest(text.replace("\n", "\r\n"))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n")
