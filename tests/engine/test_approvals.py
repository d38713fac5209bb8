"""Approvals: a plan is put before people, and only that plan goes, by their word."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Approval, Decision, Identity, Person, Vote
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.errors import ConfigError, NotAskedError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.engine.approvals import agreed_request
from airflow_dbt_promotion.failpoints import Failpoint
from tests.engine.test_resuming import die
from tests.kept_shop import KeptShop
from tests.scenarios import DAY, PARENTS, Shop, agreed_of, defined, path, release

ANN = Person(name="ann", identity=Identity.AIRFLOW)
ALL = PromotionRequest(target="production", actor="ann")
TO_APPROVE = replace(ALL, to_approve=True)
PARENTS_LESS = {name: above for name, above in PARENTS.items() if name != "revenue"}


def shop_with(**policy: object) -> Shop:
    """Return a shop whose staging has soaked, and whose production asks people."""
    made = Shop(environments=path(approval=ApprovalPolicy(**policy)))  # type: ignore[arg-type]  # passed on
    made.run("staging")
    made.clock.pass_by(DAY)
    return made


@pytest.fixture
def shop() -> Shop:
    return shop_with(four_eyes=True)


def ask(shop: Shop, request: PromotionRequest = TO_APPROVE) -> Approval:
    return shop.engine.approvals.ask(request, shop.engine.plan(request), ANN)


def say(shop: Shop, approval: Approval, actor: str = "bob", decision: Decision = Decision.APPROVE) -> Approval:
    vote = Vote(decision=decision, at=shop.clock(), actor=actor, identity=Identity.AIRFLOW)
    return shop.engine.approvals.vote("production", approval.plan_id, vote)


def outcome(shop: Shop, request: PromotionRequest) -> PromotionOutcome:
    return shop.engine.promote(request).outcome


def test_nothing_goes_before_people_said_yes_and_then_just_that_plan(shop: Shop) -> None:
    assert outcome(shop, ALL) is PromotionOutcome.NOTHING_TO_DO
    approval = ask(shop)
    agreed = agreed_request(ALL, approval)
    assert outcome(shop, agreed) is PromotionOutcome.REFUSED
    say(shop, approval)
    done = shop.engine.promote(agreed)
    assert done.outcome is PromotionOutcome.PROMOTED
    assert done.plan.plan_id == approval.plan_id
    assert [record.approved_by for _, record in shop.engine.history("production")] == [("bob",)]


def test_what_was_approved_goes_without_being_named(shop: Shop) -> None:
    say(shop, ask(shop))
    assert outcome(shop, ALL) is PromotionOutcome.PROMOTED


def test_who_asked_and_who_promotes_cannot_approve(shop: Shop) -> None:
    approval = say(shop, ask(shop), "ann")
    assert shop.engine.approvals.verdict("production", approval.plan_id).code == "four_eyes"
    say(shop, approval)
    assert shop.engine.approvals.verdict("production", approval.plan_id).passed
    assert shop.engine.approvals.verdict("production", approval.plan_id, "bob").code == "four_eyes"
    assert outcome(shop, agreed_request(replace(ALL, actor="bob"), approval)) is PromotionOutcome.REFUSED


def test_a_no_stops_it(shop: Shop) -> None:
    approval = say(shop, say(shop, ask(shop)), "cy", Decision.REJECT)
    refused = shop.engine.promote(agreed_request(ALL, approval))
    assert refused.outcome is PromotionOutcome.REFUSED
    assert refused.message == "cy at 2026-07-25 12:00 UTC rejected this plan"


def test_a_plan_that_moved_does_not_go_and_says_what_moved(shop: Shop) -> None:
    approval = say(shop, ask(shop))
    shop.change(release(code={"orders": "select 2"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert outcome(shop, agreed_request(replace(ALL, dry_run=True), approval)) is PromotionOutcome.REFUSED
    refused = shop.engine.promote(agreed_request(ALL, approval))
    assert refused.outcome is PromotionOutcome.REFUSED
    assert "was agreed to is another one by now: orders: added, - to " in refused.message
    verdict = shop.engine.approvals.verdict("production", approval.plan_id)
    assert verdict.code == "plan_moved"
    before, told = shop.engine.approvals.moved(shop.engine.plan(TO_APPROVE)) or (None, ())
    assert before is not None
    assert before.plan_id == approval.plan_id
    assert told[0].startswith("orders: added, - to ")


def test_an_approved_plan_under_a_hold_is_held_and_goes_once_that_is_lifted(shop: Shop) -> None:
    approval = say(shop, ask(shop))
    agreed = agreed_request(ALL, approval)
    shop.engine.hold("production", "ann", "the audit")
    refused = shop.engine.promote(agreed)
    assert (refused.outcome, [v.code for _, v in refused.plan.refusals]) == (PromotionOutcome.REFUSED, ["held"])
    assert shop.engine.approvals.verdict("production", approval.plan_id).code == "held"
    shop.engine.release("production", "ann", "the audit is over")
    assert outcome(shop, agreed) is PromotionOutcome.PROMOTED


def test_a_plan_that_moved_under_a_hold_moved(shop: Shop) -> None:
    approval = say(shop, ask(shop))
    shop.engine.hold("production", "ann", "the audit")
    shop.change(release(code={"orders": "select 2"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.engine.approvals.verdict("production", approval.plan_id).code == "plan_moved"


def test_what_was_carried_out_is_not_what_moved(shop: Shop) -> None:
    say(shop, ask(shop))
    assert outcome(shop, ALL) is PromotionOutcome.PROMOTED
    for text in ("select 2", "select 3"):
        shop.change(release(code={"orders": text}))
        shop.run("staging")
        shop.clock.pass_by(DAY)
        assert shop.engine.approvals.moved(shop.engine.plan(TO_APPROVE)) is None
        say(shop, ask(shop))
        assert outcome(shop, ALL) is PromotionOutcome.PROMOTED


@pytest.mark.parametrize("target", ["staging", "production"])
def test_a_plan_that_moved_does_not_go_either_where_tests_are_run_first(target: str) -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.change(release(code={"revenue": "select 2"}))
    asked = PromotionRequest(target=target, models=tuple(PARENTS), run_tests=True)
    agreed = replace(asked, models=None, agreed=agreed_of(shop.engine.plan(asked)))
    shop.change(release(code={"orders": "select 3"}))
    if target == "production":
        shop.run("staging")
    shop.clock.pass_by(DAY)
    refused = shop.engine.promote(agreed)
    assert refused.outcome is PromotionOutcome.REFUSED
    assert "was agreed to is another one by now" in refused.message
    assert shop.workshop.orders == []


def test_a_plan_that_was_agreed_to_goes_once_its_tests_have_run() -> None:
    shop = Shop()
    asked = PromotionRequest(target="staging", models=tuple(PARENTS))
    shown = shop.engine.plan(asked)
    done = shop.engine.promote(replace(asked, models=None, agreed=agreed_of(shown)))
    assert (done.outcome, done.plan.plan_id) == (PromotionOutcome.PROMOTED, shown.plan_id)


def test_nothing_moved_of_the_plan_that_people_had_a_word_on(shop: Shop) -> None:
    plan = shop.engine.plan(TO_APPROVE)
    assert shop.engine.approvals.moved(plan) is None
    say(shop, ask(shop))
    assert shop.engine.approvals.moved(plan) is None


def test_an_approval_expires(shop: Shop) -> None:
    approval = say(shop, ask(shop))
    shop.clock.pass_by(timedelta(days=7, seconds=1))
    verdict = shop.engine.approvals.verdict("production", approval.plan_id)
    assert verdict.code == "approval_expired"
    assert outcome(shop, agreed_request(ALL, approval)) is PromotionOutcome.REFUSED


def test_a_promotion_that_broke_off_is_carried_on_though_its_approval_expired_since() -> None:
    shop = KeptShop(defined(), path(approval=ApprovalPolicy()))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    agreed = replace(agreed_request(ALL, say(shop, ask(shop))), run="task 1")
    die(shop, Failpoint.MODEL_PUBLISHED, agreed)
    shop.clock.pass_by(timedelta(days=8))
    assert outcome(shop, replace(agreed, run="task 2")) is PromotionOutcome.REFUSED
    assert outcome(shop, agreed) is PromotionOutcome.PROMOTED
    assert shop.state().history[0].approved_by == ("bob",)


def test_the_choices_that_were_shown_are_those_that_go() -> None:
    shop = shop_with()
    bypass = replace(TO_APPROVE, require_tests=False, reason="hotfix", soak=timedelta(0))
    approval = say(shop, ask(shop, bypass))
    plain = PromotionRequest(target="production", agreed=approval.agreed)
    assert "other choices" in shop.engine.promote(plain).message
    done = shop.engine.promote(agreed_request(ALL, approval))
    assert done.outcome is PromotionOutcome.PROMOTED
    assert done.plan.choices.reason == "hotfix"


def test_a_shorter_soak_than_the_one_that_was_shown_does_not_go() -> None:
    shop = Shop(environments=path(7 * DAY, approval=ApprovalPolicy()))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    bypass = replace(TO_APPROVE, reason="hotfix", soak=6 * DAY, models=tuple(PARENTS))
    approval = say(shop, ask(shop, bypass))
    sooner = replace(bypass, models=None, to_approve=False, agreed=approval.agreed, soak=timedelta(0))
    assert "other choices" in shop.engine.promote(sooner).message
    shop.clock.pass_by(5 * DAY)
    assert outcome(shop, agreed_request(ALL, approval)) is PromotionOutcome.PROMOTED


def test_what_only_writes_state_was_agreed_to_or_does_not_go(shop: Shop) -> None:
    approval = say(shop, ask(shop))
    alone = replace(agreed_request(ALL, approval), strategy=Strategy.RECORD)
    assert "other choices" in shop.engine.promote(alone).message
    assert outcome(shop, agreed_request(ALL, approval)) is PromotionOutcome.PROMOTED


def test_what_was_agreed_to_only_writes_state_where_that_was_shown(shop: Shop) -> None:
    approval = say(shop, ask(shop, replace(TO_APPROVE, strategy=Strategy.RECORD)))
    assert shop.engine.approvals.verdict("production", approval.plan_id).passed
    done = shop.engine.promote(agreed_request(ALL, approval))
    assert (done.outcome, done.plan.strategy) == (PromotionOutcome.PROMOTED, Strategy.RECORD)


def test_an_agreed_plan_names_its_models_itself(shop: Shop) -> None:
    agreed = agreed_of(shop.engine.plan(TO_APPROVE))
    with pytest.raises(ConfigError, match="leave these out"):
        shop.engine.plan(replace(ALL, agreed=agreed, models=("orders",)))


def test_where_policy_asks_nobody_that_is_said() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    approval = ask(shop)
    assert shop.engine.approvals.verdict("production", approval.plan_id).code == "no_approval_needed"
    assert [one.plan_id for one in shop.engine.approvals.of("production")] == [approval.plan_id]


def test_a_plan_of_which_nothing_is_known_is_an_error(shop: Shop) -> None:
    with pytest.raises(NotAskedError, match="none"):
        shop.engine.approvals.named("production", "feedbeef")
    ask(shop)
    with pytest.raises(NotAskedError, match="feedbeef"):
        shop.engine.approvals.named("production", "feedbeef")
    assert shop.engine.approvals.of("staging") == ()


def test_a_plan_that_was_carried_out_leaves_nothing_to_do_and_did_not_move() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    agreed = replace(ALL, agreed=agreed_of(shop.engine.plan(TO_APPROVE)))
    assert outcome(shop, agreed) is PromotionOutcome.PROMOTED
    assert outcome(shop, agreed) is PromotionOutcome.NOTHING_TO_DO

    shop.change(release(PARENTS_LESS, code={"orders": "select 2"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert outcome(shop, agreed) is PromotionOutcome.NOTHING_TO_DO, "what came to staging since is another plan"
    assert outcome(shop, replace(agreed, force=True)) is PromotionOutcome.NOTHING_TO_DO

    removal = replace(ALL, models=("revenue",), allow_removals=True)
    gone = replace(removal, models=None, agreed=agreed_of(shop.engine.plan(removal)))
    assert outcome(shop, gone) is PromotionOutcome.PROMOTED
    assert outcome(shop, gone) is PromotionOutcome.NOTHING_TO_DO
    assert outcome(shop, agreed) is PromotionOutcome.REFUSED, "revenue was in it, and is gone"


def test_a_plan_that_brings_no_other_version_is_asked_for_again() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(ALL)
    forced = replace(ALL, models=("orders",), force=True)
    agreed = replace(forced, models=None, agreed=agreed_of(shop.engine.plan(forced)))
    assert outcome(shop, agreed) is PromotionOutcome.PROMOTED
    assert outcome(shop, agreed) is PromotionOutcome.PROMOTED
