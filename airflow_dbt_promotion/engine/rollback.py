"""Rolling back: a new promotion to a checkpoint, carried out as any other; then fresh rows where old ones came back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import PromotionError, ReasonRequiredError
from airflow_dbt_promotion.core.orders import OnProgress
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.ports import Clock
from airflow_dbt_promotion.core.promotion import Attempt
from airflow_dbt_promotion.core.rolling_back import Return
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.engine.locks import Held, Locks
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.outcomes import refused_now, without_doing
from airflow_dbt_promotion.engine.planned import Planned
from airflow_dbt_promotion.engine.planner import Planner
from airflow_dbt_promotion.engine.promoter import Asking, Doing, Promoter
from airflow_dbt_promotion.engine.request import Promotion, PromotionRequest, Rollback, RollbackRequest
from airflow_dbt_promotion.engine.retelling import told_again

OnReturn = Callable[[Return], None]


class Rollbacks:
    """Takes environments back."""

    def __init__(self, memory: Memory, locks: Locks, planner: Planner, promoter: Promoter, clock: Clock) -> None:
        """Take what is remembered, its locks, what plans, what carries plans out, and the clock."""
        self._memory, self._locks, self._promoter, self._clock = memory, locks, promoter, clock
        self._returning = planner.returning

    def roll_back(self, request: RollbackRequest, on_progress: OnProgress, on_return: OnReturn) -> Rollback:
        """Go back to a checkpoint, and unless it is a dry run or may not be, carry that out.

        What an earlier attempt of the same run has begun is carried on, and what it has ended is told: a retry never
        goes back one further. `on_return` is shown the plan before anything is done. Returns refused and failed as
        outcomes; raises InputError (NoCheckpointError, UnknownCheckpointError, ReasonRequiredError among them), and
        MachineError where the machine broke.
        """
        if not (reason := request.reason.strip()):
            raise ReasonRequiredError("rollback")
        request, started = replace(request, reason=reason), self._clock()
        target = self._memory.path.get(request.environment)
        if not request.dry_run and (again := self._again(request, target, on_progress, started)) is not None:
            return again
        planned, back = self._returning.plan(request, dry=request.dry_run)
        on_return(back)
        outcome = without_doing(back.plan)
        if request.dry_run or outcome is not PromotionOutcome.PLANNED:
            told = self._promoter.answer(back.plan, outcome, started)
            return _told(replace(told, dry_run=request.dry_run), back)
        project = planned.situation.target_state.project
        with self._locks.hold(target.name, project, request.holder, request.lock_timeout) as held:
            if (ended := self._ended(request, self._memory.read(target.name))) is not None:
                return ended
            planned, now = self._returning.plan(replace(request, to=back.goal.id), dry=False)
            if (refused := refused_now(now.plan, back.plan.plan_id)) is not None:
                return _told(self._promoter.answer(refused, PromotionOutcome.REFUSED, started), now)
            done = self._promoter.carry_out(planned, _doing(request, held, started, on_progress), held)
        if done.outcome is not PromotionOutcome.PROMOTED or not request.rebuild:
            return _told(done, now)
        return self._rebuilt(request, target, _told(done, now), now, on_progress)

    # --- once more ----------------------------------------------------------------------------------------------------

    def _again(
        self, request: RollbackRequest, target: Environment, on_progress: OnProgress, started: datetime
    ) -> Rollback | None:
        """Return what came of an earlier attempt of the same run, carried on where it broke off; None for a first."""
        state = self._memory.read(target.name)
        if request.run is None or state is None:
            return None
        if state.journal is not None and state.journal.run == request.run:
            asking = Asking(on_progress, _unseen, started)
            found = self._promoter.carry_on(_as_promotion(request), state.project, asking, resumes=False)
            if found is not None and found.plan.rollback_to is not None:
                return _carried_on(found, request) if found.outcome is not PromotionOutcome.REFUSED else None
            state = self._memory.read(target.name)
        return self._ended(request, state)

    def _ended(self, request: RollbackRequest, state: EnvironmentState | None) -> Rollback | None:
        """Return the rollback of an earlier attempt of the same run that went well, as history tells it."""
        if request.run is None or state is None:
            return None
        ours = [one for one in state.history if one.run == request.run and one.source == state.environment]
        ended = next((one for one in ours if one.rollback_to is not None), None)
        if ended is None and ours:
            # History had room for the rebuilding alone, which begins where a rollback went well.
            ended = replace(ours[0], outcome=PromotionOutcome.PROMOTED)
        if ended is None or ended.outcome is not PromotionOutcome.PROMOTED:
            return None
        return Rollback(promotion=told_again(ended, state, warnings=self._memory.store.warnings()))

    # --- fresh rows ---------------------------------------------------------------------------------------------------

    def _rebuilt(
        self, request: RollbackRequest, target: Environment, done: Rollback, back: Return, on_progress: OnProgress
    ) -> Rollback:
        """Build anew what came back with old rows; where that fails, the old rows stay, and it is told."""
        if not back.kept:
            return done
        try:
            fresh = self._build(request, target, back, on_progress)
        except PromotionError as error:
            return replace(done, not_rebuilt=str(error))
        if fresh is None or fresh.outcome is PromotionOutcome.PROMOTED:
            return replace(done, rebuild=fresh)
        return replace(done, rebuild=fresh, not_rebuilt=fresh.message or fresh.outcome.value)

    def _build(
        self, request: RollbackRequest, target: Environment, back: Return, on_progress: OnProgress
    ) -> Promotion | None:
        """Carry out the rebuilding under a lock of its own."""
        started, planned = self._clock(), self._returning.rebuilt(target, back)
        if planned is None:
            return None
        project = planned.situation.target_state.project
        with self._locks.hold(target.name, project, request.holder, request.lock_timeout) as held:
            again: Planned | None = self._returning.rebuilt(target, back)
            if again is None or again.plan.plan_id != planned.plan.plan_id or not again.plan.allowed:
                return self._promoter.answer((again or planned).plan, PromotionOutcome.REFUSED, started)
            return self._promoter.carry_out(again, _doing(request, held, started, on_progress), held)


def _doing(request: RollbackRequest, held: Held, started: datetime, on_progress: OnProgress) -> Doing:
    """Return an attempt at a rollback under a lock."""
    attempt = Attempt(actor=request.actor, link=request.link, run=request.run, epoch=held.epoch)
    return Doing(attempt, started, on_progress)


def _as_promotion(request: RollbackRequest) -> PromotionRequest:
    """Return what carries on whatever the same run has begun."""
    return PromotionRequest(
        target=request.environment,
        lock_timeout=request.lock_timeout,
        actor=request.actor,
        link=request.link,
        run=request.run,
    )


def _told(done: Promotion, back: Return) -> Rollback:
    """Return a rollback with what came of it."""
    return Rollback(promotion=done, back=back)


def _carried_on(found: Promotion, request: RollbackRequest) -> Rollback:
    """Return a rollback that an earlier attempt had begun; which rows are old, only that one knew."""
    went = found.outcome is PromotionOutcome.PROMOTED and request.rebuild
    run = f"`dbt-promote run --environment {request.environment}`"
    return Rollback(
        promotion=found,
        not_rebuilt=f"it was carried on from an attempt that broke off; {run} does that" if went else "",
    )


def _unseen(_: Plan) -> None:
    """Take a plan and show it to nobody."""
