"""What a dead process left is carried on by its retry, or by somebody who says so: one promotion, published once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.errors import (
    DbtProjectError,
    LockHeldError,
    LockLostError,
    NothingToResumeError,
    NotLockedError,
    ReasonRequiredError,
    StateError,
)
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest, RunOrder, RunOutcome
from airflow_dbt_promotion.engine.retelling import AGAIN
from airflow_dbt_promotion.failpoints import Failpoint, arm
from tests.kept_shop import STAGING, KeptShop
from tests.locking import locked
from tests.scenarios import DAY, Shop, defined, model_id, path, test_id

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
TASK = PromotionRequest(target="production", actor="airflow", run="task 1")


class Killed(BaseException):
    """The process ends here: nothing of it runs any more."""


@pytest.fixture
def shop() -> KeptShop:
    """Return a shop whose staging was built a day ago, from sources that are kept."""
    shop = KeptShop(defined())
    shop.run("staging")
    shop.clock.pass_by(DAY)
    return shop


def die(shop: Shop, point: Failpoint, request: PromotionRequest = TASK) -> None:
    """Promote, and die at a place: what is on record then is what there is."""
    die_in(shop, point, lambda: shop.engine.promote(request))


def die_in(shop: Shop, point: Failpoint, act: Callable[[], object]) -> None:
    """Do something, and die at a place."""
    left = {}

    def happen(reached: Failpoint) -> None:
        if reached is point and not left:
            left["documents"] = dict(shop.store._documents)
            raise Killed

    arm(happen)
    try:
        with pytest.raises(Killed):
            act()
    finally:
        arm(None)
    shop.store._documents.clear()
    shop.store._documents.update(left["documents"])
    shop.processes.me = replace(shop.processes.me, pid=shop.processes.me.pid + 1)


PLACES = (
    Failpoint.LOCKED,
    Failpoint.BEGUN,
    Failpoint.KEPT,
    Failpoint.PUBLISHING,
    Failpoint.MODEL_PUBLISHED,
    Failpoint.PUBLISHED,
    Failpoint.COMMITTED,
)


def built(shop: Shop) -> list[str]:
    """Return the models that were built in production, in order."""
    return [model for marks in shop.workshop.marks.values() for model in marks]


@pytest.mark.parametrize("point", PLACES)
def test_a_retry_carries_on_at_once_and_history_tells_one_promotion(shop: KeptShop, point: Failpoint) -> None:
    die(shop, point)
    told = shop.engine.promote(TASK)
    assert told.outcome is PromotionOutcome.PROMOTED
    state = shop.state()
    assert [record.outcome for record in state.history] == [PromotionOutcome.PROMOTED]
    assert state.history[0].run == "task 1"
    assert (state.lock, state.journal, state.unfinalized) == (None, None, None)
    assert shop.versions() == shop.versions(STAGING)
    ordered = [model.id for order in shop.workshop.orders for model in order.models]
    assert sorted(ordered) == sorted(set(ordered)) or point is Failpoint.MODEL_PUBLISHED


def test_what_was_published_is_not_published_again_and_every_test_is_run(shop: KeptShop) -> None:
    die(shop, Failpoint.MODEL_PUBLISHED)
    (marks,) = shop.workshop.marks.values()
    first = dict(marks)
    assert len(first) == 1
    told = shop.engine.promote(TASK)
    again = shop.workshop.orders[-1]
    assert {model.id for model in again.models} == {RAW, STG, ORDERS, REVENUE} - first.keys()
    assert test_id("orders") in {test.id for test in again.tests}
    assert set(told.models) == {RAW, STG, ORDERS, REVENUE}
    assert shop.state().history[0].attempts == 2
    evidence = shop.state().evidence
    assert all(evidence[model][-1].last_pass is not None for model in first)


def test_the_marks_of_a_promotion_that_ended_count_for_no_other(shop: KeptShop) -> None:
    """The same plan twice, since a rebuild is forced: it has the same id, and is done twice."""
    again = replace(TASK, run=None, force=True, models=("orders",))
    shop.engine.promote(replace(TASK, run=None))
    first, second = shop.engine.promote(again), shop.engine.promote(again)
    assert first.plan.plan_id == second.plan.plan_id
    assert [[model.id for model in order.models] for order in shop.workshop.orders[-2:]] == [[ORDERS], [ORDERS]]


def test_without_marks_a_retry_builds_all_of_it_again() -> None:
    shop = KeptShop(defined(), path(marks=False))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    die(shop, Failpoint.MODEL_PUBLISHED)
    assert shop.engine.promote(TASK).outcome is PromotionOutcome.PROMOTED
    assert {model.id for model in shop.workshop.orders[-1].models} == {RAW, STG, ORDERS, REVENUE}
    assert shop.engine.run(RunOrder(environment="production")).outcome is RunOutcome.PASSED
    assert (shop.workshop.marks, shop.workshop.fences) == ({}, {})
    assert shop.state().history[0].attempts == 2


def test_where_all_was_published_only_tests_are_left(shop: KeptShop) -> None:
    die(shop, Failpoint.PUBLISHED)
    assert shop.engine.promote(TASK).outcome is PromotionOutcome.PROMOTED
    assert shop.workshop.orders[-1].models == ()


def test_where_tests_are_skipped_nothing_is_left_to_run(shop: KeptShop) -> None:
    hasty = replace(TASK, require_tests=False, reason="the shop is closed")
    die(shop, Failpoint.PUBLISHED, hasty)
    runs = len(shop.workshop.orders)
    assert shop.engine.promote(hasty).outcome is PromotionOutcome.PROMOTED
    assert len(shop.workshop.orders) == runs
    state = shop.state()
    assert [bypass.kind for bypass in state.bypasses] == [BypassKind.SKIP_TESTS]
    assert state.history[0].reason == "the shop is closed"


def test_what_was_ended_from_outside_is_carried_on_as_if_it_was_killed(shop: KeptShop) -> None:
    """SIGTERM of a worker that is shut down: its lock is given back, and the retry goes on."""
    shop.workshop.build_breaks = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        shop.engine.promote(TASK)
    state = shop.state()
    assert (state.lock, state.history) == (None, ())
    assert state.journal is not None
    shop.workshop.build_breaks = None
    assert shop.engine.promote(TASK).outcome is PromotionOutcome.PROMOTED
    assert [(record.outcome, record.attempts) for record in shop.state().history] == [(PromotionOutcome.PROMOTED, 2)]


def test_what_was_ended_is_told_and_not_done_again(shop: KeptShop) -> None:
    first = shop.engine.promote(TASK)
    serial, runs = shop.state().serial, len(shop.workshop.orders)
    shop.edit(defined(code={"orders": "select 2"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    again = shop.engine.promote(TASK)
    assert (again.outcome, again.message, again.models) == (PromotionOutcome.PROMOTED, AGAIN, first.models)
    assert [(c.model, c.kind, c.from_version, c.to_version) for c in again.plan.changes] == [
        (c.model, c.kind, c.from_version, c.to_version) for c in sorted(first.plan.changes, key=lambda c: c.model)
    ]
    assert (shop.state().serial, len(shop.workshop.orders)) == (serial, runs)
    assert shop.engine.promote(replace(TASK, run="task 2")).message == ""


@pytest.mark.parametrize("begun", [True, False])
def test_an_attempt_that_ends_while_its_retry_waits_is_told_and_not_done_again(shop: KeptShop, begun: bool) -> None:
    """The retry cannot end it, and looks at history again once it has the lock."""
    forced = replace(TASK, force=True)
    if begun:
        die(shop, Failpoint.BEGUN, forced)
    seen: list[Promotion] = []

    def meanwhile(reached: Failpoint) -> None:
        if reached is Failpoint.LOCKED and not seen:
            arm(None)
            shop.clock.pass_by(timedelta(minutes=5))
            state = shop.state()
            shop.store.write(replace(state, lock=None), state.serial)
            seen.append(shop.engine.promote(forced))
            after = shop.state()
            shop.store.write(replace(after, lock=state.lock, epoch=after.epoch + 1), after.serial)

    arm(meanwhile)
    try:
        told = shop.engine.promote(forced)
    finally:
        arm(None)
    assert (seen[0].outcome, told.outcome, told.message) == (
        PromotionOutcome.PROMOTED,
        PromotionOutcome.PROMOTED,
        AGAIN,
    )
    assert len(shop.state().history) == 1
    built = [model.id for order in shop.workshop.orders for model in order.models]
    assert sorted(built) == sorted(set(built))


def test_a_state_that_cannot_be_written_at_the_end_leaves_the_rest_to_the_retry(shop: KeptShop) -> None:
    def fail(reached: Failpoint) -> None:
        if reached is Failpoint.PUBLISHED:
            shop.store.write = broken  # type: ignore[method-assign]

    def broken(state: object, expected_serial: object) -> None:  # noqa: ARG001 - the store's
        shop.store.__dict__.pop("write")
        raise StateError("the store", "restarts")

    arm(fail)
    try:
        with pytest.raises(StateError, match="restarts"):
            shop.engine.promote(TASK)
    finally:
        arm(None)
    assert (shop.state().lock, shop.state().history) == (None, ())
    assert shop.engine.promote(TASK).outcome is PromotionOutcome.PROMOTED
    assert shop.workshop.orders[-1].models == ()
    assert shop.state().history[0].attempts == 2


def test_bad_input_after_something_was_published_leaves_the_environment_not_whole(shop: KeptShop) -> None:
    shop.workshop.meanwhile = lambda: (_ for _ in ()).throw(DbtProjectError("shop", ["edited meanwhile"]))
    with pytest.raises(DbtProjectError):
        shop.engine.promote(TASK)
    shop.workshop.meanwhile = bool
    assert shop.state().unfinalized is not None


def test_what_moved_since_is_not_carried_on_but_planned_anew(shop: KeptShop) -> None:
    shop.engine.promote(PromotionRequest(target="production"))
    shop.edit(defined(code={"orders": "select 2"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    die(shop, Failpoint.MODEL_PUBLISHED)
    shop.run("staging", failing=[test_id("orders")])
    found = shop.engine.promote(TASK)
    assert found.outcome is not PromotionOutcome.PROMOTED
    state = shop.state()
    assert state.history[0].outcome is PromotionOutcome.ERRORED
    assert "not carried on" in state.history[0].message
    assert state.unfinalized is not None
    assert state.journal is None


def test_another_promotion_has_to_wait_and_then_makes_history_of_it(shop: KeptShop) -> None:
    die(shop, Failpoint.MODEL_PUBLISHED)
    another = PromotionRequest(target="production", actor="ben", lock_timeout=0)
    with pytest.raises(LockHeldError, match="airflow"):
        shop.engine.promote(another)
    shop.clock.pass_by(timedelta(minutes=5))
    assert shop.engine.promote(another).outcome is PromotionOutcome.PROMOTED
    assert [record.outcome for record in shop.state().history] == [PromotionOutcome.PROMOTED, PromotionOutcome.ERRORED]


def test_a_run_of_what_is_promoted_makes_history_of_it_for_it_builds_over_what_was_published(shop: KeptShop) -> None:
    """A retry that came after it must not take the marks of before for what is there."""
    shop.engine.promote(PromotionRequest(target="production"))
    shop.edit(defined(code={"orders": "select 2"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    die(shop, Failpoint.PUBLISHED)
    shop.clock.pass_by(timedelta(minutes=5))
    assert shop.engine.run(RunOrder(environment="production")).outcome is RunOutcome.PASSED
    state = shop.state()
    assert (state.journal, state.history[0].outcome) == (None, PromotionOutcome.ERRORED)
    assert state.unfinalized is None  # all of it was built again, at what was promoted
    assert shop.engine.promote(TASK).outcome is PromotionOutcome.PROMOTED
    assert {model.id for model in shop.workshop.orders[-1].models} == {ORDERS, REVENUE}
    assert shop.versions() == shop.versions(STAGING)


def resume(shop: Shop, **asked: object) -> Promotion:
    return shop.engine.resume(replace(PromotionRequest(target="production", actor="eve", lock_timeout=0), **asked))


def test_a_person_resumes_what_broke_off_once_its_owner_is_dead(shop: KeptShop) -> None:
    die(shop, Failpoint.MODEL_PUBLISHED, replace(TASK, run=None))
    with pytest.raises(LockHeldError):
        resume(shop)
    shop.clock.pass_by(timedelta(minutes=5))
    assert resume(shop).outcome is PromotionOutcome.PROMOTED
    (told,) = shop.state().history
    assert (told.actor, told.attempts) == ("airflow", 2)


def test_what_cannot_be_carried_on_is_undone(shop: KeptShop) -> None:
    die(shop, Failpoint.MODEL_PUBLISHED)
    shop.run("staging", failing=[test_id("orders")])
    shop.clock.pass_by(timedelta(minutes=5))
    assert resume(shop).outcome is PromotionOutcome.REFUSED
    state = shop.state()
    assert (state.journal, state.current, state.history[0].outcome) == (None, {}, PromotionOutcome.ERRORED)


def test_there_may_be_nothing_to_resume(shop: KeptShop) -> None:
    with pytest.raises(NothingToResumeError, match="production"):
        resume(shop)
    shop.engine.promote(TASK)
    with pytest.raises(NothingToResumeError):
        resume(shop)


def test_somebody_else_may_resume_it_first(shop: KeptShop) -> None:
    die(shop, Failpoint.MODEL_PUBLISHED)
    shop.clock.pass_by(timedelta(minutes=5))
    raced = []

    def first(reached: Failpoint) -> None:
        if reached is Failpoint.LOCKED and not raced:
            raced.append(reached)
            state = shop.state()
            shop.store.write(replace(state, journal=None), state.serial)

    arm(first)
    try:
        with pytest.raises(NothingToResumeError):
            resume(shop)
    finally:
        arm(None)


def test_an_orphan_that_runs_on_beside_its_retry_writes_and_publishes_nothing(shop: KeptShop) -> None:
    """While it builds, its lock is opened and somebody else promotes."""
    rest: list[Promotion] = []

    def meanwhile() -> None:
        shop.workshop.meanwhile = bool
        shop.engine.unlock("production", "eve", "its pod is gone")
        rest.append(shop.engine.promote(PromotionRequest(target="production", actor="ben")))

    shop.workshop.meanwhile = meanwhile
    with pytest.raises(LockLostError):
        shop.engine.promote(TASK)
    assert rest[0].outcome is PromotionOutcome.PROMOTED
    state = shop.state()
    assert [record.actor for record in state.history] == ["ben", "airflow"]
    assert [record.outcome for record in state.history] == [PromotionOutcome.PROMOTED, PromotionOutcome.ERRORED]
    orphan = replace(shop.workshop.orders[0], mark=replace(shop.workshop.orders[0].mark, epoch=1))
    with pytest.raises(LockLostError):
        shop.workshop.build(orphan, print)


def test_unlocking_needs_a_reason_and_a_lock(shop: KeptShop) -> None:
    with pytest.raises(NotLockedError):
        shop.engine.unlock("production", "eve", "why not")
    with locked(shop.store, "production", "ben", shop.clock()):
        with pytest.raises(ReasonRequiredError):
            shop.engine.unlock("production", "eve", "  ")
        opened = shop.engine.unlock("production", "eve", " its pod is gone ")
    assert (opened.owner, opened.actor, opened.reason) == ("ben", "eve", "its pod is gone")
    assert shop.state().unlocks == (opened,)
