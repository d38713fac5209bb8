"""Time zones: which there are, and the instants that a wall clock in them shows."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache

_SECOND = timedelta(seconds=1)


@cache
def zone_of(name: str) -> tzinfo:
    """Return a time zone of the IANA database; raise ValueError for a name that is not there.

    What a machine adds of its own, such as `localtime`, is none: it is another zone elsewhere.
    """
    import pendulum  # noqa: PLC0415 - costs time, and most projects have no windows

    try:
        if name[:1].isupper():
            return pendulum.timezone(name)
    except (ValueError, OSError):
        pass
    raise ValueError(f"there is no time zone {name!r}")


def zones() -> Collection[str]:
    """Return the names of all time zones."""
    import pendulum  # noqa: PLC0415 - as late

    return pendulum.timezones()


def instant_of(wall: datetime, zone: tzinfo) -> datetime:
    """Return the first instant (UTC) at which the clock of a zone shows a time, or a later one.

    That is the first of two where clocks are set back, and the instant of the change where they are set forward past
    it. A later time on the wall is never an earlier instant.
    """
    shown = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if shown.astimezone(zone).replace(tzinfo=None) == wall:
        return shown
    # The clock skips it: `shown` is reckoned by the offset before the change, so it lies after the change.
    before, after = wall.replace(tzinfo=zone, fold=1).astimezone(UTC), shown
    offset = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + timedelta(seconds=(after - before) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after
