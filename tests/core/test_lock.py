"""The lock of an environment: one holder at a time, and whoever lost it is shut out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import LockHeldError, LockLostError, NotLockedError
from airflow_dbt_promotion.core.lock import LEASE, Holder, beaten, forced, freed, held, taken, told
from airflow_dbt_promotion.core.state import Process
from tests.scenarios import NOON, empty_state

FREE = empty_state("production")
ME = Process(host="here", boot="today", pid=7, started=1.5)
ANN = Holder(owner="ann", run="task 1", link="https://example.com/1", process=ME)
BEN = Holder(owner="ben")
MOMENT = timedelta(seconds=1)


def test_a_free_lock_is_taken_with_all_that_is_known_of_the_holder() -> None:
    lock = taken(FREE, ANN, NOON).lock
    assert lock is not None
    assert (lock.owner, lock.run, lock.link, lock.process, lock.epoch) == ("ann", "task 1", ANN.link, ME, 1)
    assert (lock.acquired_at, lock.heartbeat_at, lock.expires_at) == (NOON, NOON, NOON + LEASE)


def test_nobody_else_gets_it_while_its_sign_of_life_holds() -> None:
    state = taken(FREE, ANN, NOON)
    with pytest.raises(LockHeldError, match=r"ann \(https://example.com/1\), since .*12:00:00Z.* free at .*12:03:00Z"):
        taken(state, BEN, NOON + LEASE - MOMENT)
    with pytest.raises(LockHeldError):
        taken(state, ANN, NOON)


def test_a_lock_without_a_sign_of_life_goes_to_the_next_by_a_higher_epoch() -> None:
    state = taken(taken(FREE, ANN, NOON), BEN, NOON + LEASE)
    assert state.lock is not None
    assert (state.lock.owner, state.lock.epoch, state.epoch) == ("ben", 2, 2)


def test_a_sign_of_life_keeps_it() -> None:
    state = beaten(taken(FREE, ANN, NOON), 1, NOON + LEASE / 2)
    with pytest.raises(LockHeldError):
        taken(state, BEN, NOON + LEASE)
    assert taken(state, BEN, NOON + LEASE * 3 / 2).epoch == 2


def test_the_lock_of_a_holder_who_is_known_to_be_dead_is_free_at_once() -> None:
    state = taken(FREE, ANN, NOON)
    assert taken(state, BEN, NOON, gone=1).epoch == 2
    with pytest.raises(LockHeldError):
        taken(taken(state, BEN, NOON, gone=1), ANN, NOON, gone=1)


def test_epochs_rise_also_over_locks_that_were_given_back() -> None:
    state = freed(taken(FREE, ANN, NOON), 1)
    assert (state.lock, taken(state, BEN, NOON).epoch) == (None, 2)


def test_whoever_lost_it_is_shut_out_and_frees_nothing() -> None:
    state = taken(taken(FREE, ANN, NOON), BEN, NOON + LEASE)
    for lost in (held, lambda state, epoch: beaten(state, epoch, NOON)):
        with pytest.raises(LockLostError, match="held by ben"):
            lost(state, 1)  # type: ignore[operator]
    assert freed(state, 1) is state
    with pytest.raises(LockLostError, match="held by nobody"):
        held(FREE, 1)
    assert freed(FREE, 1) is FREE


def test_opening_it_by_force_is_on_record_and_shuts_the_holder_out() -> None:
    state = forced(taken(FREE, ANN, NOON), NOON + MOMENT, "eve", "the pod is gone")
    (opened,) = state.unlocks
    assert (opened.at, opened.actor, opened.reason) == (NOON + MOMENT, "eve", "the pod is gone")
    assert (opened.owner, opened.epoch, state.lock) == ("ann", 1, None)
    with pytest.raises(LockLostError):
        held(state, 1)
    with pytest.raises(NotLockedError, match="production"):
        forced(state, NOON, "eve", "again")


def test_an_owner_of_many_lines_is_told_on_one() -> None:
    lock = taken(FREE, replace(BEN, owner="ben\n  of\tsales"), NOON).lock
    assert lock is not None
    assert told(lock).startswith("ben of sales, since ")
    assert told(replace(lock, owner=" ")).startswith("owner unknown, since ")
