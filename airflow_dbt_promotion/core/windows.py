"""Windows: when something may be promoted into an environment. What a calendar makes of them is a value, too."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError

LONGEST = timedelta(days=366)
"""How long a window may be open at a stretch."""

HORIZON = timedelta(days=731)
"""How far ahead an opening is looked for: two years."""


class Window(Struct, frozen=True, kw_only=True):
    """Times that come back, on the clock of a time zone.

    `rule` says on which days it opens, as a recurrence of RFC 5545 (`FREQ=WEEKLY;BYDAY=MO,TU`); None for every day.
    `first` and `last` are the first and the last day on which it may open. It opens when the clock shows `opens`, and
    closes `days` later when the clock shows `closes` (None: the same time of day); `lasts` is added to that, as time
    that passes. A time that a clock skips is the instant at which it skips it, one that it shows twice is the first.
    """

    name: str
    zone: str
    opens: time = time(0)
    closes: time | None = None
    days: int = 1
    lasts: timedelta = timedelta(0)
    rule: str | None = None
    first: date | None = None
    last: date | None = None

    def __post_init__(self) -> None:
        """Hold the invariants: it is open for some time, not for too long, and its last day is not before its first."""
        on_the_clock = timedelta(days=self.days) + _since_midnight(self.closes or self.opens)
        length = on_the_clock - _since_midnight(self.opens)
        if self.days < 0 or self.lasts < timedelta(0) or length < timedelta(0) or length + self.lasts <= timedelta(0):
            raise ConfigError(f"window {self.name!r}", "closes before it opens")
        if length + self.lasts > LONGEST:
            raise ConfigError(f"window {self.name!r}", f"lasts longer than {LONGEST.days} days")
        if self.first is not None and self.last is not None and self.last < self.first:
            raise ConfigError(f"window {self.name!r}", f"ends on {self.last}, before it begins on {self.first}")


class Windows(Struct, frozen=True, kw_only=True):
    """When it may be promoted: in one of `allow` (whenever, where there is none), and in none of `deny`."""

    allow: tuple[Window, ...] = ()
    deny: tuple[Window, ...] = ()

    @property
    def always(self) -> bool:
        """Whether no window says anything."""
        return not (self.allow or self.deny)


class Opening(Struct, frozen=True, kw_only=True):
    """What windows say of one instant: open or not, by which window, and when it opens (None: not in sight).

    `by` is the window that denies, the one that allows, or the one that opens next; `denied` says that it denies.
    `opens_there` is when it opens on the clock of that window's zone, without a zone.
    """

    is_open: bool
    denied: bool = False
    by: Window | None = None
    opens_at: datetime | None = None
    opens_there: datetime | None = None


class Hours(Struct, frozen=True, kw_only=True):
    """What windows say of the present instant, and of the one at which a freeze ends, where that is known (`thawed`);
    None where there are no windows.
    """

    now: Opening | None = None
    thawed: Opening | None = None


def _since_midnight(clock: time) -> timedelta:
    return timedelta(hours=clock.hour, minutes=clock.minute, seconds=clock.second)
