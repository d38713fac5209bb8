"""A swap is one transaction on a real PostgreSQL: its lock, its marks, its renames; and readers wait for the last."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest
from tests.integration.warehouse import Mill, a_postgres

pytestmark = [pytest.mark.dbt, pytest.mark.postgres, pytest.mark.slow]

REQUEST = PromotionRequest(target="production", actor="tests")

SPY = """
create table public.seen (node text, advisory bigint, locked bigint);
create function public.spy() returns trigger language plpgsql as $$
begin
  insert into public.seen
    select new.node, count(*) filter (where locktype = 'advisory'),
      count(*) filter (where mode = 'AccessExclusiveLock' and c.relnamespace = 'production'::regnamespace)
    from pg_locks l left join pg_class c on c.oid = l.relation where l.pid = pg_backend_pid() and l.granted;
  return new;
end $$;
create trigger spy before insert on production.dbt_promotion_marks for each row execute function public.spy();
"""
"""Notes with each mark which locks its transaction holds by then: those of the marks, and relations of production."""

BREAK = """
create function public.break() returns event_trigger language plpgsql as $$
begin
  if exists (select from pg_class c where c.relname ~ '^weights__was_') then raise exception 'no space left'; end if;
end $$;
create event trigger break on ddl_command_end when tag in ('ALTER TABLE') execute function public.break();
"""
"""Lets a swap fail in its middle."""

MARKS = "select node from production.dbt_promotion_marks where node <> ''"


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    project = tmp_path / "mill"
    project.mkdir()
    with a_postgres(tmp_path / "pg") as postgres:
        yield Mill(project, postgres)


def test_the_marks_of_a_swap_are_its_own_and_written_before_readers_have_to_wait(mill: Mill) -> None:
    mill.build_staging()
    mill.ahead = timedelta(days=1)
    assert mill.engine.promote(REQUEST).outcome is PromotionOutcome.PROMOTED

    for sql in ("delete from production.dbt_promotion_marks", SPY, BREAK):
        mill.warehouse.execute(sql)
    mill.ahead = timedelta(0)
    mill.edit("models/weights.sql", "count(*)", "count(*) * 10")
    mill.build_staging()
    mill.ahead = timedelta(days=1)
    with pytest.raises(NotSwappedError):
        mill.engine.promote(REQUEST)
    assert mill.warehouse.rows(MARKS) == []
    assert sorted(mill.warehouse.rows("select kilos, sacks from production.weights")) == [(25, 2), (50, 1)]

    mill.warehouse.execute("drop event trigger break")
    assert mill.engine.promote(REQUEST).outcome is PromotionOutcome.PROMOTED
    assert mill.warehouse.rows(MARKS) == [("model.mill.weights",)]
    # Who begins waits for the lock that whoever swaps shares; both hold it until they commit.
    assert set(mill.warehouse.rows("select * from public.seen")) == {("", 1, 0), ("model.mill.weights", 1, 0)}
    assert sorted(mill.warehouse.rows("select kilos, sacks from production.weights")) == [(25, 20), (50, 10)]
