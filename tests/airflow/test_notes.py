"""The note of a DAG run, written by the listener as the scheduler calls it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_dbt_promotion.plugin import PromotionPlugin, notes
from tests.airflow.conftest import HOME
from tests.airflow.spellings import dag_bag, reserialized
from tests.airflow.tasks import shop
from tests.scenarios import DAY, Shop

__all__ = ["shop"]

DAG = """
from datetime import datetime
from airflow.sdk import DAG
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow_dbt_promotion.operators.promote import PromoteOperator

with DAG("noted", start_date=datetime(2026, 1, 1), schedule=None):
    PromoteOperator(task_id="promote", target_environment="production", dbt_project_dir="/shop")
with DAG("not_noted", start_date=datetime(2026, 1, 1), schedule=None):
    EmptyOperator(task_id="work")
"""


def test_the_plugin_brings_the_listener() -> None:
    assert PromotionPlugin.listeners == [notes]
    assert PromotionPlugin.name == "dbt_promotion"


@pytest.mark.airflow
@pytest.mark.slow
def test_a_run_is_noted_beside_what_people_wrote(
    shop: Shop,
    migrated: Path,  # noqa: ARG001 - an Airflow home
) -> None:
    from airflow.listeners.listener import get_listener_manager  # noqa: PLC0415 - as late
    from airflow.utils.session import create_session  # noqa: PLC0415 - as late
    from airflow.utils.state import DagRunState  # noqa: PLC0415 - as late

    shop.run("staging")
    shop.clock.pass_by(DAY)
    file = HOME / "dags" / "noted.py"
    file.write_text(DAG, encoding="utf-8")
    bag = dag_bag(file)
    ended = {name: bag.dags[name].test().id for name in ("noted", "not_noted")}
    file.unlink()
    manager = get_listener_manager()
    manager.add_listener(notes)
    try:
        with create_session() as session:
            for name, found in runs(session, ended).items():
                # As the scheduler does when the last task of a run has ended.
                found.dag = reserialized(bag.dags[name])
                found.state = DagRunState.RUNNING
                found.update_state(session=session, execute_callbacks=False)
    finally:
        manager.pm.unregister(notes)
    with create_session() as session:
        found = runs(session, ended)
        assert [str(one.state) for one in found.values()] == ["success", "success"]
        noted = "dbt promotion: 4 models promoted to production"
        assert [one.note for one in found.values()] == [noted, None]

        found["noted"].note = "ask Ada first\ndbt promotion: as it was before the run was cleared"
        notes.on_dag_run_success(dag_run=found["noted"], msg="success")
        assert found["noted"].note == f"ask Ada first\n{noted}"


def runs(session: Any, ended: dict[str, int]) -> dict[str, Any]:
    from airflow.models.dagrun import DagRun  # noqa: PLC0415 - needs the home of the fixture

    return {name: session.get(DagRun, id_) for name, id_ in ended.items()}


def test_what_goes_wrong_with_a_note_keeps_no_run_from_its_end(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        run_id = "manual"

    notes.on_dag_run_failed(dag_run=Broken(), msg="task_failure")  # type: ignore[arg-type]
    assert "the note of manual could not be written" in caplog.text
