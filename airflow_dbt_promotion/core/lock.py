"""The promotion lock of an environment: a part of its document, so that whoever writes sees in the same write whether
the lock is still his.

One holder at a time, with a name for people, an epoch that rises with every holder, and a sign of life that keeps the
lock. Who gives none for a lease is taken for dead, and the next one may have the lock. Compare-and-set is the safety,
the lock is the courtesy: a holder that was taken for dead and lives on is *fenced*, for its epoch is an older one.

A promotion that goes through several tasks hands its lock on: nobody gives signs of life between two of them, so the
lock says for how long it waits for the next one.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import LockHeldError, LockLostError, NotLockedError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.state import EnvironmentState, Lock, Process, Unlocking

LEASE = timedelta(minutes=3)
"""For how long a sign of life holds."""


class Holder(Struct, frozen=True, kw_only=True):
    """Who wants a lock.

    `owner` is for people. `run` is what a later attempt at the same work has in common with this one, such as an
    Airflow task instance; None where nobody could say. `process` is what would have to be ended before another attempt
    may go on.
    """

    owner: str
    run: str | None = None
    link: str | None = None
    process: Process | None = None


def taken(
    state: EnvironmentState, holder: Holder, now: datetime, lease: timedelta = LEASE, *, gone: int | None = None
) -> EnvironmentState:
    """Return a document with its lock taken, by a higher epoch than any before.

    `gone` is the epoch of a holder of which the caller knows that it is dead. Raises LockHeldError where somebody has
    the lock and may be alive.
    """
    mine = next_lock(state.lock, state, holder, now, lease, gone=gone)
    return replace(state, epoch=mine.epoch, lock=mine)


def next_lock(
    lock: Lock | None, state: EnvironmentState, holder: Holder, now: datetime, lease: timedelta, *, gone: int | None
) -> Lock:
    """Return the lock that comes after another, by a higher epoch than any in the document. Raises LockHeldError."""
    if lock is not None and lock.epoch != gone and now < lock.expires_at:
        raise LockHeldError(state.environment, told(lock))
    return Lock(
        owner=holder.owner,
        run=holder.run,
        epoch=state.epoch + 1,
        acquired_at=now,
        heartbeat_at=now,
        expires_at=now + lease,
        process=holder.process,
        link=holder.link,
    )


def beaten(state: EnvironmentState, epoch: int, now: datetime, lease: timedelta = LEASE) -> EnvironmentState:
    """Return a document with a new sign of life. Raises LockLostError."""
    return replace(state, lock=kept_alive(held(state, epoch), now, lease))


def kept_alive(lock: Lock, now: datetime, lease: timedelta) -> Lock:
    """Return a lock with a new sign of life; one that was to last longer still does."""
    return replace(lock, heartbeat_at=now, expires_at=max(lock.expires_at, now + lease))


def held(state: EnvironmentState, epoch: int) -> Lock:
    """Return the lock where an epoch still has it. Raises LockLostError: whoever lost it may not write any more."""
    return still(state.lock, epoch, state.environment)


def still(lock: Lock | None, epoch: int, environment: EnvironmentName) -> Lock:
    """Return a lock that an epoch still has. Raises LockLostError."""
    if lock is None or lock.epoch != epoch:
        raise LockLostError(environment, "nobody" if lock is None else told(lock))
    return lock


def handed_on(state: EnvironmentState, epoch: int, now: datetime, patience: timedelta) -> EnvironmentState:
    """Return a document whose lock waits for the next task of the run that has it. Raises LockLostError."""
    lock = held(state, epoch)
    waiting = replace(lock, process=None, patience=patience, heartbeat_at=now, expires_at=now + patience)
    return replace(state, lock=waiting)


def freed(state: EnvironmentState, epoch: int) -> EnvironmentState:
    """Return a document whose lock an epoch has given back; one that it does not have is left alone."""
    if state.lock is None or state.lock.epoch != epoch:
        return state
    return replace(state, lock=None)


def forced(state: EnvironmentState, now: datetime, actor: str, reason: str) -> EnvironmentState:
    """Return a document whose lock somebody opened by force, which stays on record. Raises NotLockedError.

    Whoever held it is fenced from now on: the next holder has a higher epoch. A journal stays open for `resume`, or for
    the next promotion.
    """
    if state.lock is None:
        raise NotLockedError(state.environment)
    opened = Unlocking(at=now, actor=actor, reason=reason, epoch=state.lock.epoch, owner=state.lock.owner)
    return replace(state, lock=None, unlocks=(*state.unlocks, opened))


def told(lock: Lock) -> str:
    """Return a holder for a sentence."""
    owner = " ".join(lock.owner.split()) or "owner unknown"
    where = f" ({lock.link})" if lock.link else ""
    return (
        f"{owner}{where}, since {_instant(lock.acquired_at)}, last sign of life {_instant(lock.heartbeat_at)}; free at "
        f"{_instant(lock.expires_at)} without another"
    )


def _instant(instant: datetime) -> str:
    return instant.strftime("%Y-%m-%dT%H:%M:%SZ")
