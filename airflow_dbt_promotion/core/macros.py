"""Which macros and vars some code can reach, told from its text alone.

dbt's own `depends_on.macros` holds what one rendering reached, which differs by target where the code asks `target.name`. Here every word
inside a Jinja block counts, on every branch and inside strings (dispatch and `context['name']` take names as text). What dbt reached is
added, for names that are computed. Too many macros only make a version change too often; too few would hide a change.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from airflow_dbt_promotion.core.definition import Macro
from airflow_dbt_promotion.core.identity import Digest, digest_of

ALL_VARS = "*"
"""Stands for every declared var, where code reads one by a name that is computed."""

_BLOCK = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_WORD = re.compile(r"[A-Za-z_]\w*")
_VAR = re.compile(r"\bvar\s*\(\s*(?:'(\w+)'|\"(\w+)\"|(?=\S))|\bvar\s*\.\s*(?:has_var)\s*\(\s*['\"](\w+)['\"]")
_MATERIALIZATION = "materialization_"
_NAMERS = frozenset({"generate_schema_name", "generate_database_name", "generate_alias_name"})

_ADAPTER_PACKAGES = frozenset(
    f"dbt_{adapter}"
    for adapter in (
        "athena", "bigquery", "clickhouse", "databricks", "db2", "decodable", "doris", "dremio", "duckdb", "exasol", "fabric",
        "fabricspark", "firebolt", "glue", "greenplum", "hive", "impala", "iomete", "layer", "maxcompute", "materialize", "mindsdb",
        "mysql", "oracle", "postgres", "redshift", "risingwave", "rockset", "salesforce", "singlestore", "snowflake", "spark",
        "sqlite", "sqlserver", "starrocks", "synapse", "teradata", "tidb", "trino", "upsolver", "vertica", "watsonx_presto", "ydb",
    )
)  # fmt: skip


def is_internal(package: str, adapter_type: str | None) -> bool:
    """Say whether a package is dbt's own or an adapter's: its macros are no part of a version."""
    return package == "dbt" or package in _ADAPTER_PACKAGES or (adapter_type is not None and package == f"dbt_{adapter_type}")


def jinja(text: str) -> str:
    """Return what stands inside Jinja blocks, joined by spaces; empty where there is none."""
    return " ".join(_BLOCK.findall(text)) if "{" in text else ""


def words(blocks: str) -> set[str]:
    """Return every word of some Jinja."""
    return set(_WORD.findall(blocks))


def vars_read(blocks: str) -> frozenset[str]:
    """Return the names of the vars that some Jinja reads; `ALL_VARS` among them where a name is computed."""
    if "var" not in blocks:
        return frozenset()
    return frozenset(single or double or has or ALL_VARS for single, double, has in _VAR.findall(blocks))


class Reached(Struct, frozen=True):
    """What some code reaches: the digest of its macros' sources, the vars those read, and whether dispatch order matters to it."""

    digest: Digest | None
    vars: frozenset[str]
    dispatched: bool


NOTHING = Reached(None, frozenset(), False)  # noqa: FBT003 - positional by field order


