"""What hangs on a table: it comes along where it can, else it stops a promotion before anything is built."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dbt_promotion.core.beside import token_of
from airflow_dbt_promotion.core.environment import IncrementalChange
from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import DuckDb, Warehouse, a_postgres
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

FILES = {
    "dbt_project.yml": """
        name: yard
        version: "1.0"
        profile: yard
        quoting: {database: false, schema: false, identifier: false}
        vars: {edition: 1}
        models:
          yard: {+materialized: table}
    """,
    "models/parent.sql": """
        {{ config(alias='PaRent', contract={'enforced': true}) }}
        select 1 as id, {{ var('edition') }} as edition
    """,
    "models/diary.sql": """
        {{ config(materialized='incremental') }} select id, edition from {{ ref('parent') }} as parent
        {% if is_incremental() %} where edition > (select max(edition) from {{ this }}) {% endif %}
    """,
    "models/written.sql": """
        {{ config(materialized='view') }} select *, {{ var('edition') }} as told from production.parent
    """,
    "models/schema.yml": """
        models:
          - name: parent
            constraints: [{type: primary_key, columns: [id]}]
            columns: [{name: id, data_type: int}, {name: edition, data_type: int}]
    """,
}
FORWARD = {"on_incremental_change": IncrementalChange.FORWARD_ONLY}


def a_yard(folder: Path, warehouse: Warehouse) -> Yard:
    """Return a yard whose production has edition 1."""
    (folder / "project").mkdir()
    yard = Yard(folder / "project", warehouse, FILES)
    assert yard.promote("parent").outcome is PromotionOutcome.PROMOTED
    promoted = yard.promote()
    assert promoted.outcome is PromotionOutcome.PROMOTED, promoted.words
    return yard


@pytest.mark.postgres
def test_on_postgresql_keys_and_written_names_follow_and_what_cannot_stops_it(tmp_path: Path) -> None:
    with a_postgres(tmp_path / "pg") as postgres:
        yard = a_yard(tmp_path, postgres)
        yard.execute(
            "alter table production.diary add constraint of_parent foreign key (id) references production.parent (id)"
        )
        yard.edit("dbt_project.yml", "edition: 1", "edition: 2")
        promoted = yard.promote(**FORWARD)
        assert promoted.outcome is PromotionOutcome.PROMOTED, (promoted.message, promoted.words)
        assert yard.column("select edition from production.diary order by 1") == [1, 2]
        assert yard.column("select edition + told from production.written") == [4]
        keys = (
            "select conrelid::regclass::text, conname, confrelid::regclass::text from pg_constraint where contype = 'f'"
        )
        assert ("production.diary", "of_parent", "production.parent") in yard.warehouse.rows(keys)

        yard.execute(
            "alter table production.diary add column number serial",
            "create policy mine on production.diary using (id > 0)",
            "alter table production.diary enable row level security",
            "create function production.stop() returns trigger language plpgsql as 'begin return new; end'",
            "create trigger stops before insert on production.diary execute function production.stop()",
        )
        yard.edit("dbt_project.yml", "edition: 2", "edition: 3")
        refused = yard.promote(**FORWARD)
        assert [verdict.code for _, verdict in refused.plan.refusals] == ["not_copied"]
        for lost in ("trigger stops", "the sequence production.diary_number_seq"):
            assert lost in refused.message


def test_on_duckdb_keys_and_files_and_names_that_are_taken_stop_it(tmp_path: Path) -> None:
    yard = a_yard(tmp_path, DuckDb(tmp_path))
    yard.edit("dbt_project.yml", "edition: 1", "edition: 2")
    promoted = yard.promote(**FORWARD)
    assert promoted.outcome is PromotionOutcome.PROMOTED, (promoted.message, promoted.words)
    assert yard.column("select edition from production.diary order by 1") == [1, 2]
    assert yard.column("select edition + told from production.written") == [4]

    yard.write(
        "models/filed.sql", f"{{{{ config(materialized='external', location='{tmp_path}/f.csv') }}}} select 1 as id"
    )
    yard.write("models/bound.sql", "{{ config(contract={'enforced': true}) }} select id from {{ ref('parent') }}")
    yard.write(
        "models/bound.yml",
        "models: [{name: bound, columns: [{name: id, data_type: int}], "
        "constraints: [{type: foreign_key, columns: [id], to: ref('parent'), to_columns: [id]}]}]",
    )
    yard.execute("create table production.others (id int references production.PaRent (id))")
    yard.edit("dbt_project.yml", "edition: 2", "edition: 3")
    plan = yard.promote(dry_run=True, **FORWARD).plan
    state = yard.state()
    token = token_of(plan.plan_id, state.lineage, state.epoch + 1)
    yard.execute(f"create view production.WRITTEN__was_{token} as select 1 as id")
    before = yard.column("select table_name from information_schema.tables order by 1")
    refused = yard.promote(**FORWARD)
    told = {(verdict.reason.split(":")[0], verdict.code): verdict.reason for _, verdict in refused.plan.refusals}
    assert told.keys() == {
        ("filed", "not_swappable"),
        ("bound", "not_swappable"),
        ("parent", "depended_on"),
        ("written", "in_the_way"),
    }
    assert "readers would see before its tests" in told["filed", "not_swappable"]
    assert "a foreign key of production.others" in told["parent", "depended_on"]
    assert f"production.written__was_{token} is there already" in told["written", "in_the_way"]
    assert yard.column("select table_name from information_schema.tables order by 1") == before
    assert not (tmp_path / "f.csv").exists()
