"""Rolling back: old relations come back at once, and what was left stays out; a retry never goes back one further."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.checkpoints import standing_at
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import (
    DbtError,
    LockHeldError,
    NoCheckpointError,
    ReasonRequiredError,
    UnknownCheckpointError,
    UnknownEnvironmentError,
)
from airflow_dbt_promotion.core.rolling_back import How, Return
from airflow_dbt_promotion.core.state import Drift, PromotionOutcome, Unfinalized
from airflow_dbt_promotion.core.stops import InterventionKind
from airflow_dbt_promotion.core.windows import Window, Windows
from airflow_dbt_promotion.engine import PromotionRequest, Rollback, RollbackRequest
from airflow_dbt_promotion.failpoints import Failpoint, arm
from tests.engine.test_resuming import die, die_in
from tests.kept_shop import PRODUCTION, KeptShop, with_text, without
from tests.locking import locked
from tests.scenarios import DAY, defined, model_id, path, test_id

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
BOTH = {ORDERS, REVENUE}
ASKED = RollbackRequest(environment="production", reason="it doubles rows", actor="ann")


def release(shop: KeptShop, text: str) -> None:
    """Let another text of `orders` soak in staging, and promote it."""
    shop.edit(with_text(shop.definition, "orders", text))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    told = shop.engine.promote(PromotionRequest(target="production", actor="ann"))
    assert told.outcome is PromotionOutcome.PROMOTED, told.message
    shop.clock.pass_by(timedelta(hours=1))


def opened(shop: KeptShop, *, swaps: bool = True) -> KeptShop:
    """Return a shop of which production holds its first version, and then a second one of `orders`."""
    shop.workshop.swaps = swaps
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.engine.promote(PromotionRequest(target="production")).outcome is PromotionOutcome.PROMOTED
    release(shop, "select 2")
    return shop


@pytest.fixture
def shop() -> KeptShop:
    """Return it on a warehouse that swaps."""
    return opened(KeptShop(defined()))


def back(shop: KeptShop, **asked: object) -> Rollback:
    return shop.engine.roll_back(replace(ASKED, **asked))


def built(shop: KeptShop, name: str) -> str | None:
    """Return which build readers see of a model."""
    return shop.workshop.relations.get(shop.workshop.place(shop.engine.path.get("production"), model_id(name)))


# --- the story --------------------------------------------------------------------------------------------------------


def test_old_relations_come_back_and_are_then_built_anew(shop: KeptShop) -> None:
    state = shop.state()
    goal = next(one for one in state.checkpoints if one.whole)
    before = standing_at(state, goal.id)
    seen: list[Return] = []
    told = shop.engine.roll_back(ASKED, on_return=seen.append)
    assert (told.outcome, told.promotion.plan.strategy) == (PromotionOutcome.PROMOTED, Strategy.BLUE_GREEN)
    assert told.back is not None
    assert seen[0].goal == goal
    assert {way.model: (way.how, way.rows_at) for way in told.back.ways} == {
        model: (How.COMES_BACK, kept.rows_at) for model, kept in goal.kept.items()
    }
    assert set(told.promotion.models) == BOTH
    assert {model: entry.version for model, entry in before.items()} == shop.versions()
    swap, fresh = shop.workshop.swapped[-2:]
    assert {one.fill.value for one in swap.arrangement.besides} == {"kept"}
    assert {one.fill.value for one in fresh.arrangement.besides} == {"build"}
    assert told.rebuild is not None
    assert {change.kind.value for change in told.rebuild.plan.changes} == {"unchanged"}
    assert (told.rebuild.outcome, told.not_rebuilt) == (PromotionOutcome.PROMOTED, "")
    assert shop.served().release.models[ORDERS].version == before[ORDERS].version


def test_what_is_gone_from_the_warehouse_is_built_anew_and_that_is_told(shop: KeptShop) -> None:
    goal = shop.state().checkpoints[0]
    del shop.workshop.relations[goal.kept[ORDERS].place]
    told = back(shop, rebuild=False)
    assert told.outcome is PromotionOutcome.PROMOTED
    fills = {one.model: one.fill.value for one in shop.workshop.swapped[-1].arrangement.besides}
    assert fills == {ORDERS: "build", REVENUE: "kept"}
    assert told.promotion.warnings == ("what was kept of orders is gone from the warehouse; built anew from its code",)


def test_what_was_left_is_blocked_and_the_environment_is_held(shop: KeptShop) -> None:
    left = {model: shop.versions()[model] for model in BOTH}
    told = back(shop)
    state, plan_id = shop.state(), told.promotion.plan.plan_id
    assert {model: [block.version for block in found] for model, found in state.blocks.items()} == {
        model: [version] for model, version in left.items()
    }
    assert state.hold is not None
    assert (state.hold.actor, state.hold.reason, state.hold.plan_id) == ("ann", "it doubles rows", plan_id)
    assert [one.kind for one in state.interventions] == [
        InterventionKind.ROLLBACK,
        InterventionKind.BLOCK,
        InterventionKind.HOLD,
    ]
    rebuilt, record = state.history[:2]
    assert (record.rollback_to, record.reason, record.source) == (
        told.promotion.plan.rollback_to,
        ASKED.reason,
        PRODUCTION,
    )
    assert (rebuilt.rollback_to, rebuilt.outcome) == (None, PromotionOutcome.PROMOTED)
    shop.engine.release("production", "ben", "understood")
    refused = shop.engine.promote(PromotionRequest(target="production", models=("orders",), include_downstream=True))
    assert {verdict.code for _, verdict in refused.plan.refusals} == {"version_blocked"}
    release(shop, "select 3")
    assert shop.versions()[ORDERS] != left[ORDERS]


def test_what_came_back_is_no_waste_and_what_was_replaced_is(shop: KeptShop) -> None:
    kept = {old.place for one in shop.state().checkpoints for old in one.kept.values()}
    back(shop, rebuild=False)
    state = shop.state()
    assert state.journal is None
    places = {leftover.place for leftover in state.leftovers}
    assert not places & kept
    assert len(places) == 2
    assert places <= set(shop.workshop.relations)
    shop.engine.release("production", "ben", "go on")


def test_a_second_rollback_goes_one_further_back(shop: KeptShop) -> None:
    first = shop.versions()
    release(shop, "select 3")
    second = shop.state().current[ORDERS].version
    assert len(shop.state().checkpoints) == 3
    back(shop)
    assert shop.versions() == first
    assert second != first[ORDERS]
    told = back(shop)
    assert told.outcome is PromotionOutcome.PROMOTED
    assert built(shop, "orders") is not None
    assert [one.whole for one in shop.state().checkpoints] == [False]
    with pytest.raises(NoCheckpointError, match="it has 1, and none is whole"):
        back(shop)


def test_going_back_over_several_takes_the_relation_that_was_kept_closest(shop: KeptShop) -> None:
    goal = next(one for one in shop.state().checkpoints if one.whole)
    first = standing_at(shop.state(), goal.id)
    release(shop, "select 3")
    told = back(shop, to=goal.id, rebuild=False)
    assert told.back is not None
    assert [one.id for one in told.back.undone][-1] == goal.id
    assert told.back.kept == goal.kept
    assert {model: entry.version for model, entry in first.items()} == shop.versions()
    state = shop.state()
    assert [one.whole for one in state.checkpoints] == [False]
    assert standing_at(state, state.checkpoints[0].id) == {}
    assert len(state.leftovers) == 4
    assert len(state.blocks[ORDERS]) == 1


def test_a_model_that_came_later_leaves_and_its_relation_stays(shop: KeptShop) -> None:
    wider = defined(
        {"raw_orders": (), "stg_orders": ("raw_orders",), "orders": ("stg_orders",), "visits": ("stg_orders",)}
    )
    shop.edit(wider)
    shop.run("staging")
    shop.clock.pass_by(DAY)
    told = shop.engine.promote(PromotionRequest(target="production", allow_removals=True))
    assert told.outcome is PromotionOutcome.PROMOTED
    visits = model_id("visits")
    assert visits in shop.versions()
    told_back = back(shop)
    assert told_back.back is not None
    ways = {way.model: way.how for way in told_back.back.ways}
    assert ways[visits] is How.LEAVES
    assert ways[REVENUE] is How.COMES_BACK or ways[REVENUE] is How.BUILT
    assert visits not in shop.versions()
    assert built(shop, "visits") is not None
    assert shop.state().blocks[visits]


# --- what is in its way -----------------------------------------------------------------------------------------------


def test_a_hold_and_blocks_do_not_stop_it(shop: KeptShop) -> None:
    shop.engine.hold("production", "ann", "stop")
    assert back(shop).outcome is PromotionOutcome.PROMOTED


def test_neither_a_freeze_nor_windows_stop_it(shop: KeptShop) -> None:
    """It is the way out of what went wrong, and that happens at night, and before Christmas."""
    hours = Windows(allow=(Window(name="business hours", zone="UTC"),))
    closed = opened(KeptShop(defined(), path(windows=hours)))
    closed.calendar.never = True
    for one in (shop, closed):
        one.engine.freeze("production", "ben", "year end")
        assert one.engine.promote(PromotionRequest(target="production")).outcome is PromotionOutcome.REFUSED
        told = back(one)
        assert told.promotion.outcome is PromotionOutcome.PROMOTED
        assert told.rebuild is not None
        assert told.rebuild.outcome is PromotionOutcome.PROMOTED
        assert one.state(PRODUCTION).freeze is not None


def test_a_dry_run_tells_all_and_writes_nothing(shop: KeptShop) -> None:
    before, orders = shop.state(), len(shop.workshop.orders)
    told = back(shop, dry_run=True)
    assert (told.outcome, told.promotion.dry_run) == (PromotionOutcome.PLANNED, True)
    assert told.back is not None
    assert set(told.back.kept) == BOTH
    assert (shop.state(), len(shop.workshop.orders)) == (before, orders)


def test_a_failing_test_leaves_everything_as_it_was(shop: KeptShop) -> None:
    before = shop.state()
    shop.workshop.failing = {test_id("orders")}
    told = back(shop)
    assert (told.outcome, told.rebuild) == (PromotionOutcome.FAILED, None)
    state = shop.state()
    assert (state.current, state.checkpoints) == (before.current, before.checkpoints)
    assert (state.hold, state.blocks, state.unfinalized) == (None, {}, None)


def test_a_checkpoint_that_is_not_whole_is_refused(shop: KeptShop) -> None:
    oldest = shop.state().checkpoints[-1]
    told = back(shop, to=oldest.id)
    assert told.outcome is PromotionOutcome.REFUSED
    assert [verdict.code for _, verdict in told.promotion.plan.refusals] == ["checkpoint_not_whole"]


def test_what_was_never_kept_cannot_be_built_again(shop: KeptShop) -> None:
    state = shop.state()
    point = state.checkpoints[0]
    forgotten = {model: entry and replace(entry, release=None) for model, entry in point.before.items()}
    shop.store.write(replace(state, checkpoints=(replace(point, before=forgotten),)), state.serial)
    told = back(shop)
    assert {verdict.code for _, verdict in told.promotion.plan.refusals} == {"checkpoint_not_kept"}


def test_sources_that_are_lost_and_code_that_comes_out_otherwise_are_refused(shop: KeptShop) -> None:
    kept = dict(shop.workshop.kept)
    release_id = next(e.release for e in shop.state().checkpoints[0].before.values() if e is not None and e.release)
    del shop.workshop.kept[release_id]
    told = back(shop)
    assert "code_lost" in {verdict.code for _, verdict in told.promotion.plan.refusals}
    shop.workshop.kept = {**kept, release_id: without(kept[release_id], REVENUE)}
    told = back(shop)
    assert "not_in_target" in {verdict.code for _, verdict in told.promotion.plan.refusals}


def test_what_stands_and_cannot_be_put_together_is_refused(shop: KeptShop) -> None:
    state = shop.state()
    wrong = {**state.current, RAW: replace(state.current[RAW], code="another")}
    shop.store.write(replace(state, current=wrong), state.serial)
    told = back(shop)
    assert "not_reproducible" in {verdict.code for _, verdict in told.promotion.plan.refusals}


def test_there_has_to_be_a_checkpoint_a_reason_and_an_environment(shop: KeptShop) -> None:
    with pytest.raises(UnknownCheckpointError, match="nonsense"):
        back(shop, to="nonsense")
    with pytest.raises(ReasonRequiredError):
        back(shop, reason=" ")
    with pytest.raises(UnknownEnvironmentError):
        back(shop, environment="nowhere")
    with pytest.raises(NoCheckpointError):
        KeptShop(defined()).engine.roll_back(ASKED)


def test_it_waits_for_its_turn_and_then_rests_on_what_it_was_planned_on(shop: KeptShop) -> None:
    with locked(shop.store, "production", "ben", shop.clock()), pytest.raises(LockHeldError, match="ben"):
        back(shop, lock_timeout=0.0)

    def meanwhile(_: Return) -> None:
        state = shop.state()
        moved = replace(state, current={**state.current, ORDERS: replace(state.current[ORDERS], version="other")})
        shop.store.write(moved, state.serial)

    told = shop.engine.roll_back(ASKED, on_return=meanwhile)
    assert [verdict.code for _, verdict in told.promotion.plan.refusals] == ["plan_moved"]


# --- other warehouses, other strategies -------------------------------------------------------------------------------


def test_where_nothing_can_be_swapped_everything_is_built_from_the_code_of_the_checkpoint() -> None:
    shop = opened(KeptShop(defined()), swaps=False)
    orders = len(shop.workshop.orders)
    told = back(shop)
    assert (told.outcome, told.promotion.plan.strategy, told.rebuild) == (
        PromotionOutcome.PROMOTED,
        Strategy.BUILD,
        None,
    )
    assert told.back is not None
    assert {way.how for way in told.back.ways} == {How.BUILT}
    assert [model.id for model in shop.workshop.orders[orders].models] == [ORDERS, REVENUE]
    assert shop.state().hold is not None


def test_where_policy_builds_in_place_it_goes_back_in_place_whatever_could_be_swapped() -> None:
    shop = opened(KeptShop(defined(), path(strategy=Strategy.BUILD)))
    told = back(shop)
    assert (told.outcome, told.promotion.plan.strategy) == (PromotionOutcome.PROMOTED, Strategy.BUILD)
    assert (shop.workshop.arranged, shop.workshop.swapped) == ([], [])


def test_where_swaps_were_never_run_it_swaps_back_only_what_somebody_swapped_by_name(shop: KeptShop) -> None:
    shop.workshop.swaps_ran = False
    assert back(shop, dry_run=True).promotion.plan.strategy is Strategy.BLUE_GREEN
    other = KeptShop(defined())
    other.workshop.swaps_ran = False
    told = back(opened(other))
    assert (told.outcome, told.promotion.plan.strategy) == (PromotionOutcome.PROMOTED, Strategy.BUILD)
    assert other.workshop.swapped == []


def test_where_others_deploy_what_is_approved_the_state_alone_goes_back() -> None:
    shop = opened(KeptShop(defined(), path(strategy=Strategy.RECORD)))
    told = back(shop)
    assert (told.outcome, told.rebuild, shop.workshop.orders) == (PromotionOutcome.PROMOTED, None, [])
    assert told.back is not None
    assert {way.how for way in told.back.ways} == {How.STATE_ONLY}


@pytest.mark.parametrize("fresh", [False, True])
def test_incremental_models_of_which_nothing_is_kept_go_forward_and_that_is_told(fresh: bool) -> None:
    change = IncrementalChange.FULL_REFRESH if fresh else IncrementalChange.FORWARD_ONLY
    shop = opened(KeptShop(defined(incremental={"orders"}), path(on_incremental_change=change)), swaps=False)
    told = back(shop, dry_run=True)
    assert told.back is not None
    lasting = {way.model: way.lasting for way in told.back.ways}
    assert (lasting[ORDERS] is None) == fresh
    assert lasting[REVENUE] is None
    assert told.promotion.plan.choices.on_incremental_change is change


def test_a_snapshot_takes_no_rows_by_its_old_code_where_everything_is_built() -> None:
    known = defined()
    snapshot = replace(known.nodes[ORDERS], unique_id="snapshot.shop.orders", resource_type="snapshot")
    nodes = {id_: node for id_, node in known.nodes.items() if id_ in {RAW, STG}}
    shop = KeptShop(replace(known, nodes={**nodes, snapshot.unique_id: snapshot}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.engine.promote(PromotionRequest(target="production")).outcome is PromotionOutcome.PROMOTED
    first = shop.versions()
    changed = {**shop.definition.nodes, snapshot.unique_id: replace(snapshot, raw_code="select 5 as id")}
    shop.edit(replace(shop.definition, nodes=changed))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.engine.promote(PromotionRequest(target="production")).outcome is PromotionOutcome.PROMOTED
    orders = len(shop.workshop.orders)
    told = back(shop)
    assert (told.outcome, shop.versions()) == (PromotionOutcome.PROMOTED, first)
    assert [model.id for order in shop.workshop.orders[orders:] for model in order.models] == []


def test_what_a_promotion_left_undone_and_what_drifted_is_built_again(shop: KeptShop) -> None:
    state = shop.state()
    undone = Unfinalized(plan_id=state.history[0].plan_id, since=shop.clock(), models=(STG,), why="half of it")
    drift = Drift(version=state.current[RAW].version, seen_at=shop.clock(), by="run")
    shop.store.write(replace(state, unfinalized=undone, drift={RAW: drift}), state.serial)
    told = back(shop, rebuild=False)
    assert set(told.promotion.models) == {RAW, STG, ORDERS, REVENUE}
    state = shop.state()
    assert (state.unfinalized, state.drift) == (None, {})
    assert set(state.blocks) == BOTH


def test_nothing_is_to_be_done_where_it_is_as_it_was(shop: KeptShop) -> None:
    state = shop.state()
    goal = standing_at(state, state.checkpoints[0].id)
    same = {model: replace(entry, by="again") for model, entry in goal.items()}
    shop.store.write(replace(state, current=same), state.serial)
    told = back(shop)
    assert (told.outcome, shop.state().hold) == (PromotionOutcome.NOTHING_TO_DO, None)


# --- fresh rows that fail, retries ------------------------------------------------------------------------------------


def test_a_rebuilding_that_fails_leaves_what_came_back_and_is_told(shop: KeptShop) -> None:
    def fail_from_now_on(point: Failpoint) -> None:
        if point is Failpoint.COMMITTED:
            shop.workshop.failing = {ORDERS}

    arm(fail_from_now_on)
    try:
        told = back(shop)
    finally:
        arm(None)
    assert told.outcome is PromotionOutcome.PROMOTED
    assert told.rebuild is not None
    assert told.rebuild.outcome is PromotionOutcome.FAILED
    assert "did not advance" in told.not_rebuilt
    assert shop.state().unfinalized is None


def test_a_rebuilding_that_breaks_is_told(shop: KeptShop) -> None:
    shop.workshop.meanwhile = lambda: setattr(shop.workshop, "build_breaks", DbtError("out of memory"))
    told = back(shop)
    assert (told.outcome, told.rebuild) == (PromotionOutcome.PROMOTED, None)
    assert "out of memory" in told.not_rebuilt


def test_a_retry_of_the_same_run_never_goes_back_one_further(shop: KeptShop) -> None:
    release(shop, "select 3")
    first = back(shop, run="task 1")
    assert first.outcome is PromotionOutcome.PROMOTED
    before = shop.state()
    again = back(shop, run="task 1")
    assert (again.outcome, again.back) == (PromotionOutcome.PROMOTED, None)
    assert "nothing was done again" in again.promotion.message
    assert shop.state() == before
    assert back(shop, run="task 2").outcome is PromotionOutcome.PROMOTED
    assert shop.versions() != {model: entry.version for model, entry in before.current.items()}


def test_a_retry_goes_back_no_further_where_history_has_room_for_the_rebuilding_alone() -> None:
    shop = opened(KeptShop(defined(), path(keep_history=1)))
    release(shop, "select 3")
    assert back(shop, run="task 1").rebuild is not None
    before = shop.state()
    told = back(shop, run="task 1")
    assert (told.outcome, shop.state()) == (PromotionOutcome.PROMOTED, before)


@pytest.mark.parametrize("at", [Failpoint.BEGUN, Failpoint.TESTED, Failpoint.PUBLISHED])
def test_what_died_is_carried_on_by_its_retry(shop: KeptShop, at: Failpoint) -> None:
    left = shop.versions()
    die_in(shop, at, lambda: back(shop, run="task 1"))
    assert shop.state().journal is not None
    told = back(shop, run="task 1")
    assert told.outcome is PromotionOutcome.PROMOTED
    assert "carried on" in told.not_rebuilt
    state = shop.state()
    assert (state.journal, state.history[0].attempts) == (None, 2)
    assert {model for model in BOTH if shop.versions()[model] != left[model]} == BOTH
    assert state.hold is not None


def test_somebody_resumes_a_rollback_that_died(shop: KeptShop) -> None:
    die_in(shop, Failpoint.PUBLISHED, lambda: back(shop))
    shop.clock.pass_by(timedelta(hours=1))
    told = shop.engine.resume(PromotionRequest(target="production", actor="ben"))
    assert (told.outcome, told.plan.rollback_to is not None) == (PromotionOutcome.PROMOTED, True)
    assert shop.state().hold is not None


def test_a_rebuilding_that_died_is_carried_on_and_the_rollback_told(shop: KeptShop) -> None:
    first = back(shop, rebuild=False, run="task 0")
    assert first.outcome is PromotionOutcome.PROMOTED
    release_again(shop)
    swaps = len(shop.workshop.swapped)

    def die_in_the_second() -> None:
        if len(shop.workshop.swapped) == swaps + 1:
            raise KeyboardInterrupt

    shop.workshop.meanwhile = die_in_the_second
    with pytest.raises(KeyboardInterrupt):
        back(shop, run="task 1")
    shop.workshop.meanwhile = bool
    journal = shop.state().journal
    assert journal is not None
    assert (journal.rollback_to, journal.source) == (None, PRODUCTION)
    told = back(shop, run="task 1")
    assert told.outcome is PromotionOutcome.PROMOTED
    assert told.promotion.plan.rollback_to is not None
    assert shop.state().journal is None
    assert len(shop.workshop.swapped) == swaps + 2


def release_again(shop: KeptShop) -> None:
    """Promote a third version after a rollback."""
    shop.engine.release("production", "ben", "go on")
    release(shop, "select 3")


def test_a_promotion_that_broke_off_is_made_history_of_and_undone(shop: KeptShop) -> None:
    shop.edit(with_text(shop.definition, "orders", "select 9"))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    die(shop, Failpoint.PUBLISHED, PromotionRequest(target="production"))
    shop.clock.pass_by(timedelta(hours=1))
    assert shop.state().journal is not None
    told = back(shop, rebuild=False)
    assert told.outcome is PromotionOutcome.PROMOTED
    state = shop.state()
    assert [record.outcome for record in state.history[:2]] == [PromotionOutcome.PROMOTED, PromotionOutcome.ERRORED]
    assert state.unfinalized is None
