"""A promotion in a real Airflow that has nothing but its Variables to remember by."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from airflow_dbt_promotion.sensors.soak import StagingSoakSensor
from airflow_dbt_promotion.stores.airflow_variables import at_hand, keys_of
from airflow_dbt_promotion.triggers.soak import SoakTrigger
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.airflow.conftest import HOME
from tests.airflow.spellings import TaskDeferred, dag_bag
from tests.airflow.tasks import a_context
from tests.airflow.variables import a_prefix, in_a_task
from tests.integration.warehouse import DuckDb, Mill

pytestmark = [pytest.mark.airflow, pytest.mark.dbt, pytest.mark.slow]

DAG = """
from airflow.sdk import DAG
from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.sensors.soak import StagingSoakSensor

with DAG("in_variables", schedule=None, default_args={"dbt_project_dir": PROJECT, "state": STATE}):
    StagingSoakSensor(task_id="soaked") >> PromoteOperator(task_id="promote", target_environment="production")
"""


@pytest.fixture
def prefix() -> str:
    return a_prefix()


@pytest.fixture
def mill(migrated: Path, tmp_path: Path, prefix: str) -> Iterator[Mill]:  # noqa: ARG001
    """A project whose staging is recorded in Variables, from the command line."""
    folder = tmp_path / "mill"
    folder.mkdir()
    made = Mill(folder, DuckDb(tmp_path))
    made.edit("promotion.yml", "state: states", f"state: airflow-variable://{prefix}")
    made.engine = engine_for(Place(project_dir=folder))
    assert made.build_staging()
    yield made
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415 - only once dbt ran

    DuckDBConnectionManager.close_all_connections()


def test_a_dag_waits_promotes_and_its_history_is_read_back(mill: Mill, prefix: str) -> None:
    mill.edit("promotion.yml", "min_days_in_staging: 1", "min_days_in_staging: 0")
    # The argument says where the state is; what promotion.yml says is another place.
    mill.edit("promotion.yml", f"airflow-variable://{prefix}", "nowhere")
    root = f"airflow-variable://{prefix}"
    file = HOME / "dags" / "in_variables.py"
    file.write_text(dedent(DAG).replace("PROJECT", repr(str(mill.folder))).replace("STATE", repr(root)))
    try:
        run = dag_bag(file).dags["in_variables"].test()
    finally:
        file.unlink()
    assert {ti.task_id: str(ti.state) for ti in run.get_task_instances()} == {"soaked": "success", "promote": "success"}

    engine = engine_for(Place(project_dir=mill.folder, state=root))
    state = engine.observer.state("production")
    assert state is not None
    assert {model.rsplit(".", 1)[-1] for model in state.current} == {"sacks", "stg_sacks", "weights", "lonely"}
    assert [record.outcome.value for record in state.history] == ["promoted"]
    assert {entry.release for entry in state.current.values()} != {None}
    assert mill.warehouse.rows("select kilos, sacks from production.weights order by kilos") == [(25, 2), (50, 1)]
    assert not (mill.folder / "nowhere").exists()
    (release,) = keys_of(at_hand(), f"{prefix}:release:")
    assert keys_of(at_hand(), f"{prefix}:") == (f"{prefix}:production", release, f"{prefix}:staging")


def test_a_sensor_reads_variables_in_its_task_and_its_trigger_asks_nobody(mill: Mill) -> None:
    sensor = StagingSoakSensor(task_id="soaked", dbt_project_dir=str(mill.folder))
    with in_a_task(), pytest.raises(TaskDeferred) as caught:
        sensor.execute(a_context())
    trigger = caught.value.trigger
    assert isinstance(trigger, SoakTrigger)
    entered = {status.since for status in mill.engine.status("staging")}
    assert datetime.fromisoformat(trigger.moment) == max(since for since in entered if since) + timedelta(days=1)
    # All that the triggerer is given: an instant, and no way to any state.
    assert trigger.serialize()[1].keys() == {"moment", "began"}
