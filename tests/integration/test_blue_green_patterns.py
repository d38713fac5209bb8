"""Models that look in the catalog for relations by their names: what they find beside, which is documented as wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import BOTH, a_warehouse
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

FILES = {
    "dbt_project.yml": """
        name: yard
        version: "1.0"
        profile: yard
        vars: {edition: 1}
        models:
          yard: {+materialized: table}
    """,
    "macros/by_pattern.sql": """
        {% macro by_pattern(pattern, ours=true) %}
          {% if execute %}
            {% set found = run_query("select distinct table_name from information_schema.tables where table_schema = '"
              ~ target.schema ~ "' and table_name like '" ~ pattern ~ "'" ~ ("" if ours else
              " and table_name not like '%__was_%' and table_name not like '%__next_%'")) %}
            {% for name in found.columns[0].values() | sort %}
              select edition from {{ target.schema }}.{{ name }} {{ "union all" if not loop.last }}
            {% else %} select 0 as edition {% endfor %}
          {% else %} select 0 as edition {% endif %}
        {% endmacro %}
    """,
    "models/sales_north.sql": "select {{ var('edition') }} as edition",
    "models/every_sale.sql": "-- depends_on: {{ ref('sales_north') }}\n{{ by_pattern('sales_%') }}",
    "models/old_sale.sql": "-- depends_on: {{ ref('sales_north') }}\n{{ by_pattern('sales_%', false) }}",
}


@pytest.fixture(params=BOTH)
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    with a_warehouse(request.param, folder) as warehouse:
        yield Yard(folder / "project", warehouse, FILES)


def test_a_model_that_looks_for_names_finds_what_is_beside_and_what_is_in_place(yard: Yard) -> None:
    assert yard.promote().outcome is PromotionOutcome.PROMOTED
    yard.edit("dbt_project.yml", "edition: 1", "edition: 2")
    assert yard.promote().outcome is PromotionOutcome.PROMOTED
    found = {
        name: sorted(map(str, yard.column(f"select edition from production.{name}")))  # noqa: S608 - names of our own
        for name in ("sales_north", "every_sale", "old_sale")
    }
    assert found == {"sales_north": ["2"], "every_sale": ["1", "2"], "old_sale": ["1"]}
