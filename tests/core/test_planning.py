"""Planning: what a plan holds, why it is refused, and what its id depends on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change, ChangeKind, difference
from airflow_dbt_promotion.core.eligibility import Requirement, Status
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import ParentNotBuiltError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.plan import Plan, exposures_reached
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.promotion import Attempt, begin, settle
from airflow_dbt_promotion.core.recording import record
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.results import Built
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.core.stays import leave
from tests.scenarios import (
    BY_OTHERS,
    DAY,
    NOON,
    dashboard,
    dbt_run,
    empty_state,
    joint_test_id,
    model_id,
    question,
    recorded,
    release,
    situation,
    test_id,
    with_tests,
)

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
SHOP = release()
CHANGED = release(code={"orders": "select 2"})
ROOTED = release(code={"raw_orders": "1,2"})
SOAK = Requirement(soak=DAY)


def staged(project: Release = SHOP, **told: object) -> EnvironmentState:
    return recorded(project, dbt_run(project, NOON, **told))  # type: ignore[arg-type]


def produced(project: Release = SHOP, *only: ModelId) -> EnvironmentState:
    nodes = {*only, *project.tests} if only else None
    return recorded(project, dbt_run(project, NOON, only=nodes), state=empty_state("production"))


def planned(found: Plan) -> dict[str, ChangeKind]:
    return {change.name: change.kind for change in found.changes}


def codes(found: Plan) -> set[str]:
    return {verdict.code for _, verdict in found.refusals}


def held(found: Plan) -> dict[str, set[str]]:
    return {change.name: {v.code for v in change.verdicts if not v.passed} for change in found.held}


# --- all that may go --------------------------------------------------------------------------------------------------


def test_all_that_may_go_goes() -> None:
    found = plan(situation(staged()), question(requirement=SOAK))
    assert planned(found) == dict.fromkeys(["raw_orders", "stg_orders", "orders", "revenue"], ChangeKind.ADDED)
    assert found.allowed
    assert (found.held, found.already_current, found.eligible_at, found.refusals) == ((), (), None, ())


def test_each_change_has_its_class() -> None:
    assert planned(plan(situation(staged(CHANGED), produced()), question())) == {
        "orders": ChangeKind.MODIFIED,
        "revenue": ChangeKind.INDIRECT,
    }


def test_what_is_there_already_costs_nothing() -> None:
    found = plan(situation(staged(), produced()), question())
    assert (found.changes, found.allowed) == ((), True)
    assert found.already_current == tuple(sorted(SHOP.models))


def test_the_rest_is_held_back_with_the_reason() -> None:
    source = recorded(CHANGED, dbt_run(CHANGED, NOON + 8.5 * DAY), state=staged())
    found = plan(situation(source, produced(ROOTED)), question(requirement=SOAK))
    assert planned(found) == {}
    assert held(found) == {
        "raw_orders": {"needs_other"},
        "stg_orders": {"needs_other"},
        "orders": {"soaking"},
        "revenue": {"soaking"},
    }
    waiting = {change.name: change.verdicts[-1] for change in found.held}
    assert waiting["stg_orders"].status is Status.WAITING
    assert waiting["stg_orders"].eligible_at == NOON + 9.5 * DAY


def test_what_waits_on_something_that_only_people_can_lift_is_blocked() -> None:
    source = recorded(SHOP, dbt_run(SHOP, NOON + DAY, {test_id("raw_orders"): ResultStatus.FAIL}), state=staged())
    found = plan(situation(source), question())
    assert held(found)["revenue"] == {"needs_other"}
    verdict = {change.name: change.verdicts[-1] for change in found.held}["stg_orders"]
    assert (verdict.status, verdict.eligible_at) == (Status.BLOCKED, None)
    assert "it cannot go without raw_orders: test" in verdict.reason


def test_what_waits_on_something_without_an_instant_has_none() -> None:
    found = plan(situation(staged(without=[test_id("raw_orders")])), question())
    verdict = {change.name: change.verdicts[-1] for change in found.held}["stg_orders"]
    assert (verdict.status, verdict.eligible_at) == (Status.WAITING, None)


def test_what_stands_on_a_parent_that_is_nowhere_any_more_is_blocked() -> None:
    source = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY, only=[ORDERS, test_id("orders")]), state=staged())
    found = plan(situation(source), question(requirement=Requirement(runs=0)))
    assert held(found) == {"revenue": {"needs_other"}}


# --- named ------------------------------------------------------------------------------------------------------------


def test_a_named_model_without_its_parents_is_refused_and_told_what_is_missing() -> None:
    found = plan(situation(staged()), question("orders"))
    assert codes(found) == {"needs_upstream"}
    assert "stg_orders, raw_orders" in found.refusals[0][1].reason
    assert planned(plan(situation(staged()), question("orders", include_upstream=True))).keys() == {
        "raw_orders",
        "stg_orders",
        "orders",
    }


def test_a_named_model_without_its_children_is_refused_unless_that_is_accepted() -> None:
    where = situation(staged(CHANGED), produced())
    assert codes(plan(where, question("orders"))) == {"needs_downstream"}
    assert planned(plan(where, question("orders", include_downstream=True))).keys() == {"orders", "revenue"}
    accepted = plan(where, question("orders", allow_stale_downstream=True))
    assert (accepted.allowed, accepted.stale_after) == (True, (REVENUE,))


def test_company_brings_its_own_company() -> None:
    where = situation(staged(ROOTED), produced())
    found = plan(where, question("orders", include_upstream=True, include_downstream=True))
    assert planned(found).keys() == {"raw_orders", "stg_orders", "orders", "revenue"}


def test_a_named_model_that_the_source_does_not_hold_is_refused() -> None:
    found = plan(situation(staged(without=[REVENUE])), question("revenue"))
    assert (codes(found), found.allowed) == ({"not_in_source"}, False)
    assert found.changes[0].after is None


def test_a_named_model_that_is_there_already_costs_nothing_unless_forced() -> None:
    where = situation(staged(), produced())
    found = plan(where, question("orders"))
    assert (found.changes, found.already_current) == ((), (ORDERS,))
    assert planned(plan(where, question("orders", force=True))) == {"orders": ChangeKind.UNCHANGED}


def test_a_wait_tells_when_and_a_block_does_not() -> None:
    soon = situation(staged(), now=NOON + DAY / 2)
    assert plan(soon, question("raw_orders", requirement=SOAK)).eligible_at == NOON + DAY
    failing = staged(results={test_id("stg_orders"): ResultStatus.FAIL})
    assert (
        plan(situation(failing, now=NOON), question("stg_orders", "raw_orders", requirement=SOAK)).eligible_at is None
    )


def test_a_child_whose_parent_moved_on_in_the_source_cannot_go() -> None:
    source = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY, only=[ORDERS]), state=staged())
    found = plan(situation(source), question("revenue", include_upstream=True))
    assert "parent_moved_on" in codes(found)


def test_many_missing_models_are_told_in_part() -> None:
    wide = release({**{f"m{number}": () for number in range(12)}, "top": tuple(f"m{number}" for number in range(12))})
    found = plan(situation(staged(wide)), question("top"))
    assert "and 4 more" in found.refusals[0][1].reason


def test_a_source_that_was_never_recorded_is_refused() -> None:
    found = plan(situation(None), question())
    assert (codes(found), found.allowed, found.precondition) == ({"source_never_recorded"}, False, "")


def test_a_bypass_that_policy_forbids_is_refused() -> None:
    where = situation(staged(), forbid=frozenset({BypassKind.SKIP_TESTS}))
    asked = question(bypasses=frozenset({BypassKind.SKIP_TESTS, BypassKind.SHORT_SOAK}), reason="now")
    assert codes(plan(where, asked)) == {"bypass_forbidden"}


# --- kinds of change --------------------------------------------------------------------------------------------------


def test_a_change_of_tests_alone_needs_no_soak_but_its_tests() -> None:
    revised = with_tests(SHOP, revised={"orders": "new"})
    source = recorded(revised, dbt_run(revised, NOON + 9 * DAY), state=produced())
    found = plan(situation(source, produced()), question("orders", requirement=Requirement(soak=99 * DAY)))
    assert planned(found) == {"orders": ChangeKind.METADATA}
    assert found.allowed
    untested = recorded(revised, dbt_run(revised, NOON + 9 * DAY, only=[RAW]), state=produced())
    assert codes(plan(situation(untested, produced()), question("orders"))) == {"tests_changed"}


def test_a_removal_must_be_allowed() -> None:
    source = leave(staged(), REVENUE, NOON + DAY)
    where = situation(source, produced())
    assert codes(plan(where, question("revenue"))) == {"removal"}
    assert held(plan(where, question())) == {"revenue": {"removal"}}
    assert planned(plan(where, question(allow_removals=True))) == {"revenue": ChangeKind.REMOVED}


def test_a_removal_leaves_children_stale_where_that_is_accepted() -> None:
    source = leave(staged(), ORDERS, NOON + DAY)
    found = plan(situation(source, produced()), question("orders", allow_removals=True, allow_stale_downstream=True))
    assert found.stale_after == (REVENUE,)


@pytest.mark.parametrize(
    ("choice", "allowed", "code"),
    [
        (IncrementalChange.BLOCK, False, "incremental_change"),
        (IncrementalChange.FULL_REFRESH, True, "full_refresh"),
        (IncrementalChange.FORWARD_ONLY, True, "forward_only"),
    ],
)
def test_a_changed_incremental_model_needs_a_choice(choice: IncrementalChange, allowed: bool, code: str) -> None:
    before, changed = release(incremental=["orders"]), release(incremental=["orders"], code={"orders": "select 2"})
    found = plan(situation(staged(changed), produced(before)), question(on_incremental_change=choice))
    told = {verdict.code for change in (*found.changes, *found.held) for verdict in change.verdicts}
    assert code in told
    assert ("orders" in planned(found)) is allowed
    by_record = question(on_incremental_change=choice, strategy=Strategy.RECORD)
    assert plan(situation(staged(changed), produced(before)), by_record).allowed
    added = plan(situation(staged(changed)), question(on_incremental_change=choice))
    assert "orders" in planned(added)


# --- the code at hand -------------------------------------------------------------------------------------------------


def test_build_refuses_code_that_is_not_what_soaked() -> None:
    source = staged()

    def refused(project: Release, model: str = "revenue") -> str:
        found = plan(situation(source, produced(SHOP, RAW, STG, ORDERS), project), question(model))
        assert codes(found) == {"code_moved"}
        return found.refusals[0][1].reason

    assert "it changed" in refused(release(code={"revenue": "select 2"}))
    assert "a parent of it changed" in refused(ROOTED)
    assert "tests" in refused(with_tests(SHOP, revised={"revenue": "new"}))
    assert "does not have it" in refused(release({"raw_orders": ()}))
    manifest_only = replace(
        SHOP, models={m: replace(model, version="m:" + model.version) for m, model in SHOP.models.items()}
    )
    assert "manifest alone" in refused(manifest_only)


def test_the_code_at_hand_is_of_no_concern_to_record_and_where_it_is_the_same() -> None:
    assert plan(situation(staged(), project=SHOP), question()).allowed
    assert plan(situation(staged(), project=ROOTED), question(strategy=Strategy.RECORD)).allowed


# --- tests that see several models ------------------------------------------------------------------------------------

TOGETHER = {"orders": (), "rates": ()}
JOINT = with_tests(release(TOGETHER), joint=[("orders", "rates")])
RERATED = with_tests(release(TOGETHER, code={"rates": "select 2", "orders": "select 2"}), joint=[("orders", "rates")])


def test_a_test_that_saw_another_version_runs_in_the_target() -> None:
    where = situation(staged(RERATED), produced(JOINT), RERATED)
    found = plan(where, question("orders"))
    assert (found.allowed, found.tests_in_target) == (True, (joint_test_id("orders", "rates"),))
    assert plan(where, question("orders", "rates")).tests_in_target == ()
    assert (
        plan(situation(staged(JOINT), JOINT and produced(JOINT)), question("orders", force=True)).tests_in_target == ()
    )


def test_record_runs_no_test_and_is_blocked() -> None:
    where = situation(staged(RERATED), produced(JOINT))
    assert codes(plan(where, question("orders", strategy=Strategy.RECORD))) == {"tested_beside_others"}
    assert plan(where, question("orders", "rates", strategy=Strategy.RECORD)).allowed
    skipped = question("orders", strategy=Strategy.RECORD, requirement=Requirement(skip_tests=True))
    assert plan(where, skipped).allowed


def test_record_holds_back_what_was_tested_beside_others() -> None:
    source = staged(RERATED, results={test_id("rates"): ResultStatus.FAIL})
    found = plan(situation(source, produced(JOINT)), question(strategy=Strategy.RECORD))
    assert found.allowed
    assert planned(found) == {}
    assert held(found)["orders"] == {"tested_beside_others"}


def test_a_test_that_reads_what_the_target_lacks_needs_it() -> None:
    found = plan(situation(staged(JOINT)), question("orders"))
    assert codes(found) == {"test_needs_model"}
    assert planned(plan(situation(staged(JOINT)), question("orders", include_upstream=True))).keys() == {
        "orders",
        "rates",
    }


# --- exposures --------------------------------------------------------------------------------------------------------


def test_exposures_that_stand_on_a_change_are_listed() -> None:
    shown = release(code={"orders": "select 2"}, exposures=(dashboard("revenue"),))
    found = plan(situation(staged(CHANGED), produced(), shown), question("orders", allow_stale_downstream=True))
    assert [exposure.name for exposure in found.exposures] == ["takings"]
    far = release(exposures=(dashboard("raw_orders"),))
    assert plan(situation(staged(CHANGED), produced(), far), question()).exposures == ()
    metadata = Change(model=REVENUE, kind=ChangeKind.METADATA, before=None, after=None)
    assert exposures_reached(shown, {REVENUE: metadata}) == ()


# --- the id -----------------------------------------------------------------------------------------------------------


def ident(source: EnvironmentState, target: EnvironmentState, now: float = 9, *names: str, **asked: object) -> str:
    found = plan(situation(source, target, now=NOON + now * DAY), question(*(names or ("orders", "revenue")), **asked))
    return found.plan_id


def test_time_verdicts_and_new_evidence_leave_the_id_alone() -> None:
    source, target = staged(CHANGED), produced()
    before = ident(source, target)
    assert ident(source, target, 10) == before
    assert ident(source, target, requirement=Requirement(soak=99 * DAY)) == before
    again = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY, {test_id("orders"): ResultStatus.FAIL}), state=source)
    assert ident(again, target) == before
    assert ident(replace(source, serial=99), replace(target, serial=99)) == before


def test_whatever_the_plan_rests_on_changes_the_id() -> None:
    source, target = staged(CHANGED), produced()
    before = ident(source, target)
    third = release(code={"orders": "select 3"})
    assert ident(staged(third), target) != before
    assert ident(source, produced(release(code={"orders": "select 0"}))) != before
    assert ident(source, produced(release(code={"stg_orders": "select 0"}))) != before
    assert ident(replace(source, lineage="another"), target) != before
    assert ident(source, replace(target, lineage="another")) != before
    retested = with_tests(CHANGED, revised={"orders": "new"})
    assert ident(staged(retested), target) != before
    assert ident(source, target, 9, "orders") != before


# --- properties -------------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d", "e")


@st.composite
def releases(draw: st.DrawFn) -> Release:
    """A release of some models, with any parents among those before, any of two codes, some without tests."""
    chosen = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    parents: dict[str, tuple[str, ...]] = {}
    for name in sorted(chosen):
        parents[name] = tuple(sorted(draw(st.sets(st.sampled_from(sorted(parents)), max_size=2)))) if parents else ()
    untested = draw(st.sets(st.sampled_from(sorted(parents)), max_size=1))
    return release(parents, code={name: draw(st.sampled_from("xy")) for name in parents}, untested=untested)


@st.composite
def environments(draw: st.DrawFn, pool: list[Release], name: str) -> EnvironmentState:
    """An environment after some runs of some releases, in which some nodes broke."""
    state = empty_state(name)
    for hour in range(draw(st.integers(0, 3))):
        project = draw(st.sampled_from(pool))
        nodes = sorted([*project.models, *project.tests])
        bad = draw(st.sets(st.sampled_from(nodes), max_size=2))
        results = {n: ResultStatus.FAILED if n in project.models else ResultStatus.FAIL for n in bad}
        try:
            state = record(state, project, dbt_run(project, NOON + timedelta(hours=hour), results), BY_OTHERS).state
        except ParentNotBuiltError:
            continue
    return state


pairs = st.lists(releases(), min_size=1, max_size=3).flatmap(
    lambda pool: st.tuples(environments(pool, "staging"), environments(pool, "production"))
)


@settings(max_examples=200)
@given(pairs, st.booleans(), st.booleans())
def test_applying_a_plan_reaches_the_target_and_a_second_one_finds_nothing_to_do(
    pair: tuple[EnvironmentState, EnvironmentState], removals: bool, stale: bool
) -> None:
    source, target = pair
    asked = question(strategy=Strategy.RECORD, allow_removals=removals, allow_stale_downstream=stale)
    first = plan(situation(source, target), asked)
    assert first.allowed
    began = begin(target, first, Attempt(actor="ann"), NOON + 9 * DAY, 10)
    ending = settle(began, first, Built(), NOON + 9 * DAY, 10)
    assert ending.outcome is PromotionOutcome.PROMOTED
    after = difference(source, ending.state, None)
    for change in first.changes:
        if change.after is None:
            assert change.model not in ending.state.current
        else:
            assert after[change.model].kind is ChangeKind.UNCHANGED
    assert {m for m, e in ending.state.current.items() if e.stale_since is not None} == {
        *(
            m
            for m, e in target.current.items()
            if e.stale_since is not None and m not in {c.model for c in first.changes}
        ),
        *first.stale_after,
    }
    second = plan(situation(source, ending.state), asked)
    assert second.changes == ()
