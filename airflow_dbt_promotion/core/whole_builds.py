"""Builds that ended well, and whether they prove what they built.

Two do not. A seed that dbt did not read: what it loaded is known only where its file was last changed before the build
began. And a microbatch model that was built from nothing: it holds what its batches hold, so that these have to cover
everything from its `begin` to the run. On a table that was there, a run adds to it, with or without a window.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.release import Model, Release
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.core.slices import cover, joined
from airflow_dbt_promotion.core.state import EnvironmentState, Unproven

UNKNOWN_BYTES, SLICES_MISSING = "unknown_bytes", "slices_missing"


def unproven_builds(state: EnvironmentState, release: Release, run: Run) -> dict[ModelId, Unproven]:
    """Return the builds of a run that prove nothing, by model.

    Args:
        state: The environment before the run.
        release: What the run built.
        run: The run.
    """
    return dict(_unproven(state, release, run))


def _unproven(state: EnvironmentState, release: Release, run: Run) -> Iterator[tuple[ModelId, Unproven]]:
    for result in run.results:
        model = ModelId(result.id)
        if model in release.unread_seeds and result.status is ResultStatus.SUCCESS:
            if not _is_known(release, model, result):
                yield model, Unproven(code=UNKNOWN_BYTES, at=result.completed_at or run.finished_at)
        elif model in release.models and (found := _missing(state, release.models[model], run, result)) is not None:
            yield model, found


def _is_known(release: Release, seed: ModelId, result: NodeResult) -> bool:
    """Say whether the file of a seed is the one that was loaded: it was not changed since."""
    changed_at = release.unread_seeds[seed]
    return changed_at is not None and result.started_at is not None and changed_at < result.started_at


def _missing(state: EnvironmentState, model: Model, run: Run, result: NodeResult) -> Unproven | None:
    """Return what a microbatch model holds that was built from nothing and not as a whole, None for any other."""
    if result.status not in {ResultStatus.SUCCESS, ResultStatus.FAILED} or model.slices_from is None:
        return None
    before = _open(state, model.id)
    refreshed = run.full_refresh if model.full_refresh is None else model.full_refresh
    was_there = model.id in state.current or bool(state.stays.get(model.id))
    if was_there and before is None and not refreshed:
        return None
    if not result.slices and result.status is ResultStatus.FAILED:
        return None
    slices = joined((*result.slices, *(before.slices if before is not None and not refreshed else ())))
    if result.status is ResultStatus.SUCCESS and cover(slices, model.slices_from, run.started_at):
        return None
    return Unproven(code=SLICES_MISSING, at=result.completed_at or run.finished_at, slices=slices)


def _open(state: EnvironmentState, model: ModelId) -> Unproven | None:
    """Return what a model's table holds of its slices, None where it holds all of them."""
    found = [
        one.unproven
        for one in state.evidence.get(model, ())
        if one.unproven is not None and one.unproven.code == SLICES_MISSING and one.built_at is None
    ]
    built = [one.built_at for one in state.evidence.get(model, ()) if one.built_at is not None]
    newest = max(found, key=_at, default=None)
    return None if newest is None or any(at > newest.at for at in built) else newest


def _at(unproven: Unproven) -> datetime:
    return unproven.at
