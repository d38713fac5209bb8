"""The order of a model's versions: by the last entry of each into the source. A routine promotion never goes back.

What is compared with is everything that the target holds, held as far as it remembers, or left by a rollback. What the
source holds now is never older.
"""

from __future__ import annotations

from datetime import datetime

from airflow_dbt_promotion.core.eligibility import GateName, Verdict, passed
from airflow_dbt_promotion.core.identity import ModelId, Version
from airflow_dbt_promotion.core.state import Entry, EnvironmentState
from airflow_dbt_promotion.core.stops import InterventionKind


def is_older(source: EnvironmentState, target: EnvironmentState, model: ModelId, option: Entry) -> bool:
    """Say whether an option is older than what a target holds or held: its last entry into the source was before the
    last entry of one of those.

    Where the source does not remember the entry of what the target holds, an option that left the source before the
    target last moved is older.
    """
    if option.version == source.current[model].version:
        return False
    entries = _last_entries(source, model)
    newest = max((entries[version] for version in _ever_held(target, model) if version in entries), default=None)
    if newest is not None and option.since < newest:
        return True
    held = target.current.get(model)
    if held is None or held.version in entries or held.stale_since is not None or option.stale_since is None:
        return False
    return option.stale_since <= held.since


def order_is_known(source: EnvironmentState, target: EnvironmentState, model: ModelId) -> bool:
    """Say whether the source remembers the entry of what a target holds, or last held; a target that never held the
    model has nothing to compare with.
    """
    held = target.current.get(model)
    stays = target.stays.get(model, ())
    last = held.version if held is not None else stays[-1].version if stays else None
    return last is None or last in _last_entries(source, model)


def of_order(
    source: EnvironmentState, target: EnvironmentState, model: ModelId, after: Entry, *, named: bool
) -> tuple[Verdict, ...]:
    """Say whether a version that the source held before was asked for by name, whether it is older than what the target
    holds or held, and where that is not known.
    """
    if is_older(source, target, model, after):
        reason = f"it is older than what {target.environment} holds or held, and was asked for by name"
        return (passed(GateName.CODE, "older_version", reason),)
    by_name = (passed(GateName.CODE, "named_version", "it was asked for by name"),) if named else ()
    if order_is_known(source, target, model):
        return by_name
    reason = (
        f"{source.environment} does not remember when what {target.environment} holds entered it, so it is not known "
        "which of both is newer"
    )
    return (*by_name, passed(GateName.CODE, "order_unknown", reason))


def _last_entries(source: EnvironmentState, model: ModelId) -> dict[Version, datetime]:
    """Return when each version that a source remembers of a model last entered it."""
    entries = {stay.version: stay.entered_at for stay in source.stays.get(model, ())}
    held = source.current.get(model)
    return entries if held is None else entries | {held.version: held.since}


def _ever_held(target: EnvironmentState, model: ModelId) -> set[Version]:
    """Return the versions that a target holds of a model, held as far as it remembers, or left by a rollback."""
    held = target.current.get(model)
    left = (
        version
        for one in target.interventions
        if one.kind is InterventionKind.ROLLBACK
        for version in one.models.get(model, ())
    )
    stays = (stay.version for stay in target.stays.get(model, ()))
    blocked = (block.version for block in target.blocks.get(model, ()))
    return {*stays, *left, *blocked, *(() if held is None else (held.version,))}
