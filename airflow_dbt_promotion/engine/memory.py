"""What the engine remembers: every environment's document, read through the store."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Protocol, TypeVar

from msgspec.structs import replace

from airflow_dbt_promotion.core.checkpoints import noted
from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.environment import Environment, PromotionPath
from airflow_dbt_promotion.core.errors import ForeignProjectError, StateConflictError
from airflow_dbt_promotion.core.evidence import of_version
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, Version
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Entry, EntryOrigin, EnvironmentState
from airflow_dbt_promotion.engine.recognising import Recogniser

_TRIES = 100
_LONGEST = 0.5
"""Seconds, at the most, between two tries of a write; short at first, so that few writers do not wait for each other.
"""


class Memory:
    """The documents of one project's environments."""

    def __init__(
        self, path: PromotionPath, store: StateStore, project: str | None, recogniser: Recogniser | None = None
    ) -> None:
        """Take the path, the store, the name of the dbt project at hand where it is known, and what recognises versions
        of an earlier format.
        """
        self.path, self.store, self.project, self.recogniser = path, store, project, recogniser

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        """Return an environment's document, None where there is none; raise ForeignProjectError for a stranger's."""
        state = self.store.read(environment)
        if state is not None:
            self.check_project(f"the state of {environment}", state.project)
        return state if state is None or self.recogniser is None else self.recogniser.recognised(state)

    def check_project(self, where: str, project: ProjectIdentity) -> None:
        """Raise ForeignProjectError for what is of another project than the one at hand; `where` is what that is."""
        if self.project is not None and project.name != self.project:
            raise ForeignProjectError(where, project.name, self.project)

    def others(self, than: EnvironmentName) -> tuple[EnvironmentState, ...]:
        """Return the documents of all other environments."""
        states = (self.read(environment.name) for environment in self.path.environments if environment.name != than)
        return tuple(state for state in states if state is not None)

    def change(
        self,
        environment: EnvironmentName,
        project: ProjectIdentity,
        move: Callable[[EnvironmentState], EnvironmentState],
    ) -> EnvironmentState:
        """Apply a move to a document and write it; where somebody else wrote meanwhile, apply the move to what is there
        now.

        A move that changes nothing writes nothing; what it changes of `current` is noted in the newest checkpoint.
        Raises what the move raises, or StateConflictError after a hundred tries.
        """
        for attempt in range(_TRIES):
            before = self.read(environment)
            fresh = before or EnvironmentState(project=project, environment=environment, lineage=str(uuid.uuid4()))
            after = noted(fresh, move(fresh))
            if before is not None and after == before:
                return before
            try:
                return self.store.write(after, before.serial if before is not None else None)
            except StateConflictError:
                if attempt == _TRIES - 1:
                    raise
                threading.Event().wait(min(0.002 * attempt, _LONGEST))
        raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises


class _Made(Protocol):
    """Something that a move makes beside the document."""

    @property
    def state(self) -> EnvironmentState:
        """The document after it."""


_M = TypeVar("_M", bound=_Made)


def made_by(
    change: Callable[[Callable[[EnvironmentState], EnvironmentState]], object], move: Callable[[EnvironmentState], _M]
) -> _M:
    """Return what a move made of the document that was written in the end; `change` may have to apply it again."""
    made: list[_M] = []

    def moved(state: EnvironmentState) -> EnvironmentState:
        made.append(move(state))
        return made[-1].state

    change(moved)
    return made[-1]


def working_state(
    environment: Environment, release: Release, stored: EnvironmentState | None, began: datetime
) -> EnvironmentState:
    """Return the document of an environment where people work: it holds the project as parsed now, whatever was built
    there.

    `began` is since when a version is held of which nothing is on record.
    """
    base = stored or EnvironmentState(project=release.project, environment=environment.name, lineage="")
    current = {
        model: Entry(
            version=described.version,
            code=described.code,
            tests=described.tests,
            meta=described.meta,
            parents=release.parent_versions(model),
            since=_since(base, model, described.version) or began,
            origin=EntryOrigin.RUN,
            by="working",
            incremental=described.incremental,
        )
        for model, described in release.models.items()
    }
    return replace(base, lineage=f"working:{release.project.name}", current=current, stays={})


def _since(state: EnvironmentState, model: ModelId, version: Version) -> datetime | None:
    """Return the first sign of a version in the evidence on record."""
    found = of_version(state, model, version)
    return (found.first_pass or found.built_at) if found is not None else None
