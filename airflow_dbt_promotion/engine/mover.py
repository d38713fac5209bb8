"""Moving house: documents and kept sources from one place to another, verified."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import MoveRefusedError, ReleaseError, StateError
from airflow_dbt_promotion.core.identity import EnvironmentName, ReleaseId
from airflow_dbt_promotion.core.kept import SourceTree
from airflow_dbt_promotion.core.ports import Clock, ReleaseStore, StateStore
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.cleaner import named

_TRIES = 10


class House(Struct, frozen=True):
    """Where a state lives: its documents, and the sources that are kept beside them."""

    states: StateStore
    releases: ReleaseStore


class Moved(Struct, frozen=True, kw_only=True):
    """What was copied and read back: environments with where each document is now, how many releases and files.

    `lost` are releases that the documents name and that could not be read where they were, each with the reason.
    """

    environments: dict[str, str]
    releases: int
    files: int
    lost: dict[ReleaseId, str]


class _There:
    """The sources of a release as another store keeps them."""

    def __init__(self, releases: ReleaseStore, tree: SourceTree) -> None:
        """Take the store, and the files of the release."""
        self._releases, self.tree = releases, tree

    def read(self, path: str) -> bytes:
        """Return a file."""
        return self._releases.read(self.tree.files[path], path)


class Mover:
    """Copies everything from one place to another. The first is never changed, the second never overwritten."""

    def __init__(self, old: House, new: House, clock: Clock) -> None:
        """Take both places, and the clock."""
        self._old, self._new, self._clock = old, new, clock

    def copy(self) -> Moved:
        """Copy kept sources, then documents, and read all of it back.

        Documents come last, so that a copy that broke off has none without its sources; it can be begun again. Raises
        MoveRefusedError where something else is there, where nothing is here, and while a promotion or run is going on.
        """
        states = {name: self._here(name) for name in self._old.states.environments()}
        self._check(states)
        releases: set[ReleaseId] = {one for state in states.values() for one in named(state)}
        lost, files = self._keep(releases)
        for name in states:
            states[name] = self._write(name)
        late: set[ReleaseId] = {one for state in states.values() for one in named(state)} - releases
        more, more_files = self._keep(late)
        return Moved(
            environments={name: self._new.states.where(name) for name in states},
            releases=len(releases | late) - len(lost | more),
            files=files + more_files,
            lost=lost | more,
        )

    def _here(self, name: EnvironmentName) -> EnvironmentState:
        """Return a document of the old place, which nobody is at work in."""
        state = self._old.states.read(name)
        if state is None:
            raise StateError(self._old.states.where(name), "was there just now, and is gone; try again")
        busy = state.lock is not None and self._clock() < state.lock.expires_at
        if busy or state.journal is not None:
            raise MoveRefusedError(
                self._old.states.where(name),
                f"a promotion or run of {name} is going on, or broke off; wait for its end, or `dbt-promote resume "
                f"--environment {name}`",
            )
        return state

    def _check(self, states: dict[EnvironmentName, EnvironmentState]) -> None:
        """Raise MoveRefusedError unless there is something to copy, and nothing else where it goes."""
        if not states:
            raise MoveRefusedError("the old place", "there is no state to copy")
        for name in self._new.states.environments():
            there = self._new.states.read(name)
            if self._new.states.where(name) == self._old.states.where(name) and there == states.get(name):
                raise MoveRefusedError(self._new.states.where(name), "it is the place that is copied")
            if name not in states or (there is not None and not _alike(there, states[name])):
                raise MoveRefusedError(self._new.states.where(name), "another state is there; choose an empty place")

    def _keep(self, releases: Collection[ReleaseId]) -> tuple[dict[ReleaseId, str], int]:
        """Copy releases and read each file back; return those that cannot be had, and how many files were read."""
        lost: dict[ReleaseId, str] = {}
        seen: set[str] = set()
        for release in sorted(releases):
            try:
                tree = self._old.releases.tree(release)
                provenance = self._old.releases.provenance(release)
                for path, digest in tree.files.items():
                    if digest not in seen:
                        self._old.releases.read(digest, path)
            except ReleaseError as error:
                lost[release] = str(error)
                continue
            self._new.releases.keep(_There(self._old.releases, tree), provenance)
            for path, digest in self._new.releases.tree(release).files.items():
                if digest not in seen:
                    self._new.releases.read(digest, path)
                    seen.add(digest)
        return lost, len(seen)

    def _write(self, name: EnvironmentName) -> EnvironmentState:
        """Copy a document, again where somebody recorded something meanwhile, and read it back."""
        mine: EnvironmentState | None = None
        for _ in range(_TRIES):
            state, there = self._here(name), self._new.states.read(name)
            if there is None:
                mine = self._new.states.write(state, None)
            elif not _alike(there, state):
                if there != mine:
                    problem = "somebody has begun to use it; choose an empty place"
                    raise MoveRefusedError(self._new.states.where(name), problem)
                mine = self._new.states.write(state, there.serial)
            if _alike(self._new.states.read(name), state) and _alike(self._here(name), state):
                return state
        where = self._old.states.where(name)
        raise StateError(where, "somebody wrote it whenever it was copied; let runs be recorded later, and try again")


def _alike(one: EnvironmentState | None, other: EnvironmentState) -> bool:
    """Say whether two documents say the same, but for how often they were written, and who had the lock."""
    return one is not None and _bare(one) == _bare(other)


def _bare(state: EnvironmentState) -> EnvironmentState:
    return replace(state, serial=0, lock=None)
