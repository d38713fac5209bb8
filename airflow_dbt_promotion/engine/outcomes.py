"""How a plan ends that is not carried out, and why one is refused that was fine before."""

from __future__ import annotations

from msgspec.structs import replace

from airflow_dbt_promotion.core.eligibility import GateName, blocked
from airflow_dbt_promotion.core.identity import PlanId, bare_name
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine.beside import Prepared


def without_doing(plan: Plan) -> PromotionOutcome:
    """Return how a plan ends that is not carried out: PLANNED means that it could be."""
    if not plan.allowed:
        return PromotionOutcome.REFUSED
    return PromotionOutcome.PLANNED if plan.changes else PromotionOutcome.NOTHING_TO_DO


def refused_now(now: Plan, before: PlanId) -> Plan | None:
    """Return the refused plan where what it rested on has moved, or a gate has shut, since it was computed."""
    if now.plan_id != before:
        return overtaken(now)
    return None if now.allowed else now


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
