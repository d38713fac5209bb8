"""Candidates: which version of a model goes from a source, where it has moved on since.

A version that is validated, soaked and kept can go although a newer one is held by now: else the merges of every day
would keep the path shut for good. Never one that is older than what the target holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Entry, EntryOrigin, EnvironmentState, Stay
from airflow_dbt_promotion.core.stays import is_as

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
    """Yield the options that are newer than what a target holds, newest first.

    Where the source does not remember what the target holds, only what left after the target last moved counts.
    """
    held = target.current.get(model)
    every = tuple(options(source, model))
    known = held is not None and any(option.version == held.version for option in every)
    for option in every:
        if held is not None and held.stale_since is None:
            if option.version == held.version:
                return
            if not known and option.stale_since is not None and option.stale_since <= held.since:
                return
        yield option


class Candidates:
    """The candidate of every model of one source for one target."""

    def __init__(self, source: EnvironmentState, target: EnvironmentState, ready: Ready) -> None:
        """Take both documents, and what says whether a version may go by itself."""
        self._source, self._target, self._ready = source, target, ready
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
            there = self._target.current.get(model)
            same = there is not None and there.version == held.version and there.stale_since is None
            if same and model not in before:
                continue
            found = next((one for one in self.ready(model) if model not in before or one.since < before[model]), held)
            if found is not held:
                chosen[model] = found
        return replace(self._source, current={**self._source.current, **chosen}) if chosen else self._source

    def has_older(self, model: ModelId, than: datetime) -> bool:
        """Say whether a model has a version that may go by itself and entered before an instant."""
        return any(option.since < than for option in self.ready(model))


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
