"""Instants and durations: UTC only, a day is 24 hours, nothing reads a clock."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

from msgspec import Meta

from airflow_dbt_promotion.core.errors import ClockError, InvalidDurationError, InvalidInstantError

Instant = Annotated[datetime, Meta(tz=True)]
"""An instant in a document: one with a time zone."""

Natural = Annotated[int, Meta(ge=0)]
"""A whole number of 0 or more in a document."""

SKEW = timedelta(minutes=5)
"""How far ahead of the clock a recorded instant may lie before it is an error."""

_LONGEST_DAYS = 36_500
_ISO = re.compile(
    r"P(?=.)(?:(?P<weeks>\d+(?:\.\d+)?)W)?(?:(?P<days>\d+(?:\.\d+)?)D)?"
    r"(?:T(?=.)(?:(?P<hours>\d+(?:\.\d+)?)H)?(?:(?P<minutes>\d+(?:\.\d+)?)M)?(?:(?P<seconds>\d+(?:\.\d+)?)S)?)?",
)


def utc(instant: datetime) -> datetime:
    """Return an aware instant in UTC; a naive one is a broken contract."""
    if instant.tzinfo is None:
        raise ValueError(f"{instant!r} has no time zone; instants here are aware")
    return instant.astimezone(UTC)


def duration(value: object) -> timedelta:
    """Return a duration from days (a number of 0 or more) or ISO 8601 (`P1D`, `PT12H`, `P1DT30M`).

    Years and months are refused, since they have no fixed length. Raises InvalidDurationError.
    """
    match value:
        case bool() | None:
            raise InvalidDurationError(value, "it is not a number")
        case timedelta():
            found = value
        case int() | float():
            if isinstance(value, float) and not math.isfinite(value):
                raise InvalidDurationError(value, "it is not finite")
            if abs(value) > _LONGEST_DAYS:
                raise InvalidDurationError(value, f"the longest is {_LONGEST_DAYS} days")
            found = timedelta(days=value)
        case str():
            found = _from_text(value)
        case _:
            raise InvalidDurationError(value, "it is neither a number nor text")
    if found < timedelta(0):
        raise InvalidDurationError(value, "it is negative")
    if found > timedelta(days=_LONGEST_DAYS):
        raise InvalidDurationError(value, f"the longest is {_LONGEST_DAYS} days")
    return found


def _from_text(text: str) -> timedelta:
    """Read a duration from text: a plain number is days."""
    try:
        return duration(float(text))
    except ValueError:
        match = _ISO.fullmatch(text)
    if match is None:
        raise InvalidDurationError(
            text, "years and months have no fixed length" if text.startswith("P") else "it is no number"
        )
    try:
        return timedelta(**{unit: float(number) for unit, number in match.groupdict().items() if number})
    except OverflowError:
        raise InvalidDurationError(text, f"the longest is {_LONGEST_DAYS} days") from None


def coming(told: str, now: datetime) -> datetime:
    """Return the instant that a text names: one with its zone (`2026-12-24T18:00+01:00`), or a duration from now.

    Raises InvalidInstantError.
    """
    try:
        found = datetime.fromisoformat(told)
    except ValueError:
        pass
    else:
        if found.tzinfo is None:
            raise InvalidInstantError(told, "it names no time zone")
        return utc(found)
    try:
        return now + duration(told)
    except (InvalidDurationError, OverflowError):
        raise InvalidInstantError(told, "it is neither an instant nor a duration") from None


def days(length: timedelta) -> float:
    """Return a duration in days."""
    return length / timedelta(days=1)


def readable(length: timedelta) -> str:
    """Return a duration as people say it, in its two largest units: `1 day 3 h`, `45 s`."""
    seconds = max(0, math.ceil(length.total_seconds()))
    units = (("day", 86_400), ("h", 3_600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for unit, size in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {unit}{'s' if unit == 'day' and count > 1 else ''}")
        if len(parts) == 2:  # noqa: PLR2004 - the two largest units are enough
            break
    return " ".join(parts) or "0 s"


def check_past(what: str, recorded: datetime, now: datetime) -> None:
    """Raise ClockError where a recorded instant lies more than five minutes ahead of `now`."""
    if recorded > now + SKEW:
        raise ClockError(what, recorded, now)


def minute(instant: datetime) -> str:
    """Return an instant in UTC for a sentence, to the minute."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"
