"""Cleaning: letting go of kept sources that nothing refers to any more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta

from msgspec.structs import replace

from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.kept import Waste
from airflow_dbt_promotion.core.lock import Holder
from airflow_dbt_promotion.core.ports import Clock, ReleaseStore
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.locks import Locks
from airflow_dbt_promotion.engine.memory import Memory

GRACE = timedelta(hours=1)
"""What was touched so lately may be about to be referred to: somebody is keeping it at this very moment."""


class Cleaner:
    """Finds waste in the release store, and deletes it."""

    def __init__(self, memory: Memory, locks: Locks, releases: ReleaseStore, clock: Clock) -> None:
        """Take what is remembered, its locks, the kept releases, and the clock."""
        self._memory, self._locks, self._releases, self._clock = memory, locks, releases, clock

    def waste(self) -> Waste:
        """Return what no environment refers to any more; deletes nothing.

        Every document is read first, those of environments that the path has no more among them: one that cannot be
        read stops it, for nobody knows what it refers to.
        """
        needed: set[ReleaseId] = set()
        for environment in self._memory.store.environments():
            state = self._memory.read(environment)
            needed.update(() if state is None else named(state))
        return self._releases.waste(needed, self._clock() - GRACE)

    def remove(self, waste: Waste, owner: str, timeout: float) -> Waste:
        """Delete of what was found what is waste still, and return that.

        Nobody promotes or runs anything meanwhile: every lock is held, for at most `timeout` seconds waited for each.
        Raises LockHeldError.
        """
        with ExitStack() as locks:
            for environment in self._memory.store.environments():
                if (state := self._memory.read(environment)) is not None:
                    held = self._locks.hold(environment, state.project, Holder(owner=owner), timeout)
                    locks.enter_context(held)
            still = self.waste()
            left = set(still.names)
            names = tuple(name for name in waste.names if name in left)
            found = replace(still, names=names, releases=tuple(r for r in still.releases if r in waste.releases))
            self._releases.remove(found)
        return found


def named(state: EnvironmentState) -> Iterator[ReleaseId]:
    """Return every release that a document names: of what is held, of what left and can go still, of what can be gone
    back to, of the project.
    """
    held = (entry.release for entry in state.current.values())
    left = (stay.release for stays in state.stays.values() for stay in stays)
    before = (entry.release for point in state.checkpoints for entry in point.before.values() if entry is not None)
    yield from (release for release in (*held, *left, *before, state.release) if release is not None)
