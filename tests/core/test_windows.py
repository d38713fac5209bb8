from __future__ import annotations

from datetime import date, time, timedelta

import pytest

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.windows import Window, Windows


def a_window(**fields: object) -> Window:
    return Window(name="it", zone="UTC", **fields)  # type: ignore[arg-type]  # passed on


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"days": 0}, "closes before it opens"),
        ({"opens": time(9), "closes": time(8), "days": 0}, "closes before it opens"),
        ({"opens": time(9), "closes": time(9), "days": 0}, "closes before it opens"),
        ({"opens": time(9), "closes": time(8), "days": 0, "lasts": timedelta(hours=4)}, "closes before it opens"),
        ({"days": -1, "lasts": timedelta(days=3)}, "closes before it opens"),
        ({"lasts": timedelta(seconds=-1)}, "closes before it opens"),
        ({"days": 367}, "longer than 366 days"),
        ({"days": 366, "lasts": timedelta(minutes=1)}, "longer than 366 days"),
        ({"first": date(2026, 7, 2), "last": date(2026, 7, 1)}, "ends on 2026-07-01, before it begins on 2026-07-02"),
    ],
)
def test_a_window_that_could_not_be_is_refused(fields: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        a_window(**fields)


def test_windows_say_something_where_there_is_one() -> None:
    assert Windows().always
    assert not Windows(allow=(a_window(),)).always
    assert not Windows(deny=(a_window(days=0, lasts=timedelta(minutes=1), last=date(2026, 7, 1)),)).always
    assert a_window(opens=time(9), closes=time(8), days=1, first=date(2026, 7, 1), last=date(2026, 7, 1)).closes
