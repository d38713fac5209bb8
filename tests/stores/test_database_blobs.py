"""Kept sources in SQLite and PostgreSQL pass the contract; what may be read only serves, what is full takes nothing."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from airflow_dbt_promotion.core.errors import ReleaseError, ReleaseUnwritableError, SourcesError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.ports import ReleaseStore
from airflow_dbt_promotion.stores import database_blobs, database_engine, open_releases, open_store
from airflow_dbt_promotion.stores.database_blobs import DatabaseBlobs
from airflow_dbt_promotion.stores.database_engine import Database
from tests.stores.contract import PATIENCE, REPOSITORY, STAGING, fresh
from tests.stores.databases import at_once, in_tables
from tests.stores.postgres import Postgres
from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand, ReleaseStoreContract, all_of, later


class TestSqlite(ReleaseStoreContract):
    """The store in a file of SQLite's."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> ReleaseStore:
        """Return an empty store."""
        return open_releases("sqlite:///states/promotion.db", tmp_path)


@pytest.mark.postgres
class TestPostgres(ReleaseStoreContract):
    """The store in PostgreSQL."""

    @pytest.fixture
    def store(self, postgres: Postgres) -> ReleaseStore:
        """Return an empty store."""
        return open_releases(postgres.address(), Path())


@pytest.fixture
def address(database: str) -> str:
    return database


@pytest.fixture
def blobs(address: str) -> DatabaseBlobs:
    return DatabaseBlobs(Database.at(address, Path("/nowhere")))


def test_state_and_sources_share_a_database(address: str) -> None:
    releases, states = open_releases(address, Path()), open_store(address, Path())
    release = releases.keep(FilesAtHand(PROJECT), ABOUT)
    assert states.read(STAGING) is None
    written = states.write(fresh(), None)
    assert all_of(releases, release) == PROJECT
    assert states.read(STAGING) == written


def test_reading_makes_nothing(blobs: DatabaseBlobs, tmp_path: Path) -> None:
    assert blobs.read("trees/a.json") is None
    assert list(blobs.names("trees")) == []
    assert not blobs._database.read(lambda _: True)
    assert list(tmp_path.iterdir()) == []


def test_blobs_by_name(blobs: DatabaseBlobs) -> None:
    data = bytes(range(256))
    blobs.write(
        [("files/ab/c", data), ("files/ab/d", b""), ("files2/x", b"1"), ("trees/a%_", b"2"), ("files/ab/c", data)]
    )
    assert (blobs.read("files/ab/c"), blobs.read("files/ab/d"), blobs.read("files/ab/e")) == (data, b"", None)
    assert sorted((one.name, one.size) for one in blobs.names("files")) == [("files/ab/c", 256), ("files/ab/d", 0)]
    assert [one.name for one in blobs.names("tree%")] == []
    assert all(abs(one.touched - time.time()) < 3600 for one in blobs.names("files"))
    assert blobs.path("files/ab/c") is None
    assert blobs.where("files/ab/c").endswith("#releases/files/ab/c")


def test_what_is_held_is_there_and_young(blobs: DatabaseBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_blobs, "_BATCH_NAMES", 2)
    blobs.write((f"files/{number}", b"x") for number in range(5))
    written = {one.name: one.touched for one in blobs.names("files")}
    time.sleep(0.01)
    assert blobs.hold(["files/1", "files/2", "files/3", "files/9"]) == {"files/1", "files/2", "files/3"}
    held = {one.name: one.touched for one in blobs.names("files")}
    assert {name for name, touched in held.items() if touched > written[name]} == {"files/1", "files/2", "files/3"}
    assert (blobs.touch("files/4"), blobs.touch("files/9")) == (True, False)
    blobs.delete_all(written, held["files/1"])
    assert sorted(one.name for one in blobs.names("files")) == ["files/1", "files/2", "files/3", "files/4"]


def test_what_is_touched_is_not_deleted(blobs: DatabaseBlobs) -> None:
    blobs.write([("files/a", b"x")])
    (one,) = blobs.names("files")
    assert not blobs.delete("files/a", one.touched)
    assert blobs.read("files/a") == b"x"
    assert blobs.delete("files/a", one.touched + 1)
    assert blobs.delete("files/a", one.touched + 1)
    blobs.write([("files/a", b"y")])
    assert blobs.delete("files/a", float("inf"))
    assert list(blobs.names("files")) == []


def test_parses_that_nobody_reads_go(address: str) -> None:
    store = open_releases(address, Path())
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    for key in ("read", "idle"):
        store.keep_parse(release, key, {"manifest.json": b"{}"})
    in_tables(address, "UPDATE {blobs} SET touched_at = 0 WHERE name LIKE 'parses%'")
    store.parse(release, "read")
    assert store.waste({release}, datetime.now(tz=UTC)).names == (f"parses/{release}/idle.zst",)


def test_a_manifest_is_no_file(address: str) -> None:
    store = open_releases(address, Path())
    store.keep_manifest(EnvironmentName("production"), b"{}")
    assert store.manifest(EnvironmentName("production")) is None


def test_many_processes_keep_the_same_and_others_at_once(address: str) -> None:
    store = open_releases(address, Path())

    def keep(number: int) -> None:
        for round_ in range(3):
            store.keep(FilesAtHand({**PROJECT, "models/r.sql": str(round_).encode()}), ABOUT)
            store.keep(FilesAtHand({**PROJECT, "models/me.sql": str(number).encode() * round_}), ABOUT)

    at_once(4, keep)
    for round_ in range(3):
        files = {**PROJECT, "models/r.sql": str(round_).encode()}
        assert all_of(store, FilesAtHand(files).tree.id) == files


