"""Rejections: versions that people said no to are held back under any plan, until they are approved after all."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from msgspec.structs import replace

from airflow_dbt_promotion.core.approvals import Approval, Decision, Rejection, Vote, name_of, takes_back
from airflow_dbt_promotion.core.errors import NotInPlanError
from airflow_dbt_promotion.core.identity import ModelId, Version, short
from airflow_dbt_promotion.core.instants import minute
from airflow_dbt_promotion.core.state import EnvironmentState

_OWN = frozenset({"added", "modified", "removed"})
_INDIRECT = frozenset({"indirect"})


def find_rejections(state: EnvironmentState, model: ModelId, version: Version | None) -> tuple[Rejection, ...]:
    """Return who rejected a version of a model (None: its removal), oldest first."""
    return tuple(one for one in state.rejections.get(model, ()) if one.version == version)


def describe(rejection: Rejection) -> str:
    """Return who rejected what when, and why."""
    what = "its removal" if rejection.version is None else short(rejection.version)
    return f"{name_of(rejection)} rejected {what} at {minute(rejection.at)}" + (
        f' ("{rejection.reason}")' if rejection.reason else ""
    )


def with_vote(
    state: EnvironmentState, approval: Approval, vote: Vote, models: Collection[ModelId] | None = None
) -> EnvironmentState:
    """Return a document after a vote on a plan: a no rejects the versions that it is about, a yes withdraws what the
    same person rejected of the plan.

    A no is about `models`; where none are named, about those with changes of their own. Raises NotInPlanError.
    """
    meant = _rejected(approval, models) if vote.decision is Decision.REJECT else tuple(approval.models)
    rejections = dict(state.rejections)
    for model in meant:
        version = approval.models[model].to_version
        left = [one for one in rejections.pop(model, ()) if one.version != version or not takes_back(vote, one)]
        if vote.decision is Decision.REJECT:
            left.append(_rejection(vote, approval, version))
        if left:
            rejections[model] = tuple(left)
    return replace(state, rejections=rejections)


def _rejection(vote: Vote, approval: Approval, version: Version | None) -> Rejection:
    return Rejection(
        version=version,
        at=vote.at,
        actor=vote.actor,
        identity=vote.identity,
        reason=vote.comment,
        plan_id=approval.plan_id,
    )


def _rejected(approval: Approval, models: Collection[ModelId] | None) -> tuple[ModelId, ...]:
    """Return the models that a no is about; a plan of tests and descriptions alone is rejected by its id only."""
    if models is not None:
        if unknown := sorted(set(models) - approval.models.keys()):
            raise NotInPlanError(approval.plan_id, unknown, approval.models)
        return tuple(models)
    return _of_kind(approval, _OWN) or _of_kind(approval, _INDIRECT)


def _of_kind(approval: Approval, kinds: Iterable[str]) -> tuple[ModelId, ...]:
    return tuple(model for model, change in approval.models.items() if change.change in kinds)
