"""Wait until it is the time to promote, without a worker."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.endings import airflow_errors, fail
from airflow_dbt_promotion.sensors.sleeping import Sleep, SleepingSensor, told

if TYPE_CHECKING:
    from airflow_dbt_promotion.core.eligibility import Verdict


_UNKNOWN = timedelta(hours=1)
"""When to ask again where nobody knows when it opens."""


class PromotionWindowSensor(AtProject, SleepingSensor):
    """Waits until one of the windows of `target_environment` (default: the last of the path) is open, and no freeze
    holds that ends by itself.

    The sensor sleeps until the instant at which it opens, and asks again: where it was frozen meanwhile, or its windows
    were changed, it sleeps again. It never asks in between, unless `recheck_interval` says how often, so that a thaw is
    noticed. An environment without windows is open. A freeze without an end, and windows that do not open within two
    years, fail it at once: only people can lift that.

    It sleeps in the triggerer (`deferrable=True`) or is rescheduled for that instant; no worker is held either way.
    `timeout` counts from the first start over all sleeps; without it, the sensor waits as long as it takes. A `dry_run`
    promotes nothing and waits for nothing.
    """

    template_fields: Sequence[str] = (*AtProject.template_fields, "target_environment", "plan_only")

    def __init__(
        self,
        *,
        target_environment: str | None = None,
        dry_run: bool | str = False,
        deferrable: bool = True,
        recheck_interval: timedelta | None = None,
        timeout: timedelta | float | None = None,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        if timeout is not None:
            kwargs["timeout"] = timeout
        super().__init__(mode="poke" if deferrable else "reschedule", **kwargs)
        self.target_environment, self.deferrable, self.recheck_interval = (
            target_environment,
            deferrable,
            recheck_interval,
        )
        self.has_timeout = timeout is not None
        # BaseOperator has a method `dry_run` of its own.
        self.plan_only = dry_run

    def _ask(self, began: datetime | None) -> None:
        """Return where it is the time; else sleep, or end the task."""
        from airflow_dbt_promotion.core.eligibility import Status  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late

        with airflow_errors():
            plans_alone = rendered.flag("dry_run", self.plan_only)
        if plans_alone:
            self.log.info("a dry run promotes nothing, at any time")
            return
        with self.soft():
            shut, now = self._answer()
            if lasting := [verdict.reason for verdict in shut if verdict.status is Status.BLOCKED]:
                raise fail(f"only people can lift this: {told(lasting)}")
            if shut:
                self._sleep(shut, began or now, now)
        self.log.info("it is the time to promote")

    def _sleep(self, shut: tuple[Verdict, ...], began: datetime, now: datetime) -> NoReturn:
        """Sleep until it opens, or to the next time that it is to be asked."""
        longest = now + (self.recheck_interval or _UNKNOWN)
        instants = [verdict.eligible_at for verdict in shut if verdict.eligible_at is not None]
        ask_at = max(instants, default=longest)
        self.sleep(
            Sleep(
                ask_at=ask_at if self.recheck_interval is None else min(ask_at, longest),
                reasons=tuple(verdict.reason for verdict in shut),
                began=began,
                now=now,
                patience=timedelta(seconds=self.timeout) if self.has_timeout else None,
            )
        )

    def _answer(self) -> tuple[tuple[Verdict, ...], datetime]:
        """Return what is shut, and the instant of the answer. Raises AirflowFailException for bad input."""
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late

        target = rendered.text(self.target_environment)
        with airflow_errors(), self.hook.engine(target) as engine:
            self.hook.warn(engine)
            now = engine.clock()
            return tuple(verdict for verdict in engine.observer.hours(target, now) if not verdict.passed), now