class MacroIndex:
    """All macros of a project and its packages, and what can be reached from a word."""

    def __init__(self, macros: Mapping[str, Macro], adapter_type: str | None) -> None:
        """Index user macros by the words that can lead to them: own name, dispatched name, materialization name, test name."""
        internal = {id_ for id_, macro in macros.items() if is_internal(macro.package_name, adapter_type)}
        self._own = {id_: macro for id_, macro in macros.items() if id_ not in internal}
        self._by_word: dict[str, tuple[str, ...]] = {}
        for id_, macro in self._own.items():
            for word in _leading_words(macro.name):
                self._by_word[word] = (*self._by_word.get(word, ()), id_)
        self._everywhere = frozenset(id_ for id_, macro in self._own.items() if _NAMERS & set(_leading_words(macro.name)))
        self._through = _Overrides(macros, internal, self._by_word)
        self._closures: dict[frozenset[str], Reached] = {}
        self._blocks = {id_: jinja(macro.macro_sql) for id_, macro in self._own.items()}

    def reach(self, code_words: Iterable[str], seen_by_dbt: Iterable[str], *, namers: bool) -> Reached:
        """Return what code with these words, and with these macros reached by dbt, can reach; `namers` adds generate_*_name overrides."""
        code_words = set(code_words)
        first = {id_ for word in self._by_word.keys() & code_words for id_ in self._by_word[word]}
        first.update(id_ for id_ in seen_by_dbt if id_ in self._own)
        first.update(self._through.reached_from(code_words, seen_by_dbt))
        if namers:
            first |= self._everywhere
        if not first:
            return NOTHING
        key = frozenset(first)
        if key not in self._closures:
            self._closures[key] = self._close(key)
        return self._closures[key]

    def _close(self, first: frozenset[str]) -> Reached:
        """Follow macros into macros until nothing new is reached."""
        reached, waiting = set(first), list(first)
        while waiting:
            id_ = waiting.pop()
            found = {other for word in words(self._blocks[id_]) for other in self._by_word.get(word, ())}
            found.update(other for other in self._own[id_].depends_on.macros if other in self._own)
            found.update(self._through.reached_from((), self._own[id_].depends_on.macros))
            waiting.extend(found - reached)
            reached |= found
        sources = sorted((id_, self._own[id_].macro_sql.strip()) for id_ in reached)
        read = frozenset(name for id_ in reached for name in vars_read(self._blocks[id_]))
        return Reached(digest_of(sources), read, any("__" in self._own[id_].name for id_ in reached))


class _Overrides:
    """Macros of the project that dbt's own macros would call in place of theirs (`duckdb__create_table_as`, `materialization_view_default`)."""

    def __init__(self, macros: Mapping[str, Macro], internal: set[str], by_word: Mapping[str, tuple[str, ...]]) -> None:
        """Find the user macros that carry a name of dbt's; only then dbt's macros are followed at all."""
        names = {word for id_ in internal for word in _leading_words(macros[id_].name)} - _NAMERS
        self._overriding = {word: ids for word, ids in by_word.items() if word in names}
        self._internal = {id_: macros[id_] for id_ in internal} if self._overriding else {}
        self._cache: dict[str, frozenset[str]] = {}
        self._materializations: dict[str, list[str]] = {}
        for id_, macro in self._internal.items():
            if macro.name.startswith(_MATERIALIZATION):
                self._materializations.setdefault(_leading_words(macro.name)[-1], []).append(id_)

    def reached_from(self, code_words: Iterable[str], seen_by_dbt: Iterable[str]) -> frozenset[str]:
        """Return the overriding macros that dbt's macros reach, beginning at those seen and at the materializations named."""
        if not self._overriding:
            return frozenset()
        starts = [id_ for id_ in seen_by_dbt if id_ in self._internal]
        starts += [id_ for word in code_words for id_ in self._materializations.get(word, ())]
        return frozenset(found for start in starts for found in self._from(start))

    def _from(self, start: str) -> frozenset[str]:
        """Follow dbt's own macros from one of them, and collect what overrides them on the way."""
        if start not in self._cache:
            reached, waiting, found = {start}, [start], set()
            while waiting:
                macro = self._internal[waiting.pop()]
                named = words(jinja(macro.macro_sql))
                found.update(id_ for word in named & self._overriding.keys() for id_ in self._overriding[word])
                following = {id_ for id_ in macro.depends_on.macros if id_ in self._internal} - reached
                reached |= following
                waiting.extend(following)
            self._cache[start] = frozenset(found)
        return self._cache[start]


def _leading_words(name: str) -> tuple[str, ...]:
    """Return the words by which code can reach a macro, the most specific last."""
    found = [name]
    if name.startswith(_MATERIALIZATION):
        found.append(name.removeprefix(_MATERIALIZATION).rsplit("_", 1)[0])
    elif "__" in name:
        found.append(name.split("__", 1)[1])
    return tuple(word for word in found if word)


def texts(value: object) -> Iterator[str]:
    """Yield every text inside a JSON value."""
    match value:
        case str():
            yield value
        case Mapping():
            for item in value.values():
                yield from texts(item)
        case list() | tuple():
            for item in value:
                yield from texts(item)
        case _:
            return