def test_batches_that_are_written_before_something_breaks_are_waste(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_blobs, "_BATCH_NAMES", 2)
    store, sources = open_releases(address, Path()), FilesAtHand(PROJECT)
    sources.broken = "models/empty.sql"
    with pytest.raises(SourcesError):
        store.keep(sources, ABOUT)
    assert not store.has(sources.tree.id)
    store.remove(store.waste((), later()))
    assert in_tables(address, "SELECT count(*) FROM {blobs}") == [(0,)]
    assert all_of(store, store.keep(FilesAtHand(PROJECT), ABOUT)) == PROJECT


def test_a_blob_that_is_too_large(blobs: DatabaseBlobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_blobs, "MOST_BYTES", 10)
    with pytest.raises(ReleaseUnwritableError, match=r"#releases/files/a: is .*kept_paths"):
        blobs.write([("files/a", bytes(11))])


def test_tables_of_a_newer_release(address: str) -> None:
    store = open_releases(address, Path())
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    in_tables(address, "UPDATE {schema} SET version = 99")
    with pytest.raises(ReleaseError, match="upgrade airflow-dbt-promotion"):
        store.tree(release)
    with pytest.raises(ReleaseError, match="upgrade airflow-dbt-promotion"):
        store.keep(FilesAtHand({"a.sql": b""}), ABOUT)


@pytest.mark.usefixtures("postgres")
@pytest.mark.postgres
def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_engine, "PAUSES", ())
    store = open_releases(f"postgresql://postgres@/postgres?host={tmp_path}", Path())
    with pytest.raises(ReleaseError, match=r"cannot be read: .*No such file"):
        store.has(FilesAtHand(PROJECT).tree.id)
    with pytest.raises(ReleaseError, match="No such file"):
        store.keep(FilesAtHand(PROJECT), ABOUT)
    with pytest.raises(ReleaseError, match=r"cannot be listed: .*No such file"):
        store.waste((), later())
    store.keep_manifest(EnvironmentName("production"), b"{}")


@pytest.mark.postgres
def test_a_role_that_may_only_read(postgres: Postgres) -> None:
    address = postgres.address()
    release = open_releases(address, Path()).keep(FilesAtHand(PROJECT), ABOUT)
    schema = address.partition("schema=")[2]
    postgres.run("DROP ROLE IF EXISTS auditor")
    postgres.run("CREATE ROLE auditor LOGIN")
    postgres.run(f"GRANT USAGE ON SCHEMA {schema} TO auditor")
    postgres.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO auditor")
    store = open_releases(postgres.address(user="auditor", schema=schema), Path())
    assert all_of(store, store.keep(FilesAtHand(PROJECT), ABOUT)) == PROJECT
    for act in (
        lambda: store.keep(FilesAtHand({**PROJECT, "a.sql": b"new"}), ABOUT),
        lambda: store.remove(store.waste((), later())),
    ):
        with pytest.raises(ReleaseUnwritableError, match=r"permission denied.*grant it"):
            act()
    assert all_of(open_releases(address, Path()), release) == PROJECT
    postgres.run("DROP OWNED BY auditor")


_READ_ONLY = """
import os, sys
from pathlib import Path
from airflow_dbt_promotion.core.errors import ReleaseUnwritableError
from airflow_dbt_promotion.stores import open_releases
from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand, all_of, later

store = open_releases(f"sqlite:///{sys.argv[1]}/promotion.db", Path("/nowhere"))
if os.geteuid() == 0:  # nothing is forbidden to root
    os.setgid(65534)
    os.setuid(65534)
assert all_of(store, store.keep(FilesAtHand(PROJECT), ABOUT)) == PROJECT
for act in (
    lambda: store.keep(FilesAtHand({**PROJECT, "a.sql": b"new"}), ABOUT),
    lambda: store.remove(store.waste((), later())),
):
    try:
        act()
    except ReleaseUnwritableError as error:
        print(error)
"""


def test_a_file_that_may_only_be_read_serves_and_takes_nothing() -> None:
    with TemporaryDirectory() as folder:  # pytest's own is closed to everybody else
        root = Path(folder)
        address = f"sqlite:///{root}/promotion.db"
        release = open_releases(address, Path()).keep(FilesAtHand(PROJECT), ABOUT)
        (root / "promotion.db").chmod(0o444)
        root.chmod(0o555)
        done = subprocess.run(
            [sys.executable, "-c", _READ_ONLY, str(root)],
            check=True,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        assert done.stdout.count("readonly database; make the file and its folder writable") == 2
        assert all_of(open_releases(address, Path()), release) == PROJECT


def test_a_damaged_blob_is_told(tmp_path: Path) -> None:
    store = open_releases(f"sqlite:///{tmp_path}/promotion.db", Path())
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    with sqlite3.connect(tmp_path / "promotion.db") as connection:
        connection.execute("UPDATE dbt_promotion_blobs SET data = x'00' WHERE name LIKE 'files/%'")
    with pytest.raises(ReleaseError, match="damaged"):
        all_of(store, release)


def test_an_idle_hour_is_an_hour(address: str) -> None:
    """The clock that says when a blob was touched is in step with the one that asks."""
    store = open_releases(address, Path())
    store.keep(FilesAtHand(PROJECT), ABOUT)
    assert store.waste((), datetime.now(tz=UTC) - timedelta(minutes=1)).names == ()
    assert store.waste((), datetime.now(tz=UTC) + timedelta(minutes=1)).names != ()
