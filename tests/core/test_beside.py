"""Names of what is built beside: never too long, never two alike, and on record."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import TOKEN_LENGTH, beside_names, made_by_us, token_of
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, PlanId
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import KeptRelation
from airflow_dbt_promotion.core.state import Journal
from tests.scenarios import NOON, empty_state, model_id, release

ORDERS = ModelId("model.shop.orders")


def test_a_name_says_what_it_is_of_and_what_for() -> None:
    assert beside_names("orders", "1f0c22ab", 63) == ("orders__next_1f0c22ab", "orders__was_1f0c22ab")


@given(st.text(min_size=1, max_size=300), st.integers(min_value=40, max_value=255))
def test_a_name_fits_and_keeps_the_token(identifier: str, longest: int) -> None:
    for name in beside_names(identifier, "1f0c22ab", longest):
        assert len(name.encode()) <= longest
        assert name.endswith("_1f0c22ab")


@given(st.lists(st.text("abä", min_size=50, max_size=80), min_size=2, max_size=6, unique=True))
def test_two_long_names_are_never_alike(identifiers: list[str]) -> None:
    names = {name for identifier in identifiers for name in beside_names(identifier, "1f0c22ab", 63)}
    assert len(names) == 2 * len(identifiers)


def test_no_two_promotions_share_a_token() -> None:
    plan, other = PlanId("a"), PlanId("b")
    tokens = {token_of(plan, "l", 1), token_of(plan, "l", 2), token_of(other, "l", 1), token_of(plan, "m", 1)}
    assert {len(token) for token in tokens} == {TOKEN_LENGTH}
    assert len(tokens) == 4


def test_what_an_open_promotion_makes_is_on_record() -> None:
    state = empty_state("production")
    assert made_by_us(state) == ()
    place = Place(database=None, schema="analytics", identifier="orders__next_1")
    was = place.named("orders__was_1")
    journal = Journal(
        plan_id=PlanId("p"),
        actor="ann",
        started_at=NOON,
        source=EnvironmentName("staging"),
        strategy=Strategy.BLUE_GREEN.value,
        models={},
        beside={ORDERS: place},
        kept={ORDERS: KeptRelation(place=was, rows_at=NOON)},
    )
    assert made_by_us(replace(state, journal=journal)) == (place, was)
    assert was.told == "analytics.orders__was_1"


def test_parents_come_first_whatever_is_asked_for() -> None:
    whole = release()
    names = ("revenue", "raw_orders", "orders")
    asked = {model_id(name) for name in names}
    assert whole.parents_first(asked) == tuple(map(model_id, ("raw_orders", "orders", "revenue")))
    assert whole.parents_first(()) == ()
    assert set(whole.parents_first(whole.models)) == set(whole.models)


def test_a_strategy_says_whether_it_builds_and_whether_it_swaps() -> None:
    assert [one.builds for one in Strategy] == [False, True, True, True]
    assert [one.swaps for one in Strategy] == [False, False, True, True]
