"""Arranging, filling and swapping: what a dialect says, carried out by dbt at a desk."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain, count

from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Arrangement, ArrangeRequest, Beside, Fill, Obstacle, Swapped, beside_names
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError, LockLostError, NotSwappedError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.orders import SwapRequest
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.desk import Desk
from airflow_dbt_promotion.dbt.invocation import DbtOutcome
from airflow_dbt_promotion.dbt.marks import SHUT_OUT
from airflow_dbt_promotion.dbt.publish import checks, operations
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind
from airflow_dbt_promotion.dbt.publish.dialect import CATALOG_CHANGED, LOST, Dialect, Located, Step
from airflow_dbt_promotion.dbt.publish.relocation import Unlocatable, located

_SNAPSHOT = "snapshot"
_INCREMENTAL = "incremental"
_APPENDED = "__dbt_backup"
_MOST_TRIES = 5
"""How often a swap is made again for a catalog that changed meanwhile."""

_CLONED = frozenset({"table", "incremental", "seed"})


class Swapping:
    """Swaps in one environment's warehouse."""

    def __init__(self, desk: Desk, dialect: Dialect, environment: Environment, project: str) -> None:
        """Take where dbt works, the warehouse's dialect, the environment, and the project's name."""
        self._desk, self._dialect, self._environment, self._project = desk, dialect, environment, project

    def arrange(
        self,
        request: ArrangeRequest,
        origins: Mapping[ModelId, Place],
        granted_before: Callable[[Collection[ModelId]], Mapping[ModelId, tuple[str, ...]]] = lambda _: {},
    ) -> Arrangement | tuple[Obstacle, ...]:
        """Return where everything is built, or what is in the way; `origins` are the relations to be cloned.

        `granted_before` says which privileges the config of what is replaced granted.
        """
        found = located(self._desk.parse, request.models, self._dialect)
        unknown = [_unlocatable(one) for one in found if isinstance(one, Unlocatable)]
        if unknown:
            return tuple(unknown)
        nodes = [one for one in found if isinstance(one, Located)]
        besides = [self._beside(node, request, origins) for node in nodes]
        catalog, here = self._ask(_places(besides))
        asked = [one.model for one in besides if self._dialect.spot(one.place) in catalog.privileges]
        before = granted_before(asked) if asked else {}
        besides = [replace(one, granted=(*one.granted, *before.get(one.model, ()))) for one in besides]
        arrangement = self._arranged(besides, nodes, request, catalog)
        moving = {beside.model for beside in arrangement.besides}
        obstacles = chain(
            checks.refused((node for node in nodes if node.model in moving), self._dialect, here),
            _never_anew(nodes, request),
            _ungranted(nodes, arrangement),
            checks.obstacles(arrangement, catalog, self._dialect, request.ours),
        )
        return tuple(obstacles) or arrangement

    def fill(self, arrangement: Arrangement) -> Mapping[ModelId, str]:
        """Take away what an earlier attempt left, and put rows beside where dbt begins with some.

        Returns for each copy what says which rows were copied. Raises DbtError; readers see nothing of it.
        """
        copies = [beside for beside in arrangement.besides if beside.fill in {Fill.COPY, Fill.CLONE}]
        if not copies and not arrangement.left:
            return {}
        origins = [beside.origin for beside in copies if beside.origin is not None]
        catalog, _here = self._ask([*_places(arrangement.besides), *arrangement.left, *origins])
        dropped = [
            self._dialect.dropped(place, catalog.relations[spot])
            for place in reversed(arrangement.left)  # children before what they read
            if (spot := self._dialect.spot(place)) in catalog.relations
        ]
        steps = [Step(models=(), kept=(), statements=tuple(dropped))] if dropped else []
        steps += [self._copying(beside, catalog) for beside in copies]
        outcome = self._do(steps, None)
        if not outcome.success:
            raise DbtError(f"rows could not be put beside those of {self._environment.name}", outcome.messages)
        return {model: step.answer for step in operations.done(outcome) for model in step.done if step.answer}

    def _copying(self, beside: Beside, catalog: Catalog) -> Step:
        """Return the step that puts the rows of one model beside."""
        statements = self._dialect.copied(beside, catalog)
        question = self._dialect.row_witness(beside.place) if beside.fill is Fill.COPY else ""
        return Step(models=(beside.model,), kept=(), statements=statements, question=question)

    def swap(self, request: SwapRequest) -> Swapped:
        """Swap; see `Workshop.swap`."""
        catalog, _here = self._ask(_places(request.arrangement.besides))
        if self._unfilled(request.arrangement, catalog):
            self.fill(request.arrangement)
            catalog, _here = self._ask(_places(request.arrangement.besides))
        told = None
        if request.mark is not None:
            now = datetime.now(tz=UTC)
            told = operations.Told(
                environment=self._environment, mark=request.mark, invocation_id=request.invocation_id, at=now
            )
        for tries in count(1):
            words = tuple(checks.missing(request.arrangement, catalog, self._dialect))
            if words:
                return Swapped(at=None, words=words)
            outcome = self._do(self._dialect.swap(request.arrangement, catalog), told)
            if tries == _MOST_TRIES or not any(CATALOG_CHANGED in message for message in outcome.messages):
                return self._swapped(request, outcome)
            catalog, _here = self._ask(_places(request.arrangement.besides))
        raise AssertionError

    def _swapped(self, request: SwapRequest, outcome: DbtOutcome) -> Swapped:
        """Return what became of a swap."""
        steps = list(operations.done(outcome))
        if outcome.success and steps:
            return Swapped(at=steps[-1].at)
        if any(SHUT_OUT in message for message in outcome.messages):
            raise LockLostError(self._environment.name, "a newer attempt")
        return self._after_all(request.arrangement, outcome)

    def kinds(self, places: Collection[Place]) -> Mapping[Place, Kind]:
        """Return which of some places hold something, and what."""
        catalog, _here = self._ask(places)
        found = {place: catalog.kind(self._dialect.spot(place)) for place in places}
        return {place: kind for place, kind in found.items() if kind is not None}

    def drop(self, places: Iterable[Place]) -> Mapping[Place, str]:
        """Drop relations, each after what reads it; return those that stay, each with the reason.

        What a foreign key of another one refers to is no reader that the catalog tells of: it is tried again once
        others are gone.
        """
        every = list(places)
        catalog, _here = self._ask(every)
        failed: dict[Place, str] = {}
        waiting: list[Place] = []
        for place in _readers_first(every, catalog, self._dialect):
            if catalog.kind(self._dialect.spot(place)) is Kind.OTHER:
                failed[place] = "it is neither a table nor a view: this package did not make it"
            else:
                waiting.append(place)
        while waiting:
            still = self._dropped(waiting, catalog)
            if len(still) == len(waiting):
                return {**failed, **still}
            waiting = list(still)
        return failed

    def _dropped(self, places: Iterable[Place], catalog: Catalog) -> Mapping[Place, str]:
        """Drop one relation after the other; return those that stay, each with the reason."""
        failed: dict[Place, str] = {}
        waiting = list(places)
        while waiting:
            outcome = self._do([self._dropping(place, catalog) for place in waiting], None)
            dropped = len(list(operations.done(outcome)))
            if dropped < len(waiting):
                failed[waiting[dropped]] = " ".join(outcome.messages) or "the warehouse gave no reason"
            waiting = waiting[dropped + 1 :]
        return failed

    def _dropping(self, place: Place, catalog: Catalog) -> Step:
        """Return the step that drops one relation."""
        statement = self._dialect.dropped(place, catalog.relations[self._dialect.spot(place)])
        return Step(models=(), kept=(), statements=(statement,))

    def _beside(self, node: Located, request: ArrangeRequest, origins: Mapping[ModelId, Place]) -> Beside:
        """Return where one node is built."""
        next_, was = self._names(node.place, request.token)
        kept = request.kept.get(node.model)
        cloned = node.model in origins and node.materialized in _CLONED
        return Beside(
            model=node.model,
            place=node.place,
            next=node.place.named(next_) if kept is None else kept.place,
            was=node.place.named(was),
            fill=Fill.KEPT if kept is not None else Fill.CLONE if cloned else Fill.BUILD,
            materialized=node.materialized,
            origin=origins[node.model] if cloned else None,
            granted=node.grants,
        )

    def _names(self, place: Place, token: str) -> tuple[str, str]:
        """Return the names of what is built beside a place, and of what is kept of it.

        dbt appends to the names that it is given, and counts letters where warehouses count bytes.
        """
        longest = self._dialect.longest - (0 if place.identifier.isascii() else len(_APPENDED))
        return beside_names(place.identifier, token, longest)

    def _arranged(
        self, besides: Iterable[Beside], nodes: Iterable[Located], request: ArrangeRequest, catalog: Catalog
    ) -> Arrangement:
        """Return the arrangement of some models, as the catalog lets it be."""
        moving, standing, left, done = [], [], [], []
        ours = {self._dialect.spot(place) for place in request.ours}
        for planned, node in zip(besides, nodes, strict=True):
            beside = planned
            old = catalog.kind(self._dialect.spot(beside.place))
            there = self._dialect.spot(beside.next) in catalog.relations
            if node.resource_type == _SNAPSHOT and old is not None:
                standing.append(beside.model)
                continue
            was = self._dialect.spot(beside.was)
            if was in ours and was in catalog.relations and not there:
                done.append(beside.model)
                continue
            if beside.fill is Fill.KEPT and not there:
                next_, _was = self._names(beside.place, request.token)
                beside = replace(beside, fill=Fill.BUILD, next=beside.place.named(next_))
            elif beside.fill is not Fill.KEPT and there:
                left.append(beside.next)
            copies = node.materialized == _INCREMENTAL and old is Kind.TABLE and node.model not in request.anew
            fill = Fill.COPY if copies and beside.fill is Fill.BUILD else beside.fill
            moving.append(replace(beside, fill=fill, replaces=old is not None, has_rows=old is Kind.TABLE))
        return Arrangement(
            token=request.token,
            besides=tuple(moving),
            standing=tuple(standing),
            left=tuple(left),
            done=tuple(done),
            ours=request.ours,
        )

    def _unfilled(self, arrangement: Arrangement, catalog: Catalog) -> bool:
        """Say whether clones are missing: where nothing was built and nothing tested, nothing has made them."""
        clones = (self._dialect.spot(beside.next) for beside in arrangement.besides if beside.fill is Fill.CLONE)
        return any(spot not in catalog.relations for spot in clones)

    def _after_all(self, arrangement: Arrangement, outcome: DbtOutcome) -> Swapped:
        """Find out what became of a swap that did not end well: it may have taken place, and the answer was lost."""
        catalog, _here = self._ask(_places(arrangement.besides))
        still = [self._dialect.spot(beside.next) in catalog.relations for beside in arrangement.besides]
        if self._dialect.atomic and not any(still):
            return Swapped(at=datetime.now(tz=UTC))
        if all(still) and any(LOST in message for message in outcome.messages):
            return Swapped(at=None, words=outcome.messages)
        told = f"what was built beside {self._environment.name} could not be swapped into place"
        aside = any(self._dialect.spot(beside.was) in catalog.relations for beside in arrangement.besides)
        if all(still) and (self._dialect.atomic or not aside):
            raise NotSwappedError(f"{told}; readers see what they saw before", outcome.messages)
        raise DbtError(f"{told}, or not all of it", outcome.messages)

    def _ask(self, places: Iterable[Place]) -> tuple[Catalog, str | None]:
        """Return what the catalog says of some places, and the database that dbt works in."""
        questions = self._dialect.questions(list(places))
        parse = operations.asking(self._desk.parse, self._project, questions)
        outcome = self._desk.operate(parse, operations.ask(self._environment, self._desk.target))
        answers = operations.answered(outcome, self._environment)
        return self._dialect.catalog(answers), next(iter(answers.get("target", [[None]])))[0]

    def _do(self, steps: Iterable[Step], told: operations.Told | None) -> DbtOutcome:
        """Take some steps."""
        parse = operations.doing(self._desk.parse, self._project, steps, told, whole=self._dialect.whole)
        return self._desk.operate(parse, operations.do(self._environment, self._desk.target))


