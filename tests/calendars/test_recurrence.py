from __future__ import annotations

from datetime import date, datetime, time, timedelta
from itertools import islice, takewhile

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_dbt_promotion.calendars.recurrence import days_of, wrong_with

MONDAY = date(2026, 7, 6)


def first_days(rule: str, number: int = 3, since: date = MONDAY, start: date | None = None) -> list[str]:
    return [day.isoformat() for day in islice(days_of(rule, since, start), number)]


@pytest.mark.parametrize(
    ("rule", "days"),
    [
        ("FREQ=DAILY", ["2026-07-06", "2026-07-07", "2026-07-08"]),
        ("FREQ=WEEKLY;BYDAY=TU", ["2026-07-07", "2026-07-14", "2026-07-21"]),
        ("rrule:freq=weekly;byday=tu,th", ["2026-07-07", "2026-07-09", "2026-07-14"]),
        ("FREQ=MONTHLY;BYDAY=-1FR", ["2026-07-31", "2026-08-28", "2026-09-25"]),
        ("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", ["2026-07-31", "2026-08-31", "2026-09-30"]),
        ("FREQ=MONTHLY;BYMONTHDAY=31", ["2026-07-31", "2026-08-31", "2026-10-31"]),
        ("FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=18", ["2026-12-18", "2027-12-18", "2028-12-18"]),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", ["2028-02-29", "2032-02-29", "2036-02-29"]),
        ("FREQ=YEARLY;BYYEARDAY=-1", ["2026-12-31", "2027-12-31", "2028-12-31"]),
        ("FREQ=YEARLY;BYWEEKNO=1;BYDAY=MO", ["2027-01-04", "2028-01-03", "2029-01-01"]),
    ],
)
def test_a_rule_names_its_days(rule: str, days: list[str]) -> None:
    assert wrong_with(rule, None, None) is None
    assert first_days(rule) == days


def test_the_days_of_a_rule_that_counts_nothing_do_not_depend_on_where_one_begins_to_look() -> None:
    rule = "FREQ=MONTHLY;BYDAY=2TU"
    later = first_days(rule, 12, MONDAY + timedelta(days=45))
    assert later[0] == "2026-09-08"
    assert first_days(rule, 14)[2:] == later


def test_a_rule_that_counts_begins_at_its_day() -> None:
    fortnight = "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO"
    assert first_days(fortnight, since=MONDAY, start=date(2026, 6, 29)) == ["2026-07-13", "2026-07-27", "2026-08-10"]
    assert first_days(fortnight, since=MONDAY, start=date(2020, 1, 6))[0] == "2026-07-13"
    assert first_days("FREQ=DAILY;COUNT=2", start=MONDAY) == ["2026-07-06", "2026-07-07"]
    assert first_days("FREQ=WEEKLY", start=MONDAY) == ["2026-07-06", "2026-07-13", "2026-07-20"]
    for rule in (fortnight, "FREQ=DAILY;COUNT=2", "FREQ=WEEKLY", "FREQ=MONTHLY", "FREQ=YEARLY"):
        assert wrong_with(rule, MONDAY, None) is None
        assert "say it with the key `from`" in (wrong_with(rule, None, None) or "")


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        ("", "'' is no part of a rule"),
        ("every day", "'EVERY DAY' is no part of a rule"),
        ("FREQ=", "'FREQ=' is no part of a rule"),
        ("FREQ=DAILY;", "'' is no part of a rule"),
        ("FREQ=DAILY;FREQ=WEEKLY", "says FREQ twice"),
        ("BYDAY=MO", "says no FREQ"),
        ("FREQ=HOURLY", "must be one of DAILY, WEEKLY"),
        ("FREQ=SECONDLY;COUNT=1000000000", "must be one of DAILY, WEEKLY"),
        ("FREQ=DAILY;COUNT=1000000000", "COUNT=1000000000 must be a whole number from 1 to 10000"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 must be a whole number from 1 to 1000"),
        ("FREQ=DAILY;INTERVAL=-1", "must be a whole number"),
        ("FREQ=DAILY;UNTIL=20270101T000000Z", "say it with the key `until`"),
        ("DTSTART=20270101T000000Z;FREQ=DAILY", "say it with the key `from`"),
        ("FREQ=DAILY;BYHOUR=9", "say it with the key `opens`"),
        ("FREQ=DAILY;BYEASTER=0", "BYEASTER is no part of a rule here"),
        ("FREQ=WEEKLY;BYDAY=MONDAY", "must be days of the week"),
        ("FREQ=WEEKLY;BYDAY=1MO", "goes with FREQ=MONTHLY and FREQ=YEARLY alone"),
        ("FREQ=YEARLY;BYWEEKNO=20;BYDAY=1MO", "not with BYWEEKNO"),
        ("FREQ=WEEKLY;BYDAY=MO;WKST=1MO", "WKST=1MO must be a day of the week"),
        ("FREQ=WEEKLY;BYDAY=MO;WKST=XX", "WKST=XX must be a day of the week"),
        ("FREQ=WEEKLY;BYMONTHDAY=1", "BYMONTHDAY cannot go with FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=1", "BYYEARDAY cannot go with FREQ=MONTHLY"),
        ("FREQ=DAILY;BYMONTH=13", "BYMONTH=13 must be whole numbers from 1 to 12"),
        ("FREQ=DAILY;BYMONTH=-1", "BYMONTH=-1 must be whole numbers from 1 to 12"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "from 1 to 31 or -1 to -31"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,,2", "from 1 to 31"),
        ("FREQ=WEEKLY;BYDAY=MO;BYSETPOS=" + "1," * 300 + "1", "is longer than 400 characters"),
    ],
)
def test_what_is_wrong_with_a_rule_is_told(rule: str, problem: str) -> None:
    assert problem in (wrong_with(rule, None, None) or "nothing")


