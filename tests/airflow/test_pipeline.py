"""Promotions in a whole Airflow, driven through its REST API alone, while parts of it are killed.

The sensors wait without a worker. Who may answer is asked to; a promotion that is killed in the middle is carried on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.airflow.whole import Airflow, an_airflow
from tests.integration.warehouse import DuckDb, Mill

pytestmark = [pytest.mark.airflow, pytest.mark.dbt, pytest.mark.slow]

PROMOTION_YML = """
version: 1
state: states
environments:
  staging: {target: staging}
  production: {target: production, promotes_from: staging, min_days_in_staging: PT12S}
"""
PIPELINE = """
    import os, signal
    from datetime import timedelta
    from airflow.sdk import DAG, Param
    from airflow_dbt_promotion.failpoints import Failpoint, arm
    from airflow_dbt_promotion.operators.promote import PromoteOperator
    from airflow_dbt_promotion.sensors.soak import StagingSoakSensor

    def die_once(context):
        def happen(reached):
            if reached is Failpoint.MODEL_PUBLISHED and context["ti"].try_number == 1:
                os.kill(os.getpid(), signal.SIGKILL)

        arm(happen)

    with DAG("pipeline", params={"models": Param([], type="array")}, default_args={"dbt_project_dir": PROJECT}):
        soaked = StagingSoakSensor(
            task_id="soaked",
            models="{{ params.models }}",
            recheck_interval=timedelta(seconds=10),
            timeout=timedelta(minutes=30),
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
GO_BACK = """
    from airflow.sdk import DAG, Param
    from airflow_dbt_promotion.operators.rollback import RollbackOperator

    with DAG("go_back", params={"reason": Param("", type="string")}, default_args={"dbt_project_dir": PROJECT}):
        RollbackOperator(task_id="roll_back", environment="production", reason="{{ params.reason }}")
"""


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Mill:
    """A project whose staging is recorded, and then a new model that nobody built yet."""
    folder = tmp_path_factory.mktemp("mill")
    made = Mill(folder, DuckDb(folder))
    made.write("promotion.yml", PROMOTION_YML)
    made.engine = engine_for(Place(project_dir=folder))
    assert made.build_staging()
    made.write("models/late.sql", "select 1 as id")
    return made


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, mill: Mill) -> Iterator[Airflow]:
    project = repr(str(mill.folder))
    dags = {"pipeline": PIPELINE.replace("PROJECT", project), "go_back": GO_BACK.replace("PROJECT", project)}
    with an_airflow(tmp_path_factory.mktemp("home"), dags) as running:
        yield running


def production(mill: Mill) -> Any:
    state = mill.engine.observer.state("production")
    assert state is not None
    return state


def test_a_promotion_goes_its_way_though_everything_is_killed_on_it(airflow: Airflow, mill: Mill) -> None:
    run = airflow.trigger("alice", "pipeline", models=["late", "weights"])
    soaking = run.wait("soaked", "deferred")
    assert soaking["trigger"]["classpath"] == "airflow_dbt_promotion.triggers.soak.SoakTrigger"
    airflow.kill("triggerer", "scheduler")
    airflow.start("triggerer", "scheduler")

    assert mill.build_staging()
    built = {status.name: status for status in mill.engine.status("staging")}["late"]
    run.wait("promote", "success")

    assert run.task("soaked")["try_number"] == 1
    assert "late" in run.told("soaked")
    assert run.told("promote")["outcome"] == "promoted"
    assert run.task("promote")["try_number"] == 2
    state = production(mill)
    entered = {model.rsplit(".", 1)[-1]: entry for model, entry in state.current.items()}["late"]
    assert (entered.version, entered.since >= built.since) == (built.version, True)
    assert (state.history[0].started_at - built.since).total_seconds() >= mill.engine.path.last().soak.total_seconds()
    assert mill.warehouse.rows("select id from production.late") == [(1,)]

    (told,) = state.history
    assert (told.outcome, told.attempts, told.actor) == (PromotionOutcome.PROMOTED, 2, "alice")
    marks = mill.warehouse.rows("select node, epoch from production.dbt_promotion_marks where node <> ''")
    assert sorted(node for node, _ in marks) == sorted(told.models)
    assert {epoch for _, epoch in marks} == {1, 2}


def test_what_was_promoted_is_gone_back_from(airflow: Airflow, mill: Mill) -> None:
    run = airflow.trigger("bob", "go_back", reason="late has wrong rows")
    run.wait("roll_back", "success")
    assert run.told("roll_back")["outcome"] == "promoted"
    state = production(mill)
    assert state.current == {}
    assert state.hold is not None
    assert state.history[0].actor == "bob"
