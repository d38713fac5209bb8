"""Take an environment back to a checkpoint, in a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.hooks import assets, display
from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.endings import OnRefused, airflow_errors
from airflow_dbt_promotion.links.promotion import RunLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import RollbackRequest


class RollbackOperator(AtProject):
    """Takes an environment back to a checkpoint: `to`, or the newest that is whole where None is named.

    A `reason` is required, and stays on record. What came back with old rows is then built anew, unless `rebuild` is
    False. `dry_run` plans alone. Every argument can be templated, but for `on_refused`.

    A refused rollback fails the task without a retry, or skips it (`on_refused="skip"`); a failed one fails it without
    a retry; where the machine broke, Airflow retries. A retry, or clearing the task, never goes back one further. Rows
    that could not be built anew are a warning: the rollback has taken place. The XCom is the `RollbackSummary` of
    `operators/telling.py`, also of a refused or failed rollback.
    """

    template_fields: Sequence[str] = (
        *AtProject.template_fields,
        "environment",
        "reason",
        "to",
        "rebuild",
        "plan_only",
        "lock_timeout",
    )
    operator_extra_links = (RunLink(),)
    ui_color = "#f0d9d5"

    def __init__(  # noqa: PLR0913 - a task's arguments are its interface
        self,
        *,
        environment: str,
        reason: str,
        to: str | None = None,
        rebuild: bool | str = True,
        dry_run: bool | str = False,
        lock_timeout: float | str = 60.0,
        on_refused: str = "fail",
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        kwargs["outlets"] = assets.outlets(environment, kwargs.get("outlets"))
        super().__init__(**display.named(kwargs, "roll back {}", environment))
        self.environment, self.reason, self.to = environment, reason, to
        # BaseOperator has a method `dry_run` of its own.
        self.rebuild, self.plan_only, self.lock_timeout = rebuild, dry_run, lock_timeout
        self.on_refused = OnRefused(on_refused).value

    def execute(self, context: Context) -> dict[str, object]:
        """Roll back, and end the task as the rollback ended."""
        from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.operators import telling  # noqa: PLC0415 - as late

        with airflow_errors(), self.hook.engine(self.environment, builds=True) as engine:
            told = engine.roll_back(self._request(context), self._hear)
            assets.emit(context, self, engine, told.promotion)
        self._warn(told.promotion.warnings)
        telling.write(self.log, telling.rollback(told))
        if told.not_rebuilt:
            self.log.warning("what came back was not built anew: %s", told.not_rebuilt)
        answer = telling.rollback_summary(told, acting.link(context))
        return self._ended(context, answer, telling.ending(told.promotion, OnRefused(self.on_refused)))

    def _request(self, context: Context) -> RollbackRequest:
        """Return what the rendered arguments ask for. Raises InputError."""
        from airflow_dbt_promotion.functions import rollback_of  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.hooks import acting, rendered  # noqa: PLC0415 - as late

        timeout = rendered.number("lock_timeout", self.lock_timeout)
        return rollback_of(
            self.environment,
            rendered.text(self.reason) or "",
            {
                "to": rendered.text(self.to),
                "rebuild": rendered.flag("rebuild", self.rebuild),
                "dry_run": rendered.flag("dry_run", self.plan_only),
                "lock_timeout": 60.0 if timeout is None else timeout,
                "actor": acting.actor(context),
                "link": acting.link(context),
                "run_id": acting.run(context),
            },
        )
