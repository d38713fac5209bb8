"""Turns: what can be locked, that is an environment, or a part of a promotion that is open there.

The lock of a part is below the environment's, which the promotion keeps: each sign of life of a part is one of the
promotion, and whoever takes the environment's lock shuts out every part.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core import lock as locks
from airflow_dbt_promotion.core.errors import LockLostError, NotOpenError
from airflow_dbt_promotion.core.lock import Holder
from airflow_dbt_promotion.core.parts import PartEnd
from airflow_dbt_promotion.core.state import EnvironmentState, Journal, Lock, Part


class Turn(Protocol):
    """Something of which one holder at a time has the lock; the moves are those of `core/lock.py`."""

    def lock_in(self, state: EnvironmentState) -> Lock | None:
        """Return the lock, None where nobody has it."""

    def taken(
        self, state: EnvironmentState, holder: Holder, now: datetime, lease: timedelta, *, gone: int | None
    ) -> EnvironmentState:
        """Return a document in which a holder has it. Raises LockHeldError, and NotOpenError where it is not there."""

    def beaten(self, state: EnvironmentState, epoch: int, now: datetime, lease: timedelta) -> EnvironmentState:
        """Return a document with a new sign of life. Raises LockLostError."""

    def check(self, state: EnvironmentState, epoch: int) -> None:
        """Raise LockLostError unless an epoch still has it."""

    def freed(self, state: EnvironmentState, epoch: int) -> EnvironmentState:
        """Return a document in which an epoch has given it back; one that it does not have is left alone."""


class OfEnvironment(Struct, frozen=True):
    """The turn of a whole environment."""

    def lock_in(self, state: EnvironmentState) -> Lock | None:
        """Return the environment's lock."""
        return state.lock

    def taken(
        self, state: EnvironmentState, holder: Holder, now: datetime, lease: timedelta, *, gone: int | None
    ) -> EnvironmentState:
        """Take the environment's lock."""
        return locks.taken(state, holder, now, lease, gone=gone)

    def beaten(self, state: EnvironmentState, epoch: int, now: datetime, lease: timedelta) -> EnvironmentState:
        """Give a sign of life."""
        return locks.beaten(state, epoch, now, lease)

    def check(self, state: EnvironmentState, epoch: int) -> None:
        """Raise unless it is still ours."""
        locks.held(state, epoch)

    def freed(self, state: EnvironmentState, epoch: int) -> EnvironmentState:
        """Give it back."""
        return locks.freed(state, epoch)


class Opened(NamedTuple):
    """A promotion that waits for the next task of its run."""

    state: EnvironmentState
    journal: Journal
    lock: Lock
    patience: timedelta

    def with_part(self, name: str, part: Part) -> EnvironmentState:
        """Return the document with another value of a part."""
        journal = replace(self.journal, parts={**self.journal.parts, name: part})
        return replace(self.state, journal=journal)

    def alive(self, now: datetime) -> Lock:
        """Return the lock with a sign of life: from now on it waits anew."""
        return locks.kept_alive(self.lock, now, self.patience)


class OfPart(Struct, frozen=True):
    """The turn of a part of the promotion that was opened as `run`."""

    run: str
    part: str

    def found(self, state: EnvironmentState) -> Part:
        """Return the part. Raises NotOpenError where its promotion is not open, or has no such part."""
        return self._found(opened(state, self.run))

    def lock_in(self, state: EnvironmentState) -> Lock | None:
        """Return the part's lock. Raises NotOpenError."""
        return self.found(state).lock

    def taken(
        self, state: EnvironmentState, holder: Holder, now: datetime, lease: timedelta, *, gone: int | None
    ) -> EnvironmentState:
        """Take the part's lock, which is a sign of life of the promotion."""
        promotion = opened(state, self.run)
        part = self._found(promotion)
        mine = locks.next_lock(part.lock, state, holder, now, lease, gone=gone)
        after = promotion.with_part(self.part, replace(part, lock=mine))
        return replace(after, epoch=mine.epoch, lock=promotion.alive(now))

    def beaten(self, state: EnvironmentState, epoch: int, now: datetime, lease: timedelta) -> EnvironmentState:
        """Give a sign of life, for the promotion as well."""
        promotion, part, lock = self._mine(state, epoch)
        after = promotion.with_part(self.part, replace(part, lock=locks.kept_alive(lock, now, lease)))
        return replace(after, lock=promotion.alive(now))

    def check(self, state: EnvironmentState, epoch: int) -> None:
        """Raise unless it is still ours, and its promotion still open."""
        self._mine(state, epoch)

    def freed(self, state: EnvironmentState, epoch: int) -> EnvironmentState:
        """Give it back."""
        try:
            promotion, part, _lock = self._mine(state, epoch)
        except LockLostError:
            return state
        return promotion.with_part(self.part, replace(part, lock=None))

    def ended(self, state: EnvironmentState, epoch: int, end: PartEnd) -> EnvironmentState:
        """Return a document that says what came of the part. Raises LockLostError."""
        promotion, part, _lock = self._mine(state, epoch)
        return promotion.with_part(self.part, replace(part, end=end))

    def _found(self, promotion: Opened) -> Part:
        """Return the part. Raises NotOpenError where its promotion has no such part."""
        part = promotion.journal.parts.get(self.part)
        if part is None:
            raise NotOpenError(promotion.state.environment, f"it has no part {self.part!r}")
        return part

    def _mine(self, state: EnvironmentState, epoch: int) -> tuple[Opened, Part, Lock]:
        """Return the promotion, its part, and the part's lock. Raises LockLostError."""
        promotion = _opened(state, self.run)
        part = promotion.journal.parts.get(self.part) if promotion is not None else None
        if promotion is None or part is None:
            raise LockLostError(state.environment, "nobody: its promotion is not open any more")
        return promotion, part, locks.still(part.lock, epoch, state.environment)


def opened(state: EnvironmentState, run: str) -> Opened:
    """Return the promotion that was opened as a run, as long as it waits for its tasks.

    Raises NotOpenError, with how it ended, where that is on record.
    """
    found = _opened(state, run)
    if found is None:
        raise NotOpenError(state.environment, how_it_ended(state, run))
    return found


def how_it_ended(state: EnvironmentState, run: str | None) -> str:
    """Return how the promotion of a run ended, as far as that is on record."""
    ended = next((one for one in state.history if run is not None and one.run == run), None)
    if ended is None:
        return ""
    return f"{ended.outcome.value}, {ended.message}" if ended.message else ended.outcome.value


def unbuilt(journal: Journal) -> tuple[str, ...]:
    """Return the parts of a promotion that nobody has built, or nobody to the end."""
    return tuple(name for name, part in journal.parts.items() if part.end is None)


def _opened(state: EnvironmentState, run: str) -> Opened | None:
    """Return the promotion that was opened as a run; None where it does not wait for its tasks."""
    journal, lock = state.journal, state.lock
    if journal is None or lock is None or lock.patience is None or not run == journal.run == lock.run:
        return None
    return Opened(state, journal, lock, lock.patience)
