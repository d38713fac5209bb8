"""Instants and durations."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dbt_promotion.core.errors import ClockError, InvalidDurationError, InvalidInstantError
from airflow_dbt_promotion.core.instants import SKEW, check_past, coming, days, duration, readable, utc

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("told", "found"),
    [
        ("2026-12-24T18:00+01:00", "2026-12-24T17:00:00+00:00"),
        ("2026-12-24T17:00Z", "2026-12-24T17:00:00+00:00"),
        ("PT4H", "2026-07-24T16:00:00+00:00"),
        ("P2D", "2026-07-26T12:00:00+00:00"),
        ("0.5", "2026-07-25T00:00:00+00:00"),
    ],
)
def test_an_instant_to_come_is_told_as_such_or_as_a_duration(told: str, found: str) -> None:
    assert coming(told, datetime(2026, 7, 24, 12, tzinfo=UTC)).isoformat() == found


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ("2026-12-24T18:00", "it names no time zone"),
        ("2026-12-24", "it names no time zone"),
        ("tomorrow", "neither an instant nor a duration"),
        ("-1", "neither an instant nor a duration"),
        ("P1Y", "neither an instant nor a duration"),
        ("", "neither an instant nor a duration"),
        ("x" * 100, r"x{77}\.\.\."),
    ],
)
def test_what_names_no_instant_to_come_is_refused(told: str, problem: str) -> None:
    with pytest.raises(InvalidInstantError, match=problem):
        coming(told, datetime(2026, 7, 24, 12, tzinfo=UTC))
    with pytest.raises(InvalidInstantError):
        coming("P36500D", datetime(9999, 1, 1, tzinfo=UTC))


def test_an_instant_is_told_in_utc() -> None:
    told = utc(datetime(2024, 5, 1, 14, tzinfo=timezone(timedelta(hours=2))))
    assert (told, told.tzinfo) == (NOW, UTC)


def test_a_naive_instant_is_a_broken_contract() -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        utc(NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, timedelta(0)),
        (1, DAY),
        (0.5, DAY / 2),
        (36_500, 36_500 * DAY),
        (DAY, DAY),
        ("1", DAY),
        ("0.25", DAY / 4),
        (" 2 ", 2 * DAY),
        ("08", 8 * DAY),
        ("P1D", DAY),
        ("PT12H", DAY / 2),
        ("P1DT30M", DAY + timedelta(minutes=30)),
        ("P2W", 14 * DAY),
        ("PT0.5S", timedelta(seconds=0.5)),
        ("P1W2DT3H4M5S", timedelta(weeks=1, days=2, hours=3, minutes=4, seconds=5)),
    ],
)
def test_a_duration_is_days_or_iso_8601(value: object, expected: timedelta) -> None:
    assert duration(value) == expected


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (True, "not a number"),
        (False, "not a number"),
        (None, "not a number"),
        ([1], "neither a number nor text"),
        (-1, "negative"),
        ("-0.5", "negative"),
        (-DAY, "negative"),
        (float("nan"), "not finite"),
        (float("inf"), "not finite"),
        ("nan", "not finite"),
        ("-inf", "not finite"),
        (36_501, "the longest is 36500 days"),
        (-36_501, "the longest"),
        (36_501 * DAY, "the longest"),
        ("1e9", "the longest"),
        (10**400, "the longest"),
        (-(10**400), "the longest"),
        ("1" * 400, "not finite"),
        ("P99999999999D", "the longest"),
        ("P40000D", "the longest"),
        ("P1Y", "no fixed length"),
        ("P1M", "no fixed length"),
        ("P", "no fixed length"),
        ("P1DT", "no fixed length"),
        ("", "no number"),
        ("soon", "no number"),
        ("1 day", "no number"),
        ("p1d", "no number"),
    ],
)
def test_anything_else_is_no_duration(value: object, why: str) -> None:
    with pytest.raises(InvalidDurationError, match=why):
        duration(value)


@given(st.floats(0, 36_500))
def test_days_go_there_and_back(number: float) -> None:
    assert days(duration(number)) == pytest.approx(number, abs=1e-9)


@given(st.text(max_size=12) | st.from_regex(r"P[0-9.]{0,3}[WDYM]?T?[0-9.]{0,3}[HMS]?", fullmatch=True))
def test_every_text_is_a_duration_or_a_clear_error(text: str) -> None:
    try:
        assert timedelta(0) <= duration(text) <= 36_500 * DAY
    except InvalidDurationError as error:
        assert "ISO 8601" in str(error)  # noqa: PT017 - either answer is right


@pytest.mark.parametrize(
    ("length", "said"),
    [
        (timedelta(0), "0 s"),
        (-DAY, "0 s"),
        (timedelta(seconds=0.1), "1 s"),
        (timedelta(seconds=59.2), "1 min"),
        (timedelta(seconds=3_600), "1 h"),
        (timedelta(days=1, hours=3, minutes=5), "1 day 3 h"),
        (timedelta(days=2, minutes=5), "2 days 5 min"),
        (timedelta(hours=1, seconds=1), "1 h 1 s"),
    ],
)
def test_people_read_the_two_largest_units(length: timedelta, said: str) -> None:
    assert readable(length) == said


def test_an_instant_may_lie_five_minutes_ahead_and_no_more() -> None:
    check_past("entry", NOW, NOW)
    check_past("entry", NOW + SKEW, NOW)
    with pytest.raises(ClockError, match="set the clock right") as caught:
        check_past("entry", NOW + SKEW + timedelta(microseconds=1), NOW)
    assert caught.value.now == NOW
