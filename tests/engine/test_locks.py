"""Holding a lock: waiting for it, taking it back, signs of life, and writing only while it is ours."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import LockHeldError, LockLostError, StateError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.lock import Holder, freed
from airflow_dbt_promotion.core.state import EnvironmentState, Process
from airflow_dbt_promotion.engine.locks import Locks
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.fakes import FakeClock, FakeProcesses
from tests.locking import SHOP
from tests.scenarios import NOON, path

PRODUCTION = EnvironmentName("production")
ANN, BEN = Holder(owner="ann", run="task 1"), Holder(owner="ben")
LEASE = timedelta(seconds=0.3)
PATIENCE = 60.0


class Place:
    """A store with a clock, and the locks of one process."""

    def __init__(self, store: MemoryStore | None = None, lease: timedelta = LEASE) -> None:
        self.store, self.clock, self.processes = store or MemoryStore(), FakeClock(NOON), FakeProcesses()
        self.memory = Memory(path(), self.store, None)
        self.locks = Locks(self.memory, self.processes, self.clock, lease)

    def other(self, pid: int = 2, host: str = "here") -> Locks:
        """Return the locks of another process."""
        processes = FakeProcesses()
        processes.me = Process(host=host, boot="today", pid=pid, started=0.0)
        self.others = processes
        return Locks(self.memory, processes, self.clock, LEASE)

    def state(self) -> EnvironmentState:
        """Return the document."""
        found = self.store.read(PRODUCTION)
        assert found is not None
        return found


def with_note(state: EnvironmentState) -> EnvironmentState:
    return replace(state, lineage=state.lineage, unfinalized=None, release="noted")


def test_a_lock_is_in_the_document_while_it_is_held_and_gone_afterwards() -> None:
    place = Place()
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0) as held:
        lock = place.state().lock
        assert lock is not None
        assert (lock.owner, lock.process, lock.epoch) == ("ann", place.processes.me, held.epoch)
    assert (place.state().lock, place.state().epoch) == (None, 1)


def test_a_lock_is_given_back_where_the_work_broke_off() -> None:
    place = Place()
    with pytest.raises(KeyError), place.locks.hold(PRODUCTION, SHOP, ANN, 0):
        raise KeyError
    assert place.state().lock is None


def test_another_waits_and_then_says_who_has_it() -> None:
    place = Place()
    with (
        place.locks.hold(PRODUCTION, SHOP, ANN, 0),
        pytest.raises(LockHeldError, match="ann"),
        place.other().hold(PRODUCTION, SHOP, BEN, 0.05),
    ):
        pytest.fail("two hold one lock")


def test_a_lock_that_is_given_back_in_time_is_had() -> None:
    place, got, taken = Place(lease=timedelta(hours=1)), threading.Event(), threading.Event()
    other = place.other()

    def wait() -> None:
        taken.wait(PATIENCE)
        with other.hold(PRODUCTION, SHOP, BEN, PATIENCE):
            got.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0):
        taken.set()
        assert not got.wait(0.1)
    assert got.wait(PATIENCE)
    waiting.join()
    assert place.state().epoch == 2


def test_a_lock_whose_clock_stands_still_is_kept_by_signs_of_life_and_else_taken_after_a_lease() -> None:
    """Whatever the clocks say, whoever gives no sign of life while we watch for a lease is dead."""
    place = Place()
    left = place.locks.hold(PRODUCTION, SHOP, ANN, 0)
    held = left.__enter__()
    with pytest.raises(LockHeldError), place.other().hold(PRODUCTION, SHOP, BEN, 0.1):
        pytest.fail("two hold one lock")
    die(place)
    with place.other().hold(PRODUCTION, SHOP, BEN, PATIENCE) as mine:
        assert mine.epoch > held.epoch
        with pytest.raises(LockLostError, match="not ours any more"):
            held.change(with_note)
    left.__exit__(None, None, None)


def die(place: Place) -> None:
    """Leave the lock as a process does that was killed: with no more signs of life."""
    state = place.state()
    assert state.lock is not None
    place.store.write(
        replace(state, epoch=state.epoch + 1, lock=replace(state.lock, epoch=state.epoch + 1)), state.serial
    )


def test_a_clock_that_stepped_back_does_not_keep_a_dead_lock_for_ever() -> None:
    place = Place()
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0):
        die(place)
    place.clock.pass_by(timedelta(days=-1))
    with place.other().hold(PRODUCTION, SHOP, BEN, PATIENCE) as held:
        assert held.epoch == place.state().epoch


def test_a_later_attempt_of_the_same_run_ends_the_earlier_one_and_has_its_lock_at_once() -> None:
    place = Place(lease=timedelta(hours=1))
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0) as orphan:
        again = place.other()
        with again.hold(PRODUCTION, SHOP, ANN, 0) as held:
            assert [process.pid for process in place.others.asked] == [1]
            assert held.epoch == 2
            with pytest.raises(LockLostError):
                orphan.change(with_note)
            assert held.change(with_note).release == "noted"


def test_an_earlier_attempt_that_cannot_be_ended_is_outwaited() -> None:
    place = Place()
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0):
        die(place)
    with place.other(host="elsewhere").hold(PRODUCTION, SHOP, ANN, 0) as held:
        assert held.epoch == 3


def test_the_same_process_never_ends_itself() -> None:
    place = Place()
    locks = Locks(place.memory, place.processes, lambda: datetime.now(tz=UTC), LEASE)
    with (
        locks.hold(PRODUCTION, SHOP, ANN, 0),
        pytest.raises(LockHeldError),
        locks.hold(PRODUCTION, SHOP, ANN, 0),
    ):
        pytest.fail("two hold one lock")
    assert place.processes.asked == []


def test_signs_of_life_are_given_while_the_work_goes_on() -> None:
    place, beat = Place(), threading.Event()

    class Watching(MemoryStore):
        def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
            if state.lock is not None and state.lock.heartbeat_at > state.lock.acquired_at:
                beat.set()
            return super().write(state, expected_serial)

    place = Place(Watching())
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0) as held:
        place.clock.pass_by(timedelta(minutes=1))
        assert beat.wait(PATIENCE)
        held.check()
    assert place.state().lock is None


def test_whoever_lost_the_lock_hears_of_it() -> None:
    place = Place()
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0) as held:
        state = place.state()
        place.store.write(replace(freed(state, held.epoch), epoch=9), state.serial)
        wait_until_lost(held)
        with pytest.raises(LockLostError):
            held.change(with_note)
    assert place.state().release is None


def wait_until_lost(held: object) -> None:
    """Wait until the signs of life have found out."""
    enough = threading.Event()
    for _ in range(1000):
        try:
            held.check()  # type: ignore[attr-defined]
        except (LockLostError, StateError):
            return
        enough.wait(0.02)
    pytest.fail("nobody heard of it")


class Failing(MemoryStore):
    """A store that cannot be reached for a while."""

    broken = False

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        if self.broken:
            raise StateError("the store", "cannot be reached")
        return super().read(environment)


def test_a_store_that_cannot_be_reached_for_a_lease_costs_the_lock() -> None:
    store = Failing()
    place = Place(store)
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0) as held:
        store.broken = True
        place.clock.pass_by(timedelta(seconds=0.1))
        threading.Event().wait(0.2)
        held.check()
        place.clock.pass_by(LEASE)
        wait_until_lost(held)
    store.broken = False
    assert place.state().lock is not None  # what could not be given back expires


def test_a_lock_is_given_back_with_the_last_write() -> None:
    place = Place()
    with place.locks.hold(PRODUCTION, SHOP, ANN, 0) as held:
        assert held.change(with_note, release=True).lock is None
        serial = place.state().serial
    assert place.state().serial == serial
