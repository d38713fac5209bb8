"""What would be asked and done on Snowflake, compared word by word: it was never run there."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from airflow_dbt_promotion.core.beside import Arrangement, Fill
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.catalog import Kind, Relation
from airflow_dbt_promotion.dbt.publish.dialect import Answers
from airflow_dbt_promotion.dbt.publish.snowflake import Snowflake
from tests.dbt.publish.arrangements import answers, arranged, beside, located, places_of, statements

PLAIN, MIXED = (False, False, False), (False, False, True)
ORDERS = Place(database="analytics", schema="prod", identifier="orders", quoted=PLAIN)
WHERE = ("ANALYTICS", "PROD")


@dataclass
class Found:
    """What the catalog has."""

    orders: str = "BASE TABLE"
    transient: str = "YES"
    revenue: str = (
        "create or replace   view analytics.prod.revenue__next_1f0c22ab\n"
        "  (id comment 'as (it) is')\n"
        "  as (\n"
        "    select * from analytics.prod.orders__next_1f0c22ab, ANALYTICS.PROD.NEW__NEXT_1F0C22AB\n"
        "  );"
    )

    @property
    def answers(self) -> Answers:
        """What the warehouse would answer."""
        return answers(
            relations=[
                (*WHERE, "ORDERS", self.orders, "DBT", self.transient),
                (*WHERE, "ORDERS__NEXT_1F0C22AB", "BASE TABLE", "DBT", "YES"),
                (*WHERE, "NEW__NEXT_1F0C22AB", "BASE TABLE", "DBT", "YES"),
                (*WHERE, "REVENUE", "VIEW", "DBT", "NO"),
                (*WHERE, "REVENUE__NEXT_1F0C22AB", "VIEW", "DBT", "NO"),
                (*WHERE, "Top_Revenue__next_1f0c22ab", "VIEW", "DBT", "NO"),
            ],
            views=[
                (*WHERE, "REVENUE__NEXT_1F0C22AB", self.revenue),
                (
                    *WHERE,
                    "Top_Revenue__next_1f0c22ab",
                    (
                        'create or replace secure view analytics.prod."Top_Revenue__next_1f0c22ab" copy grants as (\n'
                        "  select * from analytics.prod.revenue__next_1f0c22ab\n)"
                    ),
                ),
            ],
        )


@pytest.fixture
def arrangement() -> Arrangement:
    """Return the small arrangement."""
    return arranged("analytics", PLAIN, MIXED)


def test_the_catalog_is_asked_database_by_database(arrangement: Arrangement) -> None:
    elsewhere = Place(database="Raw", schema="prod", identifier="o'r", quoted=(True, False, True))
    asked = Snowflake().questions([*places_of(arrangement)[:2], elsewhere])
    assert asked == {
        "relations": """
