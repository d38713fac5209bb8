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

    def __init__(self, moment: str, began: str) -> None:
        """Take the instant, and when the task first began to wait, which comes back with the event; both as ISO 8601
        with their zone.
        """
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's
        self.moment, self.began = moment, began

    def serialize(self) -> tuple[str, dict[str, str]]:
        """Return what makes this trigger anew in another process."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"moment": self.moment, "began": self.began}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Sleep, then fire once."""
        moment = datetime.fromisoformat(self.moment)
        while (left := (moment - datetime.now(tz=UTC)).total_seconds()) > 0:  # noqa: ASYNC110 - nothing sets an event
            await asyncio.sleep(min(left, LONGEST_SLEEP))
        yield TriggerEvent({"moment": self.moment, "began": self.began})  # type: ignore[no-untyped-call]  # Airflow's
