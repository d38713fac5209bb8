"""DuckDB's other files: where a profile's database is one that is attached, everything of a swap takes place there."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import DuckDb
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

FILES = {
    "macros/names.sql": """
        {% macro generate_schema_name(custom_schema_name, node) -%} main {%- endmacro %}
    """,
    "models/orders.sql": """
        {{ config(indexes=[{'columns': ['id']}]) }} select 1 as id
    """,
    "models/sales.sql": """
        {{ config(materialized='view') }} select id from {{ ref('orders') }}
    """,
    "models/top.sql": """
        {{ config(materialized='view', persist_docs={'relation': true}) }} select id from {{ ref('sales') }}
    """,
    "models/schema.yml": "models: [{name: top, description: what is on top}]\n",
}


class Attached(DuckDb):
    """A DuckDB file that is attached beside another one, which the profile's path is."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._first = folder / "first.duckdb"

    def output(self, schema: str) -> str:
        attach = f"attach: [{{path: '{self._path}', alias: shelf}}]"
        return f"{{type: duckdb, path: '{self._first}', {attach}, database: shelf, schema: {schema}, threads: 1}}"

    def first(self) -> list[Any]:
        """Return the names of what lies in the other file."""
        import duckdb  # noqa: PLC0415 - only where it is asked

        with duckdb.connect(str(self._first), read_only=True) as connection:
            return connection.execute("select table_name from information_schema.tables").fetchall()


def test_what_is_swapped_stays_in_the_database_of_the_target(tmp_path: Path) -> None:
    warehouse = Attached(tmp_path)
    yard = Yard(tmp_path, warehouse, FILES)
    assert yard.promote().outcome is PromotionOutcome.PROMOTED
    yard.edit("models/orders.sql", "1 as id", "2 as id")
    told = yard.promote()
    assert told.outcome is PromotionOutcome.PROMOTED
    assert [yard.value(f"select id from main.{name}") for name in ("orders", "sales", "top")] == [2, 2, 2]
    assert yard.value("select comment from duckdb_views() where view_name = 'top'") == "what is on top"
    assert yard.value("select count(*) from duckdb_indexes() where table_name = 'orders'") == 1
    assert warehouse.first() == []
