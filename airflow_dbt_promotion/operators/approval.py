"""Have people approve a planned promotion in a task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.endings import OnRefused, airflow_errors

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from airflow.sdk import BaseNotifier, Context

    from airflow_dbt_promotion.operators.approving import Case, Standing


class PromotionApprovalOperator(AtProject):
    """Puts a planned promotion before people in Airflow, and writes down what they say for the promotion to verify.

    `plan` is the XCom of `PromotionPlanOperator`. `approvers` are those users of Airflow who may answer: names, or
    `{"id": ..., "name": ...}` where Airflow's ids are not names; None for everybody who may answer for the DAG. Whose
    word counts, and how many it takes, is the target's policy. The task asks until enough have approved; while it
    waits it needs no worker. `notifiers` are run each time it asks.

    It succeeds at once where policy asks nobody, or enough have approved already. A plan that moved, or that could not
    go if people said yes, fails it without a retry, or skips it (`on_refused="skip"`); so does a rejection
    (`on_rejected`). After
    `response_timeout` (None: never) `on_timeout` says the same; nobody has answered then, and nothing is recorded. The
    XCom is the `ApprovalSummary` of `operators/approving.py`.
    """

    template_fields: Sequence[str] = (*AtProject.template_fields, "plan", "target_environment", "approvers")
    ui_color = "#f5e9c8"

    def __init__(  # noqa: PLR0913 - a task's arguments are its interface
        self,
        *,
        plan: Mapping[str, object] | str,
        target_environment: str,
        approvers: str | Sequence[str | Mapping[str, str]] | None = None,
        response_timeout: timedelta | None = None,
        on_rejected: str = "fail",
        on_timeout: str = "fail",
        on_refused: str = "fail",
        notifiers: BaseNotifier | Sequence[BaseNotifier] = (),
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        super().__init__(**kwargs)
        self.plan, self.target_environment, self.approvers = plan, target_environment, approvers
        self.response_timeout = response_timeout
        self.on_rejected, self.on_timeout = OnRefused(on_rejected).value, OnRefused(on_timeout).value
        self.on_refused = OnRefused(on_refused).value
        self.notifiers = tuple(notifiers) if isinstance(notifiers, Sequence) else (notifiers,)

    def execute(self, context: Context) -> dict[str, object]:
        """Ask, or end the task where there is nothing to ask."""
        from airflow_dbt_promotion.operators import approving  # noqa: PLC0415 - DAG files import this module

        with airflow_errors(), self.hook.engine(self.target_environment) as engine:
            until = None if self.response_timeout is None else engine.clock() + self.response_timeout
            case = self._case(context, until)
            standing = approving.opened(engine, case, again=context["ti"].try_number > 1)
            self.hook.warn(engine)
        return self._go_on(context, case, standing)

    def execute_complete(
        self, context: Context, event: Mapping[str, Any], asked_at: str, until: str | None = None
    ) -> dict[str, object]:
        """Write down what somebody answered; end the task, or ask the next one."""
        from airflow_dbt_promotion.hooks import asking  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.operators import approving  # noqa: PLC0415 - as late

        answer = asking.answer_of(event)
        with airflow_errors(), self.hook.engine(self.target_environment) as engine:
            case = self._case(context, approving.instant(until))
            standing = approving.heard(engine, case, answer, asked_at)
        if answer is not None:
            self.log.info("%s answered: %s%s", answer.by, answer.option, f" ({answer.comment})" * bool(answer.comment))
        return self._go_on(context, case, standing)

    def _go_on(self, context: Context, case: Case, standing: Standing) -> dict[str, object]:
        """Ask what is yet to ask; else end the task as the plan stands."""
        from airflow_dbt_promotion.hooks import asking  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.operators import approving  # noqa: PLC0415 - as late

        self.log.info("Plan %s: %s", case.agreed.plan_id[:8], standing.verdict.reason)
        if standing.question is None or standing.asked_at is None:
            wanted = {"rejected": OnRefused(self.on_rejected), "unanswered": OnRefused(self.on_timeout)}
            ending = approving.ending(standing, wanted, OnRefused(self.on_refused))
            return self._ended(context, approving.summary(case, standing), ending)
        asking.put(context, standing.question)
        for notify in self.notifiers:
            notify(context)
        memo = {
            "asked_at": standing.asked_at.isoformat(),
            "until": None if case.until is None else case.until.isoformat(),
        }
        raise asking.parking(context, standing.question, method="execute_complete", memo=memo, waits=standing.waits)

    def _case(self, context: Context, until: datetime | None) -> Case:
        """Return what the rendered arguments put before people. Raises InputError."""
        from airflow_dbt_promotion.engine import PromotionRequest  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.operators import approving  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.render import planned  # noqa: PLC0415 - as late

        link, plan = acting.answer_link(context), planned.read(self.plan)
        request = PromotionRequest(
            target=self.target_environment,
            to_approve=True,
            actor=acting.actor(context),
            link=link,
        )
        return approving.Case(
            request=planned.request_for(request, plan), link=link, people=approving.people(self.approvers), until=until
        )
