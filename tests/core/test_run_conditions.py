"""Arguments that take rows or parents away from a run."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.run_conditions import narrowed
from tests.scenarios import NOON, dbt_run, release

RUN = dbt_run(release(), NOON)
WINDOW = {"event_time_start": "2026-01-01", "event_time_end": "2026-01-02"}


@pytest.mark.parametrize("name", ["empty", "sample", "defer", "favor_state"])
def test_what_narrows_a_run(name: str) -> None:
    assert [found for found, _ in narrowed(replace(RUN, arguments={name: True}))] == [name]
    assert narrowed(replace(RUN, arguments={name: False})) == ()


@pytest.mark.parametrize("sample", ["3 days", {"start": "2026-01-01T00:00:00", "end": "2026-01-02T00:00:00"}])
def test_a_sample_is_one_however_it_is_named(sample: object) -> None:
    assert [found for found, _ in narrowed(replace(RUN, arguments={"sample": sample}))] == ["sample"]


@pytest.mark.parametrize(
    ("arguments", "full_refresh", "expected"),
    [
        (WINDOW, False, []),
        (WINDOW, True, []),
        ({"event_time_start": None, "event_time_end": None}, True, []),
    ],
)
def test_a_window_narrows_no_run_as_a_whole(
    arguments: Mapping[str, object], full_refresh: bool, expected: list[str]
) -> None:
    run = replace(RUN, arguments=arguments, full_refresh=full_refresh)
    assert [found for found, _ in narrowed(run)] == expected
