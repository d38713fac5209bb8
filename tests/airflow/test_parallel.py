"""A promotion whose parts are built at the same time on Airflow's own executors, driven through its REST API alone."""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.airflow.whole import Airflow, Run, an_airflow
from tests.integration.warehouse import FILES, Mill, Postgres, a_postgres

pytestmark = [pytest.mark.airflow, pytest.mark.dbt, pytest.mark.slow, pytest.mark.postgres]

PROJECT = {
    **FILES,
    "promotion.yml": """
        version: 1
        state: states
        environments:
          staging: {target: staging}
          production: {target: production, promotes_from: staging, min_days_in_staging: 0}
    """,
    "tests/no_two.sql": "select id from {{ ref('lonely') }} where id = 2 and '{{ target.name }}' = 'production'",
}
"""Sacks with their weights, and a model alone, which must not be 2 in production."""

PARALLEL = """
    from datetime import timedelta
    from airflow_dbt_promotion.task_groups.promotion import DbtPromotionDag

    DbtPromotionDag(
        "parallel",
        target_environment="production",
        dbt_project_dir=PROJECT,
        parallel=2,
        operator_args={"retries": 1, "retry_delay": timedelta(seconds=1)},
    )
"""


@pytest.fixture(scope="module", params=["local", "celery"])
def redis(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str | None]:
    """The address of a Redis for Celery's workers, None for Airflow's own executor."""
    if request.param == "local":
        yield None
        return
    server = shutil.which("redis-server")
    if server is None:
        pytest.skip("there is no redis-server on the PATH")
    if find_spec("airflow.providers.celery") is None:
        pytest.skip("Airflow's provider for Celery is not installed")
    with a_redis(server, tmp_path_factory.mktemp("redis")) as address:
        yield address


@contextmanager
def a_redis(program: str, folder: Path) -> Iterator[str]:
    """Start a Redis, and end it."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    said = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with (folder / "redis.log").open("wb") as log:
        server = subprocess.Popen([program, *said], stdout=log, stderr=subprocess.STDOUT)
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory, redis: str | None) -> Iterator[Postgres]:  # noqa: ARG001 - anew
    """A server for each executor."""
    with a_postgres(tmp_path_factory.mktemp("pg")) as server:
        yield server


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory, postgres: Postgres) -> Mill:
    """A project whose staging was built."""
    folder = tmp_path_factory.mktemp("mill")
    made = Mill(folder, postgres, PROJECT)
    made.engine = engine_for(Place(project_dir=folder))
    assert made.build_staging()
    return made


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, mill: Mill, redis: str | None) -> Iterator[Airflow]:
    dags = {"parallel": PARALLEL.replace("PROJECT", repr(str(mill.folder)))}
    with an_airflow(tmp_path_factory.mktemp("home"), dags, redis) as running:
        yield running


def production(mill: Mill) -> EnvironmentState:
    state = mill.engine.observer.state("production")
    assert state is not None
    return state


def spans(run: Run) -> list[tuple[datetime, datetime]]:
    """Return when each part was built."""
    told = run.mapped("promotion.build_part")
    return [(datetime.fromisoformat(one["start_date"]), datetime.fromisoformat(one["end_date"])) for one in told]


def test_parts_are_built_at_the_same_time_and_published_together(airflow: Airflow, mill: Mill) -> None:
    run = airflow.trigger("alice", "parallel")
    run.wait("promotion.promote", "success")
    assert {one["rendered_map_index"] for one in run.mapped("promotion.build_part")} == {
        "stg_sacks, weights, sacks",
        "lonely",
    }
    (began, ended), (other_began, other_ended) = spans(run)
    assert began < other_ended
    assert other_began < ended
    assert run.told("promotion.promote")["outcome"] == "promoted"
    state = production(mill)
    assert {model.rsplit(".", 1)[-1] for model in state.current} == {"sacks", "stg_sacks", "weights", "lonely"}
    assert (state.journal, state.lock, state.leftovers) == (None, None, ())
    assert len(state.history) == 1
    assert state.history[0].attempts == 1
    assert mill.warehouse.rows("select id from production.lonely") == [(1,)]


def test_a_part_that_fails_fails_the_run_and_nothing_of_it_is_seen(airflow: Airflow, mill: Mill) -> None:
    mill.write("models/lonely.sql", "select 2 as id")
    mill.edit("models/weights.sql", "group by kilos", "group by kilos order by kilos")
    assert mill.build_staging()
    run = airflow.trigger("alice", "parallel")
    run.wait("promotion.promote", "failed")
    assert sorted(one["state"] for one in run.mapped("promotion.build_part")) == ["failed", "success"]
    assert mill.warehouse.rows("select id from production.lonely") == [(1,)]
    state = production(mill)
    assert (state.journal, state.lock, state.history[0].outcome.value) == (None, None, "failed")
