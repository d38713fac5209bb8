"""Rows that are kept: incremental models, seeds, snapshots, and models that become something else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import BOTH, a_warehouse
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

GROWING = """
    {% set now = var('edition') %}
    select {{ now }} as id, s.kilos, {{ now }} as edition from {{ ref('sacks') }} s
    {% if is_incremental() %} where {{ now }} > (select max(id) from {{ this }}) {% endif %}
"""
FILES = {
    "dbt_project.yml": """
        name: yard
        version: "1.0"
        profile: yard
        vars: {edition: 1}
        models:
          yard:
            +materialized: table
    """,
    "seeds/sacks.csv": "sack_id,kilos\n1,25\n",
    "models/diary.sql": "{{ config(materialized='incremental', on_schema_change='append_new_columns') }}" + GROWING,
    "models/journal.sql": """
        {{ config(materialized='incremental', unique_key='id', on_schema_change='fail', contract={'enforced': true}) }}
        select cast(edition as integer) as id, cast(kilos as integer) as kilos from {{ ref('diary') }}
        {% if is_incremental() %} where edition not in (select id from {{ this }}) {% endif %}
    """,
    "models/never.sql": "{{ config(materialized='incremental', full_refresh=false) }}" + GROWING,
    "models/after.sql": "select edition, count(*) as days from {{ ref('diary') }} group by edition",
    "models/turning.sql": "{{ config(materialized='view') }} select {{ var('edition') }} as edition",
    "models/settling.sql": "{{ config(materialized='table') }} select {{ var('edition') }} as edition",
    "models/gone.sql": "select 1 as id",
    "models/remembered.sql": "select * from {{ ref('shot') }}",
    "models/schema.yml": """
        models:
          - name: journal
            constraints: [{type: primary_key, columns: [id]}, {type: check, expression: id > 0}]
            columns:
              - {name: id, data_type: integer, constraints: [{type: not_null}]}
              - {name: kilos, data_type: integer}
    """,
    "snapshots/shot.sql": """
        {% snapshot shot %}
        {{ config(unique_key='sack_id', strategy='check', check_cols=['kilos']) }}
        select * from {{ ref('sacks') }}
        {% endsnapshot %}
    """,
}
BY_HAND = (
    "create role clerk",
    "comment on table production.diary is 'kept by hand'",
    "comment on column production.diary.kilos is 'how heavy'",
    "grant select on production.diary to clerk with grant option",
    "create index by_kilos on production.diary (kilos) where kilos > 1",
    "alter table production.diary add column twice int generated always as (kilos * 2) stored",
    "alter table production.diary add column line int generated always as identity",
    "alter table production.diary set (fillfactor = 70)",
    "create statistics production.together on id, kilos from production.diary",
    "create table production.parents (id int primary key)",
    "insert into production.parents values (25)",
    "alter table production.diary add foreign key (kilos) references production.parents (id)",
    "alter table production.diary add constraint heavy check (kilos > 0)",
)
KEPT = {
    "grants": "select relacl::text, reloptions::text, obj_description(oid) from pg_class where oid = '{}'::regclass",
    "columns": """
        select attname, format_type(atttypid, atttypmod), attgenerated, attidentity, col_description(attrelid, attnum)
        from pg_attribute where attrelid = '{}'::regclass and attnum > 0 order by attnum""",
    "constraints": "select pg_get_constraintdef(oid) from pg_constraint where conrelid = '{}'::regclass order by 1",
    "indexes": """
        select substring(pg_get_indexdef(indexrelid) from 'USING.*') from pg_index
        where indrelid = '{}'::regclass order by 1""",
    "statistics": "select stxkeys::text from pg_statistic_ext where stxrelid = '{}'::regclass",
}


@pytest.fixture(scope="module", params=BOTH)
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    with a_warehouse(request.param, folder) as warehouse:
        yield ready(Yard(folder / "project", warehouse, FILES))


def ready(yard: Yard) -> Yard:
    promoted = yard.promote()
    assert promoted.outcome is PromotionOutcome.PROMOTED, promoted.words
    if not yard.is_duckdb:
        yard.execute(*BY_HAND)
    else:
        yard.execute("create index by_kilos on production.diary (kilos, (id + 1))")
    return yard


def hangs_on(yard: Yard, table: str) -> dict[str, list[tuple[object, ...]]]:
    """Return what hangs on a table, in words that do not name it."""
    if yard.is_duckdb:
        queries = {
            "indexes": "select is_unique, expressions from duckdb_indexes() where table_name = '{}'",
            "constraints": "select constraint_text from duckdb_constraints() where table_name = '{}' order by 1",
        }
        return {name: yard.warehouse.rows(query.format(table.split(".")[1])) for name, query in queries.items()}
    return {name: yard.warehouse.rows(query.format(table)) for name, query in KEPT.items()}


def test_rows_are_kept_and_others_come(yard: Yard) -> None:
    before = {table: hangs_on(yard, table) for table in ("production.diary", "production.journal")}
    shot = yard.warehouse.rows("select * from production.shot")
    yard.edit("dbt_project.yml", "edition: 1", "edition: 2")
    yard.write("seeds/sacks.csv", "sack_id,kilos,colour\n1,25,red\n")
    yard.edit("snapshots/shot.sql", "check_cols=['kilos']", "check_cols=['kilos'], hard_deletes='ignore'")
    yard.edit("models/turning.sql", "'view'", "'table'")
    yard.edit("models/settling.sql", "'table'", "'incremental'")
    (yard.folder / "models" / "gone.sql").unlink()
    promoted = yard.promote(on_incremental_change=IncrementalChange.FORWARD_ONLY, allow_removals=True)
    assert promoted.outcome is PromotionOutcome.PROMOTED, (promoted.message, promoted.words)

    assert yard.warehouse.rows("select id, kilos from production.diary order by id") == [(1, 25), (2, 25)]
    assert yard.column("select id from production.journal order by id") == [1, 2]
    assert yard.column("select id from production.never order by id") == [1, 2]
    assert yard.warehouse.rows("select edition, days from production.after order by 1") == [(1, 1), (2, 1)]
    assert {table: hangs_on(yard, table) for table in before} == before
    assert yard.warehouse.rows("select * from production.shot") == shot
    assert yard.column("select sack_id from production.remembered") == [1]
    assert yard.column("select colour from production.sacks") == ["red"]
    assert yard.column("select edition from production.turning") == [2]
    assert yard.column("select edition from production.settling order by 1") == [1, 2], "as dbt has it"
    assert yard.column("select id from production.gone") == [1]
    if not yard.is_duckdb:
        assert yard.column("select line from production.diary order by id") == [1, 2]


def test_rows_are_built_anew_where_that_is_asked_for(yard: Yard) -> None:
    anew = {"on_incremental_change": IncrementalChange.FULL_REFRESH}
    yard.edit("models/diary.sql", "s.kilos", "s.kilos + 0 as kilos")
    yard.edit("models/never.sql", "s.kilos", "s.kilos + 0 as kilos")
    yard.edit("models/turning.sql", "'table'", "'view'")
    refused = yard.promote(**anew)  # type: ignore[arg-type] - any field
    assert refused.outcome is PromotionOutcome.REFUSED
    assert [verdict.code for _, verdict in refused.plan.refusals] == ["never_anew"]
    yard.edit("models/never.sql", "s.kilos + 0 as kilos", "s.kilos")
    names = ("diary", "after", "journal", "turning")
    promoted = yard.promote(*names, **anew)  # type: ignore[arg-type] - any field
    assert promoted.outcome is PromotionOutcome.PROMOTED, (promoted.message, promoted.words)
    assert yard.column("select id from production.diary order by id") == [2]
    assert yard.column("select id from production.journal order by id") == [1, 2], "its parent changed, and not itself"
    assert yard.column("select edition from production.turning") == [2]


def test_a_clone_is_refused_with_its_reason(yard: Yard) -> None:
    refused = yard.promote("settling", strategy=Strategy.CLONE, force=True)
    assert refused.outcome is PromotionOutcome.REFUSED
    assert "makes a view on the source" in refused.message
