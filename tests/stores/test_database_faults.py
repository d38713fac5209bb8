"""Databases that are stopped, locked, lost in the middle of a commit, read-only or not there."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from msgspec.structs import replace
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from airflow_dbt_promotion.core.errors import (
    CorruptStateError,
    StateConflictError,
    StateError,
    StateUnwritableError,
)
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores import database_dialects, database_documents, database_engine
from airflow_dbt_promotion.stores.database import DatabaseStore
from airflow_dbt_promotion.stores.database_faults import fault_of
from tests.stores.contract import PATIENCE, PRODUCTION, REPOSITORY, STAGING, entries, fresh
from tests.stores.databases import once, opened, promoted
from tests.stores.postgres import (
    Lose,
    Postgres,
    Proxy,
    a_postgres,
    after_it_was_done,
    before_it_is_done,
    before_it_is_heard_of,
    before_it_is_passed_on,
)

UPDATE = b"UPDATE shop"
INSERT = b"_states (environment"


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what passes."""
    monkeypatch.setattr(database_engine, "PAUSES", (0.0, 0.0))
    monkeypatch.setattr(database_dialects, "WAIT", 0.2)


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no failure."""
    monkeypatch.setattr(database_engine, "PAUSES", (0.0, *[0.1] * 300))


def in_a_thread(act: Callable[[], object]) -> Callable[[], object]:
    """Begin something, and return what waits for its result."""
    results: list[object] = []
    thread = threading.Thread(target=lambda: results.append(act()))
    thread.start()

    def result() -> object:
        thread.join(PATIENCE)
        return results[0]

    return result


def until(true: Callable[[], object]) -> None:
    """Wait for something to be so."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- PostgreSQL: the server -------------------------------------------------------------------------------------------


@pytest.fixture
def address(postgres: Postgres) -> str:
    return postgres.address()


@pytest.fixture
def store(address: str) -> DatabaseStore:
    return opened(address)


LOST = "(terminating connection|server closed the connection)"
ENDED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'airflow-dbt-promotion'"
HOLD = "SELECT * FROM {}.dbt_promotion_states FOR UPDATE"
WAITING = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'airflow-dbt-promotion' AND wait_event_type = 'Lock'"


@pytest.mark.postgres
@pytest.mark.parametrize("statement", ["set_config", "SELECT", "UPDATE", "INSERT INTO"])
def test_a_backend_that_is_ended_between_two_statements(
    store: DatabaseStore, postgres: Postgres, statement: str
) -> None:
    written = store.write(fresh(), None)
    once(store, statement, lambda: postgres.run(ENDED))
    again = store.write(replace(written, current=entries(1), history=(promoted(0),)), 1)
    assert (again.serial, store.read(STAGING)) == (2, again)


@pytest.mark.postgres
def test_a_connection_that_ended_while_nobody_used_it(store: DatabaseStore, postgres: Postgres) -> None:
    written = store.write(fresh(), None)
    postgres.run(ENDED)
    assert store.read(STAGING) == written
    postgres.run(ENDED)
    assert store.write(written, 1).serial == 2


@pytest.mark.postgres
@pytest.mark.usefixtures("hasty")
def test_a_server_that_ends_every_connection(store: DatabaseStore, postgres: Postgres) -> None:
    written = store.write(fresh(), None)
    event.listen(store._database._reached()[0], "before_cursor_execute", lambda *_: postgres.run(ENDED))
    with pytest.raises(StateUnwritableError, match=f"cannot be written: {LOST}"):
        store.write(written, 1)
    with pytest.raises(StateError, match=f"cannot be read: {LOST}"):
        store.read(STAGING)
    assert opened(store._database.shown).read(STAGING) == written


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Postgres]:
    """A server of a test's own."""
    with a_postgres(tmp_path / "data") as server:
        yield server


