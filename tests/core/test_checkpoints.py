"""Checkpoints: whatever happens to `current`, each that is kept says exactly what it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core.checkpoints import (
    checkpoint_of,
    is_whole,
    noted,
    replaced,
    since,
    standing_at,
    take,
    turns,
    with_leftovers,
    without,
)
from airflow_dbt_promotion.core.errors import NoCheckpointError, UnknownCheckpointError
from airflow_dbt_promotion.core.identity import Digest, EnvironmentName, ModelId, PlanId, ReleaseId, Version
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import KeptRelation, Leftover, LeftoverRole
from airflow_dbt_promotion.core.state import Drift, Entry, EntryOrigin, EnvironmentState, Journal, Unfinalized
from tests.scenarios import DAY, NOON, empty_state, model_id

ORDERS, REVENUE = model_id("orders"), model_id("revenue")
MODELS = [model_id(name) for name in ("stg_orders", "orders", "revenue", "customers")]


def entry(version: str) -> Entry:
    return Entry(
        version=Version(version),
        code=Digest("c"),
        tests=Digest("t"),
        meta=Digest("m"),
        parents={},
        since=NOON,
        origin=EntryOrigin.PROMOTION,
        by="plan",
    )


def place(name: str) -> Place:
    return Place(database=None, schema="analytics", identifier=name)


def old(name: str) -> KeptRelation:
    return KeptRelation(place=place(name), rows_at=NOON)


def journal(plan: str = "plan", **changes: object) -> Journal:
    made = Journal(
        plan_id=PlanId(plan), actor="ann", started_at=NOON, source=EnvironmentName("staging"), strategy="b", models={}
    )
    return replace(made, **changes)


def holding(**versions: str) -> EnvironmentState:
    current = {model_id(name): entry(version) for name, version in versions.items()}
    return replace(empty_state("production"), current=current)


def promoted(state: EnvironmentState, plan: str, keep: int = 3, **versions: str | None) -> EnvironmentState:
    """Return a document after a promotion that kept the old relation of each model."""
    changed = {model_id(name): version for name, version in versions.items()}
    fresh = {model: entry(version) for model, version in changed.items() if version is not None}
    current = {model: held for model, held in state.current.items() if model not in changed} | fresh
    kept = {model: old(f"{model}__{plan}") for model in changed}
    return take(state, replace(state, current=current), journal(plan, kept=kept), NOON, keep)


# --- exactness --------------------------------------------------------------------------------------------------------

Change = tuple[str, dict[ModelId, str | None]]

changes = st.lists(
    st.tuples(
        st.sampled_from(["promotion", "other"]),
        st.dictionaries(st.sampled_from(MODELS), st.none() | st.sampled_from("abc"), max_size=4),
    ),
    max_size=12,
)


@given(changes, st.integers(0, 4))
def test_each_checkpoint_that_is_kept_says_exactly_what_current_was(made: list[Change], keep: int) -> None:
    state, known = empty_state("production"), {}
    for number, (kind, moves) in enumerate(made):
        current = {m: held for m, held in state.current.items() if m not in moves}
        current |= {model: entry(version) for model, version in moves.items() if version is not None}
        after = replace(state, current=current)
        if kind == "promotion":
            kept = {model: old(f"{model}{number}") for model in moves}
            after = take(state, after, journal(str(number), kept=kept), NOON, keep)
            if after.checkpoints and (not state.checkpoints or after.checkpoints[0].id != state.checkpoints[0].id):
                known[after.checkpoints[0].id] = state.current
        state = noted(state, after)
        assert len(state.checkpoints) <= keep
        for checkpoint in state.checkpoints:
            assert standing_at(state, checkpoint.id) == known[checkpoint.id]
        places = [o.place for c in state.checkpoints for o in c.kept.values()]
        left = [leftover.place for leftover in state.leftovers]
        assert len(set(left)) == len(left)
        assert not set(places) & set(left)


def test_a_checkpoint_holds_what_changed_alone() -> None:
    state = promoted(holding(orders="1", revenue="1"), "p", orders="2", customers="1")
    (checkpoint,) = state.checkpoints
    assert checkpoint.before == {ORDERS: entry("1"), model_id("customers"): None}
    assert (checkpoint.by, checkpoint.actor, checkpoint.whole, len(checkpoint.id)) == ("p", "ann", True, 8)
    assert standing_at(state, checkpoint.id) == holding(orders="1", revenue="1").current


def test_a_promotion_that_changed_nothing_makes_none() -> None:
    state = promoted(holding(orders="1"), "p", orders="1")
    assert state.checkpoints == ()
    assert [leftover.place for leftover in state.leftovers] == [place(f"{ORDERS}__p")]


def test_what_a_run_changes_is_noted_once() -> None:
    first = promoted(holding(orders="1", revenue="1"), "p", orders="2")
    moved = noted(first, replace(first, current={**first.current, REVENUE: entry("2")}))
    again = noted(moved, replace(moved, current={**moved.current, REVENUE: entry("3")}))
    assert again.checkpoints[0].before == {ORDERS: entry("1"), REVENUE: entry("1")}
    assert noted(again, replace(again, serial=7)).checkpoints == again.checkpoints


def test_ids_are_unique_in_a_document() -> None:
    state = promoted(promoted(holding(orders="1"), "p", orders="2"), "p", orders="3")
    assert len({checkpoint.id for checkpoint in state.checkpoints}) == 2


# --- relations --------------------------------------------------------------------------------------------------------


def test_what_is_pruned_leaves_its_relations_over() -> None:
    state = holding(orders="1")
    for number in range(4):
        state = promoted(state, f"p{number}", orders=f"{number + 2}")
    assert [checkpoint.by for checkpoint in state.checkpoints] == ["p3", "p2", "p1"]
    (leftover,) = state.leftovers
    assert (leftover.place, leftover.role, leftover.plan_id) == (place(f"{ORDERS}__p0"), LeftoverRole.SUPERSEDED, "p0")


def test_where_others_had_built_something_else_the_old_relation_is_not_what_was_promoted() -> None:
    drifted = replace(holding(orders="1"), drift={ORDERS: Drift(version=Version("x"), seen_at=NOON, by="run")})
    state = promoted(drifted, "p", orders="2")
    assert state.checkpoints[0].kept == {}
    assert [leftover.place for leftover in state.leftovers] == [place(f"{ORDERS}__p")]


def test_where_a_promotion_broke_off_the_old_relation_may_be_the_new_one_already() -> None:
    """It may have been swapped, and died before the state could say so: what is in place is not what is current."""
    undone = Unfinalized(plan_id=PlanId("o"), since=NOON, models=(ORDERS,), why="the promotion broke off")
    state = promoted(replace(holding(orders="1"), unfinalized=undone), "p", orders="2")
    assert (state.checkpoints[0].kept, state.checkpoints[0].whole) == ({}, False)
    assert [leftover.place for leftover in state.leftovers] == [place(f"{ORDERS}__p")]


def test_a_place_that_is_used_again_is_left_over_no_more() -> None:
    left = Leftover(place=place("x"), model=ORDERS, since=NOON, plan_id=PlanId("p"), role=LeftoverRole.SHADOW)
    state = with_leftovers(empty_state(), [left, left])
    assert state.leftovers == (left,)
    assert with_leftovers(state, [left]) is state
    assert without(state, [place("y")]) is state
    assert without(state, [place("x")]).leftovers == ()


# --- which one --------------------------------------------------------------------------------------------------------


Broken = Callable[[EnvironmentState], EnvironmentState]


@pytest.mark.parametrize(
    "broken",
    [
        lambda state: replace(state, current={}),
        lambda state: replace(
            state, unfinalized=Unfinalized(plan_id=PlanId("p"), since=NOON, models=(ORDERS,), why="half of it")
        ),
        lambda state: replace(state, current={ORDERS: replace(entry("1"), stale_since=NOON + DAY)}),
    ],
)
def test_an_environment_that_is_empty_or_not_finalized_is_not_whole(broken: Broken) -> None:
    state = holding(orders="1")
    assert is_whole(state)
    assert not is_whole(broken(state))


def test_without_a_name_it_is_the_newest_that_is_whole() -> None:
    state = promoted(holding(orders="1"), "p", orders="2")
    half = replace(state, unfinalized=Unfinalized(plan_id=PlanId("p"), since=NOON, models=(ORDERS,), why="half"))
    after = promoted(half, "q", orders="3")
    newest, oldest = after.checkpoints
    assert checkpoint_of(after, None) is oldest
    assert checkpoint_of(after, newest.id) is newest
    assert since(after, oldest) == (newest, oldest)
    assert newest.at - oldest.at == timedelta(0)


def test_one_that_there_is_not_names_those_that_there_are() -> None:
    state = promoted(holding(orders="1"), "p", orders="2")
    with pytest.raises(UnknownCheckpointError, match=state.checkpoints[0].id):
        standing_at(state, "nonsense")
    with pytest.raises(UnknownCheckpointError, match="none"):
        checkpoint_of(holding(orders="1"), "nonsense")
    with pytest.raises(NoCheckpointError, match="makes one"):
        checkpoint_of(holding(orders="1"), None)
    with pytest.raises(NoCheckpointError, match="it has 1, and none is whole"):
        checkpoint_of(promoted(holding(), "p", orders="1"), None)


def test_a_turn_tells_versions_and_descriptions_apart_and_nothing_of_sources_alone() -> None:
    before = holding(stg_orders="1", orders="1", revenue="1", customers="1")
    described = replace(entry("1"), meta=Digest("other"))
    moved = replace(entry("1"), release=ReleaseId("r"), since=NOON + DAY)
    stg, customers = model_id("stg_orders"), model_id("customers")
    current = {stg: moved, ORDERS: entry("2"), REVENUE: described, model_id("payments"): entry("1")}
    state = take(before, replace(before, current=current), journal("p"), NOON, 3)
    assert set(state.checkpoints[0].before) == {stg, ORDERS, REVENUE, customers, model_id("payments")}
    (turn,) = turns(state)
    assert turn.checkpoint == state.checkpoints[0]
    assert turn.models == (customers, ORDERS, model_id("payments"))
    assert turn.metadata == (REVENUE,)
    tests = promoted(state, "q", stg_orders=None)
    tested = replace(entry("2"), tests=Digest("other"))
    after = take(tests, replace(tests, current={**tests.current, ORDERS: tested}), journal("r"), NOON, 3)
    assert [(one.models, one.metadata) for one in turns(after)] == [
        ((), (ORDERS,)),
        ((stg,), ()),
        ((customers, ORDERS, model_id("payments")), (REVENUE,)),
    ]


def test_what_an_attempt_put_aside_is_left_over_once_it_was_replaced() -> None:
    kept, aside = {model_id("orders"): old("orders__was_1")}, {model_id("shown"): place("shown__was_1")}
    found = replaced(empty_state("production"), journal(kept=kept, aside=aside), NOON)
    assert [(one.place.identifier, one.role) for one in found.leftovers] == [
        ("orders__was_1", LeftoverRole.SUPERSEDED),
        ("shown__was_1", LeftoverRole.SUPERSEDED),
    ]
