"""One schema file (YAML beside the models) as written: what it says of nodes, their tests and unit tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from airflow_dbt_promotion.dbt.project_file import plain

_MOVED = ("meta", "docs", "group", "contract", "access")
"""Top-level keys of an entry that dbt moves into its config."""

NOTHING = Raw(b"\xc0")
"""Packed YAML that is not there: a msgpack nil."""


class _Described(msgspec.Struct, gc=False):
    """A column, of which only the description is read."""

    description: str | None = None


class _Version(msgspec.Struct, gc=False):
    """What an entry says of one version of a model."""

    v: object
    config: object = None
    access: object = None
    docs: object = None
    constraints: object = None
    columns: Raw = NOTHING
    data_tests: Raw = NOTHING
    tests: Raw = NOTHING


class JinjaIn(msgspec.Struct, frozen=True, gc=False):
    """Whether Jinja may stand in what an entry says of its columns (talk left out), in its tests, and in that talk,
    descriptions left out.
    """

    columns: bool
    tests: bool
    talk: bool = False


NO_JINJA = JinjaIn(columns=False, tests=False)


class Entry(msgspec.Struct, gc=False):
    """What a schema file says of one node. What holds columns and tests is decoded only when it is asked for."""

    name: object = None
    description: object = None
    config: object = None
    meta: object = UNSET
    docs: object = UNSET
    group: object = UNSET
    contract: object = UNSET
    access: object = UNSET
    constraints: object = UNSET
    arguments: object = UNSET
    returns: object = UNSET
    columns: Raw = NOTHING
    data_tests: Raw = NOTHING
    tests: Raw = NOTHING
    versions: tuple[_Version, ...] | None = None

    def version(self, version: str | float | None) -> _Version | None:
        """Return what the entry says of one version."""
        if version is None or not self.versions:
            return None
        return next((found for found in self.versions if str(found.v) == str(version)), None)

    def config_of(self, version: str | float | None) -> Mapping[str, Any]:
        """Return the config as written for one version, with what dbt counts as config though it stands beside it."""
        config: dict[str, Any] = plain(self.config) if isinstance(self.config, dict) else {}
        for key in _MOVED:
            value = getattr(self, key)
            if value is not UNSET:
                config.setdefault(key, plain(value))
        for key in ("constraints", "arguments", "returns"):
            value = getattr(self, key)
            if value is not UNSET and value is not None:
                config[key] = plain(value)
        found = self.version(version)
        if found is None:
            return config
        for key in ("access", "docs", "constraints"):
            value = getattr(found, key)
            if value:
                config[key] = plain(value)
        return _deep(config, plain(found.config) if isinstance(found.config, dict) else {})

    def columns_of(self, version: str | float | None) -> object:
        """Return name, type and constraints of the columns as written, where Jinja stands in them; else None."""
        return self._columns(version, _COLUMN_TALK)

    def talk_of(self, version: str | float | None) -> object:
        """Return the columns as written, but for tests and plain descriptions, where Jinja stands in the rest; else
        None.
        """
        return self._columns(version, _TESTS)

    def told(self) -> str | None:
        """Return the description as written where Jinja stands in it that dbt renders for a target; else None."""
        return self.description if isinstance(self.description, str) and is_rendered(self.description) else None

    def _columns(self, version: str | float | None, left_out: frozenset[str]) -> object:
        """Return the columns as written without some keys, where Jinja stands in the rest; else None."""
        found = self.version(version)
        kept = [
            _without(_plainly_described(column), left_out)
            for raw in (self.columns, found.columns if found else NOTHING)
            for column in _items(raw)
        ]
        return kept if jinja_in(kept) else None

    def jinja(self) -> JinjaIn:
        """Say where Jinja may stand in the entry. Told from packed bytes: "no" is certain, "yes" is not."""
        holders: tuple[Entry | _Version, ...] = (self, *(self.versions or ()))
        columns = tests = talk = False
        for holder in holders:
            tests = tests or holds_jinja(holder.data_tests) or holds_jinja(holder.tests)
            if holds_jinja(holder.columns):
                found = _jinja_in_columns(holder.columns)
                columns, tests = columns or found.columns, tests or found.tests
                talk = talk or found.talk
        return JinjaIn(columns=columns, tests=tests, talk=talk)

    def matching(self, version: str | float | None, column: str | None, test: str) -> list[Any]:
        """Return the entries of a test as written, by the column that it stands under (None: the node) and its name.

        Where none is found there (a column whose name is Jinja), every entry of that test counts, and at last every
        test at all.
        """
        found = self.version(version)
        tests = [(where, entry) for holder in ((self, found) if found else (self,)) for where, entry in _tests(holder)]
        wanted = _folded(column)
        named = [(where, kept) for where, entry in tests if (kept := _test(entry, test)) is not None]
        near = [kept for where, kept in named if where == wanted]
        return near or [kept for _, kept in named] or [plain(entry) for _, entry in tests]


_COLUMN_TALK = frozenset(
    {
        "description",
        "tests",
        "data_tests",
        "meta",
        "tags",
        "config",
        "docs",
        "policy_tags",
        "dimension",
        "entity",
    }
)


_TESTS = frozenset({"tests", "data_tests"})


class _Document(msgspec.Struct):
    """The lists of a schema file, each entry undecoded."""

    models: list[Entry] | None = None
    seeds: list[Entry] | None = None
    snapshots: list[Entry] | None = None
    functions: list[Entry] | None = None
    data_tests: list[Entry] | None = None
    sources: Raw = NOTHING
    unit_tests: Raw = NOTHING


def _dates(_code: int, data: memoryview) -> str:
    """Return the dates that dbt packs in a form of its own as the text that they hold."""
    return bytes(data).decode()


_decoder = msgspec.msgpack.Decoder(_Document, ext_hook=_dates)
_any = msgspec.msgpack.Decoder(ext_hook=_dates)
_columns = msgspec.msgpack.Decoder(list[dict[str, Raw]] | None)
_talk = msgspec.msgpack.Decoder(list[_Described] | None)


class SchemaFile:
    """One schema file."""

    def __init__(self, packed: Raw | bytes) -> None:
        """Take the file's YAML, parsed and packed as msgpack, as dbt keeps it."""
        document = _decoder.decode(packed)
        self._document = document
        self._entries: dict[str, dict[str, Entry]] = {}
        self.holds_jinja = holds_jinja(packed)

    def entry(self, section: str, name: str) -> Entry | None:
        """Return what the file says of a node."""
        if section not in self._entries:
            self._entries[section] = {str(entry.name): entry for entry in getattr(self._document, section) or ()}
        return self._entries[section].get(name)

    def source_tests(self, test: str) -> list[Any]:
        """Return the entries of a test under any source, where Jinja stands in the sources; else nothing."""
        if not holds_jinja(self._document.sources):
            return []
        return list(_nested(_any.decode(self._document.sources), test))

    def unit_test(self, name: str) -> dict[str, Any] | None:
        """Return a unit test as written, where Jinja stands outside of its description; else None."""
        if not holds_jinja(self._document.unit_tests):
            return None
        for item in _items(self._document.unit_tests):
            if isinstance(item, dict) and item.get("name") == name:
                kept: dict[str, Any] = plain(
                    {key: value for key, value in item.items() if key in {"given", "expect", "overrides"}}
                )
                return kept if jinja_in(kept) else None
        return None


