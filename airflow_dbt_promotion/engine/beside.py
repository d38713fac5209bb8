"""Publishing by a swap: build and test beside what readers see, then let them see all of it at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec import Struct

from airflow_dbt_promotion.core.beside import Arrangement, ArrangeRequest, Fill, Obstacle, made_by_us, token_of
from airflow_dbt_promotion.core.building import segments
from airflow_dbt_promotion.core.change import BUILT
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.evidence import of_version
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId, bare_name
from airflow_dbt_promotion.core.orders import BuildRequest, Mark, OnProgress, Published, SwapRequest
from airflow_dbt_promotion.core.parts import run_of
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.ports import Workshop
from airflow_dbt_promotion.core.relations import KeptRelation
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.results import Built
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.state import EnvironmentState, Part
from airflow_dbt_promotion.engine.locks import Held
from airflow_dbt_promotion.engine.planned import Planned
from airflow_dbt_promotion.failpoints import Failpoint, reached


class Prepared(Struct, frozen=True, kw_only=True):
    """What a warehouse was asked before a plan is carried out there.

    `published` is what earlier attempts have published, `arrangement` where the rest is built, None where it is built
    in place. `beside`, `kept` and `aside` are the relations that come of it. Of the models in `gone`, what was kept is
    not there any more. With `obstacles` it cannot be carried out. `parts` were built by themselves before.
    """

    published: Mapping[ModelId, Published] = {}
    arrangement: Arrangement | None = None
    obstacles: tuple[Obstacle, ...] = ()
    beside: Mapping[ModelId, Place] = {}
    kept: Mapping[ModelId, KeptRelation] = {}
    aside: Mapping[ModelId, Place] = {}
    gone: tuple[ModelId, ...] = ()
    parts: tuple[Part, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What people should know of it."""
        if not self.gone:
            return ()
        names = ", ".join(bare_name(model) for model in self.gone)
        return (f"what was kept of {names} is gone from the warehouse; built anew from its code",)

    @property
    def touched(self) -> bool:
        """Whether readers see something of an earlier attempt."""
        return bool(self.published) or (self.arrangement is not None and bool(self.arrangement.done))


def prepare(workshop: Workshop, planned: Planned, release: Release, mark: Mark, now: datetime) -> Prepared:
    """Ask what was published already, and arrange the rest.

    Raises LockLostError where a newer holder was there before, DbtError where the warehouse cannot be asked.
    """
    plan, situation = planned.plan, planned.situation
    target, state = situation.target, situation.target_state
    left = mark if target.marks else None
    published = {} if left is None else workshop.published(target, left, planned.composition)
    building = {change.model for change in plan.changes if change.kind in BUILT} - published.keys()
    found = arrange(workshop, planned, release, building, token_of(plan.plan_id, mark.lineage, mark.first))
    if not isinstance(found, Arrangement):
        return Prepared(published=published, obstacles=found)
    return Prepared(
        published=published,
        arrangement=found,
        beside={one.model: one.next for one in found.besides if one.fill is not Fill.KEPT},
        kept={
            one.model: KeptRelation(place=one.was, rows_at=_rows_at(state, one.model, now))
            for one in found.besides
            if one.replaces and one.has_rows
        },
        aside={one.model: one.was for one in found.besides if one.replaces and not one.has_rows},
        gone=tuple(one.model for one in found.besides if one.model in planned.kept and one.fill is not Fill.KEPT),
    )


def arrange(
    workshop: Workshop, planned: Planned, release: Release, models: Collection[ModelId], token: str
) -> Arrangement | tuple[Obstacle, ...]:
    """Return where some models of a plan are built, or what is in the way; raises as `Workshop.arrange` does."""
    situation = planned.situation
    request = ArrangeRequest(
        models=release.parents_first(models),
        token=token,
        anew=_anew(planned),
        kept=planned.kept,
        ours=made_by_us(situation.target_state),
        served=_served(situation.target_state, models),
        source=situation.source if planned.plan.strategy is Strategy.CLONE else None,
    )
    return workshop.arrange(situation.target, planned.composition, request)


