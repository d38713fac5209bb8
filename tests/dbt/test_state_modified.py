"""Our 'modified' and 'indirect' beside dbt's `state:modified` and `state:modified+`, edit by edit, on a real project.

docs/versions.md explains each difference that is asserted here.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from airflow_dbt_promotion.core.definition import Origin
from airflow_dbt_promotion.core.release import Model, Release
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts
from tests.dbt.projects import write_project

FILES: dict[str, str] = {
    "dbt_project.yml": """
        name: shop
        version: "1.0"
        profile: shop
        vars: {cutoff: "2024-01-01", unused: 1}
        models:
          shop:
            +materialized: view
            marts:
              +materialized: table
        snapshots:
          shop:
            +target_schema: history
    """,
    "profiles.yml": """
        shop:
          target: dev
          outputs:
            dev: {type: duckdb, path: dev.duckdb, schema: dev}
    """,
    "seeds/countries.csv": "code,name\nde,Germany\nfr,France\n",
    "seeds/big.csv": "id\n" + "1234567\n" * 140_000,
    "macros/cents.sql": "{% macro cents(column) %}({{ rounded(column) }} / 100){% endmacro %}",
    "macros/rounded.sql": "{% macro rounded(column) %}round({{ column }}){% endmacro %}",
    "macros/plural.sql": "{% macro plural() %}{{ adapter.dispatch('plural', 'shop')() }}{% endmacro %}\n"
    "{% macro default__plural() %}ids{% endmacro %}",
    "macros/plural_elsewhere.sql": "{% macro postgres__plural() %}idz{% endmacro %}",
    "macros/branch.sql": "{% macro only_in_prod() %}1{% endmacro %}",
    "macros/spelled.sql": "{% macro spelled() %}x{% endmacro %}",
    "macros/ledger.sql": "{% materialization ledger, default %}\n"
    "{% set relation = this.incorporate(type='table') %}\n"
    "{% call statement('main') %}create or replace table {{ relation }} as ({{ sql }}){% endcall %}\n"
    "{{ return({'relations': [relation]}) }}\n{% endmaterialization %}",
    "macros/odd.sql": "{% test odd(model, column_name) %}\n"
    "select * from {{ model }} where {{ column_name }} % 2 = 0{% endtest %}",
    "models/sources.yml": """
        sources:
          - name: raw
            tables:
              - name: payments
                identifier: payments_v1
    """,
    "models/staging/stg_orders.sql": "select id, {{ cents('amount') }} as amount from {{ source('raw', 'payments') }}",
    "models/staging/stg_customers.sql": "select 1 as id, '{{ var(\"cutoff\") }}' as since",
    "models/staging/stg_plain.sql": "{% set kind = 'spelled' %}\nselect 1 as {{ plural() }}\n"
    "{% if target.name == 'prod' %}{{ only_in_prod() }}{% endif %}",
    "models/staging/between.sql": "{{ config(materialized='ephemeral') }}\nselect * from {{ ref('stg_orders') }}",
    "models/marts/orders.sql": "select o.id, o.amount, 'spelled' as kind from {{ ref('between') }} as o",
    "models/marts/customers.sql": "{{ config(tags=['nightly']) }}\nselect * from {{ ref('stg_customers') }}",
    "models/marts/ledger.sql": "{{ config(materialized='ledger') }}\nselect id from {{ ref('orders') }}",
    "models/marts/events.sql": "{{ config(materialized='incremental', unique_key='id') }}\n"
    "select id from {{ ref('orders') }}",
    "models/marts/abroad.sql": "select code from {{ ref('countries') }}",
    "models/schema.yml": """
        models:
          - name: stg_customers
            description: One row a customer
            columns:
              - {name: id, description: Key}
          - name: customers
            config: {meta: {owner: ada}, contract: {enforced: true}}
            columns:
              - {name: id, data_type: integer, data_tests: [not_null]}
              - {name: since, data_type: varchar}
          - name: orders
            config: {persist_docs: {relation: true, columns: true}}
            description: All orders
            columns:
              - name: id
                description: Key
                data_tests: [not_null, odd]
        unit_tests:
          - name: keeps_ids
            model: abroad
            given: [{input: ref('countries'), rows: [{code: de}]}]
            expect: {rows: [{code: de}]}
        exposures:
          - {name: board, type: dashboard, owner: {name: Ada}, depends_on: [ref('orders')]}
    """,
    "snapshots/snapshots.yml": """
        snapshots:
          - name: orders_history
            relation: ref('orders')
            config: {unique_key: id, strategy: check, check_cols: [amount]}
    """,
    "tests/no_negative.sql": "select * from {{ ref('orders') }} where amount < 0",
}

STG_ORDERS_ON = {"orders", "ledger", "events", "orders_history"}
"""What is built of stg_orders, by way of an ephemeral model."""

ORDERS_ON = {"ledger", "events", "orders_history"}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One edit: in each file, some text becomes another (`None` for the old: a new file; for the new: no file).

    `modified` and `indirect` is what we say. `dbt` is what `state:modified` says where that is something else,
    `dbt_below` what `state:modified+` adds to it.
    """

    what: str
    files: Mapping[str, tuple[str | None, str | None]]
    modified: set[str] = field(default_factory=set)
    indirect: set[str] = field(default_factory=set)
    metadata: set[str] = field(default_factory=set)
    removed: set[str] = field(default_factory=set)
    dbt: set[str] | None = None
    dbt_below: set[str] | None = None


