"""What would be asked and done on BigQuery, compared word by word: it was never run there."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.beside import Arrangement, Fill
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.bigquery import BigQuery
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind, Relation
from airflow_dbt_promotion.dbt.publish.dialect import Answers
from tests.dbt.publish.arrangements import answers, arranged, beside, located, places_of, statements

QUOTED, MIXED = (True, True, True), (False, True, True)
ORDERS = Place(database="shop-1", schema="prod", identifier="orders")
WHERE = ("shop-1", "prod")
TABLE = "CREATE TABLE `shop-1.prod.{}`\n(\n  id INT64,\n  day DATE\n)\nPARTITION BY {}\nCLUSTER BY id\nOPTIONS(\n);"

REVENUE = """CREATE VIEW `shop-1.prod.revenue__next_1f0c22ab`
OPTIONS(
  description="is"
)
AS select * from `shop-1`.`prod`.`orders__next_1f0c22ab`, `shop-1`.`prod`.`new__next_1f0c22ab`;"""


def found(orders: str = "BASE TABLE", layout: str = "day", revenue: str = "VIEW", head: str = "CREATE VIEW") -> Answers:
    """Return what the warehouse would answer."""
    old = TABLE.format("orders", layout) if orders == "BASE TABLE" else "CREATE VIEW `shop-1.prod.orders`\nAS select 0;"
    return answers(
        relations=[
            (*WHERE, "orders", orders, old),
            (*WHERE, "orders__next_1f0c22ab", "BASE TABLE", TABLE.format("orders__next_1f0c22ab", "day")),
            (*WHERE, "new__next_1f0c22ab", "BASE TABLE", "CREATE TABLE `shop-1.prod.new__next_1f0c22ab`\n(\n);"),
            (
                *WHERE,
                "revenue",
                revenue,
                'CREATE VIEW `shop-1.prod.revenue`\nOPTIONS(\n  description="was"\n)\nAS s 1;',
            ),
            (
                *WHERE,
                "revenue__next_1f0c22ab",
                "VIEW",
                REVENUE.replace("CREATE VIEW", head),
            ),
            (
                *WHERE,
                "Top_Revenue__next_1f0c22ab",
                "VIEW",
                (
                    "CREATE VIEW `shop-1`.`prod`.`Top_Revenue__next_1f0c22ab`\n"
                    "AS select * from `shop-1`.`prod`.`revenue__next_1f0c22ab`"
                ),
            ),
        ]
    )


@pytest.fixture
def arrangement() -> Arrangement:
    """Return the small arrangement."""
    return arranged("shop-1", QUOTED, MIXED)


def test_the_catalog_is_asked_dataset_by_dataset(arrangement: Arrangement) -> None:
    elsewhere = Place(database="shop-1", schema="raw", identifier="orders")
    assert BigQuery().questions([*places_of(arrangement)[:2], elsewhere]) == {
        "relations|shop-1|prod": """
select to_json_string([table_catalog, table_schema, table_name, table_type, ifnull(ddl, '')])
from `shop-1`.`prod`.INFORMATION_SCHEMA.TABLES
where (table_schema, table_name) in (('prod', 'orders'), ('prod', 'orders__next_1f0c22ab'))""",
        "relations|shop-1|raw": """
