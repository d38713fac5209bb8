"""Sweeping: dropping the relations that this package made and that nobody needs any more, and no other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.checkpoints import without
from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import UnservableError, VersionsMovedError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.lock import Holder
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.ports import Clock, Workshop
from airflow_dbt_promotion.core.relations import Leftover, LeftoverRole
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.locks import Locks
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.server import Server

LOOK = timedelta(days=1)
"""How long what was built and not published stays for a look."""


class Swept(Struct, frozen=True, kw_only=True):
    """A relation that nobody needs: what kind it is in the warehouse, None where it is gone already.

    `stays` is why it could not be dropped.
    """

    environment: EnvironmentName
    leftover: Leftover
    kind: str | None
    stays: str | None = None


class Sweeper:
    """Finds relations that nobody needs any more, and drops them."""

    def __init__(self, memory: Memory, locks: Locks, workshop: Workshop, server: Server, clock: Clock) -> None:
        """Take what is remembered, its locks, what asks the warehouse, what puts code together, and the clock."""
        self._memory, self._locks, self._workshop = memory, locks, workshop
        self._server, self._clock = server, clock

    def found(self) -> tuple[Swept, ...]:
        """Return the relations that nobody needs, of every environment; drops nothing.

        Only an environment that has any on record is asked for. Raises DbtError where a warehouse cannot be asked.
        """
        return tuple(swept for environment in self._memory.path.environments for swept in self._found(environment))

    def sweep(self, found: Sequence[Swept], owner: str, timeout: float) -> tuple[Swept, ...]:
        """Drop of what was found what nobody needs still, and return it; `stays` says what could not be dropped.

        Each environment's lock is held meanwhile. Raises LockHeldError, DbtError.
        """
        done: list[Swept] = []
        for environment in self._memory.path.environments:
            asked = {swept.leftover.place for swept in found if swept.environment == environment.name}
            if asked:
                done.extend(self._swept(environment, asked, Holder(owner=owner), timeout))
        return tuple(done)

    def _found(self, environment: Environment) -> Iterator[Swept]:
        """Yield what nobody needs of one environment."""
        state = self._memory.read(environment.name)
        due = self._due(state) if state is not None else {}
        if not due:
            return
        there = self._workshop.present(environment, self._code(environment), tuple(due))
        for place, leftover in due.items():
            yield Swept(environment=environment.name, leftover=leftover, kind=there.get(place))

    def _due(self, state: EnvironmentState) -> Mapping[Place, Leftover]:
        """Return what may be dropped by now: what was replaced, and what was looked at long enough."""
        latest = self._clock() - LOOK
        return {
            leftover.place: leftover
            for leftover in state.leftovers
            if leftover.role is LeftoverRole.SUPERSEDED or leftover.since <= latest
        }

    def _swept(self, environment: Environment, asked: set[Place], holder: Holder, timeout: float) -> Iterator[Swept]:
        """Drop, under the lock, what is due still, and forget what is gone."""
        state = self._memory.read(environment.name)
        if state is None:
            return
        with self._locks.hold(environment.name, state.project, holder, timeout) as held:
            still = [swept for swept in self._found(environment) if swept.leftover.place in asked]
            places = [swept.leftover.place for swept in still]
            stay = self._workshop.drop(environment, self._code(environment), places) if places else {}
            held.change(lambda found: without(found, set(places) - stay.keys()), release=True)
        yield from (replace(swept, stays=stay.get(swept.leftover.place)) for swept in still)

    def _code(self, environment: Environment) -> Composition | None:
        """Return the code beside which dbt asks the warehouse: what the environment runs, else the project at hand."""
        try:
            return self._server.composition(environment, dry=True)
        except (UnservableError, VersionsMovedError):
            return None