@pytest.mark.postgres
def test_a_server_that_crashes_in_the_middle_of_a_write_and_comes_back(
    mortal: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(mortal.address())
    written = store.write(fresh(), None)
    once(store, "UPDATE", mortal.stop)
    monkeypatch.setattr(database_engine, "PAUSES", (0.0, 0.0))
    with pytest.raises(StateUnwritableError, match=r"cannot be written: .*No such file or directory"):
        store.write(replace(written, current=entries(1)), 1)
    with pytest.raises(StateError, match="cannot be read: "):
        store.read(STAGING)
    mortal.start()
    assert store.read(STAGING) == written
    stopped = threading.Event()
    once(store, "UPDATE", lambda: (mortal.stop(), stopped.set()))
    monkeypatch.setattr(database_engine, "PAUSES", (0.0, *[0.1] * 300))
    writing = in_a_thread(lambda: store.write(replace(written, current=entries(2)), 1))
    assert stopped.wait(PATIENCE)
    mortal.start()
    assert writing() == store.read(STAGING)
    assert store.write(fresh(PRODUCTION), None).serial == 1


# --- PostgreSQL: the network ------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(postgres: Postgres) -> Iterator[Proxy]:
    with Proxy(postgres.folder) as proxy:
        yield proxy


@pytest.fixture
def far(address: str, postgres: Postgres, proxy: Proxy) -> DatabaseStore:
    """The same store, from behind the proxy."""
    query = address.partition("?")[2].replace(f"host={postgres.folder}&", "")
    return opened(f"postgresql+psycopg2://postgres@127.0.0.1:{proxy.port}/postgres?{query}")


LOSSES = [
    pytest.param((before_it_is_passed_on,), id="before"),
    pytest.param((after_it_was_done(),), id="after"),
    pytest.param((before_it_is_passed_on, before_it_is_passed_on, after_it_was_done()), id="again"),
]


@pytest.mark.postgres
@pytest.mark.parametrize("losses", LOSSES)
def test_a_connection_that_is_lost_at_the_commit_of_a_change(
    store: DatabaseStore, far: DatabaseStore, proxy: Proxy, losses: tuple[Lose, ...]
) -> None:
    written = far.write(fresh(), None)
    proxy.at_the_commit_of(UPDATE, *losses)
    again = far.write(replace(written, current=entries(1)), 1)
    assert not proxy.left
    assert (again.serial, store.read(STAGING)) == (2, again)


@pytest.mark.postgres
@pytest.mark.parametrize("losses", LOSSES)
def test_a_connection_that_is_lost_at_the_commit_of_a_new_document(
    store: DatabaseStore, far: DatabaseStore, proxy: Proxy, losses: tuple[Lose, ...]
) -> None:
    proxy.at_the_commit_of(INSERT, *losses)
    written = far.write(fresh(), None)
    assert not proxy.left
    assert (written.serial, store.read(STAGING)) == (1, written)


@pytest.mark.postgres
def test_a_commit_that_is_still_on_its_way(
    store: DatabaseStore, far: DatabaseStore, proxy: Proxy, postgres: Postgres
) -> None:
    """The writer has begun anew, and waits for the row that its first attempt still holds, when that is committed."""
    written = far.write(fresh(), None)
    proxy.at_the_commit_of(UPDATE, before_it_is_done(lambda: until(lambda: postgres.run(WAITING))))
    again = far.write(replace(written, current=entries(1)), 1)
    assert not proxy.left
    assert (again.serial, store.read(STAGING)) == (2, again)


def overwritten(store: DatabaseStore, times: int) -> EnvironmentState:
    """Write on what is there."""
    for _ in range(times):
        there = store.read(STAGING)
        assert there is not None
        store.write(there, there.serial)
    return there


@pytest.mark.postgres
def test_a_write_that_was_made_and_written_over_is_a_success(
    store: DatabaseStore, far: DatabaseStore, proxy: Proxy
) -> None:
    written = far.write(fresh(), None)
    proxy.at_the_commit_of(UPDATE, after_it_was_done(lambda: overwritten(store, 3)))
    again = far.write(replace(written, current=entries(1)), 1)
    found = store.read(STAGING)
    assert found is not None
    assert (again.serial, found.serial, found.current) == (2, 5, again.current)


@pytest.mark.postgres
def test_a_write_of_somebody_else_in_place_of_one_that_was_lost_is_a_conflict(
    store: DatabaseStore, far: DatabaseStore, proxy: Proxy
) -> None:
    """Both write the very same bytes: it is the writer that tells them apart."""
    written = far.write(fresh(), None)
    proxy.at_the_commit_of(UPDATE, before_it_is_heard_of(lambda: store.write(written, 1)))
    with pytest.raises(StateConflictError):
        far.write(written, 1)
    found = store.read(STAGING)
    assert found is not None
    assert found.serial == 2


@pytest.mark.postgres
def test_a_write_that_cannot_be_told_any_more(
    store: DatabaseStore, far: DatabaseStore, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_documents, "REMEMBERED", 2)
    written = far.write(fresh(), None)
    proxy.at_the_commit_of(UPDATE, after_it_was_done(lambda: overwritten(store, 2)))
    with pytest.raises(StateError, match="not known whether this was written") as caught:
        far.write(written, 1)
    assert not isinstance(caught.value, StateConflictError | StateUnwritableError)


@pytest.mark.postgres
@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_out_of_reach_after_the_commit(far: DatabaseStore, store: DatabaseStore, proxy: Proxy) -> None:
    written = far.write(fresh(), None)
    proxy.at_the_commit_of(UPDATE, after_it_was_done(proxy.close))
    with pytest.raises(StateError, match="it is not known whether it was; look at it") as caught:
        far.write(replace(written, current=entries(1)), 1)
    assert type(caught.value) is StateError
    found = store.read(STAGING)
    assert found is not None
    assert found.serial == 2


@pytest.mark.postgres
@pytest.mark.usefixtures("hasty")
def test_nobody_listens(far: DatabaseStore, proxy: Proxy) -> None:
    proxy.close()
    with pytest.raises(StateError, match=r"127\.0\.0\.1.*staging: cannot be read: .*Connection refused"):
        far.read(STAGING)
    with pytest.raises(StateUnwritableError, match="Connection refused"):
        far.write(fresh(), None)
    with pytest.raises(StateError, match=r"cannot be listed: .*Connection refused"):
        far.environments()


# --- PostgreSQL: locks, rights, schemas -------------------------------------------------------------------------------


@pytest.mark.postgres
@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize(
    ("option", "said"), [("statement_timeout%3D100", "statement timeout"), ("geqo%3Don", "lock timeout")]
)
def test_a_row_that_somebody_holds(address: str, postgres: Postgres, option: str, said: str) -> None:
    store = opened(f"{address}&options=-c%20{option}")
    written = store.write(fresh(), None)
    schema = address.partition("schema=")[2]
    with postgres.connected() as connection, connection.cursor() as cursor:
        cursor.execute(HOLD.format(schema))
        with pytest.raises(StateUnwritableError, match=said):
            store.write(written, 1)
        assert store.read(STAGING) == written
    assert store.write(written, 1).serial == 2


@pytest.mark.postgres
def test_a_deadlock_is_tried_again(store: DatabaseStore, address: str, postgres: Postgres) -> None:
    written = store.write(fresh(), None)
    schema = address.partition("schema=")[2]
    with postgres.connected() as connection, connection.cursor() as cursor:
        cursor.execute("SET deadlock_timeout = '1h'")
        cursor.execute(HOLD.format(schema))
        writing = in_a_thread(lambda: store.write(written, 1).serial)
        until(lambda: postgres.run(WAITING))
        # Each waits for the other now; PostgreSQL ends the writer, who has waited longer.
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (database_dialects._LOCK,))
        connection.commit()
    assert writing() == 2


