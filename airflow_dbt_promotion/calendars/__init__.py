"""The calendar: when windows open, over the clocks of time zones with all their changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple

from airflow_dbt_promotion.calendars.recurrence import days_of
from airflow_dbt_promotion.calendars.zones import instant_of, zone_of
from airflow_dbt_promotion.core.windows import HORIZON, Opening, Window, Windows

__all__ = ["WallCalendar"]

_DAY = timedelta(days=1)


class _Span(NamedTuple):
    """One time that a window is open: from `start` on, and no longer at `end`."""

    start: datetime
    end: datetime
    window: Window


class WallCalendar:
    """The port `Calendar` over the IANA time zones and the rules of RFC 5545."""

    def opening(self, windows: Windows, at: datetime) -> Opening:
        """Return what windows say of an instant; an opening is looked for as far ahead as `HORIZON`."""
        allow = [_Course(window, at) for window in windows.allow]
        deny = [_Course(window, at) for window in windows.deny]
        shut = _longest(deny, at)
        moment, by = at, shut
        while moment <= at + HORIZON:
            if (denied := _longest(deny, moment)) is not None:
                moment = denied.end
                continue
            opens = min((span for course in allow if (span := course.at(moment)) is not None), default=None, key=_start)
            if opens is not None and opens.start > moment:
                moment = opens.start
                continue
            if opens is None and allow:
                break
            by = by or opens
            return _open(by) if moment == at else _closed(by, moment, denied=shut is not None)
        return Opening(is_open=False, denied=shut is not None, by=None if shut is None else shut.window)


class _Course:
    """The times that one window is open, gone through once in their order."""

    def __init__(self, window: Window, at: datetime) -> None:
        """Begin with the first that is not over at an instant."""
        self._spans = _spans(window, at)
        self._next = next(self._spans, None)

    def at(self, moment: datetime) -> _Span | None:
        """Return the time that an instant is in, or else the next one; instants must not go back."""
        while self._next is not None and self._next.end <= moment:
            self._next = next(self._spans, None)
        return self._next


def _spans(window: Window, at: datetime) -> Iterator[_Span]:
    """Yield the times that a window is open and that are not over at an instant, by their starts."""
    zone = zone_of(window.zone)
    today = at.astimezone(zone).date()
    # A day more at each end, for clocks that were set across midnight.
    since = today - (window.days + 2) * _DAY - window.lasts
    for day in _days(window, since, today + HORIZON + _DAY):
        start = instant_of(datetime.combine(day, window.opens), zone)
        closes = datetime.combine(day + window.days * _DAY, window.closes or window.opens)
        end = instant_of(closes, zone) + window.lasts
        if start < end and end > at:
            yield _Span(start, end, window)


def _days(window: Window, since: date, until: date) -> Iterator[date]:
    """Yield the days on which a window opens between two days, both included."""
    since = since if window.first is None else max(since, window.first)
    until = until if window.last is None else min(until, window.last)
    if window.rule is None:
        yield from (since + number * _DAY for number in range((until - since).days + 1))
        return
    for day in days_of(window.rule, since, window.first):
        if day > until:
            return
        yield day


def _longest(courses: Sequence[_Course], moment: datetime) -> _Span | None:
    """Return the time that an instant is in, of several the one that ends last; None where it is in none."""
    spans = (span for course in courses if (span := course.at(moment)) is not None and span.start <= moment)
    return max(spans, default=None, key=_end)


def _start(span: _Span) -> datetime:
    return span.start


def _end(span: _Span) -> datetime:
    return span.end


def _open(by: _Span | None) -> Opening:
    """Return that it is open, by which window if by one."""
    return Opening(is_open=True, by=None if by is None else by.window)


def _closed(by: _Span | None, opens_at: datetime, *, denied: bool) -> Opening:
    """Return that it is closed, and when it opens."""
    window = None if by is None else by.window
    there = None if window is None else opens_at.astimezone(zone_of(window.zone)).replace(tzinfo=None)
    return Opening(is_open=False, denied=denied, by=window, opens_at=opens_at.astimezone(UTC), opens_there=there)
