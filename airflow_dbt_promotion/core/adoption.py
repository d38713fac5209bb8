"""Adoption: an environment that existed before is taken over as it is."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import ParentNotBuiltError
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState
from airflow_dbt_promotion.core.stays import entry_of, is_as


def adopt(
    state: EnvironmentState,
    release: Release,
    at: datetime,
    by: str,
    only: Collection[ModelId] | None = None,
    lost: Collection[ReleaseId] = (),
) -> Recording:
    """Return the document with every model of a release (or `only` some) entered as a baseline; what is current already
    stays as it is.

    But where the sources of what is current were never kept, or are `lost`, those of the release take their place,
    if it says the same of the model. Raises ParentNotBuiltError.
    """
    fresh = [model for model in release.models if model not in state.current and (only is None or model in only)]
    entries = {model: entry_of(release, model, at, EntryOrigin.BASELINE, by) for model in fresh}
    current = dict(state.current) | entries
    for model in fresh:
        held = {parent: current[parent].version if parent in current else None for parent in entries[model].parents}
        wrong = next((parent for parent, version in entries[model].parents.items() if held[parent] != version), None)
        if wrong is not None:
            raise ParentNotBuiltError(model, wrong, state.environment, held[wrong])
    sourced = {
        model: replace(entry, release=release.id)
        for model, entry in state.current.items()
        if release.id is not None
        and (entry.release is None or entry.release in lost)
        and is_as(entry, release.models.get(model))
    }
    return Recording(
        state=replace(state, current=current | sourced),
        entered=tuple(sorted(fresh)),
        sourced=tuple(sorted(sourced)),
        release=release.id,
    )
