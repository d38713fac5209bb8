"""What planning and promoting ask for alike, in a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.endings import OnRefused

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import PromotionRequest
    from airflow_dbt_promotion.functions import PromotionOptions

_TEXTS = ("select", "version", "min_days_in_staging", "reason", "strategy", "on_incremental_change")
_FLAGS = (
    "include_upstream",
    "include_downstream",
    "include_macro_users",
    "allow_stale_downstream",
    "allow_removals",
    "overrule_rejection",
    "force",
)

ASKED = frozenset({*_TEXTS, *_FLAGS, "min_successful_runs", "require_tests"})
"""The arguments that say what is asked for, besides the models and where they go."""


class RequestingPromotion(AtProject):
    """A task that asks for a promotion: of which models, into which environment, under which conditions.

    `models` are names (a list, or text separated by commas or spaces), None or `all-validated` means all that may go;
    `select` is a dbt selector in their place, `version` the version to promote of the one model that is named.
    `min_days_in_staging` (days or ISO 8601) asks for more soak than policy does, or for less as a bypass; that and
    `require_tests=False` need a `reason`. A run that is a backfill is skipped, unless `in_backfills`: a promotion is
    about now. Every argument can be templated, but for `on_refused` and `in_backfills`.
    """

    template_fields: Sequence[str] = (
        *AtProject.template_fields,
        "target_environment",
        "models",
        *_TEXTS,
        *_FLAGS,
        "require_tests",
        "min_successful_runs",
    )

    def __init__(  # noqa: PLR0913 - a task's arguments are its interface
        self,
        *,
        target_environment: str,
        models: str | Sequence[str] | None = None,
        select: str | None = None,
        version: str | None = None,
        min_days_in_staging: float | str | None = None,
        min_successful_runs: int | str | None = None,
        require_tests: bool | str = True,
        reason: str | None = None,
        strategy: str | None = None,
        on_incremental_change: str | None = None,
        include_upstream: bool | str = False,
        include_downstream: bool | str = False,
        include_macro_users: bool | str = False,
        allow_stale_downstream: bool | str = False,
        allow_removals: bool | str = False,
        overrule_rejection: bool | str = False,
        force: bool | str = False,
        in_backfills: bool = False,
        on_refused: str = "fail",
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        super().__init__(**kwargs)
        self.target_environment, self.models, self.select = target_environment, models, select
        self.version = version
        self.min_days_in_staging, self.min_successful_runs = min_days_in_staging, min_successful_runs
        self.require_tests, self.reason = require_tests, reason
        self.strategy, self.on_incremental_change = strategy, on_incremental_change
        self.include_upstream, self.include_downstream = include_upstream, include_downstream
        self.include_macro_users = include_macro_users
        self.allow_stale_downstream, self.allow_removals, self.force = allow_stale_downstream, allow_removals, force
        self.overrule_rejection = overrule_rejection
        self.in_backfills, self.on_refused = in_backfills, OnRefused(on_refused).value

    def _request(self, context: Context) -> PromotionRequest:
        """Return what the rendered arguments ask for. Raises InputError."""
        from airflow_dbt_promotion.functions import request_of  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late

        return request_of(
            self.target_environment,
            rendered.names(self.models),
            require_tests=rendered.flag("require_tests", self.require_tests),
            update_state=True,
            options=cast("PromotionOptions", self._options(context)),
        )

    def _options(self, context: Context) -> Mapping[str, object]:
        """Return everything else that is asked for, by name. Raises InputError."""
        from airflow_dbt_promotion.hooks import acting, rendered  # noqa: PLC0415 - as late

        return {
            **{name: rendered.text(getattr(self, name)) for name in _TEXTS},
            **{name: rendered.flag(name, getattr(self, name)) for name in _FLAGS},
            "min_successful_runs": rendered.whole("min_successful_runs", self.min_successful_runs),
            "actor": acting.actor(context),
            "link": acting.link(context),
            "run_id": acting.run(context),
        }
