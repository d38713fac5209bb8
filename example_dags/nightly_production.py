"""Every night: production runs what was promoted to it, whatever is checked out by then.

Staging is built from the checkout (`cosmos_staging`), what has earned its way is promoted (`scheduled_promotion`), and
this DAG builds and tests production from released code. The same project folder serves all three: a merge reaches
staging the next time that it is built, and production not before it is promoted.
"""

from __future__ import annotations

import os
from pathlib import Path

import pendulum
from airflow.sdk import DAG, Param

from airflow_dbt_promotion.operators.run import PromotedBuildOperator

# The project beside this file may lie where nobody can write, so everything that it makes goes below AIRFLOW_HOME.
# COFFEE_SHOP_DIR names a copy of it; that one keeps state and targets as its own files say.
COPY = os.environ.get("COFFEE_SHOP_DIR")
KEPT = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "coffee_shop"
BESIDE = {
    "dbt_project_dir": str(Path(__file__).parent / "dbt" / "coffee_shop"),
    "state": str(KEPT / "promotion_states"),
    "env_vars": {"COFFEE_DB_DIR": str(KEPT), "DBT_TARGET_PATH": str(KEPT / "target")},
}

with DAG(
    dag_id="nightly_production",
    description="Production builds and tests what was promoted to it",
    schedule="0 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={**({"dbt_project_dir": COPY} if COPY else BESIDE), "retries": 2},
    params={
        "select": Param(None, type=["null", "string"], title="What to run", description="A selector, as tag:nightly"),
        "full_refresh": Param(False, type="boolean", title="Build incremental models anew"),  # noqa: FBT003 - a default
    },
    tags=["dbt", "promotion"],
    doc_md=__doc__,
):
    PromotedBuildOperator(
        task_id="build_production",
        environment="production",
        select="{{ params.select or '' }}",
        full_refresh="{{ params.full_refresh }}",
        lock_timeout=1800,
    )
