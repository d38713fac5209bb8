"""Planning a rollback through ports: read what is remembered and kept, and put together what a checkpoint held."""

from __future__ import annotations

from typing import NamedTuple

from msgspec.structs import replace

from airflow_dbt_promotion.core.checkpoints import checkpoint_of
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.code_gate import Code, composed, of_kept
from airflow_dbt_promotion.core.eligibility import Requirement, Verdict
from airflow_dbt_promotion.core.environment import Environment, Strategy
from airflow_dbt_promotion.core.errors import NoCheckpointError
from airflow_dbt_promotion.core.plan import Plan, Question, Situation
from airflow_dbt_promotion.core.ports import Clock, Workshop
from airflow_dbt_promotion.core.promotion import buried
from airflow_dbt_promotion.core.rolling_back import Return, choices_for, rebuild, way_back
from airflow_dbt_promotion.core.state import EnvironmentState, Journal
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.planned import Planned
from airflow_dbt_promotion.engine.request import RollbackRequest
from airflow_dbt_promotion.engine.shelf import Shelf


class Back(NamedTuple):
    """A rollback with what it was computed from."""

    planned: Planned
    found: Return


class Returning:
    """Computes rollbacks; never writes state and never runs a model."""

    def __init__(self, memory: Memory, workshop: Workshop, clock: Clock) -> None:
        """Take what is remembered, what parses, and the clock."""
        self._memory, self._workshop, self._clock = memory, workshop, clock

    def plan(self, request: RollbackRequest, *, dry: bool) -> Back:
        """Return the rollback of a request as things stand now; `dry` leaves no file behind.

        What a promotion that broke off may have touched is built again. Raises NoCheckpointError,
        UnknownCheckpointError.
        """
        target = self._memory.path.get(request.environment)
        state = self._memory.read(target.name)
        if state is None:
            raise NoCheckpointError(target.name, 0)
        state = buried(state, self._clock(), target.keep_history)
        chosen = target.strategy
        strategy = chosen if chosen is not None and not chosen.swaps else Strategy.BLUE_GREEN
        choices = choices_for(strategy, target.on_incremental_change, request.reason)
        return self._computed(target, state, checkpoint_of(state, request.to).id, choices, dry=dry)

    def rebuilt(self, target: Environment, back: Return) -> Planned | None:
        """Return the plan that builds anew what came back with old rows; None where nothing did, or nothing can."""
        state = self._memory.read(target.name)
        if state is None or not back.kept:
            return None
        return self._rebuild(target, state, rebuild(state, back.kept, back.plan.choices, self._clock()))

    def resumed(self, target: Environment, journal: Journal) -> Planned:
        """Return the plan of a rollback, or of the rebuilding after one, that broke off."""
        state = self._memory.read(target.name)
        if state is None:
            raise NoCheckpointError(target.name, 0)
        if journal.rollback_to is None:
            return self._rebuild(target, state, rebuild(state, journal.models, journal.choices, self._clock()))
        return self._computed(target, state, journal.rollback_to, journal.choices, dry=False).planned

    def _computed(
        self, target: Environment, state: EnvironmentState, goal: str, choices: Choices, *, dry: bool
    ) -> Back:
        """Compute a rollback, and read the releases that it needs; `build` where the warehouse cannot swap, or where
        swaps were never run, nobody chose them, and nothing is kept of one.
        """
        now, shelf = self._clock(), Shelf(self._workshop, target, dry=dry)
        found = way_back(state, checkpoint_of(state, goal), choices, now)
        code = self._code(found.plan, state, shelf)
        if code is not None and choices.strategy.swaps and not self._swaps(target, found, _adapter(code)):
            found = way_back(state, found.goal, replace(choices, strategy=Strategy.BUILD), now)
        planned = self._planned(target, state, found.plan, shelf, code)
        if found.plan.strategy.swaps:
            planned = replace(planned, kept=found.kept)
        return Back(planned, replace(found, plan=planned.plan))

    def _swaps(self, target: Environment, found: Return, adapter: str | None) -> bool:
        """Say whether a rollback is a swap on a warehouse."""
        if self._workshop.cannot(Strategy.BLUE_GREEN, adapter) is not None:
            return False
        return target.strategy is not None or bool(found.kept) or self._workshop.default_strategy(adapter).swaps

    def _rebuild(self, target: Environment, state: EnvironmentState, plan: Plan) -> Planned:
        """Put together what stands, to build some of it anew."""
        shelf = Shelf(self._workshop, target, dry=False)
        return self._planned(target, state, plan, shelf, self._code(plan, state, shelf))

    def _code(self, plan: Plan, state: EnvironmentState, shelf: Shelf) -> Code | None:
        """Return every release that the environment needs afterwards; None where nothing is built."""
        coming = {change.model: change.after for change in plan.changes}
        if not plan.strategy.builds or not any(coming.values()):
            return None
        entries = {**state.current, **coming}.values()
        return shelf.code(entry.release for entry in entries if entry is not None and entry.release is not None)

    def _planned(
        self, target: Environment, state: EnvironmentState, plan: Plan, shelf: Shelf, code: Code | None
    ) -> Planned:
        """Ask of each change whether its code makes what it was, and put the whole together."""
        situation = Situation(
            source=target,
            target=target,
            source_state=None,
            target_state=state,
            others=self._memory.others(target.name),
            project=None,
            now=plan.computed_at,
            code=code,
        )
        question = Question(models=None, requirement=Requirement(), choices=plan.choices)
        planned = Planned(plan=plan, situation=situation, question=question, shelf=shelf)
        if code is None:
            return planned
        changes = tuple(
            replace(change, verdicts=(*change.verdicts, verdict))
            if change.after is not None
            and change.after.release is not None
            and (verdict := of_kept(change.model, change.after, code)) is not None
            else change
            for change in plan.changes
        )
        plan = replace(plan, changes=changes)
        if not plan.allowed:
            return replace(planned, plan=plan)
        found = composed(target.name, state, changes, code)
        if isinstance(found, Verdict):
            return replace(planned, plan=replace(plan, verdicts=(*plan.verdicts, found)))
        return replace(planned, plan=plan, composition=found)


def _adapter(code: Code) -> str | None:
    """Return the adapter of the code that would be built from."""
    return next((definition.adapter_type for definition in code.definitions.values()), None)