_DOC = re.compile(r"\{\{-?\s*doc\s*\([^{}]*\)\s*-?\}\}")


def is_rendered(description: str) -> bool:
    """Say whether a description holds Jinja beside `doc()`, whose blocks dbt takes as they are."""
    return jinja_in(_DOC.sub("", description))


def _plainly_described(column: Any) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return a column without its description, unless dbt renders that."""
    if not isinstance(column, dict):
        return column
    told = column.get("description")
    keeps = isinstance(told, str) and is_rendered(told)
    return column if keeps else {key: value for key, value in column.items() if key != "description"}


def holds_jinja(raw: Raw | bytes) -> bool:
    """Say whether some packed YAML has Jinja anywhere."""
    data = bytes(raw)
    return b"{{" in data or b"{%" in data


def _jinja_in_columns(raw: Raw) -> JinjaIn:
    """Say where Jinja may stand in packed columns; everywhere where they are not as dbt wants them."""
    try:
        # Mostly it is `doc()` in descriptions, and nowhere else.
        talk = [column.description for column in _talk.decode(raw) or () if column.description]
        data = bytes(raw)
        if sum(text.count("{{") + text.count("{%") for text in talk) == data.count(b"{{") + data.count(b"{%"):
            rendered = any(is_rendered(text) for text in talk)
            return JinjaIn(columns=False, tests=False, talk=True) if rendered else NO_JINJA
        columns = _columns.decode(raw) or ()
    except msgspec.ValidationError:
        return JinjaIn(columns=True, tests=True, talk=True)
    found = {key for column in columns for key, value in column.items() if holds_jinja(value) or jinja_in(key)}
    return JinjaIn(
        columns=not found <= _COLUMN_TALK,
        tests=not found.isdisjoint(_TESTS),
        talk=not found <= _TESTS | {"description"} or any(is_rendered(text) for text in talk),
    )


def jinja_in(value: object) -> bool:
    """Say whether a value has Jinja at any depth."""
    match value:
        case str():
            return "{{" in value or "{%" in value
        case dict():
            return any(jinja_in(key) or jinja_in(item) for key, item in value.items())
        case list():
            return any(jinja_in(item) for item in value)
        case _:
            return False


def _items(raw: Raw) -> list[Any]:
    """Return the list in some packed YAML; nothing where there is none."""
    value = _any.decode(raw)
    return value if isinstance(value, list) else []


def _folded(column: object) -> str | None:
    """Return a column's name without quotes and case, as a test may name it."""
    return None if column is None else str(column).strip("\"'`[]").lower()