def body(path: str, more: str = " -- edited") -> Mapping[str, tuple[str | None, str | None]]:
    """Return the edit of a file that gains something at its end."""
    return {path: ("", more)}


SCHEMA, PROJECT, SNAPSHOTS = "models/schema.yml", "dbt_project.yml", "snapshots/snapshots.yml"

AGREED = [
    Edit(what="nothing", files={}),
    Edit(
        what="the body of a model",
        files=body("models/staging/stg_orders.sql"),
        modified={"stg_orders"},
        indirect=STG_ORDERS_ON,
    ),
    Edit(what="the body of a last model", files=body("models/marts/events.sql"), modified={"events"}),
    Edit(
        what="a new parent",
        files=body("models/marts/abroad.sql", " union select 'x' from {{ ref('stg_plain') }}"),
        modified={"abroad"},
    ),
    Edit(
        what="in-file config",
        files={"models/marts/events.sql": ("unique_key='id'", "unique_key='id', on_schema_change='fail'")},
        modified={"events"},
    ),
    Edit(what="a comment", files=body("models/marts/events.sql", "\n-- note"), modified={"events"}),
    Edit(what="white space at the end", files=body("models/marts/events.sql", "\n\n")),
    Edit(what="the body of an ephemeral model", files=body("models/staging/between.sql"), indirect=STG_ORDERS_ON),
    Edit(what="in-file tags", files={"models/marts/customers.sql": ("nightly", "daily")}, modified={"customers"}),
    Edit(
        what="config in YAML",
        files={SCHEMA: ("contract: {enforced: true}", "contract: {enforced: true}, full_refresh: false")},
        modified={"customers"},
    ),
    Edit(
        what="a macro",
        files={"macros/cents.sql": ("100", "1000")},
        modified={"stg_orders"},
        indirect=STG_ORDERS_ON,
    ),
    Edit(
        what="a macro of a macro",
        files={"macros/rounded.sql": ("round(", "floor(")},
        modified={"stg_orders"},
        indirect=STG_ORDERS_ON,
    ),
    Edit(
        what="the content of a seed",
        files=body("seeds/countries.csv", "it,Italy\n"),
        modified={"countries"},
        indirect={"abroad"},
    ),
    Edit(
        what="config of a seed",
        files={PROJECT: ("snapshots:", "seeds:\n  shop:\n    +quote_columns: true\nsnapshots:")},
        modified={"countries", "big"},
        indirect={"abroad"},
    ),
    Edit(what="config of a snapshot", files={SNAPSHOTS: ("[amount]", "[amount, id]")}, modified={"orders_history"}),
    Edit(
        what="the relation of a snapshot",
        files={SNAPSHOTS: ("ref('orders')", "ref('ledger')")},
        modified={"orders_history"},
    ),
    Edit(
        what="the type of a column under a contract",
        files={SCHEMA: ("data_type: varchar", "data_type: text")},
        modified={"customers"},
    ),
    Edit(
        what="a contract that is no more",
        files={SCHEMA: ("contract: {enforced: true}", "contract: {enforced: false}")},
        modified={"customers"},
    ),
    Edit(
        what="a constraint",
        files={
            SCHEMA: (
                "{name: since, data_type: varchar}",
                "{name: since, data_type: varchar, constraints: [{type: not_null}]}",
            )
        },
        modified={"customers"},
    ),
    Edit(what="where snapshots go", files={PROJECT: ("history", "past")}, modified={"orders_history"}),
    Edit(what="another macro of a dispatch", files={"macros/plural.sql": ("ids", "idx")}, modified={"stg_plain"}),
    Edit(
        what="a model that is switched off",
        files={SCHEMA: ("models:", "models:\n  - {name: stg_plain, config: {enabled: false}}")},
        removed={"stg_plain"},
    ),
    Edit(
        what="a new model",
        files={"models/marts/fresh.sql": (None, "select * from {{ ref('orders') }}")},
        modified={"fresh"},
    ),
    Edit(
        what="another name",
        files={
            "models/marts/abroad.sql": ("", None),
            "models/marts/foreign.sql": (None, "select code from {{ ref('countries') }}"),
            SCHEMA: ("model: abroad", "model: foreign"),
        },
        modified={"foreign"},
        removed={"abroad"},
    ),
    Edit(what="a model that is gone", files={"models/marts/ledger.sql": ("", None)}, removed={"ledger"}),
    Edit(what="a description that nobody keeps", files={SCHEMA: ("One row", "Each row")}, metadata={"stg_customers"}),
    Edit(
        what="a column's description that nobody keeps",
        files={SCHEMA: ("{name: id, description: Key}", "{name: id, description: Id}")},
        metadata={"stg_customers"},
    ),
    Edit(
        what="tags in YAML",
        files={SCHEMA: ("{meta: {owner: ada}", "{tags: [x], meta: {owner: ada}")},
        metadata={"customers"},
    ),
    Edit(what="a test more", files={SCHEMA: ("[not_null, odd]", "[not_null, odd, unique]")}, metadata={"orders"}),
    Edit(what="a test less", files={SCHEMA: ("[not_null, odd]", "[not_null]")}, metadata={"orders"}),
    Edit(
        what="a test's severity",
        files={SCHEMA: ("[not_null, odd]", "[{not_null: {config: {severity: warn}}}, odd]")},
        metadata={"orders"},
    ),
    Edit(what="a generic test's macro", files={"macros/odd.sql": ("% 2 = 0", "% 2 <> 1")}, metadata={"orders"}),
    Edit(what="a singular test", files=body("tests/no_negative.sql", " and id > 0"), metadata={"orders"}),
    Edit(what="a unit test", files={SCHEMA: ("rows: [{code: de}]}]", "rows: [{code: it}]}]")}, metadata={"abroad"}),
    Edit(what="an exposure", files={SCHEMA: ("name: Ada", "name: Bob")}),
    Edit(what="a macro that nobody calls", files={"macros/unused.sql": (None, "{% macro unused() %}1{% endmacro %}")}),
    Edit(what="a var that nobody reads", files={PROJECT: ("unused: 1", "unused: 2")}),
]
"""Edits on which dbt and we agree."""