@pytest.mark.postgres
def test_a_role_without_rights(address: str, postgres: Postgres) -> None:
    postgres.run("DROP ROLE IF EXISTS reader")
    postgres.run("CREATE ROLE reader LOGIN")
    written = opened(address).write(fresh(), None)
    schema = address.partition("schema=")[2]
    reader = opened(postgres.address(user="reader", schema=schema))
    with pytest.raises(StateError, match="permission denied for schema"):
        reader.read(STAGING)
    postgres.run(f"GRANT USAGE ON SCHEMA {schema} TO reader")
    with pytest.raises(StateError, match="permission denied for table"):
        reader.read(STAGING)
    postgres.run(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader")
    assert reader.read(STAGING) == written
    with pytest.raises(StateUnwritableError, match=r"permission denied.*grant it to the role that connects"):
        reader.write(written, 1)
    postgres.run(f"GRANT INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO reader")
    again = reader.write(replace(written, history=(promoted(0),)), 1)
    assert reader.read(STAGING) == again
    postgres.run("DROP OWNED BY reader")


@pytest.mark.postgres
def test_a_role_that_may_make_no_tables(address: str, postgres: Postgres) -> None:
    postgres.run("DROP ROLE IF EXISTS guest")
    postgres.run("CREATE ROLE guest LOGIN")
    schema = address.partition("schema=")[2]
    postgres.run(f"GRANT USAGE ON SCHEMA {schema} TO guest")
    guest = opened(postgres.address(user="guest", schema=schema))
    assert guest.read(STAGING) is None
    with pytest.raises(StateUnwritableError, match="permission denied for schema"):
        guest.write(fresh(), None)
    postgres.run("DROP OWNED BY guest")


@pytest.mark.postgres
def test_a_schema_that_is_not_there(postgres: Postgres) -> None:
    store = opened(postgres.address(schema="nowhere"))
    with pytest.raises(StateError, match="no schema 'nowhere' in this database; create it"):
        store.read(STAGING)
    with pytest.raises(StateUnwritableError, match="no schema 'nowhere'"):
        store.write(fresh(), None)
    assert postgres.run("SELECT 1 FROM pg_namespace WHERE nspname = 'nowhere'") == []


@pytest.mark.postgres
def test_tables_that_a_role_does_not_see_are_not_an_empty_state(store: DatabaseStore, postgres: Postgres) -> None:
    store.write(fresh(), None)
    elsewhere = opened(f"postgresql://postgres@/postgres?host={postgres.folder}")
    with pytest.raises(StateError, match=r"in the schema .*shop_.*write \?schema=NAME"):
        elsewhere.read(STAGING)
    with pytest.raises(StateUnwritableError, match=r"write \?schema=NAME"):
        elsewhere.write(fresh(), None)


@pytest.mark.postgres
def test_a_server_that_may_only_be_read(address: str) -> None:
    written = opened(address).write(fresh(), None)
    standby = opened(f"{address}&options=-c%20default_transaction_read_only%3Don")
    assert standby.read(STAGING) == written
    with pytest.raises(StateUnwritableError, match="read-only transaction; connect to the server that can be written"):
        standby.write(written, 1)


@pytest.mark.postgres
def test_no_password_is_ever_told(postgres: Postgres) -> None:
    """Neither in errors, nor in what they come from, nor in representations."""
    wrong = f"postgresql://postgres:s3cr%40t/x@/nowhere?host={postgres.folder}&sslpassword=h1dden"
    store = opened(wrong)
    with pytest.raises(StateError, match='database "nowhere" does not exist') as caught:
        store.read(STAGING)
    error: BaseException | None = caught.value
    shown = [store.where(STAGING), *store.warnings(), repr(store._database.address), repr(store._database._root)]
    while error is not None:
        shown += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    assert not [text for text in shown if "s3cr" in text or "h1dden" in text]
    assert any("holds a password" in text for text in shown)


@pytest.mark.postgres
def test_a_password_that_is_refused_is_not_tried_again(postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many a server locks an account after some attempts; a further one here would wait for an hour."""
    postgres.run("CREATE ROLE locked LOGIN PASSWORD 's3cret'")
    rules = Path(postgres.run("SHOW hba_file")[0][0])
    rules.write_text(f"local all locked scram-sha-256\n{rules.read_text()}")
    postgres.run("SELECT pg_reload_conf()")
    address = postgres.address(user="locked:wr0ng")
    with monkeypatch.context() as patched:
        patched.setattr(database_engine, "PAUSES", (3600.0,))
        until(lambda: "password" in _refusal(address))
        assert "wr0ng" not in _refusal(address)
    right = address.replace("wr0ng", "s3cret")
    postgres.run(f"GRANT ALL ON SCHEMA {address.partition('schema=')[2]} TO locked")
    assert opened(right).write(fresh(), None).serial == 1


def _refusal(address: str) -> str:
    """Return why state cannot be read."""
    try:
        opened(address).read(STAGING)
    except StateError as error:
        return str(error)
    return ""


@pytest.mark.postgres
def test_what_is_written_is_durable_whatever_the_default(address: str) -> None:
    store, found = opened(f"{address}&options=-c%20synchronous_commit%3Doff"), list[Any]()
    written = store.write(fresh(), None)

    def look(*said: Any) -> None:
        if "UPDATE" in said[2]:
            said[1].execute("SHOW synchronous_commit")
            found.extend(said[1].fetchone())

    event.listen(store._database._reached()[0], "before_cursor_execute", look)
    store.write(written, 1)
    assert found == ["on"]


def test_a_secret_in_the_words_of_a_database_is_not_told() -> None:
    said = sqlite3.OperationalError("no host of the name s3cret@db,  nor\n another")
    assert fault_of(OperationalError("", {}, said), ("s3cret",)).problem == "no host of the name ***@db, nor another"


# --- SQLite -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "states" / "promotion.db"


@pytest.fixture
def small(file: Path) -> DatabaseStore:
    return opened(f"sqlite:///{file}")


@pytest.mark.usefixtures("hasty")
def test_a_file_that_somebody_holds(small: DatabaseStore, file: Path) -> None:
    written = small.write(fresh(), None)
    held = sqlite3.connect(file, isolation_level=None)
    held.execute("BEGIN EXCLUSIVE")
    with pytest.raises(StateUnwritableError, match="database is locked"):
        small.write(written, 1)
    with pytest.raises(StateError, match="cannot be read: database is locked"):
        small.read(STAGING)
    held.execute("ROLLBACK")
    held.execute("BEGIN IMMEDIATE")
    assert small.read(STAGING) == written
    held.close()
    assert small.write(written, 1).serial == 2


@pytest.mark.usefixtures("patient")
def test_a_file_that_is_given_back_in_time(small: DatabaseStore, file: Path) -> None:
    written = small.write(fresh(), None)
    held = sqlite3.connect(file, isolation_level=None, check_same_thread=False)
    held.execute("BEGIN EXCLUSIVE")
    writing = in_a_thread(lambda: small.write(written, 1).serial)
    time.sleep(0.1)
    held.close()
    assert writing() == 2


@pytest.mark.usefixtures("hasty")
def test_a_reader_that_never_ends_stops_no_other_reader_and_leaves_what_was_there(
    small: DatabaseStore, file: Path
) -> None:
    written = small.write(fresh(), None)
    held = sqlite3.connect(file, isolation_level=None)
    held.execute("BEGIN")
    held.execute("SELECT * FROM dbt_promotion_states").fetchall()
    with pytest.raises(StateError, match="cannot be written: database is locked"):
        small.write(written, 1)
    held.close()
    assert small.read(STAGING) == written


def test_a_write_ahead_log_that_somebody_chose_is_left(small: DatabaseStore, file: Path) -> None:
    written = small.write(fresh(), None)
    with sqlite3.connect(file) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    written = small.write(written, 1)
    assert small.read(STAGING) == written
    with sqlite3.connect(file) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_what_is_no_database(small: DatabaseStore, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"mine" * 1000)
    with pytest.raises(CorruptStateError, match="not a database"):
        small.read(STAGING)
    with pytest.raises(CorruptStateError, match="not a database"):
        small.write(fresh(), None)
    assert file.read_bytes() == b"mine" * 1000


def test_a_file_that_was_cut_short(small: DatabaseStore, file: Path) -> None:
    written = small.write(fresh(current=entries(100)), None)
    os.truncate(file, 6000)
    left = file.read_bytes()
    with pytest.raises(StateError, match=r"malformed|disk image"):
        small.read(STAGING)
    with pytest.raises(StateError, match=r"malformed|disk image"):
        small.write(written, 1)
    assert file.read_bytes() == left


def test_text_that_is_no_text(small: DatabaseStore, file: Path) -> None:
    small.write(fresh(), None)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE dbt_promotion_states SET document = CAST(X'FF00FF' AS TEXT)")
    with pytest.raises(CorruptStateError, match="decode"):
        small.read(STAGING)


def test_bytes_in_place_of_text_are_as_good(small: DatabaseStore, file: Path) -> None:
    written = small.write(fresh(), None)
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE dbt_promotion_states SET document = CAST(document AS BLOB)")
    assert small.read(STAGING) == written


def test_an_empty_file_is_an_empty_database(small: DatabaseStore, file: Path) -> None:
    file.parent.mkdir()
    file.touch()
    assert small.read(STAGING) is None
    assert file.stat().st_size == 0
    assert small.write(fresh(), None).serial == 1


def test_a_place_below_a_file(file: Path, small: DatabaseStore) -> None:
    file.parent.write_text("mine")
    with pytest.raises(StateError, match="cannot be read: Not a directory"):
        small.read(STAGING)
    with pytest.raises(StateUnwritableError, match="Not a directory"):
        small.write(fresh(), None)


def test_a_folder_in_place_of_the_file(file: Path, small: DatabaseStore) -> None:
    file.mkdir(parents=True)
    with pytest.raises(StateError, match="cannot be read: "):
        small.read(STAGING)
    with pytest.raises(StateUnwritableError, match="cannot be written: "):
        small.write(fresh(), None)


def test_a_link_to_nothing_is_not_an_empty_state(file: Path, small: DatabaseStore, tmp_path: Path) -> None:
    file.parent.mkdir()
    file.symlink_to(tmp_path / "not mounted" / "promotion.db")
    with pytest.raises(StateError, match="is it mounted"):
        small.read(STAGING)
    with pytest.raises(StateUnwritableError, match="is it mounted"):
        small.write(fresh(), None)


def test_a_folder_where_nothing_can_be_made() -> None:
    """Even root cannot make a folder in /proc."""
    store = opened("sqlite:////proc/states/promotion.db")
    assert store.read(STAGING) is None
    with pytest.raises(StateUnwritableError, match="cannot be written: "):
        store.write(fresh(), None)


_NOBODY = """
import os, sys
from pathlib import Path
from airflow_dbt_promotion.core.errors import StateUnwritableError
from airflow_dbt_promotion.stores import open_store
store = open_store(f"sqlite:///{sys.argv[1]}/promotion.db", Path("/nowhere"))
other = open_store(f"sqlite:///{sys.argv[1]}/other.db", Path("/nowhere"))
if os.geteuid() == 0:  # nothing is forbidden to root
    os.setuid(65534)
state = store.read("staging")
for store_, expected in ((store, state.serial), (other, None)):
    try:
        store_.write(state, expected)
    except StateUnwritableError as error:
        print(error)
assert store.read("staging") == state
"""


@pytest.mark.parametrize(("mode", "folder"), [(0o444, 0o555), (0o444, 0o777)])
def test_a_file_that_may_only_be_read(mode: int, folder: int) -> None:
    with TemporaryDirectory() as made:  # pytest's own is closed to everybody else
        root = Path(made)
        written = opened(f"sqlite:///{root}/promotion.db").write(fresh(), None)
        (root / "promotion.db").chmod(mode)
        root.chmod(folder)
        told = ran(_NOBODY, root)
        assert "attempt to write a readonly database; make the file and its folder writable" in told
        assert ("Permission denied" in told) is (folder == 0o555)
        assert opened(f"sqlite:///{root}/promotion.db").read(STAGING) == written


_FULL = """
import resource, signal, sys
from pathlib import Path
from airflow_dbt_promotion.core.errors import StateError
from airflow_dbt_promotion.stores import open_store
from tests.stores.contract import entries
from msgspec.structs import replace
store = open_store(f"sqlite:///{sys.argv[1]}/promotion.db", Path("/nowhere"))
state = store.read("staging")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
size = (Path(sys.argv[1]) / "promotion.db").stat().st_size
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    store.write(replace(state, current=entries(1000)), state.serial)
except StateError as error:
    print(type(error).__name__, error)
assert store.read("staging") == state
"""


def test_a_database_that_is_full(small: DatabaseStore) -> None:
    written = small.write(fresh(), None)
    event.listen(
        small._database._reached()[0],
        "before_cursor_execute",
        lambda *said: said[1].execute("PRAGMA max_page_count = 1"),
    )
    with pytest.raises(StateUnwritableError, match="cannot be written: database or disk is full; make room"):
        small.write(replace(written, current=entries(1000)), 1)
    assert small.read(STAGING) == written


def test_a_file_that_cannot_grow_leaves_what_was_there(tmp_path: Path) -> None:
    """The kernel lets no file grow any more, as a full disk does."""
    store = opened(f"sqlite:///{tmp_path}/promotion.db")
    written = store.write(fresh(), None)
    told = ran(_FULL, tmp_path)
    assert "it is not known whether it was; look at it before you go on: disk I/O error" in told
    assert store.write(written, 1).serial == 2


def ran(program: str, root: Path) -> str:
    """Run a program on a folder in a process of its own and return what it said."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    return done.stdout
