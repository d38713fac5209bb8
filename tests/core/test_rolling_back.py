"""Rolling back: the plan says what comes back and what cannot, and what is older stays exactly as it was."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core.braking import Deed, held
from airflow_dbt_promotion.core.checkpoints import noted, standing_at
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.identity import Digest, ModelId
from airflow_dbt_promotion.core.promotion import Attempt, begin, settle
from airflow_dbt_promotion.core.results import Built
from airflow_dbt_promotion.core.rolling_back import How, choices_for, concluded, way_back
from airflow_dbt_promotion.core.state import Drift, Entry, EnvironmentState
from tests.core.test_checkpoints import MODELS, entry, holding, promoted
from tests.scenarios import DAY, NOON, model_id

ORDERS, REVENUE = model_id("orders"), model_id("revenue")
BLUE_GREEN = choices_for(Strategy.BLUE_GREEN, IncrementalChange.BLOCK, "it broke")
RECORD = replace(BLUE_GREEN, strategy=Strategy.RECORD)


def rolled_back(state: EnvironmentState, to: int) -> EnvironmentState:
    """Return a document after a rollback to a checkpoint by its number, everything of it advanced."""
    goal = state.checkpoints[to]
    back = way_back(state, goal, RECORD, NOON + DAY)
    began = begin(state, back.plan, Attempt(actor="ann"), NOON + DAY, 10)
    ending = settle(began, back.plan, Built(), NOON + DAY, 10)
    return noted(state, concluded(ending, began, back.plan, NOON + DAY).state)


moves = st.lists(
    st.dictionaries(st.sampled_from(MODELS), st.none() | st.sampled_from("abc"), min_size=1, max_size=4),
    min_size=2,
    max_size=5,
)


@given(moves, st.data())
def test_what_is_older_than_the_goal_stays_exactly_as_it_was(
    made: list[dict[ModelId, str | None]], data: st.DataObject
) -> None:
    state = holding(orders="0", customers="0")
    for number, versions in enumerate(made):
        names = {model.rsplit(".", 1)[-1]: version for model, version in versions.items()}
        state = promoted(state, f"p{number}", 100, **names)
    if not (whole := [n for n, one in enumerate(state.checkpoints) if one.whole]):
        return
    to = data.draw(st.sampled_from(whole))
    known = {one.id: standing_at(state, one.id) for one in state.checkpoints}
    goal, older = state.checkpoints[to], state.checkpoints[to + 1 :]
    after = rolled_back(state, to)
    if not way_back(state, goal, RECORD, NOON).plan.changes:
        assert after.checkpoints == state.checkpoints or after.hold is not None
        return
    assert {m: held.version for m, held in after.current.items()} == {m: h.version for m, h in known[goal.id].items()}
    assert [one.id for one in after.checkpoints] == [one.id for one in older]
    for one in after.checkpoints:
        assert standing_at(after, one.id) == known[one.id]
        again = way_back(after, one, RECORD, NOON)
        assert {change.model for change in again.plan.changes} == {
            model
            for model in {*after.current, *known[one.id]}
            if (after.current.get(model) and after.current[model].version)
            != (known[one.id].get(model) and known[one.id][model].version)
        }
    kept = {old.place for one in after.checkpoints for old in one.kept.values()}
    assert not kept & {leftover.place for leftover in after.leftovers}


def ways(state: EnvironmentState) -> dict[ModelId, How]:
    return {way.model: way.how for way in way_back(state, state.checkpoints[0], BLUE_GREEN, NOON).ways}


def test_how_each_model_goes_back() -> None:
    state = promoted(holding(orders="1", revenue="1"), "p", orders="2", revenue="2", customers="1")
    assert ways(state) == {
        ORDERS: How.COMES_BACK,
        REVENUE: How.COMES_BACK,
        model_id("customers"): How.LEAVES,
    }
    forgotten = replace(state.checkpoints[0], kept={})
    assert ways(replace(state, checkpoints=(forgotten,)))[ORDERS] is How.BUILT


def test_metadata_and_snapshots_go_back_as_code_alone() -> None:
    state = promoted(holding(orders="1"), "p", orders="2")
    snapshot = ModelId("snapshot.shop.prices")
    before = {ORDERS: replace(entry("2"), tests=Digest("other")), snapshot: entry("1")}
    state = replace(state, current={**state.current, snapshot: entry("2")})
    state = replace(state, checkpoints=(replace(state.checkpoints[0], before=before),))
    back = way_back(state, state.checkpoints[0], BLUE_GREEN, NOON)
    assert {way.model: way.how for way in back.ways} == {ORDERS: How.STATE_ONLY, snapshot: How.STATE_ONLY}
    assert {way.model: bool(way.lasting) for way in back.ways} == {ORDERS: False, snapshot: True}
    reasons = {change.model: change.verdicts[0].reason for change in back.plan.changes}
    assert "cannot be tested" in reasons[ORDERS]
    assert "cannot be built and tested" in reasons[snapshot]


def test_where_the_closest_checkpoint_keeps_nothing_no_other_relation_will_do() -> None:
    state = promoted(promoted(holding(orders="1"), "p", orders="2"), "q", orders="3")
    newest, oldest = state.checkpoints
    state = replace(state, checkpoints=(newest, replace(oldest, kept={})))
    (way,) = way_back(state, state.checkpoints[1], BLUE_GREEN, NOON).ways
    assert way.how is How.BUILT


def test_the_plan_is_the_same_whatever_is_held_and_another_for_another_goal() -> None:
    state = promoted(promoted(holding(orders="1"), "p", orders="2"), "q", orders="1")
    drifted = replace(state, drift={ORDERS: Drift(version=entry("x").version, seen_at=NOON, by="run")})
    first, second = (way_back(drifted, one, BLUE_GREEN, NOON).plan.plan_id for one in state.checkpoints)
    later = way_back(drifted, state.checkpoints[0], BLUE_GREEN, NOON + timedelta(days=3)).plan
    assert first != second
    assert (later.plan_id, later.rollback_to) == (first, state.checkpoints[0].id)


def test_what_stays_at_its_version_is_not_blocked() -> None:
    state = promoted(holding(orders="1", revenue="1"), "p", orders="2")
    stale: Entry = replace(state.current[REVENUE], stale_since=NOON)
    state = noted(state, replace(state, current={**state.current, REVENUE: stale}))
    after = rolled_back(state, 0)
    assert set(after.blocks) == {ORDERS}
    only = promoted(holding(orders="1"), "p", revenue="1")
    assert rolled_back(only, 0).blocks.keys() == {REVENUE}
    same = promoted(holding(orders="1"), "p", orders="2")
    again = replace(same, current={ORDERS: replace(entry("1"), tests=Digest("other"))})
    done = rolled_back(noted(same, again), 0)
    assert (done.blocks, done.hold is not None) == ({}, True)


def test_the_hold_of_a_person_stays_and_is_told_with_the_rollback() -> None:
    twice = promoted(promoted(holding(orders="1"), "p", orders="2"), "q", orders="3")
    closed = held(twice, Deed(at=NOON, actor="ben", reason="the books are closed"))
    once = rolled_back(closed, 0)
    assert once.hold is not None
    assert (once.hold.at, once.hold.actor, once.hold.plan_id) == (NOON, "ben", None)
    assert once.hold.reason == "the books are closed; and it was taken back by ann: it broke"
    again = rolled_back(once, 0)
    assert again.hold is not None
    assert again.hold.reason.count("the books are closed") == 1
    assert again.hold.reason.count("taken back by ann") == 2
    assert again.interventions[-1].reason == "it broke"
    machine = rolled_back(rolled_back(twice, 0), 0).hold
    assert machine is not None
    assert (machine.reason, machine.plan_id is None) == ("it broke", False)
