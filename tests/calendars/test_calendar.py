"""When windows open: by hand around every change of clocks, and against an oracle that goes from minute to minute."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import accumulate
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_dbt_promotion.calendars import WallCalendar
from airflow_dbt_promotion.calendars.zones import instant_of, zone_of, zones
from airflow_dbt_promotion.core.windows import HORIZON, Window, Windows

CALENDAR = WallCalendar()
DAY, MINUTE = timedelta(days=1), timedelta(minutes=1)
BERLIN, NEW_YORK, LORD_HOWE, TOKYO = "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo"
CHANGES = {
    BERLIN: (date(2026, 3, 29), date(2026, 10, 25)),
    NEW_YORK: (date(2026, 3, 8), date(2026, 11, 1)),
    LORD_HOWE: (date(2026, 4, 5), date(2026, 10, 4)),
    TOKYO: (date(2026, 3, 29),),
}
"""The nights on which clocks are set; in Tokyo none are."""


def at(told: str) -> datetime:
    return datetime.fromisoformat(told).replace(tzinfo=UTC)


def a_window(opens: str = "00:00", closes: str | None = None, zone: str = BERLIN, **more: object) -> Window:
    ends = {} if closes is None else {"closes": time.fromisoformat(closes), "days": 0 if closes > opens else 1}
    fields = {"name": "it", "zone": zone, "opens": time.fromisoformat(opens), **ends, **more}
    return Window(**fields)  # type: ignore[arg-type]  # passed on


def opens(windows: Windows, moment: str) -> str | None:
    """Return when it opens, seen from an instant: as text without seconds; `now` where it is open."""
    found = CALENDAR.opening(windows, at(moment))
    if found.is_open:
        assert found.opens_at is None
        return "now"
    return None if found.opens_at is None else f"{found.opens_at:%Y-%m-%d %H:%M}"


def open_from_to(window: Window, since: str, until: str) -> list[str]:
    """Return each minute at which a window begins or ceases to be open, between two instants."""
    moment, found, before = at(since), [], False
    while moment <= at(until):
        now = CALENDAR.opening(Windows(allow=(window,)), moment).is_open
        if now is not before:
            found.append(f"{moment:%d %H:%M}")
        moment, before = moment + MINUTE, now
    return found


# --- zones ------------------------------------------------------------------------------------------------------------


def test_only_the_zones_of_the_database_are_zones() -> None:
    assert {BERLIN, "UTC", LORD_HOWE} <= set(zones())
    for name in (
        "Berlin",
        "europe/berlin",
        "localtime",
        "",
        "../etc/passwd",
        "/etc/passwd",
        "Europe",
        "Europe/Berlin\n",
    ):
        with pytest.raises(ValueError, match="there is no time zone"):
            zone_of(name)


@pytest.mark.parametrize(
    ("zone", "wall", "instant"),
    [
        (BERLIN, "2026-03-29 01:59", "2026-03-29 00:59"),
        (BERLIN, "2026-03-29 02:00", "2026-03-29 01:00"),
        (BERLIN, "2026-03-29 02:30", "2026-03-29 01:00"),
        (BERLIN, "2026-03-29 03:00", "2026-03-29 01:00"),
        (BERLIN, "2026-03-29 03:01", "2026-03-29 01:01"),
        (BERLIN, "2026-10-25 02:30", "2026-10-25 00:30"),
        (BERLIN, "2026-10-25 03:00", "2026-10-25 02:00"),
        (NEW_YORK, "2026-03-08 02:30", "2026-03-08 07:00"),
        (NEW_YORK, "2026-11-01 01:30", "2026-11-01 05:30"),
        (LORD_HOWE, "2026-10-04 02:15", "2026-10-03 15:30"),
        (LORD_HOWE, "2026-10-04 02:30", "2026-10-03 15:30"),
        (LORD_HOWE, "2026-04-05 01:45", "2026-04-04 14:45"),
        (LORD_HOWE, "2026-04-05 02:00", "2026-04-04 15:30"),
        (TOKYO, "2026-03-29 02:30", "2026-03-28 17:30"),
        ("Pacific/Apia", "2011-12-30 12:00", "2011-12-30 10:00"),
    ],
)
def test_a_clock_shows_a_time_first_where_it_shows_it_twice_and_at_the_change_where_it_skips_it(
    zone: str, wall: str, instant: str
) -> None:
    assert instant_of(datetime.fromisoformat(wall), zone_of(zone)) == at(instant)


# --- by hand ----------------------------------------------------------------------------------------------------------


def test_without_windows_it_is_always_open_and_so_it_is_where_none_denies() -> None:
    assert opens(Windows(), "2026-07-24 12:00") == "now"
    assert opens(Windows(deny=(a_window("09:00", "10:00", "UTC"),)), "2026-07-24 12:00") == "now"


def test_business_hours() -> None:
    hours = Windows(allow=(a_window("09:00", "17:00", rule="FREQ=WEEKLY;BYDAY=MO,TU,WE,TH"),))
    assert opens(hours, "2026-07-23 06:59") == "2026-07-23 07:00"
    assert opens(hours, "2026-07-23 07:00") == "now"
    assert opens(hours, "2026-07-23 14:59") == "now"
    assert opens(hours, "2026-07-23 15:00") == "2026-07-27 07:00"
    assert opens(hours, "2026-10-24 12:00") == "2026-10-26 08:00"


def test_it_says_which_window_is_to_blame_and_when_it_opens_on_the_clock_of_that_one() -> None:
    hours = a_window("09:00", "17:00", name="business hours")
    friday = a_window(name="no Fridays", zone=NEW_YORK, rule="FREQ=WEEKLY;BYDAY=FR")
    both = Windows(allow=(hours,), deny=(friday,))
    evening = CALENDAR.opening(both, at("2026-07-23 20:00"))
    assert (evening.denied, evening.by, evening.opens_at) == (False, hours, at("2026-07-25 07:00"))
    assert evening.opens_there == datetime.fromisoformat("2026-07-25 09:00")
    noon = CALENDAR.opening(both, at("2026-07-24 12:00"))
    assert (noon.denied, noon.by, noon.opens_at) == (True, friday, at("2026-07-25 07:00"))
    assert noon.opens_there == datetime.fromisoformat("2026-07-25 03:00")
    assert CALENDAR.opening(both, at("2026-07-23 12:00")).by == hours


def test_deny_wins_where_both_are_open_and_overlapping_ones_are_gone_through() -> None:
    windows = Windows(
        allow=(a_window("08:00", "12:00", "UTC"),),
        deny=(
            a_window("07:00", "09:00", "UTC", name="one"),
            a_window("08:30", "10:30", "UTC", name="two"),
            a_window("10:30", "12:00", "UTC", name="three", last=date(2026, 7, 24)),
        ),
    )
    assert opens(windows, "2026-07-24 08:00") == "2026-07-25 10:30"
    assert opens(windows, "2026-07-25 11:59") == "now"
    assert CALENDAR.opening(windows, at("2026-07-24 08:45")).by == windows.deny[1]


def test_a_window_over_midnight_is_open_on_both_days() -> None:
    night = Windows(allow=(a_window("22:00", "02:00", "UTC", rule="FREQ=WEEKLY;BYDAY=FR"),))
    assert opens(night, "2026-07-24 23:00") == "now"
    assert opens(night, "2026-07-25 01:59") == "now"
    assert opens(night, "2026-07-25 02:00") == "2026-07-31 22:00"
    assert opens(night, "2026-07-24 01:00") == "2026-07-24 22:00"


def test_a_window_over_several_days_and_a_year_end() -> None:
    release_train = Windows(allow=(a_window("12:00", zone="UTC", days=2, rule="FREQ=WEEKLY;BYDAY=TU"),))
    assert opens(release_train, "2026-07-23 11:59") == "now"
    assert opens(release_train, "2026-07-23 12:00") == "2026-07-28 12:00"
    freeze = Windows(deny=(a_window(zone="UTC", first=date(2026, 12, 18), last=date(2027, 1, 3)),))
    assert opens(freeze, "2026-12-17 23:59") == "now"
    assert opens(freeze, "2026-12-18 00:00") == "2027-01-04 00:00"
    every_year = Windows(deny=(a_window(zone="UTC", days=17, rule="FREQ=YEARLY;BYMONTH=12;BYMONTHDAY=18"),))
    assert opens(every_year, "2031-12-31 12:00") == "2032-01-04 00:00"
    assert opens(every_year, "2031-12-17 12:00") == "now"


def test_a_rule_that_counts_is_over_once_it_has_counted() -> None:
    twice = Windows(allow=(a_window("09:00", "10:00", "UTC", rule="FREQ=DAILY;COUNT=2", first=date(2026, 7, 24)),))
    assert opens(twice, "2026-07-24 10:00") == "2026-07-25 09:00"
    assert opens(twice, "2026-07-25 10:00") is None


def test_what_is_not_in_sight_is_none() -> None:
    gone = a_window("09:00", "17:00", "UTC", last=date(2026, 7, 1))
    assert opens(Windows(allow=(gone,)), "2026-07-24 12:00") is None
    always = a_window(zone="UTC")
    denied = CALENDAR.opening(Windows(deny=(always,)), at("2026-07-24 12:00"))
    assert (denied.is_open, denied.opens_at, denied.denied, denied.by) == (False, None, True, always)
    far = at("2026-07-24 12:00") + HORIZON
    assert opens(Windows(allow=(a_window(zone="UTC", first=(far + 2 * DAY).date()),)), "2026-07-24 12:00") is None
    near = Windows(allow=(a_window(zone="UTC", first=far.date()),))
    assert opens(near, "2026-07-24 12:00") == f"{far:%Y-%m-%d} 00:00"


@pytest.mark.parametrize("since", ["2026-03-28 00:00", "2026-10-24 00:00"])
def test_what_is_open_each_day_is_never_shut(since: str) -> None:
    whole_days = Windows(allow=(a_window(),))
    assert all(CALENDAR.opening(whole_days, at(since) + n * 7 * MINUTE).is_open for n in range(500))


@pytest.mark.parametrize(
    ("window", "night", "found"),
    [
        # Clocks are set forward: 02:00 is 03:00, and 02:30 is not shown.
        (a_window("02:30", "05:00"), "2026-03-29", ["29 01:00", "29 03:00"]),
        (a_window("02:10", "02:50"), "2026-03-29", []),
        (a_window("01:00", "02:30"), "2026-03-29", ["29 00:00", "29 01:00"]),
        (a_window("02:30", days=0, lasts=timedelta(hours=2)), "2026-03-29", ["29 01:00", "29 03:00"]),
        (a_window("01:00", days=0, lasts=timedelta(hours=2)), "2026-03-29", ["29 00:00", "29 02:00"]),
        (a_window("01:00", "03:00"), "2026-03-29", ["29 00:00", "29 01:00"]),
        # Clocks are set back: 03:00 is 02:00, and 02:30 is shown twice.
        (a_window("02:30", "05:00"), "2026-10-25", ["25 00:30", "25 04:00"]),
        (a_window("01:00", "02:30"), "2026-10-25", ["24 23:00", "25 00:30"]),
        (a_window("01:00", "03:00"), "2026-10-25", ["24 23:00", "25 02:00"]),
        (a_window("01:00", days=0, lasts=timedelta(hours=2)), "2026-10-25", ["24 23:00", "25 01:00"]),
        # Half an hour forward and back.
        (a_window("02:15", "04:00", LORD_HOWE), "2026-10-04", ["03 15:30", "03 17:00"]),
        (a_window("01:45", "02:15", LORD_HOWE), "2026-04-05", ["04 14:45", "04 15:45"]),
        (a_window("02:30", "05:00", TOKYO), "2026-03-29", ["28 17:30", "28 20:00"]),
    ],
)
def test_the_nights_on_which_clocks_are_set(window: Window, night: str, found: list[str]) -> None:
    day = date.fromisoformat(night)
    only = Window(**{**{f: getattr(window, f) for f in window.__struct_fields__}, "first": day, "last": day})
    noon = datetime.combine(day, time(6)).replace(tzinfo=UTC)
    assert open_from_to(only, f"{noon - DAY:%Y-%m-%d %H:%M}", f"{noon:%Y-%m-%d %H:%M}") == found


def test_days_are_days_of_the_calendar_and_hours_are_hours_that_pass() -> None:
    """A day that has 23 or 25 hours is one day; PT24H is 24 hours, whatever the clocks show then."""
    for first, day_ends, hours_end in (
        (date(2026, 3, 28), "2026-03-29 10:00", "2026-03-29 11:00"),
        (date(2026, 10, 24), "2026-10-25 11:00", "2026-10-25 10:00"),
    ):
        day = a_window("12:00", first=first, last=first)
        hours = a_window("12:00", first=first, last=first, days=0, lasts=timedelta(hours=24))
        for window, end in ((day, day_ends), (hours, hours_end)):
            assert CALENDAR.opening(Windows(allow=(window,)), at(end) - MINUTE).is_open
            assert not CALENDAR.opening(Windows(allow=(window,)), at(end)).is_open


# --- against an oracle ------------------------------------------------------------------------------------------------

BEFORE, AFTER = 6 * DAY, 9 * DAY
Zoned = tuple[Sequence[datetime], Sequence[datetime]]


@cache
def shown(zone: str, middle: date) -> Zoned:
    """Return every minute around a day, and the latest time that the clock of a zone has shown until then."""
    start = datetime.combine(middle, time(0)).replace(tzinfo=UTC) - BEFORE
    minutes = [start + n * MINUTE for n in range((BEFORE + AFTER) // MINUTE)]
    there = ZoneInfo(zone)
    return minutes, list(accumulate((moment.astimezone(there).replace(tzinfo=None) for moment in minutes), max))


def minutes_open(window: Window, middle: date) -> set[datetime]:
    """Return every minute at which a window is open, by what its clock shows, a minute at a time."""
    minutes, clock = shown(window.zone, middle)
    found: set[datetime] = set()
    for number in range(-5, 8):
        day = middle + number * DAY
        if (window.first and day < window.first) or (window.last and day > window.last):
            continue
        if window.rule and day.strftime("%a")[:2].upper() not in window.rule.partition("BYDAY=")[2].split(","):
            continue
        start = bisect_left(clock, datetime.combine(day, window.opens))
        end = bisect_left(clock, datetime.combine(day + window.days * DAY, window.closes or window.opens))
        found.update(minutes[start : end + window.lasts // MINUTE])
    return found


clocks = st.builds(time, st.integers(0, 23), st.integers(0, 59)) | st.builds(
    time, st.integers(1, 3), st.sampled_from([0, 15, 30, 45])
)


@st.composite
def windows_in(draw: st.DrawFn, zone: str, middle: date) -> Window:
    opening = draw(clocks)
    closes = draw(st.none() | clocks)
    lasts = draw(st.sampled_from([timedelta(0), 40 * MINUTE, timedelta(hours=5)])) if closes is None else timedelta(0)
    least = 1 if (closes is None and not lasts) or (closes is not None and closes <= opening) else 0
    days = draw(st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), max_size=4))
    first, last = (draw(st.none() | st.integers(-3, 3)) for _ in range(2))
    first, last = (first, last) if first is None or last is None or first <= last else (last, first)
    return Window(
        name=f"{zone} {opening}",
        zone=zone,
        opens=opening,
        closes=closes,
        days=draw(st.integers(least, least + 1)),
        lasts=lasts,
        rule=f"FREQ=WEEKLY;BYDAY={','.join(sorted(days))}" if days else None,
        first=None if first is None else middle + first * DAY,
        last=None if last is None else middle + last * DAY,
    )


@st.composite
def cases(draw: st.DrawFn) -> tuple[Windows, date, datetime]:
    middle = draw(st.sampled_from(CHANGES[draw(st.sampled_from(sorted(CHANGES)))]))
    zone = st.sampled_from(sorted(CHANGES))
    allow, deny = (
        tuple(draw(windows_in(draw(zone), middle)) for _ in range(draw(st.integers(0, most)))) for most in (3, 3)
    )
    moment = datetime.combine(middle, time(0)).replace(tzinfo=UTC) + draw(st.integers(-1440, 2880)) * MINUTE
    return Windows(allow=allow, deny=deny), middle, moment


@given(cases())
@settings(max_examples=150, deadline=None)
def test_it_opens_at_the_first_minute_that_an_oracle_finds(case: tuple[Windows, date, datetime]) -> None:
    windows, middle, moment = case
    allowed = [minutes_open(window, middle) for window in windows.allow]
    denied = set[datetime]().union(*(minutes_open(window, middle) for window in windows.deny))
    looked_at = [moment + n * MINUTE for n in range(4 * DAY // MINUTE)]
    first = next(
        (one for one in looked_at if (not allowed or any(one in open_ for open_ in allowed)) and one not in denied),
        None,
    )
    found = CALENDAR.opening(windows, moment)
    assert found.is_open is (first == moment)
    if first is None:
        assert found.opens_at is None or found.opens_at > looked_at[-1]
    elif not found.is_open:
        assert found.opens_at == first
        assert found.denied is (moment in denied)
        assert found.by is not None
        there = first.astimezone(ZoneInfo(found.by.zone))
        assert found.opens_there == there.replace(tzinfo=None)
    elif windows.allow:
        assert moment in minutes_open(found.by or windows.allow[0], middle)
