"""Asking people in Airflow: a question with its options parks its task until somebody answers, in the UI or over REST.

Airflow 3.3 parks a task by itself; before that a trigger looks for the answer. Airflow keeps one question for a task in
a run, whatever a later attempt asks: people would answer the old one, so that is told apart and refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from airflow_dbt_promotion.hooks.endings import exceptions, fail

if TYPE_CHECKING:
    from airflow.sdk import Context

COMMENT = "comment"
_LONGEST = 2_000
"""Letters of a comment that are kept."""


class Question(Struct, frozen=True, kw_only=True):
    """What people are asked. `terms` is the beginning of `body`, and the same whenever the same thing is asked.

    `people` are ids of Airflow's users with their names; none for everybody who may answer for the DAG.
    """

    subject: str
    terms: str
    body: str
    options: tuple[str, ...]
    people: Mapping[str, str] = {}


class Answer(Struct, frozen=True, kw_only=True):
    """What somebody chose, as Airflow knows them."""

    option: str
    comment: str
    by: str
    at: datetime


def put(context: Context, question: Question) -> None:
    """Put a question before people; an answer to it from before is gone.

    Raises what fails the task for good where Airflow goes on showing the question of an earlier attempt.
    """
    from airflow.sdk.execution_time import task_runner  # noqa: PLC0415 - imports of Airflow wait until they are needed
    from airflow.sdk.execution_time.comms import CreateHITLDetailPayload  # noqa: PLC0415 - as late

    told: Any = {
        "ti_id": context["ti"].id,
        "options": list(question.options),
        "subject": question.subject,
        "body": question.body,
        "params": _form(),
        "assigned_users": [{"id": id_, "name": name} for id_, name in question.people.items()],
    }
    shown: Any = task_runner.SUPERVISOR_COMMS.send(msg=CreateHITLDetailPayload(**told))
    if shown is not None and not _asks(shown, question):
        raise fail(
            "Airflow goes on showing people what an earlier attempt at this task asked, and that is another plan or "
            "other people by now; trigger a new run of the DAG, which asks anew"
        )


def parking(
    context: Context, question: Question, *, method: str, memo: Mapping[str, str | None], waits: timedelta | None
) -> BaseException:
    """Return what a task raises to wait until somebody answers a question that was put, or for so long.

    Its `method` is called then with the `event` of which `answer_of` makes an answer, and with `memo`.
    """
    try:
        from airflow.sdk.exceptions import TaskAwaitingInput  # noqa: PLC0415 - Airflow 3.3
    except ImportError:
        return _parking_on_trigger(context, question, method=method, memo=memo, waits=waits)
    return TaskAwaitingInput(method_name=method, kwargs=dict(memo), timeout=waits)


def _parking_on_trigger(
    context: Context, question: Question, *, method: str, memo: Mapping[str, str | None], waits: timedelta | None
) -> BaseException:
    """Return what a task raises to wait in Airflow 3.1 and 3.2."""
    from airflow.providers.standard.triggers.hitl import HITLTrigger  # noqa: PLC0415 - imports Airflow
    from airflow.sdk.timezone import utcnow  # noqa: PLC0415 - as late

    instance: Any = context["ti"]
    trigger = HITLTrigger(
        ti_id=instance.id,
        options=list(question.options),
        params=_form(),
        timeout_datetime=None if waits is None else utcnow() + waits,
    )
    signal: BaseException = exceptions().TaskDeferred(trigger=trigger, method_name=method, kwargs=dict(memo))
    return signal


def answer_of(event: Mapping[str, Any]) -> Answer | None:
    """Return what somebody answered, None where time ran out. Whatever nobody chose is no answer.

    Raises RuntimeError where the answer cannot be read; what fails the task where Airflow is too old to tell who gave
    it.
    """
    if "error" in event:
        if event.get("error_type") == "timeout":
            return None
        raise RuntimeError(f"Airflow could not take the answer: {event['error']}")
    if "responded_by_user" not in event:
        raise fail(
            "Airflow does not tell who answered, so nobody's word is recorded; "
            "a newer apache-airflow-providers-standard tells it"
        )
    person = event["responded_by_user"]
    if person is None or event.get("timedout"):
        return None
    (option,) = event["chosen_options"]
    comment = str((event.get("params_input") or {}).get(COMMENT) or "").strip()
    return Answer(
        option=option, comment=comment[:_LONGEST], by=person["name"] or person["id"], at=event["responded_at"]
    )


def _form() -> dict[str, Any]:
    """Return the field for a comment, as Airflow's form takes it."""
    from airflow.sdk import Param  # noqa: PLC0415 - imports of Airflow wait until they are needed

    field = Param("", type=["string", "null"], title="Comment", description="Why; it is recorded with your answer.")
    return {COMMENT: field.serialize()}


def _asks(shown: Any, question: Question) -> bool:  # noqa: ANN401 - Airflow's own value
    """Say whether the question that Airflow shows is this one, to the same people."""
    people = {user.id for user in shown.assigned_users or ()}
    return (
        shown.subject == question.subject
        and (shown.body or "").startswith(question.terms)
        and people == set(question.people)
    )
