"""What would be asked and done on Databricks, compared word by word: it was never run there."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.beside import Arrangement, Fill
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind, Relation
from airflow_dbt_promotion.dbt.publish.databricks import Databricks
from airflow_dbt_promotion.dbt.publish.dialect import Answers, place_in
from tests.dbt.publish.arrangements import answers, arranged, beside, located, places_of, statements

QUOTED, MIXED = (True, True, True), (True, False, True)
ORDERS = Place(database="main", schema="prod", identifier="orders")
WHERE = ("main", "prod")


def found(text: str = "(\n  select * from `main`.`prod`.`orders__next_1f0c22ab`\n)") -> Answers:
    """Return what the warehouse would answer."""
    return answers(
        relations=[
            (*WHERE, "orders", "MANAGED", "dbt"),
            (*WHERE, "orders__next_1f0c22ab", "MANAGED", "dbt"),
            (*WHERE, "new__next_1f0c22ab", "MANAGED", "dbt"),
            (*WHERE, "revenue", "VIEW", "dbt"),
            (*WHERE, "revenue__next_1f0c22ab", "VIEW", "dbt"),
            (*WHERE, "top_revenue__next_1f0c22ab", "VIEW", "dbt"),
        ],
        views=[
            (*WHERE, "revenue__next_1f0c22ab", text),
            (*WHERE, "top_revenue__next_1f0c22ab", "select * from `main`.`prod`.`revenue__next_1f0c22ab`"),
        ],
        comments=[
            (*WHERE, "revenue__next_1f0c22ab", "", "it's revenue"),
            (*WHERE, "revenue__next_1f0c22ab", "id", "which"),
        ],
    )


@pytest.fixture
def arrangement() -> Arrangement:
    """Return the small arrangement."""
    return arranged("main", QUOTED, MIXED)


def test_the_information_schema_of_all_catalogs_is_asked(arrangement: Arrangement) -> None:
    asked = Databricks().questions([places_of(arrangement)[-1], Place(database="Raw", schema="s", identifier="x\\'")])
    assert asked == {
        "relations": """
select to_json(array(table_catalog, table_schema, table_name, table_type, coalesce(table_owner, '')))
from system.information_schema.tables where (table_catalog, table_schema, table_name) in """
        """(('main', 'prod', 'top_revenue__was_1f0c22ab'), ('raw', 's', 'x\\\\\\''))""",
        "views": """
select to_json(array(table_catalog, table_schema, table_name, coalesce(view_definition, '')))
from system.information_schema.views where (table_catalog, table_schema, table_name) in """
        """(('main', 'prod', 'top_revenue__was_1f0c22ab'), ('raw', 's', 'x\\\\\\''))""",
        "comments": """
select to_json(array(table_catalog, table_schema, table_name, '', comment))
from system.information_schema.tables where table_type = 'VIEW' and comment <> '' and """
        """(table_catalog, table_schema, table_name) in """
        """(('main', 'prod', 'top_revenue__was_1f0c22ab'), ('raw', 's', 'x\\\\\\''))
union all
select to_json(array(table_catalog, table_schema, table_name, column_name, comment))
from system.information_schema.columns where comment <> '' and (table_catalog, table_schema, table_name) in """
        """(('main', 'prod', 'top_revenue__was_1f0c22ab'), ('raw', 's', 'x\\\\\\''))""",
    }
    assert Databricks().questions([]) == {}


def test_everything_is_renamed_model_by_model(arrangement: Arrangement) -> None:
    assert statements(Databricks(), arrangement, found()) == {
        "orders": [
            "alter table `main`.`prod`.`orders` rename to `main`.`prod`.`orders__was_1f0c22ab`",
            "alter table `main`.`prod`.`orders__next_1f0c22ab` rename to `main`.`prod`.`orders`",
        ],
        "new": ["alter table `main`.`prod`.`new__next_1f0c22ab` rename to `main`.`prod`.`new`"],
        "revenue": [
            "alter view `main`.`prod`.`revenue__next_1f0c22ab` as (\n  select * from `main`.`prod`.`orders`\n)",
            "comment on view `main`.`prod`.`revenue__next_1f0c22ab` is 'it\\'s revenue'",
            "comment on column `main`.`prod`.`revenue__next_1f0c22ab`.`id` is 'which'",
            "alter view `main`.`prod`.`revenue` rename to `main`.`prod`.`revenue__was_1f0c22ab`",
            "alter view `main`.`prod`.`revenue__next_1f0c22ab` rename to `main`.`prod`.`revenue`",
        ],
        "top_revenue": [
            "alter view `main`.prod.`top_revenue__next_1f0c22ab` as select * from `main`.`prod`.`revenue`",
            "alter view `main`.prod.`top_revenue__next_1f0c22ab` rename to `main`.prod.`top_revenue`",
        ],
    }


def test_a_view_whose_text_is_not_shown_is_not_swapped(arrangement: Arrangement) -> None:
    with pytest.raises(NotSwappedError, match="its owner sees it"):
        statements(Databricks(), arrangement, found(text=""))


def test_copies_have_their_own_files() -> None:
    copy, clone = beside(ORDERS, Fill.COPY), beside(ORDERS, Fill.CLONE, ORDERS.named("orders_of_staging"))
    assert Databricks().copied(copy, Catalog()) == (
        "create table `main`.`prod`.`orders__next_1f0c22ab` deep clone `main`.`prod`.`orders`",
    )
    assert Databricks().copied(clone, Catalog()) == (
        "create table `main`.`prod`.`orders__next_1f0c22ab` deep clone `main`.`prod`.`orders_of_staging`",
    )


def test_names_are_lower_case_as_dbt_writes_them() -> None:
    place = place_in("`main`.`prod`.`orders`", "Main", "prod", "Orders", "`")
    assert place == ORDERS
    assert Databricks().spot(ORDERS.named("Orders")) == (*WHERE, "orders")


def test_kinds_are_told() -> None:
    catalog = Databricks().catalog(answers(relations=[(*WHERE, "orders", "STREAMING_TABLE", "dbt")]))
    assert catalog.kind((*WHERE, "orders")) is Kind.OTHER
    assert Databricks().dropped(ORDERS, Relation(spot=(*WHERE, "orders"), kind=Kind.TABLE)) == (
        "drop table `main`.`prod`.`orders`"
    )


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"materialized": "streaming_table"}, "streaming table"),
        ({"file_format": "parquet"}, "stored as parquet"),
        ({"table_format": "iceberg"}, "stored as iceberg"),
        ({"located": True}, "location_root"),
    ],
)
def test_what_cannot_be_swapped_is_refused(config: dict[str, object], told: str) -> None:
    assert Databricks().refusal(located(ORDERS)) is None
    assert told in (Databricks().refusal(located(ORDERS, **config)) or "")


@pytest.mark.parametrize("database", ["hive_metastore", None])
def test_without_unity_catalog_there_is_no_swap(database: str | None) -> None:
    place = Place(database=database, schema="prod", identifier="orders")
    assert "Unity Catalog" in (Databricks().refusal(located(place)) or "")
