"""A promotion: only what was built and passed advances, and every beginning has its end on record."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.checkpoints import standing_at
from airflow_dbt_promotion.core.environment import BypassKind, Strategy
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.promotion import Attempt, Ending, abort, begin, settle
from airflow_dbt_promotion.core.recording import record
from airflow_dbt_promotion.core.relations import KeptRelation
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.results import Built
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import Drift, EntryOrigin, EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.core.stays import leave
from tests.scenarios import (
    BY_OTHERS,
    DAY,
    NOON,
    dbt_run,
    empty_state,
    model_id,
    question,
    recorded,
    release,
    situation,
    test_id,
    unit_test_id,
    with_tests,
)

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
SHOP = release()
CHANGED = release(code={"orders": "select 2"})
NOW = NOON + 9 * DAY
ANN = Attempt(actor="ann", link="https://example.com/run/1")


def staged(project: Release = SHOP) -> EnvironmentState:
    return recorded(project, dbt_run(project, NOON))


def produced(project: Release = SHOP) -> EnvironmentState:
    return recorded(project, dbt_run(project, NOON), state=empty_state("production"))


def planned(source: EnvironmentState, target: EnvironmentState | None = None, *names: str, **choices: object) -> Plan:
    found = plan(situation(source, target), question(*names, **choices))
    assert found.allowed, found.refusals
    assert found.changes
    return found


def built(
    found: Plan,
    project: Release,
    results: Mapping[str, ResultStatus] | None = None,
    *,
    without: Collection[str] = (),
) -> Built:
    models = [change.model for change in found.changes if change.kind.value not in {"metadata", "removed"}]
    tests = [
        test
        for change in found.changes
        if change.model in project.models
        for test in project.models[change.model].required
    ]
    run = dbt_run(project, NOW, results, only={*models, *tests}, without=without)
    return Built(runs=(run,), release=project, words=("it broke",))


def carried_out(found: Plan, target: EnvironmentState, what: Built) -> Ending:
    return settle(begin(target, found, ANN, NOW, 10), found, what, NOW, 10)


# --- beginning --------------------------------------------------------------------------------------------------------


def test_the_intent_is_on_record_before_anything_is_done() -> None:
    found = planned(staged())
    state = begin(empty_state("production"), found, ANN, NOW, 10)
    assert state.journal is not None
    assert (state.journal.plan_id, state.journal.actor, state.journal.link) == (found.plan_id, "ann", ANN.link)
    assert {told.result for told in state.journal.models.values()} == {"planned"}
    assert (state.current, state.bypasses, state.history) == ({}, (), ())


def test_bypasses_are_recorded_for_good_with_actor_and_reason() -> None:
    both = frozenset({BypassKind.SKIP_TESTS, BypassKind.SHORT_SOAK})
    found = planned(staged(), None, bypasses=both, reason="the shop is closed")
    ending = carried_out(found, empty_state("production"), Built())
    kinds = [(bypass.kind.value, bypass.actor, bypass.reason) for bypass in ending.state.bypasses]
    assert kinds == [("short_soak", "ann", "the shop is closed"), ("skip_tests", "ann", "the shop is closed")]
    assert ending.state.bypasses[0].models[ORDERS] == SHOP.models[ORDERS].version
    assert ending.state.history[0].reason == "the shop is closed"
    again = settle(begin(ending.state, found, ANN, NOW + DAY, 10), found, Built(), NOW + DAY, 10)
    assert len(again.state.bypasses) == 4


def test_a_reason_belongs_to_the_attempt_that_gave_it() -> None:
    skipped = planned(staged(), None, bypasses=frozenset({BypassKind.SKIP_TESTS}), reason="in a hurry")
    first = abort(begin(empty_state("production"), skipped, ANN, NOW, 10), "it broke", NOW, 10, touched=False)
    plain = planned(staged())
    assert plain.plan_id == skipped.plan_id
    second = settle(begin(first, plain, ANN, NOW + DAY, 10), plain, Built(), NOW + DAY, 10)
    assert [told.reason for told in second.state.history] == [None, "in a hurry"]


def test_what_a_dead_process_left_is_buried_as_errored() -> None:
    found = planned(staged())
    left = begin(empty_state("production"), found, ANN, NOW, 10)
    state = begin(left, found, Attempt(actor="bob"), NOW + DAY, 10)
    assert state.journal is not None
    assert state.journal.actor == "bob"
    (told,) = state.history
    assert (told.outcome, told.actor) == (PromotionOutcome.ERRORED, "ann")
    assert "interrupted" in told.message
    assert state.unfinalized is not None
    assert set(state.unfinalized.models) == set(SHOP.models)


def test_a_later_attempt_of_the_same_run_carries_on_what_a_dead_one_began() -> None:
    found = planned(staged(), None, bypasses=frozenset({BypassKind.SKIP_TESTS}), reason="in a hurry")
    first = Attempt(actor="ann", run="task 1", epoch=3, soak=DAY, runs=2)
    left = begin(empty_state("production"), found, first, NOW, 10)
    assert left.journal is not None
    assert (left.journal.soak, left.journal.runs, left.journal.choices) == (DAY, 2, found.choices)
    going_on = begin(left, found, replace(first, epoch=4, link="https://example.com/2"), NOW + DAY, 10)
    assert going_on.journal == replace(left.journal, epochs=(3, 4), link="https://example.com/2")
    assert (going_on.history, len(going_on.bypasses)) == ((), 1)
    (told,) = settle(going_on, found, Built(), NOW + DAY, 10).state.history
    assert (told.attempts, told.run, told.started_at, told.reason) == (2, "task 1", NOW, "in a hurry")


@pytest.mark.parametrize("attempt", [Attempt(actor="ann", run="task 2"), Attempt(actor="ann")])
def test_what_another_run_began_is_not_carried_on_unless_somebody_resumes_it(attempt: Attempt) -> None:
    found = planned(staged())
    left = begin(empty_state("production"), found, Attempt(actor="ann", run="task 1"), NOW, 10)
    assert len(begin(left, found, attempt, NOW, 10).history) == 1
    resumed = begin(left, found, replace(attempt, resumes=True), NOW, 10)
    assert resumed.journal is not None
    assert (resumed.history, len(resumed.journal.epochs)) == ((), 2)


def test_another_plan_of_the_same_run_is_begun_anew() -> None:
    attempt = Attempt(actor="ann", run="task 1")
    left = begin(empty_state("production"), planned(staged()), attempt, NOW, 10)
    assert len(begin(left, planned(staged(CHANGED)), attempt, NOW, 10).history) == 1


def test_recording_touches_no_warehouse_so_that_a_broken_one_leaves_nothing_undone() -> None:
    found = planned(staged(), None, strategy=Strategy.RECORD)
    left = begin(empty_state("production"), found, ANN, NOW, 10)
    assert begin(left, found, ANN, NOW, 10).unfinalized is None


# --- the end ----------------------------------------------------------------------------------------------------------


def test_everything_built_and_passed_advances() -> None:
    found = planned(staged())
    ending = carried_out(found, empty_state("production"), built(found, SHOP))
    assert ending.outcome is PromotionOutcome.PROMOTED
    assert {told.result for told in ending.models.values()} == {"advanced"}
    entry = ending.state.current[ORDERS]
    assert (entry.version, entry.since, entry.by) == (SHOP.models[ORDERS].version, NOW, found.plan_id)
    assert entry.origin is EntryOrigin.PROMOTION
    assert (ending.state.journal, ending.state.unfinalized, ending.message) == (None, None, "")
    proof = ledger.of_version(ending.state, ORDERS, entry.version)
    assert proof is not None
    assert proof.runs == 1
    (told,) = ending.state.history
    assert (told.outcome, told.strategy, told.link) == (PromotionOutcome.PROMOTED, "build", ANN.link)


def test_what_failed_stays_behind_with_what_stands_on_it() -> None:
    found = planned(staged(), produced(release(code=dict.fromkeys(("raw_orders", "orders"), "old"))))
    before = produced(release(code=dict.fromkeys(("raw_orders", "orders"), "old")))
    ending = carried_out(found, before, built(found, SHOP, {test_id("orders"): ResultStatus.FAIL}))
    assert ending.outcome is PromotionOutcome.FAILED
    assert {m: told.result for m, told in ending.models.items()} == {
        RAW: "advanced",
        STG: "advanced",
        ORDERS: "failed",
        REVENUE: "skipped",
    }
    assert ending.state.current[ORDERS].version == before.current[ORDERS].version
    assert ending.state.current[ORDERS].stale_since == NOW
    assert ending.state.unfinalized is not None
    assert ending.state.unfinalized.models == tuple(sorted((ORDERS, REVENUE)))
    assert ending.message == "2 of 4 did not advance: orders, revenue; it broke"
    assert ending.state.drift == {}


@pytest.mark.parametrize(
    ("results", "without", "result"),
    [
        ({ORDERS: ResultStatus.FAILED}, [], "failed"),
        ({ORDERS: ResultStatus.SKIPPED}, [], "skipped"),
        ({}, [ORDERS], "skipped"),
        ({test_id("orders"): ResultStatus.FAIL}, [], "failed"),
        ({test_id("orders"): ResultStatus.ERROR}, [], "failed"),
        ({test_id("orders"): ResultStatus.SKIPPED}, [], "skipped"),
        ({}, [test_id("orders")], "skipped"),
        ({test_id("orders"): ResultStatus.WARN}, [], "advanced"),
    ],
)
def test_only_what_was_built_and_passed_advances(
    results: Mapping[str, ResultStatus], without: Collection[str], result: str
) -> None:
    found = planned(staged())
    ending = carried_out(found, empty_state("production"), built(found, SHOP, results, without=without))
    assert ending.models[ORDERS].result == result
    assert (ORDERS in ending.state.current) is (result == "advanced")
    assert ending.models[RAW].result == "advanced"


def test_skipped_tests_confer_no_evidence() -> None:
    found = planned(staged(), None, bypasses=frozenset({BypassKind.SKIP_TESTS}), reason="now")
    ending = carried_out(found, empty_state("production"), built(found, SHOP, without=SHOP.tests))
    assert ending.outcome is PromotionOutcome.PROMOTED
    proof = ledger.of_version(ending.state, ORDERS, SHOP.models[ORDERS].version)
    assert proof is not None
    assert (proof.first_pass, proof.missing) == (None, (test_id("orders"),))


def test_unit_tests_of_other_environments_complete_the_evidence() -> None:
    units = with_tests(SHOP, units=["orders"])
    source = staged(units)
    found = planned(source)
    what = replace(built(found, units, without=[unit_test_id("orders")]), others=(source,))
    proof = ledger.of_version(
        carried_out(found, empty_state("production"), what).state, ORDERS, units.models[ORDERS].version
    )
    assert proof is not None
    assert proof.runs == 1


def test_record_advances_what_is_planned_and_ends_the_stays() -> None:
    found = planned(staged(CHANGED), produced(), strategy=Strategy.RECORD)
    ending = carried_out(found, produced(), Built())
    assert ending.state.current[ORDERS].since == NOW
    assert ending.state.stays[ORDERS][0].left_at == NOW
    assert ending.state.current[RAW].since == NOON


def test_record_to_a_version_that_was_there_before_counts_runs_anew() -> None:
    target = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY), state=produced())
    found = planned(staged(), target, strategy=Strategy.RECORD)
    proof = ledger.of_version(carried_out(found, target, Built()).state, ORDERS, SHOP.models[ORDERS].version)
    assert proof is not None
    assert proof.runs == 0


def test_metadata_moves_tests_and_descriptions_and_nothing_else() -> None:
    revised = with_tests(SHOP, revised={"orders": "new"})
    found = planned(recorded(revised, dbt_run(revised, NOON)), produced(), "orders")
    ending = carried_out(found, produced(), built(found, revised))
    assert ending.state.current[ORDERS].tests == revised.models[ORDERS].tests
    assert ending.state.current[ORDERS].since == NOON
    failing = carried_out(found, produced(), built(found, revised, {test_id("orders"): ResultStatus.FAIL}))
    assert (failing.outcome, failing.state.current[ORDERS].tests) == (
        PromotionOutcome.FAILED,
        SHOP.models[ORDERS].tests,
    )


def test_a_removal_leaves_and_is_told() -> None:
    found = planned(leave(staged(), REVENUE, NOON + DAY), produced(), allow_removals=True)
    smaller = release({"raw_orders": ()})
    ending = carried_out(found, produced(), Built(release=smaller))
    assert REVENUE not in ending.state.current
    assert ending.models[REVENUE].result == "removed"
    gone = carried_out(found, leave(produced(), REVENUE, NOON + DAY), Built())
    assert gone.outcome is PromotionOutcome.PROMOTED


def test_a_forced_rebuild_neither_restarts_the_stay_nor_leaves_drift() -> None:
    drifted = replace(produced(), drift={ORDERS: Drift(version=CHANGED.models[ORDERS].version, seen_at=NOON, by="run")})
    found = planned(staged(), drifted, "orders", force=True)
    ending = carried_out(found, drifted, built(found, SHOP))
    assert ending.state.current[ORDERS].since == NOON
    assert ending.state.drift == {}


def test_children_left_on_an_older_parent_leave_it_unfinalized_until_they_follow() -> None:
    found = planned(staged(CHANGED), produced(), "orders", allow_stale_downstream=True)
    ending = carried_out(found, produced(), built(found, CHANGED))
    assert ending.state.unfinalized is not None
    assert (ending.state.unfinalized.models, ending.outcome) == ((REVENUE,), PromotionOutcome.PROMOTED)
    assert "older parent" in ending.state.unfinalized.why
    other = planned(staged(CHANGED), ending.state, "raw_orders", force=True)
    still = carried_out(other, ending.state, built(other, CHANGED))
    assert still.state.unfinalized == ending.state.unfinalized
    following = planned(staged(CHANGED), ending.state, "revenue")
    assert carried_out(following, ending.state, built(following, CHANGED)).state.unfinalized is None


def test_history_keeps_the_newest_first_up_to_a_number() -> None:
    state = empty_state("production")
    for day in range(5):
        project = CHANGED if day % 2 else SHOP
        found = planned(staged(project), state, strategy=Strategy.RECORD)
        at = NOW + day * DAY
        state = settle(begin(state, found, ANN, at, 3), found, Built(), at, 3).state
    assert [told.started_at for told in state.history] == [NOW + day * DAY for day in (4, 3, 2)]


def test_an_end_without_a_beginning_is_a_broken_contract() -> None:
    found = planned(staged())
    with pytest.raises(ValueError, match="after it has begun"):
        settle(empty_state("production"), found, Built(), NOW, 10)


# --- breaking off -----------------------------------------------------------------------------------------------------


def test_breaking_off_advances_nothing_and_tells_what_may_be_half_done() -> None:
    found = planned(staged(CHANGED), produced())
    began = begin(produced(), found, ANN, NOW, 10)
    state = abort(began, "DbtError: gone", NOW + DAY, 10, touched=True)
    assert (state.current, state.journal) == (produced().current, None)
    assert (state.history[0].outcome, state.history[0].message) == (PromotionOutcome.ERRORED, "DbtError: gone")
    assert state.unfinalized is not None
    assert state.unfinalized.models == tuple(sorted((ORDERS, REVENUE)))
    assert abort(began, "no", NOW, 10, touched=False).unfinalized is None
    assert abort(produced(), "no", NOW, 10, touched=True) == produced()


def test_breaking_off_twice_forgets_nothing_that_was_left() -> None:
    one = planned(staged(CHANGED), produced(), "revenue", include_upstream=True)
    first = abort(begin(produced(), one, ANN, NOW, 10), "gone", NOW, 10, touched=True)
    two = planned(staged(), empty_state("production"), "raw_orders")
    second = abort(begin(first, two, ANN, NOW, 10), "gone", NOW, 10, touched=True)
    assert second.unfinalized is not None
    assert set(second.unfinalized.models) == {RAW, ORDERS, REVENUE}


# --- what others did meanwhile ----------------------------------------------------------------------------------------


def meanwhile(
    found: Plan, project: Release, after: timedelta, only: Collection[ModelId] | None = None
) -> EnvironmentState:
    """Return the document of a promotion that began, in which others then recorded a run."""
    began = begin(produced(), found, ANN, NOW, 10)
    return record(began, project, dbt_run(project, NOW + after, only=only), BY_OTHERS).state


def test_a_run_of_others_beside_the_plan_is_kept() -> None:
    found = planned(staged(CHANGED), produced())
    state = meanwhile(found, SHOP, timedelta(minutes=-1), [RAW, test_id("raw_orders")])
    ending = settle(state, found, built(found, CHANGED), NOW, 10)
    assert ending.outcome is PromotionOutcome.PROMOTED
    kept = ledger.of_version(ending.state, RAW, SHOP.models[RAW].version)
    assert kept is not None
    assert kept.runs == 2


def test_a_newer_version_that_others_built_is_not_moved_back() -> None:
    found = planned(staged(CHANGED), produced())
    third = release(code={"orders": "select 3"})
    ending = settle(meanwhile(found, third, timedelta(minutes=1)), found, built(found, CHANGED), NOW + DAY, 10)
    assert ending.outcome is PromotionOutcome.FAILED
    assert ending.state.current[ORDERS].version == third.models[ORDERS].version
    assert {told.result for told in ending.models.values()} == {"skipped"}


def test_a_child_of_a_parent_that_others_moved_does_not_enter() -> None:
    found = planned(staged(release(code={"revenue": "select 2"})), produced())
    ending = settle(
        meanwhile(found, CHANGED, timedelta(minutes=-1), [ORDERS]),
        found,
        built(found, release(code={"revenue": "select 2"})),
        NOW,
        10,
    )
    assert ending.models[REVENUE].result == "skipped"
    assert ending.state.current[ORDERS].version == CHANGED.models[ORDERS].version


def test_what_stands_on_a_model_that_was_not_moved_back_does_not_enter() -> None:
    found = planned(staged(CHANGED), produced())
    third = release(code={"orders": "select 3"})
    ending = settle(meanwhile(found, third, timedelta(minutes=1), [ORDERS]), found, built(found, CHANGED), NOW, 10)
    assert {told.result for told in ending.models.values()} == {"skipped"}
    assert ending.state.current[REVENUE].stale_since is not None


def test_metadata_of_a_model_that_others_moved_is_left_alone() -> None:
    revised = with_tests(SHOP, revised={"revenue": "new"})
    found = planned(staged(revised), produced(), "revenue")
    ending = settle(meanwhile(found, CHANGED, timedelta(minutes=-1)), found, built(found, revised), NOW, 10)
    assert ending.models[REVENUE].result == "skipped"
    assert ending.state.current[REVENUE].version == CHANGED.models[REVENUE].version


def test_a_plan_by_record_goes_past_nobody_either() -> None:
    found = planned(staged(release(code={"revenue": "select 2"})), produced(), strategy=Strategy.RECORD)
    ending = settle(meanwhile(found, CHANGED, timedelta(minutes=-1), [ORDERS]), found, Built(), NOW, 10)
    assert ending.models[REVENUE].result == "skipped"


# --- going back, and what is left over --------------------------------------------------------------------------------


def at(name: str) -> Place:
    return Place(database="shop", schema="analytics", identifier=name)


KEPT = {ORDERS: KeptRelation(place=at("orders__old"), rows_at=NOON)}
BESIDE = {ORDERS: at("orders__next"), REVENUE: at("revenue__next")}


PLACED = replace(ANN, beside=BESIDE, kept=KEPT)


def begun(found: Plan) -> EnvironmentState:
    return begin(produced(), found, PLACED, NOW, 10)


def roles(state: EnvironmentState) -> dict[str, str]:
    return {leftover.place.identifier: leftover.role.value for leftover in state.leftovers}


def test_what_a_promotion_replaced_is_a_checkpoint() -> None:
    found = planned(staged(CHANGED), produced())
    ending = settle(begun(found), found, built(found, CHANGED), NOW, 10)
    (checkpoint,) = ending.state.checkpoints
    assert (checkpoint.by, checkpoint.kept, checkpoint.whole) == (found.plan_id, KEPT, True)
    assert standing_at(ending.state, checkpoint.id) == produced().current
    assert (roles(ending.state), ending.state.journal) == ({}, None)
    assert settle(begun(found), found, built(found, CHANGED), NOW, 10, 0).state.checkpoints == ()


def test_what_did_not_advance_leaves_what_was_built_beside() -> None:
    found = planned(staged(CHANGED), produced())
    failed = built(found, CHANGED, {ORDERS: ResultStatus.FAILED})
    ending = settle(begun(found), found, failed, NOW, 10)
    assert ending.outcome is PromotionOutcome.FAILED
    assert (ending.state.checkpoints, ending.state.current[ORDERS]) == ((), produced().current[ORDERS])
    assert roles(ending.state) == {"orders__next": "shadow", "revenue__next": "shadow", "orders__old": "superseded"}


def test_what_broke_off_leaves_its_relations_over_once() -> None:
    found = planned(staged(CHANGED), produced())
    state = abort(begun(found), "it broke", NOW, 10, touched=False)
    assert roles(state) == {"orders__next": "shadow", "revenue__next": "shadow", "orders__old": "superseded"}
    again = abort(begin(state, found, PLACED, NOW, 10), "it broke", NOW, 10, touched=False)
    assert sorted(roles(again)) == ["orders__next", "orders__old", "revenue__next"]


def test_a_place_that_is_used_again_is_left_over_no_more() -> None:
    found = planned(staged(CHANGED), produced())
    state = abort(begun(found), "it broke", NOW, 10, touched=False)
    assert roles(begin(state, found, PLACED, NOW, 10)) == {}
    other = replace(ANN, beside={ORDERS: at("orders__again")})
    assert sorted(roles(begin(state, found, other, NOW, 10))) == ["orders__next", "orders__old", "revenue__next"]
    assert [KEPT[ORDERS].place.told, at("orders").named("revenue").told] == [
        "analytics.orders__old",
        "analytics.revenue",
    ]


def test_what_nothing_had_to_be_built_of_was_there_before_its_children_were_built() -> None:
    found = planned(staged(CHANGED), produced())
    there = replace(built(found, CHANGED, without=[ORDERS]), there=frozenset({ORDERS, RAW}))
    ending = settle(begin(produced(), found, ANN, NOW + DAY, 10), found, there, NOW + DAY, 10)
    assert ending.outcome is PromotionOutcome.PROMOTED
    entry = ending.state.current[ORDERS]
    assert (entry.since, entry.by, entry.version) == (NOW, found.plan_id, CHANGED.models[ORDERS].version)
    forced = planned(staged(), produced(), "orders", force=True)
    again = replace(built(forced, SHOP, without=[ORDERS]), there=frozenset({ORDERS}))
    assert settle(begin(produced(), forced, ANN, NOW, 10), forced, again, NOW, 10).state.current == produced().current


def test_what_was_built_beside_and_not_swapped_leaves_the_environment_as_it_was() -> None:
    found = planned(staged(CHANGED), produced())
    withheld = replace(built(found, CHANGED), withheld=frozenset(change.model for change in found.changes))
    ending = settle(begun(found), found, withheld, NOW, 10)
    assert (ending.outcome, ending.state.unfinalized) == (PromotionOutcome.FAILED, None)
    assert (ending.state.current, ending.state.checkpoints) == (produced().current, ())
    assert set(roles(ending.state)) == {"orders__next", "revenue__next", "orders__old"}
