"""Eligibility: a tests gate that cannot be passed by accident, and a soak of the length that is told."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.adoption import adopt
from airflow_dbt_promotion.core.eligibility import GateName, Requirement, Status, Verdict, judge
from airflow_dbt_promotion.core.environment import Leniency, SoakScope
from airflow_dbt_promotion.core.errors import ClockError
from airflow_dbt_promotion.core.recording import record
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import EnvironmentState
from tests.scenarios import (
    BY_OTHERS,
    DAY,
    NOON,
    dbt_run,
    empty_state,
    joint_test_id,
    model_id,
    recorded,
    release,
    test_id,
    unit_test_id,
    with_tests,
)

RAW, STG, ORDERS = map(model_id, ("raw_orders", "stg_orders", "orders"))
SHOP = release()
CHANGED = release(code={"orders": "select 2"})
ROOTED = release(code={"raw_orders": "1,2"})
TEST = test_id("orders")
SECOND = timedelta(seconds=1)


def verdicts(
    state: EnvironmentState, at: datetime = NOON + 9 * DAY, *others: EnvironmentState, **asked: object
) -> tuple[Verdict, Verdict]:
    return judge(ORDERS, state, Requirement(**asked), at, others)  # type: ignore[arg-type]


def gate_of(state: EnvironmentState, **asked: object) -> tuple[Status, str]:
    verdict = verdicts(state, **asked)[0]
    assert verdict.gate is GateName.TESTS
    return verdict.status, verdict.code


def soak_of(state: EnvironmentState, at: datetime, days: float = 1, **asked: object) -> Verdict:
    verdict = verdicts(state, at, soak=days * DAY, **asked)[1]
    assert verdict.gate is GateName.SOAK
    return verdict


BUILT = recorded(SHOP, dbt_run(SHOP, NOON))

# --- tests ------------------------------------------------------------------------------------------------------------


def test_every_required_test_passed() -> None:
    assert gate_of(BUILT) == (Status.PASSED, "passed")


@pytest.mark.parametrize("status", [ResultStatus.ERROR, ResultStatus.SKIPPED, ResultStatus.OTHER])
def test_a_required_test_that_proves_nothing_blocks(status: ResultStatus) -> None:
    assert gate_of(recorded(SHOP, dbt_run(SHOP, NOON, {TEST: status}))) == (Status.WAITING, "incomplete")


def test_a_required_test_that_is_missing_blocks() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON, without=[TEST]))
    assert gate_of(state) == (Status.WAITING, "incomplete")
    assert "has not run" in verdicts(state)[0].reason


def test_a_required_test_that_fails_blocks_until_a_later_pass() -> None:
    failing = recorded(SHOP, dbt_run(SHOP, NOON + DAY, {TEST: ResultStatus.FAIL}), state=BUILT)
    assert gate_of(failing) == (Status.BLOCKED, "revoked")
    again = recorded(SHOP, dbt_run(SHOP, NOON + 2 * DAY, only=[TEST]), state=failing)
    assert gate_of(again) == (Status.PASSED, "passed")


def test_a_failed_build_blocks() -> None:
    failing = recorded(SHOP, dbt_run(SHOP, NOON + DAY, {ORDERS: ResultStatus.FAILED}, without=[TEST]), state=BUILT)
    assert gate_of(failing) == (Status.BLOCKED, "revoked")


def test_tests_of_an_older_version_block() -> None:
    state = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY, without=[TEST]), state=BUILT)
    assert gate_of(state) == (Status.WAITING, "incomplete")


def test_tests_that_were_written_otherwise_block() -> None:
    revised = with_tests(SHOP, revised={"orders": "severity: error"})
    state = recorded(revised, dbt_run(revised, NOON + DAY, without=[TEST]), state=BUILT)
    assert gate_of(state)[0] is Status.WAITING
    untouched = recorded(revised, dbt_run(revised, NOON + DAY, only=[RAW]), state=BUILT)
    assert gate_of(untouched) == (Status.WAITING, "tests_changed")
    assert gate_of(recorded(revised, dbt_run(revised, NOON + DAY), state=BUILT)) == (Status.PASSED, "passed")


def test_a_test_that_is_new_blocks_until_it_ran() -> None:
    more = with_tests(SHOP, joint=[("orders", "stg_orders")])
    state = recorded(more, dbt_run(more, NOON + DAY, without=[joint_test_id("orders", "stg_orders")]), state=BUILT)
    assert gate_of(state) == (Status.WAITING, "incomplete")


def test_a_test_that_ran_before_the_last_build_blocks() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON, {ORDERS: ResultStatus.SUCCESS}, without=[TEST]))
    state = recorded(SHOP, dbt_run(SHOP, NOON + DAY, {TEST: ResultStatus.SKIPPED}), state=state)
    state = recorded(SHOP, dbt_run(SHOP, NOON + DAY / 2, only=[TEST]), state=state)
    assert gate_of(state) == (Status.WAITING, "incomplete")
    assert "ran before the last build" in verdicts(state)[0].reason


def test_how_a_test_ended_and_how_many_more_are_told() -> None:
    more = with_tests(SHOP, joint=[("orders", "stg_orders")])
    run = dbt_run(more, NOON, {TEST: ResultStatus.SKIPPED, joint_test_id("orders", "stg_orders"): ResultStatus.ERROR})
    assert "ended with error and 1 more" in verdicts(recorded(more, run))[0].reason


def test_what_was_never_built_is_not_tested() -> None:
    state = adopt(empty_state(), SHOP, NOON, "baseline").state
    assert gate_of(state) == (Status.WAITING, "not_built")
    assert gate_of(recorded(SHOP, dbt_run(SHOP, NOON, only=[TEST]), state=state)) == (Status.WAITING, "not_built")


def test_a_warning_passes_unless_policy_says_otherwise() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON, {TEST: ResultStatus.WARN}))
    assert gate_of(state) == (Status.PASSED, "passed_with_warnings")
    assert gate_of(state, warnings=Leniency.BLOCK) == (Status.BLOCKED, "warned")
    assert gate_of(BUILT, warnings=Leniency.BLOCK) == (Status.PASSED, "passed")


def test_a_model_without_tests_passes_by_name_unless_policy_says_otherwise() -> None:
    bare = release(untested=["orders"])
    state = recorded(bare, dbt_run(bare, NOON))
    assert gate_of(state) == (Status.PASSED, "no_tests")
    assert gate_of(state, zero_tests=Leniency.BLOCK) == (Status.BLOCKED, "no_tests")
    assert gate_of(adopt(empty_state(), bare, NOON, "baseline").state) == (Status.WAITING, "not_built")


def test_a_bypass_is_told_as_one() -> None:
    assert gate_of(recorded(SHOP, dbt_run(SHOP, NOON, {TEST: ResultStatus.FAIL})), skip_tests=True) == (
        Status.PASSED,
        "bypassed",
    )


def test_where_people_work_what_lacks_evidence_is_tested_first() -> None:
    assert gate_of(adopt(empty_state(), SHOP, NOON, "b").state, on_the_spot=True) == (Status.PASSED, "on_the_spot")
    assert gate_of(BUILT, on_the_spot=True) == (Status.PASSED, "passed")


def test_unit_tests_count_from_any_environment_even_later() -> None:
    units = with_tests(SHOP, units=["orders"])
    here = recorded(units, dbt_run(units, NOON, without=[unit_test_id("orders")]))
    there = recorded(units, dbt_run(units, NOON + DAY), state=empty_state("development"))
    other_version = recorded(CHANGED, dbt_run(CHANGED, NOON), state=empty_state("ci"))
    assert verdicts(here)[0].code == "incomplete"
    assert verdicts(here, NOON, other_version)[0].code == "incomplete"
    assert verdicts(here, NOON, other_version, there)[0].code == "passed"
    both = recorded(units, dbt_run(units, NOON, without=[unit_test_id("orders"), TEST]))
    assert verdicts(both, NOON, there)[0].code == "incomplete"


# --- soak -------------------------------------------------------------------------------------------------------------


def test_the_boundary_is_inclusive_and_told_beforehand() -> None:
    early = soak_of(BUILT, NOON + DAY - SECOND)
    assert (early.status, early.code, early.eligible_at) == (Status.WAITING, "soaking", NOON + DAY)
    assert "for 1 s more" in early.reason
    assert soak_of(BUILT, NOON + DAY).passed


def test_days_may_be_fractions() -> None:
    assert soak_of(BUILT, NOON, 0.25).eligible_at == NOON + timedelta(hours=6)
    assert soak_of(BUILT, NOON + timedelta(hours=6), 0.25).passed


def test_the_clock_runs_from_entry_though_tests_ran_later() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON, without=SHOP.tests))
    waiting = soak_of(state, NOON + DAY)
    assert (waiting.code, waiting.eligible_at) == ("runs", None)
    tested = recorded(SHOP, dbt_run(SHOP, NOON + DAY, only=SHOP.tests), state=state)
    assert soak_of(tested, NOON + DAY).passed


def test_another_version_starts_the_clock_again() -> None:
    state = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY), state=BUILT)
    assert soak_of(state, NOON + DAY).eligible_at == NOON + 2 * DAY


def test_a_changed_parent_starts_the_clock_again_unless_only_the_own_code_soaks() -> None:
    state = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY), state=BUILT)
    assert soak_of(state, NOON + DAY).code == "soaking"
    assert soak_of(state, NOON + DAY, scope=SoakScope.SELF).passed
    assert (
        soak_of(recorded(CHANGED, dbt_run(CHANGED, NOON + DAY), state=BUILT), NOON + DAY, scope=SoakScope.SELF).code
        == "soaking"
    )


def test_a_gap_ends_a_stay_even_where_only_the_own_code_soaks() -> None:
    state = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY, only=[RAW, STG]), state=BUILT)
    state = recorded(ROOTED, dbt_run(ROOTED, NOON + 2 * DAY), state=state)
    assert soak_of(state, NOON + 2 * DAY, 3, scope=SoakScope.SELF).eligible_at == NOON + 5 * DAY


def test_a_failure_of_an_earlier_version_of_the_same_code_counts_where_only_the_own_code_soaks() -> None:
    failing = recorded(SHOP, dbt_run(SHOP, NOON + DAY / 2, {TEST: ResultStatus.FAIL}), state=BUILT)
    state = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY), state=failing)
    assert soak_of(state, NOON + DAY, scope=SoakScope.SELF).eligible_at == NOON + DAY * 3 / 2
    passing = recorded(SHOP, dbt_run(SHOP, NOON + DAY * 3 / 4), state=failing)
    state = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY), state=passing)
    assert soak_of(state, NOON + DAY, scope=SoakScope.SELF).eligible_at == NOON + DAY * 7 / 4


def test_the_longest_completed_stay_counts_and_stays_are_never_summed() -> None:
    state = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY), state=BUILT)
    back = recorded(SHOP, dbt_run(SHOP, NOON + 2 * DAY), state=state)
    assert soak_of(back, NOON + 2 * DAY).passed
    assert soak_of(back, NOON + 3 * DAY - SECOND, 2).code == "soaking"
    assert soak_of(back, NOON + 3 * DAY + DAY - SECOND, 2).eligible_at == NOON + 4 * DAY


def test_failing_evidence_voids_the_present_stay_and_completed_ones() -> None:
    state = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY), state=BUILT)
    back = recorded(SHOP, dbt_run(SHOP, NOON + 2 * DAY), state=state)
    failing = recorded(SHOP, dbt_run(SHOP, NOON + 3 * DAY, {TEST: ResultStatus.FAIL}), state=back)
    stopped = soak_of(failing, NOON + 9 * DAY)
    assert (stopped.code, stopped.eligible_at) == ("clock_stopped", None)
    assert soak_of(failing, NOON + 9 * DAY, skip_tests=True).code == "clock_stopped"
    again = recorded(SHOP, dbt_run(SHOP, NOON + 4 * DAY), state=failing)
    assert soak_of(again, NOON + 4 * DAY).eligible_at == NOON + 5 * DAY


def test_changed_tests_leave_the_clock_alone() -> None:
    revised = with_tests(SHOP, revised={"orders": "new"})
    state = recorded(revised, dbt_run(revised, NOON + DAY), state=BUILT)
    assert soak_of(state, NOON + DAY).passed


def test_a_stay_that_a_parent_ended_is_no_wait_for_time() -> None:
    state = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY / 2, only=[STG, RAW]), state=BUILT)
    ended = soak_of(state, NOON + 9 * DAY)
    assert (ended.status, ended.code, ended.eligible_at) == (Status.WAITING, "stay_ended", None)
    assert soak_of(state, NOON + DAY, 0.5).passed


def test_an_idle_weekend_is_not_soak() -> None:
    waiting = soak_of(BUILT, NOON + 9 * DAY, runs=2)
    assert (waiting.status, waiting.code, waiting.eligible_at) == (Status.WAITING, "runs", None)
    assert "1 of 2" in waiting.reason
    assert soak_of(recorded(SHOP, dbt_run(SHOP, NOON + DAY), state=BUILT), NOON + 9 * DAY, runs=2).passed


def test_no_soak_is_asked_for() -> None:
    nothing = adopt(empty_state(), SHOP, NOON, "baseline").state
    assert soak_of(nothing, NOON, 0, runs=0).code == "no_soak"
    assert soak_of(nothing, NOON, 0, skip_tests=True).code == "no_soak"
    assert soak_of(nothing, NOON, 0, on_the_spot=True).code == "no_soak"
    assert soak_of(nothing, NOON, 0).code == "runs"
    assert soak_of(nothing, NOON + DAY, skip_tests=True).code == "soaked"


def test_an_entry_in_the_future_is_an_error_and_no_wait() -> None:
    five = timedelta(minutes=5)
    assert soak_of(BUILT, NOON - five).eligible_at == NOON + DAY
    assert soak_of(BUILT, NOON - five, 0).passed
    with pytest.raises(ClockError):
        soak_of(BUILT, NOON - five - SECOND)


def test_what_the_source_does_not_hold_is_a_broken_contract() -> None:
    with pytest.raises(KeyError):
        judge(ORDERS, empty_state(), Requirement(), NOON)


def test_metadata_moves_neither_clock_nor_evidence() -> None:
    told = replace(SHOP, models={m: replace(model, meta="told anew") for m, model in SHOP.models.items()})
    state = record(BUILT, told, dbt_run(told, NOON + DAY, only=[RAW]), BY_OTHERS).state
    assert state.current[ORDERS].meta == "told anew"
    assert verdicts(state, NOON + DAY, soak=DAY) == verdicts(BUILT, NOON + DAY, soak=DAY)
