from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from airflow_dbt_promotion.core.errors import LockHeldError
from airflow_dbt_promotion.operators.promote import PromoteOperator
from tests.airflow.spellings import AirflowFailException, AirflowSkipException
from tests.airflow.tasks import FakeTaskInstance, LogOfLines, a_context, shop
from tests.locking import locked
from tests.scenarios import DAY, Shop, model_id

__all__ = ["shop"]

LINK = "https://airflow.example.com/dags/a%20dag/runs/manual__2026-07-24T12%3A00%3A00%2B00%3A00"


def a_task(**arguments: Any) -> PromoteOperator:
    return PromoteOperator(
        task_id="promote", dbt_project_dir="/shop", **{"target_environment": "production", **arguments}
    )


def history(shop: Shop) -> Any:
    state = shop.engine.observer.state("production")
    assert state is not None
    return state.history


def test_a_promotion_is_told_as_a_small_document(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    told: Any = a_task().execute(a_context(user="ada"))
    assert told["outcome"] == "promoted"
    assert told["plan_id"] == history(shop)[0].plan_id
    assert (told["source_environment"], told["target_environment"]) == ("staging", "production")
    assert [(model["name"], model["change"], model["result"]) for model in told["models"]] == [
        ("orders", "added", "advanced"),
        ("revenue", "added", "advanced"),
        ("stg_orders", "added", "advanced"),
        ("raw_orders", "added", "advanced"),
    ]
    versions = {model["unique_id"]: model["to_version"] for model in told["models"]}
    assert versions == {model.id: model.version for model in shop.project.models.values()}
    assert told["refusals"] == []
    assert told["link"] == LINK
    assert json.loads(json.dumps(told)) == told
    assert (history(shop)[0].actor, history(shop)[0].link) == ("ada", LINK)


def test_nothing_to_do_is_a_success_and_a_scheduled_run_acts_as_its_dag(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    a_task().execute(a_context())
    assert history(shop)[0].actor == "airflow:a dag"
    assert a_task().execute(a_context())["outcome"] == "nothing_to_do"


def test_a_refused_promotion_fails_without_a_retry_and_still_tells_why(shop: Shop) -> None:
    shop.run("staging")
    ti = FakeTaskInstance()
    with pytest.raises(AirflowFailException, match="refused: soaks in staging"):
        a_task(models=["orders"], include_upstream=True).execute(a_context(ti))
    told: Any = ti.pushed["return_value"]
    assert told["outcome"] == "refused"
    assert {refusal["code"] for refusal in told["refusals"]} == {"soaking"}
    assert told["eligible_at"] == "2026-07-25T12:00:00Z"
    assert shop.workshop.orders == []


def test_a_refused_promotion_may_skip_what_comes_after(shop: Shop) -> None:
    shop.run("staging")
    with pytest.raises(AirflowSkipException, match="refused"):
        a_task(models="orders", on_refused="skip").execute(a_context())


def test_a_failed_promotion_is_not_retried_even_where_a_refused_one_is_skipped(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.workshop.failing = {model_id("orders")}
    ti = FakeTaskInstance()
    with pytest.raises(AirflowFailException, match="failed"):
        a_task(on_refused="skip").execute(a_context(ti))
    told: Any = ti.pushed["return_value"]
    assert told["outcome"] == "failed"
    assert {model["name"]: model["result"] for model in told["models"]}["orders"] == "failed"


def test_an_error_of_the_machine_is_left_to_airflows_retries(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    with locked(shop.engine.store, "production", "somebody"), pytest.raises(LockHeldError):
        a_task(lock_timeout="0.01").execute(a_context())


def test_bad_input_fails_without_a_retry(shop: Shop) -> None:
    shop.run("staging")
    for arguments, code in (
        ({"models": ["order"]}, "unknown_model"),
        ({"models": "a;b"}, "invalid_name"),
        ({"models": []}, "empty_selection"),
        ({"models": ""}, "empty_selection"),
        ({"models": "None"}, "empty_selection"),
        ({"models": "[1, 2]"}, "bad_configuration"),
        ({"target_environment": "moon"}, "unknown_environment"),
        ({"require_tests": False}, "reason_required"),
        ({"require_tests": "perhaps"}, "bad_configuration"),
        ({"strategy": "magic"}, "bad_configuration"),
        ({"min_successful_runs": "many"}, "bad_configuration"),
        ({"min_days_in_staging": "-1"}, "bad_duration"),
    ):
        with pytest.raises(AirflowFailException, match=code):
            a_task(**arguments).execute(a_context())
    with pytest.raises(ValueError, match="retry"):
        a_task(on_refused="retry")


def test_a_dry_run_and_one_that_updates_nothing_change_nothing(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    for arguments in ({"dry_run": "True"}, {"update_state": "false"}):
        told = a_task(**arguments).execute(a_context())
        assert told["outcome"] == "planned"
        assert told["dry_run"] is True
    assert shop.engine.observer.state("production") is None


def test_skipped_tests_and_a_short_soak_are_bypasses_with_a_reason(shop: Shop) -> None:
    shop.run("staging")
    told = a_task(require_tests="False", min_days_in_staging="0", reason="a hot fix").execute(a_context(user="ada"))
    assert told["outcome"] == "promoted"
    state = shop.engine.observer.state("production")
    assert state is not None
    assert {(one.kind.value, one.actor, one.reason) for one in state.bypasses} == {
        ("skip_tests", "ada", "a hot fix"),
        ("short_soak", "ada", "a hot fix"),
    }


def test_the_plan_is_a_table_in_the_log(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    log = LogOfLines()
    monkeypatch.setattr(PromoteOperator, "log", log)
    a_task().execute(a_context())
    logged = log.lines
    assert f"1 of 8: {model_id('orders')} success" in logged
    assert "Promoted 4 models from staging to production." in logged
    assert any(
        line.split() == ["orders", "added", *line.split()[2:3], "passed", "soaked", "coherent", "promoted"]
        for line in logged
        if line.strip().startswith("orders")
    )
    assert not any("\n" in line or "\x1b" in line for line in logged)


def test_importing_the_operators_loads_neither_dbt_nor_the_engine() -> None:
    code = """
import sys
import airflow_dbt_promotion.hooks.cosmos, airflow_dbt_promotion.operators.promote
import airflow_dbt_promotion.operators.record, airflow_dbt_promotion.sensors.soak, airflow_dbt_promotion.sensors.window
import airflow_dbt_promotion.operators.rollback, airflow_dbt_promotion.operators.run
import airflow_dbt_promotion.hooks.assets, airflow_dbt_promotion.hooks.params
import airflow_dbt_promotion.notifications.promotion, airflow_dbt_promotion.task_groups.promoted
print(sorted({"dbt", "airflow_dbt_promotion.engine", "airflow_dbt_promotion.render", "airflow_dbt_promotion.wiring"}
             & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
