"""Promote models in a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.hooks import assets, display
from airflow_dbt_promotion.hooks.backfills import refuse_backfill
from airflow_dbt_promotion.hooks.endings import OnRefused, airflow_errors
from airflow_dbt_promotion.links.promotion import ApprovalLink, PromotionLink, RunLink
from airflow_dbt_promotion.operators.carrying import CarryingOut

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import PromotionRequest
    from airflow_dbt_promotion.engine.request import Verify


class PromoteOperator(CarryingOut):
    """Promotes models into an environment from the one before it on the path.

    What is asked for is said as `CarryingOut` tells. `dry_run` plans alone; `update_state=False` validates alone.
    `verify` runs the tests again in place once it is published, or is a function that is given the promotion;
    `rollback_on_failure` takes it back where that fails (None: policy says). `opened` is the XCom of a
    `PromotionOpenOperator`: the promotion that it opened is finished, and nothing is begun; `models`, `select` and
    `plan` are left out.

    A refused promotion fails the task without a retry, or skips it (`on_refused="skip"`); a failed one fails it without
    a retry; where the machine broke, Airflow retries. Nothing to do is a success. Clearing the task tells what came of
    it, and promotes nothing again. The XCom is the `Summary` of `operators/telling.py`, also of a refused or failed
    promotion.
    """

    template_fields: Sequence[str] = (
        *CarryingOut.template_fields,
        "verify",
        "rollback_on_failure",
        "plan_only",
        "update_state",
        "opened",
    )
    operator_extra_links = (PromotionLink(), ApprovalLink(), RunLink())
    ui_color = "#d5f0dc"

    def __init__(
        self,
        *,
        target_environment: str,
        update_state: bool | str = True,
        dry_run: bool | str = False,
        verify: bool | str | Verify | None = None,
        rollback_on_failure: bool | str | None = None,
        opened: Sequence[Mapping[str, Any]] | str | None = None,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        kwargs["outlets"] = assets.outlets(target_environment, kwargs.get("outlets"))
        words = "plan {}for {}" if dry_run is True else "promote {}to {}"
        kwargs = display.named(
            kwargs, words, display.some(kwargs.get("models"), kwargs.get("select")), target_environment
        )
        super().__init__(target_environment=target_environment, **kwargs)
        self.opened, self.finishes = opened, opened is not None
        if self.finishes and (dry_run is True or update_state is False):
            raise ConfigError("opened", "what was opened is carried out; leave out dry_run and update_state")
        if self.finishes and (self.has_plan or self.models is not None or self.select is not None):
            raise ConfigError("opened", "what was opened has its plan; leave out plan, models and select")
        # BaseOperator has a method `dry_run` of its own.
        self.update_state, self.plan_only = update_state, dry_run
        self.verify, self.rollback_on_failure = verify, rollback_on_failure

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

        asked = replace(super()._request(context), update_state=rendered.flag("update_state", self.update_state))
        if not self.finishes:
            return asked
        if not self.opened or isinstance(self.opened, str):
            raise ConfigError("opened", "is not what a PromotionOpenOperator hands on; give it `opening.output`")
        opened_as = str(self.opened[0]["opened_as"])
        return replace(asked, run=opened_as, dry_run=False, update_state=True, finishes=True)

    def _options(self, context: Context) -> Mapping[str, object]:
        """Return how it is carried out, too. Raises InputError."""
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late

        return {
            **super()._options(context),
            "dry_run": rendered.flag("dry_run", self.plan_only),
            "verify": self.verify if callable(self.verify) else rendered.choice("verify", self.verify),
            "rollback_on_failure": rendered.choice("rollback_on_failure", self.rollback_on_failure),
        }
