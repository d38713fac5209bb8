"""Sleep until an instant, in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

from airflow.triggers.base import BaseTrigger, TriggerEvent

LONGEST_SLEEP = 3600.0
"""Seconds after which the clock is looked at again, for a sleep does not notice that the clock was set."""


class SoakTrigger(BaseTrigger):
    """Fires at an instant, or at once where that is past; it asks nobody, and holds nothing that a restart of the
    triggerer could lose.
    """

    def __init__(self, moment: str) -> None:
        """Take the instant as ISO 8601 with its zone."""
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.moment = moment

    def serialize(self) -> tuple[str, dict[str, str]]:
        """Return what makes this trigger anew in another process."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"moment": self.moment}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, then fire once."""
        moment = datetime.fromisoformat(self.moment)
        while (left := (moment - datetime.now(tz=UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - nothing sets an event
            await asyncio.sleep(min(left, LONGEST_SLEEP))
        yield TriggerEvent({"moment": self.moment})  # type: ignore[no-untyped-call]  # Airflow's
