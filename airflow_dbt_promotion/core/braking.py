"""Braking: the moves that stop what goes into an environment, and let it go again; all are on record for good."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import NotBlockedError, NotFrozenError, NotHeldError
from airflow_dbt_promotion.core.identity import ModelId, PlanId, Version
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.stops import Block, Freeze, Hold, Intervention, InterventionKind


class Deed(Struct, frozen=True, kw_only=True):
    """Who steps in, when and why; `plan_id` is the rollback that does, None for a person."""

    at: datetime
    actor: str
    reason: str
    plan_id: PlanId | None = None


def held(state: EnvironmentState, deed: Deed) -> EnvironmentState:
    """Return a document of an environment into which nothing is promoted any more, for this reason.

    A person's hold replaces the one before. A rollback's never replaces a person's, but adds its reason: whoever
    releases the environment has to know both.
    """
    hold = Hold(at=deed.at, actor=deed.actor, reason=deed.reason, plan_id=deed.plan_id)
    if deed.plan_id is not None and state.hold is not None and state.hold.plan_id is None:
        hold = replace(state.hold, reason=f"{state.hold.reason}; and it was taken back by {deed.actor}: {deed.reason}")
    return _noted(replace(state, hold=hold), InterventionKind.HOLD, deed)


def released(state: EnvironmentState, deed: Deed) -> EnvironmentState:
    """Return a document of an environment that is held no more. Raises NotHeldError."""
    if state.hold is None:
        raise NotHeldError(state.environment)
    return _noted(replace(state, hold=None), InterventionKind.RELEASE, deed)


def frozen(state: EnvironmentState, until: datetime | None, deed: Deed) -> EnvironmentState:
    """Return a document of an environment into which nothing is promoted until an instant, or until somebody thaws it
    where that is None.
    """
    freeze = Freeze(at=deed.at, actor=deed.actor, reason=deed.reason, until=until)
    return _noted(replace(state, freeze=freeze), InterventionKind.FREEZE, deed, until=until)


def thawed(state: EnvironmentState, deed: Deed) -> EnvironmentState:
    """Return a document of an environment that is frozen no more. Raises NotFrozenError, also where time ended it."""
    if state.freeze is None or not state.freeze.holds(deed.at):
        raise NotFrozenError(state.environment)
    return _noted(replace(state, freeze=None), InterventionKind.THAW, deed)


def with_blocks(state: EnvironmentState, versions: Mapping[ModelId, Version], deed: Deed) -> EnvironmentState:
    """Return a document in which some versions may not come in again; one that is blocked already stays so."""
    blocks = dict(state.blocks)
    for model, version in sorted(versions.items()):
        if all(block.version != version for block in blocks.get(model, ())):
            fresh = Block(version=version, at=deed.at, actor=deed.actor, reason=deed.reason, plan_id=deed.plan_id)
            blocks[model] = (*blocks.get(model, ()), fresh)
    models = {model: (version,) for model, version in versions.items()}
    return _noted(replace(state, blocks=blocks), InterventionKind.BLOCK, deed, models)


def unblocked(state: EnvironmentState, models: Collection[ModelId] | None, deed: Deed) -> EnvironmentState:
    """Return a document in which nothing is blocked of some models, or of any. Raises NotBlockedError."""
    lifted = {model for model in state.blocks if models is None or model in models}
    if not lifted:
        raise NotBlockedError(state.environment)
    versions = {model: tuple(block.version for block in state.blocks[model]) for model in sorted(lifted)}
    blocks = {model: blocks for model, blocks in state.blocks.items() if model not in lifted}
    return _noted(replace(state, blocks=blocks), InterventionKind.UNBLOCK, deed, versions)


def rolled_back(state: EnvironmentState, left: Mapping[ModelId, Version], deed: Deed) -> EnvironmentState:
    """Return a document that says that some versions were left by a rollback."""
    return _noted(state, InterventionKind.ROLLBACK, deed, {model: (version,) for model, version in left.items()})


def _noted(
    state: EnvironmentState,
    kind: InterventionKind,
    deed: Deed,
    models: Mapping[ModelId, tuple[Version, ...]] | None = None,
    until: datetime | None = None,
) -> EnvironmentState:
    """Return a document with one more intervention."""
    done = Intervention(kind=kind, at=deed.at, actor=deed.actor, reason=deed.reason, models=models or {}, until=until)
    return replace(state, interventions=(*state.interventions, done))
