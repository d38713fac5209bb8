"""What would be asked and done on Redshift, compared word by word: it was never run there."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pytest
import sqlparse

from airflow_dbt_promotion.core.beside import Arrangement, Fill
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish import redshift_catalog
from airflow_dbt_promotion.dbt.publish.catalog import Kind, Reader, Relation, Tie
from airflow_dbt_promotion.dbt.publish.dialect import Answers
from airflow_dbt_promotion.dbt.publish.redshift import Redshift
from tests.dbt.publish.arrangements import answers, arranged, beside, located, places_of, statements
from tests.integration.warehouse import a_postgres

QUOTED, MIXED = (True, True, True), (True, False, True)
ORDERS = Place(database="dev", schema="prod", identifier="orders")
DAILY = ("bi", "daily", 'bi."Daily"', "SELECT orders.id FROM prod.orders;", "dbt", "1")
LATE = 'create view prod."top_revenue__next_1f0c22ab" as (\nselect * from dev.prod.revenue__next_1f0c22ab\n) with no\n'


def found(late: str = f"{LATE} schema binding;") -> Answers:
    """Return what the warehouse would answer."""
    return answers(
        relations=[
            ("prod", "orders", "r", "dbt", "1", ""),
            ("prod", "orders__next_1f0c22ab", "r", "dbt", "1", ""),
            ("prod", "new__next_1f0c22ab", "r", "dbt", "1", ""),
            ("prod", "revenue", "v", "other", "", "SELECT 1;"),
            ("prod", "revenue__next_1f0c22ab", "v", "dbt", "1", "SELECT * FROM prod.orders__next_1f0c22ab;"),
            ("prod", "top_revenue__next_1f0c22ab", "v", "dbt", "1", late),
        ],
        readers=[
            (*DAILY, "prod", "orders", "id"),
            (*DAILY, "prod", "orders", "amount"),
            ("prod", "revenue__next_1f0c22ab", "x", "SELECT", "dbt", "1", "prod", "orders__next_1f0c22ab", ""),
        ],
        tied=[("prod", "orders", "the materialized view bi.hourly")],
        columns=[("prod", "orders", "id"), ("prod", "orders", "amount")],
        additions=[("prod", "orders", "grant SELECT on {} to role analyst")],
    )


@pytest.fixture
def arrangement() -> Arrangement:
    """Return the small arrangement."""
    return arranged("dev", QUOTED, MIXED)


def test_everything_is_renamed_in_one_step(arrangement: Arrangement) -> None:
    assert statements(Redshift(), arrangement, found()) == {
        "orders new revenue top_revenue": [
            'lock "dev"."prod"."orders"',
            'alter table "dev"."prod"."orders" rename to "orders__was_1f0c22ab"',
            'alter table "dev"."prod"."orders__next_1f0c22ab" rename to "orders"',
            'alter table "dev"."prod"."new__next_1f0c22ab" rename to "new"',
            'alter table "dev"."prod"."revenue" rename to "revenue__was_1f0c22ab"',
            'alter table "dev"."prod"."revenue__next_1f0c22ab" rename to "revenue"',
            'alter table "dev".prod."Top_Revenue__next_1f0c22ab" rename to "Top_Revenue"',
            (
                'create or replace view "dev".prod."Top_Revenue" as (\nselect * from dev.prod.revenue\n) with no\n'
                " schema binding"
            ),
            'create or replace view bi."Daily" as SELECT orders.id FROM prod.orders',
        ]
    }


def test_what_is_only_new_locks_nothing(arrangement: Arrangement) -> None:
    alone = Arrangement(token=arrangement.token, besides=arrangement.besides[1:2])
    assert statements(Redshift(), alone, found()) == {
        "new": ['alter table "dev"."prod"."new__next_1f0c22ab" rename to "new"']
    }


def test_the_adapter_splits_what_is_sent_as_a_whole_into_its_statements(arrangement: Arrangement) -> None:
    ((_models, step),) = statements(Redshift(), arrangement, found()).items()
    whole = ["begin", *step, "insert into marks values ('a;b')", "commit"]
    assert [part.rstrip(";") for part in sqlparse.split(";\n".join(whole))] == whole


def test_a_view_that_is_bound_late_and_not_understood_is_not_swapped(arrangement: Arrangement) -> None:
    with pytest.raises(NotSwappedError, match=r"prod\.Top_Revenue__next_1f0c22ab"):
        statements(Redshift(), arrangement, found("something with no schema binding"))


def test_the_catalog_says_who_reads_what() -> None:
    catalog = Redshift().catalog(found())
    assert catalog.readers[0] == Reader(
        spot=("", "bi", "daily"),
        sql='bi."Daily"',
        definition="SELECT orders.id FROM prod.orders;",
        reads={("", "prod", "orders"): ("id", "amount")},
        owner="dbt",
    )
    assert catalog.readers[1].reads == {("", "prod", "orders__next_1f0c22ab"): ()}
    assert catalog.tied == {("", "prod", "orders"): (Tie(told="the materialized view bi.hourly"),)}
    assert catalog.columns == {("", "prod", "orders"): ("id", "amount")}
    assert catalog.relations["", "prod", "revenue"] == Relation(
        spot=("", "prod", "revenue"), kind=Kind.VIEW, owned=False, owner="other"
    )
    assert set(catalog.definitions) == {("", "prod", "top_revenue__next_1f0c22ab")}


def test_a_copy_has_distribution_order_and_grants() -> None:
    assert Redshift().copied(beside(ORDERS, Fill.COPY), Redshift().catalog(found())) == (
        'create table "dev"."prod"."orders__next_1f0c22ab" (like "dev"."prod"."orders" including defaults)',
        'insert into "dev"."prod"."orders__next_1f0c22ab" select * from "dev"."prod"."orders"',
        'grant SELECT on "dev"."prod"."orders__next_1f0c22ab" to role analyst',
    )


def test_the_catalog_is_asked_in_what_a_leader_node_has(arrangement: Arrangement) -> None:
    asked = Redshift().questions(places_of(arrangement)[:2])
    assert list(asked) == ["relations", "readers", "tied", "columns", "additions"]
    assert asked["columns"] == (
        "\nselect '[' || "
        "chr(34) || replace(replace(replace(replace(replace(cn.nspname, chr(92), chr(92) || chr(92)), "
        "chr(34), chr(92) || chr(34)), chr(10), chr(92) || 'n'), chr(13), chr(92) || 'r'), chr(9), chr(92) || 't') "
        "|| chr(34) || ',' || "
        "chr(34) || replace(replace(replace(replace(replace(c.relname, chr(92), chr(92) || chr(92)), "
        "chr(34), chr(92) || chr(34)), chr(10), chr(92) || 'n'), chr(13), chr(92) || 'r'), chr(9), chr(92) || 't') "
        "|| chr(34) || ',' || "
        "chr(34) || replace(replace(replace(replace(replace(a.attname, chr(92), chr(92) || chr(92)), "
        "chr(34), chr(92) || chr(34)), chr(10), chr(92) || 'n'), chr(13), chr(92) || 'r'), chr(9), chr(92) || 't') "
        "|| chr(34) || ']'\n"
        "from pg_class c join pg_namespace cn on cn.oid = c.relnamespace\n"
        "join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped\n"
        "where (lower(cn.nspname) = 'prod' and lower(c.relname) = 'orders' or "
        "lower(cn.nspname) = 'prod' and lower(c.relname) = 'orders__next_1f0c22ab') and c.relkind in ('r', 'v')\n"
        "order by cn.nspname, c.relname, a.attnum"
    )
    assert asked["relations"].endswith(
        "\nfrom pg_class c join pg_namespace cn on cn.oid = c.relnamespace\n"
        "where (lower(cn.nspname) = 'prod' and lower(c.relname) = 'orders' or "
        "lower(cn.nspname) = 'prod' and lower(c.relname) = 'orders__next_1f0c22ab') and c.relkind in ('r', 'v', 'm')"
    )
    assert asked["readers"].endswith(
        "\nfrom pg_depend d\n"
        "join pg_rewrite w on w.oid = d.objid\n"
        "join pg_class v join pg_namespace vn on vn.oid = v.relnamespace on v.oid = w.ev_class and v.relkind = 'v'\n"
        "join pg_class s join pg_namespace sn on sn.oid = s.relnamespace on s.oid = d.refobjid and s.oid <> v.oid\n"
        "left join pg_attribute a on a.attrelid = s.oid and a.attnum = d.refobjsubid and a.attnum > 0\n"
        "where (lower(sn.nspname) = 'prod' and lower(s.relname) = 'orders' or "
        "lower(sn.nspname) = 'prod' and lower(s.relname) = 'orders__next_1f0c22ab')\n"
        "  and coalesce(pg_get_viewdef(v.oid), '') not ilike '%create materialized view%'"
    )
    assert asked["additions"].endswith(
        "\nfrom svv_relation_privileges\n"
        "where (lower(namespace_name) = 'prod' and lower(relation_name) = 'orders' or "
        "lower(namespace_name) = 'prod' and lower(relation_name) = 'orders__next_1f0c22ab') "
        "and identity_name <> current_user"
    )
    assert Redshift().questions([]) == {}


@pytest.mark.parametrize("text", ["plain", 'a "b"', "back\\slash", "two\nlines\r\n\tand more", "it's", '\\"'])
def test_texts_are_joined_into_json_that_can_be_read(text: str) -> None:
    query = f"select {redshift_catalog._row('?', 'upper(?)')}"
    row = duckdb.connect().execute(query, [text, text]).fetchone()
    assert row is not None
    assert json.loads(row[0]) == [text, text.upper()]


@pytest.mark.postgres
def test_the_tables_of_the_catalog_are_those_of_postgres(tmp_path: Path) -> None:
    """Redshift's catalog comes from PostgreSQL's: the queries are sound there. It says nothing of Redshift."""
    spots = [("prod", "orders"), ("prod", "revenue")]
    with a_postgres(tmp_path / "data") as server:
        server.execute('create schema prod; create table prod.orders (id int, "a\\""b" text)')
        server.execute('create view prod."Revenue" as select id from prod.orders')
        asked = {name: query(spots) for name, query in redshift_catalog.ALL.items() if name != "additions"}
        told = {name: [json.loads(row[0]) for row in server.rows(query)] for name, query in asked.items()}  # type: ignore[arg-type]
    catalog = Redshift().catalog(told)
    assert {spot: relation.kind for spot, relation in catalog.relations.items()} == {
        ("", "prod", "orders"): Kind.TABLE,
        ("", "prod", "revenue"): Kind.VIEW,
    }
    (reader,) = catalog.readers
    assert (reader.sql, dict(reader.reads)) == ('prod."Revenue"', {("", "prod", "orders"): ("id",)})
    assert catalog.columns["", "prod", "orders"] == ("id", 'a\\"b')


def test_names_are_found_in_any_case_and_kinds_are_told() -> None:
    assert Redshift().spot(ORDERS.named("Orders")) == ("", "prod", "orders")
    catalog = Redshift().catalog(answers(relations=[("prod", "Orders", "m", "dbt", "1", "create materialized view")]))
    assert catalog.kind(("", "prod", "orders")) is Kind.OTHER
    assert Redshift().dropped(ORDERS, Relation(spot=("", "prod", "orders"), kind=Kind.TABLE)) == (
        'drop table "dev"."prod"."orders"'
    )


def test_what_cannot_be_swapped_is_refused() -> None:
    assert Redshift().refusal(located(ORDERS)) is None
    assert "renamed" in (Redshift().refusal(located(ORDERS, materialized="materialized_view")) or "")