select to_json(array_construct(
  table_catalog, table_schema, table_name, iff(is_dynamic = 'YES', 'DYNAMIC TABLE', table_type),
  coalesce(table_owner, ''), coalesce(is_transient, 'NO')
)::variant)
from "ANALYTICS".information_schema.tables
where (table_schema, table_name) in (('PROD', 'ORDERS'), ('PROD', 'ORDERS__NEXT_1F0C22AB'))
union all
select to_json(array_construct(
  table_catalog, table_schema, table_name, iff(is_dynamic = 'YES', 'DYNAMIC TABLE', table_type),
  coalesce(table_owner, ''), coalesce(is_transient, 'NO')
)::variant)
from "Raw".information_schema.tables
where (table_schema, table_name) in (('PROD', 'o\\'r'))""",
        "views": """
select to_json(array_construct(table_catalog, table_schema, table_name, coalesce(view_definition, ''))::variant)
from "ANALYTICS".information_schema.views
where (table_schema, table_name) in (('PROD', 'ORDERS'), ('PROD', 'ORDERS__NEXT_1F0C22AB'))
union all
select to_json(array_construct(table_catalog, table_schema, table_name, coalesce(view_definition, ''))::variant)
from "Raw".information_schema.views
where (table_schema, table_name) in (('PROD', 'o\\'r'))""",
    }
    assert Snowflake().questions([]) == {}


def test_tables_are_swapped_and_views_renamed_model_by_model(arrangement: Arrangement) -> None:
    assert statements(Snowflake(), arrangement, Found().answers) == {
        "orders": [
            (
                "create transient table if not exists analytics.prod.orders__was_1f0c22ab clone analytics.prod.orders "
                "copy grants"
            ),
            "alter table analytics.prod.orders swap with analytics.prod.orders__next_1f0c22ab",
            "drop table analytics.prod.orders__next_1f0c22ab",
        ],
        "new": ["alter table analytics.prod.new__next_1f0c22ab rename to analytics.prod.new"],
        "revenue": [
            (
                "create or replace view analytics.prod.revenue__next_1f0c22ab\n"
                "  (id comment 'as (it) is') copy grants\n"
                "  as (\n"
                "    select * from analytics.prod.orders, ANALYTICS.PROD.new\n"
                "  )"
            ),
            "alter view analytics.prod.revenue rename to analytics.prod.revenue__was_1f0c22ab",
            "alter view analytics.prod.revenue__next_1f0c22ab rename to analytics.prod.revenue",
        ],
        "top_revenue": [
            (
                'create or replace secure view analytics.prod."Top_Revenue__next_1f0c22ab" copy grants as (\n'
                "  select * from analytics.prod.revenue\n)"
            ),
            'alter view analytics.prod."Top_Revenue__next_1f0c22ab" rename to analytics.prod."Top_Revenue"',
        ],
    }


def test_what_is_kept_is_told_step_by_step(arrangement: Arrangement) -> None:
    steps = Snowflake().swap(arrangement, Snowflake().catalog(Found().answers))
    assert [step.kept for step in steps] == [("model.shop.orders",), (), ("model.shop.revenue",), ()]


@pytest.mark.parametrize(
    ("found", "kind"), [(Found(orders="VIEW"), "view"), (Found(transient="NO"), "table")], ids=["a view", "permanent"]
)
def test_what_is_not_of_the_same_kind_is_renamed(arrangement: Arrangement, found: Found, kind: str) -> None:
    assert statements(Snowflake(), arrangement, found.answers)["orders"] == [
        f"alter {kind} analytics.prod.orders rename to analytics.prod.orders__was_1f0c22ab",
        "alter table analytics.prod.orders__next_1f0c22ab rename to analytics.prod.orders",
    ]


@pytest.mark.parametrize("text", ["", "show views", "create table revenue"])
def test_a_view_whose_text_is_not_known_is_not_swapped(arrangement: Arrangement, text: str) -> None:
    with pytest.raises(NotSwappedError, match=r"prod\.revenue__next_1f0c22ab"):
        statements(Snowflake(), arrangement, Found(revenue=text).answers)


def test_columns_that_never_end_are_taken_for_none(arrangement: Arrangement) -> None:
    broken = Found(revenue="create view analytics.prod.revenue__next_1f0c22ab (id as select ')'")
    first = statements(Snowflake(), arrangement, broken.answers)["revenue"][0]
    assert first == "create or replace view analytics.prod.revenue__next_1f0c22ab copy grants (id as select ')'"


def test_copies_and_clones_are_of_the_kind_that_they_are_of() -> None:
    catalog = Snowflake().catalog(Found().answers)
    copy, clone = beside(ORDERS, Fill.COPY), beside(ORDERS, Fill.CLONE, ORDERS.named("orders_of_staging"))
    assert Snowflake().copied(copy, catalog) == (
        "create transient table analytics.prod.orders__next_1f0c22ab clone analytics.prod.orders copy grants",
    )
    assert Snowflake().copied(clone, catalog) == (
        "create table analytics.prod.orders__next_1f0c22ab clone analytics.prod.orders_of_staging",
    )


def test_names_fold_to_upper_case_and_kinds_are_told() -> None:
    place = Place(database="Raw", schema="Prod", identifier="Orders", quoted=(False, True, False))
    assert Snowflake().spot(place) == ("RAW", "Prod", "ORDERS")
    catalog = Snowflake().catalog(answers(relations=[(*WHERE, "ORDERS", "DYNAMIC TABLE", "DBT", "NO")]))
    assert catalog.kind((*WHERE, "ORDERS")) is Kind.OTHER
    assert (
        Snowflake().dropped(ORDERS, Relation(spot=(*WHERE, "X"), kind=Kind.VIEW)) == "drop view analytics.prod.orders"
    )


def test_what_cannot_be_swapped_is_refused() -> None:
    assert Snowflake().refusal(located(ORDERS)) is None
    assert "dynamic table" in (Snowflake().refusal(located(ORDERS, materialized="dynamic_table")) or "")
    assert "Iceberg" in (Snowflake().refusal(located(ORDERS, table_format="iceberg")) or "")
