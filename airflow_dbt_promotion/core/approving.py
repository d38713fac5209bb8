"""Approving: the moves that put a plan before people and write down what they say of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec.structs import replace

from airflow_dbt_promotion.core.approvals import Approval, Decision, Vote
from airflow_dbt_promotion.core.errors import AskedOtherwiseError, NotAskedError
from airflow_dbt_promotion.core.identity import ModelId, PlanId
from airflow_dbt_promotion.core.instants import Instant
from airflow_dbt_promotion.core.rejections import with_vote
from airflow_dbt_promotion.core.state import EnvironmentState

KEPT = 100
"""How many plans that people were asked about are remembered, newest first."""

_SHORTEST = 6
"""Letters of a plan id that name it, where no other one begins with them."""


def asked(state: EnvironmentState, approval: Approval) -> EnvironmentState:
    """Return a document in which a plan is before people; one that is there with the same choices stays as it is.

    Who said yes under other choices said it of something else, and that is gone. A no stays: asking otherwise, and then
    as before, would be a way around it.
    """
    before = found(state, approval.plan_id)
    if before is not None:
        if before.weighty == approval.weighty:
            return state
        said_no = tuple(vote for vote in before.words if vote.decision is Decision.REJECT)
        approval = replace(approval, votes=said_no)
    others = (one for one in state.approvals if one.plan_id != approval.plan_id)
    return replace(state, approvals=(approval, *others)[:KEPT])


def voted(
    state: EnvironmentState,
    plan_id: PlanId,
    vote: Vote,
    asked_at: Instant | None = None,
    models: Collection[ModelId] | None = None,
) -> EnvironmentState:
    """Return a document in which somebody said a word on a plan; the same word once more changes nothing.

    A no is about `models`, or about those with changes of their own.

    `asked_at` is since when what they were shown is before people, None where that is not known. Raises NotAskedError,
    and AskedOtherwiseError where something else was asked since, NotInPlanError.
    """
    before = found(state, plan_id)
    if before is None:
        raise NotAskedError(state.environment, plan_id, [one.plan_id for one in state.approvals])
    if asked_at is not None and before.requested_at != asked_at:
        raise AskedOtherwiseError(state.environment, plan_id, before.requested_by)
    if vote in before.votes:
        return state
    after = replace(before, votes=(*before.votes, vote))
    state = with_vote(state, before, vote, models)
    return replace(state, approvals=tuple(after if one is before else one for one in state.approvals))


def found(state: EnvironmentState, plan_id: str) -> Approval | None:
    """Return what was said of a plan, None where nobody was asked."""
    return next((one for one in state.approvals if one.plan_id == plan_id), None)


def of_plan(state: EnvironmentState, ids: Sequence[PlanId]) -> Approval | None:
    """Return what was said of a plan that has several ids, by the first of them under which people were asked."""
    return next((one for id_ in ids if (one := found(state, id_)) is not None), None)


def named(state: EnvironmentState, name: str) -> Approval:
    """Return the approval of a plan by its id, or by the beginning of one that no other has. Raises NotAskedError."""
    meant = [one for one in state.approvals if one.plan_id == name]
    if not meant and len(name) >= _SHORTEST:
        meant = [one for one in state.approvals if one.plan_id.startswith(name)]
    if len(meant) != 1:
        raise NotAskedError(state.environment, name, [one.plan_id for one in state.approvals])
    return meant[0]
