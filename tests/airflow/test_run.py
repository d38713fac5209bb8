from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_dbt_promotion.core.errors import DbtError, LockHeldError, UnservableError
from airflow_dbt_promotion.operators.run import PromotedBuildOperator
from tests.airflow.spellings import AirflowFailException
from tests.airflow.tasks import FakeTaskInstance, LogOfLines, a_context, shop
from tests.fakes import id_of
from tests.locking import locked
from tests.scenarios import DAY, Shop, defined, model_id, test_id

__all__ = ["shop"]

LINK = "https://airflow.example.com/dags/a%20dag/runs/manual__2026-07-24T12%3A00%3A00%2B00%3A00"


@pytest.fixture
def served(shop: Shop) -> Shop:
    """A shop whose production holds the first release, while the checkout has moved on."""
    shop.change(defined())
    shop.baseline("production")
    shop.clock.pass_by(DAY)
    shop.change(defined(code={"orders": "select 2"}))
    return shop


def a_task(**arguments: Any) -> PromotedBuildOperator:
    return PromotedBuildOperator(
        task_id="nightly", dbt_project_dir="/shop", **{"environment": "production", **arguments}
    )


def test_a_run_is_told_as_a_small_document(served: Shop) -> None:
    told: Any = a_task().execute(a_context(user="ada"))
    assert (told["outcome"], told["environment"], told["command"]) == ("passed", "production", "build")
    assert (told["counts"], told["failed"]) == ({"success": 4, "pass": 4}, [])
    assert (told["releases"], told["link"]) == ([id_of(defined())], LINK)
    assert json.loads(json.dumps(told)) == told
    (request,) = served.workshop.runs
    assert request.composition.definition.nodes[model_id("orders")].raw_code == "select 1"


def test_every_argument_comes_out_of_templates(served: Shop) -> None:
    task = a_task(select="orders stg_orders", exclude="orders", command="run", full_refresh="true", lock_timeout="5")
    assert task.execute(a_context())["counts"] == {"success": 1}
    (request,) = served.workshop.runs
    assert (request.command.value, request.full_refresh) == ("run", True)
    assert a_task(select="None", exclude="", command="").execute(a_context())["counts"]["success"] == 4
    assert set(PromotedBuildOperator.template_fields) >= {"environment", "select", "exclude", "command", "full_refresh"}
    with pytest.raises(AirflowFailException, match="none of build, run, test, seed, snapshot"):
        a_task(command="compile").execute(a_context())


def test_a_failed_run_fails_the_task_without_a_retry_and_tells_all_the_same(served: Shop) -> None:
    served.workshop.failing = [test_id("orders")]
    ti = FakeTaskInstance()
    with pytest.raises(AirflowFailException, match="Failed: the run of what was promoted to production"):
        a_task().execute(a_context(ti))
    told: Any = ti.pushed["return_value"]
    assert told["outcome"] == "failed"
    assert [(one["name"], one["status"], one["message"]) for one in told["failed"]] == [
        ("not_null_orders_id", "fail", "it broke")
    ]


def test_machines_that_break_are_retried(served: Shop) -> None:
    with locked(served.store, "production", "somebody"), pytest.raises(LockHeldError):
        a_task(lock_timeout=0).execute(a_context())
    served.workshop.build_breaks = DbtError("it broke")
    with pytest.raises(DbtError):
        a_task().execute(a_context())
    served.workshop.kept.clear()
    with pytest.raises(UnservableError):
        a_task().execute(a_context())


def test_bad_input_is_not_retried(served: Shop) -> None:  # noqa: ARG001 - the shop is what the hook leads to
    for arguments in ({"environment": "moon"}, {"environment": "development"}, {"select": "unheard_of"}):
        with pytest.raises(AirflowFailException):
            a_task(**arguments).execute(a_context())


def test_progress_and_warnings_are_in_the_log(served: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    served.run("production")  # others build what was never promoted
    served.clock.pass_by(DAY)
    log = LogOfLines()
    monkeypatch.setattr(PromotedBuildOperator, "log", log)
    told: Any = a_task(select="raw_orders").execute(a_context())
    assert "1 of 2: seed.shop.raw_orders success" in log.lines
    assert "Ran what was promoted to production: 1 success, 1 pass." in log.lines
    assert any(line.startswith("warning: drift: others built what was never promoted") for line in log.lines)
    assert any("drift" in warning for warning in told["warnings"])
