"""Candidates: which version of a model goes from a source, where it has moved on since.

A version that is validated, soaked and kept can go although a newer one is held by now: else the merges of every day
would keep the path shut for good. Never one that is older than what the target holds or last held, unless it is asked
for by name. What the source holds now is never older.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType

from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import UnknownVersionError
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId, Version, bare_name, short
from airflow_dbt_promotion.core.instants import minute
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Entry, EntryOrigin, EnvironmentState, Stay
from airflow_dbt_promotion.core.stays import is_as
from airflow_dbt_promotion.core.version_order import is_older

SHORTEST_VERSION = 6
"""Letters of a version that name it, where no other one of the model begins with them."""

Ready = Callable[[ModelId, Entry], bool]
"""Says whether every gate of a version by itself is open."""


def options(source: EnvironmentState, model: ModelId) -> Iterator[Entry]:
    """Yield what could go of a model that a source holds, newest first: what it holds, then the kept that it held."""
    held = source.current[model]
    yield held
    seen = {held.version}
    for stay in reversed(source.stays.get(model, ())):
        if stay.version not in seen and stay.release is not None:
            seen.add(stay.version)
            yield _entry(stay)


def _entry(stay: Stay) -> Entry:
    """Return a completed stay as the entry that it was; it says that it has ended."""
    return Entry(
        version=stay.version,
        code=stay.code,
        tests=stay.tests,
        meta=stay.meta,
        parents=stay.parents,
        since=stay.entered_at,
        origin=EntryOrigin.RUN,
        by="",
        incremental=stay.incremental,
        stale_since=stay.left_at,
        release=stay.release,
        counts_from=stay.counts_from,
    )


def newer(source: EnvironmentState, target: EnvironmentState, model: ModelId) -> Iterator[Entry]:
    """Yield the options that are newer than what a target holds or ever left by a rollback, newest first."""
    held = target.current.get(model)
    for option in options(source, model):
        is_held = held is not None and held.stale_since is None and option.version == held.version
        if not is_held and not is_older(source, target, model, option):
            yield option


def find_option(source: EnvironmentState, model: ModelId, asked: str) -> Entry:
    """Return the option of a model with a version, or with the beginning of one. Raises UnknownVersionError."""
    every = tuple(options(source, model)) if model in source.current else ()
    found = [option for option in every if option.version == asked]
    if not found and len(asked) >= SHORTEST_VERSION:
        found = [option for option in every if option.version.startswith(asked)]
    if len(found) != 1:
        known = [f"{short(option.version)} ({minute(option.since)})" for option in every]
        raise UnknownVersionError(bare_name(model), source.environment, asked, known)
    return found[0]


class Candidates:
    """The candidate of every model of one source for one target."""

    def __init__(
        self,
        source: EnvironmentState,
        target: EnvironmentState,
        ready: Ready,
        named: Mapping[ModelId, Version] = MappingProxyType({}),
    ) -> None:
        """Take both documents, what says whether a version is eligible, and the versions that were asked for by name:
        the candidates of their models, eligible or not, however old.
        """
        self._source, self._target, self._ready, self._named = source, target, ready, named
        self._known: dict[ModelId, tuple[Entry, ...]] = {}

    def ready(self, model: ModelId) -> tuple[Entry, ...]:
        """Return the versions of a model that may go by themselves, newest first."""
        if model not in self._known:
            found = newer(self._source, self._target, model)
            self._known[model] = tuple(option for option in found if self._ready(model, option))
        return self._known[model]

    def view(self, before: Mapping[ModelId, datetime]) -> EnvironmentState:
        """Return the source as if it held the candidate of each model: the newest that is ready, else what it holds.

        `before` asks for one that entered earlier than an instant.
        """
        chosen = {}
        for model, held in self._source.current.items():
            if model in self._named:
                chosen[model] = self._by_name(model, held)
                continue
            there = self._target.current.get(model)
            same = there is not None and there.version == held.version and there.stale_since is None
            if same and model not in before:
                continue
            found = next((one for one in self.ready(model) if model not in before or one.since < before[model]), held)
            if found is not held:
                chosen[model] = found
        return replace(self._source, current={**self._source.current, **chosen}) if chosen else self._source

    def _by_name(self, model: ModelId, held: Entry) -> Entry:
        """Return the option that was asked for; what the source holds where it does not know the version any more."""
        every = options(self._source, model)
        return next((option for option in every if option.version == self._named[model]), held)

    def has_older(self, model: ModelId, than: datetime) -> bool:
        """Say whether a model has an eligible version that entered before an instant; not where one was named."""
        return model not in self._named and any(option.since < than for option in self.ready(model))


def aligned(target: EnvironmentState, releases: Iterable[Release]) -> dict[ModelId, ReleaseId]:
    """Return the models of a target that are the same in a release from which others come now, with that release.

    The first release counts that has a model at the same version with the same tests and meta. The fewer releases are
    in use, the less has to be kept and put together.
    """
    found: dict[ModelId, ReleaseId] = {}
    for release in releases:
        for model, entry in target.current.items():
            same = is_as(entry, release.models.get(model))
            if same and release.id is not None and model not in found:
                found[model] = release.id
    return found


def with_releases(state: EnvironmentState, releases: Mapping[ModelId, ReleaseId]) -> EnvironmentState:
    """Return a document in which some models name another release, which has them just as they are."""
    moved = {
        model: replace(entry, release=releases[model])
        for model, entry in state.current.items()
        if model in releases and entry.release != releases[model]
    }
    return replace(state, current={**state.current, **moved}) if moved else state
