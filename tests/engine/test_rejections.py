"""Rejections: a version that people said no to is held back under any plan; what else may go, goes."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Approval, Decision, Identity, Person, Vote
from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.errors import ConfigError, ReasonRequiredError, UnknownModelError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest
from airflow_dbt_promotion.engine.approvals import agreed_request
from airflow_dbt_promotion.sensors.readiness import Never, NotYet, Ready, answer, question
from airflow_dbt_promotion.sensors.waiting import Waiting
from tests.kept_shop import STAGING, KeptShop, with_text
from tests.scenarios import DAY, defined, model_id, path

STG, ORDERS, REVENUE = map(model_id, ("stg_orders", "orders", "revenue"))
ANN = Person(name="ann", identity=Identity.AIRFLOW)
ALL = PromotionRequest(target="production", actor="ann")
NAMED = replace(ALL, models=("orders", "revenue"))


@pytest.fixture
def shop() -> KeptShop:
    """Return one whose production asks for one approval, and whose staging has soaked another text of orders."""
    return opened(min_approvals=1)


def opened(forbid: frozenset[BypassKind] = frozenset(), **policy: object) -> KeptShop:
    approval = ApprovalPolicy(**policy)  # type: ignore[arg-type]  # passed on
    shop = KeptShop(defined(), path(approval=approval, forbid=forbid))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    say(shop, ask(shop))
    assert shop.engine.promote(ALL).outcome is PromotionOutcome.PROMOTED
    stage(shop, "orders", "select 2")
    return shop


def stage(shop: KeptShop, name: str, text: str) -> None:
    shop.edit(with_text(shop.definition, name, text))
    shop.run("staging")
    shop.clock.pass_by(DAY)


def ask(shop: KeptShop, request: PromotionRequest = ALL) -> Approval:
    asked = replace(request, to_approve=True)
    return shop.engine.approvals.ask(asked, shop.engine.plan(asked), ANN)


def say(
    shop: KeptShop,
    approval: Approval,
    actor: str = "bob",
    decision: Decision = Decision.APPROVE,
    models: tuple[str, ...] | None = None,
) -> None:
    vote = Vote(decision=decision, at=shop.clock(), actor=actor, identity=Identity.AIRFLOW, comment="not now")
    shop.engine.approvals.vote("production", approval.plan_id, vote, models=models)


def reject(shop: KeptShop, models: tuple[str, ...] | None = None, actor: str = "cy") -> Approval:
    approval = ask(shop)
    say(shop, approval, actor, Decision.REJECT, models)
    return approval


def held(told: Promotion) -> dict[str, set[str]]:
    return {change.name: {v.code for v in change.verdicts if not v.passed} for change in told.plan.held}


def test_a_rejected_version_is_held_back_under_any_plan_and_the_rest_goes(shop: KeptShop) -> None:
    reject(shop)
    rejected = shop.state().rejections[ORDERS][0].version
    stage(shop, "revenue", "select 'another'")
    told = shop.engine.promote(replace(ALL, to_approve=True, dry_run=True))
    assert held(told)["orders"] == {"rejected"}
    assert shop.versions(STAGING)[ORDERS] == rejected


def test_the_routine_goes_on_and_is_green(shop: KeptShop) -> None:
    reject(shop)
    told = shop.engine.promote(replace(ALL, to_approve=True))
    assert told.outcome is PromotionOutcome.NOTHING_TO_DO
    assert held(told) == {"orders": {"rejected"}, "revenue": {"needs_other"}}
    [verdict] = [v for change in told.plan.held for v in change.verdicts if v.code == "rejected"]
    assert verdict.reason.startswith("cy rejected ")
    assert verdict.reason.endswith('("not now")')


def test_a_new_version_starts_clean(shop: KeptShop) -> None:
    reject(shop)
    stage(shop, "orders", "select 3")
    say(shop, ask(shop))
    assert shop.engine.promote(ALL).outcome is PromotionOutcome.PROMOTED


def test_by_name_it_is_refused_with_the_reason(shop: KeptShop) -> None:
    reject(shop)
    told = shop.engine.promote(NAMED)
    assert told.outcome is PromotionOutcome.REFUSED
    assert "cy at 2026-07-26 12:00 UTC" in told.message
    codes = {change.name: {v.code for v in change.verdicts if not v.passed} for change in told.plan.changes}
    assert codes == {"orders": {"rejected"}, "revenue": set()}


def test_the_same_person_can_approve_after_all(shop: KeptShop) -> None:
    reject(shop)
    approval = ask(shop, NAMED)
    say(shop, approval, "cy")
    assert shop.state().rejections == {}
    assert shop.engine.promote(NAMED).outcome is PromotionOutcome.PROMOTED


def test_it_takes_one_approval_more_than_policy_asks() -> None:
    shop = opened(min_approvals=1)
    reject(shop)
    approval = ask(shop, NAMED)
    say(shop, approval, "bob")
    assert shop.engine.promote(NAMED).outcome is PromotionOutcome.REFUSED
    assert held(shop.engine.promote(ALL)) == {"orders": {"rejected"}, "revenue": {"needs_other"}}
    say(shop, approval, "dee")
    told = shop.engine.promote(NAMED)
    assert told.outcome is PromotionOutcome.PROMOTED
    assert "rejection_overruled" in {v.code for change in told.plan.changes for v in change.verdicts}
    assert shop.state().bypasses == ()


def test_a_bypass_overrules_it_and_stays_on_record(shop: KeptShop) -> None:
    reject(shop)
    asked = replace(NAMED, overrule_rejection=True, reason="the audit is over")
    with pytest.raises(ReasonRequiredError):
        shop.engine.promote(replace(asked, reason=None))
    approval = ask(shop, asked)
    assert shop.engine.promote(asked).outcome is PromotionOutcome.REFUSED
    say(shop, approval)
    assert shop.engine.promote(agreed_request(ALL, approval)).outcome is PromotionOutcome.PROMOTED
    [bypass] = shop.state().bypasses
    assert (bypass.kind, bypass.reason) == (BypassKind.OVERRULE_REJECTION, "the audit is over")


def test_a_bypass_is_of_models_that_are_named() -> None:
    with pytest.raises(ConfigError, match="name the models"):
        replace(ALL, overrule_rejection=True, reason="the audit is over")


def test_policy_can_forbid_the_bypass() -> None:
    shop = opened(forbid=frozenset({BypassKind.OVERRULE_REJECTION}))
    reject(shop)
    told = shop.engine.promote(replace(NAMED, overrule_rejection=True, reason="the audit is over"))
    assert "bypass_forbidden" in {verdict.code for verdict in told.plan.verdicts}


def test_the_models_that_are_meant_can_be_named(shop: KeptShop) -> None:
    with pytest.raises(UnknownModelError):
        reject(shop, ("nothing",))
    reject(shop, ("revenue",))
    assert set(shop.state().rejections) == {REVENUE}
    told = shop.engine.promote(replace(ALL, to_approve=True, dry_run=True))
    assert held(told) == {"orders": {"needs_other"}, "revenue": {"rejected"}}


def test_the_version_before_goes_where_that_was_not_rejected(shop: KeptShop) -> None:
    before = shop.versions(STAGING)[ORDERS]
    stage(shop, "orders", "select 3")
    reject(shop)
    say(shop, ask(shop))
    assert shop.engine.promote(ALL).outcome is PromotionOutcome.PROMOTED
    assert shop.versions()[ORDERS] == before


def test_who_rejected_does_not_count_by_a_name_that_is_only_claimed() -> None:
    shop = opened(trust_claimed=True)
    reject(shop)
    approval = ask(shop, NAMED)
    say(shop, approval, "bob")
    claimed = Vote(decision=Decision.APPROVE, at=shop.clock(), actor="cy", identity=Identity.CLAIMED)
    shop.engine.approvals.vote("production", approval.plan_id, claimed)
    assert shop.engine.promote(NAMED).outcome is PromotionOutcome.REFUSED


def test_a_plan_with_another_id_is_outvoted_too(shop: KeptShop) -> None:
    rejected = reject(shop)
    stage(shop, "revenue", "select 'another'")
    approval = ask(shop, NAMED)
    assert approval.plan_id != rejected.plan_id
    say(shop, approval, "bob")
    refused = shop.engine.promote(NAMED)
    assert refused.outcome is PromotionOutcome.REFUSED
    assert "cy rejected" in refused.message
    say(shop, approval, "dee")
    assert shop.engine.promote(NAMED).outcome is PromotionOutcome.PROMOTED


def test_a_no_to_what_only_changed_by_a_parent_is_about_that(shop: KeptShop) -> None:
    asked = replace(ALL, models=("orders",), allow_stale_downstream=True)
    say(shop, ask(shop, asked))
    assert shop.engine.promote(asked).outcome is PromotionOutcome.PROMOTED
    reject(shop)
    assert set(shop.state().rejections) == {REVENUE}


def test_no_sensor_says_that_it_is_ready(shop: KeptShop) -> None:
    assert shop.engine.validated(None, None, pending=True)
    assert isinstance(answer(question(shop.engine, "production", None, None), Waiting.ANY, DAY), Ready)
    reject(shop)
    names = {one.name for one in shop.engine.validated(None, None, pending=True)}
    assert "orders" not in names
    assert isinstance(answer(question(shop.engine, "production", None, None), Waiting.ANY, DAY), NotYet)
    assert answer(question(shop.engine, "production", None, None), Waiting.ALL, DAY) == Ready(())
    for waiting in Waiting:
        assert isinstance(answer(question(shop.engine, "production", "orders", None), waiting, DAY), Never)
