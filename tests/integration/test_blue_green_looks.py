"""After a swap the relation that readers see has what `dbt build` would give it: grants, comments, indexes, keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest

from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import DuckDb, a_postgres
from tests.integration.yard import MADE, Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

FILES = {
    "dbt_project.yml": """
        name: yard
        version: "1.0"
        profile: yard
        vars: {edition: 1}
        models:
          yard:
            +materialized: table
            +persist_docs: {relation: true, columns: true}
    """,
    "models/customers.sql": "select 1 as id, 'a' as name, {{ var('edition') }} as edition",
    "models/orders.sql": """
        select 1 as id, c.id as customer_id, 10 as amount, {{ var('edition') }} as edition
        from {{ ref('customers') }} c
    """,
    "models/told.sql": """
        {{ config(materialized='view', post_hook="comment on view {{ this }} is 'a hook says: it''s \\"this\\"'") }}
        select id, edition from {{ ref('orders') }}
    """,
    "models/seen.sql": """
        {{ config(materialized='view') }}
        select o.id, t.edition from {{ ref('orders') }} o join {{ ref('told') }} t using (id)
    """,
    "models/schema.yml": """
        models:
          - name: customers
            description: "who buys: it's \\"them\\" {}"
            config: {contract: {enforced: true}}
            constraints: [{type: primary_key, columns: [id]}]
            columns:
              - {name: id, data_type: integer, description: the id, constraints: [{type: not_null}]}
              - {name: name, data_type: varchar(20), constraints: [{type: unique}]}
              - {name: edition, data_type: integer}
          - name: orders
            description: what is bought
            columns:
              - {name: id, description: "the id's"}
          - name: seen
            description: a view over a view
            columns:
              - {name: edition, description: which one}
    """,
}

POSTGRES = {
    "models/orders.sql": """
        {{ config(
          indexes=[{'columns': ['id'], 'unique': true}, {'columns': ['customer_id', 'amount'], 'type': 'btree'}],
          grants={'select': ['analyst']}
        ) }}
        select 1 as id, c.id as customer_id, 10 as amount, {{ var('edition') }} as edition
        from {{ ref('customers') }} c
    """,
    "models/bound.sql": """
        {{ config(contract={'enforced': true}) }}
        select id, customer_id, {{ var('edition') }} as edition from {{ ref('orders') }}
    """,
    "models/heap.sql": """
        {{ config(materialized='materialized_view', indexes=[{'columns': ['id']}]) }}
        select id, edition from {{ ref('orders') }}
    """,
    "models/bound.yml": """
        models:
          - name: bound
            config: {grants: {select: [analyst]}}
            constraints:
              - {type: foreign_key, columns: [customer_id], to: ref('customers'), to_columns: [id]}
              - {type: check, columns: [id], expression: id > 0}
            columns:
              - {name: id, data_type: int}
              - {name: customer_id, data_type: int}
              - {name: edition, data_type: int}
    """,
}

DUCKDB = {
    "models/orders.sql": """
        {{ config(
          indexes=[{'columns': ['id'], 'unique': true}, {'columns': ['customer_id', 'amount']}],
          post_hook='create index "by ON ({{ this.identifier }})" on {{ this }} (amount, ("id" + 1))'
        ) }}
        select 1 as id, c.id as customer_id, 10 as amount, {{ var('edition') }} as edition
        from {{ ref('customers') }} c
    """
}

ROLES = (
    "create role analyst",
    "create schema if not exists production",
    "create schema if not exists plain",
    "alter default privileges in schema production grant select on tables to analyst",
    "alter default privileges in schema plain grant select on tables to analyst",
)


@pytest.fixture(scope="module", params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    if request.param == "duckdb":
        yield Yard(folder / "project", DuckDb(folder), FILES | DUCKDB)
        return
    with a_postgres(folder / "pg") as postgres:
        postgres.execute("; ".join(ROLES))
        yield Yard(folder / "project", postgres, FILES | POSTGRES)


ON_POSTGRES = {
    "grants": """
        select relname, relkind, relacl::text from pg_class
        where relnamespace = '{}'::regnamespace and relkind in ('r', 'v', 'm')""",
    "comments": """
        select c.relname, d.objsubid, d.description from pg_description d
        join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
        where c.relnamespace = '{}'::regnamespace""",
    "indexes": """
        select tablename, regexp_replace(indexdef, 'INDEX .* ON [^ ]*', 'INDEX ON') from pg_indexes
        where schemaname = '{}'""",
    "constraints": """
        select conrelid::regclass::text, contype, pg_get_constraintdef(oid) from pg_constraint
        where connamespace = '{}'::regnamespace""",
    "columns": """
        select table_name, column_name, ordinal_position, data_type, is_nullable, character_maximum_length
        from information_schema.columns where table_schema = '{}'""",
}
ON_DUCKDB = {
    "tables": "select table_name, comment, sql from duckdb_tables() where schema_name = '{}'",
    "views": "select view_name, comment, sql from duckdb_views() where schema_name = '{}'",
    "columns": """
        select table_name, column_name, column_index, data_type, is_nullable, comment
        from duckdb_columns() where schema_name = '{}'""",
    "indexes": """
        select table_name, is_unique, expressions from duckdb_indexes() where schema_name = '{}'""",
    "constraints": """
        select table_name, constraint_type, constraint_text from duckdb_constraints() where schema_name = '{}'""",
}


def looks(yard: Yard, schema: str) -> Mapping[str, list[str]]:
    """Return everything that a schema's catalog says of what readers see there, in the same words for any schema."""
    queries = ON_DUCKDB if yard.is_duckdb else ON_POSTGRES
    found = {}
    for name, query in queries.items():
        rows = [repr(row).replace(f"{schema}.", "") for row in yard.warehouse.rows(query.format(schema))]
        found[name] = sorted(
            row for row in rows if not re.search(MADE, row.split(",")[0]) and "dbt_promotion_" not in row
        )
    return found


def test_what_readers_see_is_what_a_build_would_have_made(yard: Yard) -> None:
    for now in (1, 2, 3):
        if now > 1:
            yard.edit("dbt_project.yml", f"edition: {now - 1}", f"edition: {now}")
        promoted = yard.promote()
        assert promoted.outcome is PromotionOutcome.PROMOTED, (promoted.message, promoted.words)
    assert yard.promote(target="plain").outcome is PromotionOutcome.PROMOTED
    swapped, built = looks(yard, "production"), looks(yard, "plain")
    for name in swapped:
        assert swapped[name] == built[name], name
    assert all(len(rows) > 1 for rows in swapped.values())
    assert yard.column("select edition from production.seen") == [3]
