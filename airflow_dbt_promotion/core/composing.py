"""Composing: what is taken from which release, so that each served model finds what it was validated with.

A model is taken from the release that its entry names, with the ephemeral models and the sources that it reads. A macro
or a var is taken from the release of the models that rely on it. Tests, unit tests, exposures and semantic objects are
taken from the release of the model below them that entered last: it was validated with what that release says of them.
Everything else comes from the release of the model that entered last of all, the base.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.definition import (
    AsWritten,
    DeclaredVar,
    Definition,
    Exposure,
    Macro,
    Node,
    Other,
    UnitTest,
    is_place,
)
from airflow_dbt_promotion.core.errors import UnservableError
from airflow_dbt_promotion.core.graph import KINDS
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, ReleaseId
from airflow_dbt_promotion.core.reliance import Reliances
from airflow_dbt_promotion.core.sharing import Sharing
from airflow_dbt_promotion.core.state import Entry


def compose(
    environment: EnvironmentName,
    served: Mapping[ModelId, Entry],
    definitions: Mapping[ReleaseId, Definition],
    reliances: Reliances | None = None,
) -> Composition:
    """Return the project that an environment runs, from the releases that its entries name.

    What cannot be had is in `unserved`, with its children. Whether each model comes out as promoted is for `verify` to
    say. Raises UnservableError where nothing at all can be had.
    """
    return _Composing(environment, served, definitions, reliances or Reliances(definitions)).composition()


class _Composing:
    """One composition in the making."""

    def __init__(
        self,
        environment: EnvironmentName,
        served: Mapping[ModelId, Entry],
        definitions: Mapping[ReleaseId, Definition],
        reliances: Reliances,
    ) -> None:
        """Take the entries, and the releases that they name."""
        self._environment, self._served, self._definitions = environment, served, definitions
        self._reliances = reliances
        self._unserved: dict[ModelId, str] = {}
        self._origins: dict[str, ReleaseId] = {}
        self._entered: dict[str, tuple[datetime, ReleaseId]] = {}

    def composition(self) -> Composition:
        """Take everything from somewhere."""
        self._place_models()
        if not self._entered:
            raise UnservableError(self._environment, sorted(self._unserved), self._nothing())
        self._base = max(self._entered.values())[1]
        self._place_others()
        models = {ModelId(id_): entered for id_, entered in self._entered.items() if id_ in self._served}
        shared = Sharing(models, self._origins, self._base, self._definitions, self._reliances)
        variables, latest = shared.vars(), shared.latest()
        self._origins.update(shared.macros())
        return Composition(
            definition=self._definition(variables, latest),
            base=self._base,
            origins=self._origins,
            vars={name: release for name, release in variables.items() if release != self._base},
            latest=latest,
            unserved=self._unserved,
        )

    def _nothing(self) -> str:
        reason = next(iter(self._unserved.values()), "nothing was ever promoted to it")
        return f"there is nothing that could be run: {reason}"

    # --- models -------------------------------------------------------------------------------------------------------

    def _place_models(self) -> None:
        """Place every model whose release has it, and whose parents can be had; the ephemeral ones they read, too."""
        there = {}
        for model, entry in self._served.items():
            if (problem := self._problem(model, entry.release)) is not None:
                self._unserved[model] = problem
            elif entry.release is not None:  # pragma: no branch - that was the first problem
                there[model] = entry.release
        for model, lacking in self._orphans(there).items():
            self._unserved[model] = f"it reads {lacking}, which {self._environment} does not hold or cannot have"
            del there[model]
        for model, release in there.items():
            since = (self._served[model].since, release)
            self._origins[model], self._entered[model] = release, since
            for inner in self._read_through(model, self._definitions[release]):
                if inner not in self._entered or self._entered[inner] < since:
                    self._origins[inner], self._entered[inner] = release, since

    def _problem(self, model: ModelId, release: ReleaseId | None) -> str | None:
        """Say why a model cannot be had from its release."""
        if release is None:
            return "its sources were not kept when it entered"
        if release not in self._definitions:
            return f"its kept sources (release {release[:8]}) cannot be had"
        if model not in self._definitions[release].nodes:
            return f"release {release[:8]}, parsed for the target of {self._environment}, does not have it"
        return None

    def _orphans(self, there: Mapping[ModelId, ReleaseId]) -> dict[ModelId, str]:
        """Return the models of which a parent is not there, each with that parent; their children, too."""
        orphans: dict[ModelId, str] = {}
        children: dict[str, list[ModelId]] = {}
        for model, release in there.items():
            definition = self._definitions[release]
            for parent in self._parents(model, definition):
                children.setdefault(parent, []).append(model)
                if parent not in there:
                    orphans.setdefault(model, parent)
        waiting = list(orphans)
        while waiting:
            lost = waiting.pop()
            for child in children.get(lost, ()):
                if child not in orphans:
                    orphans[child] = lost
                    waiting.append(child)
        return orphans

    def _parents(self, model: str, definition: Definition) -> Iterator[str]:
        """Yield the models that a model reads; ephemeral ones are looked through."""
        for id_ in (model, *self._read_through(model, definition)):
            for parent in definition.nodes[id_].depends_on.nodes:
                node = definition.nodes.get(parent)
                if node is not None and node.resource_type in KINDS and not node.is_ephemeral:
                    yield parent

    def _read_through(self, model: str, definition: Definition) -> list[str]:
        """Return the ephemeral models that a model is made of, directly or through others."""
        found: list[str] = []
        waiting = [model]
        while waiting:
            for parent in definition.nodes[waiting.pop()].depends_on.nodes:
                node = definition.nodes.get(parent)
                if node is not None and node.is_ephemeral and parent not in found:
                    found.append(parent)
                    waiting.append(parent)
        return found

    # --- what stands on models ----------------------------------------------------------------------------------------

    def _place_others(self) -> None:
        """Place sources, then tests and whatever else stands on models."""
        self._place_sources()
        for release, definition in self._definitions.items():
            lower: dict[str, tuple[datetime, ReleaseId] | None] = {}
            for id_, parents in _standing(definition):
                if self._belongs(id_, parents, release, definition, lower):
                    self._origins[id_] = release
        self._drop_dangling()
        base = self._definitions[self._base]
        hooks = (id_ for id_, node in base.nodes.items() if node.resource_type == "operation")
        self._origins.update(dict.fromkeys(hooks, self._base))

    def _place_sources(self) -> None:
        """Place each source with the model that entered last of those that read it; others as the base has them."""
        read: dict[str, tuple[datetime, ReleaseId]] = {}
        for id_, since in self._entered.items():
            for parent in self._definitions[since[1]].nodes[id_].depends_on.nodes:
                known = parent in self._definitions[since[1]].others
                if known and is_place(parent) and (parent not in read or read[parent] < since):
                    read[parent] = since
        others = (id_ for id_ in self._definitions[self._base].others if is_place(id_))
        self._origins |= dict.fromkeys(others, self._base) | {id_: since[1] for id_, since in read.items()}

    def _belongs(
        self,
        id_: str,
        parents: Iterable[str],
        release: ReleaseId,
        definition: Definition,
        known: dict[str, tuple[datetime, ReleaseId] | None],
    ) -> bool:
        """Say whether something that stands on models is taken from a release: its newest model is from there."""
        newest = self._newest(id_, parents, definition, known)
        return (newest[1] if newest is not None else self._base) == release

    def _newest(
        self,
        id_: str,
        parents: Iterable[str],
        definition: Definition,
        known: dict[str, tuple[datetime, ReleaseId] | None],
    ) -> tuple[datetime, ReleaseId] | None:
        """Return when the newest of the models below something entered, and from which release."""
        if id_ not in known:
            known[id_] = None
            found = []
            for parent in parents:
                if parent in self._entered:
                    found.append(self._entered[parent])
                elif parent in definition.others:
                    inner = self._newest(parent, definition.others[parent].depends_on.nodes, definition, known)
                    found += [inner] if inner is not None else []
            known[id_] = max(found, default=None)
        return known[id_]

    def _drop_dangling(self) -> None:
        """Leave out what reads something that is not there, until nothing does."""
        standing = {
            id_: parents
            for release, definition in self._definitions.items()
            for id_, parents in _standing(definition)
            if self._origins.get(id_) == release
        }
        while dropped := [
            id_ for id_, parents in standing.items() if not all(parent in self._origins for parent in parents)
        ]:
            for id_ in dropped:
                del standing[id_], self._origins[id_]

    # --- the whole ----------------------------------------------------------------------------------------------------

    def _definition(
        self, variables: Mapping[str, ReleaseId], latest: Mapping[str, str | int | float | None]
    ) -> Definition:
        """Return the whole as one definition."""
        nodes: dict[str, Node] = {}
        macros: dict[str, Macro] = {}
        units: dict[str, UnitTest] = {}
        exposures: dict[str, Exposure] = {}
        others: dict[str, Other] = {}
        written: dict[str, AsWritten] = {}
        graphs: dict[str, Definition] = {}
        for id_, release in self._origins.items():
            one = self._definitions[release]
            if id_ in one.nodes:
                node = one.nodes[id_]
                nodes[id_] = replace(node, latest_version=latest[id_]) if id_ in latest else node
                graphs[id_] = one
                if one.written is not None and id_ in one.written:
                    written[id_] = one.written[id_]
            elif id_ in one.macros:
                macros[id_] = one.macros[id_]
            elif id_ in one.unit_tests:
                units[id_] = one.unit_tests[id_]
            else:
                others[id_] = one.others[id_]
                if id_ in one.exposures:
                    exposures[id_] = one.exposures[id_]
        return replace(
            self._definitions[self._base],
            where=f"what {self._environment} runs",
            nodes=nodes,
            macros=macros,
            unit_tests=units,
            exposures=exposures,
            others=others,
            written=written,
            vars=self._declared(variables),
            internal=self._internal(),
            graphs=graphs,
        )

    def _internal(self) -> frozenset[str]:
        """Return the packages of dbt and its adapter, over all releases."""
        return frozenset().union(*(one.internal for one in self._definitions.values()))

    def _declared(self, variables: Mapping[str, ReleaseId]) -> tuple[DeclaredVar, ...]:
        """Return the declarations of every var, each var's from where it is taken."""
        base = [var for var in self._definitions[self._base].vars if var.name not in variables]
        moved = (
            var
            for name, release in sorted(variables.items())
            for var in self._definitions[release].vars
            if var.name == name
        )
        return (*base, *moved)


def _standing(definition: Definition) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the tests, unit tests, exposures and semantic objects of a release, with what each of them reads."""
    for id_, node in definition.nodes.items():
        if node.resource_type in {"test", "analysis", "sql_operation"}:
            yield id_, node.depends_on.nodes
    for id_, unit in definition.unit_tests.items():
        yield id_, unit.depends_on.nodes
    for id_, other in definition.others.items():
        if not is_place(id_):
            yield id_, other.depends_on.nodes