def _tests(holder: Entry | _Version) -> Iterator[tuple[str | None, object]]:
    """Yield every test under a node or a version of it, with the column that it stands under."""
    for raw in (holder.data_tests, holder.tests):
        for entry in _items(raw):
            yield None, entry
    for column in _items(holder.columns):
        if isinstance(column, dict):
            for key in ("data_tests", "tests"):
                for entry in column.get(key) or ():
                    yield _folded(column.get("name")), entry


def _without(value: Any, keys: frozenset[str]) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return a mapping without some of its keys."""
    return (
        plain({key: item for key, item in value.items() if key not in keys})
        if isinstance(value, dict)
        else plain(value)
    )


def _test(entry: Any, wanted: str) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return one test's entry without its description if it is of the wanted test, else None."""
    match entry:
        case str() if entry == wanted:
            return entry
        case {"test_name": name} if name == wanted:
            return _without(entry, frozenset({"description"}))
        case dict() if len(entry) == 1 and wanted in entry:
            return {wanted: _without(entry[wanted], frozenset({"description"}))}
        case _:
            return None


def _nested(value: object, wanted: str) -> Iterator[object]:
    """Yield the entries of a test under any `tests` of a nested value."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in {"tests", "data_tests"} and isinstance(item, list):
                yield from (found for entry in item if (found := _test(entry, wanted)) is not None)
            else:
                yield from _nested(item, wanted)
    elif isinstance(value, list):
        for item in value:
            yield from _nested(item, wanted)


def _deep(config: dict[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    """Return the config of a versioned model with that of one version over it, as dbt merges the two."""
    result = dict(config)
    for key, value in more.items():
        held = result.get(key)
        if isinstance(held, dict) and isinstance(value, dict):
            result[key] = _deep(held, value)
        elif isinstance(held, list) and isinstance(value, list):
            result[key] = [*value, *held]
        else:
            result[key] = value
    return result


def packed(document: Mapping[str, Any]) -> bytes:
    """Return a YAML document packed as dbt's kept parse holds it."""
    return msgspec.msgpack.encode(document)


def unpacked(packed_document: Raw | bytes) -> object:
    """Return what some packed YAML holds, dates as text. Raises MsgspecError."""
    return _any.decode(packed_document)
