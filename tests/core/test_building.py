"""Building: exactly what is planned, cut so that only what must be is built anew."""

from __future__ import annotations

from airflow_dbt_promotion.core import building
from airflow_dbt_promotion.core.building import Segment, segments
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.stays import leave
from tests.scenarios import (
    DAY,
    NOON,
    dbt_run,
    empty_state,
    joint_test_id,
    model_id,
    question,
    recorded,
    release,
    situation,
    test_id,
    unit_test_id,
    with_tests,
)

LINE = {"a": (), "b": ("a",), "c": ("b",), "d": ("c",)}


def cut(project: Release, before: Release | None = None, *names: str, **choices: object) -> tuple[Segment, ...]:
    target = recorded(before, dbt_run(before, NOON), state=empty_state("production")) if before is not None else None
    found = plan(situation(recorded(project, dbt_run(project, NOON)), target), question(*names, **choices))
    assert found.allowed
    return segments(found, project)


def told(found: tuple[Segment, ...]) -> list[tuple[str, str, bool]]:
    return [
        (
            "".join(model.name for model in segment.models),
            "".join(test.name.removeprefix("not_null_").removesuffix("_id") for test in segment.tests),
            segment.full_refresh,
        )
        for segment in found
    ]


def test_one_invocation_builds_and_tests_it_all() -> None:
    assert told(cut(release(LINE))) == [("abcd", "abcd", False)]


def test_what_is_skipped_is_not_tested() -> None:
    skipped = cut(release(LINE), bypasses=frozenset({BypassKind.SKIP_TESTS}), reason="now")
    assert told(skipped) == [("abcd", "", False)]


def test_nothing_planned_is_nothing_to_run() -> None:
    assert cut(release(LINE), release(LINE)) == ()


def test_metadata_alone_is_tested_and_not_built() -> None:
    revised = with_tests(release(LINE), revised={"b": "new"})
    assert told(cut(revised, release(LINE), "b")) == [("", "b", False)]


def test_a_removal_is_neither_built_nor_tested() -> None:
    project = release(LINE)
    source = leave(recorded(project, dbt_run(project, NOON)), model_id("d"), NOON + DAY)
    target = recorded(project, dbt_run(project, NOON), state=empty_state("production"))
    found = plan(situation(source, target), question(allow_removals=True))
    assert segments(found, release({"a": (), "b": ("a",), "c": ("b",)})) == ()


def test_a_full_refresh_holds_for_the_changed_incremental_model_alone() -> None:
    before = release(LINE, incremental=["b", "d"])
    after = release(LINE, incremental=["b", "d"], code={"a": "x", "b": "y"})
    found = cut(after, before, on_incremental_change=IncrementalChange.FULL_REFRESH)
    assert told(found) == [("a", "a", False), ("b", "b", True), ("cd", "cd", False)]
    forward = cut(after, before, on_incremental_change=IncrementalChange.FORWARD_ONLY)
    assert told(forward) == [("abcd", "abcd", False)]


def test_a_full_refresh_may_come_first_and_alone() -> None:
    before, after = release({"a": ()}, incremental=["a"]), release({"a": ()}, incremental=["a"], code={"a": "x"})
    found = cut(after, before, on_incremental_change=IncrementalChange.FULL_REFRESH)
    assert told(found) == [("a", "a", True)]


def test_a_test_of_several_models_runs_with_the_last_of_them() -> None:
    names = {"incremental": ["b"]}
    before = with_tests(release(LINE, **names), joint=[("a", "b"), ("a", "d")])  # type: ignore[arg-type]
    after = with_tests(release(LINE, code={"a": "x", "b": "y"}, **names), joint=[("a", "b"), ("a", "d")])  # type: ignore[arg-type]
    found = cut(after, before, on_incremental_change=IncrementalChange.FULL_REFRESH)
    turn = {test.id: number for number, segment in enumerate(found) for test in segment.tests}
    assert (turn[joint_test_id("a", "b")], turn[joint_test_id("a", "d")]) == (1, 2)


def test_unit_tests_run_only_where_they_are_asked_for() -> None:
    project = with_tests(release(LINE), units=["a"])
    assert unit_test_id("a") not in {test.id for segment in cut(project) for test in segment.tests}
    some = [model_id("a"), model_id("unheard_of")]
    assert [test.id for test in building.tests_of(project, some, unit=True)] == [test_id("a"), unit_test_id("a")]
    assert [test.id for test in building.tests_of(project, some, unit=False)] == [test_id("a")]
