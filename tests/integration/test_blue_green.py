"""What readers see while models are promoted beside them: all of the old, then all of the new."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import BOTH, DuckDb, Postgres, a_warehouse
from tests.integration.yard import MADE, Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

Ask = Callable[[str], list[tuple[object, ...]]]
EVERY = [f"m{number:02}" for number in range(20)]
SEEN = " union all ".join(f"select edition from production.{model}" for model in EVERY)


def model(number: int) -> str:
    """Return a model: every third is a view, every second reads the one before."""
    head = "{{ config(materialized='view') }} " if number % 3 == 0 else ""
    return f"{head}select {{{{ var('edition') }}}} as edition" + (
        f" from {{{{ ref('m{number - 1:02}') }}}}" if number % 2 else ""
    )


FILES = {
    "tests/printed.sql": """
        select * from {{ ref('m19') }} where edition < 0 and '{{ target.name }}' = 'production'
    """,
    **{f"models/{name}.sql": model(number) for number, name in enumerate(EVERY)},
}


@pytest.fixture(scope="module", params=BOTH)
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    with a_warehouse(request.param, folder) as warehouse:
        yield ready(Yard(folder / "project", warehouse, FILES))


def ready(yard: Yard) -> Yard:
    """Return a yard whose production has edition 1."""
    yard.write("dbt_project.yml", (yard.folder / "dbt_project.yml").read_text() + "vars: {edition: 1}\n")
    assert yard.promote().outcome is PromotionOutcome.PROMOTED
    return yard


def edition(yard: Yard, now: int) -> None:
    text = (yard.folder / "dbt_project.yml").read_text()
    yard.write("dbt_project.yml", text[: text.index("vars:")] + f"vars: {{edition: {now}}}\n")


def identities(yard: Yard, ask: Ask) -> dict[str, object]:
    """Return what the warehouse itself knows each relation of production by, and who may do what with it.

    DuckDB gives new numbers to everything when it opens a file, so a connection has to be open in between.
    """
    if yard.is_duckdb:
        sql = """
            select table_name, table_oid::varchar from duckdb_tables() where schema_name = 'production'
            union all select view_name, view_oid::varchar from duckdb_views() where schema_name = 'production'"""
    else:
        sql = """
            select relname, oid::text || ' ' || coalesce(relacl::text, '') from pg_class
            where relnamespace = 'production'::regnamespace and relkind in ('r', 'v')"""
    return {str(name): identity for name, identity in ask(sql)}


@contextmanager
def a_look(yard: Yard) -> Iterator[Ask]:
    """Yield what a reader asks with, on a connection of its own."""
    if isinstance(yard.warehouse, Postgres):
        with yard.warehouse.connected() as connection, connection.cursor() as cursor:

            def asked(sql: str) -> list[tuple[object, ...]]:
                cursor.execute(sql)
                return list(cursor.fetchall())

            connection.autocommit = True
            yield asked
        return
    assert isinstance(yard.warehouse, DuckDb)
    with yard.warehouse.connected() as duckdb:
        yield lambda sql: duckdb.execute(sql).fetchall()


@contextmanager
def a_reader(yard: Yard, seen: list[object]) -> Iterator[None]:
    """Let somebody read all models in one statement, again and again, and note what it sees: editions, or an error."""
    over, looked = threading.Event(), threading.Event()

    def read() -> None:
        with a_look(yard) as ask:
            while not over.is_set():
                try:
                    found: object = tuple(sorted({value for (value,) in ask(SEEN)}))
                except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is asked here
                    found = f"{type(error).__name__}: {error}"
                if not seen or seen[-1] != found:
                    seen.append(found)
                looked.set()

    thread = threading.Thread(target=read)
    thread.start()
    try:
        assert looked.wait(30)
        yield
    finally:
        over.set()
        thread.join()


def test_a_failing_test_leaves_production_as_it_was(yard: Yard) -> None:
    current = {model: entry.version for model, entry in yard.state().current.items()}
    for name in ("m18", "m19"):
        yard.edit(f"models/{name}.sql", "{{ var('edition') }}", "-{{ var('edition') }}")
    with a_look(yard) as ask:
        before = identities(yard, ask)
        failed = yard.promote("m18", "m19", tested=True)
        after = identities(yard, ask)
    for name in ("m18", "m19"):
        yard.edit(f"models/{name}.sql", "-{{ var('edition') }}", "{{ var('edition') }}")
    assert failed.outcome is PromotionOutcome.FAILED, failed.message
    assert {model[-3:]: told.result for model, told in failed.models.items()} == {"m18": "skipped", "m19": "failed"}
    assert {name: after[name] for name in before} == before
    assert [re.sub(MADE, "", name) for name in sorted(after.keys() - before.keys())] == ["m18", "m19"]
    assert set(yard.column(SEEN)) == {1}
    state = yard.state()
    assert {model: entry.version for model, entry in state.current.items()} == current
    assert (state.unfinalized, state.lock, state.journal) == (None, None, None)
    assert {left.place.identifier for left in state.leftovers} >= after.keys() - before.keys()
    assert state.history[0].outcome is PromotionOutcome.FAILED


@contextmanager
def lockers(yard: Yard, errors: list[str]) -> Iterator[None]:
    """On PostgreSQL, let two readers take all tables one by one, in opposite orders and each in one transaction."""
    over = threading.Event()

    def take(order: list[str]) -> None:
        while not over.is_set():
            try:
                yard.execute(*(f"select count(*) from production.{name}" for name in order), "select pg_sleep(0.1)")
            except Exception as error:  # noqa: BLE001 - whatever a reader meets is what is asked here
                errors.append(str(error))
            over.wait(0.4)  # a swap asks the catalog under its locks, and needs an instant without either of them

    threads = [threading.Thread(target=take, args=(order,)) for order in (EVERY, EVERY[::-1])]
    for thread in threads if not yard.is_duckdb else ():
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads if not yard.is_duckdb else ():
            thread.join()


def test_readers_see_all_of_the_old_and_then_all_of_the_new(yard: Yard) -> None:
    seen: list[object] = []
    errors: list[str] = []
    with a_reader(yard, seen), lockers(yard, errors):
        for now in (2, 3):
            edition(yard, now)
            assert yard.promote().outcome is PromotionOutcome.PROMOTED
    assert seen in ([(1,), (2,)], [(1,), (2,), (3,)])
    assert errors == []
    told = yard.warehouse.rows(
        f"select node, count(*) from production.dbt_promotion_marks where epoch = {yard.state().epoch} group by node"
    )
    assert dict(told) == {"": 1, **{f"model.yard.{name}": 1 for name in EVERY}}


def test_a_build_in_place_shows_readers_a_mixture_or_nothing(yard: Yard) -> None:
    seen: list[object] = []
    edition(yard, 4)
    with a_reader(yard, seen):
        told = yard.promote(strategy=Strategy.BUILD)
    odd = [found for found in seen if found not in [(3,), (4,)]]
    # dbt takes its locks as it goes. Now and then it is dbt that a deadlock with the reader ends, and not the reader.
    assert odd or any("deadlock" in word for word in told.words), told.words