EVERY_MODEL = {"stg_orders", "stg_customers", "stg_plain", "orders", "customers", "ledger", "events", "abroad"}

METADATA = [
    Edit(
        what=what,
        files={SCHEMA: ("{meta: {owner: ada}", f"{{{config}, meta: {{owner: ada}}")},
        metadata={"customers"},
        dbt={"customers"},
    )
    for what, config in (
        ("docs", "docs: {show: false}"),
        ("grants", "grants: {select: [bi]}"),
        ("access", "access: public"),
        ("schema", "schema: elsewhere"),
        ("alias", "alias: clients"),
    )
]
"""What dbt calls modified, and we call metadata: it changes nothing of what is built."""

DIFFERENT = [
    *METADATA,
    Edit(what="meta", files={SCHEMA: ("owner: ada", "owner: bob")}, metadata={"customers"}, dbt={"customers"}),
    Edit(
        what="a description that is kept in the warehouse",
        files={SCHEMA: ("All orders", "Every order")},
        metadata={"orders"},
        dbt={"orders"},
        dbt_below=ORDERS_ON,
    ),
    Edit(
        what="a column's description that is kept in the warehouse",
        files={SCHEMA: ("      - name: id\n        description: Key", "      - name: id\n        description: Id")},
        metadata={"orders"},
        dbt={"orders"},
        dbt_below=ORDERS_ON,
    ),
    Edit(
        what="another place of a file",
        files={
            "models/staging/stg_plain.sql": ("", None),
            "models/stg_plain.sql": (None, FILES["models/staging/stg_plain.sql"]),
        },
        dbt={"stg_plain"},
    ),
    Edit(
        what="a var that a model reads",
        files={PROJECT: ("2024-01-01", "2025-01-01")},
        modified={"stg_customers"},
        indirect={"customers"},
        dbt=set(),
        dbt_below=set(),
    ),
    Edit(what="a seed over 1 MiB", files=body("seeds/big.csv", "2\n"), modified={"big"}, dbt=set()),
    Edit(
        what="what a source is called in the warehouse",
        files={"models/sources.yml": ("payments_v1", "payments_v2")},
        dbt_below={"stg_orders", *STG_ORDERS_ON},
    ),
    Edit(
        what="a macro on a branch of another target",
        files={"macros/branch.sql": ("1", "2")},
        modified={"stg_plain"},
        dbt=set(),
    ),
    Edit(
        what="a macro whose name is a word in a text",
        files={"macros/spelled.sql": ("x{", "y{")},
        modified={"stg_plain"},
        dbt=set(),
    ),
    Edit(
        what="a dispatched macro of another adapter",
        files={"macros/plural_elsewhere.sql": ("idz", "idy")},
        modified={"stg_plain"},
        dbt=set(),
    ),
    Edit(
        what="the order of dispatch",
        files={PROJECT: ("vars:", "dispatch: [{macro_namespace: shop, search_order: [dbt, shop]}]\nvars:")},
        modified={"stg_plain"},
        dbt=set(),
    ),
    Edit(what="a materialization", files={"macros/ledger.sql": ("'main'", "'main' ")}, modified={"ledger"}, dbt=set()),
    Edit(
        what="a macro that makes names",
        files={
            "macros/names.sql": (None, "{% macro generate_schema_name(name, node) %}{{ target.schema }}{% endmacro %}")
        },
        modified={*EVERY_MODEL, "countries", "big", "orders_history"},
        dbt=set(),
        dbt_below=set(),
    ),
    Edit(
        what="an override of a macro of dbt's",
        files={"macros/mine.sql": (None, "{% macro duckdb__get_merge_sql(a, b, c, d, e=none) %}x{% endmacro %}")},
        modified={"events"},
        dbt=set(),
    ),
    Edit(
        what="the type of a column without a contract",
        files={SCHEMA: ("{name: id, description: Key}", "{name: id, description: Key, data_type: integer}")},
        modified={"stg_customers"},
        indirect={"customers"},
        dbt=set(),
        dbt_below=set(),
    ),
    Edit(
        what="config of a folder that some models set themselves",
        files={PROJECT: ("+materialized: table", "+materialized: view")},
        modified={"abroad", "customers", "orders", "events", "ledger"},
        indirect={"orders_history"},
        dbt={"abroad", "customers", "orders"},
        dbt_below=ORDERS_ON,
    ),
]
"""Edits on which we say something else than dbt, on purpose."""

