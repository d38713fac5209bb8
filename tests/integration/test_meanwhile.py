"""What others do between the copy of a table, the question to the catalog and the swap: it is not lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_dbt_promotion.core.environment import IncrementalChange
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.dbt.publish.swapping import Swapping
from tests.integration.warehouse import BOTH, a_warehouse
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

FILES = {
    "models/events.sql": "{{ config(materialized='incremental', unique_key='id') }} select 1 as id, 'dbt' as origin",
    "models/base.sql": "select 1 as edition",
}
FORWARD = {"on_incremental_change": IncrementalChange.FORWARD_ONLY}
WRITES = (
    "insert into production.events values (77, 'another job')",
    "update production.events set origin = 'another job' where id = 1",
    "delete from production.events where id = 1",
)
ROWS = "select id, origin from production.events order by id"


@pytest.fixture(scope="module", params=BOTH)
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    with a_warehouse(request.param, folder) as warehouse:
        yield ready(Yard(folder / "project", warehouse, FILES))


def ready(yard: Yard) -> Yard:
    promoted = yard.promote()
    assert promoted.outcome is PromotionOutcome.PROMOTED, promoted.words
    return yard


def before(monkeypatch: pytest.MonkeyPatch, method: str, deed: Callable[[], None]) -> None:
    """Let something be done by others before the first call of a method of what swaps, and only then."""
    real, pending = getattr(Swapping, method), [deed]

    def interrupted(self: Swapping, *arguments: Any) -> Any:
        while pending:
            pending.pop()()
        return real(self, *arguments)

    monkeypatch.setattr(Swapping, method, interrupted)


@pytest.mark.parametrize("write", WRITES)
def test_rows_that_others_write_after_the_copy_stop_the_swap(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    edition = WRITES.index(write) + 2
    yard.write("models/events.sql", FILES["models/events.sql"].replace("select 1", f"select {edition}"))
    before(monkeypatch, "swap", lambda: yard.execute(write))
    with pytest.raises(NotSwappedError) as caught:
        yard.promote("events", **FORWARD)  # type: ignore[arg-type] - any field
    assert any("production.events was written to after its rows were copied" in word for word in caught.value.words)
    written = yard.warehouse.rows(ROWS)
    assert edition not in {first for first, _ in written}
    promoted = yard.promote("events", **FORWARD)  # type: ignore[arg-type] - any field
    assert promoted.outcome is PromotionOutcome.PROMOTED, promoted.words
    assert yard.warehouse.rows(ROWS) == sorted([*written, (edition, "dbt")])


@pytest.mark.parametrize(
    "text", ["select edition from production.base", "select edition as again from production.base"]
)
def test_a_view_that_is_made_after_the_catalog_was_read_reads_what_came(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    if yard.is_duckdb:
        pytest.skip("DuckDB binds views by name")
    edition = 2 + ("again" in text)
    yard.write("models/base.sql", f"select {edition} as edition")
    yard.execute("drop view if exists production.late")
    before(monkeypatch, "_do", lambda: yard.execute(f"create view production.late as {text}"))
    promoted = yard.promote("base", allow_stale_downstream=True)
    assert promoted.outcome is PromotionOutcome.PROMOTED, promoted.words
    assert yard.column("select * from production.late") == [edition]


THIEF = """
create function public.steal() returns event_trigger language plpgsql as $$
begin
  if to_regclass('production.base') is not null and exists (select from pg_class where relname ~ '^base__was_')
    and to_regclass('production.stolen') is null
  then
    alter table production.base rename to stolen;
    create table production.base as select 0 as edition;
  end if;
end $$;
create event trigger steal on ddl_command_end when tag in ('ALTER TABLE') execute function public.steal();
"""


def test_what_stands_in_place_in_the_end_is_what_was_built(yard: Yard) -> None:
    if yard.is_duckdb:
        pytest.skip("DuckDB has no event triggers")
    yard.write("models/base.sql", "select 9 as edition")
    yard.execute("drop view if exists production.late")
    before = yard.column("select edition from production.base")
    yard.execute("drop table if exists production.stolen", "create schema if not exists public")
    for statement in (f"drop table production.{name}" for name in retired(yard)):
        yard.execute(statement)
    yard.execute(THIEF)
    with pytest.raises(NotSwappedError, match="relation_differs"):
        yard.promote("base", allow_stale_downstream=True)
    yard.execute("drop event trigger steal")
    assert yard.column("select edition from production.base") == before
    assert yard.promote("base", allow_stale_downstream=True).outcome is PromotionOutcome.PROMOTED
    assert yard.column("select edition from production.base") == [9]


def retired(yard: Yard) -> list[object]:
    return yard.column("select relname from pg_class where relname ~ '^base__was_' and relkind = 'r'")