class Swap:
    """One swap: what is built for it, and how it ends."""

    def __init__(self, workshop: Workshop, planned: Planned, release: Release, prepared: Prepared) -> None:
        """Take what runs dbt, the plan, the code that it is built from, and what was prepared."""
        if prepared.arrangement is None:
            raise ValueError("what is swapped was arranged before")
        self._workshop, self._planned, self._release = workshop, planned, release
        self._arrangement, self._published = prepared.arrangement, prepared.published
        self._ended = sorted((part.end for part in prepared.parts if part.end), key=lambda end: end.finished_at)
        self._built = frozenset(model for part in prepared.parts for model in part.models)
        self._row_witnesses = {model: said for end in self._ended for model, said in end.row_witnesses.items()}

    def carry_out(self, mark: Mark, held: Held, on_progress: OnProgress, earlier: tuple[Run, ...]) -> Built:
        """Build and test beside, and swap if all is well; else readers see what they saw before.

        Raises what `Workshop.build` and `Workshop.swap` raise; `held.touched` says whether readers may see it.
        """
        target = self._planned.situation.target.target
        runs = [*earlier, *(run_of(end, target) for end in self._ended if end.invocation_id)]
        words = tuple(word for end in self._ended for word in end.words)
        well, order = all(end.well for end in self._ended), self._order()
        if well and (order.models or order.tests):
            report = self._workshop.build(order, on_progress)
            runs.append(report.run)
            self._row_witnesses |= report.row_witnesses
            words, well = report.words, report.success
        if well and self._arrangement.besides:
            reached(Failpoint.TESTED)
            held.check()
            words = self._swapped(mark, held, runs[-1].invocation_id if runs else "")
            well = not words
        withheld = frozenset() if well else self._unseen()
        return Built(runs=tuple(runs), release=self._release, words=words, there=self._there(), withheld=withheld)

    def _order(self) -> BuildRequest:
        """Return the one invocation that builds beside: the planned models, and their tests, but for parts that are."""
        left = {change.model for change in self._planned.plan.changes} - self._built
        return order_of(self._planned, self._release, self._arrangement.without(self._built), left)

    def _swapped(self, mark: Mark, held: Held, invocation_id: str) -> tuple[str, ...]:
        """Let readers see it; return why not, nothing where they do."""
        target = self._planned.situation.target
        request = SwapRequest(
            environment=target,
            arrangement=self._arrangement.to_be_seen(self._built, self._row_witnesses),
            composition=self._planned.composition,
            mark=mark if target.marks else None,
            invocation_id=invocation_id,
        )
        before, held.touched = held.touched, True
        try:
            swapped = self._workshop.swap(request)
        except NotSwappedError:
            held.touched = before
            raise
        if swapped.at is None:
            held.touched = before
        return swapped.words

    def _unseen(self) -> frozenset[ModelId]:
        """Return the changes of which readers see nothing without a swap: all but what an earlier attempt swapped."""
        planned = (change.model for change in self._planned.plan.changes)
        return frozenset(planned) - self._published.keys() - set(self._arrangement.done)

    def _there(self) -> frozenset[ModelId]:
        """Return the models of which nothing had to be built."""
        arranged = self._arrangement
        filled = (one.model for one in arranged.besides if one.fill in {Fill.KEPT, Fill.CLONE})
        return frozenset((*arranged.standing, *arranged.done, *filled))


def order_of(
    planned: Planned, release: Release, arrangement: Arrangement, models: Collection[ModelId], part: str | None = None
) -> BuildRequest:
    """Return the invocation that builds some of a plan's models beside, and runs the tests that read one of them."""
    building = {one.model for one in arrangement.besides if one.fill in {Fill.BUILD, Fill.COPY}}
    turns = segments(planned.plan, release)
    return BuildRequest(
        environment=planned.situation.target,
        models=tuple(model for turn in turns for model in turn.models if model.id in building),
        tests=tuple(test for turn in turns for test in turn.tests if not set(models).isdisjoint(test.models)),
        composition=planned.composition,
        arrangement=arrangement,
        part=part,
    )


def _served(state: EnvironmentState, models: Collection[ModelId]) -> Mapping[ModelId, ReleaseId]:
    """Return the releases by which what an environment holds of some models entered, as far as they were kept."""
    found = {model: state.current[model].release for model in models if model in state.current}
    return {model: release for model, release in found.items() if release is not None}


def _anew(planned: Planned) -> frozenset[ModelId]:
    """Return the incremental models whose rows are built anew."""
    return frozenset(change.model for change in planned.plan.changes if planned.plan.builds_anew(change))


def _rows_at(state: EnvironmentState, model: ModelId, now: datetime) -> datetime:
    """Return when the rows that a target holds of a model were built last, as far as is known."""
    entry = state.current.get(model)
    if entry is None:
        return now
    found = of_version(state, model, entry.version)
    built = found.built_at if found is not None else None
    return max(entry.since, built) if built is not None else entry.since
