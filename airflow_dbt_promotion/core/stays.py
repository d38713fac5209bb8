"""Stays: how versions enter an environment and leave it.

Another version ends a stay, and so does a parent that moved while the child was not built. The same version again never
restarts one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.release import Model, Release
from airflow_dbt_promotion.core.state import Entry, EntryOrigin, EnvironmentState, Stay

KEPT_STAYS = 10
"""How many completed stays of a model are kept."""


def entry_of(release: Release, model: ModelId, at: datetime, origin: EntryOrigin, by: str) -> Entry:
    """Return what an environment holds of a model of a release from some instant on."""
    described = release.models[model]
    return Entry(
        version=described.version,
        code=described.code,
        tests=described.tests,
        meta=described.meta,
        parents=release.parent_versions(model),
        since=at,
        origin=origin,
        by=by,
        incremental=described.incremental,
        release=release.id,
    )


def is_as(entry: Entry, described: Model | None) -> bool:
    """Say whether a release says of a model what its entry says: version, tests and meta."""
    said = described and (described.version, described.tests, described.meta)
    return said == (entry.version, entry.tests, entry.meta)


def enter(state: EnvironmentState, entries: Mapping[ModelId, Entry]) -> EnvironmentState:
    """Return the document with some models entered anew: stays of what they held end, their runs count from here."""
    current, stays, evidence = dict(state.current), state.stays, dict(state.evidence)
    for model, fresh in entries.items():
        held = current.get(model)
        if held is not None and held.stale_since is None:
            stays = _closed(stays, model, held, fresh.since)
        current[model] = fresh
        if model in evidence:
            evidence[model] = ledger.reentered(evidence[model], fresh.version)
    return replace(state, current=current, stays=stays, evidence=evidence)


def leave(state: EnvironmentState, model: ModelId, at: datetime) -> EnvironmentState:
    """Return the document without a model: its stay ends, what was proven of it stays on record."""
    current = dict(state.current)
    entry = current.pop(model)
    stays = state.stays if entry.stale_since is not None else _closed(state.stays, model, entry, at)
    return replace(state, current=current, stays=stays)


def end_stale(state: EnvironmentState, at: datetime) -> tuple[EnvironmentState, tuple[ModelId, ...]]:
    """End the stay of every model that stands on a parent version that the environment no longer holds."""
    current, stays, ended = dict(state.current), state.stays, []
    for model, entry in state.current.items():
        if entry.stale_since is not None:
            continue
        for parent, version in entry.parents.items():
            held = state.current.get(parent)
            if held is None or held.version != version:
                current[model] = replace(entry, stale_since=max(at, entry.since))
                stays = _closed(stays, model, entry, at)
                ended.append(model)
                break
    return (replace(state, current=current, stays=stays), tuple(sorted(ended))) if ended else (state, ())


def interrupt(state: EnvironmentState, model: ModelId, at: datetime) -> EnvironmentState:
    """Return the document after learning late that another version was built during the present stay of a model.

    What is held now came back with its last build: one stay ended at `at`, and the present one begins with that build.
    Where there was no build since, or the stay is over already, nothing is changed.
    """
    entry = state.current[model]
    found = ledger.of_version(state, model, entry.version)
    back = found.built_at if found is not None else None
    if found is None or back is None or entry.stale_since is not None or not entry.since <= at < back:
        return state
    again = replace(found, runs=int(found.last_pass is not None and found.last_pass >= back))
    return replace(
        state,
        current={**state.current, model: replace(entry, since=back)},
        stays=_closed(state.stays, model, entry, at),
        evidence={**state.evidence, model: ledger.put(state.evidence[model], again, entry.version)},
    )


def _closed(
    stays: Mapping[ModelId, tuple[Stay, ...]], model: ModelId, entry: Entry, at: datetime
) -> Mapping[ModelId, tuple[Stay, ...]]:
    """Return the stays with the present one of a model completed."""
    stay = Stay(
        version=entry.version,
        code=entry.code,
        entered_at=entry.since,
        left_at=max(at, entry.since),
        tests=entry.tests,
        meta=entry.meta,
        parents=entry.parents,
        incremental=entry.incremental,
        release=entry.release,
        counts_from=entry.counts_from,
    )
    return {**stays, model: (*stays.get(model, ()), stay)[-KEPT_STAYS:]}
