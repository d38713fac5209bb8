"""Parts: what is tied together stays together, and all of it is built once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.parts import divided, end_of, run_of
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MODELS = [ModelId(f"model.shop.m{number}") for number in range(12)]


def names(*numbers: int) -> list[ModelId]:
    return [MODELS[number] for number in numbers]


def test_heavy_parts_come_first_and_the_light_share_one() -> None:
    work = dict(zip(names(0, 1, 2, 3, 4), (1, 5, 1, 1, 2), strict=True))
    assert divided(work, [names(0, 4)], 2) == (tuple(names(1)), tuple(names(0, 2, 3, 4)))


def test_what_is_tied_over_others_is_one_part_and_what_there_is_nothing_to_do_for_is_none() -> None:
    work = dict.fromkeys(names(0, 1, 2, 3), 1) | dict.fromkeys(names(4), 0)
    ties = [names(3, 2), names(1, 2), names(0), [], [ModelId("model.shop.elsewhere")]]
    assert divided(work, ties, 9) == (tuple(names(1, 2, 3)), tuple(names(0)))
    assert divided({}, [], 4) == ()


@given(
    st.dictionaries(st.sampled_from(MODELS), st.integers(0, 5)),
    st.lists(st.lists(st.sampled_from(MODELS), max_size=4), max_size=8),
    st.integers(1, 5),
)
def test_no_tie_is_cut_nothing_is_lost_and_nothing_is_there_twice(
    work: dict[ModelId, int], ties: list[list[ModelId]], most: int
) -> None:
    parts = divided(work, ties, most)
    assert len(parts) <= most
    told = [model for part in parts for model in part]
    assert len(told) == len(set(told))
    assert {model for model, much in work.items() if much} <= set(told) <= work.keys()
    for tie in ties:
        touched = [index for index, part in enumerate(parts) for model in tie if model in part]
        assert len(set(touched)) <= 1
    assert all(any(work[model] for model in part) for part in parts)
    assert divided(work, list(reversed(ties)), most) == parts


def test_what_came_of_a_part_is_told_as_its_run_was() -> None:
    results = (
        NodeResult(id="model.shop.a", status=ResultStatus.SUCCESS, started_at=NOON, completed_at=NOON, message="OK"),
        NodeResult(id="test.shop.a", status=ResultStatus.FAIL, started_at=NOON, completed_at=NOON, message="x" * 999),
        NodeResult(id="test.shop.b", status=ResultStatus.SKIPPED),
    )
    run = Run(
        invocation_id="i",
        command="build",
        where="target",
        started_at=NOON,
        finished_at=NOON + timedelta(minutes=1),
        results=results,
        target="prod",
    )
    end = end_of(run, well=False, words=["Got 3 results"])
    assert (end.well, end.words) == (False, ("Got 3 results",))
    told = run_of(end, "prod")
    assert (told.invocation_id, told.started_at, told.finished_at) == ("i", run.started_at, run.finished_at)
    assert [(one.id, one.status, one.completed_at) for one in told.results] == [
        (one.id, one.status, one.completed_at) for one in results
    ]
    assert [len(one.message) for one in told.results] == [0, 300, 0]
