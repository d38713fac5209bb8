"""Links of tasks, as Airflow makes them: by the worker when a task ends, read from XCom by the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.links.promotion import ApprovalLink, PromotionLink, RunLink
from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.operators.rollback import RollbackOperator
from airflow_dbt_promotion.operators.run import PromotedBuildOperator
from tests.airflow.conftest import HOME
from tests.airflow.spellings import dag_bag, reserialized
from tests.airflow.tasks import FakeTaskInstance, a_context, shop
from tests.scenarios import DAY, Shop

__all__ = ["shop"]

DAG = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_dbt_promotion.operators.promote import PromoteOperator

with DAG("linked", start_date=datetime(2026, 1, 1), schedule=None):
    PromoteOperator(task_id="promote", target_environment="production", dbt_project_dir="/shop")
"""


def links(told: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr("airflow.sdk.execution_time.xcom.XCom.get_value", lambda **_: told)
    ti: Any = FakeTaskInstance()
    ti.run_id = "manual 1"
    task: Any = None
    return {link.name: link.get_link(task, ti_key=ti) for link in (RunLink(), PromotionLink(), ApprovalLink())}


def test_links_are_made_from_what_the_task_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {
        "link": "https://here",
        "promotion_link": "https://ci",
        "refusals": [{"gate": "soak"}, {"gate": "approval"}],
    }
    assert links(told, monkeypatch) == {
        "Run": "https://here",
        "Promotion": "https://ci",
        "Approval": "https://airflow.example.com/dags/dag/runs/manual%201/required_actions",
    }
    assert links(None, monkeypatch) == {"Run": "", "Promotion": "", "Approval": ""}
    refused = {"link": None, "promotion_link": None, "refusals": [{"gate": "soak"}]}
    assert links(refused, monkeypatch) == {"Run": "", "Promotion": "", "Approval": ""}


def test_where_nothing_is_to_do_the_link_leads_to_the_promotion_that_did_it(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(PromotionRequest(target="production", link="https://ci.example.com/1"))
    task = PromoteOperator(task_id="promote", target_environment="production", dbt_project_dir="/shop")
    told: Any = task.execute(a_context())
    assert (told["outcome"], told["promotion_link"]) == ("nothing_to_do", "https://ci.example.com/1")
    dry = PromoteOperator(task_id="plan", target_environment="production", dry_run=True, dbt_project_dir="/shop")
    planned: Any = dry.execute(a_context())
    assert planned["promotion_link"] is None


def test_tasks_have_the_links_that_make_sense_of_them() -> None:
    assert [one.name for one in PromoteOperator.operator_extra_links] == ["Promotion", "Approval", "Run"]
    for operator in (RollbackOperator, PromotedBuildOperator):
        assert [one.name for one in operator.operator_extra_links] == ["Run"]


@pytest.mark.airflow
@pytest.mark.slow
def test_airflow_shows_them(shop: Shop, migrated: Path) -> None:  # noqa: ARG001 - an Airflow home
    from airflow.models.taskinstancekey import TaskInstanceKey  # noqa: PLC0415 - as late

    shop.run("staging")
    shop.clock.pass_by(DAY)
    file = HOME / "dags" / "linked.py"
    file.write_text(DAG, encoding="utf-8")
    dag = dag_bag(file).dags["linked"]
    ended = dag.test()
    file.unlink()
    assert str(ended.state) == "success"
    task = reserialized(dag).get_task("promote")
    assert set(task.extra_links) == {"Promotion", "Approval", "Run"}
    ti = ended.get_task_instance("promote")
    assert ti is not None
    assert isinstance(ti.key, TaskInstanceKey)
    start = "https://airflow.example.com/dags/linked/runs/"
    assert task.get_extra_links(ti, "Run").startswith(start)
    assert task.get_extra_links(ti, "Promotion") == task.get_extra_links(ti, "Run")
    assert task.get_extra_links(ti, "Approval") == ""
