"""Which root makes which store."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.stores import RELEASES, STORES, open_releases, open_store
from airflow_dbt_promotion.stores.json_file import JsonFileStore
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.stores.contract import STAGING, fresh


def test_sources_are_kept_wherever_state_is() -> None:
    assert RELEASES.keys() == STORES.keys()


@pytest.mark.parametrize("root", ["target/states", "file:///srv/states", "memory://", "sqlite:///states.db"])
def test_every_kind_of_place_keeps_sources_and_opening_makes_nothing(root: str, tmp_path: Path) -> None:
    store = open_releases(root, tmp_path)
    assert not store.has(ReleaseId("0" * 32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("root", ["s3://bucket/states", "", "{{ env_var('STATES') }}", "file://server/share"])
def test_what_is_no_place_for_state_is_none_for_sources(root: str) -> None:
    with pytest.raises(ConfigError, match="state"):
        open_releases(root, Path("/project"))


@pytest.mark.parametrize("dotted", STORES.values())
def test_every_class_in_the_registry_is_there(dotted: str) -> None:
    module, _, name = dotted.rpartition(".")
    assert callable(getattr(import_module(module), name).open)


@pytest.mark.parametrize(
    ("root", "folder"),
    [
        ("target/promotion_states", "/project/target/promotion_states"),
        ("/srv/states", "/srv/states"),
        ("../states", "/project/../states"),
        ("./s3:bucket", "/project/s3:bucket"),
        ("file:///srv/states", "/srv/states"),
        ("FILE:///srv/states", "/srv/states"),
        ("file://localhost/srv/states", "/srv/states"),
        ("file:/srv/states", "/srv/states"),
        ("file:states", "/project/states"),
        ("file:///srv/two%20words", "/srv/two words"),
        ("Größe/状態", "/project/Größe/状態"),
        (r"C:\states", "/project/C:\\states"),
    ],
)
def test_a_folder_is_a_store_of_files(root: str, folder: str) -> None:
    store = open_store(root, Path("/project"))
    assert isinstance(store, JsonFileStore)
    assert store.root == Path(folder)


def test_a_tilde_is_the_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    store = open_store("~/states", Path("/project"))
    assert isinstance(store, JsonFileStore)
    assert store.root == Path("/home/ada/states")


def test_memory() -> None:
    assert isinstance(open_store("memory://", Path("/project")), MemoryStore)


@pytest.mark.parametrize(
    "root", ["s3://bucket/states", "gs://bucket", "postgresql+psycopg://host/db", "https://x", "s3:bucket"]
)
def test_an_unknown_scheme_is_an_error_that_names_the_known(root: str) -> None:
    with pytest.raises(ConfigError, match=r"known: .*file://, .*memory://, .*postgresql://"):
        open_store(root, Path("/project"))


@pytest.mark.parametrize(
    "root",
    [
        "",
        "  ",
        "a\0b",
        "file://",
        "file://server/share",
        "file:///a?b=1",
        "file:///a#b",
        "file:///a%00b",
        "file://[a/b",
        "{{ env_var('STATES') }}",
        "target/{% if a %}b{% endif %}",
        "~nobody-of-that-name-is-here/states",
    ],
)
def test_what_is_no_place_is_an_error(root: str) -> None:
    with pytest.raises(ConfigError, match="state"):
        open_store(root, Path("/project"))


def test_opening_and_reading_make_nothing(tmp_path: Path) -> None:
    store = open_store("target/promotion_states", tmp_path)
    assert store.read(STAGING) is None
    assert list(tmp_path.iterdir()) == []
    store.write(fresh(), None)
    assert (tmp_path / "target" / "promotion_states" / "staging.json").is_file()
