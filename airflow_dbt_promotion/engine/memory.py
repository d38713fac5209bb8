"""What the engine remembers: every environment's document, read through the store."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.environment import Environment, PromotionPath
from airflow_dbt_promotion.core.errors import ForeignProjectError, StateConflictError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Entry, EntryOrigin, EnvironmentState

_TRIES = 20


class Memory:
    """The documents of one project's environments."""

    def __init__(self, path: PromotionPath, store: StateStore, project: str | None) -> None:
        """Take the path, the store, and the name of the dbt project at hand where it is known."""
        self.path, self.store, self._project = path, store, project

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        """Return an environment's document, None where there is none; raise ForeignProjectError for another project's."""
        state = self.store.read(environment)
        if state is not None and self._project is not None and state.project.name != self._project:
            raise ForeignProjectError(f"the state of {environment}", state.project.name, self._project)
        return state

    def read_or_new(self, environment: EnvironmentName, project: ProjectIdentity) -> EnvironmentState:
        """Return an environment's document, or a fresh one with nothing in it."""
        return self.read(environment) or EnvironmentState(project=project, environment=environment, lineage=str(uuid.uuid4()))

    def others(self, than: EnvironmentName) -> tuple[EnvironmentState, ...]:
        """Return the documents of all other environments."""
        states = (self.read(environment.name) for environment in self.path.environments if environment.name != than)
        return tuple(state for state in states if state is not None)

    def change(
        self, environment: EnvironmentName, project: ProjectIdentity, move: Callable[[EnvironmentState], EnvironmentState]
    ) -> EnvironmentState:
        """Apply a move to a document and write it; where somebody else wrote meanwhile, apply the move to what is there now.

        A move that changes nothing writes nothing. Raises what the move raises, or StateConflictError after twenty tries.
        """
        for attempt in range(_TRIES):
            before = self.read(environment)
            fresh = before or EnvironmentState(project=project, environment=environment, lineage=str(uuid.uuid4()))
            after = move(fresh)
            if before is not None and after == before:
                return before
            try:
                return self.store.write(after, before.serial if before is not None else None)
            except StateConflictError:
                if attempt == _TRIES - 1:
                    raise
        raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises


def working_state(environment: Environment, release: Release, stored: EnvironmentState | None) -> EnvironmentState:
    """Return the document of an environment where people work: it holds the project as parsed now, whatever was built there."""
    base = stored or EnvironmentState(project=release.project, environment=environment.name, lineage=f"working:{release.project.name}")
    began = release.generated_at
    current = {}
    for model, described in release.models.items():
        known = next((found for found in base.evidence.get(model, ()) if found.version == described.version), None)
        since = (known.first_pass or known.built_at) if known is not None else None
        if since is None and began is None:
            raise ValueError("a parse without a time cannot say since when the project is as it is")
        current[model] = Entry(
            version=described.version,
            code=described.code,
            tests=described.tests,
            meta=described.meta,
            parents=release.parent_versions(model),
            since=since or began,  # type: ignore[arg-type] - one of both is there, checked above
            origin=EntryOrigin.RUN,
            by="working",
            incremental=described.incremental,
        )
    return replace(base, current=current, stays={})
