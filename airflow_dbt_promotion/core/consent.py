"""Consent: a plan with what people say of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta

from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_gate import Approved, Asked, approved, outvoted
from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approving import of_plan
from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.plan import Plan, Question, Situation
from airflow_dbt_promotion.core.rejection_gate import is_rejected, without_rejection
from airflow_dbt_promotion.core.rejections import find_rejections
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.weighing import Weighing


def consented(weighing: Weighing, situation: Situation, question: Question) -> Plan:
    """Return the plan that a weighing makes, with the verdict of those who are to approve it.

    Where nothing is named, what people have yet to approve stays behind, and the rest goes: routine changes wait for
    nobody.
    """
    plan = _with_outvoted(weighing.plan(), situation, question)
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


def _with_outvoted(plan: Plan, situation: Situation, question: Question) -> Plan:
    """Return a plan of named models in which enough approvals overrule the rejections of versions."""
    if question.models is None or not any(is_rejected(change) for change in plan.changes):
        return plan
    asked = _asked_of(
        plan,
        situation.target_state,
        soak=question.soak,
        promoter=question.promoter,
        now=question.agreed_at or situation.now,
    )
    rejected_by = {
        rejection.actor
        for change in plan.changes
        for rejection in find_rejections(situation.target_state, change.model, change.to_version)
    }
    by = outvoted(asked, _distinct(_policies(situation, plan.changes)), rejected_by)
    if not by:
        return plan
    how = f"overruled by {', '.join(by)}, one more than policy asks"
    return replace(plan, changes=tuple(without_rejection(change, how) for change in plan.changes))


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
    return approved(_asked_of(plan, target, soak=soak, promoter=promoter, now=now), policies)


def _asked_of(
    plan: Plan, target: EnvironmentState, *, soak: timedelta | None, promoter: str | None, now: datetime
) -> Asked:
    """Return what the gate is asked about a plan."""
    return Asked(
        target=plan.target,
        plan_id=plan.plan_id,
        choices=plan.choices,
        soak=soak,
        rows=plan.rows,
        approval=of_plan(target, plan.ids),
        promoter=promoter,
        now=now,
    )
