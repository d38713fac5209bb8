"""Promote in several tasks: one opens the promotion, mapped ones build parts, and a `PromoteOperator` finishes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.hooks import display
from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.backfills import refuse_backfill
from airflow_dbt_promotion.hooks.endings import OnRefused, airflow_errors, fail, skip
from airflow_dbt_promotion.operators.carrying import CarryingOut

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine.parts import Opened

MOST_PARTS = 4
"""In how many parts a promotion is built at most, unless somebody says otherwise."""

NAMES = "{{ (task.part.models or ['nothing by itself'])[:3] | join(', ') }}"
"""What an instance of the task that builds parts is called. Airflow 3.2 has to be told by `partial`."""

_WAITS = timedelta(hours=1)


class PromotionOpenOperator(CarryingOut):
    """Opens a promotion that other tasks of the run build and finish: it locks the environment, and divides the plan.

    What is asked for is said as `CarryingOut` tells. Models that are built from one another, or that a test reads
    together, are of one part; there are at most so many `parts`, of about the same work. Between two of its tasks the
    promotion waits as long as `handover_timeout`; then others may promote, and what was built is left over.

    The XCom is a list of parts, for `PromotionPartOperator.partial(...).expand(part=opening.output)`. Where a plan
    cannot be divided it is a list of one, which builds nothing: the task that finishes it does all. Only what is built
    beside what readers see (`blue_green`), from kept releases, and in a warehouse that several processes write to, is
    divided; DuckDB is none. Ends as `PromoteOperator` does, and is skipped where there is nothing to do.
    """

    template_fields: Sequence[str] = (*CarryingOut.template_fields, "parts")
    ui_color = "#d5f0dc"

    def __init__(
        self,
        *,
        target_environment: str,
        parts: int | str = MOST_PARTS,
        handover_timeout: timedelta = _WAITS,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        kwargs = display.named(kwargs, "open the promotion to {}", target_environment)
        super().__init__(target_environment=target_environment, **kwargs)
        self.parts, self.handover_timeout = parts, handover_timeout

    def execute(self, context: Context) -> list[dict[str, object]]:
        """Open the promotion, and hand its parts on."""
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - DAG files import this module

        refuse_backfill(context, wanted=self.in_backfills)
        with airflow_errors(), self.hook.engine(self.target_environment, builds=True) as engine:
            most = rendered.whole("parts", self.parts) or MOST_PARTS
            request = self._request(context)
            opened = engine.parts.open(request, most, self._hear, patience=self.handover_timeout)
        self._told(context, opened)
        named = {name: [model.rpartition(".")[2] for model in models] for name, models in opened.parts.items()}
        self.log.info("to be built in %d parts: %s", max(len(named), 1), named or "all by the task that finishes it")
        opened_as = request.run
        return [{"opened_as": opened_as, "part": name, "models": models} for name, models in named.items()] or [
            {"opened_as": opened_as, "part": None, "models": []}
        ]

    def _told(self, context: Context, opened: Opened) -> None:
        """Log how the promotion stands; end the task where it does not go on."""
        from airflow_dbt_promotion.core.state import PromotionOutcome  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.operators import telling  # noqa: PLC0415 - as late

        if (told := opened.promotion) is None:
            return
        self._warn(told.warnings)
        telling.write(self.log, telling.promotion(told))
        if (ending := telling.ending(told, OnRefused(self.on_refused))) is not None:
            self._note(context, telling.summary(told, acting.link(context)))
            raise ending
        if told.outcome is PromotionOutcome.NOTHING_TO_DO:
            raise skip("nothing to do")


class PromotionPartOperator(AtProject):
    """Builds and tests one part of an open promotion, beside what readers see.

    `part` is one of the parts that a `PromotionOpenOperator` hands on: the task is mapped over them. A model or a test
    that fails fails the task without a retry; where the machine broke, Airflow retries, and the part is built anew.
    What was built before is not built again. `lock_timeout` is in seconds, for another attempt at the same part.
    """

    template_fields: Sequence[str] = (*AtProject.template_fields, "target_environment", "part", "lock_timeout")
    ui_color = "#d5f0dc"

    def __init__(
        self,
        *,
        target_environment: str,
        part: Mapping[str, Any],
        lock_timeout: float | str = 60.0,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        super().__init__(**{"map_index_template": NAMES, **kwargs})
        self.target_environment, self.part, self.lock_timeout = target_environment, part, lock_timeout

    def execute(self, context: Context) -> dict[str, object]:
        """Build the part, and end the task as it ended."""
        from airflow_dbt_promotion.engine.parts import PartOrder  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.hooks import acting, rendered  # noqa: PLC0415 - as late

        if self.part["part"] is None:
            self.log.info("this promotion is not divided; the task that finishes it builds all of it")
            return {"well": True, "models": []}
        timeout = rendered.number("lock_timeout", self.lock_timeout)
        order = PartOrder(
            target=self.target_environment,
            opened_as=self.part["opened_as"],
            part=self.part["part"],
            lock_timeout=60.0 if timeout is None else timeout,
            actor=acting.actor(context),
            link=acting.link(context),
            run=acting.run(context),
        )
        with airflow_errors(), self.hook.engine(self.target_environment, builds=True) as engine:
            end = engine.parts.build(order, self._hear)
        if not end.well:
            raise fail(f"failed: {end.words[0] if end.words else 'dbt was not content'}")
        return {"well": True, "models": list(self.part["models"])}
