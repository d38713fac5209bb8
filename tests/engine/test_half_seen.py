"""The document says what readers see of a promotion that did not go well; what they never saw proves nothing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Swapped
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.orders import SwapRequest
from airflow_dbt_promotion.core.rolling_back import How
from airflow_dbt_promotion.core.state import Drift, PromotionOutcome, Unfinalized
from airflow_dbt_promotion.engine import PromotionRequest, RollbackRequest
from airflow_dbt_promotion.failpoints import Failpoint
from tests.engine.test_resuming import die
from tests.kept_shop import KeptShop, with_text
from tests.scenarios import DAY, defined, model_id, path, test_id

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
ASKED = PromotionRequest(target="production", actor="ann")
TASK = replace(ASKED, run="task 1")
BACK = RollbackRequest(environment="production", reason="it doubles rows", actor="ann", rebuild=False)


def opened(**policy: object) -> KeptShop:
    """Return a shop of which production holds a first edition, by a swap."""
    shop = KeptShop(defined(), path(**policy))
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    return shop


def soaked(shop: KeptShop, number: int, name: str = "orders") -> None:
    """Let another edition of a model soak in staging."""
    shop.clock.pass_by(DAY)
    shop.edit(with_text(shop.definition, name, f"select {number} as id"))
    shop.run("staging")
    shop.clock.pass_by(DAY)


@pytest.mark.parametrize("marks", [True, False])
def test_what_an_earlier_attempt_has_swapped_is_not_withheld_where_its_tests_fail_now(marks: bool) -> None:
    shop = opened(marks=marks)
    soaked(shop, 2)
    before = shop.versions()
    die(shop, Failpoint.PUBLISHED, TASK)
    shop.workshop.failing = {test_id("revenue")}
    told = shop.engine.promote(TASK)
    assert told.outcome is PromotionOutcome.FAILED
    assert {model: one.result for model, one in told.models.items()} == {ORDERS: "advanced", REVENUE: "failed"}
    state = shop.state()
    assert state.current[ORDERS].version != before[ORDERS]
    assert state.unfinalized is not None
    assert state.unfinalized.models == (REVENUE,)
    assert state.checkpoints[0].kept.keys() == {ORDERS, REVENUE}


def test_a_build_beside_that_readers_never_see_mends_nothing() -> None:
    shop = opened()
    soaked(shop, 2)
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    state = shop.state()
    undone = Unfinalized(plan_id=state.history[0].plan_id, since=shop.clock(), models=(STG,), why="half of it")
    drift = {RAW: Drift(version=state.current[ORDERS].version, seen_at=shop.clock(), by="run")}
    shop.store.write(replace(state, unfinalized=undone, drift=drift), state.serial)
    evidence = shop.state().evidence
    shop.workshop.failing = {test_id("orders")}
    assert shop.engine.roll_back(BACK).outcome is PromotionOutcome.FAILED
    state = shop.state()
    assert (state.unfinalized, state.drift) == (undone, drift)
    assert (state.evidence[RAW], state.evidence[STG]) == (evidence[RAW], evidence[STG])


def test_what_a_promotion_left_undone_is_not_kept_as_what_was_there() -> None:
    shop = opened()
    soaked(shop, 2, "revenue")
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    before = shop.versions()
    soaked(shop, 3)
    shop.workshop.failing = {test_id("orders")}
    assert shop.engine.promote(replace(ASKED, strategy=Strategy.BUILD)).outcome is PromotionOutcome.FAILED
    assert shop.versions()[ORDERS] == before[ORDERS]
    shop.workshop.failing = ()
    soaked(shop, 4)
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    state = shop.state()
    assert ORDERS in state.checkpoints[0].before
    assert ORDERS not in state.checkpoints[0].kept
    told = shop.engine.roll_back(BACK)
    assert told.back is not None
    assert {way.model: way.how for way in told.back.ways}[ORDERS] is How.BUILT
    assert not {relation.place for relation in told.back.kept.values()} & {one.place for one in state.leftovers}


def test_a_rollback_that_went_half_of_the_way_is_never_what_is_gone_back_to() -> None:
    shop = opened()
    soaked(shop, 2)
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    goal = shop.state().checkpoints[0]
    first = shop.state().current[ORDERS].version
    shop.workshop.swaps = False
    shop.workshop.failing = {REVENUE}
    assert shop.engine.roll_back(BACK).outcome is PromotionOutcome.FAILED
    assert shop.state().current[ORDERS].version != first
    shop.workshop.failing = ()
    told = shop.engine.roll_back(BACK)
    assert (told.outcome, told.promotion.plan.rollback_to) == (PromotionOutcome.PROMOTED, goal.id)
    state = shop.state()
    assert (state.unfinalized, [one.whole for one in state.checkpoints]) == (None, [False])


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize("took_place", [True, False])
def test_a_swap_whose_answer_was_lost_is_carried_on_by_its_retry(marks: bool, took_place: bool) -> None:
    shop = opened(marks=marks)
    soaked(shop, 2)
    swap = shop.workshop.swap

    def losing(request: SwapRequest) -> Swapped:
        shop.workshop.swap = swap  # type: ignore[method-assign]
        if took_place:
            swap(request)
        raise DbtError("the connection was lost")

    shop.workshop.swap = losing  # type: ignore[method-assign]
    with pytest.raises(DbtError):
        shop.engine.promote(TASK)
    assert shop.engine.promote(TASK).outcome is PromotionOutcome.PROMOTED
    state = shop.state()
    assert (state.journal, state.unfinalized, state.leftovers) == (None, None, ())
    assert (state.checkpoints[0].whole, state.checkpoints[0].kept.keys()) == (True, {ORDERS, REVENUE})
    assert shop.engine.roll_back(BACK).outcome is PromotionOutcome.PROMOTED
