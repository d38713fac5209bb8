"""Which macros some code can reach, told from its text alone.

dbt's own `depends_on.macros` holds what one rendering reached: it differs by target where the code asks `target.name`,
and between a parse and a run where it asks `execute`. So it is not used. Here every word inside a Jinja block counts,
on every branch and inside strings (dispatch and `context['name']` take names as text), and a name that is computed
reaches every macro of the project and its packages. Too many macros only change a version too often; too few would hide
a change.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from msgspec import Struct

from airflow_dbt_promotion.core.attributes import Attribute, read_by_jinja
from airflow_dbt_promotion.core.definition import Macro
from airflow_dbt_promotion.core.identity import Digest, digest_of
from airflow_dbt_promotion.core.vars import vars_read

ANY_MATERIALIZATION = "materialization *"
"""Stands for every materialization, where code chooses one by a name that is computed."""

# No possessive quantifiers: Python 3.11 before 3.11.3 takes them wrongly, and a version may not depend on Python's.
# Each part begins with a character that the one before cannot take: there is one way to match, and none to try twice.
_STRING = r"'[^'\\]*(?:\\.[^'\\]*)*'|\"[^\"\\]*(?:\\.[^\"\\]*)*\""
_DEEPEST = 4


def _inside(stop: str, also: str = "", depth: int = _DEEPEST) -> str:
    """Return the pattern of what stands in a block up to its end; strings and mappings are stepped over whole."""
    nested = rf"|\{{{_inside('', '', depth - 1)}\}}" if depth else ""
    return rf"[^{{}}'\"{stop}]*(?:(?:{_STRING}{nested}{also})[^{{}}'\"{stop}]*)*"


_BLOCK = re.compile(
    r"\{(?:(\{" + _inside("") + r"\}\}|%" + _inside("%", r"|%(?!\})") + r"%\})|#.*?#\}|([{%#]))", re.DOTALL
)
"""A block without its first brace, a comment, or (the second group) the beginning of something that is neither."""

_RAW = re.compile(r"\{%[-+]?\s*raw\b")
_WORD = re.compile(r"\w+")
_MATERIALIZED = re.compile(r"\bmaterialized\b(?:['\"]?\s*[=:]\s*['\"](\w+)['\"]\s*(?=[,)}]))?")
_COMPUTED_CONFIG = re.compile(r"\bconfig\s*\((?!\s*(?:\)|\{|\w+\s*=))|\bconfig\s*\([^)]*\*\*")
_LITERAL_NAME = re.compile(
    r"\bcontext\s*\[\s*['\"][\w.]+['\"]\s*\]|\bcontext\s*\.\s*get\s*\(\s*['\"][\w.]+['\"]\s*[,)]"
    r"|\bcontext\s*\.\s*(?!(?:get|items|values|pop|popitem|setdefault|copy)\b)\w+"
    r"|\bdispatch\s*\(\s*(?:macro_name\s*=\s*)?['\"]\w+['\"]\s*[,)]"
)
_COMPUTED_NAME = re.compile(r"\b(?:context|dispatch)\b")
_MATERIALIZATION = "materialization_"
_STRATEGIES = {
    "get_incremental_strategy_macro": re.compile(r"get_incremental_\w+_sql"),
    "strategy_dispatch": re.compile(r"snapshot_\w+_strategy"),
}
"""What dbt calls to find the macro of a strategy, by a name that it puts together; and how those macros are called."""

_NAMERS = frozenset({"generate_schema_name", "generate_database_name", "generate_alias_name"})

_ADAPTERS = (
    "athena bigquery clickhouse databricks db2 decodable doris dremio duckdb exasol fabric fabricspark firebolt glue "
    "greenplum hive impala iomete layer maxcompute materialize mindsdb mysql oracle postgres redshift risingwave "
    "rockset salesforce singlestore snowflake spark sqlite sqlserver starrocks synapse teradata tidb trino upsolver "
    "vertica watsonx_presto ydb"
)
_ADAPTER_PACKAGES = frozenset(f"dbt_{adapter}" for adapter in _ADAPTERS.split())


def sounds_internal(package: str, adapter_type: str | None) -> bool:
    """Say whether a package is called as dbt's own or an adapter's are.

    A name proves nothing, so that it counts only where nothing tells in which folder a package lies.
    """
    return (
        package == "dbt"
        or package in _ADAPTER_PACKAGES
        or (adapter_type is not None and package == f"dbt_{adapter_type}")
    )


def jinja(text: str) -> str:
    """Return what stands inside Jinja blocks, joined by spaces; the whole text where they cannot be told apart."""
    if "{" not in text:
        return ""
    found = _BLOCK.findall(text)
    if any(broken for _, broken in found) or ("raw" in text and _RAW.search(text)):
        return text
    return " ".join([block for block, _ in found if block])


def words(blocks: str) -> set[str]:
    """Return every word of some Jinja, numbers among them."""
    return set(_WORD.findall(blocks))


def materializations(code: str) -> set[str]:
    """Return the materializations that some Jinja or Python configures; `ANY_MATERIALIZATION` where one is computed."""
    if "config" not in code:
        return set()
    found = {name or ANY_MATERIALIZATION for name in _MATERIALIZED.findall(code)} if "materialized" in code else set()
    return found | {ANY_MATERIALIZATION} if _COMPUTED_CONFIG.search(code) else found


def jinja_of(value: object) -> str:
    """Return what stands inside Jinja blocks anywhere in a JSON value; empty where there is none."""
    return " ".join(_blocks_in(value)) if value else ""


def _blocks_in(value: object) -> Iterator[str]:
    """Yield the Jinja of every text inside a JSON value, the keys of its mappings among them."""
    if isinstance(value, str):
        if "{" in value:
            yield jinja(value)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _blocks_in(key)
            yield from _blocks_in(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _blocks_in(item)


class Reached(Struct, frozen=True):
    """What some code reaches: a digest of its macros, the vars and the attributes of nodes that those read, whether
    dispatch order matters, and the unique ids of these macros.
    """

    digest: Digest | None = None
    vars: frozenset[str] = frozenset()
    dispatched: bool = False
    ids: frozenset[str] = frozenset()
    attributes: frozenset[Attribute] = frozenset()


NOTHING = Reached()


class MacroIndex:
    """All macros of a project and its packages, and what can be reached from a word."""

    def __init__(self, macros: Mapping[str, Macro], internal: Collection[str]) -> None:
        """Index user macros by the words that can lead to them: own name, dispatched name, materialization name.

        `internal` are the packages of dbt and its adapter, whose macros are no part of a version.
        """
        self._own: dict[str, Macro] = {}
        dbts: list[Macro] = []
        for id_, macro in macros.items():
            if macro.package_name in internal:
                dbts.append(macro)
            else:
                self._own[id_] = macro
        self._by_word = _by_word(self._own.values(), _leading_words)
        self._blocks = {id_: jinja(macro.macro_sql) for id_, macro in self._own.items()}
        self._indirect = _indirect_calls({macro.package_name for macro in self._own.values()})
        self._namers = frozenset(id_ for word in _NAMERS for id_ in self._by_word.get(word, ()))
        self._overrides = _Overrides(dbts, self._own.values())
        self.materializes = ANY_MATERIALIZATION in self._by_word or self._overrides.some
        """Whether it matters at all how a node is materialized: dbt's own ways are no part of a version."""
        self.vars = frozenset(name for block in self._blocks.values() for name in vars_read(block))
        """The vars that any macro of the project and its packages reads."""
        self._closures: dict[frozenset[str], Reached] = {}

    def reach(self, blocks: str, more: Iterable[str] = (), *, namers: bool = False) -> Reached:
        """Return what some Jinja can reach.

        `more` are words outside of Jinja that name macros or materializations, `namers` adds generate_*_name overrides.
        """
        if not self._own:
            return NOTHING
        first = set(self._first(blocks, more))
        if namers:
            first |= self._namers
        if not first:
            return NOTHING
        key = frozenset(first)
        if key not in self._closures:
            self._closures[key] = self._close(key)
        return self._closures[key]

    def _first(self, blocks: str, more: Iterable[str]) -> Iterator[str]:
        """Yield the user macros that some Jinja leads to directly, or by way of dbt's own macros."""
        if blocks and self._computed(blocks):
            yield from self._own
            return
        named = words(blocks) if blocks else set()
        if self.materializes and blocks:
            named |= materializations(blocks)
        named.update(more)
        for word in self._by_word.keys() & named:
            yield from self._by_word[word]
        yield from self._overrides.reached_from(named)

    def _computed(self, blocks: str) -> bool:
        """Say whether some Jinja calls a macro by a name that it computes."""
        if ("context" in blocks or "dispatch" in blocks) and _COMPUTED_NAME.search(_LITERAL_NAME.sub("", blocks)):
            return True
        return ("[" in blocks or "|" in blocks or ".get" in blocks) and self._indirect.search(blocks) is not None

    def _close(self, first: frozenset[str]) -> Reached:
        """Follow macros into macros until nothing new is reached."""
        reached, waiting = set(first), list(first)
        while waiting:
            fresh = set(self._first(self._blocks[waiting.pop()], ())) - reached
            waiting.extend(fresh)
            reached |= fresh
        sources = sorted((id_, self._own[id_].macro_sql.strip()) for id_ in reached)
        read = frozenset(name for id_ in reached for name in vars_read(self._blocks[id_]))
        dispatched = any("__" in self._own[id_].name for id_ in reached)
        attributes = frozenset(one for id_ in reached for one in read_by_jinja(self._own[id_].macro_sql))
        return Reached(digest_of(sources), read, dispatched, frozenset(reached), attributes)


