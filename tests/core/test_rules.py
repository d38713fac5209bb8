"""Rules where a plan is made: each gate asks what holds for its model, and says which rule asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Approval, Decision, Identity, Vote
from airflow_dbt_promotion.core.approving import asked
from airflow_dbt_promotion.core.change import ChangeKind
from airflow_dbt_promotion.core.demand import demanded, explained, rows_of, unlabelled
from airflow_dbt_promotion.core.eligibility import GateName, Requirement, passed, waiting
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, Leniency, Rule, SoakScope, Strategy
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.plan import Plan, Situation
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.policy import Asked, Policy, policy_for
from airflow_dbt_promotion.core.row_gate import of_rows
from airflow_dbt_promotion.core.selector import selector
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.status import Following, statuses
from tests.scenarios import DAY, NOON, dbt_run, empty_state, model_id, question, recorded, release, situation

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
SHOP = release()
STAGED = recorded(SHOP, dbt_run(SHOP, NOON))
NEVER = Rule(select=selector("tag:critical"), name="critical", soak=30 * DAY, approvals=(ApprovalPolicy(),))
LENIENT = Policy(
    soak=timedelta(0),
    runs=1,
    scope=SoakScope.LINEAGE,
    zero_tests=Leniency.PASS,
    warnings=Leniency.PASS,
    on_incremental_change=IncrementalChange.BLOCK,
    approvals=(),
)
STRICT = replace(LENIENT, soak=30 * DAY, rules=("critical",), given_by={Asked.SOAK: ("critical",)})


def ruled(source: EnvironmentState = STAGED, target: EnvironmentState | None = None, **policies: Policy) -> Situation:
    """Return a situation whose target has rules: policies by bare name, lenient ones for what is not named."""
    known = {model: policies.get(model.rpartition(".")[2], LENIENT) for model in source.current}
    return replace(situation(source, target, rules=(NEVER,)), policies=known)


def reasons(found: Plan) -> Mapping[str, list[str]]:
    told = (*found.changes, *found.held)
    return {change.name: [v.reason for v in change.verdicts if not v.passed] for change in told}


def test_a_model_is_held_to_its_own_policy_and_the_rest_goes() -> None:
    found = plan(ruled(revenue=STRICT), question())

    assert {change.model for change in found.changes} == {RAW, STG, ORDERS}
    (why,) = reasons(found)["revenue"]
    assert why.endswith("(asked for by the rule 'critical')")


def test_what_the_caller_asks_counts_where_it_is_more_and_less_is_a_bypass() -> None:
    days = 20 * DAY
    more = plan(ruled(revenue=STRICT), replace(question(), soak=days))
    runs = plan(ruled(), replace(question(), runs=2))
    less = plan(ruled(revenue=STRICT), replace(question("revenue", "orders", "stg_orders", "raw_orders"), soak=DAY))
    short = replace(question(bypasses=frozenset({BypassKind.SHORT_SOAK}), reason="now"), soak=DAY)

    assert not more.changes
    assert {name: len(why) for name, why in reasons(runs).items()} == dict.fromkeys(reasons(runs), 1)
    assert not less.allowed
    assert {change.model for change in plan(ruled(revenue=STRICT), short).changes} == {RAW, STG, ORDERS, REVENUE}


def test_an_older_version_is_held_to_what_its_own_code_says_and_the_newer_one_to_its_own() -> None:
    first, second = (
        replace(release(code={"revenue": text}), id=ReleaseId(letter * 32)) for text, letter in (("1", "a"), ("2", "b"))
    )
    built = recorded(first, dbt_run(first, NOON))
    source = recorded(second, dbt_run(second, NOON + 8 * DAY), state=built)
    lax = replace(ruled(source), policies={model: replace(LENIENT, soak=2 * DAY) for model in source.current})
    strict = replace(lax, older={(REVENUE, ReleaseId("a" * 32)): STRICT})
    older, newer = plan(lax, question("revenue")), plan(strict, question("revenue"))

    assert [change.to_version for change in older.changes] == [first.models[REVENUE].version]
    assert [change.to_version for change in newer.changes] == [second.models[REVENUE].version]
    assert [verdict.eligible_at for verdict in newer.changes[0].verdicts if not verdict.passed][:1] == [NOON + 10 * DAY]


def test_a_model_of_which_nothing_is_known_is_held_to_everything_and_the_plan_says_so() -> None:
    unknown = replace(situation(STAGED, rules=(NEVER,)), policies={})
    found = plan(unknown, replace(question(), to_approve=True))

    assert not found.changes
    codes = {verdict.code for change in found.held for verdict in change.verdicts}
    assert "rules_unknown" in codes


def test_people_are_asked_about_some_models_and_the_routine_ones_go() -> None:
    asked = replace(LENIENT, approvals=(ApprovalPolicy(), ApprovalPolicy(min_approvals=2)))
    routine = plan(ruled(revenue=asked), question())
    shown = plan(ruled(revenue=asked), replace(question(), to_approve=True))

    assert {change.model for change in routine.changes} == {RAW, STG, ORDERS}
    assert routine.allowed
    assert {change.model for change in shown.changes} == {RAW, STG, ORDERS, REVENUE}
    (verdict,) = [verdict for verdict in shown.verdicts if verdict.gate is GateName.APPROVAL]
    assert "2 approvals" in verdict.reason
    assert set(shown.approvals) == set(asked.approvals)
    assert routine.approvals == ()


def test_what_becomes_of_rows_is_asked_of_each_model() -> None:
    before, after = (release(code={"orders": code}, incremental={"orders"}) for code in ("select 1", "select 2"))
    target = recorded(before, dbt_run(before, NOON), state=empty_state("production"))
    source = recorded(after, dbt_run(after, NOON + DAY), state=recorded(before, dbt_run(before, NOON)))
    anew = replace(LENIENT, on_incremental_change=IncrementalChange.FULL_REFRESH)
    stuck = ruled(source, target)
    goes = replace(stuck, policies={**stuck.policies, ORDERS: anew})
    building = replace(question("orders", "revenue"), choices=replace(question().choices, strategy=Strategy.BUILD))

    refused, found = plan(stuck, building), plan(goes, building)

    assert "incremental_change" in {verdict.code for _, verdict in refused.refusals}
    assert found.rows == {ORDERS: IncrementalChange.FULL_REFRESH}
    assert {change.model for change in found.changes if found.builds_anew(change)} == {ORDERS}
    assert not any(refused.builds_anew(change) for change in refused.changes)


def test_a_rule_that_says_otherwise_of_rows_since_people_said_yes_asks_them_anew() -> None:
    before, after = (release(code={"orders": code}, incremental={"orders"}) for code in ("select 1", "select 2"))
    target = recorded(before, dbt_run(before, NOON), state=empty_state("production"))
    source = recorded(after, dbt_run(after, NOON + DAY), state=recorded(before, dbt_run(before, NOON)))
    forward = replace(
        LENIENT, on_incremental_change=IncrementalChange.FORWARD_ONLY, approvals=(ApprovalPolicy(trust_claimed=True),)
    )
    building = question("orders", "revenue", strategy=Strategy.BUILD)
    shown = plan(ruled(source, target, orders=forward), building)
    yes = Vote(decision=Decision.APPROVE, at=NOON + 9 * DAY, actor="bob", identity=Identity.CLAIMED)
    said = Approval(
        plan_id=shown.plan_id,
        source=shown.source,
        models={},
        rests_on={},
        choices=shown.choices,
        soak=None,
        runs=None,
        rows=shown.rows,
        requested_at=NOON,
        requested_by="ann",
        identity=Identity.CLAIMED,
        votes=(yes,),
    )
    agreed = asked(target, said)
    anew = replace(forward, on_incremental_change=IncrementalChange.FULL_REFRESH)
    granted, refused = (plan(ruled(source, agreed, orders=policy), building) for policy in (forward, anew))

    assert (granted.allowed, granted.approved_by) == (True, ("bob",))
    assert refused.plan_id == granted.plan_id
    assert [verdict.code for _, verdict in refused.refusals] == ["approved_otherwise"]


def test_a_caller_s_choice_of_rows_holds_for_all_where_it_is_not_the_environment_s_own() -> None:
    policy = replace(LENIENT, on_incremental_change=IncrementalChange.FORWARD_ONLY)
    block, anew = IncrementalChange.BLOCK, IncrementalChange.FULL_REFRESH

    assert rows_of(policy, block, block) is IncrementalChange.FORWARD_ONLY
    assert rows_of(policy, block, anew) is anew


def test_what_is_demanded_is_the_model_s_policy_and_more() -> None:
    policy = replace(STRICT, runs=3, scope=SoakScope.SELF, zero_tests=Leniency.BLOCK, warnings=Leniency.BLOCK)
    base = Requirement(soak=DAY, on_the_spot=True)

    found = demanded(policy, base, None, None, short=False)
    assert found == Requirement(
        soak=30 * DAY,
        runs=3,
        scope=SoakScope.SELF,
        zero_tests=Leniency.BLOCK,
        warnings=Leniency.BLOCK,
        on_the_spot=True,
    )
    assert demanded(policy, base, 31 * DAY, 4, short=False).soak == 31 * DAY
    assert demanded(policy, base, DAY, 1, short=True).soak == DAY
    assert demanded(policy, base, None, 1, short=True).soak == 30 * DAY


def test_a_reason_names_the_rule_only_where_one_asked() -> None:
    soaking, ran = waiting(GateName.SOAK, "soaking", "soaks"), waiting(GateName.SOAK, "runs", "1 of 2")

    assert explained(soaking, STRICT).reason == "soaks (asked for by the rule 'critical')"
    assert explained(ran, STRICT) is ran
    assert explained(passed(GateName.SOAK, "soaking", "done"), STRICT).reason == "done"
    assert unlabelled(STRICT) == ()
    assert unlabelled(replace(STRICT, known=False))[0].passed


def test_rows_are_no_matter_where_nothing_is_built_or_nothing_changed() -> None:
    (change, *_) = plan(ruled(), question()).changes

    assert change.kind is ChangeKind.ADDED
    assert of_rows(change, IncrementalChange.BLOCK, Strategy.BUILD) == ()


def test_status_asks_the_same_and_says_which_rule_asked() -> None:
    target = situation(STAGED, rules=(NEVER,)).target
    strict = policy_for(target, None)
    following = Following(
        requirement=Requirement(),
        state=None,
        requirements={REVENUE: demanded(strict, Requirement(), None, None, short=False)},
        policies={REVENUE: strict},
    )
    found: dict[Any, Any] = {one.model: one for one in statuses(STAGED, following, (), NOON + DAY)}

    assert found[ORDERS].soaked
    assert not found[REVENUE].soaked
    assert found[REVENUE].soak.reason.endswith("(asked for by the rule 'critical')")
