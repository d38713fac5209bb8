"""After publishing: what readers see now is verified, and gone back from where it does not hold and policy says so."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from msgspec.structs import replace

from airflow_dbt_promotion.core.building import tests_of
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import PromotionError, UnservableError, VersionsMovedError
from airflow_dbt_promotion.core.orders import BuildReport, BuildRequest, OnProgress
from airflow_dbt_promotion.core.ports import Workshop
from airflow_dbt_promotion.core.recording import Entering, Recording, record
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState, PromotionOutcome, PromotionRecord
from airflow_dbt_promotion.engine.locks import Locks
from airflow_dbt_promotion.engine.memory import Memory, made_by
from airflow_dbt_promotion.engine.request import Promotion, PromotionRequest, RollbackRequest, Verification
from airflow_dbt_promotion.engine.rollback import Rollbacks
from airflow_dbt_promotion.engine.server import Server

_FAILED = frozenset({ResultStatus.FAIL, ResultStatus.ERROR, ResultStatus.FAILED})
_MOST_NAMED = 5
_UNHELD = "did not hold: "


class Aftercare:
    """Verifies promotions that were published."""

    def __init__(self, memory: Memory, locks: Locks, workshop: Workshop, server: Server, rollbacks: Rollbacks) -> None:
        """Take what is remembered, its locks, what runs dbt, what puts code together, and what goes back."""
        self._memory, self._locks, self._workshop = memory, locks, workshop
        self._server, self._rollbacks = server, rollbacks

    def verified(self, request: PromotionRequest, done: Promotion, on_progress: OnProgress) -> Promotion:
        """Return a promotion with what verifying it came to, where that is asked for and anything was published.

        What does not hold is a failure, and the environment is taken back where policy or the request says so. What
        runs there and cannot be put together is not verified, which is told; it stays, for nothing was found wrong. An
        attempt at what an earlier one has promoted verifies it again, and goes on taking it back where that one did.
        """
        target = self._memory.path.get(request.target)
        goes_back = target.rollback_on_failure if request.rollback_on_failure is None else request.rollback_on_failure
        asked = target.verify if request.verify is None else request.verify
        if done.outcome is not PromotionOutcome.PROMOTED or done.dry_run:
            return done
        if (gone := self._gone_back(request, done, on_progress)) is not None:
            return gone
        if not (asked or goes_back):
            return done
        if not self._is_newest(target, done):
            return done
        try:
            words = _told_by(asked, done) if callable(asked) else self._tested(target, done, request, on_progress)
        except (UnservableError, VersionsMovedError) as error:
            return _unverified(done, str(error))
        if not words:
            return replace(done, verification=Verification(passed=True))
        return self._taken_back(request, done, words, on_progress) if goes_back else _failed(done, words)

    def _is_newest(self, target: Environment, done: Promotion) -> bool:
        """Say whether nothing was done in the environment since: a retry may come long after."""
        state = self._memory.read(target.name)
        newest = (
            next((one for one in state.history if one.outcome is PromotionOutcome.PROMOTED), None) if state else None
        )
        return newest is not None and newest.plan_id == done.plan.plan_id and newest.rollback_to is None

    def _tested(
        self, target: Environment, done: Promotion, request: PromotionRequest, on_progress: OnProgress
    ) -> tuple[str, ...]:
        """Run the tests of what was published where it is, record what they prove, and return what failed.

        Raises UnservableError or VersionsMovedError where what the environment runs cannot be put together.
        """
        state = self._memory.read(target.name)
        if state is None:
            return ()
        with self._locks.hold(target.name, state.project, request.holder, request.lock_timeout) as held:
            composition = self._server.composition(target, dry=False)
            published = [model for model, told in done.models.items() if told.result == "advanced"]
            tests = tests_of(composition.release, published, unit=False)
            if not tests:
                return ()
            order = BuildRequest(environment=target, models=(), tests=tests, composition=composition)
            report = self._workshop.build(order, on_progress)
            made_by(partial(held.change, release=True), lambda found: self._recorded(found, report))
        return _failures(report)

    def _recorded(self, state: EnvironmentState, report: BuildReport) -> Recording:
        """Return a document with what the tests prove."""
        entering = Entering(only=frozenset(), origin=EntryOrigin.PROMOTION, by=report.run.invocation_id)
        return record(state, report.release, report.run, entering, self._memory.others(state.environment))

    def _taken_back(
        self, request: PromotionRequest, done: Promotion, words: tuple[str, ...], on_progress: OnProgress
    ) -> Promotion:
        """Go back to what was there before; where that cannot be, say why."""
        state = self._memory.read(done.plan.target)
        newest = state.checkpoints[0] if state is not None and state.checkpoints else None
        if newest is None or newest.by != done.plan.plan_id:
            return _failed(done, words, unable="no checkpoint of what was there before is kept (keep_checkpoints)")
        return self._back(request, done, words, newest.id, on_progress)

    def _gone_back(self, request: PromotionRequest, done: Promotion, on_progress: OnProgress) -> Promotion | None:
        """Return a promotion that an earlier attempt of the same run has begun to take back, which is gone on with.

        None where none has.
        """
        state, run = self._memory.read(done.plan.target), _taking_back(request)
        if state is None or run is None:
            return None
        journal = state.journal
        begun = [(journal.rollback_to, journal.choices.reason)] if journal is not None and journal.run == run else []
        ended = [(one.rollback_to, one.reason) for one in state.history if one.run == run and _went(one)]
        goal, reason = next((one for one in (*begun, *ended) if one[0] is not None), (None, None))
        if goal is None:
            return None
        word = (reason or "").partition(_UNHELD)[2] or "it did not hold"
        return self._back(request, done, (word,), goal, on_progress)

    def _back(
        self, request: PromotionRequest, done: Promotion, words: tuple[str, ...], goal: str, on_progress: OnProgress
    ) -> Promotion:
        """Go back to a checkpoint, or go on with that, and return a promotion that did not hold."""
        asked = RollbackRequest(
            environment=done.plan.target,
            to=goal,
            reason=f"plan {done.plan.plan_id[:8]} was published, and {_UNHELD}{words[0]}",
            lock_timeout=request.lock_timeout,
            actor=request.actor,
            link=request.link,
            run=_taking_back(request),
        )
        try:
            back = self._rollbacks.roll_back(asked, on_progress, lambda _: None)
        except PromotionError as error:
            return _failed(done, words, unable=str(error))
        if back.outcome is not PromotionOutcome.PROMOTED:
            return _failed(done, words, unable=back.promotion.message or back.outcome.value)
        return _failed(done, words, rolled_back_to=goal)


def _taking_back(request: PromotionRequest) -> str | None:
    """Return as which run a promotion is taken back, None where nothing is retried."""
    return None if request.run is None else f"{request.run}, taken back"


def _went(record: PromotionRecord) -> bool:
    """Say whether a promotion, or a rollback, went all the way."""
    return record.outcome is PromotionOutcome.PROMOTED


def _told_by(verify: Callable[[Promotion], object], done: Promotion) -> tuple[str, ...]:
    """Return what a function has against a promotion: False, a text, or whatever it raises."""
    try:
        told = verify(done)
    except Exception as error:  # noqa: BLE001 - whatever it raises is its answer
        return (f"{type(error).__name__}: {error}",)
    if isinstance(told, str) and told:
        return (told,)
    return ("the verification said no",) if told is False else ()


def _failures(report: BuildReport) -> tuple[str, ...]:
    """Return the tests that failed, as people know them."""
    failed = [result for result in report.run.results if result.status in _FAILED]
    names = [next((t.name for t in report.release.tests.values() if t.id == one.id), one.id) for one in failed]
    if not names and not report.success:
        return report.words or ("dbt was not content",)
    shown = ", ".join(names[:_MOST_NAMED]) + (f" and {len(names) - _MOST_NAMED} more" if names[_MOST_NAMED:] else "")
    return (f"tests failed in place: {shown}", *report.words) if names else ()


def _unverified(done: Promotion, why: str) -> Promotion:
    """Return a promotion that was published, and of which nobody knows whether it holds."""
    words = (f"not verified: {why}; it stays as it was published",)
    return replace(done, verification=Verification(passed=False, words=words))


def _failed(
    done: Promotion, words: tuple[str, ...], rolled_back_to: str | None = None, unable: str | None = None
) -> Promotion:
    """Return a promotion that was published, and does not hold."""
    then = (
        f"it was taken back to checkpoint {rolled_back_to}"
        if rolled_back_to is not None
        else f"it could not be taken back: {unable}"
        if unable is not None
        else "it stays: rollback_on_failure is off"
    )
    return replace(
        done,
        outcome=PromotionOutcome.FAILED,
        message=f"published, and then {words[0]}; {then}",
        words=(*done.words, *words),
        verification=Verification(passed=False, words=words, rolled_back_to=rolled_back_to),
    )
