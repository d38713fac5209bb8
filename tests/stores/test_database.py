"""State in SQLite and in PostgreSQL passes the contract; what people and upgrades do to tables is told or mended."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from hypothesis import given
from msgspec.structs import replace

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import (
    CorruptStateError,
    FutureSchemaError,
    StateConflictError,
    StateError,
    StateUnwritableError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, Version
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores import database_dialects, database_engine
from airflow_dbt_promotion.stores.database import DatabaseStore
from airflow_dbt_promotion.stores.database_address import root_of
from airflow_dbt_promotion.stores.database_engine import Database
from airflow_dbt_promotion.stores.database_schema import MIGRATIONS
from airflow_dbt_promotion.stores.history import Record, apart, overlap, record, together
from tests.core import strategies as our
from tests.stores.contract import PATIENCE, PRODUCTION, STAGING, SharedStoreContract, entries, fresh
from tests.stores.databases import at_once, in_tables, once, opened, promoted
from tests.stores.postgres import Postgres

NEXT = (*MIGRATIONS, ("ALTER TABLE {schema}dbt_promotion_states ADD COLUMN added TEXT",))
"""The steps of a release to come; the last cannot be taken twice."""


def of_the_next_release(address: str) -> DatabaseStore:
    return DatabaseStore(Database(root_of(address, Path("/nowhere")), NEXT))


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for what passes."""
    monkeypatch.setattr(database_engine, "PAUSES", (0.0, 0.0))


@pytest.fixture
def address(database: str) -> str:
    return database


@pytest.fixture
def store(address: str) -> DatabaseStore:
    return opened(address)


class TestSqlite(SharedStoreContract):
    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path}/states/promotion.db"


@pytest.mark.postgres
class TestPostgres(SharedStoreContract):
    @pytest.fixture
    def address(self, postgres: Postgres) -> str:
        return postgres.address()


# --- history ----------------------------------------------------------------------------------------------------------


@given(state=our.states)
def test_a_document_and_its_history_come_together_again_byte_by_byte(state: EnvironmentState) -> None:
    whole = codec.encode(state)
    document, records = apart(whole)
    assert together(document, records) == whole
    assert codec.decode(document, "here", state.environment) == replace(
        codec.decode(whole, "here", state.environment), history=()
    )


@pytest.mark.parametrize(
    ("new", "old", "shared"),
    [("", "", 0), ("b", "", 0), ("cba", "ba", 2), ("cb", "ba", 1), ("ba", "ba", 2), ("b", "cba", 0), ("aa", "a", 1)],
)
def test_what_need_not_be_written_again(new: str, old: str, shared: int) -> None:
    assert overlap([record(one) for one in new], [record(one).digest for one in old]) == shared


def test_a_promotion_is_written_once_and_what_falls_out_of_the_document_stays_in_the_table(
    store: DatabaseStore, address: str
) -> None:
    state = store.write(fresh(), None)
    for number in range(5):
        state = store.write(replace(state, history=(promoted(number), *state.history)[:3]), state.serial)
        assert store.read(STAGING) == state
    before = in_tables(address, "SELECT position, record FROM {history} ORDER BY position")
    assert [str(promoted(number).plan_id) in text for number, (_, text) in enumerate(before)] == [True] * 5
    store.write(state, state.serial)
    assert in_tables(address, "SELECT position, record FROM {history} ORDER BY position") == before


def test_any_history_may_follow_any_other(store: DatabaseStore, address: str) -> None:
    """Older ones put in below, all forgotten, some changed, the newest taken back: what is read is what was written."""
    one, two, three, four = (promoted(number) for number in range(4))
    state = store.write(fresh(history=(three,)), None)
    for history in ((three, two, one), (), (four, two), (two,), (one, two, three, four), (two, two)):
        state = store.write(replace(state, history=history), state.serial)
        assert store.read(STAGING) == state
    positions = [row[0] for row in in_tables(address, "SELECT position FROM {history}")]
    assert len(set(positions)) == len(positions)