class _Overrides:
    """Macros of the project that dbt's own macros would call in place of theirs, such as `duckdb__create_table_as`."""

    def __init__(self, internal: Iterable[Macro], own: Iterable[Macro]) -> None:
        """Find the user macros that carry a name of dbt's; without any, dbt's macros are not followed at all."""
        macros = list(internal)
        called = _by_word(macros, _called_as)
        self._overriding = {
            word: ids for word, ids in _by_word(own, _called_as).items() if word in called.keys() - _NAMERS
        }
        self.some = bool(self._overriding)
        self._called = called if self.some else {}
        self._leading = _by_word(macros, _leading_words) if self.some else {}
        self._macros = {macro.unique_id: macro for macro in macros} if self.some else {}
        self._known: dict[str, frozenset[str]] = {}

    def reached_from(self, named: set[str]) -> frozenset[str]:
        """Return the overriding macros that are reached from some words by way of dbt's own macros."""
        if not self.some:
            return frozenset()
        return frozenset(found for word in self._leading.keys() & named for found in self._from(word))

    def _from(self, word: str) -> frozenset[str]:
        """Follow dbt's own macros from a word, and collect what overrides them on the way."""
        if word not in self._known:
            waiting = list(self._leading[word])
            seen, found = set(waiting), set(self._overriding.get(word, ()))
            while waiting:
                for name in words(jinja(self._macros[waiting.pop()].macro_sql)) & self._called.keys():
                    found.update(self._overriding.get(name, ()))
                    fresh = set(self._called[name]) - seen
                    seen |= fresh
                    waiting.extend(fresh)
            self._known[word] = frozenset(found)
        return self._known[word]


