"""Candidates: the newest version that may go, never one that is older than what the target holds."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.braking import Deed, rolled_back
from airflow_dbt_promotion.core.candidates import Candidates, aligned, find_option, newer, options, with_releases
from airflow_dbt_promotion.core.errors import UnknownVersionError
from airflow_dbt_promotion.core.identity import PlanId, ReleaseId, Version
from airflow_dbt_promotion.core.state import Entry, EnvironmentState, Stay
from airflow_dbt_promotion.core.stays import leave
from airflow_dbt_promotion.core.version_order import of_order, order_is_known
from tests.scenarios import DAY, NOON, dbt_run, empty_state, model_id, recorded, release

ORDERS, REVENUE = model_id("orders"), model_id("revenue")
FIRST, SECOND, THIRD = (ReleaseId(letter * 32) for letter in "abc")


def moved_on(*texts: str) -> EnvironmentState:
    """Return staging after orders was built with each of these texts, a day apart, each kept."""
    state = empty_state()
    for index, text in enumerate(texts):
        project = replace(release(code={"orders": text}), id=(FIRST, SECOND, THIRD)[index])
        state = recorded(project, dbt_run(project, NOON + index * DAY), state=state)
    return state


def version(text: str) -> Version:
    return release(code={"orders": text}).models[ORDERS].version


def versions(found: tuple[Entry, ...]) -> list[Version]:
    return [entry.version for entry in found]


def production(text: str, since: timedelta = timedelta(0)) -> EnvironmentState:
    project = release(code={"orders": text})
    return recorded(project, dbt_run(project, NOON + since), state=empty_state("production"))


def test_what_is_held_comes_first_then_what_was_held_newest_first() -> None:
    found = tuple(options(moved_on("1", "2", "3"), ORDERS))
    assert versions(found) == [version("3"), version("2"), version("1")]
    assert [entry.release for entry in found] == [THIRD, SECOND, FIRST]
    assert [entry.stale_since for entry in found] == [None, NOON + 2 * DAY, NOON + DAY]
    assert found[1].parents == release().parent_versions(ORDERS)


def test_a_version_that_came_back_is_one_option() -> None:
    assert versions(tuple(options(moved_on("1", "2", "1"), ORDERS))) == [version("1"), version("2")]


def test_a_version_whose_sources_were_not_kept_is_none() -> None:
    state = moved_on("1", "2", "3")
    stays: tuple[Stay, ...] = tuple(replace(stay, release=None) for stay in state.stays[ORDERS][:1])
    state = replace(state, stays={**state.stays, ORDERS: (*stays, *state.stays[ORDERS][1:])})
    assert versions(tuple(options(state, ORDERS))) == [version("3"), version("2")]


def test_nothing_that_is_older_than_what_the_target_holds() -> None:
    source = moved_on("1", "2", "3")
    assert versions(tuple(newer(source, production("1"), ORDERS))) == [version("3"), version("2")]
    assert versions(tuple(newer(source, production("2"), ORDERS))) == [version("3")]
    assert versions(tuple(newer(source, production("3"), ORDERS))) == []
    assert versions(tuple(newer(source, empty_state("production"), ORDERS))) == [version(text) for text in "321"]


def test_where_the_source_forgot_what_the_target_holds_only_what_left_since_counts() -> None:
    source = moved_on("1", "2", "3")
    found = newer(source, production("0", since=1.5 * DAY), ORDERS)
    assert versions(tuple(found)) == [version("3"), version("2")]


def test_a_stale_version_of_the_target_may_go_again() -> None:
    source, target = moved_on("1", "2"), production("2")
    held = target.current[ORDERS]
    stale = replace(target, current={**target.current, ORDERS: replace(held, stale_since=held.since)})
    assert versions(tuple(newer(source, stale, ORDERS))) == [version("2")]


def left(target: EnvironmentState, text: str) -> EnvironmentState:
    """Return a target that left a version by a rollback, whose stay it does not remember any more."""
    deed = Deed(at=NOON + 3 * DAY, actor="ann", reason="wrong", plan_id=PlanId("p"))
    return rolled_back(target, {ORDERS: version(text)}, deed)


def test_nothing_that_is_older_than_what_a_rollback_left() -> None:
    source = moved_on("1", "2", "3")
    assert versions(tuple(newer(source, left(production("1"), "3"), ORDERS))) == [version("3")]
    assert versions(tuple(newer(source, left(production("1"), "2"), ORDERS))) == [version("3"), version("2")]
    gone = leave(production("3"), ORDERS, NOON + 3 * DAY)
    assert versions(tuple(newer(source, gone, ORDERS))) == [version("3")]


def test_what_the_source_holds_now_is_never_older() -> None:
    source = moved_on("1", "2", "1")
    assert versions(tuple(newer(source, left(production("2"), "1"), ORDERS))) == [version("1")]
    assert versions(tuple(newer(moved_on("2", "1", "2"), production("1"), ORDERS))) == [version("2")]


def test_the_latest_entry_of_a_version_is_what_counts() -> None:
    source = moved_on("2", "3", "2")
    project = replace(release(code={"orders": "4"}), id=FIRST)
    source = recorded(project, dbt_run(project, NOON + 5 * DAY), state=source)
    assert versions(tuple(newer(source, production("3"), ORDERS))) == [version("4"), version("2")]
    assert versions(tuple(newer(source, production("2"), ORDERS))) == [version("4")]


def test_whether_the_order_is_known() -> None:
    source = moved_on("1", "2")
    known = [order_is_known(source, production(text), ORDERS) for text in ("0", "1", "2")]
    assert known == [False, True, True]
    assert order_is_known(source, empty_state("production"), ORDERS)
    assert not order_is_known(source, leave(production("0"), ORDERS, NOON + DAY), ORDERS)
    assert not order_is_known(empty_state(), production("0"), ORDERS)


def test_what_a_plan_says_of_the_order() -> None:
    source = moved_on("1", "2", "3")
    first, second = (tuple(options(source, ORDERS))[index] for index in (2, 1))

    def said(target: EnvironmentState, after: Entry, *, named: bool) -> list[str]:
        return [verdict.code for verdict in of_order(source, target, ORDERS, after, named=named)]

    assert said(production("1"), second, named=False) == []
    assert said(production("1"), second, named=True) == ["named_version"]
    assert said(production("2"), first, named=True) == ["older_version"]
    assert said(production("0"), second, named=False) == ["order_unknown"]
    assert said(production("0"), second, named=True) == ["named_version", "order_unknown"]


def test_a_version_is_found_by_its_beginning() -> None:
    source = moved_on("1", "2")
    assert find_option(source, ORDERS, version("1")).version == version("1")
    assert find_option(source, ORDERS, version("1")[:8]).release == FIRST
    for asked in (version("1")[:5], version("3"), ""):
        with pytest.raises(UnknownVersionError, match=f"no version '{asked}' of orders.*{version('2')[:8]}"):
            find_option(source, ORDERS, asked)
    with pytest.raises(UnknownVersionError, match="none"):
        find_option(source, model_id("nothing"), version("1"))


def test_a_named_version_is_the_candidate_however_old() -> None:
    source, target = moved_on("1", "2", "3"), production("3")
    candidates = Candidates(source, target, lambda _, __: True, {ORDERS: version("1")})
    assert candidates.view({}).current[ORDERS].version == version("1")
    assert not candidates.has_older(ORDERS, NOON + 9 * DAY)
    unknown = Candidates(source, target, lambda _, __: True, {ORDERS: version("9")})
    assert unknown.view({}).current[ORDERS].version == version("3")


def test_the_view_holds_the_newest_that_is_ready_else_what_is_held() -> None:
    source = moved_on("1", "2", "3")

    def ready(of: str) -> Candidates:
        return Candidates(source, empty_state("production"), lambda _, entry: entry.version == version(of))

    assert ready("2").view({}).current[ORDERS].version == version("2")
    assert ready("none").view({}) is source
    assert ready("2").view({ORDERS: NOON + DAY}).current[ORDERS].version == version("3")
    assert ready("2").view({ORDERS: NOON + DAY + timedelta(seconds=1)}).current[ORDERS].version == version("2")
    assert (ready("2").has_older(ORDERS, NOON + DAY), ready("1").has_older(ORDERS, NOON + DAY)) == (False, True)


def test_what_is_the_same_in_a_release_that_comes_is_taken_from_it() -> None:
    target = production("1")
    coming = replace(release(code={"orders": "2"}), id=SECOND)
    found = aligned(target, [coming, replace(release(code={"orders": "1"}), id=FIRST)])
    assert found == {model: FIRST if model in {ORDERS, REVENUE} else SECOND for model in target.current}
    assert {entry.release for entry in with_releases(target, found).current.values()} == {FIRST, SECOND}
    assert with_releases(target, {}) is target
    assert aligned(target, [release(code={"orders": "1"})]) == {}
