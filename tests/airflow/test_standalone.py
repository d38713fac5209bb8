"""A sensor and a promotion in a whole Airflow: scheduler, executor, triggerer, API server.

The sensor waits without a worker. The promotion is killed in the middle, and Airflow's retry carries it on.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.airflow.conftest import SURROUNDINGS
from tests.integration.warehouse import DuckDb, Mill

pytestmark = [pytest.mark.airflow, pytest.mark.dbt, pytest.mark.slow]

PROMOTION_YML = """
version: 1
state: states
environments:
  staging: {target: staging}
  production: {target: production, promotes_from: staging, min_days_in_staging: PT12S}
"""
DAG = """
import os, signal
from datetime import datetime, timedelta
from airflow.sdk import DAG
from airflow_dbt_promotion.failpoints import Failpoint, arm
from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.sensors.soak import StagingSoakSensor

def die_once(context):
    def happen(reached):
        if reached is Failpoint.MODEL_PUBLISHED and context["ti"].try_number == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    arm(happen)

with DAG("late", schedule="@once", start_date=datetime(2026, 1, 1), default_args={"dbt_project_dir": PROJECT}):
    soaked = StagingSoakSensor(
        task_id="soaked",
        models=["late", "weights"],
        recheck_interval=timedelta(seconds=10),
        timeout=timedelta(minutes=10),
    )
    soaked >> PromoteOperator(
        task_id="promote",
        target_environment="production",
        models="{{ ti.xcom_pull(task_ids='soaked') }}",
        include_upstream=True,
        retries=1,
        retry_delay=timedelta(seconds=1),
        pre_execute=die_once,
    )
"""


class Standalone:
    """The database of an Airflow that runs."""

    def __init__(self, home: Path) -> None:
        self._database = home / "airflow.db"

    def state(self, task_id: str) -> str | None:
        found = self._rows("select state from task_instance where task_id = ?", task_id)
        return found[0][0] if found else None

    def tries(self, task_id: str) -> int:
        return int(self._rows("select try_number from task_instance where task_id = ?", task_id)[0][0])

    def triggers(self) -> list[str]:
        """Return the class of each trigger that is asleep."""
        return [path for (path,) in self._rows("select classpath from trigger")]

    def told(self, task_id: str) -> str:
        return self._rows("select value from xcom where key = 'return_value' and task_id = ?", task_id)[0][0]

    def _rows(self, query: str, *values: str) -> list[tuple[str, ...]]:
        if not self._database.exists():
            return []
        connection = sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query, values).fetchall()
        except sqlite3.OperationalError:  # its tables are still being made
            return []
        finally:
            connection.close()


@pytest.fixture
def mill(tmp_path: Path) -> Mill:
    """A project whose staging is recorded, and then a new model that nobody built yet."""
    folder = tmp_path / "mill"
    folder.mkdir()
    made = Mill(folder, DuckDb(tmp_path))
    made.write("promotion.yml", PROMOTION_YML)
    made.engine = engine_for(Place(project_dir=folder))
    assert made.build_staging()
    made.write("models/late.sql", "select 1 as id")
    return made


@pytest.fixture
def standalone(tmp_path: Path, mill: Mill) -> Iterator[Standalone]:
    home = tmp_path / "home"
    (home / "dags").mkdir(parents=True)
    (home / "dags" / "late.py").write_text(dedent(DAG).replace("PROJECT", repr(str(mill.folder))), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    more = {
        # `standalone` starts its parts by the name `airflow`.
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
    }
    output = (home / "standalone.log").open("wb")
    # Its children outlive SIGTERM, so it gets a process group of its own, and the group is ended.
    process = subprocess.Popen(
        [sys.executable, "-m", "airflow", "standalone"],
        env={**os.environ, **SURROUNDINGS, **more},
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        cwd=home,
    )
    try:
        yield Standalone(home)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        output.close()


def until(what: Callable[[], bool], seconds: float = 180) -> None:
    """Wait for something that happens elsewhere; long enough for a slow machine."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.25)


def test_a_soak_is_slept_through_and_a_killed_promotion_carried_on(standalone: Standalone, mill: Mill) -> None:
    until(lambda: standalone.state("soaked") == "deferred")
    assert standalone.triggers() == ["airflow_dbt_promotion.triggers.soak.SoakTrigger"]

    assert mill.build_staging()
    built = {status.name: status for status in mill.engine.status("staging")}["late"]
    assert built.soak is not None
    until(lambda: standalone.state("promote") == "success")

    assert standalone.state("soaked") == "success"
    assert standalone.triggers() == []
    assert "late" in standalone.told("soaked")
    assert "promoted" in standalone.told("promote")
    assert standalone.tries("promote") == 2
    state = mill.engine.observer.state("production")
    assert state is not None
    entered = {model.rsplit(".", 1)[-1]: entry for model, entry in state.current.items()}["late"]
    assert (entered.version, entered.since >= built.since) == (built.version, True)
    assert (state.history[0].started_at - built.since).total_seconds() >= mill.engine.path.last().soak.total_seconds()
    assert mill.warehouse.rows("select id from production.late") == [(1,)]

    (told,) = state.history
    assert (told.outcome, told.attempts) == (PromotionOutcome.PROMOTED, 2)
    marks = mill.warehouse.rows("select node, epoch from production.dbt_promotion_marks where node <> ''")
    assert sorted(node for node, _ in marks) == sorted(told.models)
    assert {epoch for _, epoch in marks} == {1, 2}
