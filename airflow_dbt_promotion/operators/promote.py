"""Promote models in a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_dbt_promotion.hooks import assets
from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.endings import OnRefused, airflow_errors

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import PromotionRequest
    from airflow_dbt_promotion.engine.request import Verify
    from airflow_dbt_promotion.functions import PromotionOptions

_TEXTS = ("select", "min_days_in_staging", "reason", "strategy", "on_incremental_change")
_FLAGS = (
    "run_tests",
    "include_upstream",
    "include_downstream",
    "include_macro_users",
    "allow_stale_downstream",
    "allow_removals",
    "force",
)


class PromoteOperator(AtProject):
    """Promotes models into an environment from the one before it on the path.

    `models` are names (a list, or text separated by commas or spaces), None or `all-validated` means all that may go;
    `select` is a dbt selector in their place. `min_days_in_staging` (days or ISO 8601) asks for more soak than policy
    does, or for less as a bypass; that and `require_tests=False` need a `reason`. `dry_run` plans alone;
    `update_state=False` validates alone. `verify` runs the tests again in place once it is published, or is a function
    that is given the promotion; `rollback_on_failure` takes it back where that fails (None: policy says). Every
    argument can be templated, but for `on_refused`.

    A refused promotion fails the task without a retry, or skips it (`on_refused="skip"`); a failed one fails it without
    a retry; where the machine broke, Airflow retries. Nothing to do is a success. The XCom is the `Summary` of
    `operators/telling.py`, also of a refused or failed promotion.
    """

    template_fields: Sequence[str] = (
        *AtProject.template_fields,
        "target_environment",
        "models",
        *_TEXTS,
        *_FLAGS,
        "verify",
        "rollback_on_failure",
        "plan_only",
        "require_tests",
        "update_state",
        "min_successful_runs",
        "lock_timeout",
    )
    ui_color = "#d5f0dc"

    def __init__(  # noqa: PLR0913 - a task's arguments are its interface
        self,
        *,
        target_environment: str,
        models: str | Sequence[str] | None = None,
        select: str | None = None,
        min_days_in_staging: float | str | None = None,
        min_successful_runs: int | str | None = None,
        require_tests: bool | str = True,
        update_state: bool | str = True,
        dry_run: bool | str = False,
        reason: str | None = None,
        strategy: str | None = None,
        on_incremental_change: str | None = None,
        run_tests: bool | str = False,
        include_upstream: bool | str = False,
        include_downstream: bool | str = False,
        include_macro_users: bool | str = False,
        allow_stale_downstream: bool | str = False,
        allow_removals: bool | str = False,
        force: bool | str = False,
        verify: bool | str | Verify | None = None,
        rollback_on_failure: bool | str | None = None,
        lock_timeout: float | str = 60.0,
        on_refused: str = "fail",
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        kwargs["outlets"] = assets.outlets(target_environment, kwargs.get("outlets"))
        super().__init__(**kwargs)
        self.target_environment, self.models, self.select = target_environment, models, select
        self.min_days_in_staging, self.min_successful_runs = min_days_in_staging, min_successful_runs
        self.require_tests, self.update_state = require_tests, update_state
        # BaseOperator has a method `dry_run` of its own.
        self.plan_only = dry_run
        self.reason, self.strategy, self.on_incremental_change = reason, strategy, on_incremental_change
        self.run_tests, self.include_upstream, self.include_downstream = run_tests, include_upstream, include_downstream
        self.include_macro_users = include_macro_users
        self.allow_stale_downstream, self.allow_removals = allow_stale_downstream, allow_removals
        self.force, self.lock_timeout = force, lock_timeout
        self.verify, self.rollback_on_failure = verify, rollback_on_failure
        self.on_refused = OnRefused(on_refused).value

    def execute(self, context: Context) -> dict[str, object]:
        """Promote, and end the task as the promotion ended."""
        from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.operators import telling  # noqa: PLC0415 - as late

        with airflow_errors(), self.hook.engine(self.target_environment, builds=True) as engine:
            told = engine.promote(self._request(context), self._hear)
            assets.emit(context, self, engine, told)
        self._warn(told.warnings)
        telling.write(self.log, telling.promotion(told))
        answer = telling.summary(told, acting.link(context))
        return self._ended(context, answer, telling.ending(told, OnRefused(self.on_refused)))

    def _request(self, context: Context) -> PromotionRequest:
        """Return what the rendered arguments ask for. Raises InputError."""
        from airflow_dbt_promotion.functions import request_of  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.hooks import acting, rendered  # noqa: PLC0415 - as late

        texts = {name: rendered.text(getattr(self, name)) for name in _TEXTS}
        flags = {name: rendered.flag(name, getattr(self, name)) for name in _FLAGS}
        timeout = rendered.number("lock_timeout", self.lock_timeout)
        options = {
            **texts,
            **flags,
            "dry_run": rendered.flag("dry_run", self.plan_only),
            "verify": self.verify if callable(self.verify) else rendered.choice("verify", self.verify),
            "rollback_on_failure": rendered.choice("rollback_on_failure", self.rollback_on_failure),
            "min_successful_runs": rendered.whole("min_successful_runs", self.min_successful_runs),
            "lock_timeout": 60.0 if timeout is None else timeout,
            "actor": acting.actor(context),
            "link": acting.link(context),
            "run_id": acting.run(context),
        }
        return request_of(
            self.target_environment,
            rendered.names(self.models),
            require_tests=rendered.flag("require_tests", self.require_tests),
            update_state=rendered.flag("update_state", self.update_state),
            options=cast("PromotionOptions", options),
        )
