"""Messages: what people are told, by which notifier, and that nothing in them is read as a template."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.smtp.notifications.smtp import SmtpNotifier
from airflow.sdk import BaseNotifier, BaseOperator

from airflow_dbt_promotion.notifications.promotion import PromotionNotifier, promotion_message
from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.operators.rollback import RollbackOperator
from tests.airflow.conftest import HOME
from tests.airflow.spellings import AirflowFailException, dag_bag
from tests.airflow.tasks import FakeTaskInstance, a_context, shop
from tests.scenarios import DAY, Shop, model_id

__all__ = ["shop"]

DAG = """
from datetime import datetime
from pathlib import Path
from airflow.sdk import DAG, BaseNotifier
from airflow_dbt_promotion import PromotionNotifier
from airflow_dbt_promotion.operators.promote import PromoteOperator

class ToFile(BaseNotifier):
    template_fields = ("text",)

    def __init__(self, text=""):
        super().__init__()
        self.text = text

    def notify(self, context):
        with Path({file!r}).open("a") as sent:
            sent.write(self.text + "===")

tell = PromotionNotifier(ToFile())
with DAG("notifying", start_date=datetime(2026, 1, 1), schedule=None):
    PromoteOperator(
        task_id="promote", target_environment="production", dbt_project_dir="/shop", on_success_callback=tell,
        on_failure_callback=tell,
    )
"""


class Chat(BaseNotifier):
    """A chat as a team's own notifier might be; remembers what was sent."""

    template_fields = ("text", "title")
    sent: list[tuple[str, str]] = []  # noqa: RUF012 - copies of one chat share it

    def __init__(self, text: str = "", title: str = "") -> None:
        super().__init__()
        self.text, self.title = text, title

    def notify(self, context: Any) -> None:  # noqa: ARG002 - Airflow's signature
        self.sent.append((self.title, self.text))


@pytest.fixture
def chat() -> Chat:
    Chat.sent = []
    return Chat()


def ended(task: BaseOperator, **more: Any) -> Any:
    """Run a task, and return the context of its callback."""
    ti: Any = FakeTaskInstance()
    ti.task_id = task.task_id
    context = {**a_context(ti, user="ada"), "task": task, "dag": SimpleNamespace(get_template_env=None), **more}
    try:
        ti.pushed["return_value"] = task.execute(context)  # type: ignore[arg-type]
    except AirflowFailException as error:
        context["exception"] = error
    ti.xcom_pull = lambda task_ids, key, map_indexes=None: ti.pushed.get(key)  # noqa: ARG005 - Airflow's
    return context


def a_task(**arguments: Any) -> PromoteOperator:
    return PromoteOperator(task_id="promote", target_environment="production", dbt_project_dir="/shop", **arguments)


def soaked(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)


def test_a_promotion_is_told_with_its_models_and_versions_by_whom_and_where(shop: Shop) -> None:
    soaked(shop)
    told = promotion_message(ended(a_task()))
    version = shop.project.models[model_id("orders")].version[:8]
    assert told.title == "dbt promotion: 4 models promoted to production"
    assert told.text.splitlines()[0] == told.title
    assert f"orders  added  - -> {version}  advanced" in told.text.splitlines()
    assert "by ada, plan " in told.text
    assert told.text.splitlines()[-1].startswith("https://airflow.example.com/dags/")
    assert told.markdown.startswith("**dbt promotion: 4 models promoted to production**\n")
    assert f"| `orders` | added | `- -> {version}` | advanced |" in told.markdown
    assert told.html == f"<pre>{told.text}</pre>".replace("->", "-&gt;")


def test_a_refused_promotion_is_told_with_its_reasons_and_a_failed_one_with_what_failed(shop: Shop) -> None:
    shop.run("staging")
    told = promotion_message(ended(a_task(models="orders", include_upstream=True)))
    assert told.title == "dbt promotion: 3 models refused for production"
    assert any(line.startswith("soak: soaks in staging") for line in told.text.splitlines())
    shop.clock.pass_by(DAY)
    shop.workshop.failing = {model_id("orders")}
    failed = promotion_message(ended(a_task()))
    assert "failed in production" in failed.title
    assert any(line.startswith("orders  added") and line.endswith("failed") for line in failed.text.splitlines())


def test_a_rollback_is_told_as_one() -> None:
    task = RollbackOperator(task_id="back", environment="production", reason="wrong", dbt_project_dir="/shop")
    ti: Any = FakeTaskInstance()
    ti.task_id = "back"
    answer = {"plan_id": "p" * 32, "outcome": "promoted", "environment": "production", "checkpoint": "c1", "models": []}
    ti.xcom_pull = lambda **_: answer
    told = promotion_message({**a_context(ti), "task": task})
    assert told.title == "dbt promotion: production rolled back to c1"


def test_a_task_that_told_nothing_broke(shop: Shop) -> None:  # noqa: ARG001 - hooks lead there
    ti: Any = FakeTaskInstance()
    ti.xcom_pull = lambda **_: None
    context = {**a_context(ti), "task": a_task(), "exception": RuntimeError("no <disk>")}
    told = promotion_message(context)
    assert told.title == "dbt promotion: promote errored"
    assert told.text.splitlines()[1:3] == ["no <disk>", "by airflow:a dag"]
    assert "no &lt;disk&gt;" in told.html


