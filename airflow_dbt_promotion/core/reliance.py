"""Reliance: what a model shares with others, and must find as its own release says it.

One project has one macro of a name, one value of a var, one dispatch order. Models of several releases can stand
together as long as no two of them rely on different states of one such thing. Only what differs between releases is
looked at: where nothing does, nobody is asked.

Things are named `macro.shop.cents`, `var:late_days`, `model.shop.fx` (an ephemeral model), `source.shop.raw.orders`,
`latest:shop.orders` (which version of a versioned model is the latest), `project:hooks`, `project:dispatch`,
`project:quoting` and `project:flags`. A model of another project is told of as a source.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core import flags
from airflow_dbt_promotion.core.definition import Definition, Macro, is_place
from airflow_dbt_promotion.core.described import unix
from airflow_dbt_promotion.core.fingerprint import Reading, reading_of
from airflow_dbt_promotion.core.graph import Graph
from airflow_dbt_promotion.core.identity import Digest, ModelId, ReleaseId, digest_of
from airflow_dbt_promotion.core.vars import ALL_VARS, DeclaredVars

HOOKS, DISPATCH, QUOTING, FLAGS = "project:hooks", "project:dispatch", "project:quoting", "project:flags"

_PROJECT = ("var:", "project:", "source.")


def is_of_project(thing: str) -> bool:
    """Say whether a thing is a setting of the project, rather than code that models share."""
    return thing.startswith(_PROJECT)


def told(thing: str) -> str:
    """Return a thing as people call it."""
    kind, _, name = thing.partition(".") if ":" not in thing else thing.partition(":")
    match kind:
        case "macro":
            return f"the macro {name.partition('.')[2]}"
        case "model":
            return f"the ephemeral model {name.partition('.')[2]}"
        case "source":
            return f"the source {name.partition('.')[2]}"
        case "var":
            return f"the var {name}"
        case "latest":
            return f"the latest version of {name.partition('.')[2]}"
        case _:
            return {"hooks": "on-run hooks", "dispatch": "the dispatch order"}.get(name, f"the project's {name}")


class _Difference(Struct, frozen=True):
    """In what some releases differ."""

    macros: frozenset[str]
    vars: frozenset[str]
    settings: frozenset[str]
    sources: frozenset[str]


class Reliances:
    """What the models of several releases rely on, as far as these releases differ in it."""

    def __init__(self, definitions: Mapping[ReleaseId, Definition]) -> None:
        """Take the releases, all parsed for one target."""
        self._definitions = definitions
        self._difference = _difference(definitions.values())
        self._readers: dict[ReleaseId, _Reader] = {}

    def of(self, release: ReleaseId, model: ModelId) -> Mapping[str, Digest | None]:
        """Return the things that a model of a release relies on, each with its state; None for one that must not be.

        Empty for a model that the release does not hold.
        """
        if len(self._definitions) == 1 or release not in self._definitions:
            return {}
        return self._reader(release).of(model)

    def reading(self, release: ReleaseId, node: str) -> frozenset[str]:
        """Return which of the macros that differ a node, or a data test, of a release reads."""
        reading = self._reader(release).reading(node)
        return reading.macros & self._difference.macros if reading is not None else frozenset()

    @property
    def macros(self) -> frozenset[str]:
        """The macros that are not the same in all releases."""
        return self._difference.macros

    @property
    def vars(self) -> frozenset[str]:
        """The vars that are not declared the same in all releases."""
        return self._difference.vars

    @cached_property
    def _ghosts(self) -> Mapping[str, Macro]:
        """Every macro that differs, from some release that has it."""
        every = {id_: macro for one in self._definitions.values() for id_, macro in one.macros.items()}
        return {id_: every[id_] for id_ in self._difference.macros}

    def _reader(self, release: ReleaseId) -> _Reader:
        if release not in self._readers:
            self._readers[release] = _Reader(self._definitions[release], self._difference, self._ghosts)
        return self._readers[release]


class _Reader:
    """Tells what the models of one release rely on."""

    def __init__(self, definition: Definition, difference: _Difference, ghosts: Mapping[str, Macro]) -> None:
        """Take the release; `ghosts` are all macros that differ.

        One that this release lacks stands in it without a body: who calls it by name relies on its absence.
        """
        self._difference = difference
        self._definition = definition
        absent = {id_: replace(macro, macro_sql="") for id_, macro in ghosts.items() if id_ not in definition.macros}
        haunted = replace(definition, macros={**definition.macros, **absent}) if absent else definition
        self._reading: Callable[[str], Reading] = reading_of(haunted)
        self._macros = _macros(definition)
        self._vars = DeclaredVars(definition.vars)
        self._settings = {name: value for name, value in _settings(definition).items() if name in difference.settings}
        self._graph = Graph(definition)
        self._known: dict[str, Mapping[str, Digest | None]] = {}

    def reading(self, node: str) -> Reading | None:
        """Return what a node or data test reads, None where the release does not hold it."""
        return self._reading(node) if node in self._definition.nodes else None

    def of(self, node: str) -> Mapping[str, Digest | None]:
        """Return the things that a node relies on, those of the ephemeral models that it is made of among them."""
        if node not in self._known:
            self._known[node] = dict(self._all(node)) if node in self._graph.nodes else {}
        return self._known[node]

    def _all(self, id_: str) -> Iterator[tuple[str, Digest | None]]:
        node = self._graph.nodes[id_]
        if self._difference.macros or self._difference.vars or DISPATCH in self._settings:
            yield from self._read(self._reading(id_))
        yield from ((name, value) for name, value in self._settings.items() if name != DISPATCH)
        for parent in sorted(set(node.depends_on.nodes)):
            if parent in self._graph.ephemeral:
                inner = self._graph.nodes[parent]
                yield parent, digest_of([unix(inner.raw_code), inner.language, sorted(set(inner.depends_on.nodes))])
                yield from self.of(parent).items()
            elif parent in self._difference.sources:
                yield parent, _relation(self._definition, parent)
            elif (above := self._graph.nodes.get(parent)) is not None and above.version is not None:
                yield f"latest:{above.package_name}.{above.name}", digest_of(above.latest_version)

    def _read(self, reading: Reading) -> Iterator[tuple[str, Digest | None]]:
        """Yield what differs of what some code reads."""
        for macro in reading.macros & self._difference.macros:
            yield macro, self._macros.get(macro)
        names = self._difference.vars if ALL_VARS in reading.vars else reading.vars & self._difference.vars
        for name in names:
            declared = self._vars.of(frozenset({name}))
            yield f"var:{name}", digest_of(declared) if declared else None
        if reading.dispatched and DISPATCH in self._settings:
            yield DISPATCH, self._settings[DISPATCH]


def _difference(definitions: Iterable[Definition]) -> _Difference:
    """Return in what some releases differ."""
    every = tuple(definitions)
    return _Difference(
        macros=_differing([_macros(one) for one in every]),
        vars=_differing([_vars(one) for one in every]),
        settings=_differing([_settings(one) for one in every]),
        sources=_differing([_sources(one) for one in every], absence=False),
    )


def _differing(tables: list[Mapping[str, Digest]], *, absence: bool = True) -> frozenset[str]:
    """Return the keys that are not the same in all tables; without `absence` a table may lack one."""
    states: dict[str, set[Digest]] = {}
    for table in tables:
        for key, state in table.items():
            states.setdefault(key, set()).add(state)
    missing = {key for key in states if any(key not in table for table in tables)} if absence else set()
    return frozenset(missing | {key for key, found in states.items() if len(found) > 1})


def _macros(definition: Definition) -> Mapping[str, Digest]:
    """Return the macros of a project and its packages, each with a digest of its text."""
    return {
        id_: digest_of(unix(macro.macro_sql.strip()))
        for id_, macro in definition.macros.items()
        if macro.package_name not in definition.internal
    }


def _vars(definition: Definition) -> Mapping[str, Digest]:
    """Return what is declared of each var."""
    declared = DeclaredVars(definition.vars)
    return {name: digest_of(declared.of(frozenset({name}))) for name in declared.names}


def _settings(definition: Definition) -> Mapping[str, Digest]:
    """Return what belongs to the project as a whole."""
    hooks = sorted((id_, node.raw_code) for id_, node in definition.nodes.items() if node.resource_type == "operation")
    return {
        HOOKS: digest_of(hooks),
        DISPATCH: digest_of(definition.dispatch),
        QUOTING: digest_of(definition.quoting),
        FLAGS: digest_of(flags.of_models(definition.flags)),
    }


def _sources(definition: Definition) -> Mapping[str, Digest]:
    """Return where each source is."""
    return {id_: _relation(definition, id_) for id_ in definition.others if is_place(id_)}


def _relation(definition: Definition, source: str) -> Digest:
    return digest_of(definition.others[source].relation_name)
