"""Rejections: which versions a no is about."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.approvals import Approval, ApprovedChange, Decision, Identity, Vote
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.eligibility import rejected_version
from airflow_dbt_promotion.core.errors import NotInPlanError
from airflow_dbt_promotion.core.identity import EnvironmentName, PlanId, Version
from airflow_dbt_promotion.core.rejections import find_rejections, with_vote
from airflow_dbt_promotion.core.state import EnvironmentState
from tests.scenarios import NOON, empty_state, model_id

ORDERS, REVENUE = model_id("orders"), model_id("revenue")
OLD, NEW = Version("a" * 32), Version("b" * 32)


def approval(**kinds: str) -> Approval:
    """Return a plan that people were asked about, with a change of each kind."""
    return Approval(
        plan_id=PlanId("p" * 32),
        source=EnvironmentName("staging"),
        models={
            model_id(name): ApprovedChange(change=kind, from_version=OLD, to_version=None if kind == "removed" else NEW)
            for name, kind in kinds.items()
        },
        rests_on={},
        choices=Choices(),
        soak=None,
        runs=None,
        requested_at=NOON,
        requested_by="ann",
        identity=Identity.AIRFLOW,
    )


def no(actor: str = "cy") -> Vote:
    return Vote(decision=Decision.REJECT, at=NOON, actor=actor, identity=Identity.CLAIMED)


def rejected(state: EnvironmentState) -> dict[str, list[Version | None]]:
    return {model: [one.version for one in several] for model, several in state.rejections.items()}


@pytest.mark.parametrize(
    ("kinds", "meant"),
    [
        ({"orders": "modified", "revenue": "indirect"}, {ORDERS: [NEW]}),
        ({"orders": "indirect", "revenue": "metadata"}, {ORDERS: [NEW]}),
        ({"orders": "metadata"}, {}),
        ({"orders": "removed", "revenue": "added"}, {ORDERS: [None], REVENUE: [NEW]}),
    ],
)
def test_what_a_no_is_about(kinds: dict[str, str], meant: dict[str, list[Version | None]]) -> None:
    assert rejected(with_vote(empty_state("production"), approval(**kinds), no())) == meant


def test_a_no_about_what_is_not_in_the_plan() -> None:
    with pytest.raises(NotInPlanError, match=r"does not change model\..*revenue; it changes model\..*orders"):
        with_vote(empty_state("production"), approval(orders="modified"), no(), [REVENUE])


def test_a_removal_is_rejected_as_such() -> None:
    state = with_vote(empty_state("production"), approval(orders="removed"), no())
    [verdict] = rejected_version(ORDERS, None, state)
    assert verdict.reason == "cy (a claimed name) rejected its removal at 2026-07-24 12:00 UTC"
    assert find_rejections(state, ORDERS, NEW) == ()
    assert rejected_version(REVENUE, NEW, state) == ()


def test_each_person_rejects_once() -> None:
    plan = approval(orders="modified")
    state = with_vote(with_vote(empty_state("production"), plan, no()), plan, no())
    assert rejected(state) == {ORDERS: [NEW]}
    assert rejected(with_vote(state, plan, no("bob"))) == {ORDERS: [NEW, NEW]}