def _by_word(macros: Iterable[Macro], words_of: Callable[[str], Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Index macros by the words that lead to them."""
    found: dict[str, tuple[str, ...]] = {}
    for macro in macros:
        for word in words_of(macro.name):
            found[word] = (*found.get(word, ()), macro.unique_id)
    return found


def _called_as(name: str) -> tuple[str, ...]:
    """Return the words by which code can call a macro: its name, what it is dispatched as, what may choose it."""
    dispatched = name.split("__", 1)[1] if "__" in name else name
    choosers = [chooser for chooser, strategy in _STRATEGIES.items() if strategy.fullmatch(dispatched)]
    return tuple({name, dispatched or name, *choosers})


def _leading_words(name: str) -> tuple[str, ...]:
    """Return every word by which code can reach a macro, the kinds of node that it materializes among them.

    A materialization ends in its adapter's name, which may have an underscore.
    """
    if not name.startswith(_MATERIALIZATION):
        return _called_as(name)
    kind = name.removeprefix(_MATERIALIZATION)
    return tuple({name, kind.rsplit("_", 1)[0], kind.rsplit("_", 2)[0], ANY_MATERIALIZATION})


def _indirect_calls(packages: Iterable[str]) -> re.Pattern[str]:
    """Return the pattern of Jinja that takes a macro from a package by a name that it computes."""
    names = "|".join(re.escape(package) for package in sorted(packages))
    literal = r"(?!\s*['\"]\w+['\"]\s*[,)\]])"
    return re.compile(rf"\b(?:{names})\s*(?:\[{literal}|\.\s*get\s*\({literal}|\|)")
