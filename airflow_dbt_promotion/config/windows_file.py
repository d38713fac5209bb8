"""The windows of an environment in `promotion.yml`: what may be written there, and the values that it stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, time, timedelta
from enum import Enum
from typing import Annotated, NamedTuple

from msgspec import UNSET, Meta, Struct, UnsetType, field

from airflow_dbt_promotion.config.typed import kind_of, near, text_keyed, typed_fields
from airflow_dbt_promotion.config.yaml_file import YamlFile
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.windows import LONGEST, Window, Windows

MOST_WINDOWS = 50
_FIRST_YEAR, _LAST_YEAR = 2000, 2199
_MIDNIGHT = time(0)
_CLOCK = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_CLOSING = re.compile(rf"{_CLOCK.pattern}|24:00")
_LENGTH = re.compile(
    r"P(?=.)(?:(?P<weeks>\d{1,4})W)?(?:(?P<days>\d{1,4})D)?"
    r"(?:T(?=.)(?:(?P<hours>\d{1,5})H)?(?:(?P<minutes>\d{1,7})M)?)?"
)

Clock = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
ClosingClock = Annotated[str, Meta(pattern=r"^(([01]\d|2[0-3]):[0-5]\d|24:00)$")]
Length = Annotated[str, Meta(pattern=r"^P(\d+W)?(\d+D)?(T(\d+H)?(\d+M)?)?$")]


class Weekday(Enum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


class WindowEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One window as written; only `timezone` has to be there.

    `name`: what the verdict calls it. `days`: the days of the week on which it opens, or `rrule`: any recurrence of
    RFC 5545 that chooses days (default: every day). `from` and `until`: the first and the last day on which it opens.
    `opens`: when, on the clock of the zone (default: midnight). `closes`: when, on the same day or, where that is not
    later, on the next; or `lasts`: how long, in ISO 8601, days by the calendar and hours by the clockwork (default: to
    the end of the day).
    """

    timezone: str
    name: str | UnsetType = UNSET
    rrule: str | UnsetType = UNSET
    days: tuple[Weekday, ...] | UnsetType = UNSET
    opens: Clock | UnsetType = UNSET
    closes: ClosingClock | UnsetType = UNSET
    lasts: Length | UnsetType = UNSET
    first: date | UnsetType = field(default=UNSET, name="from")
    last: date | UnsetType = field(default=UNSET, name="until")


class WindowsEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When something may be promoted into the environment: in one of `allow` (default: whenever), and in none of
    `deny`.
    """

    allow: tuple[WindowEntry, ...] = ()
    deny: tuple[WindowEntry, ...] = ()


class _End(NamedTuple):
    """When a window closes, after it opened."""

    days: int
    closes: time | None = None
    lasts: timedelta = timedelta(0)


def windows_of(document: YamlFile, value: object, keys: tuple[str, ...]) -> Windows:
    """Return the windows that a value stands for; raise ConfigError with file, line and key."""
    found = text_keyed(document, value, keys)
    for key in found:
        if key not in WindowsEntry.__struct_fields__:
            problem = f"there is no such key{near(key, WindowsEntry.__struct_fields__)}"
            raise ConfigError(document.place(*keys, key), problem)
    return Windows(
        allow=_listed(document, found.get("allow", []), (*keys, "allow")),
        deny=_listed(document, found.get("deny", []), (*keys, "deny")),
    )


def _listed(document: YamlFile, value: object, keys: tuple[object, ...]) -> tuple[Window, ...]:
    """Return a list of windows."""
    if not isinstance(value, list):
        raise ConfigError(document.place(*keys), f"must be a list of windows, not {kind_of(value)}")
    if len(value) > MOST_WINDOWS:
        raise ConfigError(document.place(*keys), f"holds {len(value)} windows; {MOST_WINDOWS} are the most")
    made = tuple(_window(document, one, (*keys, index)) for index, one in enumerate(value))
    names = [window.name for window in made]
    for index, name in enumerate(names):
        if name in names[:index]:
            raise ConfigError(document.place(*keys, index, "name"), f"there are two windows {name!r}")
    return made


def _window(document: YamlFile, value: object, keys: tuple[object, ...]) -> Window:
    """Return one window."""
    said = typed_fields(document, _checked(document, text_keyed(document, value, keys), keys), keys, WindowEntry)
    zone = _zone(document, said, keys)
    rule = _rule(document, said, keys)
    first, last = _date(document, said, "from", keys), _date(document, said, "until", keys)
    opens = time.fromisoformat(str(said.get("opens", "00:00")))
    name = str(said.get("name", "")).strip() or f"{keys[-2]} {int(str(keys[-1])) + 1}"
    end = _end(document, said, opens, keys)
    try:
        window = Window(name=name, zone=zone, opens=opens, **end._asdict(), rule=rule, first=first, last=last)
    except ConfigError as error:
        raise ConfigError(document.place(*keys), error.problem) from None
    _check_rule(document, window, keys)
    return window


def _checked(document: YamlFile, found: Mapping[str, object], keys: tuple[object, ...]) -> Mapping[str, object]:
    """Return what is written; raise ConfigError where a time of day is none (YAML reads 17:00 as a number), or a
    length.
    """
    for key, shape, what in (
        ("opens", _CLOCK, 'a time of day in quotes, such as "09:00" or "17:30"'),
        ("closes", _CLOSING, 'a time of day in quotes, such as "09:00", "17:30" or "24:00"'),
        ("lasts", _LENGTH, "a length in weeks, days, hours and minutes, such as P1D, PT8H or P2DT6H"),
    ):
        told = found.get(key)
        if key in found and not (isinstance(told, str) and shape.fullmatch(told)):
            raise ConfigError(document.place(*keys, key), f"{told!r} must be {what}")
    return found


def _zone(document: YamlFile, said: Mapping[str, object], keys: tuple[object, ...]) -> str:
    """Return the time zone of a window."""
    from airflow_dbt_promotion.calendars.zones import zone_of, zones  # noqa: PLC0415 - most files have no windows

    if "timezone" not in said:
        raise ConfigError(document.place(*keys), "says no timezone, such as Europe/Berlin; a window needs one")
    zone = str(said["timezone"])
    try:
        zone_of(zone)
    except ValueError:
        # "CET" is in the database; "Berlin" is not, but people write it.
        named = {name.rpartition("/")[2].casefold(): name for name in sorted(zones())}
        meant = named.get(zone.strip().replace(" ", "_").rpartition("/")[2].casefold())
        hint = f"; did you mean {meant}?" if meant else near(zone, sorted(zones()), known=False)
        problem = f"there is no time zone {zone!r}{hint or '; it is called like Europe/Berlin or UTC'}"
        raise ConfigError(document.place(*keys, "timezone"), problem) from None
    return zone


def _rule(document: YamlFile, said: Mapping[str, object], keys: tuple[object, ...]) -> str | None:
    """Return the recurrence of a window, None where it opens every day."""
    if "rrule" in said and "days" in said:
        raise ConfigError(document.place(*keys, "days"), "stands beside rrule; one of them says on which days it opens")
    if "days" not in said:
        return str(said["rrule"]) if "rrule" in said else None
    days = said["days"]
    if not isinstance(days, tuple) or not days:
        raise ConfigError(document.place(*keys, "days"), "is empty; leave it out for every day")
    return f"FREQ=WEEKLY;BYDAY={','.join(dict.fromkeys(day.value[:2].upper() for day in days))}"


def _check_rule(document: YamlFile, window: Window, keys: tuple[object, ...]) -> None:
    """Raise ConfigError where the recurrence of a window is not one, or names no day."""
    from airflow_dbt_promotion.calendars.recurrence import wrong_with  # noqa: PLC0415 - as late

    if window.rule is None:
        return
    problem = wrong_with(window.rule, window.first, window.last)
    if problem is not None:
        known = (*keys, "rrule") in document.lines
        raise ConfigError(document.place(*keys, "rrule" if known else "days"), f"{window.rule!r} {problem}")


def _date(document: YamlFile, said: Mapping[str, object], key: str, keys: tuple[object, ...]) -> date | None:
    """Return a day, None where none is named."""
    found = said.get(key)
    if isinstance(found, date) and not _FIRST_YEAR <= found.year <= _LAST_YEAR:
        problem = f"{found} must be in the years {_FIRST_YEAR} to {_LAST_YEAR}"
        raise ConfigError(document.place(*keys, key), problem)
    return found if isinstance(found, date) else None


def _end(document: YamlFile, said: Mapping[str, object], opens: time, keys: tuple[object, ...]) -> _End:
    """Return when a window closes."""
    if "closes" in said and "lasts" in said:
        raise ConfigError(document.place(*keys, "lasts"), "stands beside closes; one of them says when it closes")
    if "lasts" in said:
        return _lasting(document.place(*keys, "lasts"), str(said["lasts"]))
    told = str(said.get("closes", "24:00"))
    closes = _MIDNIGHT if told == "24:00" else time.fromisoformat(told)
    return _End(days=0 if closes > opens else 1, closes=closes)


def _lasting(place: str, told: str) -> _End:
    """Return a length of ISO 8601: weeks and days by the calendar, hours and minutes by the clockwork."""
    match = _LENGTH.fullmatch(told)
    number = {unit: int(count or 0) for unit, count in match.groupdict().items()} if match is not None else {}
    days, lasts = number["weeks"] * 7 + number["days"], timedelta(hours=number["hours"], minutes=number["minutes"])
    if not timedelta(0) < timedelta(days=days) + lasts <= LONGEST:
        raise ConfigError(place, f"{told!r} must be longer than nothing, and {LONGEST.days} days at the most")
    return _End(days=days, lasts=lasts)
