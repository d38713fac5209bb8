"""Recording: what enters, what ends, what drifts, and that nothing moves back."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.adoption import adopt
from airflow_dbt_promotion.core.codec import decode, encode
from airflow_dbt_promotion.core.errors import ParentNotBuiltError
from airflow_dbt_promotion.core.identity import ModelId, PlanId, ReleaseId
from airflow_dbt_promotion.core.recording import Entering, record, refuse
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import ResultStatus, Run
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState, Evidence, Unfinalized
from airflow_dbt_promotion.core.stays import KEPT_STAYS, leave
from tests.scenarios import (
    BY_NOBODY,
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

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
SHOP = release()
CHANGED = release(code={"orders": "select 2"})
ROOTED = release(code={"raw_orders": "1,2"})


def evidence(state: EnvironmentState, model: ModelId, project: Release = SHOP) -> Evidence:
    found = ledger.of_version(state, model, project.models[model].version)
    assert found is not None
    return found


def test_what_was_built_enters_at_the_end_of_the_run() -> None:
    told = record(empty_state(), SHOP, dbt_run(SHOP, NOON), BY_OTHERS)
    assert told.entered == tuple(sorted(SHOP.models))
    assert told.passed == told.entered
    entry = told.state.current[ORDERS]
    assert (entry.version, entry.since, entry.origin) == (SHOP.models[ORDERS].version, NOON, EntryOrigin.RUN)
    assert entry.parents == {STG: SHOP.models[STG].version}
    assert evidence(told.state, ORDERS).runs == 1


def test_what_was_reused_keeps_its_entry_and_its_proof_and_earns_no_run() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON))
    reused = dbt_run(SHOP, NOON + DAY, dict.fromkeys((ORDERS, test_id("orders")), ResultStatus.OTHER))
    later = recorded(SHOP, reused, state=state)
    assert later.current[ORDERS].since == NOON
    assert evidence(later, ORDERS) == evidence(state, ORDERS)
    assert evidence(later, STG).runs == evidence(state, STG).runs + 1
    of_test = dbt_run(SHOP, NOON + DAY, {test_id("orders"): ResultStatus.OTHER})
    assert evidence(recorded(SHOP, of_test, state=state), ORDERS).missing == (test_id("orders"),), "built, not tested"


@pytest.mark.parametrize("status", [ResultStatus.FAILED, ResultStatus.SKIPPED, ResultStatus.OTHER])
def test_what_was_not_built_does_not_enter(status: ResultStatus) -> None:
    told = record(empty_state(), SHOP, dbt_run(SHOP, NOON, {REVENUE: status}), BY_OTHERS)
    assert REVENUE not in told.state.current
    assert (told.failed == (REVENUE,)) is (status is ResultStatus.FAILED)
    assert told.unmatched == ((REVENUE,) if status is ResultStatus.OTHER else ())
    assert told.skipped == ((REVENUE,) if status is ResultStatus.SKIPPED else ())


def test_what_is_no_model_and_no_test_is_passed_over() -> None:
    run = dbt_run(SHOP, NOON)
    odd = replace(run, results=(*run.results, replace(run.results[0], id="operation.shop.hook")))
    assert recorded(SHOP, odd) == recorded(SHOP, run)


def test_a_test_that_ended_unheard_of_proves_nothing() -> None:
    told = record(empty_state(), SHOP, dbt_run(SHOP, NOON, {test_id("orders"): ResultStatus.OTHER}), BY_OTHERS)
    assert told.incomplete == (ORDERS,)


def test_the_same_version_again_goes_on_with_its_stay() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON), dbt_run(SHOP, NOON + DAY))
    assert state.current[ORDERS].since == NOON
    assert state.stays == {}
    assert evidence(state, ORDERS).runs == 2


def test_another_version_ends_the_stay_and_begins_one() -> None:
    state = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY), state=recorded(SHOP, dbt_run(SHOP, NOON)))
    assert state.current[ORDERS].since == NOON + DAY
    assert state.current[STG].since == NOON
    (stay,) = state.stays[ORDERS]
    assert (stay.version, stay.entered_at, stay.left_at) == (SHOP.models[ORDERS].version, NOON, NOON + DAY)


def test_a_version_that_comes_back_counts_its_runs_anew_and_keeps_what_it_earned() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON), dbt_run(SHOP, NOON + DAY))
    state = recorded(CHANGED, dbt_run(CHANGED, NOON + 2 * DAY), state=state)
    state = recorded(SHOP, dbt_run(SHOP, NOON + 3 * DAY), state=state)
    assert state.current[ORDERS].since == NOON + 3 * DAY
    assert (evidence(state, ORDERS).runs, evidence(state, ORDERS).first_pass) == (1, NOON)


def test_completed_stays_are_kept_up_to_a_number() -> None:
    state = empty_state()
    for day in range(2 * KEPT_STAYS):
        project = CHANGED if day % 2 else SHOP
        state = recorded(project, dbt_run(project, NOON + day * DAY), state=state)
    assert len(state.stays[ORDERS]) == KEPT_STAYS
    assert state.stays[ORDERS][-1].left_at == state.current[ORDERS].since


def test_a_parent_that_moved_without_its_child_ends_the_childs_stay() -> None:
    moved = dbt_run(ROOTED, NOON + DAY, only=[RAW, test_id("raw_orders")])
    told = record(recorded(SHOP, dbt_run(SHOP, NOON)), ROOTED, moved, BY_OTHERS)
    assert told.ended == (STG,)
    assert told.state.current[STG].stale_since == NOON + DAY
    assert told.state.stays[STG][0].left_at == NOON + DAY
    assert told.state.current[ORDERS].stale_since is None
    built = recorded(ROOTED, dbt_run(ROOTED, NOON + 2 * DAY), state=told.state)
    assert built.current[STG].stale_since is None
    assert built.current[STG].since == NOON + 2 * DAY
    assert len(built.stays[STG]) == 1


def test_a_stale_model_that_is_let_go_has_no_second_stay() -> None:
    moved = dbt_run(ROOTED, NOON + DAY, only=[RAW])
    state = recorded(ROOTED, moved, state=recorded(SHOP, dbt_run(SHOP, NOON)))
    assert len(leave(state, STG, NOON + 2 * DAY).stays[STG]) == 1


def test_a_child_built_on_a_parent_that_was_not_is_refused_and_nothing_changes() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON))
    with pytest.raises(ParentNotBuiltError) as error:
        record(state, ROOTED, dbt_run(ROOTED, NOON + DAY, {RAW: ResultStatus.FAILED}), BY_OTHERS)
    assert (error.value.model, error.value.parent) == (STG, RAW)
    assert "another version" in str(error.value)
    with pytest.raises(ParentNotBuiltError, match="no record of it"):
        record(empty_state(), SHOP, dbt_run(SHOP, NOON, only=[STG]), BY_OTHERS)


def test_a_test_run_proves_what_is_held_and_builds_nothing() -> None:
    built = recorded(SHOP, dbt_run(SHOP, NOON, without=SHOP.tests))
    told = record(built, SHOP, dbt_run(SHOP, NOON + DAY, only=SHOP.tests), BY_OTHERS)
    assert (told.entered, set(told.passed)) == ((), set(SHOP.models))
    other = record(built, CHANGED, dbt_run(CHANGED, NOON + DAY, only=[test_id("orders")]), BY_OTHERS)
    assert other.unmatched == (ORDERS,)


def test_tests_and_descriptions_are_taken_over_and_change_neither_version_nor_clock() -> None:
    revised = with_tests(SHOP, revised={"orders": "severity: warn"})
    described = replace(revised, models={m: replace(model, meta="told") for m, model in revised.models.items()})
    state = recorded(described, dbt_run(described, NOON + DAY, only=[RAW]), state=recorded(SHOP, dbt_run(SHOP, NOON)))
    entry = state.current[ORDERS]
    assert (entry.since, entry.meta, entry.tests) == (NOON, "told", described.models[ORDERS].tests)
    assert state.stays == {}


def test_a_model_that_the_project_has_no_more_is_gone_and_its_proof_stays() -> None:
    smaller = release({"raw_orders": (), "stg_orders": ("raw_orders",)})
    told = record(recorded(SHOP, dbt_run(SHOP, NOON)), smaller, dbt_run(smaller, NOON + DAY), BY_OTHERS)
    assert told.gone == tuple(sorted((ORDERS, REVENUE)))
    assert ORDERS not in told.state.current
    assert told.state.stays[ORDERS][0].left_at == NOON + DAY
    assert evidence(told.state, ORDERS).runs == 1


# --- order ------------------------------------------------------------------------------------------------------------


def test_recording_a_run_again_changes_nothing() -> None:
    first, second = dbt_run(SHOP, NOON), dbt_run(ROOTED, NOON + DAY, only=[RAW, test_id("raw_orders")])
    state = recorded(ROOTED, second, state=recorded(SHOP, first))
    assert record(state, SHOP, first, BY_OTHERS).state == state
    assert record(state, ROOTED, second, BY_OTHERS).state == state


def test_an_older_run_never_moves_current_back() -> None:
    state = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY))
    late = record(state, SHOP, dbt_run(SHOP, NOON), BY_OTHERS)
    assert late.entered == ()
    assert late.state.current == state.current
    revised = with_tests(CHANGED, revised={"orders": "older"})
    assert record(state, revised, dbt_run(revised, NOON), BY_OTHERS).state.current == state.current


def test_an_older_run_lets_nothing_go() -> None:
    smaller = release({"raw_orders": ()})
    state = recorded(SHOP, dbt_run(SHOP, NOON), dbt_run(SHOP, NOON + 2 * DAY))
    assert record(state, smaller, dbt_run(smaller, NOON + DAY), BY_OTHERS).gone == ()


def test_another_version_in_the_middle_of_a_stay_that_is_learnt_late_interrupts_it() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON), dbt_run(SHOP, NOON + 4 * DAY))
    late = dbt_run(CHANGED, NOON + DAY)
    told = record(state, CHANGED, late, BY_OTHERS)
    assert told.state.current[ORDERS].version == SHOP.models[ORDERS].version
    assert told.state.current[ORDERS].since == NOON + 4 * DAY
    assert told.state.stays[ORDERS][0].left_at == NOON + DAY
    assert evidence(told.state, ORDERS).runs == 1
    assert record(told.state, CHANGED, late, BY_OTHERS).state == told.state


def test_an_interruption_with_a_build_but_no_pass_since_leaves_no_runs() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON), dbt_run(SHOP, NOON + 4 * DAY, without=SHOP.tests))
    told = record(state, CHANGED, dbt_run(CHANGED, NOON + DAY), BY_OTHERS)
    assert evidence(told.state, ORDERS).runs == 0


def test_a_run_from_before_the_stay_interrupts_nothing() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON + DAY), dbt_run(SHOP, NOON + 2 * DAY))
    assert record(state, CHANGED, dbt_run(CHANGED, NOON), BY_OTHERS).state.current == state.current


def test_what_is_learnt_late_interrupts_no_stay_that_is_over() -> None:
    pair = {"raw": (), "child": ("raw",)}
    old, moved = release(pair), release(pair, code={"raw": "1,2"})
    third = release(pair, code={"raw": "1,2", "child": "select 3"})
    raw, child = model_id("raw"), model_id("child")
    state = recorded(old, dbt_run(old, NOON))
    state = recorded(moved, *(dbt_run(moved, NOON + days * DAY, only={raw}) for days in (2, 5)), state=state)
    state = recorded(old, dbt_run(old, NOON + 4 * DAY), state=state)
    state = recorded(third, dbt_run(third, NOON + 3 * DAY), state=state)
    assert (state.current[child].since, state.current[child].stale_since) == (NOON, NOON + 2 * DAY)
    assert [stay.left_at for stay in state.stays[child]] == [NOON + 2 * DAY]
    assert decode(encode(state), "here", state.environment) == state


def test_a_child_of_a_parent_that_moved_on_does_not_enter_late() -> None:
    state = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY, only=[RAW]))
    late = record(state, SHOP, dbt_run(SHOP, NOON), BY_OTHERS)
    assert late.entered == ()
    assert set(late.state.current) == {RAW}


def test_a_stale_model_comes_back_only_by_a_run_after_it_became_so() -> None:
    moved = dbt_run(ROOTED, NOON + 2 * DAY, only=[RAW])
    state = recorded(ROOTED, moved, state=recorded(SHOP, dbt_run(SHOP, NOON)))
    again = record(state, SHOP, dbt_run(SHOP, NOON + DAY, only=[STG]), BY_OTHERS)
    assert again.state.current[STG].stale_since == NOON + 2 * DAY


# --- tests that see several models ------------------------------------------------------------------------------------

JOINT = with_tests(SHOP, joint=[("orders", "revenue")], units=["orders"])
AGREE = joint_test_id("orders", "revenue")


def test_a_test_on_several_models_counts_for_each_with_what_it_saw_of_the_others() -> None:
    state = recorded(JOINT, dbt_run(JOINT, NOON))
    assert evidence(state, ORDERS).outcomes[AGREE].others == {REVENUE: JOINT.models[REVENUE].version}
    assert evidence(state, REVENUE).outcomes[AGREE].others == {ORDERS: JOINT.models[ORDERS].version}
    assert evidence(state, ORDERS).outcomes[unit_test_id("orders")].others == {}


def test_what_a_late_test_saw_of_a_model_that_moved_since_is_unknown() -> None:
    state = recorded(JOINT, dbt_run(JOINT, NOON, without=JOINT.tests))
    newer = with_tests(release(code={"revenue": "select 2"}), joint=[("orders", "revenue")], units=["orders"])
    state = recorded(newer, dbt_run(newer, NOON + 2 * DAY, without=newer.tests), state=state)
    state = recorded(JOINT, dbt_run(JOINT, NOON + DAY, only=[AGREE]), state=state)
    assert evidence(state, ORDERS).outcomes[AGREE].others == {REVENUE: "unknown"}


def test_a_test_beside_a_model_that_is_not_there_saw_nothing_known() -> None:
    state = recorded(JOINT, dbt_run(JOINT, NOON, without=[REVENUE]))
    assert evidence(state, ORDERS).outcomes[AGREE].others == {REVENUE: "unknown"}


def test_unit_tests_count_from_other_environments() -> None:
    elsewhere = recorded(JOINT, dbt_run(JOINT, NOON), state=empty_state("development"))
    told = record(empty_state(), JOINT, dbt_run(JOINT, NOON, without=[unit_test_id("orders")]), BY_OTHERS, [elsewhere])
    assert ORDERS in told.passed
    alone = record(empty_state(), JOINT, dbt_run(JOINT, NOON, without=[unit_test_id("orders")]), BY_OTHERS)
    assert alone.incomplete == (ORDERS,)


def test_times_are_those_of_the_nodes_where_dbt_told_them() -> None:
    run = dbt_run(SHOP, NOON)
    bare = replace(run, results=tuple(replace(r, started_at=None, completed_at=None) for r in run.results))
    early = replace(run, results=tuple(replace(r, completed_at=NOON - timedelta(hours=1)) for r in run.results))
    assert evidence(recorded(SHOP, bare), ORDERS).built_at == NOON
    assert evidence(recorded(SHOP, early), ORDERS).built_at == NOON - timedelta(hours=1)
    silent = replace(run, results=tuple(replace(r, status=ResultStatus.FAILED, message="") for r in run.results[:1]))
    assert evidence(recorded(SHOP, silent), RAW).failure == "the build failed: no message"


def test_many_failed_versions_do_not_push_out_the_evidence_of_the_one_that_is_held() -> None:
    state = recorded(SHOP, dbt_run(SHOP, NOON))
    for number in range(15):
        broken = release(code={"revenue": f"attempt {number}"})
        run = dbt_run(broken, NOON + number * DAY, {REVENUE: ResultStatus.FAILED})
        state = recorded(broken, run, state=state)
    assert evidence(state, REVENUE).runs == 1


# --- where only promotions move anything ------------------------------------------------------------------------------


def promoted() -> EnvironmentState:
    by_promotion = Entering(only=frozenset(SHOP.models), origin=EntryOrigin.PROMOTION, by="plan")
    return record(empty_state("production"), SHOP, dbt_run(SHOP, NOON), by_promotion).state


def test_a_run_of_others_at_unpromoted_versions_is_drift() -> None:
    run = dbt_run(CHANGED, NOON + DAY)
    told = record(promoted(), CHANGED, run, BY_NOBODY)
    assert told.drifted == tuple(sorted((ORDERS, REVENUE)))
    assert told.entered == ()
    assert told.state.current[ORDERS].version == SHOP.models[ORDERS].version
    assert told.state.drift[ORDERS].version == CHANGED.models[ORDERS].version
    back = record(told.state, SHOP, dbt_run(SHOP, NOON + 2 * DAY), BY_NOBODY)
    assert back.state.drift == {}


def test_drift_is_told_of_models_that_are_not_held_at_all() -> None:
    assert record(empty_state(), SHOP, dbt_run(SHOP, NOON, only=[RAW]), BY_NOBODY).drifted == (RAW,)


def test_late_runs_neither_make_drift_nor_end_it() -> None:
    assert record(promoted(), CHANGED, dbt_run(CHANGED, NOON - DAY), BY_NOBODY).drifted == ()
    drifted = record(promoted(), CHANGED, dbt_run(CHANGED, NOON + 2 * DAY), BY_NOBODY).state
    assert record(drifted, SHOP, dbt_run(SHOP, NOON + DAY), BY_NOBODY).state.drift == drifted.drift


def test_a_run_before_the_newest_drift_is_drift_too_and_what_is_noted_is_the_newest() -> None:
    drifted = record(promoted(), ROOTED, dbt_run(ROOTED, NOON + 2 * DAY), BY_NOBODY).state
    told = record(drifted, CHANGED, dbt_run(CHANGED, NOON + DAY), BY_NOBODY)
    assert (told.drifted, told.state.drift) == ((ORDERS, REVENUE), drifted.drift)


def test_tests_say_nothing_of_what_is_held_while_another_version_lies_over_it() -> None:
    together = with_tests(SHOP, joint=[("stg_orders", "orders")])
    by_promotion = Entering(only=frozenset(SHOP.models), origin=EntryOrigin.PROMOTION, by="plan")
    state = record(empty_state("production"), together, dbt_run(together, NOON), by_promotion).state
    drifted = record(state, CHANGED, dbt_run(CHANGED, NOON + DAY, only=[ORDERS]), BY_NOBODY).state
    tests = dbt_run(together, NOON + 2 * DAY, only=together.tests)
    told = record(drifted, together, tests, BY_NOBODY)
    assert told.unmatched == (ORDERS, REVENUE)
    assert told.state.evidence[ORDERS] == drifted.evidence[ORDERS]
    beside = evidence(told.state, STG, together).outcomes[joint_test_id("stg_orders", "orders")]
    assert beside.others == {ORDERS: CHANGED.models[ORDERS].version}
    built = record(told.state, together, dbt_run(together, NOON + 3 * DAY), BY_NOBODY)
    assert (built.unmatched, built.state.drift) == ((), {})


def test_what_was_built_on_what_drifted_proves_nothing() -> None:
    drifted = record(promoted(), CHANGED, dbt_run(CHANGED, NOON + DAY, only=[ORDERS]), BY_NOBODY).state
    told = record(drifted, SHOP, dbt_run(SHOP, NOON + 2 * DAY, only=[REVENUE, test_id("revenue"), STG]), BY_NOBODY)
    assert (told.unmatched, told.incomplete, told.passed) == ((REVENUE,), (STG,), ())
    assert told.state.evidence[REVENUE] == drifted.evidence[REVENUE]
    far = record(promoted(), ROOTED, dbt_run(ROOTED, NOON + DAY, only=[RAW]), BY_NOBODY).state
    assert record(far, SHOP, dbt_run(SHOP, NOON + 2 * DAY, without=[RAW]), BY_NOBODY).passed == ()
    whole = record(far, SHOP, dbt_run(SHOP, NOON + 2 * DAY), BY_NOBODY)
    assert set(whole.passed) == set(SHOP.models)


def test_of_a_refused_run_the_drift_alone_is_noted() -> None:
    before = record(promoted(), ROOTED, dbt_run(ROOTED, NOON + DAY, only=[RAW, STG]), BY_NOBODY).state
    told = refuse(before, record(before, CHANGED, dbt_run(CHANGED, NOON + 2 * DAY, name="again"), BY_NOBODY))
    assert (told.refused, told.run, told.passed, told.drifted) == (True, "again", (), (ORDERS, REVENUE))
    assert set(told.state.drift) == {ORDERS, REVENUE}, "what was built as promoted is as promoted again"
    assert replace(told.state, drift={}) == replace(before, drift={})


def test_what_a_promotion_built_in_vain_is_no_drift() -> None:
    nothing = Entering(only=frozenset(), origin=EntryOrigin.PROMOTION, by="plan")
    assert record(promoted(), CHANGED, dbt_run(CHANGED, NOON + DAY), nothing).drifted == ()


def test_a_run_of_others_takes_no_tests_over_and_lets_nothing_go() -> None:
    smaller = with_tests(release({"raw_orders": ()}), revised={"raw_orders": "new"})
    state = record(promoted(), smaller, dbt_run(smaller, NOON + DAY), BY_NOBODY).state
    assert state.current == promoted().current


# --- finalizing -------------------------------------------------------------------------------------------------------


def unfinalized(*models: ModelId) -> Unfinalized:
    return Unfinalized(plan_id=PlanId("p"), since=NOON, models=models, why="it broke off")


def test_what_a_promotion_left_is_whole_again_once_it_is_built_as_held() -> None:
    state = replace(recorded(SHOP, dbt_run(SHOP, NOON)), unfinalized=unfinalized(ORDERS, REVENUE))
    half = recorded(SHOP, dbt_run(SHOP, NOON + DAY, only=[ORDERS]), state=state)
    assert half.unfinalized is not None
    assert half.unfinalized.models == (REVENUE,)
    assert recorded(SHOP, dbt_run(SHOP, NOON + DAY), state=state).unfinalized is None
    assert recorded(SHOP, dbt_run(SHOP, NOON - DAY), state=state).unfinalized == state.unfinalized
    smaller = release({"raw_orders": ()})
    assert recorded(smaller, dbt_run(smaller, NOON + DAY), state=state).unfinalized is None


# --- baseline ---------------------------------------------------------------------------------------------------------


def test_a_baseline_enters_what_is_there_once() -> None:
    told = adopt(empty_state(), SHOP, NOON, "baseline")
    assert told.entered == tuple(sorted(SHOP.models))
    assert told.state.current[ORDERS].origin is EntryOrigin.BASELINE
    assert adopt(told.state, CHANGED, NOON + DAY, "baseline").state == told.state
    some = adopt(empty_state(), SHOP, NOON, "baseline", only=[RAW])
    assert some.entered == (RAW,)


def test_a_baseline_names_sources_for_what_has_none_or_has_lost_them_if_they_say_the_same() -> None:
    kept, lost = replace(SHOP, id=ReleaseId("kept")), replace(SHOP, id=ReleaseId("lost"))
    bare = adopt(empty_state(), SHOP, NOON, "baseline").state
    told = adopt(bare, kept, NOON + DAY, "baseline")
    assert (told.entered, told.sourced) == ((), tuple(sorted(SHOP.models)))
    assert told.state.current[ORDERS] == replace(bare.current[ORDERS], release=kept.id)
    assert adopt(told.state, lost, NOON + DAY, "baseline").sourced == ()
    assert adopt(told.state, lost, NOON + DAY, "baseline", lost=[ReleaseId("kept")]).sourced == told.sourced
    other = adopt(bare, replace(CHANGED, id=ReleaseId("other")), NOON + DAY, "baseline")
    assert other.sourced == tuple(sorted((RAW, STG)))
    assert adopt(bare, SHOP, NOON + DAY, "baseline").sourced == ()


def test_a_baseline_on_a_parent_at_another_version_is_refused() -> None:
    held = adopt(empty_state(), SHOP, NOON, "baseline", only=[RAW]).state
    with pytest.raises(ParentNotBuiltError):
        adopt(held, ROOTED, NOON, "baseline")
    with pytest.raises(ParentNotBuiltError):
        adopt(empty_state(), SHOP, NOON, "baseline", only=[STG])


# --- properties -------------------------------------------------------------------------------------------------------

RELEASES = (SHOP, CHANGED, ROOTED, release({"raw_orders": (), "stg_orders": ("raw_orders",)}))


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[Release, Run]]:
    """Runs of several releases, of all or of some nodes, some of them broken."""
    runs = []
    for hour in draw(st.lists(st.integers(0, 30), min_size=1, max_size=5, unique=True)):
        project = draw(st.sampled_from(RELEASES))
        nodes = sorted([*project.models, *project.tests])
        without = draw(st.sets(st.sampled_from(nodes), max_size=3))
        bad = draw(st.dictionaries(st.sampled_from(nodes), st.just(None), max_size=2))
        results = {n: ResultStatus.FAILED if n in project.models else ResultStatus.FAIL for n in bad}
        runs.append((project, dbt_run(project, NOON + timedelta(hours=hour), results, without=without)))
    return runs


def folded(history: list[tuple[Release, Run]]) -> tuple[EnvironmentState, list[tuple[Release, Run]]]:
    """Return the document after some runs, and those that were accepted."""
    state, accepted = empty_state(), []
    for project, run in history:
        try:
            state = record(state, project, run, BY_OTHERS).state
        except ParentNotBuiltError:
            continue
        accepted.append((project, run))
    return state, accepted


@given(histories())
def test_current_never_names_a_parent_that_is_not_held_unless_it_is_stale(history: list[tuple[Release, Run]]) -> None:
    state, _ = folded(history)
    for entry in state.current.values():
        held = {parent: state.current[parent].version for parent in entry.parents if parent in state.current}
        assert entry.stale_since is not None or held == entry.parents


@given(histories())
def test_recording_everything_again_changes_nothing(history: list[tuple[Release, Run]]) -> None:
    state, accepted = folded(sorted(history, key=lambda one: one[1].finished_at))
    for project, run in accepted:
        assert record(state, project, run, BY_OTHERS).state == state


@given(histories())
def test_recording_again_never_gives_a_version_an_earlier_entry(history: list[tuple[Release, Run]]) -> None:
    state, accepted = folded(history)
    for project, run in accepted:
        try:
            after = record(state, project, run, BY_OTHERS).state
        except ParentNotBuiltError:  # an older run told since that its parent was another
            continue
        for model, entry in after.current.items():
            assert model not in state.current or entry.since >= state.current[model].since
