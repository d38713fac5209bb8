"""Consent: a plan with what people say of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_gate import Approved, Asked, approved
from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approving import of_plan
from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.plan import Plan, Question, Situation
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.weighing import Weighing


def consented(weighing: Weighing, situation: Situation, question: Question) -> Plan:
    """Return the plan that a weighing makes, with the verdict of those who are to approve it.

    Where nothing is named, what people have yet to approve stays behind, and the rest goes: routine changes wait for
    nobody.
    """
    plan = weighing.plan()
    asked = _policies(situation, plan.changes)
    if not asked:
        return plan
    answer = standing(
        plan,
        _distinct(asked),
        situation.target_state,
        soak=question.soak,
        promoter=question.promoter,
        now=question.agreed_at or situation.now,
    )
    if answer.verdict.passed or question.models is not None or question.to_approve:
        verdicts = (*plan.verdicts, answer.verdict)
        return replace(plan, verdicts=verdicts, approved_by=answer.by, approvals=_distinct(asked))
    yet = replace(answer.verdict, reason=f"people have yet to approve of it ({answer.verdict.code})")
    for model in _policies(situation, weighing.differing()):
        weighing.withhold(model, yet)
    return weighing.plan()


def _policies(situation: Situation, changes: Iterable[Change]) -> Mapping[ModelId, tuple[ApprovalPolicy, ...]]:
    """Return what policy asks people of some changes, by model, without those of which it asks nothing."""
    return {
        change.model: asked for change in changes if (asked := situation.policy(change.model, change.after).approvals)
    }


def _distinct(policies: Mapping[ModelId, tuple[ApprovalPolicy, ...]]) -> tuple[ApprovalPolicy, ...]:
    """Return every policy once, in an order that is always the same."""
    return tuple(sorted({policy for asked in policies.values() for policy in asked}, key=repr))


def standing(
    plan: Plan,
    policies: Collection[ApprovalPolicy],
    target: EnvironmentState,
    *,
    soak: timedelta | None,
    promoter: str | None,
    now: datetime,
) -> Approved:
    """Return what people said of a plan, as the target's document has it; there is at least one policy."""
    asked = Asked(
        target=plan.target,
        plan_id=plan.plan_id,
        choices=plan.choices,
        soak=soak,
        rows=plan.rows,
        approval=of_plan(target, plan.ids),
        promoter=promoter,
        now=now,
    )
    return approved(asked, policies)
