"""Publishing: doing in the target what a plan's strategy says, and not what an earlier attempt has done."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core.building import Segment, segments
from airflow_dbt_promotion.core.change import BUILT
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.orders import BuildRequest, Mark, OnProgress, Progress, Published
from airflow_dbt_promotion.core.ports import Workshop
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.results import Built
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.engine.beside import Prepared, Swap, prepare
from airflow_dbt_promotion.engine.locks import Held
from airflow_dbt_promotion.engine.planned import Planned
from airflow_dbt_promotion.failpoints import Failpoint, reached


class Hearing:
    """Passes progress on, as long as the lock is ours; `in_place` says that readers see each model as it is built."""

    def __init__(self, held: Held, on_progress: OnProgress, *, in_place: bool) -> None:
        """Take the lock, and whom to tell."""
        self.held, self.on_progress, self._in_place = held, on_progress, in_place

    def __call__(self, progress: Progress) -> None:
        """Take a sign of life of dbt's."""
        self.held.check()
        self.on_progress(progress)
        if progress.status == ResultStatus.SUCCESS.value:
            self.held.touched = self.held.touched or self._in_place
            reached(Failpoint.MODEL_PUBLISHED)


class Publisher:
    """Publishes plans."""

    def __init__(self, workshop: Workshop) -> None:
        """Take what runs dbt."""
        self._workshop = workshop

    def prepare(self, planned: Planned, mark: Mark, now: datetime) -> Prepared:
        """Ask the warehouse what has to be known before anything is done there; raises what `beside.prepare` raises."""
        if not planned.plan.strategy.swaps or _is_empty(planned):
            return Prepared()
        return prepare(self._workshop, planned, code_of(planned), mark, now)

    def publish(self, planned: Planned, prepared: Prepared, mark: Mark, held: Held, on_progress: OnProgress) -> Built:
        """Do what the strategy does in the target; stop at the first invocation that did not succeed.

        Raises LockLostError where the lock was lost meanwhile, and what `Workshop.build` and `Workshop.swap` raise.
        """
        reached(Failpoint.PUBLISHING)
        if planned.plan.strategy is Strategy.RECORD or _is_empty(planned):
            return Built()
        if planned.plan.strategy is Strategy.BUILD:
            built = self._build(planned, mark, Hearing(held, on_progress, in_place=True))
        else:
            built = self._swap(planned, prepared, mark, Hearing(held, on_progress, in_place=False))
        held.check()
        reached(Failpoint.PUBLISHED)
        others, source = planned.situation.others, planned.situation.source_state
        name = planned.situation.target.name
        beside = (*(other for other in others if other.environment != name), *((source,) if source else ()))
        return replace(built, others=beside, aligned=planned.aligned)

    def keep(self, planned: Planned) -> None:
        """Keep the sources at hand, where they are what is built from."""
        project = planned.situation.project if planned.composition is None else None
        if planned.plan.strategy.builds and project is not None and project.id is not None:
            self._workshop.keep(project.id)

    def _swap(self, planned: Planned, prepared: Prepared, mark: Mark, hearing: Hearing) -> Built:
        """Build beside and swap, without what the marks of an earlier attempt say was swapped."""
        published = prepared.published
        earlier = (_earlier(published, planned.situation.target.target),) if published else ()
        swap = Swap(self._workshop, planned, code_of(planned), prepared)
        return swap.carry_out(mark, hearing.held, hearing, earlier)

    def _build(self, planned: Planned, mark: Mark, hearing: Hearing) -> Built:
        """Run each invocation of the plan, without what the marks of an earlier attempt say was published, and without
        snapshots on the way back: their code goes, and their rows stay as they are.
        """
        target, release = planned.situation.target, code_of(planned)
        left = mark if target.marks else None
        published = {} if left is None else self._workshop.published(target, left, planned.composition)
        standing = _standing(planned)
        runs, words = [_earlier(published, target.target)] if published else [], list[str]()
        for segment in segments(planned.plan, release):
            rest = _rest(segment, published.keys() | standing)
            if rest is None:
                continue
            hearing.held.check()
            order = BuildRequest(
                environment=target,
                models=rest.models,
                tests=rest.tests,
                full_refresh=rest.full_refresh,
                composition=planned.composition,
                mark=left,
            )
            report = self._workshop.build(order, hearing)
            runs.append(report.run)
            words.extend(report.words)
            if not report.success:
                break
        return Built(runs=tuple(runs), release=release, words=tuple(words), there=standing)


def _is_empty(planned: Planned) -> bool:
    """Say whether a plan only lets go of models."""
    return all(change.after is None for change in planned.plan.changes)


def code_of(planned: Planned) -> Release:
    """Return what a plan is built from."""
    release = planned.composition.release if planned.composition else planned.situation.project
    if release is None:
        raise ValueError("what is built needs code to build from")
    return release


def _standing(planned: Planned) -> frozenset[ModelId]:
    """Return the snapshots of a rollback."""
    if planned.plan.rollback_to is None:
        return frozenset()
    return frozenset(c.model for c in planned.plan.changes if c.kind in BUILT and c.model.startswith("snapshot."))


def _rest(segment: Segment, done: Collection[ModelId]) -> Segment | None:
    """Return what is left to do of an invocation: tests are run again, models are not. None where nothing is."""
    models = tuple(model for model in segment.models if model.id not in done)
    return replace(segment, models=models) if models or segment.tests else None


def _earlier(published: Mapping[ModelId, Published], target: str) -> Run:
    """Return what an earlier attempt published as a run of its own."""
    instants = [one.at for one in published.values()]
    return Run(
        invocation_id=max(published.values(), key=lambda one: one.at).invocation_id,
        command="build",
        where="the marks of an earlier attempt in the warehouse",
        started_at=min(instants),
        finished_at=max(instants),
        results=tuple(
            NodeResult(id=model, status=ResultStatus.SUCCESS, started_at=one.at, completed_at=one.at)
            for model, one in sorted(published.items())
        ),
        target=target,
    )
