"""What opening a promotion and promoting have in common, in a task: both carry out a plan, their own or another's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.operators.requesting import RequestingPromotion

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import PromotionRequest


class CarryingOut(RequestingPromotion):
    """A task that carries out a plan.

    What is asked for is said as `RequestingPromotion` tells; or `plan` is the XCom of a `PromotionPlanOperator`: then
    just that plan goes, with what it was asked with, and any other that comes out now is refused; `models` and
    `select` are left out. `run_tests` runs in the source what evidence lacks. `lock_timeout` is in seconds.
    """

    template_fields: Sequence[str] = (*RequestingPromotion.template_fields, "plan", "run_tests", "lock_timeout")

    def __init__(
        self,
        *,
        plan: Mapping[str, object] | str | None = None,
        run_tests: bool | str = False,
        lock_timeout: float | str = 60.0,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        super().__init__(**kwargs)
        self.plan, self.has_plan = plan, plan is not None
        if self.has_plan and not (self.models is None and self.select is None):
            raise ConfigError("models, select", "the plan says which models go; leave these out, or the plan")
        self.run_tests, self.lock_timeout = run_tests, lock_timeout

    def _request(self, context: Context) -> PromotionRequest:
        """Return what the rendered arguments ask for, or the plan. Raises InputError."""
        from airflow_dbt_promotion.render import planned  # noqa: PLC0415 - DAG files import this module

        asked = super()._request(context)
        return planned.request_for(asked, planned.read(self.plan)) if self.has_plan else asked

    def _options(self, context: Context) -> Mapping[str, object]:
        """Return how it is carried out, too. Raises InputError."""
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late

        timeout = rendered.number("lock_timeout", self.lock_timeout)
        return {
            **super()._options(context),
            "run_tests": rendered.flag("run_tests", self.run_tests),
            "lock_timeout": 60.0 if timeout is None else timeout,
        }
