"""Promote models in a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.hooks import assets, display
from airflow_dbt_promotion.hooks.backfills import refuse_backfill
from airflow_dbt_promotion.hooks.endings import OnRefused, airflow_errors
from airflow_dbt_promotion.links.promotion import ApprovalLink, PromotionLink, RunLink
from airflow_dbt_promotion.operators.requesting import RequestingPromotion

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import PromotionRequest
    from airflow_dbt_promotion.engine.request import Verify


class PromoteOperator(RequestingPromotion):
    """Promotes models into an environment from the one before it on the path.

    What is asked for is said as `RequestingPromotion` tells; or `plan` is the XCom of a `PromotionPlanOperator`: then
    just that plan goes, with what it was asked with, and any other that comes out now is refused; `models` and
    `select` are left out. `run_tests` runs in the source what evidence lacks. `dry_run` plans alone;
    `update_state=False` validates alone. `verify` runs the tests again in place once it is published, or is a function
    that is given the promotion; `rollback_on_failure` takes it back where that fails (None: policy says).

    A refused promotion fails the task without a retry, or skips it (`on_refused="skip"`); a failed one fails it without
    a retry; where the machine broke, Airflow retries. Nothing to do is a success. Clearing the task tells what came of
    it, and promotes nothing again. The XCom is the `Summary` of `operators/telling.py`, also of a refused or failed
    promotion.
    """

    template_fields: Sequence[str] = (
        *RequestingPromotion.template_fields,
        "plan",
        "run_tests",
        "verify",
        "rollback_on_failure",
        "plan_only",
        "update_state",
        "lock_timeout",
    )
    operator_extra_links = (PromotionLink(), ApprovalLink(), RunLink())
    ui_color = "#d5f0dc"

    def __init__(  # noqa: PLR0913 - a task's arguments are its interface
        self,
        *,
        target_environment: str,
        plan: Mapping[str, object] | str | None = None,
        update_state: bool | str = True,
        dry_run: bool | str = False,
        run_tests: bool | str = False,
        verify: bool | str | Verify | None = None,
        rollback_on_failure: bool | str | None = None,
        lock_timeout: float | str = 60.0,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        kwargs["outlets"] = assets.outlets(target_environment, kwargs.get("outlets"))
        words = "plan {}for {}" if dry_run is True else "promote {}to {}"
        kwargs = display.named(
            kwargs, words, display.some(kwargs.get("models"), kwargs.get("select")), target_environment
        )
        super().__init__(target_environment=target_environment, **kwargs)
        self.plan, self.has_plan = plan, plan is not None
        if self.has_plan and not (self.models is None and self.select is None):
            raise ConfigError("models, select", "the plan says which models go; leave these out, or the plan")
        self.update_state, self.run_tests = update_state, run_tests
        # BaseOperator has a method `dry_run` of its own.
        self.plan_only = dry_run
        self.verify, self.rollback_on_failure, self.lock_timeout = verify, rollback_on_failure, lock_timeout

    def execute(self, context: Context) -> dict[str, object]:
        """Promote, and end the task as the promotion ended."""
        from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.operators import telling  # noqa: PLC0415 - as late

        refuse_backfill(context, wanted=self.in_backfills)
        with airflow_errors(), self.hook.engine(self.target_environment, builds=True) as engine:
            told = engine.promote(self._request(context), self._hear)
            assets.emit(context, self, engine, told)
            where = acting.promotion_link(engine, told)
        self._warn(told.warnings)
        telling.write(self.log, telling.promotion(told))
        answer = telling.summary(told, acting.link(context), where)
        return self._ended(context, answer, telling.ending(told, OnRefused(self.on_refused)))

    def _request(self, context: Context) -> PromotionRequest:
        """Return what the rendered arguments ask for, or the plan. Raises InputError."""
        from msgspec.structs import replace  # noqa: PLC0415 - as late

        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.render import planned  # noqa: PLC0415 - as late

        asked = replace(super()._request(context), update_state=rendered.flag("update_state", self.update_state))
        return planned.request_for(asked, planned.read(self.plan)) if self.has_plan else asked

    def _options(self, context: Context) -> Mapping[str, object]:
        """Return how it is carried out, too. Raises InputError."""
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late

        timeout = rendered.number("lock_timeout", self.lock_timeout)
        return {
            **super()._options(context),
            "dry_run": rendered.flag("dry_run", self.plan_only),
            "run_tests": rendered.flag("run_tests", self.run_tests),
            "verify": self.verify if callable(self.verify) else rendered.choice("verify", self.verify),
            "rollback_on_failure": rendered.choice("rollback_on_failure", self.rollback_on_failure),
            "lock_timeout": 60.0 if timeout is None else timeout,
        }
