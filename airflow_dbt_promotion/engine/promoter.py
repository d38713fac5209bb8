"""Carrying a plan out: lock, recheck, journal, publish by strategy, commit, unlock."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core.building import Segment, segments, tests_of
from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.eligibility import GateName, blocked, is_complete
from airflow_dbt_promotion.core.environment import DeployedBy, Environment, Strategy
from airflow_dbt_promotion.core.errors import InputError
from airflow_dbt_promotion.core.evidence import of_version
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.ports import BuildReport, BuildRequest, Clock, OnProgress, Workshop
from airflow_dbt_promotion.core.promotion import Built, Ending, Who, abort, begin, settle
from airflow_dbt_promotion.core.recording import Entering, record
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.planner import Planned, Planner
from airflow_dbt_promotion.engine.request import Promotion, PromotionRequest

OnPlan = Callable[[Plan], None]


class Promoter:
    """Carries out one request at a time."""

    def __init__(self, memory: Memory, planner: Planner, workshop: Workshop, clock: Clock) -> None:
        """Take what is remembered, what plans, what builds, and the clock."""
        self._memory, self._planner, self._workshop, self._clock = memory, planner, workshop, clock

    def promote(self, request: PromotionRequest, on_progress: OnProgress, on_plan: OnPlan) -> Promotion:
        """Plan, and unless it is a dry run or nothing may go, carry the plan out.

        `on_plan` is shown the plan before anything is done. Returns refused and failed as outcomes; raises InputError
        for bad input, and MachineError where the machine broke, which history then tells as errored.
        """
        started = self._clock()
        planned = self._planner.plan(request, dry=request.dry_run or not request.update_state)
        if request.dry_run or not request.update_state:
            on_plan(planned.plan)
            return replace(self._answer(planned.plan, _without_doing(planned.plan), started), dry_run=True)
        planned = self._proven_first(planned, request, on_progress)
        on_plan(planned.plan)
        if (outcome := _without_doing(planned.plan)) is not PromotionOutcome.PLANNED:
            return self._answer(planned.plan, outcome, started)
        target = planned.situation.target
        with self._memory.store.lock(target.name, request.actor, request.lock_timeout):
            rechecked = self._planner.again(planned, keep_models=True)
            if (refused := _moved(planned.plan, rechecked.plan)) is not None:
                return self._answer(refused, PromotionOutcome.REFUSED, started)
            # The recheck asks for the planned models alone; what stays behind is told as it was planned.
            plan = replace(rechecked.plan, held=planned.plan.held, already_current=planned.plan.already_current)
            return self._carry_out(replace(rechecked, plan=plan), request, on_progress, started)

    def _answer(self, plan: Plan, outcome: PromotionOutcome, started: datetime) -> Promotion:
        """Return a promotion that changed nothing."""
        message = plan.refusals[0][1].reason if outcome is PromotionOutcome.REFUSED and plan.refusals else ""
        return Promotion(
            plan=plan,
            outcome=outcome,
            started_at=started,
            finished_at=self._clock(),
            message=message,
            warnings=self._memory.store.warnings(),
        )

    # --- evidence made first ------------------------------------------------------------------------------------------

    def _proven_first(self, planned: Planned, request: PromotionRequest, on_progress: OnProgress) -> Planned:
        """Run in the source what evidence lacks, where people work there or `run_tests` asks so; then plan again."""
        source = planned.situation.source
        if (
            not (source.working or request.run_tests)
            or not request.require_tests
            or planned.situation.source_state is None
        ):
            return planned
        lacking = _unproven(planned)
        if lacking:
            release = self._workshop.release(source, dry=True)
            at_hand = [m for m in lacking if m in release.models and release.models[m].version == _version(planned, m)]
            tests = tests_of(release, at_hand, unit=True)
            models = tuple(release.models[model] for model in sorted(at_hand)) if source.working else ()
            if models or tests:
                order = BuildRequest(environment=source, models=models, tests=tests)
                self._note(source, planned, self._workshop.build(order, on_progress))
        return self._planner.again(planned, keep_models=False, on_the_spot=False)

    def _note(self, source: Environment, planned: Planned, report: BuildReport) -> None:
        """Record a run that was made in the source; an environment where people work keeps its evidence alone."""
        assumed = planned.situation.source_state
        only: frozenset[ModelId] | None = frozenset() if source.deployed_by is DeployedBy.PROMOTION else None
        entering = Entering(only=only, origin=EntryOrigin.RUN, by=report.run.invocation_id)

        def move(state: EnvironmentState) -> EnvironmentState:
            if not source.working or assumed is None:
                return record(state, report.release, report.run, entering, planned.situation.others).state
            here = replace(assumed, evidence=state.evidence)
            return replace(
                state,
                evidence=record(here, report.release, report.run, entering, planned.situation.others).state.evidence,
            )

        self._memory.change(source.name, report.release.project, move)

    # --- the deed -----------------------------------------------------------------------------------------------------

    def _carry_out(
        self, planned: Planned, request: PromotionRequest, on_progress: OnProgress, started: datetime
    ) -> Promotion:
        """Write the intent, publish, and write what came of it."""
        plan, target = planned.plan, planned.situation.target
        project = (
            planned.situation.source_state.project
            if planned.situation.source_state
            else planned.situation.target_state.project
        )
        who = Who(actor=request.actor, link=request.link)
        self._memory.change(target.name, project, lambda state: begin(state, plan, who, started, target.keep_history))
        touched = False
        try:
            self._keep(planned)
            built = self._publish(planned, on_progress)
            touched = plan.strategy is Strategy.BUILD
            ending = self._commit(planned, built)
        except BaseException as error:
            message = f"{type(error).__name__}: {error}"
            touched = touched or (plan.strategy is Strategy.BUILD and not isinstance(error, InputError))
            self._memory.change(
                target.name,
                project,
                lambda state: abort(state, message, self._clock(), target.keep_history, touched=touched),
            )
            raise
        return Promotion(
            plan=plan,
            outcome=ending.outcome,
            started_at=started,
            finished_at=self._clock(),
            message=ending.message,
            models=ending.models,
            words=built.words,
            warnings=self._memory.store.warnings(),
        )

    def _keep(self, planned: Planned) -> None:
        """Keep the sources at hand, where they are what is built from."""
        project = planned.situation.project if planned.composition is None else None
        if planned.plan.strategy is Strategy.BUILD and project is not None and project.id is not None:
            self._workshop.keep(project.id)

    def _publish(self, planned: Planned, on_progress: OnProgress) -> Built:
        """Do what the strategy does in the target; stop at the first invocation that did not succeed."""
        match planned.plan.strategy:
            case Strategy.RECORD:
                return Built()
            case Strategy.BUILD if all(change.after is None for change in planned.plan.changes):
                return Built()
            case Strategy.BUILD:
                release = planned.made or planned.situation.project
                if release is None:
                    raise ValueError("`build` needs code to build from")
                return self._build(planned, release, on_progress)

    def _build(self, planned: Planned, release: Release, on_progress: OnProgress) -> Built:
        """Run each invocation of the plan."""
        target = planned.situation.target
        runs: list[Run] = []
        words: list[str] = []
        for segment in segments(planned.plan, release):
            report = self._workshop.build(_order(target, segment, planned.composition), on_progress)
            runs.append(report.run)
            words.extend(report.words)
            if not report.success:
                break
        others = planned.situation.others
        source = planned.situation.source_state
        beside = (*(other for other in others if other.environment != target.name), *((source,) if source else ()))
        return Built(runs=tuple(runs), release=release, words=tuple(words), others=beside, aligned=planned.aligned)

    def _commit(self, planned: Planned, built: Built) -> Ending:
        """Advance `current` with compare-and-set; a document that somebody wrote meanwhile is read again and moved."""
        plan, target = planned.plan, planned.situation.target
        endings: list[Ending] = []

        def move(state: EnvironmentState) -> EnvironmentState:
            endings.append(settle(state, plan, built, self._clock(), target.keep_history))
            return endings[-1].state

        self._memory.change(target.name, planned.situation.target_state.project, move)
        return endings[-1]


def _order(target: Environment, segment: Segment, composition: Composition | None) -> BuildRequest:
    """Return the order for one invocation."""
    return BuildRequest(
        environment=target,
        models=segment.models,
        tests=segment.tests,
        full_refresh=segment.full_refresh,
        composition=composition,
    )


def _without_doing(plan: Plan) -> PromotionOutcome:
    """Return how a plan ends that is not carried out: PLANNED means that it could be."""
    if not plan.allowed:
        return PromotionOutcome.REFUSED
    return PromotionOutcome.PLANNED if plan.changes else PromotionOutcome.NOTHING_TO_DO


def _unproven(planned: Planned) -> list[ModelId]:
    """Return the models of a plan, or held back from it, for which the source has no complete evidence."""
    state = planned.situation.source_state
    if state is None:
        return []
    asked = {change.model for change in (*planned.plan.changes, *planned.plan.held)}
    return [
        model
        for model in sorted(asked)
        if (entry := state.current.get(model)) is not None
        and not is_complete(entry, of_version(state, model, entry.version))
    ]


def _version(planned: Planned, model: ModelId) -> str | None:
    """Return the version that the source holds of a model."""
    state = planned.situation.source_state
    return state.current[model].version if state is not None and model in state.current else None


def _moved(before: Plan, now: Plan) -> Plan | None:
    """Return the refused plan where what the plan rested on has moved, or a gate has shut, since it was computed."""
    if now.plan_id != before.plan_id:
        reason = "what the plan rests on moved while it waited for its turn; plan again"
        return replace(now, verdicts=(*now.verdicts, blocked(GateName.SOURCE, "plan_moved", reason)))
    return None if now.allowed else now
