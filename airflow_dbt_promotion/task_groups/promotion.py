"""A promotion drawn in Airflow, from the plan to what is verified."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import DAG, TaskGroup

from airflow_dbt_promotion.hooks.settings import ProjectOptions
from airflow_dbt_promotion.operators.requesting import ASKED
from airflow_dbt_promotion.task_groups.pipeline import environment_of, is_named, steps_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from airflow_dbt_promotion.operators.plan import PromotionPlanOperator

_PROJECT = frozenset(ProjectOptions.__optional_keys__)
_PROMOTED = frozenset({"run_tests", "verify", "rollback_on_failure", "lock_timeout"})
_OURS = frozenset({"wait", "timeout", "dry_run", "skip_downstream", "operator_args"})
_HOW = frozenset({"on_refused", "in_backfills"})
_DAYTIME = timedelta(hours=20)
"""For how long a run waits that names no models: the next one of the day finds the way free."""

_RETRIES = {"retries": 2, "retry_delay": timedelta(minutes=1)}
"""A promotion whose process was killed is carried on by its retry."""


class DbtPromotionTaskGroup(TaskGroup):
    """A promotion into an environment: plan, wait, promote, verify, and take it back where that fails.

    With `models` or `select` it waits until all of them have soaked, and plans again then; without, all that may go now
    goes, and nothing is waited for unless `wait`: then until anything may go, for `timeout` at the most (20 hours).
    Whether it is verified and taken back, policy says, or `verify` and `rollback_on_failure`; the promotion does both
    in its own task. All arguments of `PromoteOperator` are taken, but for `plan`; they can be templated.

    What is drawn is decided from promotion.yml where the DAG is parsed; where that cannot be read, every step is drawn.
    Where there is nothing to do, and in a `dry_run`, what comes after the plan is skipped. Tasks after the group run
    all the same, unless `skip_downstream`. `operator_args` go to every task; retries are 2 where nobody says otherwise,
    for a promotion that died is carried on by its retry.
    """

    def __init__(  # noqa: PLR0913 - a group's arguments are its interface
        self,
        group_id: str = "promotion",
        *,
        target_environment: str,
        models: str | Sequence[str] | None = None,
        select: str | None = None,
        wait: bool = False,
        timeout: timedelta | None = None,
        dry_run: bool | str = False,
        skip_downstream: bool = False,
        operator_args: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - what PromoteOperator takes, where the project is, and whatever Airflow takes
    ) -> None:
        asked, how = _taken(kwargs, ASKED), _taken(kwargs, _HOW)
        self._promoted, given = _taken(kwargs, _PROMOTED), _taken(kwargs, _PROJECT)
        super().__init__(group_id, **{"tooltip": f"What has earned its way goes to {target_environment}", **kwargs})
        held = {**self.dag.default_args, **self.default_args, **(operator_args or {})}
        retries = {name: value for name, value in _RETRIES.items() if name not in held}
        self._every: dict[str, Any] = {**retries, **given, **(operator_args or {})}
        self._where: dict[str, Any] = {"target_environment": target_environment}
        self._asked: dict[str, Any] = {"models": models, "select": select, **asked}
        self._how, self._soft, self._dry_run = how, how.get("on_refused") == "skip", dry_run
        self._named, self._timeout = is_named(models, select), timeout
        project = {name: value for name, value in {**held, **given}.items() if name in _PROJECT}
        self._environment = environment_of(target_environment, cast("ProjectOptions", project))
        with self:
            self._draw(wait=wait, skip_downstream=skip_downstream)

    def _draw(self, *, wait: bool, skip_downstream: bool) -> None:
        """Add the tasks, one after the other."""
        steps = steps_of(self._environment, named=self._named)
        first = [self._soaked()] if wait and not self._named else []
        plan = self._plan("plan", "Plan")
        tasks: list[BaseOperator] = [*first, plan]
        if self._named:
            soaked = self._soaked(plan)
            plan = self._plan("plan_again", "Plan again, after the soak", since=plan.output)
            tasks += [soaked, plan]
        tasks.append(self._promote("promote", f"Promote to {self._where['target_environment']}", plan=plan.output))
        if not skip_downstream:
            tasks.append(self._done())
        for before, after in zip(tasks, tasks[1:], strict=False):
            before >> after

    def _plan(self, task_id: str, name: str, **more: Any) -> PromotionPlanOperator:  # noqa: ANN401 - as the operator's
        """Add a task that plans."""
        from airflow_dbt_promotion.operators.plan import PromotionPlanOperator  # noqa: PLC0415 - only where one is made

        told = {**self._where, **self._asked, **self._how, "dry_run": self._dry_run, **more}
        return PromotionPlanOperator(task_id=task_id, task_display_name=name, **{**told, **self._every})

    def _soaked(self, plan: PromotionPlanOperator | None = None) -> BaseOperator:
        """Add the sensor: for all that is planned, or for anything at all."""
        from airflow_dbt_promotion.sensors.soak import StagingSoakSensor  # noqa: PLC0415 - only where one is made

        if plan is not None:
            waits: dict[str, Any] = {**self._where, "plan": plan.output, "timeout": self._timeout}
            waits["soft_fail"] = self._soft
        else:
            least = self._asked.get("min_days_in_staging")
            waits = {**self._where, "min_days_in_staging": least, "mode_of_waiting": "any", "soft_fail": True}
            waits["timeout"] = self._timeout or _DAYTIME
        return StagingSoakSensor(task_id="soaked", task_display_name="Wait for the soak", **{**waits, **self._every})

    def _promote(self, task_id: str, name: str, **more: Any) -> BaseOperator:  # noqa: ANN401 - as the operator's
        """Add a task that promotes."""
        from airflow_dbt_promotion.operators.promote import PromoteOperator  # noqa: PLC0415 - only where one is made

        told = {**self._where, **self._how, **self._promoted, **more}
        return PromoteOperator(task_id=task_id, task_display_name=name, **{**told, **self._every})

    def _done(self) -> BaseOperator:
        """Add the end, which is reached unless something failed: what comes after the group is not skipped with it."""
        from airflow.providers.standard.operators.empty import EmptyOperator  # noqa: PLC0415 - only where one is made

        return EmptyOperator(task_id="done", task_display_name="Done", trigger_rule="none_failed")


class DbtPromotionDag(DAG):
    """A DAG that is one `DbtPromotionTaskGroup`; arguments that are not the group's are the DAG's.

    One run at a time, and no catching up, unless said otherwise: a promotion is about now.
    """

    def __init__(self, dag_id: str, *, target_environment: str, **kwargs: Any) -> None:  # noqa: ANN401 - as the group's
        ours = _taken(kwargs, _OURS | _HOW | _PROMOTED | _PROJECT | ASKED | {"models"})
        super().__init__(dag_id, **{"max_active_runs": 1, "catchup": False, **kwargs})
        with self:
            DbtPromotionTaskGroup(**{"target_environment": target_environment, "skip_downstream": True, **ours})


def _taken(kwargs: MutableMapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Take some arguments out of others."""
    return {name: kwargs.pop(name) for name in list(kwargs) if name in names}
