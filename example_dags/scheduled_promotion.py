"""Every day: what has earned its way in staging goes to production.

The sensor sleeps in the triggerer until the first model may go; the promotion then takes every model that may. A day on
which nothing may go ends as skipped. How long a version has to soak is policy, and stands in `promotion.yml` of the dbt
project (nothing there: no soak). Build staging first: `cosmos_staging`, or dbt and `dbt-promote record`.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

import pendulum
from airflow.sdk import DAG

from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.sensors.soak import StagingSoakSensor

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
    dag_id="scheduled_promotion",
    description="What has earned its way in staging goes to production",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    default_args={**({"dbt_project_dir": COPY} if COPY else BESIDE), "retries": 2},
    tags=["dbt", "promotion"],
    doc_md=__doc__,
):
    soaked = StagingSoakSensor(
        task_id="soaked",
        target_environment="production",
        mode_of_waiting="any",
        timeout=timedelta(hours=20),
        soft_fail=True,
    )
    promote = PromoteOperator(task_id="promote", target_environment="production")

    soaked >> promote
