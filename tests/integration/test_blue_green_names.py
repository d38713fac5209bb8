"""Names of every kind: wherever dbt puts a model, and whatever it calls it, the next one comes into its place."""

# ruff: noqa: S608 - names of our own

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_dbt_promotion.core.state import PromotionOutcome
from tests.integration.warehouse import DuckDb, a_postgres
from tests.integration.yard import Yard

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

HEAD = "a_name_that_is_as_long_as_postgresql_lets_it_be_and_not_a_bit"
LONG, LONGER = f"{HEAD}_1", f"{HEAD}_2"
LETTERS = "größte_übergröße_äöüß_日本語_日本語"
EDITION = "select {{ var('edition') }} as edition"

FILES = {
    "dbt_project.yml": """
        name: yard
        version: "1.0"
        profile: yard
        vars: {edition: 1}
        models:
          yard: {+materialized: table}
          extra: {+materialized: view, +schema: packed}
        on-run-start: "create table if not exists {{ target.schema }}.heard (what varchar(200))"
        on-run-end: "insert into {{ target.schema }}.heard values ('end of {{ results | length }}')"
    """,
    "packages.yml": "packages: [{local: extra}]\n",
    "dbt_packages/extra/dbt_project.yml": "name: extra\nversion: '1.0'\n",
    "dbt_packages/extra/models/packed.sql": "select * from {{ ref('yard', 'plain') }}",
    "macros/names.sql": """
        {% macro generate_schema_name(custom_schema_name, node) -%}
          {{ (custom_schema_name | trim) ~ '_of_all' if custom_schema_name else target.schema }}
        {%- endmacro %}
        {% macro star(relation) -%}
          {%- if execute -%}
            {%- for column in adapter.get_columns_in_relation(relation) -%}
              {{ adapter.quote(column.name) }}{{ ", " if not loop.last }}
            {%- endfor -%}
          {%- else -%} * {%- endif -%}
        {%- endmacro %}
    """,
    "seeds/sacks.csv": "sack_id,edition\n1,1\n",
    "models/plain.sql": """
        {{ config(
          pre_hook="insert into {{ target.schema }}.heard values ('before {{ this.schema }}.{{ this.identifier }}')",
          post_hook=["delete from {{ this }} where edition < 0"]
        ) }}
    """
    + EDITION
    + " union all select -1",
    "models/elsewhere.sql": "{{ config(schema='marts', alias='Some Where') }} select * from {{ ref('plain') }}",
    "models/on_top.sql": """
        {{ config(materialized='view', schema='marts', alias='order') }}
        select "Some Where".edition, 'nobody' as me from {{ ref('elsewhere') }}
    """,
    "models/over_it.sql": """
        {{ config(materialized='view', alias='select') }} select o.edition, o.me from {{ ref('on_top') }} as o
    """,
    "models/long.sql": f"{{{{ config(alias='{LONG}') }}}} " + EDITION,
    "models/longer.sql": f"{{{{ config(alias='{LONGER}') }}}} select edition from {{{{ ref('long') }}}}",
    "models/letters.sql": f"{{{{ config(alias='{LETTERS}') }}}} " + EDITION,
    "models/letters_seen.sql": f"{{{{ config(materialized='view', alias='{LETTERS}v') }}}}"
    " select * from {{ ref('letters') }}",
    "models/wide.sql": EDITION + ", 1 as first",
    "models/starred.sql": "select {{ star(ref('wide')) }} from {{ ref('wide') }}",
    "models/starred_seen.sql": """
        {{ config(materialized='view') }} select {{ star(ref('wide')) }} from {{ ref('wide') }}
    """,
    "models/between.sql": "{{ config(materialized='ephemeral') }} select edition from {{ ref('wide') }}",
    "models/called.sql": """
        select plain.edition from {{ ref('plain') }} join {{ ref('wide') }} on wide.edition = plain.edition
        where plain.edition > 0
    """,
    "models/beyond.sql": "select edition from {{ ref('between') }}",
    "models/many_v1.sql": EDITION,
    "models/many_v2.sql": EDITION + ", 2 as of_two",
    "models/schema.yml": """
        models:
          - name: many
            latest_version: 2
            versions: [{v: 1}, {v: 2, config: {alias: many_newest}}]
    """,
}
ON_DUCKDB = {
    # A view that names itself: DuckDB's are made again from their text, where others keep a name that is gone.
    "models/on_top.sql": """
        {{ config(materialized='view', schema='marts', alias='order') }}
        select "Some Where".edition, '{{ this.identifier }}, it''s "{{ this.identifier }}"' as me,
          1 as "{{ this.identifier }}_length"
        from {{ ref('elsewhere') }}
    """,
    "models/by_python.py": """
        def model(dbt, session):
            dbt.config(materialized="table")
            return dbt.ref("wide").project("edition")
    """,
}

PLACES = (
    "production.plain",
    'marts_of_all."Some Where"',
    'marts_of_all."order"',
    'production."select"',
    f"production.{LONG}",
    f"production.{LONGER}",
    f'production."{LETTERS}"',
    f'production."{LETTERS}v"',
    "production.wide",
    "production.starred",
    "production.starred_seen",
    "production.beyond",
    "production.called",
    "production.many_v1",
    "production.many_newest",
    "packed_of_all.packed",
    "production.sacks",
)


@pytest.fixture(scope="module", params=["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)])
def yard(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    folder = tmp_path_factory.mktemp("yard")
    (folder / "project").mkdir()
    if request.param == "duckdb":
        yield Yard(folder / "project", DuckDb(folder), FILES | ON_DUCKDB)
        return
    with a_postgres(folder / "pg") as postgres:
        yield Yard(folder / "project", postgres, FILES)


def test_whatever_it_is_called_the_next_one_comes_into_its_place(yard: Yard) -> None:
    first = yard.promote()
    assert first.outcome is PromotionOutcome.PROMOTED, first.words
    yard.edit("dbt_project.yml", "edition: 1", "edition: 2")
    yard.edit("models/wide.sql", "1 as first", "1 as first, 2 as second")
    yard.write("seeds/sacks.csv", "sack_id,edition,kilos\n1,2,25\n")
    second = yard.promote()
    assert second.outcome is PromotionOutcome.PROMOTED, second.words
    places = (*PLACES, "production.by_python") if yard.is_duckdb else PLACES
    editions = {place: yard.value(f"select edition from {place}") for place in places}
    assert editions == dict.fromkeys(places, 2)
    assert yard.warehouse.rows("select edition, first, second from production.starred") == [(2, 1, 2)]
    assert yard.warehouse.rows("select edition, first, second from production.starred_seen") == [(2, 1, 2)]
    assert yard.value("select kilos from production.sacks") == 25
    if yard.is_duckdb:
        assert yard.value('select me from production."select"') == 'order, it\'s "order"'
        assert yard.warehouse.rows('select "order_length" from marts_of_all."order"')
    heard = yard.column("select what from production.heard")
    assert len(heard) == 4
    assert sum(str(what).startswith("before production.plain__next_") for what in heard) == 2
