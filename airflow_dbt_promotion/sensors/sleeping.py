"""How sensors wait: asleep until the instant at which the answer can be another one, without a worker."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk import BaseSensorOperator
from msgspec import Struct

from airflow_dbt_promotion.hooks.backfills import refuse_backfill
from airflow_dbt_promotion.hooks.endings import exceptions, skip

if TYPE_CHECKING:
    from airflow.sdk import Context

SHORTEST_WAIT = timedelta(seconds=10)
"""A deferral that ends sooner can overtake the news of its own beginning, and Airflow fails the task for it."""

_SHOWN = 20


class Sleep(Struct, frozen=True, kw_only=True):
    """A sleep: until when, for which reasons, since when in all, and for how long in all (None: as long as it takes).

    `now` is the instant of the answer.
    """

    ask_at: datetime
    reasons: tuple[str, ...]
    began: datetime
    now: datetime
    patience: timedelta | None


class SleepingSensor(BaseSensorOperator):
    """Sleeps in the triggerer (`deferrable`), or is rescheduled; in both ways no worker is held.

    Without `in_backfills` a run that is a backfill is skipped: what would come after is about now.
    """

    deferrable: bool

    def __init__(self, *, in_backfills: bool = True, **kwargs: Any) -> None:  # noqa: ANN401 - whatever Airflow takes
        super().__init__(**kwargs)
        self.in_backfills = in_backfills

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - each sensor's own
        """Ask; where the answer is not yet, sleep."""
        refuse_backfill(context, wanted=self.in_backfills)
        return self._ask(None if self.deferrable else context["ti"].get_first_reschedule_date(context))

    def execute_complete(self, context: Context, event: Mapping[str, str]) -> Any:  # noqa: ANN401, ARG002 - Airflow's
        """Ask again after a sleep; the event says when the sensor first started."""
        return self._ask(datetime.fromisoformat(event["began"]))

    @abstractmethod
    def _ask(self, began: datetime | None) -> Any:  # noqa: ANN401 - as above
        """Return the answer; else sleep, or end the task. `began` is when it first began to wait, None for now."""

    def sleep(self, until: Sleep) -> NoReturn:
        """Let the worker go until asking again makes sense, or until time is up."""
        deadline = None if until.patience is None else until.began + until.patience
        if deadline is not None and until.now >= deadline:
            waited = f"waited since {until.began:%Y-%m-%d %H:%M:%S} UTC, and the timeout is {until.patience}"
            raise exceptions().AirflowSensorTimeout(f"{waited}; still {told(until.reasons)}")
        ask_at = until.ask_at if deadline is None else min(until.ask_at, deadline)
        moment = max(ask_at, until.now + SHORTEST_WAIT)
        for reason in until.reasons[:_SHOWN]:
            self.log.info("not yet: %s", reason)
        gives_up = "never" if deadline is None else f"at {deadline.isoformat()}"
        self.log.info("sleeping until %s; giving up %s", moment.isoformat(), gives_up)
        if not self.deferrable:
            raise exceptions().AirflowRescheduleException(moment)
        from airflow_dbt_promotion.triggers.soak import SoakTrigger  # noqa: PLC0415 - DAG files import this module

        self.defer(
            trigger=SoakTrigger(moment=moment.isoformat(), began=until.began.isoformat()),
            method_name="execute_complete",
        )

    @contextmanager
    def soft(self) -> Iterator[None]:
        """Skip in place of failing where the task says so: `soft_fail`, `never_fail`."""
        known = exceptions()
        try:
            yield
        except (known.AirflowFailException, known.AirflowSensorTimeout) as error:
            if self.soft_fail or self.never_fail:
                raise skip(str(error)) from error
            raise


def told(reasons: Sequence[str]) -> str:
    """Return reasons as one text."""
    more = f"; and {len(reasons) - _SHOWN} more" if len(reasons) > _SHOWN else ""
    return "; ".join(reasons[:_SHOWN]) + more
