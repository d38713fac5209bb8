"""How a plan ends that is not carried out, and why one is refused that was fine before."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from airflow_dbt_promotion.core.approvals import AgreedPlan
from airflow_dbt_promotion.core.eligibility import GateName, blocked
from airflow_dbt_promotion.core.environment import IncrementalChange
from airflow_dbt_promotion.core.identity import ModelId, PlanId, bare_name
from airflow_dbt_promotion.core.moving import as_approved, is_there
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.engine.beside import Prepared


def without_doing(plan: Plan) -> PromotionOutcome:
    """Return how a plan ends that is not carried out: PLANNED means that it could be."""
    if not plan.allowed:
        return PromotionOutcome.REFUSED
    return PromotionOutcome.PLANNED if plan.changes else PromotionOutcome.NOTHING_TO_DO


def refused_now(now: Plan, before: PlanId, rows: Mapping[ModelId, IncrementalChange] | None = None) -> Plan | None:
    """Return the refused plan where what it rested on has moved, or a gate has shut, since it was computed.

    `rows` is what was to become of the rows of models then, None where that is not asked.
    """
    if now.plan_id != before or (rows is not None and rows != now.rows):
        return overtaken(now)
    return None if now.allowed else now


def carried_out(before: Plan, now: Plan, target: EnvironmentState) -> Plan | None:
    """Return the plan with nothing left to do where somebody else has carried it out since it was computed."""
    agreed = AgreedPlan(plan_id=before.plan_id, models=as_approved(before), rests_on=before.rests_on)
    return replace(now, changes=()) if is_there(agreed, now, target) else None


def obstructed(plan: Plan, prepared: Prepared) -> Plan:
    """Return a plan that something in the warehouse is in the way of, refused."""
    found = tuple(
        blocked(GateName.PUBLISHING, one.code, f"{bare_name(one.model)}: {one.reason}" if one.model else one.reason)
        for one in prepared.obstacles
    )
    return replace(plan, verdicts=(*plan.verdicts, *found))


def overtaken(plan: Plan) -> Plan:
    """Return a plan that is another one by now than it was, refused."""
    reason = "what the plan rests on moved while it waited for its turn; plan again"
    return replace(plan, verdicts=(*plan.verdicts, blocked(GateName.SOURCE, "plan_moved", reason)))
