"""Coherence: what must go together, the smallest set that is missing, and the largest that may go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_dbt_promotion.core.change import Change, ChangeKind, difference
from airflow_dbt_promotion.core.coherence import Direction, Need, Needs, largest
from airflow_dbt_promotion.core.errors import ParentNotBuiltError
from airflow_dbt_promotion.core.identity import ModelId, Version
from airflow_dbt_promotion.core.recording import record
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EnvironmentState
from tests.scenarios import BY_OTHERS, DAY, NOON, dbt_run, empty_state, model_id, recorded, release, with_tests

SHOP = release()
ROOTED = release(code={"raw_orders": "1,2"})
CHANGED = release(code={"orders": "select 2"})
RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
STANDING = {ChangeKind.UNCHANGED, ChangeKind.METADATA}


def built(project: Release, environment: str = "staging", only: Iterable[ModelId] | None = None) -> EnvironmentState:
    nodes = None if only is None else {*only, *project.tests}
    return recorded(project, dbt_run(project, NOON, only=nodes), state=empty_state(environment))


def needs_between(
    source: EnvironmentState, target: EnvironmentState, *, stale_allowed: bool = False, tested: bool = True
) -> tuple[Needs, dict[ModelId, Change]]:
    changes = difference(source, target, None)
    return Needs(source, target, changes, stale_allowed=stale_allowed, tested=tested), changes


def names(needs: Iterable[Need]) -> set[ModelId]:
    return {need.model for need in needs}


def test_a_child_needs_every_ancestor_that_the_target_lacks() -> None:
    needs, _ = needs_between(built(SHOP), empty_state("production"))
    missing = needs.missing(REVENUE, [REVENUE])
    assert names(missing) == {RAW, STG, ORDERS}
    assert {need.direction for need in missing} == {Direction.UPSTREAM}
    assert names(needs.missing(REVENUE, [REVENUE, STG])) == {ORDERS}
    assert needs.missing(RAW, [RAW]) == []


def test_a_child_needs_nothing_that_the_target_holds_as_it_was_validated_on() -> None:
    needs, _ = needs_between(built(CHANGED), built(SHOP, "production"))
    assert names(needs.missing(REVENUE, [REVENUE])) == {ORDERS}
    assert needs.missing(REVENUE, [REVENUE, ORDERS]) == []


def test_a_changed_model_needs_its_children_in_the_target_to_follow() -> None:
    needs, _ = needs_between(built(CHANGED), built(SHOP, "production"))
    (need,) = needs.missing(ORDERS, [ORDERS])
    assert (need.model, need.direction, need.possible) == (REVENUE, Direction.DOWNSTREAM, True)
    assert needs.children(ORDERS) == [REVENUE]
    allowed, _ = needs_between(built(CHANGED), built(SHOP, "production"), stale_allowed=True)
    assert allowed.missing(ORDERS, [ORDERS]) == []


def test_a_stale_model_that_is_built_again_leaves_its_children_where_they_are() -> None:
    target = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY, only=[RAW]), state=built(SHOP, "production"))
    needs, changes = needs_between(built(SHOP), target)
    assert changes[STG].kind is ChangeKind.INDIRECT
    assert needs.missing(STG, [RAW, STG]) == []


def test_a_child_that_let_go_of_its_parent_follows_by_going() -> None:
    apart = release(
        {"raw_orders": (), "stg_orders": ("raw_orders",), "orders": ("stg_orders",), "revenue": ("stg_orders",)},
        code={"orders": "select 2"},
    )
    needs, _ = needs_between(built(apart), built(SHOP, "production"))
    assert [(need.model, need.possible) for need in needs.missing(ORDERS, [ORDERS])] == [(REVENUE, True)]


def test_a_child_that_the_source_did_not_build_cannot_follow() -> None:
    source = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY, only=[ORDERS]), state=built(SHOP))
    needs, _ = needs_between(source, built(SHOP, "production"))
    (need,) = needs.missing(ORDERS, [ORDERS, REVENUE])
    assert (need.model, need.possible) == (REVENUE, False)


def test_a_parent_that_neither_side_holds_as_it_was_cannot_come() -> None:
    source = recorded(CHANGED, dbt_run(CHANGED, NOON + DAY, only=[ORDERS]), state=built(SHOP))
    needs, _ = needs_between(source, empty_state("production"))
    found = {need.model: need.possible for need in needs.missing(REVENUE, [REVENUE])}
    assert found[ORDERS] is False


def test_a_parent_that_the_target_still_holds_must_stay_as_it_is() -> None:
    source = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY, only=[RAW]), state=built(SHOP))
    needs, _ = needs_between(source, built(SHOP, "production", [RAW]), stale_allowed=True)
    assert needs.missing(STG, [STG]) == []
    (clash,) = needs.missing(STG, [STG, RAW])
    assert (clash.model, clash.possible) == (RAW, False)
    chosen, causes = largest(dict.fromkeys([STG, RAW], None), [], needs)  # type: ignore[arg-type]
    assert (chosen, causes) == ({RAW}, {STG: RAW})


def test_a_parent_that_is_stale_in_the_target_will_not_do() -> None:
    source = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY, only=[RAW, STG]), state=built(SHOP))
    target = recorded(ROOTED, dbt_run(ROOTED, NOON + DAY, only=[RAW]), state=built(SHOP, "production", [RAW, STG]))
    needs, _ = needs_between(source, target)
    assert {need.model: need.possible for need in needs.missing(ORDERS, [ORDERS])} == {STG: False}


def test_a_removed_model_needs_its_children_to_go_or_to_let_go_of_it() -> None:
    apart = release(
        {"raw_orders": (), "stg_orders": ("raw_orders",), "orders": ("stg_orders",), "revenue": ("stg_orders",)}
    )
    kept = release({"raw_orders": (), "stg_orders": ("raw_orders",), "revenue": ("stg_orders",)})
    source = recorded(kept, dbt_run(kept, NOON + DAY), state=built(apart))
    needs, changes = needs_between(source, built(SHOP, "production"))
    assert changes[ORDERS].kind is ChangeKind.REMOVED
    (need,) = needs.missing(ORDERS, [ORDERS])
    assert (need.model, need.possible) == (REVENUE, True)
    stayed = recorded(kept, dbt_run(kept, NOON + DAY, only=[RAW]), state=built(SHOP))
    needs, _ = needs_between(stayed, built(SHOP, "production"))
    (need,) = needs.missing(ORDERS, [ORDERS])
    assert (need.model, need.possible) == (REVENUE, False)


def test_a_test_needs_every_model_that_it_reads_to_be_there() -> None:
    joint = with_tests(release({"orders": (), "rates": ()}), joint=[("orders", "rates")])
    rates = model_id("rates")
    needs, _ = needs_between(built(joint), empty_state("production"))
    (need,) = needs.missing(ORDERS, [ORDERS])
    assert (need.model, need.direction, need.possible) == (rates, Direction.TEST, True)
    untested, _ = needs_between(built(joint), empty_state("production"), tested=False)
    assert untested.missing(ORDERS, [ORDERS]) == []
    there, _ = needs_between(built(joint), built(joint, "production", [rates]))
    assert there.missing(ORDERS, [ORDERS]) == []


def test_what_is_unheard_of_has_no_needs() -> None:
    needs, _ = needs_between(built(SHOP), empty_state("production"))
    assert needs.of(model_id("nothing")) == ()
    assert needs.ancestors([REVENUE]) == {RAW, STG, ORDERS, REVENUE}
    assert needs.ancestors([model_id("nothing")]) == {model_id("nothing")}


def test_what_is_held_back_takes_along_what_needs_it_and_says_why() -> None:
    needs, changes = needs_between(built(SHOP), empty_state("production"))
    candidates = {model: change for model, change in changes.items() if model != STG}
    chosen, causes = largest(candidates, [], needs)
    assert chosen == {RAW}
    assert causes == {ORDERS: STG, REVENUE: ORDERS}


# --- by brute force ---------------------------------------------------------------------------------------------------

NAMES = ("a", "b", "c", "d")


@st.composite
def releases(draw: st.DrawFn) -> Release:
    """A release of up to four models, with any parents among those before and any of two codes."""
    chosen = draw(st.sets(st.sampled_from(NAMES), min_size=1))
    parents: dict[str, tuple[str, ...]] = {}
    for name in sorted(chosen):
        parents[name] = tuple(sorted(draw(st.sets(st.sampled_from(sorted(parents)), max_size=2)))) if parents else ()
    return release(parents, code={name: draw(st.sampled_from("xy")) for name in parents})


@st.composite
def environments(draw: st.DrawFn, pool: list[Release], name: str) -> EnvironmentState:
    """An environment after some runs of some releases, of all or some of their models."""
    state = empty_state(name)
    for hour in range(draw(st.integers(1, 3))):
        project = draw(st.sampled_from(pool))
        without = draw(st.sets(st.sampled_from(sorted(project.models)), max_size=2))
        run = dbt_run(project, NOON + timedelta(hours=hour), without=without)
        try:
            state = record(state, project, run, BY_OTHERS).state
        except ParentNotBuiltError:
            continue
    return state


pairs = st.lists(releases(), min_size=1, max_size=3).flatmap(
    lambda pool: st.tuples(environments(pool, "staging"), environments(pool, "production"))
)


def after(
    target: EnvironmentState, changes: Mapping[ModelId, Change], chosen: Iterable[ModelId]
) -> dict[ModelId, Version]:
    """Return what a target would hold."""
    held = {model: entry.version for model, entry in target.current.items()}
    for model in chosen:
        entry = changes[model].after
        if entry is None:
            held.pop(model)
        else:
            held[model] = entry.version
    return held


def coherent(
    target: EnvironmentState,
    changes: Mapping[ModelId, Change],
    chosen: frozenset[ModelId],
    *,
    stale_allowed: bool,
) -> bool:
    """Say, by the rule as it is written, whether a set may go: everything stands on what it was validated against."""
    held = after(target, changes, chosen)
    moving = {model for model in chosen if changes[model].kind not in STANDING}
    stale = {model for model, entry in target.current.items() if entry.stale_since is not None} - moving

    def parents_of(model: ModelId) -> Mapping[ModelId, Version]:
        entry = changes[model].after if model in chosen else target.current.get(model)
        return entry.parents if entry is not None else {}

    def stands(model: ModelId) -> bool:
        return model not in stale and all(
            held.get(parent) == version and stands(parent) for parent, version in parents_of(model).items()
        )

    if not all(stands(model) for model in chosen if changes[model].after is not None):
        return False
    left = [model for model in target.current if model not in chosen and model not in stale]
    return stale_allowed or all(held.get(p) == v for model in left for p, v in target.current[model].parents.items())


def subsets(models: Iterable[ModelId]) -> Iterable[frozenset[ModelId]]:
    every = sorted(models)
    return map(frozenset, chain.from_iterable(combinations(every, size) for size in range(len(every) + 1)))


@settings(max_examples=300)
@given(pairs, st.booleans(), st.data())
def test_the_largest_set_is_coherent_and_nothing_can_be_added(
    pair: tuple[EnvironmentState, EnvironmentState], stale_allowed: bool, data: st.DataObject
) -> None:
    source, target = pair
    needs, changes = needs_between(source, target, stale_allowed=stale_allowed, tested=False)
    differing = {model: change for model, change in changes.items() if change.kind is not ChangeKind.UNCHANGED}
    candidates = {m: c for m, c in differing.items() if data.draw(st.booleans())}
    standing = [model for model, change in changes.items() if change.kind in STANDING]
    chosen, causes = largest(candidates, standing, needs)
    assert coherent(target, changes, frozenset(chosen), stale_allowed=stale_allowed)
    assert set(causes) == set(candidates) - chosen
    for more in subsets(set(candidates) - chosen):
        if more:
            assert not coherent(target, changes, more | chosen, stale_allowed=stale_allowed)


@settings(max_examples=300)
@given(pairs, st.booleans(), st.data())
def test_what_is_missing_is_the_smallest_set(
    pair: tuple[EnvironmentState, EnvironmentState], stale_allowed: bool, data: st.DataObject
) -> None:
    source, target = pair
    needs, changes = needs_between(source, target, stale_allowed=stale_allowed, tested=False)
    differing = sorted(model for model, change in changes.items() if change.kind not in STANDING)
    if not differing:
        return
    model = data.draw(st.sampled_from(differing))
    missing = needs.missing(model, {model})
    whole = [
        wanted
        for wanted in subsets(set(differing) - {model})
        if coherent(target, changes, wanted | {model}, stale_allowed=stale_allowed)
    ]
    if all(need.possible for need in missing):
        assert names(missing) in whole
        assert all(names(missing) <= wanted for wanted in whole)
    else:
        assert not whole
