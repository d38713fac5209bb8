"""A promotion in several tasks: parts are built by themselves, and become visible together, or not at all."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Obstacle
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.errors import (
    DbtError,
    LockHeldError,
    LockLostError,
    NotOpenError,
    PartsMissingError,
    PlanMovedError,
)
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest, quiet
from airflow_dbt_promotion.engine.parts import Opened, PartOrder
from airflow_dbt_promotion.failpoints import Failpoint
from tests.engine.test_resuming import die_in
from tests.kept_shop import STAGING, KeptShop, with_text
from tests.scenarios import DAY, PARENTS, defined, model_id, path, test_id

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
MILLS, PLANTS = map(model_id, ("mills", "plants"))
PARTED = {**PARENTS, "mills": (), "plants": ("mills",)}
OPENS = PromotionRequest(target="production", actor="ann", run="run 1")
FINISHES = replace(OPENS, finishes=True)


@pytest.fixture
def shop() -> KeptShop:
    """Return a shop of two lineages, built in staging a day ago, on a warehouse that swaps."""
    return stocked()


def stocked(**production: object) -> KeptShop:
    shop = KeptShop(defined(parents=PARTED), path(**production))
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    return shop


def opened(shop: KeptShop, request: PromotionRequest = OPENS, most: int = 4) -> Opened:
    return shop.engine.parts.open(request, most, quiet)


def build(shop: KeptShop, part: str, run: str | None = None) -> bool:
    """Build a part, as a task of its own, and say whether all was well."""
    order = PartOrder(target="production", opened_as="run 1", part=part, actor="ann", run=run or f"part {part}")
    return shop.engine.parts.build(order, quiet).well


def finished(shop: KeptShop) -> Promotion:
    return shop.engine.promote(FINISHES)


def visible(shop: KeptShop) -> set[str]:
    """Return what readers of production see, by name."""
    return {place.identifier for place in shop.workshop.relations if "__" not in place.identifier}


def test_parts_are_built_by_themselves_and_seen_together(shop: KeptShop) -> None:
    found = opened(shop)
    assert found.is_open
    assert {name: set(models) for name, models in found.parts.items()} == {
        "1": {RAW, STG, ORDERS, REVENUE},
        "2": {MILLS, PLANTS},
    }
    assert build(shop, "2")
    assert build(shop, "1")
    assert visible(shop) == set()
    told = finished(shop)
    assert told.outcome is PromotionOutcome.PROMOTED
    assert visible(shop) == {"raw_orders", "stg_orders", "orders", "revenue", "mills", "plants"}
    assert shop.versions() == shop.versions(STAGING)
    assert [{model.id for model in order.models} for order in shop.workshop.orders] == [
        {MILLS, PLANTS},
        {RAW, STG, ORDERS, REVENUE},
    ]
    assert [order.part for order in shop.workshop.orders] == ["2", "1"]
    (swapped,) = shop.workshop.swapped
    assert len(swapped.arrangement.besides) == 6
    state = shop.state()
    assert (state.journal, state.lock, state.leftovers) == (None, None, ())
    assert state.history[0].attempts == 1
    assert all(evidence[0].passed_tests is not None for evidence in state.evidence.values())


def test_the_environment_is_locked_from_the_opening_to_the_end(shop: KeptShop) -> None:
    opened(shop)
    shop.clock.pass_by(timedelta(minutes=50))
    with pytest.raises(LockHeldError):
        shop.engine.promote(replace(OPENS, run="another", lock_timeout=0))
    assert build(shop, "1")
    shop.clock.pass_by(timedelta(minutes=50))
    with pytest.raises(LockHeldError, match="ann"):
        shop.engine.promote(replace(OPENS, run="another", lock_timeout=0))
    assert build(shop, "2")
    assert finished(shop).outcome is PromotionOutcome.PROMOTED


def test_what_is_not_gone_on_with_gives_way_and_its_parts_are_refused(shop: KeptShop) -> None:
    opened(shop)
    assert build(shop, "1")
    shop.clock.pass_by(timedelta(minutes=61))
    assert shop.engine.promote(replace(OPENS, run="another")).outcome is PromotionOutcome.PROMOTED
    with pytest.raises(NotOpenError, match="interrupted"):
        build(shop, "2")
    with pytest.raises(NotOpenError, match="errored, interrupted"):
        finished(shop)
    left = {leftover.place.identifier.partition("__")[0] for leftover in shop.state().leftovers}
    assert left == {"raw_orders", "stg_orders", "orders", "revenue", "mills", "plants"}


def test_a_part_whose_tests_fail_fails_all_and_readers_see_nothing_of_it(shop: KeptShop) -> None:
    opened(shop)
    assert build(shop, "2")
    shop.workshop.failing = (test_id("orders"),)
    assert not build(shop, "1")
    shop.workshop.failing = ()
    told = finished(shop)
    assert told.outcome is PromotionOutcome.FAILED
    assert visible(shop) == set()
    assert told.models[ORDERS].result == "failed"
    assert told.models[MILLS].result == "skipped"
    assert shop.state().current == {}
    assert len(shop.workshop.orders) == 2
    assert (shop.state().journal, shop.state().lock) == (None, None)


def test_a_part_that_is_missing_ends_the_promotion_and_gives_the_lock_back(shop: KeptShop) -> None:
    opened(shop)
    assert build(shop, "2")
    with pytest.raises(PartsMissingError, match="part 1 was not built"):
        finished(shop)
    assert visible(shop) == set()
    assert (shop.state().journal, shop.state().lock, shop.state().unfinalized) == (None, None, None)
    assert shop.state().history[0].outcome is PromotionOutcome.ERRORED
    with pytest.raises(NotOpenError, match="has ended: errored, part 1 was not built"):
        finished(shop)


def test_what_died_in_a_part_is_built_again_by_its_retry_and_other_parts_are_not(shop: KeptShop) -> None:
    opened(shop)
    assert build(shop, "2")
    die_in(shop, Failpoint.PART_BUILT, lambda: build(shop, "1"))
    held = shop.state().journal
    assert held is not None
    assert held.parts["1"].lock is not None
    with pytest.raises(LockHeldError):
        shop.engine.parts.build(
            PartOrder(target="production", opened_as="run 1", part="1", run="somebody else", lock_timeout=0), quiet
        )
    assert build(shop, "1")
    assert [order.part for order in shop.workshop.orders] == ["2", "1", "1"]
    assert build(shop, "1")
    assert len(shop.workshop.orders) == 3
    assert finished(shop).outcome is PromotionOutcome.PROMOTED


def test_what_is_ended_by_its_retry_can_write_no_more(shop: KeptShop) -> None:
    opened(shop)
    another = []

    def meanwhile() -> None:
        if not another:
            another.append(shop.processes.me)
            shop.processes.me = replace(shop.processes.me, pid=shop.processes.me.pid + 1)
            assert build(shop, "1")

    shop.workshop.meanwhile = meanwhile
    with pytest.raises(LockLostError):
        build(shop, "1")
    shop.workshop.meanwhile = bool
    assert build(shop, "2")
    assert finished(shop).outcome is PromotionOutcome.PROMOTED


def test_a_part_whose_machine_breaks_gives_its_lock_back_and_can_be_built_again(shop: KeptShop) -> None:
    opened(shop)
    shop.workshop.build_breaks = DbtError("the warehouse is away")
    with pytest.raises(DbtError):
        build(shop, "1")
    shop.workshop.build_breaks = None
    assert build(shop, "1", run="somebody else")
    assert build(shop, "2")
    assert finished(shop).outcome is PromotionOutcome.PROMOTED


def test_what_breaks_at_the_end_is_finished_by_a_retry_and_nothing_is_built_again(shop: KeptShop) -> None:
    opened(shop)
    assert build(shop, "1")
    assert build(shop, "2")
    shop.workshop.swap_breaks = DbtError("the warehouse is away")
    with pytest.raises(DbtError):
        finished(shop)
    assert shop.state().lock is None
    shop.workshop.swap_breaks = None
    assert finished(shop).outcome is PromotionOutcome.PROMOTED
    assert len(shop.workshop.orders) == 2
    again = finished(shop)
    assert (again.outcome, again.retold) == (PromotionOutcome.PROMOTED, True)
    assert len(shop.workshop.swapped) == 2


def test_an_opening_that_is_tried_again_is_the_same_and_after_the_end_it_tells(shop: KeptShop) -> None:
    first = opened(shop)
    assert build(shop, "1")
    again = opened(shop)
    assert (again.promotion, again.is_open, again.parts) == (None, True, first.parts)
    assert build(shop, "2")
    finished(shop)
    after = opened(shop)
    assert (after.is_open, after.parts) == (False, {})
    assert after.promotion is not None
    assert after.promotion.retold
    assert len(shop.workshop.swapped) == 1


def test_a_plan_of_one_piece_and_what_cannot_be_divided_is_done_at_the_end(shop: KeptShop) -> None:
    shop.workshop.is_shared = False
    found = opened(shop)
    assert (found.is_open, found.parts) == (True, {})
    told = finished(shop)
    assert told.outcome is PromotionOutcome.PROMOTED
    assert shop.state().history[0].attempts == 1
    assert len(shop.workshop.orders) == 1


@pytest.mark.parametrize("strategy", [Strategy.BUILD, Strategy.RECORD])
def test_what_is_not_built_beside_is_not_divided(shop: KeptShop, strategy: Strategy) -> None:
    request = replace(OPENS, strategy=strategy)
    found = opened(shop, request)
    assert (found.is_open, found.parts) == (True, {})
    assert finished(shop).outcome is PromotionOutcome.PROMOTED
    assert shop.state().history[0].strategy == strategy.value


def test_at_most_so_many_parts_of_about_the_same_work() -> None:
    names = ["a", "b", "c", "d", "e"]
    shop = KeptShop(defined(parents={"big": (), "bigger": ("big",), **dict.fromkeys(names, ())}))
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    found = opened(shop, most=2)
    sizes = sorted(len(models) for models in found.parts.values())
    assert sizes == [3, 4]
    together = next(models for models in found.parts.values() if model_id("big") in models)
    assert model_id("bigger") in together


def test_what_may_not_go_or_is_there_is_not_opened(shop: KeptShop) -> None:
    early = stocked(soak=30 * DAY)
    refused = opened(early, replace(OPENS, models=("orders",), include_upstream=True))
    assert not refused.is_open
    assert refused.promotion is not None
    assert refused.promotion.outcome is PromotionOutcome.REFUSED
    with pytest.raises(NotOpenError, match="no such promotion"):
        finished(early)
    opened(shop)
    assert build(shop, "1")
    assert build(shop, "2")
    finished(shop)
    nothing = opened(shop, replace(OPENS, run="run 2"))
    assert nothing.promotion is not None
    assert (nothing.is_open, nothing.promotion.outcome) == (False, PromotionOutcome.NOTHING_TO_DO)


def test_what_is_in_the_way_is_told_at_the_opening_and_where_it_comes_later(shop: KeptShop) -> None:
    obstacle = Obstacle(model=MILLS, code="not_swappable", reason="a view would be lost")
    shop.workshop.obstacles = (obstacle,)
    refused = opened(shop)
    assert not refused.is_open
    shop.workshop.obstacles = ()
    opened(shop)
    shop.workshop.obstacles = (obstacle,)
    assert not build(shop, "1")
    shop.workshop.obstacles = ()
    assert build(shop, "2")
    told = finished(shop)
    assert told.outcome is PromotionOutcome.FAILED
    assert "a view would be lost" in told.words


def test_a_plan_that_moves_while_it_is_built_is_refused(shop: KeptShop) -> None:
    opened(shop)
    assert build(shop, "1")
    shop.engine.hold("production", "ann", "the numbers look odd")
    with pytest.raises(PlanMovedError, match="is held since"):
        build(shop, "2")
    told = finished(shop)
    assert told.outcome is PromotionOutcome.REFUSED
    assert visible(shop) == set()
    assert (shop.state().journal, shop.state().lock) == (None, None)
    assert finished_again(shop)


def test_a_gate_that_shuts_while_it_is_built_refuses_it(shop: KeptShop) -> None:
    opened(shop)
    assert build(shop, "1")
    shop.run("staging", failing=[test_id("mills")])
    with pytest.raises(PlanMovedError, match="failed"):
        build(shop, "2")
    told = finished(shop)
    assert told.outcome is PromotionOutcome.REFUSED
    assert shop.state().history[0].message.startswith("not finished: ")
    assert visible(shop) == set()


def test_what_moves_on_in_staging_meanwhile_does_not_keep_it(shop: KeptShop) -> None:
    opened(shop)
    before = shop.versions(STAGING)
    shop.edit(with_text(shop.definition, "orders", "select 2 as orders"))
    shop.run("staging")
    assert build(shop, "1")
    assert build(shop, "2")
    assert finished(shop).outcome is PromotionOutcome.PROMOTED
    assert shop.versions() == before


def finished_again(shop: KeptShop) -> bool:
    """Say whether another attempt to finish is told that it is over."""
    with pytest.raises(NotOpenError):
        finished(shop)
    return True


def test_a_part_that_nobody_opened_is_an_error(shop: KeptShop) -> None:
    with pytest.raises(NotOpenError):
        build(shop, "1")
    opened(shop)
    with pytest.raises(NotOpenError, match="no part '7'"):
        build(shop, "7")
    with pytest.raises(NotOpenError):
        shop.engine.parts.build(PartOrder(target="production", opened_as="run 7", part="1"), quiet)


def test_what_is_opened_needs_a_run(shop: KeptShop) -> None:
    with pytest.raises(ValueError, match="same run"):
        opened(shop, replace(OPENS, run=None))


def test_a_lock_that_was_opened_by_force_lets_no_part_go_on_and_resume_builds_the_rest(shop: KeptShop) -> None:
    opened(shop)
    assert build(shop, "1")
    shop.engine.unlock("production", "ann", "Airflow is gone")
    with pytest.raises(NotOpenError):
        build(shop, "2")
    told = shop.engine.resume(replace(OPENS, run=None))
    assert told.outcome is PromotionOutcome.PROMOTED
    built = [{model.id for model in order.models} for order in shop.workshop.orders]
    assert len(built) == 2
    assert built[0].isdisjoint(built[1])
    assert shop.versions() == shop.versions(STAGING)
