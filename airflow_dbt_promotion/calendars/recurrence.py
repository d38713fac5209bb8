"""Recurrences: the days that a rule of RFC 5545 names.

A rule chooses days, and a window says at which time of day it opens; so the parts for hours, minutes and seconds are
refused. All work is bounded: rules are short, counts are small, and one that names no day within the next hundred years
is found out when the configuration is read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from types import MappingProxyType

_LONGEST_RULE = 400
_FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
_NUMBERS: Mapping[str, tuple[int, int]] = MappingProxyType({"INTERVAL": (1, 1_000), "COUNT": (1, 10_000)})
_LISTS: Mapping[str, tuple[int, bool]] = MappingProxyType(
    {
        "BYMONTH": (12, False),
        "BYMONTHDAY": (31, True),
        "BYYEARDAY": (366, True),
        "BYWEEKNO": (53, True),
        "BYSETPOS": (366, True),
    }
)
"""The largest number of each list, and whether it may count from the end."""
_DAY = re.compile(r"(?P<which>[+-]?[1-9]\d?)?(?:MO|TU|WE|TH|FR|SA|SU)")
_CHOOSES_DAYS = frozenset({"BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO"})
_NOT_WITH: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "BYWEEKNO": frozenset({"DAILY", "WEEKLY", "MONTHLY"}),
        "BYYEARDAY": frozenset({"DAILY", "WEEKLY", "MONTHLY"}),
        "BYMONTHDAY": frozenset({"WEEKLY"}),
    }
)
_INSTEAD: Mapping[str, str] = MappingProxyType(
    {
        "UNTIL": "say it with the key `until`",
        "DTSTART": "say it with the key `from`",
        "BYHOUR": "say it with the key `opens`",
        "BYMINUTE": "say it with the key `opens`",
        "BYSECOND": "say it with the key `opens`",
    }
)
_CYCLE, _LATEST = 400, 9_899


def wrong_with(rule: str, first: date | None, last: date | None) -> str | None:
    """Return what is wrong with a rule between two days, None where it is right and names a day."""
    if len(rule) > _LONGEST_RULE:
        return f"is longer than {_LONGEST_RULE} characters"
    parts: dict[str, str] = {}
    for part in _bare(rule).split(";"):
        name, equals, value = part.partition("=")
        if not equals or not value:
            return f"{part!r} is no part of a rule; write it like FREQ=WEEKLY;BYDAY=MO,TU"
        if name in parts:
            return f"says {name} twice"
        parts[name] = value
    problem = next((found for name, value in parts.items() if (found := _wrong_part(name, value, parts))), None)
    if problem is not None:
        return problem
    if "FREQ" not in parts:
        return f"says no FREQ, which is one of {', '.join(_FREQUENCIES)}"
    if first is None and (why := _needs_start(parts)) is not None:
        return f"{why}, so it needs a day to count from: say it with the key `from`"
    start = first or date(2000, 1, 1)
    day = next(days_of(rule, start, start), None)
    if day is None:
        return "names no day: it never occurs"
    if first is not None and last is not None and day > last:
        return f"names no day from {first} until {last}"
    return None


def days_of(rule: str, since: date, start: date | None = None) -> Iterator[date]:
    """Yield the days that a rule names from one on, in order; `start` is the day that it counts from, if it counts.

    It ends after at most five hundred years. The rule must be one with which nothing is wrong.
    """
    from dateutil.rrule import rrulestr  # noqa: PLC0415 - costs time, and most projects have no windows

    told = _bare(rule)
    counts = _needs_start(dict(part.split("=", 1) for part in told.split(";"))) is not None
    # A rule that counts nothing says the same of every year, so the years before need not be gone through.
    anchor = start if counts and start is not None else date(since.year - 1, 1, 1)
    # The calendar repeats itself every 400 years, to the day of the week. dateutil looks for the next day until the
    # year 9999, so it is asked in the last centuries before that: a rule that names no day takes no time there.
    shift = (_LATEST - anchor.year) // _CYCLE * _CYCLE
    for found in rrulestr(told, dtstart=datetime.combine(anchor.replace(year=anchor.year + shift), time(0))):
        day = found.date().replace(year=found.year - shift)
        if day >= since:
            yield day


def _bare(rule: str) -> str:
    """Return a rule in capitals, without the name of the property."""
    return rule.strip().upper().removeprefix("RRULE:")


def _needs_start(parts: Mapping[str, str]) -> str | None:
    """Return why a rule depends on the day that it counts from, None where it does not."""
    if "COUNT" in parts:
        return "counts how often it occurs"
    if int(parts.get("INTERVAL", "1")) > 1:
        return "leaves some out (INTERVAL)"
    if parts["FREQ"] != "DAILY" and not _CHOOSES_DAYS & parts.keys():
        return f"does not say on which day ({parts['FREQ']} without BYDAY, BYMONTHDAY or the like)"
    return None


def _wrong_part(name: str, value: str, parts: Mapping[str, str]) -> str | None:
    """Return what is wrong with one part of a rule, None where nothing is."""
    frequency = parts.get("FREQ", "")
    if frequency in _NOT_WITH.get(name, ()):
        return f"{name} cannot go with FREQ={frequency}"
    match name:
        case "FREQ" if value not in _FREQUENCIES:
            return f"FREQ={value} must be one of {', '.join(_FREQUENCIES)}: a rule chooses days"
        case "WKST" if not _DAY.fullmatch(value) or len(value) > 2:  # noqa: PLR2004 - two letters
            return f"WKST={value} must be a day of the week: MO, TU, WE, TH, FR, SA or SU"
        case "FREQ" | "WKST":
            return None
        case "BYDAY":
            return _wrong_days(value, parts)
        case _ if name in _NUMBERS:
            low, high = _NUMBERS[name]
            right = value.isdecimal() and len(value) <= len(str(high)) and low <= int(value) <= high
            return None if right else f"{name}={value} must be a whole number from {low} to {high}"
        case _ if name in _LISTS:
            high, backwards = _LISTS[name]
            if all(_is_within(number, high, backwards=backwards) for number in value.split(",")):
                return None
            return (
                f"{name}={value} must be whole numbers from 1 to {high}{' or -1 to -' + str(high) if backwards else ''}"
            )
        case _:
            return f"{name} is no part of a rule here{'; ' + _INSTEAD[name] if name in _INSTEAD else ''}"


def _wrong_days(value: str, parts: Mapping[str, str]) -> str | None:
    """Return what is wrong with BYDAY, None where nothing is."""
    found = [_DAY.fullmatch(day) for day in value.split(",")]
    if not all(found):
        return f"BYDAY={value} must be days of the week: MO, TU, WE, TH, FR, SA, SU, or 1MO and -1FR for some of them"
    which = any(match["which"] for match in found if match is not None)
    if which and (parts.get("FREQ") not in {"MONTHLY", "YEARLY"} or "BYWEEKNO" in parts):
        return f"BYDAY={value} counts days, which goes with FREQ=MONTHLY and FREQ=YEARLY alone, and not with BYWEEKNO"
    return None


def _is_within(number: str, high: int, *, backwards: bool) -> bool:
    """Say whether one number of a list is within its range; no list has a zero."""
    match = re.fullmatch(r"([+-]?)0?(\d{1,3})", number)
    return match is not None and 1 <= int(match[2]) <= high and (backwards or match[1] != "-")
