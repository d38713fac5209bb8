"""Plan a promotion in a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.hooks.backfills import refuse_backfill
from airflow_dbt_promotion.hooks.endings import OnRefused, airflow_errors
from airflow_dbt_promotion.operators.requesting import RequestingPromotion

try:
    from airflow.sdk.bases.skipmixin import SkipMixin
except ImportError:  # Airflow 3.1
    from airflow.providers.standard.utils.skipmixin import SkipMixin  # type: ignore[assignment]

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import Promotion, PromotionRequest


class PromotionPlanOperator(RequestingPromotion, SkipMixin):
    """Plans a promotion and hands the plan on: to people who approve it, and to the task that carries it out.

    What is asked for is said as `RequestingPromotion` tells. `to_approve`: what lacks but an approval is in the plan
    (False: it stays behind, where no models are named). `since` is an earlier plan: what moved since is told. Nothing
    is written or run. `dry_run`: nothing but the plan is wanted.

    A plan that has but to wait (soak, evidence, a window, an approval) is a success: others wait for it. What only
    people can lift fails the task without a retry, or skips it (`on_refused="skip"`). Where there is nothing to do,
    and in a dry run, the tasks right after it are skipped, those of its own task group alone; others go on. The XCom is
    the `PlanSummary` of `render/planned.py`, also of a refused plan.
    """

    template_fields: Sequence[str] = (*RequestingPromotion.template_fields, "to_approve", "since", "plan_only")
    inherits_from_skipmixin = True
    ui_color = "#e4ddf3"

    def __init__(
        self,
        *,
        to_approve: bool | str = True,
        since: Mapping[str, object] | str | None = None,
        dry_run: bool | str = False,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        super().__init__(**kwargs)
        self.to_approve, self.since, self.has_since = to_approve, since, since is not None
        # BaseOperator has a method `dry_run` of its own.
        self.plan_only = dry_run

    def execute(self, context: Context) -> dict[str, object]:
        """Plan, and end the task as the plan stands."""
        from airflow_dbt_promotion.operators import telling  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.render import planned  # noqa: PLC0415 - as late

        refuse_backfill(context, wanted=self.in_backfills)
        with airflow_errors(), self.hook.engine(self.target_environment, builds=True) as engine:
            request = self._request(context)
            told = engine.promote(request)
            moved = self._moved(told)
        self._warn((*told.warnings, *(f"moved since it was planned: {one}" for one in moved)))
        telling.write(self.log, telling.promotion(told))
        ending = telling.plan_ending(told, OnRefused(self.on_refused))
        answer = self._ended(context, planned.summary(told, request, moved), ending)
        self._go_on(context, told, answer)
        return answer

    def _request(self, context: Context) -> PromotionRequest:
        """Return what the rendered arguments ask for, to be planned alone. Raises InputError."""
        from msgspec.structs import replace  # noqa: PLC0415 - as late

        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late

        to_approve = rendered.flag("to_approve", self.to_approve)
        return replace(super()._request(context), dry_run=True, to_approve=to_approve)

    def _moved(self, told: Promotion) -> Sequence[str]:
        """Return what moved since the earlier plan. Raises ConfigError."""
        from airflow_dbt_promotion.core.moving import what_moved  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.render import planned  # noqa: PLC0415 - as late

        return what_moved(planned.read(self.since).agreed, told.plan) if self.has_since else ()

    def _go_on(self, context: Context, told: Promotion, answer: dict[str, object]) -> None:
        """Say what the plan waits for; where nothing is to be done, let what comes after in this group be skipped."""
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.render import planned  # noqa: PLC0415 - as late

        if told.plan.changes and not rendered.flag("dry_run", self.plan_only):
            self.log.info("this plan goes on; it has yet to pass: %s", ", ".join(planned.waits(told.plan)) or "nothing")
            return
        group = self.task_group
        inside = {task.task_id for task in group} if group is not None else set()
        after = [task for task in self.downstream_list if task.task_id in inside] if inside else []
        why = "nothing but the plan was asked for" if told.plan.changes else "nothing to do"
        self.log.info("%s: skipping %s", why, ", ".join(task.task_id for task in after) or "nothing")
        # To skip ends the task by an exception, and a task that ends so hands nothing on by itself.
        context["ti"].xcom_push(key="return_value", value=answer)
        self.skip(context["ti"], after)