select to_json_string([table_catalog, table_schema, table_name, table_type, ifnull(ddl, '')])
from `shop-1`.`raw`.INFORMATION_SCHEMA.TABLES
where (table_schema, table_name) in (('raw', 'orders'))""",
    }


def test_tables_and_views_are_replaced_model_by_model(arrangement: Arrangement) -> None:
    assert statements(BigQuery(), arrangement, found()) == {
        "orders": [
            "create table if not exists `shop-1`.`prod`.`orders__was_1f0c22ab` clone `shop-1`.`prod`.`orders`",
            "create or replace table `shop-1`.`prod`.`orders` clone `shop-1`.`prod`.`orders__next_1f0c22ab`",
            "drop table `shop-1`.`prod`.`orders__next_1f0c22ab`",
        ],
        "new": ["alter table `shop-1`.`prod`.`new__next_1f0c22ab` rename to `new`"],
        "revenue": [
            (
                "create view if not exists `shop-1`.`prod`.`revenue__was_1f0c22ab`\n"
                'OPTIONS(\n  description="was"\n)\nAS s 1'
            ),
            (
                'create or replace view `shop-1`.`prod`.`revenue`\nOPTIONS(\n  description="is"\n)\n'
                "AS select * from `shop-1`.`prod`.`orders`, `shop-1`.`prod`.`new`"
            ),
            "drop view `shop-1`.`prod`.`revenue__next_1f0c22ab`",
        ],
        "top_revenue": [
            "create or replace view shop-1.`prod`.`Top_Revenue`\nAS select * from `shop-1`.`prod`.`revenue`",
            "drop view shop-1.`prod`.`Top_Revenue__next_1f0c22ab`",
        ],
    }


def test_a_table_that_is_partitioned_otherwise_is_renamed(arrangement: Arrangement) -> None:
    assert statements(BigQuery(), arrangement, found(layout="DATE_TRUNC(day, MONTH)"))["orders"] == [
        "alter table `shop-1`.`prod`.`orders` rename to `orders__was_1f0c22ab`",
        "alter table `shop-1`.`prod`.`orders__next_1f0c22ab` rename to `orders`",
    ]


def test_a_view_that_becomes_a_table_is_dropped_once_it_is_kept(arrangement: Arrangement) -> None:
    assert statements(BigQuery(), arrangement, found(orders="VIEW"))["orders"] == [
        "create view if not exists `shop-1`.`prod`.`orders__was_1f0c22ab`\nAS select 0",
        "drop view `shop-1`.`prod`.`orders`",
        "alter table `shop-1`.`prod`.`orders__next_1f0c22ab` rename to `orders`",
    ]


def test_a_table_that_becomes_a_view_is_renamed(arrangement: Arrangement) -> None:
    before, *_rest = statements(BigQuery(), arrangement, found(revenue="BASE TABLE"))["revenue"]
    assert before == "alter table `shop-1`.`prod`.`revenue` rename to `revenue__was_1f0c22ab`"


def test_a_view_whose_text_is_not_understood_is_not_swapped(arrangement: Arrangement) -> None:
    with pytest.raises(NotSwappedError, match=r"prod\.revenue__next_1f0c22ab"):
        statements(BigQuery(), arrangement, found(head="CREATE SOMETHING"))


def test_copies_are_clones() -> None:
    copy, clone = beside(ORDERS, Fill.COPY), beside(ORDERS, Fill.CLONE, ORDERS.named("orders_of_staging"))
    assert BigQuery().copied(copy, Catalog()) == (
        "create table `shop-1`.`prod`.`orders__next_1f0c22ab` clone `shop-1`.`prod`.`orders`",
    )
    assert BigQuery().copied(clone, Catalog()) == (
        "create table `shop-1`.`prod`.`orders__next_1f0c22ab` clone `shop-1`.`prod`.`orders_of_staging`",
    )


def test_kinds_are_told_and_names_keep_their_case() -> None:
    catalog = BigQuery().catalog(answers(relations=[(*WHERE, "Orders", "CLONE", ""), (*WHERE, "x", "EXTERNAL", "")]))
    assert catalog.kind(BigQuery().spot(ORDERS.named("Orders"))) is Kind.TABLE
    assert catalog.kind((*WHERE, "x")) is Kind.OTHER
    assert BigQuery().dropped(ORDERS, Relation(spot=(*WHERE, "x"), kind=Kind.TABLE)) == (
        "drop table `shop-1`.`prod`.`orders`"
    )


def test_what_cannot_be_swapped_is_refused() -> None:
    assert BigQuery().refusal(located(ORDERS)) is None
    assert "materialized view" in (BigQuery().refusal(located(ORDERS, materialized="materialized_view")) or "")
    assert "Iceberg" in (BigQuery().refusal(located(ORDERS, table_format="iceberg")) or "")
    assert "grant" in (BigQuery().refusal(located(ORDERS, grants=True)) or "")
