"""Which address leads to which database, and what an error says of one that leads nowhere."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.stores import open_releases, open_store
from airflow_dbt_promotion.stores.database import DatabaseStore
from airflow_dbt_promotion.stores.database_address import Address, root_of
from tests.stores.contract import STAGING, fresh

PROJECT = Path("/project")


def found(root: str) -> Address:
    return root_of(root, PROJECT).find()


# --- SQLite -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "file"),
    [
        ("sqlite:///states/promotion.db", "/project/states/promotion.db"),
        ("sqlite:////srv/promotion.db", "/srv/promotion.db"),
        ("SQLite:////srv/promotion.db", "/srv/promotion.db"),
        ("sqlite:///~/promotion.db", "/home/ada/promotion.db"),
        ("sqlite:////srv/Größe/two words#1.db", "/srv/Größe/two words#1.db"),
    ],
)
def test_a_path_is_a_file(root: str, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert found(root).file == Path(file)
    assert found(root).shown == f"sqlite:///{file}"


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("sqlite://", "write memory://"),
        ("sqlite:///", "write memory://"),
        ("sqlite:///:memory:", "write memory://"),
        ("sqlite://srv/promotion.db", "sqlite:////folder/file.db"),
        ("sqlite:////srv/promotion.db?mode=ro", "a path and nothing else"),
        ("sqlite:promotion.db", "this is no sqlite address"),
        ("sqlite:///~nobody-of-that-name-is-here/x.db", "names no file of this machine"),
    ],
)
def test_what_is_no_file(root: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        open_store(root, PROJECT)


@pytest.mark.parametrize("name", ["two words.db", "Größe?.db", "100%25#x.db", "a&b=c.db"])
def test_any_name_of_a_file(name: str, tmp_path: Path) -> None:
    store = open_store(
        f"sqlite:///{tmp_path}/{name}".replace("?", "%3F") if "?" in name else f"sqlite:///{name}", tmp_path
    )
    store.write(fresh(), None)
    assert len([path for path in tmp_path.iterdir() if path.suffix == ".db"]) == 1
    assert store.read(STAGING) is not None


@pytest.mark.parametrize(("endangered", "warned"), [("target", True), ("logs", False)])
def test_a_file_that_dbt_clean_would_delete(endangered: str, warned: bool, tmp_path: Path) -> None:
    store = open_store("sqlite:///target/promotion.db", tmp_path, (tmp_path / endangered,))
    assert bool(store.warnings()) is warned
    assert all("`dbt clean` deletes" in warning for warning in store.warnings())


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("root", "shown", "schema", "secrets"),
    [
        ("postgresql://db/shop", "postgresql://db/shop", None, ()),
        ("postgresql+psycopg2://ada@db:5433/shop", "postgresql://ada@db:5433/shop", None, ()),
        ("PostgreSQL://ada:s3cr%40t@db/shop", "postgresql://ada@db/shop", None, ("s3cr@t",)),
        ("postgresql:///shop?host=/run/pg&schema=own", "postgresql:///shop?host=/run/pg&schema=own", "own", ()),
        ("postgresql://db/shop?password=s3cret&sslmode=require", "postgresql://db/shop", None, ("s3cret",)),
        ("postgresql:///?service=shop", "postgresql:///?service=shop", None, ()),
        ("postgresql://ada:a/b?c@db/shop", "postgresql://ada@db/shop", None, ("a/b?c",)),
    ],
)
def test_an_address_is_a_database(root: str, shown: str, schema: str | None, secrets: tuple[str, ...]) -> None:
    address = found(root)
    assert (address.shown, address.schema, address.secrets) == (shown, schema, secrets)
    assert not [secret for secret in secrets if secret in repr(address)]
    assert "schema" not in address.url.query
    assert open_store(root, PROJECT).where(STAGING) == f"{shown}#staging"
    assert bool(open_store(root, PROJECT).warnings()) is bool(secrets)


@pytest.mark.parametrize(
    ("root", "said"),
    [
        ("postgresql://ada:s3@cret@db/shop", "written as %40"),
        ("postgresql://db:s3cret/shop", "this is no postgresql address"),
        ("postgresql:s3cret", "this is no postgresql address"),
        ("postgresql://ada:s3cret@db/shop?poolsize=3", "'poolsize' is neither"),
        ("postgresql://ada:s3cret@db/shop?schema=a&schema=b", "'schema' has to be given once"),
        ("mysql://ada:s3cret@db/shop", "no store for 'mysql'; known: .*postgresql://, .*sqlite://"),
        ("postgresql+asyncpg://ada:s3cret/@db/shop?password=s3cret", r"no store for 'postgresql\+asyncpg'"),
    ],
)
def test_an_error_repeats_no_password(root: str, said: str) -> None:
    for opening in (open_store, open_releases):
        with pytest.raises(ConfigError, match=said) as caught:
            opening(root, PROJECT)
        assert "s3cret" not in str(caught.value)
        assert "cret@" not in str(caught.value)


def test_a_driver_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("psycopg2", "psycopg2.extensions"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ConfigError, match=r"pip install 'airflow-dbt-promotion\[postgres\]'"):
        open_store("postgresql://db/shop", PROJECT)
    assert isinstance(open_store("sqlite:///promotion.db", PROJECT), DatabaseStore)


# --- connections of Airflow -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "root",
    [
        "airflow-connection://",
        "airflow-connection:shop",
        "airflow-connection://shop/states",
        "airflow-connection://shop?table=x",
        "airflow-connection://shop?schema=",
        "airflow-connection://shop#x",
    ],
)
def test_what_names_no_connection(root: str) -> None:
    with pytest.raises(ConfigError, match=r"airflow-connection://ID|'schema'"):
        open_store(root, PROJECT)


def test_a_connection_is_asked_for_when_it_is_needed() -> None:
    store = open_store("airflow-connection://My_Shop?schema=own", PROJECT)
    assert store.where(STAGING) == "airflow-connection://My_Shop?schema=own#staging"
    assert store.warnings() == ()
