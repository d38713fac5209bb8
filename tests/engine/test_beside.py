"""What is built beside is swapped into place at once, or readers see nothing of it; what died is carried on."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Fill, Obstacle
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import DbtError, LockLostError, NotSwappedError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest
from airflow_dbt_promotion.engine.beside import Prepared, Swap
from airflow_dbt_promotion.failpoints import Failpoint
from tests.engine.test_resuming import die
from tests.kept_shop import STAGING, KeptShop, with_text
from tests.scenarios import DAY, defined, model_id, path, test_id

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
ALL = {RAW, STG, ORDERS, REVENUE}
TASK = PromotionRequest(target="production", actor="airflow", run="task 1")


@pytest.fixture
def shop() -> KeptShop:
    """Return a shop whose staging was built a day ago, on a warehouse that swaps."""
    shop = KeptShop(defined())
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    return shop


def promoted(shop: KeptShop, **choices: object) -> Promotion:
    return shop.engine.promote(replace(TASK, run=None, **choices))  # type: ignore[arg-type]


def edited(shop: KeptShop, name: str = "orders") -> None:
    """Let a new version of a model soak in staging."""
    shop.edit(with_text(shop.definition, name, f"select 2 as {name}"))
    shop.run("staging")
    shop.clock.pass_by(DAY)


def visible(shop: KeptShop) -> dict[str, str]:
    """Return what readers see, by name: by which build it was made."""
    return {place.identifier: built for place, built in shop.workshop.relations.items() if "__" not in place.identifier}


def test_it_is_what_is_done_where_the_warehouse_can_and_nobody_chose(shop: KeptShop) -> None:
    told = promoted(shop)
    assert (told.outcome, told.plan.strategy) == (PromotionOutcome.PROMOTED, Strategy.BLUE_GREEN)
    (order,), (swapped,) = shop.workshop.orders, shop.workshop.swapped
    assert order.mark is None
    assert order.arrangement is not None
    assert {one.model for one in order.arrangement.besides} == ALL
    assert [one.model for one in order.arrangement.besides] == [RAW, STG, ORDERS, REVENUE]
    assert swapped.arrangement == order.arrangement
    assert shop.versions() == shop.versions(STAGING)
    assert shop.state().history[0].strategy == "blue_green"


def test_elsewhere_it_gives_way_to_build_and_is_refused_where_it_was_chosen(shop: KeptShop) -> None:
    shop.workshop.swaps = False
    told = promoted(shop, strategy=Strategy.BLUE_GREEN)
    assert told.outcome is PromotionOutcome.REFUSED
    assert [verdict.code for _, verdict in told.plan.refusals] == ["strategy_unknown_here"]
    assert "knows no blue_green" in told.message
    told = promoted(shop)
    assert (told.outcome, told.plan.strategy) == (PromotionOutcome.PROMOTED, Strategy.BUILD)
    assert shop.workshop.swapped == []


def test_policy_that_chooses_it_is_a_choice(shop: KeptShop) -> None:
    shop = KeptShop(defined(), path(strategy=Strategy.CLONE))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert [verdict.code for _, verdict in promoted(shop).plan.refusals] == ["strategy_unknown_here"]


def test_a_failing_test_leaves_what_readers_see_and_all_that_is_held(shop: KeptShop) -> None:
    promoted(shop)
    before, seen = shop.versions(), visible(shop)
    edited(shop)
    shop.workshop.failing = {test_id("revenue")}
    told = promoted(shop)
    assert told.outcome is PromotionOutcome.FAILED
    assert {model: one.result for model, one in told.models.items()} == {ORDERS: "skipped", REVENUE: "failed"}
    assert (shop.versions(), visible(shop)) == (before, seen)
    assert len(shop.workshop.swapped) == 1
    state = shop.state()
    assert (state.unfinalized, state.journal) == (None, None)


def test_what_readers_would_lose_is_not_swapped_and_the_reason_is_told(shop: KeptShop) -> None:
    promoted(shop)
    before, seen = shop.versions(), visible(shop)
    edited(shop)
    shop.workshop.swap_words = ("the view sales reads a column that is gone",)
    told = promoted(shop)
    assert (told.outcome, told.words) == (PromotionOutcome.FAILED, shop.workshop.swap_words)
    assert "a column that is gone" in told.message
    assert (shop.versions(), visible(shop), shop.state().unfinalized) == (before, seen, None)


def test_what_is_in_the_way_refuses_before_anything_is_built_or_written(shop: KeptShop) -> None:
    shop.workshop.obstacles = (
        Obstacle(model=ORDERS, code="in_the_way", reason="orders__next_1 is there already"),
        Obstacle(model=None, code="other_database", reason="nothing can be written there"),
    )
    told = promoted(shop)
    assert told.outcome is PromotionOutcome.REFUSED
    assert [verdict.code for _, verdict in told.plan.refusals] == ["in_the_way", "other_database"]
    assert told.message == "orders: orders__next_1 is there already"
    assert shop.workshop.orders == []
    state = shop.state()
    assert (state.history, state.journal, state.lock) == ((), None, None)


def test_what_is_in_the_way_of_a_retry_ends_the_promotion_that_broke_off(shop: KeptShop) -> None:
    die(shop, Failpoint.TESTED)
    shop.workshop.obstacles = (Obstacle(model=ORDERS, code="in_the_way", reason="somebody was quick"),)
    told = shop.engine.promote(TASK)
    assert told.outcome is PromotionOutcome.REFUSED
    state = shop.state()
    assert state.journal is None
    assert [record.message for record in state.history] == ["not carried on: orders: somebody was quick"]


def test_the_journal_names_every_relation_before_it_is_made(shop: KeptShop) -> None:
    promoted(shop)
    edited(shop)
    die(shop, Failpoint.KEPT)
    journal = shop.state().journal
    assert journal is not None
    assert journal.beside.keys() == journal.kept.keys() == {ORDERS, REVENUE}
    assert journal.kept[ORDERS].rows_at == shop.state().current[ORDERS].since
    (request, *_) = reversed(shop.workshop.arranged)
    assert journal.beside[ORDERS].identifier == f"orders__next_{request.token}"
    assert journal.kept[ORDERS].place.identifier == f"orders__was_{request.token}"


@pytest.mark.parametrize("marks", [True, False])
@pytest.mark.parametrize(
    "point",
    [
        Failpoint.LOCKED,
        Failpoint.BEGUN,
        Failpoint.KEPT,
        Failpoint.PUBLISHING,
        Failpoint.MODEL_PUBLISHED,
        Failpoint.TESTED,
        Failpoint.PUBLISHED,
        Failpoint.COMMITTED,
    ],
)
def test_whatever_died_is_one_promotion_and_one_swap_after_its_retry(point: Failpoint, marks: bool) -> None:
    shop = KeptShop(defined(), path(marks=marks))
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    promoted(shop)
    edited(shop)
    die(shop, point)
    told = shop.engine.promote(TASK)
    assert told.outcome is PromotionOutcome.PROMOTED
    state = shop.state()
    assert [record.run for record in state.history] == ["task 1", None]
    assert (state.lock, state.journal, state.unfinalized) == (None, None, None)
    assert shop.versions() == shop.versions(STAGING)
    assert len([one for one in shop.workshop.swapped if one.arrangement.besides]) == 2
    names = sorted(place.identifier for place in shop.workshop.relations if "__" in place.identifier)
    assert [name.partition("__was_")[0] for name in names] == ["orders", "revenue"]


def test_tests_are_run_again_where_the_answer_of_a_swap_was_lost(shop: KeptShop) -> None:
    die(shop, Failpoint.PUBLISHED)
    shop.engine.promote(TASK)
    again = shop.workshop.orders[-1]
    assert again.models == ()
    assert {test.id for test in again.tests} == {test_id(name) for name in ("orders", "revenue", "stg_orders")} | {
        test.id for test in again.tests
    }
    assert shop.state().evidence[ORDERS][-1].last_pass is not None


def test_a_swap_that_did_not_take_place_leaves_the_environment_whole(shop: KeptShop) -> None:
    promoted(shop)
    edited(shop)
    shop.workshop.swap_breaks = NotSwappedError("the readers did not let go")
    with pytest.raises(NotSwappedError):
        promoted(shop)
    state = shop.state()
    assert (state.unfinalized, state.journal) == (None, None)
    assert state.history[0].outcome is PromotionOutcome.ERRORED


def test_a_swap_of_which_nobody_knows_leaves_it_unfinalized(shop: KeptShop) -> None:
    promoted(shop)
    edited(shop)
    shop.workshop.swap_breaks = DbtError("the connection was lost")
    with pytest.raises(DbtError):
        promoted(shop)
    unfinalized = shop.state().unfinalized
    assert unfinalized is not None
    assert set(unfinalized.models) == {ORDERS, REVENUE}


def test_a_newer_holder_shuts_a_swap_out(shop: KeptShop) -> None:
    promoted(shop)
    edited(shop)
    seen = visible(shop)
    shop.workshop.meanwhile = lambda: bool(shop.workshop.fences.update(production=99))
    with pytest.raises(LockLostError):
        promoted(shop)
    assert visible(shop) == seen


def test_a_plan_of_metadata_and_removals_swaps_nothing(shop: KeptShop) -> None:
    promoted(shop)
    described = replace(shop.definition.nodes[ORDERS], description="what people buy")
    shop.edit(replace(shop.definition, nodes={**shop.definition.nodes, ORDERS: described}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    told = promoted(shop)
    assert told.outcome is PromotionOutcome.PROMOTED
    assert {model: one.change for model, one in told.models.items()} == {ORDERS: "metadata"}
    assert len(shop.workshop.swapped) == 1


def test_rows_are_asked_to_be_anew_only_by_policy(shop: KeptShop) -> None:
    promoted(shop)
    incremental = replace(shop.definition.nodes[ORDERS], config=replace(shop.definition.nodes[ORDERS].config))
    config = replace(incremental.config, materialized="incremental")
    for text in ("select 3 as id", "select 4 as id"):
        changed = replace(incremental, raw_code=text, config=config)
        shop.edit(replace(shop.definition, nodes={**shop.definition.nodes, ORDERS: changed}))
        shop.run("staging")
        shop.clock.pass_by(DAY)
        policy = IncrementalChange.FULL_REFRESH if text.endswith("4 as id") else IncrementalChange.FORWARD_ONLY
        assert promoted(shop, on_incremental_change=policy).outcome is PromotionOutcome.PROMOTED
    assert [request.anew for request in shop.workshop.arranged[-2:]] == [frozenset(), {ORDERS}]


def test_a_snapshot_that_is_there_stays_and_its_code_goes() -> None:
    known = defined()
    snapshot = replace(known.nodes[ORDERS], unique_id="snapshot.shop.orders", resource_type="snapshot")
    nodes = {id_: node for id_, node in known.nodes.items() if id_ in {RAW, STG}}
    shop = KeptShop(replace(known, nodes={**nodes, snapshot.unique_id: snapshot}))
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert promoted(shop).outcome is PromotionOutcome.PROMOTED
    before = visible(shop)["orders"]
    changed = replace(snapshot, raw_code="select 5 as id")
    shop.edit(replace(shop.definition, nodes={**shop.definition.nodes, snapshot.unique_id: changed}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    told = promoted(shop)
    assert told.outcome is PromotionOutcome.PROMOTED
    assert shop.versions() == shop.versions(STAGING)
    assert visible(shop)["orders"] == before
    assert len(shop.workshop.orders) == 1


def test_relations_that_are_there_already_are_not_built(shop: KeptShop) -> None:
    planned = shop.engine._planner.plan(replace(TASK, run=None), dry=False)
    with pytest.raises(ValueError, match="arranged before"):
        Swap(shop.workshop, planned, shop.project, Prepared())
    assert Fill.KEPT.value == "kept"


def test_where_swaps_were_never_run_they_are_done_by_name_alone(shop: KeptShop) -> None:
    shop.workshop.swaps_ran = False
    assert promoted(shop).plan.strategy is Strategy.BUILD
    edited(shop)
    assert promoted(shop, strategy=Strategy.BLUE_GREEN).plan.strategy is Strategy.BLUE_GREEN
