"""Telling what is: status, validated models, history."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from airflow_dbt_promotion.core.demand import demanded
from airflow_dbt_promotion.core.eligibility import Verdict
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId
from airflow_dbt_promotion.core.names import Names
from airflow_dbt_promotion.core.policy import Policy, policy_for
from airflow_dbt_promotion.core.ports import Calendar, Clock, Workshop
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionRecord
from airflow_dbt_promotion.core.status import Drifted, Following, ModelStatus, drifted, statuses
from airflow_dbt_promotion.core.window_gate import time_to_promote
from airflow_dbt_promotion.engine.asking import policy_of
from airflow_dbt_promotion.engine.hours import hours_of
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.policies import policies_of
from airflow_dbt_promotion.engine.shelf import Shelf


class Observer:
    """Reads, and only reads."""

    def __init__(self, memory: Memory, workshop: Workshop, clock: Clock, calendar: Calendar) -> None:
        """Take what is remembered, what parses (where rules ask for it), the clock, and the calendar."""
        self._memory, self._workshop, self._clock, self._calendar = memory, workshop, clock, calendar

    def status(
        self, environment: str | None, models: Sequence[str] | None, soak: timedelta | None = None
    ) -> tuple[ModelStatus, ...]:
        """Return the status of each model in each environment (or in one), in the order of the path.

        `soak` asks for at least that long. Raises UnknownEnvironmentError, UnknownModelError.
        """
        path = self._memory.path
        chosen = path.environments if environment is None else (path.get(environment),)
        states = {name.name: self._memory.read(name.name) for name in path.environments}
        only = None if models is None else _resolved(models, states.values())
        found: list[ModelStatus] = []
        for place in chosen:
            state = states[place.name]
            if state is not None:
                others = tuple(other for name, other in states.items() if name != place.name and other is not None)
                found.extend(statuses(state, self._following(place, states, soak), others, self._clock(), only))
        return tuple(found)

    def drift(self, environment: str | None, models: Sequence[str] | None) -> tuple[Drifted, ...]:
        """Return what others built at versions that were never promoted, in the order of the path.

        Raises UnknownEnvironmentError, UnknownModelError.
        """
        path = self._memory.path
        chosen = path.environments if environment is None else (path.get(environment),)
        states = {place.name: self._memory.read(place.name) for place in path.environments}
        only = None if models is None else _resolved(models, states.values())
        return tuple(
            one for place in chosen if (state := states[place.name]) is not None for one in drifted(state, only)
        )

    def state(self, environment: str) -> EnvironmentState | None:
        """Return an environment's document, None where nothing was ever recorded."""
        return self._memory.read(self._memory.path.get(environment).name)

    def hours(self, environment: str | None = None, now: datetime | None = None) -> tuple[Verdict, ...]:
        """Return the verdicts of the window gate for an environment (None: the last of the path) at an instant (None:
        this one); nothing where it has no windows and no freeze.
        """
        path = self._memory.path
        place = path.last() if environment is None else path.get(environment)
        return self._hours(place, self._memory.read(place.name), now or self._clock())

    def states(self, environment: str | None) -> tuple[EnvironmentState, ...]:
        """Return the documents of one environment or of all, as far as there are any, in the order of the path."""
        path = self._memory.path
        chosen = path.environments if environment is None else (path.get(environment),)
        found = (self._memory.read(place.name) for place in chosen)
        return tuple(state for state in found if state is not None)

    def validated(self, environment: str | None, soak: timedelta | None, *, pending: bool) -> tuple[ModelStatus, ...]:
        """Return the models whose version in an environment is validated and soaked.

        `pending`: only those that the next environment lacks. The environment is the source of the last of the path
        where none is named. `soak` of None is the policy's; a number replaces it here, since asking decides nothing.
        """
        source = self.source(environment)
        states = {place.name: self._memory.read(place.name) for place in self._memory.path.environments}
        state, following = states[source.name], self._following(source, states, None)
        if following is None:
            raise ConfigError("environment", f"{source.name} is the last of its path: nothing goes on from there")
        if state is None:
            return ()
        if soak is not None:
            special = {model: replace(asked, soak=soak) for model, asked in following.requirements.items()}
            own = replace(following.requirement, soak=soak)
            following = replace(following, requirement=own, requirements=special)
        others = tuple(other for name, other in states.items() if name != source.name and other is not None)
        found = statuses(state, following, others, self._clock())
        return tuple(
            one
            for one in found
            if one.validated and (one.pending or not pending) and not one.model.startswith("function.")
        )

    def source(self, environment: str | None) -> Environment:
        """Return the named environment, or the one that the last of the path promotes from."""
        path = self._memory.path
        return path.get(environment) if environment is not None else path.source_of(path.last())

    def names(self, found: Sequence[ModelStatus]) -> list[str]:
        """Return the shortest unambiguous name of each model, sorted."""
        return sorted(self.called(found).values())

    def called(self, found: Sequence[ModelStatus]) -> dict[ModelId, str]:
        """Return the shortest unambiguous name of each model, over all that is remembered."""
        known = {one.model for one in found}
        for place in self._memory.path.environments:
            state = self._memory.read(place.name)
            known.update(state.current if state is not None else ())
        names = Names(known)
        return {one.model: names.shortest(one.model) for one in found}

    def policies(self, environment: str, models: Sequence[str]) -> dict[ModelId, Policy]:
        """Return what an environment asks of some models, by unique id. Raises UnknownModelError."""
        path = self._memory.path
        place = path.get(environment)
        states = {other.name: self._memory.read(other.name) for other in path.environments}
        source = states.get(place.promotes_from) if place.promotes_from is not None else None
        wanted = sorted(_resolved(models, states.values()))
        found = policies_of(place, source, states[place.name], Shelf(self._workshop, place, dry=True))
        return {model: found.get(model) or policy_for(place, None) for model in wanted}

    def history(self, environment: str | None) -> tuple[tuple[str, PromotionRecord], ...]:
        """Return the promotions into one environment, or into all, newest first, each with the environment's name."""
        path = self._memory.path
        chosen = path.environments if environment is None else (path.get(environment),)
        records = [
            (place.name, record)
            for place in chosen
            if (state := self._memory.read(place.name)) is not None
            for record in state.history
        ]
        return tuple(sorted(records, key=lambda told: told[1].finished_at, reverse=True))

    def _following(
        self, place: Environment, states: Mapping[EnvironmentName, EnvironmentState | None], soak: timedelta | None
    ) -> Following | None:
        """Return the next environment of the path with what it asks for; None for the last."""
        following = next((other for other in self._memory.path.environments if other.promotes_from == place.name), None)
        if following is None:
            return None
        state = states.get(following.name)
        hours = self._hours(following, state, self._clock())
        policies = policies_of(following, states[place.name], state, Shelf(self._workshop, following, dry=True))
        own = policy_of(following, soak)
        special = {model: demanded(policy, own, soak, None, short=False) for model, policy in policies.items()}
        return Following(requirement=own, state=state, hours=hours, requirements=special, policies=policies)

    def _hours(self, place: Environment, state: EnvironmentState | None, now: datetime) -> tuple[Verdict, ...]:
        """Return the verdicts of the window gate."""
        return time_to_promote(place.name, state, hours_of(self._calendar, place, state, now), now)


def _resolved(names: Sequence[str], states: Iterable[EnvironmentState | None]) -> set[ModelId]:
    """Return the models that are meant, of all that any environment holds or that drifted there."""
    known = [state for state in states if state is not None]
    found = Names({model for state in known for model in (*state.current, *state.drift)})
    return {found.resolve(name) for name in names}
