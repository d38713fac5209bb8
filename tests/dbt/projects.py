"""A little dbt project in which everything that can ask for the target does ask, and how to parse it with dbt."""

# ruff: noqa: E501 - the files of the project stand here as they are

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

TARGETS = ("dev", "staging", "prod")

FILES: dict[str, str] = {
    "dbt_project.yml": """
        name: shop
        version: "1.0"
        profile: shop
        vars:
          cutoff: "2024-01-01"
          shop:
            currency: EUR
          tools:
            rounding: 2
        dispatch:
          - macro_namespace: tools
            search_order: [shop, tools]
        models:
          +post-hook: "select '{{ target.name }}'"
          shop:
            +materialized: "{{ 'table' if target.name == 'prod' else 'view' }}"
            +meta: {owner: data}
            marts:
              +materialized: "{{ 'ledger' if target.name == 'prod' else 'view' }}"
              +post-hook: ["select 2"]
              +persist_docs: {relation: false}
          tools:
            +enabled: true
            +tags: root
        seeds:
          shop:
            +quote_columns: "{{ target.name == 'prod' }}"
        snapshots:
          shop:
            +target_schema: "snapshots_{{ target.name }}"
        data_tests:
          +severity: "{{ 'error' if target.name == 'prod' else 'warn' }}"
          shop:
            +store_failures: false
    """,
    "packages.yml": """
        packages:
          - local: tools
    """,
    "tools/dbt_project.yml": """
        name: tools
        version: "1.0"
        vars:
          rounding: 4
          scale: {small: 1, large: 100}
        models:
          tools:
            +materialized: table
    """,
    "tools/models/calendar.sql": "select 1 as day, {{ var('rounding') }} as rounding",
    "tools/models/calendar.yml": """
        models:
          - name: calendar
            config: {meta: {team: "{{ target.name }}"}}
    """,
    "tools/macros/cents.sql": "{% macro cents(column) %}{{ return(adapter.dispatch('cents', 'tools')(column)) }}{% endmacro %}\n"
    "{% macro default__cents(column) %}round({{ column }}, {{ var('rounding', 2) }}){% endmacro %}",
    "macros/ledger.sql": "{% materialization ledger, default %}\n"
    "{% set relation = this.incorporate(type='table') %}\n"
    "{% call statement('main') %}create or replace table {{ relation }} as ({{ sql }}){% endcall %}\n"
    "{{ return({'relations': [relation]}) }}\n{% endmaterialization %}",
    "macros/tests.sql": "{% test positive(model, column_name) %}{{ config(severity='error' if target.name == 'prod' else 'warn') }}"
    "select * from {{ model }} where {{ column_name }} < 0{% endtest %}",
    "seeds/countries.csv": "code,name\nde,Germany\nfr,France\n",
    "seeds/seeds.yml": """
        seeds:
          - name: countries
            config:
              column_types:
                code: "{{ 'varchar(2)' if target.name == 'prod' else 'varchar' }}"
            columns:
              - name: code
                data_tests: [unique]
    """,
    "models/customers.sql": "{{ config(alias='customers_' ~ target.name, tags=[target.name]) }}\n"
    "select 1 as id, '{{ var('cutoff') }}' as cutoff, '{{ target.name }}' as target",
    "models/orders.sql": "select 1 as id, 2 as customer_id, {{ tools.cents('1.234') }} as amount, 'open' as status, code from {{ ref('countries') }}",
    "models/plain.sql": "select 1 as id",
    "models/schema.yml": """
        models:
          - name: customers
            description: "of {{ target.name }}"
            config:
              meta: {environment: "{{ target.name }}"}
              contract: {enforced: "{{ target.name == 'nowhere' }}"}
            columns:
              - name: id
                data_type: "{{ 'bigint' if target.name == 'prod' else 'integer' }}"
                data_tests:
                  - not_null:
                      config: {severity: "{{ 'error' if target.name == 'prod' else 'warn' }}"}
                  - positive
          - name: orders
            access: public
            config:
              pre_hook: "select '{{ target.name }}'"
            data_tests:
              - unique:
                  arguments: {column_name: id}
                  config: {where: "'{{ target.name }}' <> 'dev'"}
            columns:
              - name: status
                data_tests:
                  - accepted_values:
                      arguments: {values: [open, closed]}
                  - accepted_values:
                      name: status_other
                      arguments: {values: [open, "{{ target.name }}"]}
                      config: {severity: warn}
        data_tests:
          - name: no_customers_lost
            config: {severity: "{{ 'error' if target.name == 'prod' else 'warn' }}"}
        unit_tests:
          - name: amounts
            model: marts
            given:
              - input: ref('orders')
                rows: [{id: 1, amount: "{{ 3 if target.name == 'prod' else 4 }}"}]
              - input: ref('customers')
                rows: [{id: 1}]
            expect: {rows: [{id: 1}]}
    """,
    "models/plain.yml": """
        models:
          - name: plain
            docs: {show: false}
            columns:
              - name: id
                data_type: integer
                data_tests:
                  - not_null: {config: {severity: warn}}
                  - positive
    """,
    "models/marts/marts.sql": "select orders.id from {{ ref('orders') }} as orders left join {{ ref('customers') }} as c on c.id = orders.id",
    "models/marts/report_v1.sql": "select 1 as id",
    "models/marts/report_v2.sql": "select 2 as id, 'x' as name",
    "models/marts/report.yml": """
        models:
          - name: report
            latest_version: 2
            config: {meta: {a: 1}, materialized: table}
            columns:
              - {name: id, data_type: integer, data_tests: [not_null]}
              - {name: name, data_type: varchar}
            versions:
              - v: 1
                config: {materialized: "{{ 'view' if target.name == 'dev' else 'table' }}"}
                columns:
                  - {include: all, exclude: [name]}
              - v: 2
                data_tests:
                  - unique: {arguments: {column_name: id}}
    """,
    "snapshots/snapshots.yml": """
        snapshots:
          - name: orders_history
            relation: ref('orders')
            config:
              unique_key: id
              strategy: check
              check_cols: [status]
              hard_deletes: "{{ 'ignore' if target.name == 'dev' else 'invalidate' }}"
    """,
    "tests/no_customers_lost.sql": "{{ config(store_failures=(target.name == 'prod')) }}\nselect * from {{ ref('customers') }} where id is null",
    "profiles.yml": """
        shop:
          target: dev
          outputs:
            dev: {type: duckdb, path: dev.duckdb, schema: dev}
            staging: {type: duckdb, path: staging.duckdb, schema: stg}
            prod: {type: duckdb, path: prod.duckdb, schema: main}
    """,
}


def write_project(root: Path, files: dict[str, str] | None = None) -> Path:
    """Write the project, with its package where `dbt deps` would link it, and return its folder."""
    for name, text in (files or FILES).items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text).lstrip() if text.startswith("\n") else text, encoding="utf-8")
    if (root / "tools").is_dir():
        (root / "dbt_packages").mkdir(exist_ok=True)
        (root / "dbt_packages" / "tools").symlink_to(root / "tools", target_is_directory=True)
    return root


def dbt(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dbt on a project in a process of its own and return what it said."""
    environment = {
        **os.environ,
        "DBT_PROFILES_DIR": str(project),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    command = [sys.executable, "-m", "dbt.cli.main", "--no-use-colors", *arguments]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def parse(project: Path, target: str, *arguments: str, folder: str | None = None) -> Path:
    """Parse a project for a target and return the target folder."""
    target_path = project / (folder or f"target_{target}")
    done = dbt(project, "parse", "--target", target, "--target-path", str(target_path), *arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    return target_path