ALL = {edit.what: edit for edit in (*AGREED, *DIFFERENT)}


class Dbt:
    """dbt in this process, on one project whose first parse is kept as the state to compare with."""

    def __init__(self, project: Path) -> None:
        self.project, self.base, self._target = project, project / "base", project / "target"
        self._invoke("parse", "--target-path", str(self.base))
        self._artifacts = DbtArtifacts(project)
        self.before = self._artifacts.release(self.base)

    def after(self) -> tuple[Release, set[str], set[str]]:
        """Parse, and return our release, and what dbt calls modified, and what is below it."""
        shutil.copytree(self.base, self._target, dirs_exist_ok=True)
        manifest = self._invoke("parse", "--target-path", str(self._target))
        return (
            self._artifacts.release(self._target),
            self._listed(manifest, "state:modified"),
            self._listed(manifest, "state:modified+"),
        )

    def _listed(self, manifest: Any, selector: str) -> set[str]:
        kinds = [argument for kind in ("model", "seed", "snapshot") for argument in ("--resource-type", kind)]
        place = ("--state", str(self.base), "--target-path", str(self.project / "listed"))
        said = self._invoke("ls", "--select", selector, *place, "--output", "name", *kinds, manifest=manifest)
        return set(said) - {"between"}

    def _invoke(self, *arguments: str, manifest: Any = None) -> Any:
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - costs two seconds, which collecting tests need not pay

        result = dbtRunner(manifest=manifest).invoke(
            [
                "--quiet",
                "--no-use-colors",
                *arguments,
                "--project-dir",
                str(self.project),
                "--profiles-dir",
                str(self.project),
            ]
        )
        assert result.success, result.exception
        return result.result


