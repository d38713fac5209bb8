"""Importing: what other tools remember of past promotions becomes history, and nothing else."""

from __future__ import annotations

from datetime import tzinfo

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import ImportedStateError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.importing import merged, past_promotions
from airflow_dbt_promotion.core.instants import check_past
from airflow_dbt_promotion.core.ports import Clock
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionRecord
from airflow_dbt_promotion.engine.memory import Memory


class Imported(Struct, frozen=True, kw_only=True):
    """What became of the promotions that a file told of: how many were added, were known, found no room.

    `history` is how many promotions are on record since, and `keep` how many at most.
    """

    environment: EnvironmentName
    where: str
    added: int
    known: int
    dropped: int
    history: int
    keep: int


class Importer:
    """Takes histories in."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        """Take what is remembered, and the clock."""
        self._memory, self._clock = memory, clock

    def take(self, environment: str, data: bytes, where: str, zone: tzinfo | None) -> Imported:
        """Put the promotions that a file tells of into an environment's history; `where` names the file.

        No lock is needed, for nothing but history changes. Instants that say no time zone are in `zone`. Raises
        ImportedStateError, or ClockError for a promotion in the future: then nothing was written.
        """
        place, now = self._memory.path.get(environment), self._clock()
        told = past_promotions(data, where, place.name, zone)
        for record in told:
            check_past(f"a promotion in {where}", record.finished_at, now)
        before, after = self._put(place, told, where)
        known = {record.plan_id for record in before}
        there = {record.plan_id for record in after}
        names = {record.plan_id for record in told}
        return Imported(
            environment=place.name,
            where=where,
            added=len(names & there - known),
            known=len(names & known),
            dropped=len(names - there),
            history=len(after),
            keep=place.keep_history,
        )

    def _put(
        self, place: Environment, told: tuple[PromotionRecord, ...], where: str
    ) -> tuple[tuple[PromotionRecord, ...], tuple[PromotionRecord, ...]]:
        """Return the history before and after; where nothing is told, no document is made."""
        state = self._memory.read(place.name)
        before = state.history if state is not None else ()
        if not told:
            return before, before

        def move(found: EnvironmentState) -> EnvironmentState:
            nonlocal before
            before = found.history
            return replace(found, history=merged(before, told, place.keep_history))

        after = self._memory.change(place.name, self._project(state, where), move)
        return before, after.history

    def _project(self, state: EnvironmentState | None, where: str) -> ProjectIdentity:
        """Return whose document it is, or would be: one of no project could not be read by any."""
        if state is not None:
            return state.project
        if self._memory.project is None:
            raise ImportedStateError(where, "$", "it is not known of which dbt project it is")
        return ProjectIdentity(self._memory.project)
