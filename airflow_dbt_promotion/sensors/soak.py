"""Wait until versions have earned their way, without a worker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow_dbt_promotion.hooks import display
from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.endings import airflow_errors, fail
from airflow_dbt_promotion.sensors.sleeping import SHORTEST_WAIT, Sleep, SleepingSensor, told
from airflow_dbt_promotion.sensors.waiting import Waiting

if TYPE_CHECKING:
    from airflow_dbt_promotion.engine import PromotionRequest
    from airflow_dbt_promotion.sensors.readiness import Answer, NotYet, Question

__all__ = ["SHORTEST_WAIT", "StagingSoakSensor"]

_MARGIN = timedelta(days=1)


class StagingSoakSensor(AtProject, SleepingSensor):
    """Waits until models are tested and soaked in the environment that `target_environment` promotes from (default: the
    last of the path).

    `models` are names; None means every model that the source holds and the target lacks. `mode_of_waiting`: `all` of
    them, or `any` one. `min_days_in_staging` (days or ISO 8601) can ask for more than policy, never for less. Or `plan`
    is the XCom of a `PromotionPlanOperator`: then its models are waited for, under the conditions of the plan.

    The sensor sleeps until the instant at which the answer can be another one, and asks again: a version that moved
    meanwhile begins anew, and the sensor sleeps again. It never asks in between. Where nobody knows an instant (tests
    that have not run, say) it asks again after `recheck_interval`. What only people can lift fails it at once.

    It sleeps in the triggerer (`deferrable=True`) or is rescheduled for that instant; no worker is held either way.
    `timeout` counts from the first start over all sleeps; the default is twice the soak and a day, so that one restart
    of the clock fits in. The XCom is the list of names that are ready.
    """

    template_fields: Sequence[str] = (
        *AtProject.template_fields,
        "plan",
        "models",
        "min_days_in_staging",
        "target_environment",
    )

    def __init__(  # noqa: PLR0913 - a task's arguments are its interface
        self,
        *,
        plan: Mapping[str, object] | str | None = None,
        models: str | Sequence[str] | None = None,
        min_days_in_staging: float | str | None = None,
        target_environment: str | None = None,
        mode_of_waiting: str = "all",
        deferrable: bool = True,
        recheck_interval: timedelta = timedelta(hours=1),
        timeout: timedelta | float | None = None,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        if timeout is not None:
            kwargs["timeout"] = timeout
        place = f"for {target_environment}" if target_environment is not None else ""
        kwargs = display.named(kwargs, "soak {}{}", display.some(models), place)
        super().__init__(mode="poke" if deferrable else "reschedule", **kwargs)
        self.models, self.min_days_in_staging, self.target_environment = models, min_days_in_staging, target_environment
        self.plan, self.has_plan = plan, plan is not None
        self.mode_of_waiting = Waiting(mode_of_waiting).value
        self.deferrable, self.recheck_interval = deferrable, recheck_interval
        self.has_timeout = timeout is not None

    def _ask(self, began: datetime | None) -> list[str]:
        """Return the names that are ready; else sleep, or end the task."""
        from airflow_dbt_promotion.sensors.readiness import Never, NotYet  # noqa: PLC0415 - DAG files import this module

        with self.soft():
            answer, question = self._answer()
            if isinstance(answer, Never):
                raise fail(f"only people can lift this: {told(answer.reasons)}")
            if isinstance(answer, NotYet):
                self._sleep(answer, began or question.now, question)
        names = question.names(answer.models)
        self.log.info("ready: %s", ", ".join(names) or "nothing is on its way")
        return names

    def _answer(self) -> tuple[Answer, Question]:
        """Ask the engine. Raises AirflowFailException for bad input, MachineError."""
        from airflow_dbt_promotion.hooks import rendered  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.sensors import readiness  # noqa: PLC0415 - as late

        target = rendered.text(self.target_environment)
        with airflow_errors(), self.hook.engine(target) as engine:
            if self.has_plan:
                question = readiness.question_of(engine, self._planned(target or engine.path.last().name))
            else:
                asked = rendered.text(self.min_days_in_staging)
                question = readiness.question(engine, target, rendered.names(self.models), asked)
            self.hook.warn(engine)
            return readiness.answer(question, Waiting(self.mode_of_waiting), self.recheck_interval), question

    def _planned(self, target: str) -> PromotionRequest:
        """Return what the plan asks for that was handed over. Raises ConfigError."""
        from airflow_dbt_promotion.engine import PromotionRequest  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.render import planned  # noqa: PLC0415 - as late

        return planned.named_in(PromotionRequest(target=target), planned.read(self.plan))

    def _sleep(self, answer: NotYet, began: datetime, question: Question) -> NoReturn:
        """Sleep for what is not there yet."""
        patience = timedelta(seconds=self.timeout) if self.has_timeout else 2 * question.soak + _MARGIN
        self.sleep(
            Sleep(ask_at=answer.ask_at, reasons=answer.reasons, began=began, now=question.now, patience=patience)
        )