def test_older_promotions_put_in_below_are_in_the_table_once(store: DatabaseStore, address: str) -> None:
    state = store.write(fresh(history=(promoted(3), promoted(2))), None)
    store.write(replace(state, history=(*state.history, promoted(1), promoted(0))), state.serial)
    assert in_tables(address, "SELECT count(*), count(DISTINCT digest) FROM {history}") == [(4, 4)]


def test_a_document_that_is_written_anew_after_its_row_was_deleted(store: DatabaseStore, address: str) -> None:
    state = store.write(fresh(history=(promoted(0),)), None)
    in_tables(address, "DELETE FROM {states}")
    with pytest.raises(StateConflictError, match="nothing is there"):
        store.write(state, state.serial)
    again = store.write(replace(state, history=(promoted(1), promoted(0))), None)
    assert store.read(STAGING) == again


def test_a_reader_sees_no_document_with_the_history_of_another(
    store: DatabaseStore, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its two questions, somebody else replaces what the first was about; SQLite has them wait."""
    state = store.write(fresh(history=(promoted(0),)), None)
    monkeypatch.setattr(database_engine, "PAUSES", ())
    monkeypatch.setattr(database_dialects, "WAIT", 0.1)
    other, attempts = opened(address), list[bool]()

    def replace_it() -> None:
        try:
            other.write(replace(state, history=(promoted(1),)), 1)
            in_tables(address, "DELETE FROM {history} WHERE position = 1")
            attempts.append(True)
        except StateUnwritableError:
            attempts.append(False)

    once(store, "_history", replace_it)
    assert store.read(STAGING) == state
    assert attempts == [not address.startswith("sqlite")]


# --- the tables -------------------------------------------------------------------------------------------------------


def test_reading_makes_nothing(store: DatabaseStore, address: str, tmp_path: Path) -> None:
    assert store.read(STAGING) is None
    assert store.environments() == ()
    assert store.warnings() == ()
    if address.startswith("sqlite"):
        assert list(tmp_path.iterdir()) == []
    else:
        assert not Database(root_of(address, tmp_path))._has_tables()


def test_many_that_begin_at_once_make_the_tables_once(address: str) -> None:
    names = [EnvironmentName(f"environment-{number}") for number in range(8)]
    at_once(8, lambda number: opened(address).write(fresh(names[number]), None))
    assert opened(address).environments() == tuple(names)
    assert in_tables(address, "SELECT version FROM {schema}") == [(len(MIGRATIONS),)]


def test_two_that_upgrade_at_once_take_each_step_once(store: DatabaseStore, address: str) -> None:
    written = store.write(fresh(current=entries(2), history=(promoted(0),)), None)
    assert of_the_next_release(address).read(STAGING) == written
    assert in_tables(address, "SELECT version FROM {schema}") == [(len(MIGRATIONS),)]
    names = [PRODUCTION, EnvironmentName("other")]
    at_once(2, lambda number: of_the_next_release(address).write(fresh(names[number]), None))
    assert in_tables(address, "SELECT version FROM {schema}") == [(len(NEXT),)]
    assert of_the_next_release(address).environments() == ("other", PRODUCTION, STAGING)
    assert of_the_next_release(address).read(STAGING) == written
    assert of_the_next_release(address).write(written, 1).serial == 2


def test_no_step_is_taken_beside_another(store: DatabaseStore, address: str) -> None:
    """One is in the middle of a step, and has looked what is to be done, when another begins."""
    written = store.write(fresh(), None)
    first, second = of_the_next_release(address), of_the_next_release(address)
    other = threading.Thread(target=lambda: second.write(fresh(PRODUCTION), None))

    def begin() -> None:
        other.start()
        other.join(0.3)

    once(first, "ALTER TABLE", begin)
    assert first.write(written, 1).serial == 2
    other.join(PATIENCE)
    assert first.environments() == (PRODUCTION, STAGING)


def test_tables_of_a_newer_release_are_left_alone(store: DatabaseStore, address: str) -> None:
    written = of_the_next_release(address).write(fresh(), None)
    before = in_tables(address, "SELECT * FROM {states}")
    for act in (lambda: store.read(STAGING), lambda: store.write(written, 1), store.environments):
        with pytest.raises(FutureSchemaError, match="upgrade airflow-dbt-promotion"):
            act()
    assert in_tables(address, "SELECT * FROM {states}") == before


@pytest.mark.usefixtures("hasty")
def test_a_step_that_fails_leaves_the_tables_as_they_were(store: DatabaseStore, address: str) -> None:
    written = store.write(fresh(), None)
    broken = (*NEXT, ("ALTER TABLE {schema}dbt_promotion_states ADD COLUMN other TEXT", "SELECT * FROM nothing_at_all"))
    failing = DatabaseStore(Database(root_of(address, Path()), broken))
    with pytest.raises(StateUnwritableError, match="nothing_at_all"):
        failing.write(written, 1)
    assert in_tables(address, "SELECT version FROM {schema}") == [(len(NEXT),)]
    assert of_the_next_release(address).read(STAGING) == written


def test_tables_deleted_meanwhile_are_made_again(store: DatabaseStore, address: str) -> None:
    written = store.write(fresh(history=(promoted(0),)), None)
    for statement in ("DROP TABLE {states}", "DROP TABLE {history}", "DROP TABLE {blobs}", "DROP TABLE {schema}"):
        in_tables(address, statement)
    assert store.read(STAGING) is None
    with pytest.raises(StateConflictError, match="nothing is there"):
        store.write(written, 1)
    assert store.write(written, None) == replace(written, serial=2)


@pytest.mark.usefixtures("hasty")
def test_one_table_that_is_gone_is_not_an_empty_state(store: DatabaseStore, address: str) -> None:
    written = store.write(fresh(), None)
    in_tables(address, "DROP TABLE {states}")
    with pytest.raises(StateError, match=r"cannot be read: .*dbt_promotion_states"):
        store.read(STAGING)
    with pytest.raises(StateUnwritableError, match="dbt_promotion_states"):
        store.write(written, 1)
    in_tables(address, "DROP TABLE {schema}")
    with pytest.raises(StateUnwritableError, match=r"dbt_promotion_history.*already exists"):
        store.write(written, None)


# --- what is damaged --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        ("UPDATE {states} SET document = ''", CorruptStateError, "file is empty"),
        ("UPDATE {states} SET document = substr(document, 1, 300)", CorruptStateError, "left as it is"),
        ("UPDATE {states} SET document = 'not: json'", CorruptStateError, "left as it is"),
        ("UPDATE {states} SET document = replace(document, 'staging', 'other')", CorruptStateError, "not of 'staging'"),
        (
            "UPDATE {states} SET document = replace(document, '\"schema_version\": ', '\"schema_version\": 9')",
            FutureSchemaError,
            "upgrade",
        ),
        ("UPDATE {states} SET serial = 7", CorruptStateError, "the row says serial 7"),
        ("UPDATE {states} SET lineage = 'x'", CorruptStateError, "history|the row says"),
        ("DELETE FROM {history} WHERE position = 1", CorruptStateError, "1 of the 2 promotions"),
        ("DELETE FROM {schema}", CorruptStateError, "0 rows"),
        ("INSERT INTO {schema} VALUES (1)", CorruptStateError, "2 rows"),
        ("UPDATE {schema} SET version = 99", FutureSchemaError, "version 99"),
    ],
)
@pytest.mark.parametrize("expected", [None, 1])
def test_what_is_damaged_is_an_error_and_is_never_overwritten(
    store: DatabaseStore, address: str, damage: str, error: type[StateError], said: str, expected: int | None
) -> None:
    written = store.write(fresh(current=entries(2), history=(promoted(1), promoted(0))), None)
    in_tables(address, damage)
    left = in_tables(address, "SELECT * FROM {states}")
    with pytest.raises(error, match=said):
        store.read(STAGING)
    with pytest.raises(StateError):
        store.write(written, expected)
    assert in_tables(address, "SELECT * FROM {states}") == left


def test_a_promotion_of_the_history_that_was_changed_by_hand(store: DatabaseStore, address: str) -> None:
    store.write(fresh(history=(promoted(0),)), None)
    in_tables(address, "UPDATE {history} SET record = replace(record, 'ada', 'bob')")
    with pytest.raises(CorruptStateError, match="position 1 of its history in dbt_promotion_history was changed"):
        store.read(STAGING)


def test_a_large_document_is_packed_and_its_history_has_rows_all_the_same(store: DatabaseStore, address: str) -> None:
    large = fresh(current=entries(4000), history=(promoted(1), promoted(0)))
    written = store.write(large, None)
    assert written == replace(large, serial=1)
    assert store.read(STAGING) == written
    ((packed,),) = in_tables(address, "SELECT count(*) FROM {states} WHERE document LIKE :mark", mark='%"packed"%')
    ((rows,),) = in_tables(address, "SELECT count(*) FROM {history}")
    assert (packed, rows) == (1, 2)


def test_what_an_earlier_release_wrote_is_read_and_written_anew(store: DatabaseStore, address: str) -> None:
    """Rows of schema 3: neither the document nor the promotions of its history know of going back."""
    written = store.write(fresh(current=entries(1), history=(promoted(1), promoted(0))), None)
    new = ("checkpoints", "blocks", "hold", "interventions", "leftovers")
    (document,) = in_tables(address, "SELECT document FROM {states}")[0]
    old = {key: value for key, value in json.loads(document).items() if key not in new} | {"schema_version": 3}
    text = json.dumps(old, indent=1, sort_keys=True)
    in_tables(address, "UPDATE {states} SET document = :document", document=text)
    for position, text in in_tables(address, "SELECT position, record FROM {history}"):
        past = {key: value for key, value in json.loads(text).items() if key != "rollback_to"}
        one = record(json.dumps(past, separators=(",", ":"), sort_keys=True))
        change = "UPDATE {history} SET record = :text, digest = :digest WHERE position = :position"
        in_tables(address, change, text=one.text, digest=one.digest, position=position)
    found = store.read(STAGING)
    assert found is not None
    held = {model: replace(entry, version=Version(f"1:{entry.version}")) for model, entry in written.current.items()}
    assert found == replace(written, current=held)
    again = store.write(found, found.serial)
    assert store.read(STAGING) == again


def test_a_history_without_a_place() -> None:
    with pytest.raises(ValueError, match="no empty `history`"):
        together(b"{}", [Record(digest="", text="{}")])


def test_what_cannot_be_written_down_leaves_what_was_there(store: DatabaseStore) -> None:
    written = store.write(fresh(), None)
    with pytest.raises(CorruptStateError, match="not written"):
        store.write(replace(written, lineage=""), written.serial)
    assert store.read(STAGING) == written


# --- processes --------------------------------------------------------------------------------------------------------


def test_a_forked_process_has_connections_of_its_own(store: DatabaseStore) -> None:
    """As Airflow forks a task: children read and write with the store of their parent, which goes on with it."""
    written = store.write(fresh(), None)
    environments = (PRODUCTION, EnvironmentName("other"))

    def child(number: int) -> None:
        state = store.write(fresh(environments[number]), None)
        for _ in range(20):
            assert store.read(STAGING) == written
            state = store.write(state, state.serial)

    for _ in range(3):
        assert store.read(STAGING) == written
    at_once(2, child)
    assert store.read(STAGING) == written
    assert store.write(written, 1).serial == 2
    found = store.read(PRODUCTION)
    assert found is not None
    assert found.serial == 21
