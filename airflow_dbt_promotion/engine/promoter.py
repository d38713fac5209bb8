"""Carrying a plan out: lock, recheck, journal, publish by strategy, commit, unlock."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.environment import Environment, Strategy
from airflow_dbt_promotion.core.errors import (
    InputError,
    LockLostError,
    MachineError,
    NothingToResumeError,
    NotOpenError,
    PartsMissingError,
)
from airflow_dbt_promotion.core.orders import Mark, OnProgress
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.ports import Clock, Workshop
from airflow_dbt_promotion.core.promotion import Attempt, Ending, abort, begin, is_carried_on, settle
from airflow_dbt_promotion.core.results import Built
from airflow_dbt_promotion.core.rolling_back import concluded
from airflow_dbt_promotion.core.state import EnvironmentState, Journal, PromotionOutcome
from airflow_dbt_promotion.core.turns import how_it_ended, unbuilt
from airflow_dbt_promotion.engine.beside import Prepared
from airflow_dbt_promotion.engine.locks import Held, Locks
from airflow_dbt_promotion.engine.memory import Memory, made_by
from airflow_dbt_promotion.engine.outcomes import carried_out, obstructed, refused_now, without_doing
from airflow_dbt_promotion.engine.planned import Planned
from airflow_dbt_promotion.engine.planner import Planner
from airflow_dbt_promotion.engine.prover import Prover
from airflow_dbt_promotion.engine.publisher import Publisher
from airflow_dbt_promotion.engine.request import Promotion, PromotionRequest
from airflow_dbt_promotion.engine.retelling import told_again
from airflow_dbt_promotion.failpoints import Failpoint, reached

OnPlan = Callable[[Plan], None]

OPEN = PromotionOutcome.PLANNED


class Promoter:
    """Carries out one request at a time."""

    def __init__(self, memory: Memory, locks: Locks, planner: Planner, workshop: Workshop, clock: Clock) -> None:
        """Take what is remembered, its locks, what plans, what builds, and the clock."""
        self._memory, self._locks, self._planner, self._clock = memory, locks, planner, clock
        self._publisher, self._prover = Publisher(workshop), Prover(memory, planner, workshop)

    def promote(self, request: PromotionRequest, on_progress: OnProgress, on_plan: OnPlan) -> Promotion:
        """Plan, and unless it is a dry run or nothing may go, carry the plan out.

        What an earlier attempt of the same run has begun is carried on instead; what it has ended is told. `on_plan` is
        shown the plan before anything is done. Returns refused and failed as outcomes; raises InputError for bad input,
        and MachineError where the machine broke, which history then tells as errored.
        """
        started = self._clock()
        if request.finishes:
            return self._finished(request, Asking(on_progress, on_plan, started))
        return self.begun(request, Asking(on_progress, on_plan, started), self.carry_out)

    def begun(self, request: PromotionRequest, asking: Asking, deed: Deed) -> Promotion:
        """Plan, and unless it is a dry run or nothing may go, do something with the plan under the lock."""
        on_progress, on_plan, started = asking
        if request.dry_run or not request.update_state:
            planned = self._planner.plan(request)
            on_plan(planned.plan)
            return replace(self.answer(planned.plan, without_doing(planned.plan), started), dry_run=True)
        if (again := self._again(request, asking)) is not None:
            return again
        planned = self._planner.plan(request, dry=False)
        planned = self._prover.first(planned, request, on_progress)
        on_plan(planned.plan)
        if (outcome := without_doing(planned.plan)) is not PromotionOutcome.PLANNED:
            return self.answer(planned.plan, outcome, started)
        target = planned.situation.target
        with self._locks.hold(target.name, _project(planned), request.holder, request.lock_timeout) as held:
            if request.run is not None and (ended := self._ended(request, self._memory.read(target.name))) is not None:
                return ended
            rechecked = self._planner.again(planned, keep_models=True)
            there = carried_out(planned.plan, rechecked.plan, rechecked.situation.target_state)
            if there is not None:
                return self.answer(there, PromotionOutcome.NOTHING_TO_DO, started)
            if (refused := refused_now(rechecked.plan, planned.plan.plan_id)) is not None:
                return self.answer(refused, PromotionOutcome.REFUSED, started)
            # The recheck asks for the planned models alone; what stays behind is told as it was planned.
            plan = replace(rechecked.plan, held=planned.plan.held, already_current=planned.plan.already_current)
            doing = Doing(_attempt(request, held), started, on_progress)
            return deed(replace(rechecked, plan=plan), doing, held)

    def resume(self, request: PromotionRequest, on_progress: OnProgress, on_plan: OnPlan) -> Promotion:
        """Carry on the promotion into a target that broke off, whoever began it, to its end.

        Where what it rested on has moved since, or a gate has shut, it is undone: history tells it as errored, and the
        answer is refused. Raises NothingToResumeError, LockHeldError while its owner may be alive.
        """
        target, started = self._memory.path.get(request.target), self._clock()
        state = self._memory.read(target.name)
        if state is None or state.journal is None:
            raise NothingToResumeError(target.name)
        found = self.carry_on(request, state.project, Asking(on_progress, on_plan, started), resumes=True)
        if found is None:
            raise NothingToResumeError(target.name)
        return found

    # --- once more ----------------------------------------------------------------------------------------------------

    def _finished(self, request: PromotionRequest, asking: Asking) -> Promotion:
        """Carry on the promotion that an earlier task of the same run has opened, or tell how it ended.

        Raises NotOpenError where there is none to finish, PartsMissingError where it is not built.
        """
        target = self._memory.path.get(request.target)
        state, found = self._memory.read(target.name), None
        if state is not None and state.journal is not None and state.journal.run == request.run:
            found = self.carry_on(request, state.project, asking, resumes=False)
            state = self._memory.read(target.name)
        found = found or self._ended(request, state)
        if found is None:
            raise NotOpenError(target.name, "" if state is None else how_it_ended(state, request.run))
        return found

    def _again(self, request: PromotionRequest, asking: Asking) -> Promotion | None:
        """Return what came of an earlier attempt of the same run, carried on where it broke off; None for a first one,
        and for one that could not be carried on.
        """
        if request.run is None:
            return None
        target = self._memory.path.get(request.target)
        state = self._memory.read(target.name)
        if state is not None and state.journal is not None and state.journal.run == request.run:
            found = self.carry_on(request, state.project, asking, resumes=False)
            if found is not None:
                return found if found.outcome is not PromotionOutcome.REFUSED else None
            state = self._memory.read(target.name)
        return self._ended(request, state)

    def _ended(self, request: PromotionRequest, state: EnvironmentState | None) -> Promotion | None:
        """Return the promotion of an earlier attempt of the same run that went well, as history tells it.

        It is asked again once the lock is ours: an attempt that was waited for may have ended meanwhile.
        """
        if state is None:
            return None
        ended = next((record for record in state.history if record.run == request.run), None)
        if ended is None or ended.outcome is not PromotionOutcome.PROMOTED:
            return None
        return told_again(ended, state, warnings=self._memory.store.warnings())

    def carry_on(
        self, request: PromotionRequest, project: ProjectIdentity, asking: Asking, *, resumes: bool
    ) -> Promotion | None:
        """Carry on what a journal tells of, or undo it; None where somebody else did meanwhile."""
        target = self._memory.path.get(request.target)
        with self._locks.hold(target.name, project, request.holder, request.lock_timeout) as held:
            state = self._memory.read(target.name)
            journal = state.journal if state is not None else None
            attempt = replace(_attempt(request, held), resumes=resumes)
            if journal is None or not is_carried_on(journal, attempt):
                return None
            planned = self._planner.resumed(target, journal)
            refused = refused_now(planned.plan, journal.plan_id, journal.rows)
            asking.on_plan(refused or planned.plan)
            if refused is not None:
                why = "not finished" if request.finishes else "interrupted, and not carried on"
                self._undo(held, target, f"{why}: {refused.refusals[0][1].reason}")
                return self.answer(refused, PromotionOutcome.REFUSED, asking.started)
            if request.finishes and (missing := unbuilt(journal)):
                problem = PartsMissingError(target.name, missing)
                self._undo(held, target, str(problem), touched=False)
                raise problem
            doing = Doing(attempt, asking.started, asking.on_progress, tuple(journal.epochs), request.finishes)
            return self.carry_out(planned, doing, held)

    def answer(self, plan: Plan, outcome: PromotionOutcome, started: datetime) -> Promotion:
        """Return a promotion that has ended."""
        message = plan.refusals[0][1].reason if outcome is PromotionOutcome.REFUSED and plan.refusals else ""
        return Promotion(
            plan=plan,
            outcome=outcome,
            started_at=started,
            finished_at=self._clock(),
            message=message,
            warnings=self._memory.store.warnings(),
        )

    # --- the deed -----------------------------------------------------------------------------------------------------

    def open(self, planned: Planned, doing: Doing, held: Held, patience: timedelta) -> Promotion:
        """Ask what is in the way, write the intent, and let the lock wait so long for the next task of the run."""
        began = self._begin(planned, doing, held, patience)
        return began if isinstance(began, Promotion) else self.answer(planned.plan, OPEN, doing.started)

    def carry_out(self, planned: Planned, doing: Doing, held: Held) -> Promotion:
        """Ask what is in the way, write the intent, publish, and write what came of it."""
        plan, target, attempt = planned.plan, planned.situation.target, doing.attempt
        began = self._begin(planned, doing, held)
        if isinstance(began, Promotion):
            return began
        prepared, mark, journal = began
        in_place, published = plan.strategy is Strategy.BUILD, False
        held.touched = (in_place and bool(doing.earlier)) or prepared.touched
        try:
            self._publisher.keep(planned)
            reached(Failpoint.KEPT)
            built = self._publisher.publish(planned, prepared, mark, held, doing.on_progress)
            held.touched, published = held.touched or in_place, True
            ending = self._commit(planned, built, held)
        except BaseException as error:
            swapped = held.touched and not in_place
            unsaid = (published or swapped or doing.finishes) and isinstance(error, MachineError)
            if attempt.run is not None and (unsaid or not isinstance(error, Exception)):
                # Ended from outside, as by SIGTERM, or all is published, or swapped for all that we know, and the state
                # could not say so, or what was built by other tasks would be lost: the journal stays open for the
                # retry, as if we were killed.
                raise
            touched = held.touched or (in_place and not isinstance(error, InputError))
            self._undo(held, target, f"{type(error).__name__}: {error}", touched=touched)
            raise
        reached(Failpoint.COMMITTED)
        told = self.answer(plan, ending.outcome, journal.started_at)
        warnings = (*prepared.warnings, *told.warnings)
        return replace(told, message=ending.message, models=ending.models, words=built.words, warnings=warnings)

    def _begin(
        self, planned: Planned, doing: Doing, held: Held, patience: timedelta | None = None
    ) -> _Begun | Promotion:
        """Ask what is in the way, and write the intent; with `patience` hand the lock on in the same write."""
        plan, target, attempt, now = planned.plan, planned.situation.target, doing.attempt, self._clock()
        mark = Mark(lineage=held.lineage, epoch=held.epoch, earlier=doing.earlier, plan_id=plan.plan_id)
        prepared = self._publisher.prepare(planned, mark, now)
        if prepared.obstacles:
            refused = obstructed(plan, prepared)
            if doing.earlier:
                self._undo(held, target, f"not carried on: {refused.refusals[0][1].reason}")
            return self.answer(refused, PromotionOutcome.REFUSED, doing.started)
        attempt = replace(attempt, beside=prepared.beside, kept=prepared.kept, aside=prepared.aside)

        def intent(state: EnvironmentState) -> EnvironmentState:
            return begin(state, plan, attempt, now, target.keep_history)

        journal = (held.change(intent) if patience is None else held.hand_on(intent, now, patience)).journal
        reached(Failpoint.BEGUN)
        if journal is None:
            raise ValueError("what has begun is in the journal")
        built = tuple(part for part in journal.parts.values() if part.end is not None)
        return _Begun(replace(prepared, parts=built), mark, journal)

    def _undo(self, held: Held, target: Environment, message: str, *, touched: bool | None = None) -> None:
        """Make history of what was begun, if the lock is ours still: whoever has it now decides what becomes of it."""

        def move(state: EnvironmentState) -> EnvironmentState:
            builds = state.journal is not None and state.journal.strategy != Strategy.RECORD.value
            dirty = builds if touched is None else touched
            return abort(state, message, self._clock(), target.keep_history, touched=dirty)

        with suppress(LockLostError):
            held.change(move, release=True)

    def _commit(self, planned: Planned, built: Built, held: Held) -> Ending:
        """Advance `current` with compare-and-set, and give the lock back in the same write.

        A document that somebody wrote meanwhile is read again and moved.
        """
        plan, target = planned.plan, planned.situation.target

        def ended(state: EnvironmentState) -> Ending:
            now = self._clock()
            ending = settle(state, plan, built, now, target.keep_history, target.keep_checkpoints)
            return concluded(ending, state, plan, now)

        return made_by(partial(held.change, release=True), ended)


class Doing(NamedTuple):
    """One attempt at carrying out: when it was asked for, whom to tell, the epochs of the attempts before, and whether
    it finishes what other tasks have built.
    """

    attempt: Attempt
    started: datetime
    on_progress: OnProgress
    earlier: tuple[int, ...] = ()
    finishes: bool = False


Deed = Callable[["Planned", Doing, "Held"], Promotion]


class _Begun(NamedTuple):
    """What has begun: what the warehouse said, what is left there, and the journal."""

    prepared: Prepared
    mark: Mark
    journal: Journal


class Asking(NamedTuple):
    """Whom to tell, and since when."""

    on_progress: OnProgress
    on_plan: OnPlan
    started: datetime


def _attempt(request: PromotionRequest, held: Held) -> Attempt:
    """Return an attempt at a request under a lock."""
    return Attempt(
        actor=request.actor,
        link=request.link,
        run=request.run,
        epoch=held.epoch,
        soak=request.soak,
        runs=request.min_successful_runs,
    )


def _project(planned: Planned) -> ProjectIdentity:
    """Return whose documents these are."""
    source, target = planned.situation.source_state, planned.situation.target_state
    return source.project if source is not None else target.project
