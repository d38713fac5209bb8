"""Run what was promoted to an environment, in a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.hooks import display
from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.endings import airflow_errors
from airflow_dbt_promotion.links.promotion import RunLink

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import RunOrder


class PromotedBuildOperator(AtProject):
    """Builds and tests an environment from the code that was promoted to it, whatever is checked out.

    `select` and `exclude` are dbt's own selectors (None: everything), `command` is `build`, `run`, `test`, `seed` or
    `snapshot`. It holds the environment's promotion lock meanwhile, and what it proves is recorded. Every argument can
    be templated.

    A model or test that fails fails the task without a retry; so does bad input. Where the machine broke, the promoted
    code cannot be had, or somebody holds the lock, Airflow retries. The XCom is the `RunSummary` of
    `operators/telling.py`, also of a failed run.
    """

    template_fields: Sequence[str] = (
        *AtProject.template_fields,
        "environment",
        "select",
        "exclude",
        "command",
        "full_refresh",
        "lock_timeout",
    )
    operator_extra_links = (RunLink(),)
    ui_color = "#d5ecf0"

    def __init__(
        self,
        *,
        environment: str,
        select: str | None = None,
        exclude: str | None = None,
        command: str = "build",
        full_refresh: bool | str = False,
        lock_timeout: float | str = 60.0,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        chosen = display.some(None, select)
        super().__init__(**display.named(kwargs, "{} {}in {}", command, chosen, environment))
        self.environment, self.select, self.exclude = environment, select, exclude
        self.command, self.full_refresh, self.lock_timeout = command, full_refresh, lock_timeout

    def execute(self, context: Context) -> dict[str, object]:
        """Run, and end the task as the run ended."""
        from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.operators import telling  # noqa: PLC0415 - as late

        with airflow_errors(), self.hook.engine(self.environment, builds=True) as engine:
            told = engine.run(self._order(context), self._hear)
        self._warn(told.warnings)
        telling.write(self.log, telling.run(told))
        answer = telling.run_summary(told, acting.link(context))
        return self._ended(context, answer, telling.run_ending(told))

    def _order(self, context: Context) -> RunOrder:
        """Return what the rendered arguments ask for. Raises InputError."""
        from airflow_dbt_promotion.functions import order_of  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.hooks import acting, rendered  # noqa: PLC0415 - as late

        timeout = rendered.number("lock_timeout", self.lock_timeout)
        return order_of(
            self.environment,
            {
                "command": rendered.text(self.command) or "build",
                "select": rendered.text(self.select),
                "exclude": rendered.text(self.exclude),
                "full_refresh": rendered.flag("full_refresh", self.full_refresh),
                "lock_timeout": 60.0 if timeout is None else timeout,
                "actor": acting.actor(context),
                "link": acting.link(context),
                "run_id": acting.run(context),
            },
        )
