"""Connections of a real Airflow lead to databases, where state is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.stores import open_releases, open_store
from airflow_dbt_promotion.stores.database_address import root_of
from tests.stores.contract import STAGING, fresh
from tests.stores.postgres import a_postgres
from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand, all_of


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """What the connection `shop` is."""
    written: Mapping[str, object] | str = request.param
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", written if isinstance(written, str) else json.dumps(written))
    return str(written)


SERVER = {"conn_type": "postgres", "host": "db", "login": "ada", "password": "s3cr@t/", "schema": "shop"}


@pytest.mark.parametrize(
    ("said", "reached"),
    [
        (SERVER, "postgresql+psycopg2://ada:***@db/shop"),
        ({**SERVER, "conn_type": "postgresql", "port": 5433}, "postgresql+psycopg2://ada:***@db:5433/shop"),
        (
            {**SERVER, "extra": {"sslmode": "require", "connect_timeout": 3, "cursor": "dictcursor", "iam": False}},
            "postgresql+psycopg2://ada:***@db/shop?connect_timeout=3&sslmode=require",
        ),
        ({**SERVER, "extra": {"schema": "x", "options": {"a": 1}}}, "postgresql+psycopg2://ada:***@db/shop"),
        ({"conn_type": "postgres", "schema": "shop"}, "postgresql+psycopg2:///shop"),
        ("postgres://ada:s3cr%40t%2F@db/shop", "postgresql+psycopg2://ada:***@db/shop"),
        ({"conn_type": "sqlite", "host": "states/promotion.db"}, "sqlite:////project/states/promotion.db"),
        ("sqlite:///%2Fsrv%2Fpromotion.db", "sqlite:////srv/promotion.db"),
    ],
    indirect=["said"],
)
@pytest.mark.usefixtures("said")
def test_a_connection_is_an_address(reached: str) -> None:
    address = root_of("airflow-connection://shop", Path("/project")).find()
    assert address.url.render_as_string() == reached
    assert (address.url.password or "s3cr@t/") == "s3cr@t/"


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ({"conn_type": "aws"}, r"write s3://bucket/prefix\?conn_id=shop"),
        ({"conn_type": "google_cloud_platform"}, r"write gs://bucket/prefix\?conn_id=shop"),
        ({"conn_type": "wasb"}, r"write az://bucket/prefix\?conn_id=shop"),
        ({"conn_type": "mysql", "password": "s3cret"}, "of type 'mysql'; state is kept in postgres and sqlite"),
        ({"conn_type": "sqlite"}, "needs the path of a file as its host"),
    ],
    indirect=["said"],
)
@pytest.mark.usefixtures("said")
def test_a_connection_that_is_to_no_database(problem: str) -> None:
    store = open_store("airflow-connection://shop", Path("/project"))
    for act in (lambda: store.read(STAGING), lambda: store.write(fresh(), None), store.environments):
        with pytest.raises(ConfigError, match=problem) as caught:
            act()
        assert "s3cret" not in str(caught.value)


def test_a_connection_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no connection 'nowhere_at_all'"):
        open_store("airflow-connection://nowhere_at_all", Path("/project")).read(STAGING)


def test_state_in_a_file_that_a_connection_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "sqlite", "host": "target/promotion.db"}))
    store = open_store("airflow-connection://shop", tmp_path, (tmp_path / "target",))
    written = store.write(fresh(), None)
    assert store.read(STAGING) == written
    assert (tmp_path / "target" / "promotion.db").is_file()
    assert ["dbt clean" in warning for warning in store.warnings()] == [True]


@pytest.mark.postgres
def test_state_and_sources_on_a_server_that_a_connection_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with a_postgres(tmp_path / "data") as server:
        connection = {"conn_type": "postgres", "host": server.folder, "login": "postgres", "schema": "postgres"}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(connection))
        server.run("CREATE SCHEMA own")
        root = "airflow-connection://shop?schema=own"
        store, releases = open_store(root, tmp_path), open_releases(root, tmp_path)
        assert store.read(STAGING) is None
        written = store.write(fresh(), None)
        release = releases.keep(FilesAtHand(PROJECT), ABOUT)
        assert (store.read(STAGING), all_of(releases, release)) == (written, PROJECT)
        assert server.run("SELECT count(*) FROM own.dbt_promotion_states") == [(1,)]
        assert store.where(STAGING) == "airflow-connection://shop?schema=own#staging"
        assert store.warnings() == ()
