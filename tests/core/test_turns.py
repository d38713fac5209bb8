"""Turns: the lock of a part is below its promotion's, and whoever takes that one shuts out every part."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.errors import LockHeldError, LockLostError, NotOpenError
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, PlanId
from airflow_dbt_promotion.core.lock import LEASE, Holder, handed_on, taken
from airflow_dbt_promotion.core.parts import PartEnd
from airflow_dbt_promotion.core.state import EnvironmentState, Journal, Part
from airflow_dbt_promotion.core.turns import OfEnvironment, OfPart, how_it_ended, opened, unbuilt

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
PRODUCTION = EnvironmentName("production")
ONE = OfPart("run 1", "1")
ANN, BOB = Holder(owner="ann", run="task 1"), Holder(owner="bob", run="task 2")
END = PartEnd(well=True, started_at=NOON, finished_at=NOON)


def open_state() -> EnvironmentState:
    """Return a document with a promotion that was opened at noon, in two parts."""
    fresh = EnvironmentState(project=ProjectIdentity("shop"), environment=PRODUCTION, lineage="one")
    journal = Journal(
        plan_id=PlanId("p"),
        actor="ann",
        started_at=NOON,
        source=EnvironmentName("staging"),
        strategy="blue_green",
        models={},
        run="run 1",
        parts={"1": Part(models=(ModelId("model.shop.a"),)), "2": Part(models=(ModelId("model.shop.b"),))},
    )
    state = taken(fresh, replace(ANN, run="run 1"), NOON)
    return handed_on(replace(state, journal=journal), 1, NOON, HOUR)


def test_a_lock_that_is_handed_on_waits_for_the_next_task_and_is_no_process() -> None:
    lock = open_state().lock
    assert lock is not None
    assert (lock.expires_at, lock.process, lock.patience) == (NOON + HOUR, None, HOUR)
    with pytest.raises(LockHeldError):
        taken(open_state(), BOB, NOON + HOUR - timedelta(seconds=1))
    with pytest.raises(LockLostError):
        handed_on(open_state(), 7, NOON, HOUR)


def test_each_sign_of_life_of_a_part_is_one_of_the_promotion() -> None:
    later = NOON + timedelta(minutes=40)
    state = ONE.taken(open_state(), ANN, later, LEASE, gone=None)
    part, lock = ONE.lock_in(state), state.lock
    assert part is not None
    assert lock is not None
    assert (part.owner, part.epoch, part.expires_at) == ("ann", 2, later + LEASE)
    assert (lock.epoch, lock.expires_at, state.epoch) == (1, later + HOUR, 2)
    state = ONE.beaten(state, 2, later + HOUR, LEASE)
    assert state.lock is not None
    assert state.lock.expires_at == later + HOUR + HOUR
    ONE.check(state, 2)


def test_one_at_a_time_builds_a_part_and_the_other_parts_are_free() -> None:
    state = ONE.taken(open_state(), ANN, NOON, LEASE, gone=None)
    with pytest.raises(LockHeldError, match="ann"):
        ONE.taken(state, BOB, NOON, LEASE, gone=None)
    again = ONE.taken(state, ANN, NOON, LEASE, gone=2)
    with pytest.raises(LockLostError):
        ONE.check(again, 2)
    both = OfPart("run 1", "2").taken(state, BOB, NOON, LEASE, gone=None)
    ONE.check(both, 2)
    OfPart("run 1", "2").check(both, 3)


def test_what_came_of_a_part_is_noted_by_whoever_has_it() -> None:
    state = ONE.taken(open_state(), ANN, NOON, LEASE, gone=None)
    ended = ONE.freed(ONE.ended(state, 2, END), 2)
    assert ONE.found(ended) == Part(models=(ModelId("model.shop.a"),), end=END)
    assert ended.journal is not None
    assert unbuilt(ended.journal) == ("2",)
    with pytest.raises(LockLostError):
        ONE.ended(ended, 2, END)
    assert ONE.freed(ended, 2) is ended


@pytest.mark.parametrize(
    "move",
    [
        lambda state: replace(state, lock=None),
        lambda state: replace(state, journal=None),
        lambda state: taken(state, replace(ANN, run="run 1"), NOON, gone=1),
        lambda state: taken(state, BOB, NOON + 2 * HOUR),
        lambda state: replace(state, journal=replace(state.journal, run="run 2")),
        lambda state: replace(state, journal=replace(state.journal, parts={})),
    ],
)
def test_a_part_is_lost_with_its_promotion(move: Callable[[EnvironmentState], EnvironmentState]) -> None:
    state = move(ONE.taken(open_state(), ANN, NOON, LEASE, gone=None))
    with pytest.raises(LockLostError):
        ONE.check(state, 2)
    with pytest.raises(NotOpenError):
        ONE.lock_in(state)
    with pytest.raises(NotOpenError):
        ONE.taken(state, ANN, NOON, LEASE, gone=None)
    assert ONE.freed(state, 2) is state


def test_what_is_not_open_says_how_it_ended() -> None:
    state = open_state()
    assert opened(state, "run 1").journal is state.journal
    with pytest.raises(NotOpenError, match="no such promotion into production"):
        opened(state, "run 2")
    assert how_it_ended(state, None) == ""


def test_the_turn_of_an_environment_is_its_lock() -> None:
    whole = OfEnvironment()
    fresh = EnvironmentState(project=ProjectIdentity("shop"), environment=PRODUCTION, lineage="one")
    state = whole.taken(fresh, ANN, NOON, LEASE, gone=None)
    assert whole.lock_in(state) == state.lock
    later = whole.beaten(state, 1, NOON + LEASE, LEASE).lock
    assert later is not None
    assert later.expires_at == NOON + 2 * LEASE
    whole.check(state, 1)
    with pytest.raises(LockLostError):
        whole.check(state, 2)
    assert whole.freed(state, 1).lock is None
    assert whole.freed(state, 2) is state
