"""A name beside that a query holds as a text would stand in rows for good: that is not published."""

# ruff: noqa: S608 - queries of our own

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Arrangement
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.dialect import Dialect
from airflow_dbt_promotion.dbt.publish.duckdb import DuckDb
from airflow_dbt_promotion.dbt.publish.literals import names_in_texts
from airflow_dbt_promotion.dbt.publish.postgres import Postgres
from tests.dbt.publish.arrangements import TOKEN, beside

PLACE = Place(database=None, schema="prod", identifier="orders")
ARRANGEMENT = Arrangement(token=TOKEN, besides=(beside(PLACE),))
NAMED = f"""select 'prod."orders__next_{TOKEN}"' as source, * from prod.orders__next_{TOKEN}"""


def told(folder: Path, code: str | None, dialect: Dialect, *, view: bool = False, language: str = "sql") -> list[str]:
    """Return what is told of one model with this query."""
    model = ARRANGEMENT.besides[0].model
    results: list[dict[str, Any]] = [{"unique_id": model, "compiled_code": code}, {"unique_id": "test.x"}]
    (folder / "run_results.json").write_text(json.dumps({"results": results}), encoding="utf-8")
    one = replace(ARRANGEMENT.besides[0], materialized="view" if view else "table")
    definition = cast("Definition", SimpleNamespace(nodes={model: SimpleNamespace(language=language)}))
    return list(names_in_texts(folder, replace(ARRANGEMENT, besides=(one,)), definition, dialect))


def test_a_query_that_writes_the_name_into_its_rows_is_named(tmp_path: Path) -> None:
    (said,) = told(tmp_path, NAMED, DuckDb())
    assert f"writes the name orders__next_{TOKEN} into its rows" in said
    assert "`strategy: build`" in said


def test_a_view_that_is_made_again_from_its_text_is_fit(tmp_path: Path) -> None:
    assert told(tmp_path, NAMED, DuckDb(), view=True) == []
    assert len(told(tmp_path, NAMED, Postgres(), view=True)) == 1


@pytest.mark.parametrize(
    "code",
    [
        None,
        f"select * from prod.orders__next_{TOKEN} where status = 'paid'",
        f"select \"it's\" from prod.orders__next_{TOKEN}\nwhere a = 'b'",
    ],
)
def test_a_name_that_is_no_text_is_fine(tmp_path: Path, code: str | None) -> None:
    assert told(tmp_path, code, DuckDb()) == []


def test_python_holds_all_names_as_texts_and_is_left_alone(tmp_path: Path) -> None:
    assert told(tmp_path, f"refs = {{'orders': 'prod.orders__next_{TOKEN}'}}", DuckDb(), language="python") == []
