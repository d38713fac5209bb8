"""One small project that holds what versions rest on, and dbt run on it in this process."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

import duckdb

from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.wiring import Place, engine_for

PROFILES = """shop:
  target: staging
  outputs:
    staging: {type: duckdb, path: wh.duckdb, schema: staging, threads: 1}
    production: {type: duckdb, path: wh.duckdb, schema: production, threads: 1}
"""
FILES = {
    "dbt_project.yml": """name: shop
version: '1.0'
profile: shop
vars: {rate: 2}
models: {shop: {+materialized: table, +tags: [nightly]}}
flags: {require_explicit_package_overrides_for_builtin_materializations: true}
""",
    "promotion.yml": """version: 1
state: states
environments:
  staging: {target: staging}
  production: {target: production, promotes_from: staging, on_incremental_change: forward_only}
""",
    "seeds/lands.csv": "code,name\nde,Germany\nfr,France\n",
    "macros/masked.sql": (
        "{% macro masked(column) %}\n"
        "{{ \"'***'\" if execute and model.columns[column].meta.get('pii') else column }}\n"
        "{% endmacro %}"
    ),
    "macros/rated.sql": "{% macro rated(x) %}{{ x }} * {{ var('rate') }}{% endmacro %}",
    "models/stg_lands.sql": "select code, {{ masked('name') }} as name from {{ ref('lands') }}",
    "models/events.sql": (
        "{{ config(materialized='incremental', unique_key='id') }}\nselect 1 as id, {{ rated(21) }} as amount"
    ),
    "models/told.sql": "select '{{ model.description }}' as text, {{ graph.nodes | length if execute else 0 }} as n",
    "models/all_lands.sql": "select count(*) as n\nfrom {{ ref('stg_lands') }}\n",
    "models/schema.yml": """models:
  - name: stg_lands
    columns:
      - name: code
        data_tests: [unique, not_null]
      - name: name
        meta: {pii: true}
  - name: told
    description: "Told of  two words"
  - name: all_lands
    config: {contract: {enforced: true}}
    columns:
      - {name: n, data_type: bigint}
""",
    "snapshots/lands.yml": """snapshots:
  - name: lands_history
    relation: ref('lands')
    config: {unique_key: code, strategy: check, check_cols: all, schema: "{{ target.schema }}"}
""",
    "tests/some_lands.sql": "select * from {{ ref('all_lands') }} where n = 0",
}


class Shop:
    """The project in a folder, on one DuckDB file beside it."""

    def __init__(self, folder: Path) -> None:
        """Write the project."""
        self.folder = folder
        for path, text in FILES.items():
            self.write(path, text)
        self.write("profiles.yml", PROFILES)

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_bytes(text.encode())

    def dbt(self, *words: str) -> None:
        """Run dbt in the project."""
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - as late as it can be

        with contextlib.chdir(self.folder):
            done = dbtRunner().invoke(["--quiet", *words])
        assert done.success, done.exception

    def stage(self) -> None:
        """Build staging and record it."""
        self.dbt("build", "--target", "staging")
        self.engine.record("staging", self.folder / "target", "ann")

    def delete_code(self) -> None:
        """Delete everything of the checkout but what says where the project is."""
        for name in ("models", "macros", "seeds", "snapshots", "tests", "target"):
            shutil.rmtree(self.folder / name, ignore_errors=True)

    @property
    def engine(self) -> Engine:
        """Return an engine as a new process would have it."""
        return engine_for(Place(project_dir=self.folder))

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the warehouse."""
        with duckdb.connect(str(self.folder / "wh.duckdb")) as connection:
            return connection.execute(query).fetchall()
