"""What others do between the copy of a table, the question to the catalog and the swap: it is not lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_dbt_promotion.core.environment import IncrementalChange
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.dbt.publish.swapping import Swapping
from tests.integration.warehouse import DuckDb, a_postgres
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


@pytest.fixture(scope="module", params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    if request.param == "duckdb":
        yield ready(Yard(folder / "project", DuckDb(folder), FILES))
        return
    with a_postgres(folder / "pg") as postgres:
        yield ready(Yard(folder / "project", postgres, FILES))


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
