"""What an environment asks of one model: its own values, and the rules that mean it."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.environment import Environment, IncrementalChange, Leniency, Rule, SoakScope
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId
from airflow_dbt_promotion.core.labels import Labels
from airflow_dbt_promotion.core.policy import Asked, policy_for, stricter
from airflow_dbt_promotion.core.selector import selector

DAY = timedelta(days=1)
ONE, TWO = ApprovalPolicy(), ApprovalPolicy(min_approvals=2)
ORDERS = Labels(
    unique_id=ModelId("model.shop.orders"),
    name="orders",
    package="shop",
    resource_type="model",
    path="models/marts/orders.sql",
    fqn=("shop", "marts", "orders"),
    tags=("critical",),
)


def rule(select: str, **asked: Any) -> Rule:
    return Rule(select=selector(select), **asked)


def production(*rules: Rule, **own: Any) -> Environment:
    return Environment(name=EnvironmentName("production"), target="prod", rules=rules, **own)


def test_without_rules_the_environment_s_own_values_hold_for_all() -> None:
    place = production(soak=7 * DAY, min_successful_runs=3, approval=ONE)

    for labels in (ORDERS, None):
        found = policy_for(place, labels)
        assert (found.soak, found.runs, found.approvals) == (7 * DAY, 3, (ONE,))
        assert (found.rules, found.given_by, found.known) == ((), {}, True)


def test_a_rule_asks_more_of_some_and_less_of_others() -> None:
    place = production(
        rule("tag:critical", soak=14 * DAY, approvals=(TWO,), name="critical"),
        rule("path:models/staging", soak=DAY),
        soak=7 * DAY,
        min_successful_runs=3,
    )
    staged = policy_for(place, Labels(**{**_fields(ORDERS), "tags": (), "path": "models/staging/a.sql"}))

    critical = policy_for(place, ORDERS)
    assert (critical.soak, critical.runs, critical.approvals) == (14 * DAY, 3, (TWO,))
    assert critical.rules == ("critical",)
    assert critical.given_by == {Asked.SOAK: ("critical",), Asked.APPROVAL: ("critical",)}
    assert (staged.soak, staged.approvals, staged.rules) == (DAY, (), ("path:models/staging",))


def test_what_is_excluded_is_not_meant() -> None:
    place = production(rule("tag:critical", exclude=selector("orders"), soak=14 * DAY))

    assert policy_for(place, ORDERS).soak == timedelta(0)


def test_the_strictest_rule_has_its_way_in_any_order() -> None:
    rules = (
        rule("*", name="all", soak=DAY, min_successful_runs=5, soak_scope=SoakScope.SELF, warnings=Leniency.BLOCK),
        rule(
            "tag:critical",
            name="critical",
            soak=2 * DAY,
            min_successful_runs=1,
            soak_scope=SoakScope.LINEAGE,
            zero_tests=Leniency.BLOCK,
            on_incremental_change=IncrementalChange.FORWARD_ONLY,
            approvals=(TWO,),
        ),
        rule(
            "orders",
            name="orders",
            soak=2 * DAY,
            warnings=Leniency.PASS,
            on_incremental_change=IncrementalChange.FULL_REFRESH,
            approvals=(ONE,),
        ),
        rule("marts", name="marts", approvals=()),
    )

    assert production(*rules).asks_people
    assert not production(*rules[:1]).asks_people
    assert production(approval=ONE).asks_people
    for order in permutations(rules):
        found = policy_for(production(*order, soak=7 * DAY), ORDERS)
        assert (found.soak, found.runs, found.scope) == (2 * DAY, 5, SoakScope.LINEAGE)
        assert (found.zero_tests, found.warnings) == (Leniency.BLOCK, Leniency.BLOCK)
        assert found.on_incremental_change is IncrementalChange.FORWARD_ONLY
        assert set(found.approvals) == {ONE, TWO}
        assert set(found.given_by[Asked.SOAK]) == {"critical", "orders"}
        assert set(found.given_by[Asked.APPROVAL]) == {"critical", "orders"}


def test_a_rule_can_ask_nobody() -> None:
    found = policy_for(production(rule("*", approvals=(), name="routine"), approval=ONE), ORDERS)

    assert found.approvals == ()
    assert found.given_by == {Asked.APPROVAL: ("routine",)}


def test_of_what_is_not_known_everything_is_asked() -> None:
    place = production(
        rule("tag:critical", soak=14 * DAY, approvals=(TWO,), zero_tests=Leniency.BLOCK),
        rule("tag:routine", soak=DAY, approvals=(), min_successful_runs=1),
        soak=7 * DAY,
        min_successful_runs=3,
        approval=ONE,
    )
    found = policy_for(place, None)

    assert (found.soak, found.runs, found.zero_tests) == (14 * DAY, 3, Leniency.BLOCK)
    assert found.approvals == (ONE, TWO)
    assert found.given_by[Asked.SOAK] == ("tag:critical",)
    assert Asked.RUNS not in found.given_by
    assert not found.known


def test_that_a_rule_asks_nobody_counts_for_nothing_of_what_is_not_known() -> None:
    found = policy_for(production(rule("*", approvals=()), approval=ONE), None)

    assert (found.approvals, found.given_by) == ((ONE,), {})


def _fields(labels: Labels) -> dict[str, Any]:
    return {name: getattr(labels, name) for name in labels.__struct_fields__}


def test_two_policies_together_ask_the_strictest_of_both_and_say_which_rule_does() -> None:
    critical = rule("tag:critical", soak=14 * DAY, approvals=(ONE,), warnings=Leniency.BLOCK)
    routine = rule(
        "tag:routine",
        soak=0 * DAY,
        approvals=(),
        min_successful_runs=4,
        soak_scope=SoakScope.SELF,
        zero_tests=Leniency.BLOCK,
        on_incremental_change=IncrementalChange.FULL_REFRESH,
    )
    place = production(critical, routine, soak=7 * DAY, approval=TWO)
    plain, one, other = (policy_for(place, replace(ORDERS, tags=tags)) for tags in ((), ("critical",), ("routine",)))

    for both in (stricter(one, other), stricter(stricter(other, one), other)):
        assert (both.soak, both.runs, both.scope) == (14 * DAY, 4, SoakScope.LINEAGE)
        assert (both.zero_tests, both.warnings) == (Leniency.BLOCK, Leniency.BLOCK)
        assert (both.on_incremental_change, both.approvals) == (IncrementalChange.BLOCK, (ONE,))
        assert set(both.rules) == {*one.rules, *other.rules}
        assert both.given_by == {
            Asked.SOAK: one.rules,
            Asked.RUNS: other.rules,
            Asked.ZERO_TESTS: other.rules,
            Asked.WARNINGS: one.rules,
            Asked.APPROVAL: one.rules,
        }
    assert stricter(plain, other).approvals == (TWO,)
    assert stricter(other, other) == other
    assert not stricter(one, policy_for(place, None)).known
