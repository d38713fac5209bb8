"""Airflow's connections, as stores ask for them: from everywhere that Airflow keeps them, without their secrets."""

from __future__ import annotations

import subprocess
import sys
import traceback
import uuid
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.stores.connection import named
from tests.airflow.variables import in_a_task
from tests.stores.contract import REPOSITORY

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("migrated")]

URI = "postgres://ada:hush%2Fhush@db.example.com:5433/states?sslmode=require"


@pytest.fixture(params=["command line", "task"], autouse=True)
def somewhere(request: pytest.FixtureRequest) -> Iterator[None]:
    """Each test, from the command line and in a task."""
    with in_a_task() if request.param == "task" else nullcontext():
        yield


def check(conn_id: str) -> None:
    found = named(conn_id)
    assert (found.conn_id, found.conn_type) == (conn_id, "postgres")
    assert (found.login, found.password) == ("ada", "hush/hush")
    assert (found.host, found.port, found.schema) == ("db.example.com", 5433, "states")
    assert found.extra == {"sslmode": "require"}
    assert "hush" not in f"{found!r} {found}"


def test_a_connection_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_STATES", URI)
    check("states")


def test_a_connection_of_the_database() -> None:
    from airflow.models.connection import Connection  # noqa: PLC0415 - Airflow needs the home of the fixture first
    from airflow.utils.session import create_session  # noqa: PLC0415 - as late

    conn_id = f"states_{uuid.uuid4().hex[:8]}"
    with create_session() as session:
        session.add(Connection(conn_id=conn_id, uri=URI))
    check(conn_id)


def test_a_connection_that_says_little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BARE", '{"conn_type": "aws"}')
    found = named("bare")
    assert (found.conn_type, found.host, found.port, found.login, found.password) == ("aws", None, None, None, None)
    assert found.extra == {}


def test_a_connection_that_is_not_there_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigError, match=r"state: Airflow has no connection 'nowhere'"):
        named("nowhere")


def test_a_connection_that_cannot_be_parsed_tells_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", '{"conn_type": "aws", "password": "hush", "port": "x"')
    with pytest.raises(ConfigError, match="'broken'") as caught:
        named("broken")
    assert "hush" not in str(caught.value)
    assert "hush" not in "".join(traceback.format_exception_only(caught.value))


def test_without_airflow_it_is_said() -> None:
    code = """
import sys
sys.modules["airflow"] = None
from airflow_dbt_promotion.stores.connection import named
try:
    named("states")
except Exception as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=REPOSITORY)
    assert "ConfigError state: the connection 'states' is Airflow's, which is not installed here" in done.stdout
