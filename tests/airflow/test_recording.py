from __future__ import annotations

import copy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_dbt_promotion.hooks.cosmos import record_run
from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.operators.record import RecordRunOperator
from airflow_dbt_promotion.sensors.soak import StagingSoakSensor
from tests.airflow.spellings import AirflowFailException, reserialized
from tests.airflow.tasks import shop
from tests.scenarios import Shop, test_id

__all__ = ["shop"]


def a_copy(shop: Shop, folder: Path, **how: Any) -> Path:
    """Leave a run where Cosmos would: in the target folder of a copy of the project."""
    (folder / "target").mkdir()
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (folder / "target" / "run_results.json").write_text("{}")
    shop.reader.runs[folder / "target"] = shop.reader.runs[shop.leave_run("staging", **how)]
    return folder


def test_the_callback_records_the_run_in_the_copy(shop: Shop, tmp_path: Path) -> None:
    callback = copy.deepcopy(record_run("staging", dbt_project_dir="/shop"))
    callback(str(a_copy(shop, tmp_path)), context={})
    assert {status.name for status in shop.engine.status("staging") if status.tested} == {
        "orders",
        "raw_orders",
        "revenue",
        "stg_orders",
    }


def test_the_callback_records_a_failed_run_too(shop: Shop, tmp_path: Path) -> None:
    record_run("staging")(str(a_copy(shop, tmp_path, failing={test_id("orders")})), context={})
    assert {status.tests.code for status in shop.engine.status("staging", ["orders"])} == {"revoked"}


def test_the_callback_leaves_a_dbt_that_broke_down_to_cosmos(shop: Shop, tmp_path: Path) -> None:
    folder = a_copy(shop, tmp_path)
    (folder / "target" / "run_results.json").unlink()
    record_run("staging")(str(folder), context={})
    assert shop.engine.status("staging") == ()


def test_the_callback_looks_where_dbt_was_told_to_write(shop: Shop, tmp_path: Path) -> None:
    folder = a_copy(shop, tmp_path)
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\ntarget-path: elsewhere\n")
    record_run("staging")(str(folder), context={})
    assert shop.engine.status("staging") == ()
    record_run("staging", env_vars={"DBT_TARGET_PATH": "target"})(str(folder), context={})
    assert len(shop.engine.status("staging")) == 4


def test_a_run_that_is_no_evidence_fails_the_task_without_a_retry(shop: Shop, tmp_path: Path) -> None:
    folder = a_copy(shop, tmp_path)
    with pytest.raises(AirflowFailException, match="target_mismatch"):
        record_run("production")(str(folder), context={})
    with pytest.raises(AirflowFailException, match="unknown_environment"):
        record_run("moon")(str(folder), context={})


def test_tasks_take_default_args_can_be_mapped_and_survive_serialization() -> None:
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with DAG(
        "d", start_date=begin, schedule=None, default_args={"dbt_project_dir": "/shop", "state": "/states"}
    ) as dag:
        soaked = StagingSoakSensor(task_id="soaked", deferrable=False)
        PromoteOperator.partial(task_id="each", target_environment="production").expand(models=[["a"], ["b"]])
        soaked >> RecordRunOperator(task_id="record", environment="staging", trigger_rule="all_done")
    assert (soaked.dbt_project_dir, soaked.state) == ("/shop", "/states")
    again = reserialized(dag)
    assert again.task_dict.keys() == {"soaked", "each", "record"}
    assert again.get_task("soaked").reschedule is True
