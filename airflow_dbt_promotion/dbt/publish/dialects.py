"""Which warehouses a swap is known for, and why it cannot be had elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.dbt.publish.bigquery import BigQuery
from airflow_dbt_promotion.dbt.publish.databricks import Databricks
from airflow_dbt_promotion.dbt.publish.dialect import Dialect
from airflow_dbt_promotion.dbt.publish.duckdb import DuckDb
from airflow_dbt_promotion.dbt.publish.postgres import Postgres
from airflow_dbt_promotion.dbt.publish.redshift import Redshift
from airflow_dbt_promotion.dbt.publish.snowflake import Snowflake

DIALECTS: Mapping[str, Dialect] = {
    dialect.adapter: dialect for dialect in (DuckDb(), Postgres(), Redshift(), Snowflake(), BigQuery(), Databricks())
}
"""Every dialect, by the name of dbt's adapter."""


def cannot(strategy: Strategy, adapter: str | None) -> str | None:
    """Return why a strategy cannot be had with an adapter of dbt's, None where it can."""
    if strategy not in {Strategy.BLUE_GREEN, Strategy.CLONE}:
        return None
    dialect = DIALECTS.get(adapter or "")
    if dialect is None:
        known = ", ".join(sorted(DIALECTS))
        return f"how relations are swapped with dbt's adapter {adapter or '(unknown)'} is not known here ({known} are)"
    if strategy is Strategy.CLONE and not dialect.clones:
        return f"{adapter} has no clones: `dbt clone` makes a view on the source there, and no table of its own"
    return None


def default_strategy(adapter: str | None) -> Strategy:
    """Return what is done where nobody chose: a swap where swaps were run, else a build in place."""
    dialect = DIALECTS.get(adapter or "")
    return Strategy.BLUE_GREEN if dialect is not None and dialect.ran else Strategy.BUILD


def shares(adapter: str | None) -> bool:
    """Say whether several processes can write to a warehouse of an adapter at once; not for an unknown one."""
    dialect = DIALECTS.get(adapter or "")
    return dialect is not None and dialect.shared