@pytest.mark.parametrize(("state", "ended"), [("success", "ended"), ("skipped", "ended"), ("failed", "errored")])
def test_a_task_that_told_nothing_ended_as_its_state_says(shop: Shop, state: str, ended: str) -> None:  # noqa: ARG001
    ti: Any = FakeTaskInstance()
    ti.xcom_pull, ti.state = lambda **_: None, state
    assert promotion_message({**a_context(ti), "task": a_task()}).title == f"dbt promotion: promote {ended}"


def test_the_message_goes_into_the_field_that_a_notifier_has_and_is_no_template(shop: Shop, chat: Chat) -> None:
    soaked(shop)
    context = ended(a_task())
    ti = context["ti"]
    ti.pushed["return_value"]["models"][0]["name"] = "{{ 7 * 7 }}"
    ti.pushed["return_value"]["message"] = "{% for %}"
    del context["dag"]
    PromotionNotifier(chat)(context)
    PromotionNotifier(Chat(title="mine"), form="markdown")(context)
    PromotionNotifier(chat, outcomes=["failed"])(context)
    [(title, text), (mine, marked)] = Chat.sent
    assert title == "dbt promotion: 4 models promoted to production"
    assert "{{ 7 * 7 }}" in text
    assert "{% for %}" in text
    assert (mine, marked[:2]) == ("mine", "**")
    assert (chat.text, chat.title) == ("", "")


def test_mail_has_a_subject_and_html(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    soaked(shop)
    context = ended(a_task())
    del context["dag"]
    sent: list[Any] = []
    monkeypatch.setattr(SmtpNotifier, "notify", lambda self, _: sent.append((self.subject, self.html_content)))
    PromotionNotifier(SmtpNotifier(to="team@example.com", from_email="a@example.com", smtp_conn_id="s"))(context)
    [(subject, body)] = sent
    assert subject == "dbt promotion: 4 models promoted to production"
    assert body.startswith("<pre>dbt promotion")


def test_the_callback_of_a_dag_tells_of_each_of_its_promotions(shop: Shop) -> None:
    soaked(shop)
    of_task = ended(a_task())
    answer = of_task["ti"].pushed["return_value"]
    ti: Any = FakeTaskInstance()
    told = {"promote": answer, "mapped": [answer, {"other": 1}]}
    ti.xcom_pull = lambda task_ids, key: told[task_ids]  # noqa: ARG005 - Airflow's signature
    tasks = [a_task(), BaseOperator(task_id="other")]
    mapped = PromoteOperator(task_id="mapped", target_environment="production", dbt_project_dir="/shop")
    dag = SimpleNamespace(tasks=[*tasks, mapped], dag_id="a dag", get_template_env=BaseOperator(task_id="o"))
    whole = {**a_context(ti), "dag": dag, "reason": "success"}
    assert [one[0] for one in messages(whole)] == ["promoted", "promoted"]

    def unreadable(**_: Any) -> None:
        raise RuntimeError("no XCom in this process")

    ti.xcom_pull = unreadable
    assert promotion_message(whole).title == "dbt promotion: a dag ended"
    assert promotion_message({"dag": dag, "reason": "all_done", "run_id": "r"}).text == (
        "dbt promotion: a dag ended\nall_done\nby airflow\n"
    )


def messages(context: Any) -> list[Any]:
    from airflow_dbt_promotion.notifications.promotion import _messages  # noqa: PLC0415 - the inside of it

    return list(_messages(context))


def test_a_notifier_without_a_known_field_has_to_name_it() -> None:
    class Bell(BaseNotifier):
        ring = ""

    with pytest.raises(ValueError, match="Bell has none of"):
        PromotionNotifier(Bell())
    assert PromotionNotifier(Bell(), field="ring").form == "text"
    with pytest.raises(ValueError, match="form"):
        PromotionNotifier(Chat(), form="pdf")


@pytest.mark.airflow
@pytest.mark.slow
def test_airflow_calls_it(shop: Shop, migrated: Path, tmp_path: Path) -> None:  # noqa: ARG001 - an Airflow home
    sent = tmp_path / "sent"
    file = HOME / "dags" / "notifying.py"
    file.write_text(DAG.format(file=str(sent)), encoding="utf-8")
    bag = dag_bag(file)
    assert bag.import_errors == {}
    shop.run("staging")
    bag.dags["notifying"].get_task("promote").models = ["orders", "stg_orders", "raw_orders"]
    assert str(bag.dags["notifying"].test().state) == "failed"
    shop.clock.pass_by(DAY)
    assert str(bag.dags["notifying"].test().state) == "success"
    file.unlink()
    first, second, _ = sent.read_text().split("===")
    assert first.startswith("dbt promotion: 3 models refused for production\nsoak: soaks in staging")
    assert second.startswith("dbt promotion: 3 models promoted to production\n")
