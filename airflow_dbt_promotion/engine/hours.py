"""What the windows of an environment say, through the port that knows calendars."""

from __future__ import annotations

from datetime import datetime

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.ports import Calendar
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.window_gate import freeze_of
from airflow_dbt_promotion.core.windows import Hours


def hours_of(calendar: Calendar, target: Environment, state: EnvironmentState | None, now: datetime) -> Hours:
    """Return what an environment's windows say of the present instant, and of the one at which its freeze ends."""
    if target.windows.always:
        return Hours()
    freeze = freeze_of(state, now)
    ends = None if freeze is None else freeze.until
    return Hours(
        now=calendar.opening(target.windows, now),
        thawed=None if ends is None else calendar.opening(target.windows, ends),
    )
