"""A ready message of a promotion, through any of Airflow's notifiers."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseNotifier

from airflow_dbt_promotion.hooks.at_project import AtProject

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.render.messaging import PromotionMessage, ToldSummary

log = logging.getLogger(__name__)

FORMS = ("text", "markdown", "html")

_TITLES = ("subject", "title")
_BODIES = ("html_content", "text", "body", "message", "content")
_RETURNED = "return_value"
_FAILED = frozenset({"failed", "up_for_retry", "upstream_failed"})


class PromotionNotifier(BaseNotifier):
    """Sends the message of a promotion with another notifier: Slack's, SMTP's, Apprise's, or a team's own.

    For the callbacks of our operators, and of DAGs that have some; a message for each promotion in the run. The message
    goes into `field` of the notifier (default: the first it has of html_content, text, body, message, content), in the
    form `text`, `markdown` or `html` (default: html for html_content, else text); the title into its subject or title,
    unless it has one. `outcomes` says of which alone people want to hear, such as `["promoted", "failed"]`.
    """

    def __init__(
        self,
        notifier: BaseNotifier,
        *,
        field: str | None = None,
        form: str | None = None,
        outcomes: Sequence[str] | None = None,
    ) -> None:
        """Take what sends. Raises ValueError for a notifier in which no field for a message is known."""
        super().__init__()
        found = field or next((name for name in _BODIES if hasattr(notifier, name)), None)
        if found is None:
            raise ValueError(f"{type(notifier).__name__} has none of {', '.join(_BODIES)}; name its field: field=...")
        if form is not None and form not in FORMS:
            raise ValueError(f"form: {form!r} is none of {', '.join(FORMS)}")
        self.notifier, self.field, self.outcomes = notifier, found, outcomes
        self.form = form or ("html" if found == "html_content" else "text")

    def notify(self, context: Context) -> None:
        """Send one message for each promotion that the context is about."""
        for outcome, message in _messages(context):
            if self.outcomes is None or outcome in self.outcomes:
                self._send(context, message)

    def _send(self, context: Context, message: PromotionMessage) -> None:
        """Send one message by a copy of the notifier.

        What dbt or a person wrote is no template: so the notifier's fields name the message, and Jinja puts it in.
        """
        sender: Any = copy(self.notifier)
        title = next((name for name in _TITLES if hasattr(sender, name)), None)
        if title is not None and not getattr(sender, title):
            setattr(sender, title, self._put(sender, title, "promotion_title", message.title))
        said = getattr(message, self.form)
        setattr(sender, self.field, self._put(sender, self.field, "promotion_message", said))
        told: Any = {**context, "promotion_title": message.title, "promotion_message": said}
        sender(told)

    @staticmethod
    def _put(sender: BaseNotifier, field: str, name: str, text: str) -> str:
        """Return what a field is set to: a template where it is rendered, else the text."""
        return f"{{{{ {name} }}}}" if field in sender.template_fields else text


def promotion_message(context: Context) -> PromotionMessage:
    """Return the message of the promotion, or the first of several, that a callback's context is about.

    For callbacks of your own: `title`, `text`, `markdown`, `html`.
    """
    return next(message for _, message in _messages(context))


def _messages(context: Context) -> Iterator[tuple[str, PromotionMessage]]:
    """Yield the outcome and the message of each promotion in a context; where none is told of, how its task ended."""
    from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - DAG files import this module
    from airflow_dbt_promotion.render import messaging  # noqa: PLC0415 - as late

    known = "dag_run" in context
    who = acting.actor(context) if known else "airflow"
    found = list(_summaries(context))
    for told in found:
        yield told.outcome, messaging.message(told, who)
    if found:
        return
    whole = _of_dag(context)
    what = context["dag"].dag_id if whole else context["task"].task_id
    failed = not whole and _has_failed(context)
    outcome, words = ("errored", context.get("exception")) if failed else ("ended", context.get("reason"))
    link = acting.link(context) if known else None
    yield outcome, messaging.untold(f"{what} {outcome}", str(words or ""), who, link)


def _summaries(context: Context) -> Iterator[ToldSummary]:
    """Yield what the task of a context told; for the callback of a DAG, what each of its tasks of ours did."""
    from airflow_dbt_promotion.render.messaging import summary_of  # noqa: PLC0415 - as late

    if (ti := context.get("ti")) is None:
        return
    if _of_dag(context):
        pulled = [_pulled(ti, task.task_id) for task in context["dag"].tasks if isinstance(task, AtProject)]
    else:
        pulled = [ti.xcom_pull(task_ids=ti.task_id, key=_RETURNED, map_indexes=ti.map_index)]
    for told in pulled:
        for one in told if isinstance(told, Sequence) and not isinstance(told, str) else [told]:
            if (summary := summary_of(one)) is not None:
                yield summary


def _of_dag(context: Context) -> bool:
    """Say whether a DAG's callback is called, and not a task's: that one is told no reason."""
    return "reason" in context


def _has_failed(context: Context) -> bool:
    """Say whether a callback is about a task that failed: it is given an exception, or the task's state says so."""
    state = getattr(context.get("ti"), "state", None)
    return context.get("exception") is not None or str(state) in _FAILED


def _pulled(ti: Any, task_id: str) -> Any:  # noqa: ANN401 - Airflow's
    """Return what a task told, None where that cannot be read: before Airflow 3.3 a DAG's callbacks can read none."""
    try:
        return ti.xcom_pull(task_ids=task_id, key=_RETURNED)
    except Exception as error:  # noqa: BLE001 - a message without models is better than none
        log.warning("what %s told cannot be read here: %s", task_id, error)
        return None
