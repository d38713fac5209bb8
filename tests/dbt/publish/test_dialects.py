"""Which warehouses a swap is known for, and what is done there where nobody chose."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.dbt.publish.dialects import DIALECTS, cannot, default_strategy

RAN = {"duckdb", "postgres"}
CLONES = {"snowflake", "bigquery", "databricks"}


def test_every_dialect_has_the_name_of_its_adapter() -> None:
    assert {name: dialect.adapter for name, dialect in DIALECTS.items()} == {name: name for name in DIALECTS}
    assert set(DIALECTS) == {"duckdb", "postgres", "redshift", "snowflake", "bigquery", "databricks"}
    assert {name for name, dialect in DIALECTS.items() if dialect.ran} == RAN


@pytest.mark.parametrize("adapter", [*DIALECTS, "trino", None])
def test_only_what_was_run_is_done_where_nobody_chose(adapter: str | None) -> None:
    expected = Strategy.BLUE_GREEN if adapter in RAN else Strategy.BUILD
    assert default_strategy(adapter) is expected


@pytest.mark.parametrize("adapter", DIALECTS)
def test_by_name_every_dialect_can_be_had(adapter: str) -> None:
    assert cannot(Strategy.BLUE_GREEN, adapter) is None
    assert cannot(Strategy.BUILD, adapter) is None


@pytest.mark.parametrize("adapter", DIALECTS)
def test_a_clone_is_a_table_of_its_own_or_it_is_refused(adapter: str) -> None:
    told = cannot(Strategy.CLONE, adapter)
    assert (told is None) == (adapter in CLONES)
    assert told is None or "makes a view on the source" in told


@pytest.mark.parametrize("adapter", ["trino", None])
def test_what_is_not_known_is_told_with_what_is(adapter: str | None) -> None:
    told = cannot(Strategy.BLUE_GREEN, adapter) or ""
    assert adapter is None or adapter in told
    assert "bigquery, databricks, duckdb, postgres, redshift, snowflake are" in told
