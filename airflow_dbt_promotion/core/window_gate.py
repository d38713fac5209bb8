"""The window gate: is it the time to promote? Windows of the configuration, and freezes that people make on the spot.

It says when, and never whether: no plan rests on it, and a rollback does not ask it.
"""

from __future__ import annotations

from datetime import datetime

from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked, passed, waiting
from airflow_dbt_promotion.core.instants import utc
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.stops import Freeze
from airflow_dbt_promotion.core.windows import Hours, Opening


def time_to_promote(
    environment: str, state: EnvironmentState | None, hours: Hours, now: datetime
) -> tuple[Verdict, ...]:
    """Return the verdicts of the window gate for an environment and its document: of its freeze, then of its windows;
    nothing where there is neither.
    """
    freeze = freeze_of(state, now)
    frozen = () if freeze is None else (_frozen(environment, freeze, hours.thawed),)
    return frozen if hours.now is None else (*frozen, _windows(environment, hours.now))


def freeze_of(state: EnvironmentState | None, now: datetime) -> Freeze | None:
    """Return the freeze that holds in a document; one whose time is over does not."""
    freeze = state.freeze if state is not None else None
    return freeze if freeze is not None and freeze.holds(now) else None


def _frozen(environment: str, freeze: Freeze, thawed: Opening | None) -> Verdict:
    """Return the verdict of a freeze; one that ends by itself waits until then, and for the window after it."""
    since = f"since {_told(freeze.at)} by {freeze.actor}: {freeze.reason}"
    lift = f"`dbt-promote thaw --environment {environment} --reason TEXT` lifts that"
    if freeze.until is None:
        return blocked(GateName.WINDOW, "frozen", f"{environment} is frozen {since}; {lift}")
    reason = f"{environment} is frozen until {_told(freeze.until)}, {since}; {lift}"
    eligible = freeze.until if thawed is None or thawed.is_open else thawed.opens_at
    return waiting(GateName.WINDOW, "frozen", reason, eligible)


def _windows(environment: str, opening: Opening) -> Verdict:
    """Return the verdict of the windows."""
    by = opening.by
    if opening.is_open:
        reason = f"the window {by.name!r} is open" if by is not None else "no window denies it now"
        return passed(GateName.WINDOW, "window_open", reason)
    shut = f"{environment} is shut by the window {by.name!r}" if opening.denied and by is not None else ""
    if opening.opens_at is None:
        shut = shut or f"{environment} is outside its windows"
        return blocked(GateName.WINDOW, "never_opens", f"{shut}, and none opens it in the next two years")
    when = f"{_told(opening.opens_at)}{_there(opening)}"
    if shut:
        return waiting(GateName.WINDOW, "window_closed", f"{shut}; it opens at {when}", opening.opens_at)
    name = by.name if by is not None else "the next window"
    reason = f"{environment} is outside its windows; {name!r} opens at {when}"
    return waiting(GateName.WINDOW, "window_closed", reason, opening.opens_at)


def _there(opening: Opening) -> str:
    """Return when it opens on the window's own clock, in brackets; nothing where that is UTC."""
    if opening.by is None or opening.opens_there is None or opening.by.zone == "UTC":
        return ""
    return f" ({_clock(opening.opens_there)} in {opening.by.zone})"


def _told(instant: datetime) -> str:
    """Return an instant for a sentence."""
    return f"{_clock(utc(instant))} UTC"


def _clock(moment: datetime) -> str:
    """Return what a clock and a calendar show, with seconds where there are any."""
    return f"{moment:%a %Y-%m-%d %H:%M:%S}" if moment.second else f"{moment:%a %Y-%m-%d %H:%M}"