def _places(besides: Iterable[Beside]) -> list[Place]:
    """Return every place that some models have or get."""
    return [place for one in besides for place in (one.place, one.next, one.was)]


def _unlocatable(node: Unlocatable) -> Obstacle:
    """Return why a node cannot be relocated."""
    reason = (
        f"dbt names its relation {node.relation_name or '(nothing)'}, and that is not its database, schema and alias; "
        f"promote it with `strategy: build`"
    )
    return Obstacle(model=node.model, code="not_swappable", reason=reason)


def _never_anew(nodes: Iterable[Located], request: ArrangeRequest) -> Iterator[Obstacle]:
    """Yield the models that are to be built anew and say that they must never be."""
    for node in nodes:
        if node.model in request.anew and node.full_refresh is False:
            reason = "its config says `full_refresh: false`; choose `on_incremental_change: forward_only`"
            yield Obstacle(model=node.model, code="never_anew", reason=reason)


def _ungranted(nodes: Iterable[Located], arrangement: Arrangement) -> Iterator[Obstacle]:
    """Yield the models that would be clones, and whose config has grants: dbt puts none on what it does not build."""
    clones = {beside.model for beside in arrangement.besides if beside.fill is Fill.CLONE}
    for node in nodes:
        if node.model in clones and node.grants:
            reason = (
                "its config has grants, which a clone does not get; grant on its schema, or choose another strategy"
            )
            yield Obstacle(model=node.model, code="not_swappable", reason=reason)


def _readers_first(places: Iterable[Place], catalog: Catalog, dialect: Dialect) -> Iterator[Place]:
    """Yield the relations that are there, each after those of them that read it."""
    waiting = {spot: place for place in places if (spot := dialect.spot(place)) in catalog.relations}
    reads = {reader.spot: set(reader.reads) for reader in catalog.readers if reader.spot in waiting}
    while waiting:
        read = {spot for reader, spots in reads.items() if reader in waiting for spot in spots}
        free = [spot for spot in waiting if spot not in read] or list(waiting)
        free.sort(key=lambda spot: catalog.relations[spot].kind is Kind.TABLE)
        yield from (waiting.pop(spot) for spot in free)