@pytest.fixture(scope="module")
def dbt(tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """Return dbt on the project as it is before any edit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
        return Dbt(write_project(tmp_path_factory.mktemp("edited"), FILES))


@contextlib.contextmanager
def edited(project: Path, edit: Edit) -> Iterator[None]:
    """Edit the files of a project, and put them back at the end."""
    before = {
        path: (project / path).read_text(encoding="utf-8") if (project / path).exists() else None for path in edit.files
    }
    try:
        for path, (old, new) in edit.files.items():
            text = before[path]
            if new is None:
                (project / path).unlink()
            elif old is None or text is None:
                (project / path).write_text(new, encoding="utf-8")
            else:
                assert old in text
                (project / path).write_text(text.replace(old, new, 1) if old else text + new, encoding="utf-8")
        yield
    finally:
        for path, text in before.items():
            if text is None:
                (project / path).unlink()
            else:
                (project / path).write_text(text, encoding="utf-8")


def kinds(before: Release, after: Release) -> dict[str, set[str]]:
    """Return the names of the models that changed, by kind; a new one counts as modified, as dbt has it."""
    found: dict[str, set[str]] = {"modified": set(), "indirect": set(), "metadata": set(), "removed": set()}
    for id_ in before.models.keys() | after.models.keys():
        old, new = before.models.get(id_), after.models.get(id_)
        if new is None or old is None:
            found["removed" if new is None else "modified"].add(id_.split(".")[2])
        elif (kind := kind_of(old, new)) is not None:
            found[kind].add(new.name)
    return found


def kind_of(before: Model, after: Model) -> str | None:
    """Return how a model changed, by the rule of the plan."""
    if before.version != after.version:
        return "modified" if before.code != after.code else "indirect"
    return "metadata" if (before.tests, before.meta) != (after.tests, after.meta) else None


@pytest.mark.parametrize("what", ALL)
def test_an_edit(dbt: Dbt, what: str) -> None:
    edit = ALL[what]
    with edited(dbt.project, edit):
        after, modified, with_children = dbt.after()
    assert after.origin is Origin.PARSE
    found = kinds(dbt.before, after)
    assert found == {
        "modified": edit.modified,
        "indirect": edit.indirect,
        "metadata": edit.metadata,
        "removed": edit.removed,
    }
    assert modified == (edit.modified if edit.dbt is None else edit.dbt)
    below = edit.indirect if edit.dbt_below is None else edit.dbt_below
    assert with_children == modified | below
