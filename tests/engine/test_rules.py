"""Rules, end to end without dbt: labels come from kept code, and every surface asks the same."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Decision, Identity, Person, Vote
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, PromotionPath, Rule, Strategy
from airflow_dbt_promotion.core.errors import DbtProjectError, ReasonRequiredError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.selector import selector
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Engine, Promotion, PromotionRequest
from airflow_dbt_promotion.engine.approvals import agreed_request
from airflow_dbt_promotion.failpoints import Failpoint
from tests.core.definitions import definition, generic_test, node
from tests.engine.test_resuming import die
from tests.kept_shop import KeptShop, with_text
from tests.scenarios import DAY, PACKAGE, path

A, B, C = (ModelId(f"model.shop.{name}") for name in "abc")
CRITICAL = Rule(select=selector("tag:critical"), name="critical", soak=14 * DAY)
ROUTINE = Rule(select=selector("tag:routine"), name="routine", soak=0 * DAY)


def project(critical: str = "b", routine: str = "c") -> Definition:
    """Return a, b and c, each by itself; one has the tag critical, one routine."""
    tags = {critical: Raw(b'["critical"]'), routine: Raw(b'["routine"]')}
    nodes = [node(name, tags=tags.get(name, Raw(b"[]"))) for name in "abc"]
    return definition([*nodes, *(generic_test(f"n_{name}", "not_null", f"model.shop.{name}") for name in "abc")])


def shop(*rules: Rule, days: int = 0, **production: Any) -> KeptShop:
    """Return a shop with rules, whose staging was built some days ago."""
    made = KeptShop(project(), path(rules=rules or (CRITICAL, ROUTINE), **production))
    made.run("staging")
    made.clock.pass_by(days * DAY)
    return made


def promote(found: KeptShop, **asked: Any) -> Promotion:
    return found.engine.promote(PromotionRequest(target="production", actor="ann", **asked))


def gone(done: Promotion) -> set[str]:
    return {change.name for change in done.plan.changes} if done.outcome is PromotionOutcome.PROMOTED else set()


def test_each_model_goes_when_its_own_policy_lets_it() -> None:
    found = shop()

    assert gone(promote(found)) == {"c"}
    found.clock.pass_by(DAY)
    assert gone(promote(found)) == {"a"}
    found.clock.pass_by(12 * DAY)
    assert gone(promote(found)) == set()
    found.clock.pass_by(DAY)
    assert gone(promote(found)) == {"b"}


def test_labels_are_those_of_the_code_that_goes_whatever_the_checkout_says() -> None:
    found = shop(days=1)
    found.edit(project(critical="a", routine="b"))

    assert gone(promote(found)) == {"a", "c"}


def test_a_label_that_comes_with_a_run_counts_from_then_on() -> None:
    found = shop(days=1)
    found.edit(project(critical="a", routine="b"))
    found.run("staging")

    assert gone(promote(found)) == {"b", "c"}


def test_status_and_validated_say_what_the_plan_says() -> None:
    found = shop(days=1)
    validated = {one.name for one in found.engine.validated()}
    (held,) = [one for one in found.engine.status("staging", ["b"]) if one.model == B]

    assert validated == {"a", "c"}
    assert held.soak is not None
    assert held.soak.reason.endswith("(asked for by the rule 'critical')")
    assert {one.name for one in found.engine.validated(0 * DAY)} == {"a", "b", "c"}
    assert {one.name for one in found.engine.validated(2 * DAY)} == set()


def test_less_than_a_named_model_s_policy_is_a_bypass() -> None:
    found = shop(days=1)

    with pytest.raises(ReasonRequiredError):
        promote(found, models=("b",), soak=2 * DAY)
    with pytest.raises(ReasonRequiredError):
        promote(found, soak=DAY)
    assert gone(promote(found, models=("c",), soak=0 * DAY)) == {"c"}
    done = promote(found, models=("b",), soak=DAY, reason="asked for")
    assert gone(done) == {"b"}
    assert done.plan.choices.bypasses == {BypassKind.SHORT_SOAK}


def test_a_promotion_that_broke_off_goes_on_by_the_bypass_that_it_began_with() -> None:
    found = shop(days=1)
    die(
        found,
        Failpoint.MODEL_PUBLISHED,
        PromotionRequest(target="production", models=("b",), soak=DAY, reason="asked for"),
    )

    found.clock.pass_by(timedelta(minutes=3, seconds=1))  # as long as the lock of a process that died holds
    done = found.engine.resume(PromotionRequest(target="production", actor="ann", lock_timeout=0))

    assert gone(done) == {"b"}
    assert done.plan.choices.bypasses == {BypassKind.SHORT_SOAK}


def test_what_a_rule_asks_people_about_goes_by_their_word_and_the_rest_without() -> None:
    found = shop(replace(CRITICAL, soak=None, approvals=(ApprovalPolicy(four_eyes=True),)), days=1)
    shown = PromotionRequest(target="production", actor="ann", to_approve=True, models=("b",))
    assert gone(promote(found)) == {"a", "c"}

    approval = found.engine.approvals.ask(
        shown, found.engine.plan(shown), Person(name="ann", identity=Identity.AIRFLOW)
    )
    agreed = agreed_request(PromotionRequest(target="production", actor="ann"), approval)
    refused = found.engine.promote(agreed)
    vote = Vote(decision=Decision.APPROVE, at=found.clock(), actor="bob", identity=Identity.AIRFLOW)
    found.engine.approvals.vote("production", approval.plan_id, vote)

    assert refused.outcome is PromotionOutcome.REFUSED
    assert refused.plan.approvals == (ApprovalPolicy(four_eyes=True),)
    assert gone(found.engine.promote(agreed)) == {"b"}


def test_a_soak_that_is_short_for_what_stays_behind_alone_is_no_bypass_and_people_are_not_asked_about_one() -> None:
    found = shop(CRITICAL, days=2, approval=ApprovalPolicy())
    found.run("staging", failing=["test.shop.n_b"])
    request = PromotionRequest(target="production", actor="ann", soak=DAY, reason="b is in a hurry", to_approve=True)
    shown = found.engine.plan(request)
    approval = found.engine.approvals.ask(request, shown, Person(name="ann", identity=Identity.AIRFLOW))
    vote = Vote(decision=Decision.APPROVE, at=found.clock(), actor="bob", identity=Identity.AIRFLOW)
    found.engine.approvals.vote("production", approval.plan_id, vote)

    assert ({change.name for change in shown.changes}, shown.choices.bypasses) == ({"a", "c"}, set())
    assert found.engine.approvals.verdict("production", approval.plan_id).passed
    assert gone(promote(found, soak=DAY, reason="b is in a hurry")) == {"a", "c"}
    assert found.state().bypasses == ()


def test_more_is_asked_for_where_it_is_more() -> None:
    found = shop(ROUTINE, days=1)

    assert promote(found, soak=2 * DAY).outcome is PromotionOutcome.NOTHING_TO_DO


def test_at_least_is_on_top_of_policy_and_no_bypass() -> None:
    found = shop(days=1)
    request = PromotionRequest(target="production", soak=0 * DAY, at_least=True, strategy=Strategy.RECORD)

    assert {change.name for change in found.engine.plan(request).changes} == {"a", "c"}


def test_what_leaves_is_known_by_the_release_that_the_target_has_it_from() -> None:
    found = shop(replace(ROUTINE, approvals=()), approval=ApprovalPolicy())
    assert gone(promote(found)) == {"c"}
    kept = project()
    rest = {id_: one for id_, one in kept.nodes.items() if id_ not in {C, "test.shop.n_c"}}
    found.edit(replace(kept, nodes=rest))
    found.run("staging")
    found.clock.pass_by(DAY)

    left = found.engine.plan(PromotionRequest(target="production", models=("c",), allow_removals=True))
    asked = found.engine.plan(PromotionRequest(target="production", models=("a",)))
    assert left.allowed
    assert {verdict.code for _, verdict in asked.refusals} == {"approval_needed"}


@pytest.mark.parametrize("lost", [True, False])
def test_where_no_parse_can_be_had_everything_is_asked(lost: bool) -> None:
    found = shop(days=1)
    found.workshop.definition = None
    if lost:
        found.workshop.kept.clear()
    else:
        found.workshop.breaks = DbtProjectError("release", ["no"])

    asked = found.engine.plan(PromotionRequest(target="production", strategy=Strategy.RECORD))

    assert not asked.changes
    assert {"rules_unknown", "soaking"} <= {verdict.code for change in asked.held for verdict in change.verdicts}


def test_what_is_not_kept_is_known_by_the_project_at_hand() -> None:
    found = shop(days=1)
    found.workshop.kept.clear()

    asked = found.engine.plan(PromotionRequest(target="production", strategy=Strategy.RECORD))

    assert {change.name for change in asked.changes} == {"a", "c"}


def test_an_older_candidate_is_held_to_its_model_s_policy() -> None:
    found = shop(days=14)
    found.edit(with_text(found.definition, "b", "select 'newer'"))
    found.run("staging")

    assert gone(promote(found)) == {"a", "b", "c"}
    assert found.versions()[B] != found.state(found.engine.path.get("staging").name).current[B].version


@pytest.mark.parametrize("rule", [replace(CRITICAL, soak=None, approvals=(ApprovalPolicy(),)), CRITICAL])
def test_an_older_candidate_is_held_to_its_own_labels_though_a_newer_one_lost_them(rule: Rule) -> None:
    found = shop(rule, days=2)
    found.edit(with_text(project(critical="none"), "b", "select 'newer'"))
    found.run("staging")

    assert gone(promote(found)) == {"a", "c"}
    (waits,) = found.engine.plan(PromotionRequest(target="production", models=("b",))).changes
    if rule.soak is not None:
        assert {verdict.eligible_at for verdict in waits.verdicts} == {None, found.clock() + DAY}
    found.clock.pass_by(DAY)
    assert gone(promote(found)) == {"b"}, "the newer one has soaked, and no rule means it"


def test_an_older_candidate_goes_by_the_word_that_its_own_labels_ask_for() -> None:
    found = shop(replace(CRITICAL, soak=None, approvals=(ApprovalPolicy(),)), days=2)
    older = found.state(found.engine.path.get("staging").name).current[B].version
    found.edit(with_text(project(critical="none"), "b", "select 'newer'"))
    found.run("staging")
    request = PromotionRequest(target="production", actor="ann", to_approve=True)
    approval = found.engine.approvals.ask(
        request, found.engine.plan(request), Person(name="ann", identity=Identity.AIRFLOW)
    )
    vote = Vote(decision=Decision.APPROVE, at=found.clock(), actor="bob", identity=Identity.AIRFLOW)
    found.engine.approvals.vote("production", approval.plan_id, vote)
    done = found.engine.promote(agreed_request(replace(request, to_approve=False), approval))

    assert (gone(done), done.plan.approved_by) == ({"a", "b", "c"}, ("bob",))
    assert found.versions()[B] == older


def test_without_rules_nothing_more_is_read() -> None:
    found = KeptShop(project(), path())
    found.run("staging")
    loaded, parses = len(found.workshop.loaded), len(found.workshop.parses)

    found.engine.plan(PromotionRequest(target="production", strategy=Strategy.RECORD))
    found.engine.status()

    assert (len(found.workshop.loaded), len(found.workshop.parses)) == (loaded, parses)


def test_what_died_is_not_carried_on_with_other_rows_than_were_planned() -> None:
    keeps, anew = (
        Rule(select=selector("tag:critical"), on_incremental_change=choice)
        for choice in (IncrementalChange.FORWARD_ONLY, IncrementalChange.FULL_REFRESH)
    )
    before = project()
    tall = replace(before.nodes[B], config=replace(before.nodes[B].config, materialized="incremental"))
    before = replace(before, nodes={**before.nodes, B: tall})
    found = KeptShop(before, path(soak=0 * DAY, rules=(keeps,)))
    found.run("staging")
    assert gone(promote(found)) == {"a", "b", "c"}
    found.edit(with_text(before, "b", "select 2"))
    found.run("staging")
    die(found, Failpoint.BEGUN)
    ported(found, path(soak=0 * DAY, rules=(anew,)))
    told = promote(found, run="task 1")
    assert told.outcome is PromotionOutcome.PROMOTED
    assert told.plan.rows == {B: IncrementalChange.FULL_REFRESH}
    outcomes = [(one.outcome.value, one.message[:29]) for one in found.state().history[:2]]
    assert outcomes == [("promoted", ""), ("errored", "interrupted, and not carried ")]


def ported(shop: KeptShop, environments: PromotionPath) -> None:
    """Let another promotion.yml hold from now on."""
    shop.engine = Engine(
        path=environments,
        store=shop.store,
        releases=shop.releases,
        workshop=shop.workshop,
        reader=shop.reader,
        processes=shop.processes,
        clock=shop.clock,
        calendar=shop.calendar,
        project=PACKAGE,
    )
