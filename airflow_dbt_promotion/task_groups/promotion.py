"""A promotion drawn in Airflow, from the plan to what is verified."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from datetime import timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import DAG, TaskGroup

from airflow_dbt_promotion.hooks.settings import ProjectOptions
from airflow_dbt_promotion.operators.requesting import ASKED
from airflow_dbt_promotion.task_groups.pipeline import TOLD, environment_of, is_named, steps_of

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

    from airflow_dbt_promotion.operators.plan import PromotionPlanOperator
    from airflow_dbt_promotion.task_groups.pipeline import Steps

_PROJECT = frozenset(ProjectOptions.__optional_keys__)
_PROMOTED = frozenset({"run_tests", "verify", "rollback_on_failure", "lock_timeout"})
_APPROVED = frozenset({"approvers", "on_rejected", "on_timeout", "notifiers"})
_OURS = frozenset(
    {"parallel", "wait", "soak_timeout", "approval_timeout", "dry_run", "skip_downstream", "operator_args"}
)
_HOW = frozenset({"on_refused", "in_backfills"})
_DAYTIME = timedelta(hours=20)
"""For how long a run waits that names no models: the next one of the day finds the way free."""

_RETRIES = {"retries": 2, "retry_delay": timedelta(minutes=1)}
"""A promotion whose process was killed is carried on by its retry."""


class DbtPromotionTaskGroup(TaskGroup):
    """A promotion into an environment: plan, wait, ask people, promote, verify, and take it back where that fails.

    With `models` or `select` it waits until all of them have soaked, and plans again then: people are asked about just
    that plan, and just that plan goes. Without, all that may go now goes, and nothing is waited for unless `wait`: then
    until anything may go, for `soak_timeout` at the most (20 hours). Whether it is verified and taken back, policy
    says, or `verify` and `rollback_on_failure`; the promotion does both in its own task.

    The arguments of `PromoteOperator` are taken, but for `plan` and `update_state`, and `approvers`, `on_rejected`,
    `on_timeout`, `notifiers` of `PromotionApprovalOperator`; they can be templated as they can there.
    `parallel` builds what does not depend on one another in up to so many mapped tasks, and publishes it together; see
    `PromotionOpenOperator` for what can be divided.

    `approval_timeout` is for how long people are waited for: without models 20 hours, after which what they were asked
    about is skipped and the next run asks again; else without end.

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
        parallel: int | None = None,
        soak_timeout: timedelta | None = None,
        approval_timeout: timedelta | None = None,
        dry_run: bool | str = False,
        skip_downstream: bool = False,
        operator_args: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - what the operators take, where the project is, and whatever Airflow takes
    ) -> None:
        given, asked, how = _taken(kwargs, _PROJECT), _taken(kwargs, ASKED), _taken(kwargs, _HOW)
        self._promoted, self._approved = _taken(kwargs, _PROMOTED), _taken(kwargs, _APPROVED)
        super().__init__(group_id, **{"tooltip": "Plan, wait, ask people, promote, verify", **kwargs})
        held = {**self.dag.default_args, **self.default_args, **(operator_args or {})}
        retries = {name: value for name, value in _RETRIES.items() if name not in held}
        self._every: dict[str, Any] = {**retries, **given, **(operator_args or {})}
        self._where: dict[str, Any] = {"target_environment": target_environment}
        self._asked: dict[str, Any] = {"models": models, "select": select, **asked}
        self._how, self._dry_run = how, dry_run
        self._now = {"in_backfills": how.get("in_backfills", False)}
        self._named, self._wait, self._parallel = is_named(models, select), wait, parallel
        self._soak_timeout, self._approval_timeout = soak_timeout, approval_timeout
        project = cast("ProjectOptions", {name: value for name, value in {**held, **given}.items() if name in _PROJECT})
        with self:
            self._draw(steps_of(environment_of(target_environment, project), named=self._named), ends=skip_downstream)

    def _draw(self, steps: Steps, *, ends: bool) -> None:
        """Add the tasks, one after the other; `ends` leaves out the one that lets what comes after go on."""
        into = self._into
        tasks: list[BaseOperator] = []
        if self._wait and not self._named:
            tasks.append(self._soaked())
        if steps.routine:
            tasks += [self._window("window_for_routine", dry_run=self._dry_run)] if steps.window else []
            tasks.append(
                self._promote("promote_routine", f"Promote{into} what needs nobody's approval", dry_run=self._dry_run)
            )
        plan = self._plan("plan", f"Plan what goes{into}")
        tasks.append(plan)
        if self._named:
            tasks.append(self._soaked(plan))
            plan = self._plan("plan_again", "Plan again, after the soak", since=plan.output)
            tasks.append(plan)
        tasks += [self._approval(plan)] if steps.approval else []
        tasks += [self._window("window")] if steps.window else []
        if self._parallel is None:
            tasks.append(self._promote("promote", f"Promote{into}", plan=plan.output))
        else:
            tasks += self._promote_in_parts(plan, self._parallel)
        tasks += [] if ends else [self._done()]
        for before, after in pairwise(tasks):
            before >> after

    def _plan(self, task_id: str, name: str, **more: Any) -> PromotionPlanOperator:  # noqa: ANN401 - as the operator's
        """Add a task that plans."""
        from airflow_dbt_promotion.operators.plan import PromotionPlanOperator  # noqa: PLC0415 - only where one is made

        told = {**self._where, **self._asked, **self._how, "dry_run": self._dry_run, **more, **self._every}
        return PromotionPlanOperator(task_id=task_id, task_display_name=name, **{"doc_md": TOLD[task_id], **told})

    def _soaked(self, plan: PromotionPlanOperator | None = None) -> BaseOperator:
        """Add the sensor: for all that is planned, or for anything at all."""
        from airflow_dbt_promotion.sensors.soak import StagingSoakSensor  # noqa: PLC0415 - only where one is made

        if plan is not None:
            waits: dict[str, Any] = {"plan": plan.output, "timeout": self._soak_timeout, "soft_fail": self._is_soft}
        else:
            least = self._asked.get("min_days_in_staging")
            waits = {"min_days_in_staging": least, "mode_of_waiting": "any", "soft_fail": True}
            waits["timeout"] = self._soak_timeout or _DAYTIME
        told = {"doc_md": TOLD["soaked"], **self._where, **waits, **self._now, **self._every}
        return StagingSoakSensor(task_id="soaked", task_display_name="Wait for the soak", **told)

    def _approval(self, plan: PromotionPlanOperator) -> BaseOperator:
        """Add the task that asks people."""
        from airflow_dbt_promotion.operators.approval import PromotionApprovalOperator  # noqa: PLC0415 - as above

        soft = {"on_rejected": "skip", "on_timeout": "skip", "on_refused": "skip"} if self._is_soft else {}
        waits: dict[str, Any] = {"response_timeout": self._approval_timeout, **soft}
        if not self._named:
            waits = {
                "response_timeout": self._approval_timeout or _DAYTIME,
                "on_timeout": "skip",
                "on_rejected": "skip",
            }
        told = {"doc_md": TOLD["approve"], **self._where, "plan": plan.output, **waits, **self._approved, **self._every}
        return PromotionApprovalOperator(task_id="approve", task_display_name="Ask for approval", **told)

    def _window(self, task_id: str, *, dry_run: bool | str = False) -> BaseOperator:
        """Add the sensor that waits until it is the time."""
        from airflow_dbt_promotion.sensors.window import PromotionWindowSensor  # noqa: PLC0415 - as above

        told = {"doc_md": TOLD[task_id], **self._where, "soft_fail": self._is_soft, **self._now, **self._every}
        told = {"dry_run": dry_run, **told}
        return PromotionWindowSensor(task_id=task_id, task_display_name="Wait for the window", **told)

    def _promote(self, task_id: str, name: str, **more: Any) -> BaseOperator:  # noqa: ANN401 - as the operator's
        """Add a task that promotes."""
        from airflow_dbt_promotion.operators.promote import PromoteOperator  # noqa: PLC0415 - only where one is made

        asked = {} if "plan" in more or "opened" in more else self._asked
        told = {**self._where, **asked, **self._how, **self._promoted, **more, **self._every}
        return PromoteOperator(task_id=task_id, task_display_name=name, **{"doc_md": TOLD[task_id], **told})

    def _promote_in_parts(self, plan: PromotionPlanOperator, most: int) -> list[BaseOperator]:
        """Add the tasks that open the promotion, build its parts, and finish it; return the first and the last."""
        from airflow_dbt_promotion.operators.parts import (  # noqa: PLC0415 - only where one is made
            NAMES,
            PromotionOpenOperator,
            PromotionPartOperator,
        )

        how = {name: value for name, value in self._promoted.items() if name in {"run_tests", "lock_timeout"}}
        told = {**self._where, **self._how, **how, "parts": most, "plan": plan.output, **self._every}
        opening = PromotionOpenOperator(
            task_id="open", task_display_name=f"Open the promotion{self._into}", **{"doc_md": TOLD["open"], **told}
        )
        every = {"doc_md": TOLD["build_part"], "map_index_template": NAMES, **self._where, **self._every}
        part = PromotionPartOperator.partial(task_id="build_part", task_display_name="Build a part", **every)
        built = part.expand(part=opening.output)
        # It has to tell how it ended, and give the lock back, whatever became of the parts.
        ended = {"trigger_rule": "all_done_min_one_success", "opened": opening.output}
        promote = self._promote("promote", f"Promote{self._into}", **ended)
        built >> promote
        return [opening, promote]

    @property
    def _into(self) -> str:
        """Where it goes, for people; what a template makes of it is not known yet."""
        target = str(self._where["target_environment"])
        return "" if "{" in target else f" to {target}"

    @property
    def _is_soft(self) -> bool:
        """Whether what is refused is skipped."""
        return self._how.get("on_refused") == "skip"

    def _done(self) -> BaseOperator:
        """Add the end, which is reached unless something failed: what comes after the group is not skipped with it."""
        from airflow.providers.standard.operators.empty import EmptyOperator  # noqa: PLC0415 - only where one is made

        return EmptyOperator(task_id="done", task_display_name="Done", trigger_rule="none_failed", doc_md=TOLD["done"])


class DbtPromotionDag(DAG):
    """A DAG that is one `DbtPromotionTaskGroup`; arguments that are not the group's are the DAG's.

    One run at a time, and no catching up, unless said otherwise: a promotion is about now.
    """

    def __init__(self, dag_id: str, *, target_environment: str, **kwargs: Any) -> None:  # noqa: ANN401 - as the group's
        ours = _taken(kwargs, _OURS | _HOW | _PROMOTED | _APPROVED | _PROJECT | ASKED | {"models"})
        super().__init__(dag_id, **{"max_active_runs": 1, "catchup": False, **kwargs})
        with self:
            DbtPromotionTaskGroup(**{"target_environment": target_environment, "skip_downstream": True, **ours})


def _taken(kwargs: MutableMapping[str, Any], names: frozenset[str]) -> dict[str, Any]:
    """Take some arguments out of others."""
    return {name: kwargs.pop(name) for name in list(kwargs) if name in names}
