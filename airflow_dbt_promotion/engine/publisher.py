"""Publishing: doing in the target what a plan's strategy says, and not what an earlier attempt has done."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from airflow_dbt_promotion.core.building import Segment, segments
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.ports import BuildRequest, Mark, OnProgress, Progress, Published, Workshop
from airflow_dbt_promotion.core.promotion import Built
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.engine.locks import Held
from airflow_dbt_promotion.engine.planner import Planned
from airflow_dbt_promotion.failpoints import Failpoint, reached


class _Hearing:
    """Passes progress on, as long as the lock is ours."""

    def __init__(self, held: Held, on_progress: OnProgress) -> None:
        """Take the lock, and whom to tell."""
        self.held, self.on_progress = held, on_progress

    def __call__(self, progress: Progress) -> None:
        """Take a sign of life of dbt's."""
        self.held.check()
        self.on_progress(progress)
        if progress.status == ResultStatus.SUCCESS.value:
            self.held.touched = True
            reached(Failpoint.MODEL_PUBLISHED)


class Publisher:
    """Publishes plans."""

    def __init__(self, workshop: Workshop) -> None:
        """Take what runs dbt."""
        self._workshop = workshop

    def publish(self, planned: Planned, mark: Mark, held: Held, on_progress: OnProgress) -> Built:
        """Do what the strategy does in the target; stop at the first invocation that did not succeed.

        Raises LockLostError where the lock was lost meanwhile, and what `Workshop.build` raises.
        """
        plan = planned.plan
        reached(Failpoint.PUBLISHING)
        match plan.strategy:
            case Strategy.RECORD:
                return Built()
            case Strategy.BUILD if all(change.after is None for change in plan.changes):
                return Built()
            case Strategy.BUILD:
                release = planned.composition.release if planned.composition else planned.situation.project
                if release is None:
                    raise ValueError("`build` needs code to build from")
                return self._build(planned, release, mark, _Hearing(held, on_progress))

    def keep(self, planned: Planned) -> None:
        """Keep the sources at hand, where they are what is built from."""
        project = planned.situation.project if planned.composition is None else None
        if planned.plan.strategy is Strategy.BUILD and project is not None and project.id is not None:
            self._workshop.keep(project.id)

    def _build(self, planned: Planned, release: Release, mark: Mark, hearing: _Hearing) -> Built:
        """Run each invocation of the plan, without what the marks of an earlier attempt say was published."""
        target, held = planned.situation.target, hearing.held
        left = mark if target.marks else None
        published = {} if left is None else self._workshop.published(target, left, planned.composition)
        runs, words = [_earlier(published, target.target)] if published else [], list[str]()
        for segment in segments(planned.plan, release):
            rest = _rest(segment, published)
            if rest is None:
                continue
            held.check()
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
        held.check()
        reached(Failpoint.PUBLISHED)
        others = planned.situation.others
        source = planned.situation.source_state
        beside = (*(other for other in others if other.environment != target.name), *((source,) if source else ()))
        return Built(runs=tuple(runs), release=release, words=tuple(words), others=beside, aligned=planned.aligned)


def _rest(segment: Segment, published: Mapping[ModelId, Published]) -> Segment | None:
    """Return what is left to do of an invocation: tests are run again, models are not. None where nothing is."""
    models = tuple(model for model in segment.models if model.id not in published)
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
