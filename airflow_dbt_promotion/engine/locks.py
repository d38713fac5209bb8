"""Holding the promotion lock of an environment: taking it, giving signs of life, writing only while it is ours."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.errors import (
    LockHeldError,
    LockLostError,
    MachineError,
    NotLockedError,
    ReasonRequiredError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.lock import LEASE, Holder, forced, handed_on
from airflow_dbt_promotion.core.ports import Clock, Processes
from airflow_dbt_promotion.core.state import EnvironmentState, Lock, Unlocking
from airflow_dbt_promotion.core.turns import OfEnvironment, Turn
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.failpoints import Failpoint, reached

_BEATS = 6
"""Signs of life in each lease, so that several may fail."""

_SHORTEST, _LONGEST = 0.02, 2.0
"""Seconds between two looks at a lock that another holds; each is longer than the one before."""

Move = Callable[[EnvironmentState], EnvironmentState]

_WHOLE = OfEnvironment()


class Held:
    """A lock that is held. Every write of the holder goes through it, and none after the lock was lost."""

    def __init__(self, memory: Memory, state: EnvironmentState, turn: Turn) -> None:
        """Take where the document is, the document in which the lock is ours, and what is locked."""
        self._memory, self.environment, self._project = memory, state.environment, state.project
        self.turn, self.lineage, self.epoch = turn, state.lineage, state.epoch
        self._lost: LockLostError | None = None
        self._given_back = False
        self.touched = False
        """Whether something was published under this lock."""

    def check(self) -> None:
        """Raise LockLostError where the lock is known to be lost."""
        if self._lost is not None:
            raise self._lost

    def change(self, move: Move, *, release: bool = False) -> EnvironmentState:
        """Apply a move to the document, if the lock is ours still; `release` gives it back in the same write.

        Raises LockLostError, and what `Memory.change` raises.
        """
        self.check()

        def fenced(state: EnvironmentState) -> EnvironmentState:
            self.turn.check(state, self.epoch)
            after = move(state)
            return self.turn.freed(after, self.epoch) if release else after

        written = self._memory.change(self.environment, self._project, fenced)
        self._given_back = release
        return written

    def hand_on(self, move: Move, now: datetime, patience: timedelta) -> EnvironmentState:
        """Apply a move to the document, and let the lock wait so long for the next task of its run.

        Raises as `change` does.
        """
        written = self.change(lambda state: handed_on(move(state), self.epoch, now, patience))
        self._given_back = True
        return written

    def lose(self, error: LockLostError) -> None:
        """Note that the lock is lost."""
        self._lost = error

    def give_back(self) -> None:
        """Give the lock back, if it is ours still; what cannot be written is left to expire."""
        if self._given_back:
            return
        with suppress(MachineError):
            state = self._memory.read(self.environment)
            if state is not None and self.turn.freed(state, self.epoch) is not state:
                self._memory.change(self.environment, self._project, lambda found: self.turn.freed(found, self.epoch))


class _Seen(NamedTuple):
    """A sign of life, and how long we had waited when we saw it first."""

    epoch: int
    heartbeat: datetime
    waited: float


class _Asking(NamedTuple):
    """Who wants which lock."""

    environment: EnvironmentName
    project: ProjectIdentity
    holder: Holder
    turn: Turn


class Locks:
    """Takes locks."""

    def __init__(self, memory: Memory, processes: Processes, clock: Clock, lease: timedelta = LEASE) -> None:
        """Take what is remembered, what knows processes, and the clock; a sign of life holds for a lease."""
        self._memory, self._processes, self._clock, self._lease = memory, processes, clock, lease

    @contextmanager
    def hold(
        self,
        environment: EnvironmentName,
        project: ProjectIdentity,
        holder: Holder,
        timeout: float,
        turn: Turn = _WHOLE,
    ) -> Iterator[Held]:
        """Hold the lock of an environment, or of a part of its open promotion, while the context is open.

        Waits for another holder for at most `timeout` seconds, and for a lease at least where an earlier attempt of the
        same run has it, on another machine. An earlier attempt on this machine is ended, and its lock is ours at once;
        so is one that the run has handed on. Raises LockHeldError that says who has it, and what the turn raises.
        """
        asking = _Asking(environment, project, replace(holder, process=self._processes.here()), turn)
        mine, over = Held(self._memory, self._taken(asking, timeout), turn), threading.Event()
        reached(Failpoint.LOCKED)
        beating = threading.Thread(target=self._beat, args=(mine, over), name=f"lock of {environment}", daemon=True)
        beating.start()
        try:
            yield mine
        finally:
            over.set()
            beating.join()
            mine.give_back()

    def open(self, environment: EnvironmentName, actor: str, reason: str) -> Unlocking:
        """Open a lock by force, on record; see `core.lock.forced`. Raises NotLockedError, ReasonRequiredError."""
        state, why = self._memory.read(environment), reason.strip()
        if not why:
            raise ReasonRequiredError("unlock")
        if state is None:
            raise NotLockedError(environment)
        after = self._memory.change(environment, state.project, lambda found: forced(found, self._clock(), actor, why))
        return after.unlocks[-1]

    def _taken(self, asking: _Asking, timeout: float) -> EnvironmentState:
        """Return the document in which the lock is ours."""
        holder, waited, pause, gone = asking.holder, 0.0, _SHORTEST, None
        seen: _Seen | None = None
        while True:
            try:
                return self._take(asking, gone)
            except LockHeldError:
                state = self._memory.read(asking.environment)
                lock = asking.turn.lock_in(state) if state is not None else None
                if lock is None:  # given back just now
                    continue
                again = holder.run is not None and lock.run == holder.run
                patience = max(timeout, self._lease.total_seconds()) if again else timeout
                seen = seen if seen is not None and seen[:2] == (lock.epoch, lock.heartbeat_at) else None
                seen = seen or _Seen(lock.epoch, lock.heartbeat_at, waited)
                if self._is_gone(lock, holder, again=again) or waited - seen.waited >= self._lease.total_seconds():
                    gone = lock.epoch
                    continue
                if waited >= patience:
                    raise
            step = max(min(pause, patience - waited), _SHORTEST)
            _wait(step)
            waited, pause = waited + step, min(pause * 1.5, _LONGEST)

    def _take(self, asking: _Asking, gone: int | None) -> EnvironmentState:
        return self._memory.change(
            asking.environment,
            asking.project,
            lambda state: asking.turn.taken(state, asking.holder, self._clock(), self._lease, gone=gone),
        )

    def _is_gone(self, lock: Lock, holder: Holder, *, again: bool) -> bool:
        """Say whether an earlier attempt of the same run is surely dead, or handed its lock on; one on this machine is
        ended.
        """
        if again and lock.patience is not None:
            return True
        if not again or lock.process is None or lock.process == holder.process:
            return False
        return self._processes.ended(lock.process)

    def _beat(self, mine: Held, over: threading.Event) -> None:
        """Give signs of life until the work is over, or the lock is lost."""
        last = self._clock()
        while not over.wait(self._lease.total_seconds() / _BEATS):
            now = self._clock()
            try:
                mine.change(lambda state: mine.turn.beaten(state, mine.epoch, self._clock(), self._lease))
                last = now
            except LockLostError as error:
                mine.lose(error)
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, the next sign of life may succeed
                if now - last >= self._lease:
                    mine.lose(LockLostError(mine.environment, f"nobody can tell whom: {error}"))
                    return


def _wait(seconds: float) -> None:
    """Let time pass."""
    threading.Event().wait(seconds)
