"""Brakes: people hold an environment, let it go, and lift blocks. No lock is needed, for nothing is built."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from airflow_dbt_promotion.core.braking import Deed, frozen, held, released, thawed, unblocked
from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    NotBlockedError,
    NotFrozenError,
    NotHeldError,
    ReasonRequiredError,
)
from airflow_dbt_promotion.core.instants import utc
from airflow_dbt_promotion.core.names import Names
from airflow_dbt_promotion.core.ports import Clock
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.stops import Intervention
from airflow_dbt_promotion.engine.memory import Memory


class Brakes:
    """Stops what goes into an environment, and lets it go again; compare-and-set suffices."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        """Take what is remembered, and the clock."""
        self._memory, self._clock = memory, clock

    def hold(self, environment: str, actor: str, reason: str) -> Intervention:
        """Let nothing be promoted into an environment until somebody releases it; a hold that is there is replaced.

        What is going on goes on, but for what is not begun yet. Raises ReasonRequiredError.
        """
        place, deed = self._memory.path.get(environment), self._deed("hold", actor, reason)
        project = self._project(place, self._memory.read(place.name))
        return self._memory.change(place.name, project, lambda state: held(state, deed)).interventions[-1]

    def release(self, environment: str, actor: str, reason: str) -> Intervention:
        """Lift the hold of an environment. Raises NotHeldError, ReasonRequiredError."""
        place, deed = self._memory.path.get(environment), self._deed("release", actor, reason)
        state = self._memory.read(place.name)
        if state is None:
            raise NotHeldError(place.name)
        return self._memory.change(place.name, state.project, lambda found: released(found, deed)).interventions[-1]

    def freeze(self, environment: str, actor: str, reason: str, until: datetime | None = None) -> Intervention:
        """Let nothing be promoted into an environment until an instant, or until somebody thaws it; a freeze that is
        there is replaced.

        What is going on goes on, but for what is not begun yet; a rollback goes, too. Raises ReasonRequiredError,
        ConfigError for an instant that is past.
        """
        place, deed = self._memory.path.get(environment), self._deed("freeze", actor, reason)
        ends = None if until is None else utc(until)
        if ends is not None and ends <= deed.at:
            raise ConfigError("until", f"{ends:%Y-%m-%d %H:%M:%S} UTC is past; a freeze ends later than now")
        project = self._project(place, self._memory.read(place.name))
        return self._memory.change(place.name, project, lambda state: frozen(state, ends, deed)).interventions[-1]

    def thaw(self, environment: str, actor: str, reason: str) -> Intervention:
        """Lift the freeze of an environment. Raises NotFrozenError, ReasonRequiredError."""
        place, deed = self._memory.path.get(environment), self._deed("thaw", actor, reason)
        state = self._memory.read(place.name)
        if state is None:
            raise NotFrozenError(place.name)
        return self._memory.change(place.name, state.project, lambda found: thawed(found, deed)).interventions[-1]

    def unblock(self, environment: str, actor: str, reason: str, models: Sequence[str] | None = None) -> Intervention:
        """Lift the blocks of some models, or all that there are.

        Raises NotBlockedError, UnknownModelError for a model of which nothing is blocked, ReasonRequiredError.
        """
        place, deed = self._memory.path.get(environment), self._deed("unblock", actor, reason)
        state = self._memory.read(place.name)
        if state is None or not state.blocks:
            raise NotBlockedError(place.name)
        names = Names(state.blocks)
        chosen = None if models is None else {names.resolve(name) for name in models}
        after = self._memory.change(place.name, state.project, lambda found: unblocked(found, chosen, deed))
        return after.interventions[-1]

    def _deed(self, what: str, actor: str, reason: str) -> Deed:
        """Return who steps in now. Raises ReasonRequiredError."""
        if not (why := reason.strip()):
            raise ReasonRequiredError(what)
        return Deed(at=self._clock(), actor=actor, reason=why)

    def _project(self, place: Environment, state: EnvironmentState | None) -> ProjectIdentity:
        """Return whose document it is, or would be. Raises ConfigError."""
        if state is not None:
            return state.project
        if self._memory.project is None:
            problem = "nothing was ever recorded for it, and it is not known of which dbt project it is"
            raise ConfigError(f"environment {place.name}", problem)
        return ProjectIdentity(self._memory.project)