@pytest.mark.parametrize(
    "rule",
    [
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;INTERVAL=1000;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=4,6;BYMONTHDAY=31",
        "FREQ=MONTHLY;BYDAY=MO;BYSETPOS=366",
        "FREQ=YEARLY;BYYEARDAY=1;BYMONTH=2",
    ],
)
def test_a_rule_that_never_occurs_is_found_out(rule: str) -> None:
    assert wrong_with(rule, MONDAY, None) == "names no day: it never occurs"


def test_a_rule_that_names_no_day_between_two_is_found_out() -> None:
    rule = "FREQ=WEEKLY;BYDAY=MO"
    assert wrong_with(rule, date(2026, 7, 7), date(2026, 7, 12)) == "names no day from 2026-07-07 until 2026-07-12"
    assert wrong_with(rule, date(2026, 7, 7), date(2026, 7, 13)) is None
    assert wrong_with(rule, None, date(2026, 7, 12)) is None


def test_a_rare_rule_is_looked_for_as_far_as_it_takes() -> None:
    assert first_days("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO", 1) == ["2044-02-29"]


WEEKDAYS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


@st.composite
def rules(draw: st.DrawFn) -> str:
    frequency = draw(st.sampled_from(["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]))
    ordinal = st.sampled_from(["", "1", "-1", "2"]) if frequency in {"MONTHLY", "YEARLY"} else st.just("")
    parts = {"FREQ": frequency, "INTERVAL": draw(st.sampled_from(["1", "1", "2", "5"]))}
    if draw(st.booleans()):
        days = draw(st.sets(st.tuples(ordinal, st.sampled_from(WEEKDAYS)), min_size=1, max_size=3))
        parts["BYDAY"] = ",".join(sorted(f"{which}{day}" for which, day in days))
    if draw(st.booleans()):
        parts["BYMONTH"] = ",".join(map(str, sorted(draw(st.sets(st.integers(1, 12), min_size=1, max_size=4)))))
    if frequency != "WEEKLY" and draw(st.booleans()):
        numbers = st.integers(1, 31) | st.integers(-31, -1)
        parts["BYMONTHDAY"] = ",".join(map(str, sorted(draw(st.sets(numbers, min_size=1, max_size=4)))))
    if draw(st.booleans()):
        parts["WKST"] = draw(st.sampled_from(WEEKDAYS))
    if draw(st.integers(0, 3)) == 0:
        parts["COUNT"] = str(draw(st.integers(1, 30)))
    return ";".join(f"{name}={value}" for name, value in parts.items())


@given(rules(), st.dates(date(2000, 1, 1), date(2150, 1, 1)), st.integers(0, 900))
@settings(max_examples=150, deadline=None)
def test_a_rule_names_the_days_that_dateutil_names_for_the_years_themselves(rule: str, start: date, ahead: int) -> None:
    """The years that are asked are others, and the days must not be."""
    since = start + timedelta(days=ahead)
    until = since + timedelta(days=1500)
    plain = takewhile(lambda day: day.date() <= until, rrulestr(rule, dtstart=datetime.combine(start, time(0))))
    expected = [day.date() for day in plain if day.date() >= since]
    assert list(takewhile(lambda day: day <= until, days_of(rule, since, start))) == expected
    assert (wrong_with(rule, start, None) is None) or not expected
