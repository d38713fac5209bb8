"""Windows: when something may be promoted into an environment. What a calendar makes of them is a value, too."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from msgspec import Struct


class Window(Struct, frozen=True, kw_only=True):
    """Times that come back, on the clock of a time zone.

    `rule` is a recurrence of RFC 5545 (`FREQ=WEEKLY;BYDAY=MO,TU`); None for every day. A window opens at `opens` of
    each such day and is open for `lasts`. `first` and `last` are the first and the last day on which it opens.
    """

    name: str
    zone: str
    opens: time = time(0)
    lasts: timedelta = timedelta(days=1)
    rule: str | None = None
    first: date | None = None
    last: date | None = None


class Windows(Struct, frozen=True, kw_only=True):
    """When it may be promoted: in one of `allow` (whenever, where there is none), and in none of `deny`."""

    allow: tuple[Window, ...] = ()
    deny: tuple[Window, ...] = ()

    @property
    def always(self) -> bool:
        """Whether no window says anything."""
        return not (self.allow or self.deny)


class Opening(Struct, frozen=True, kw_only=True):
    """What windows say of one instant: open or not, by which window, and when it opens (None: not in sight)."""

    is_open: bool
    by: str | None = None
    opens_at: datetime | None = None
