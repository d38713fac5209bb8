"""Every day: what has earned its way in staging goes to production.

The run sleeps in the triggerer until the first model may go; then it plans, and promotes every model that may. A day on
which nothing may go ends as skipped. How long a version has to soak, whether people are asked and when it may go is
policy, and stands in `promotion.yml` of the dbt project (nothing there: no soak, nobody, any time); the tasks are drawn
from that. Build staging first: `cosmos_staging`, or dbt and `dbt-promote record`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pendulum

from airflow_dbt_promotion.task_groups.promotion import DbtPromotionDag

# The project beside this file may lie where nobody can write, so everything that it makes goes below AIRFLOW_HOME.
# COFFEE_SHOP_DIR names a copy of it; that one keeps state and targets as its own files say.
COPY = os.environ.get("COFFEE_SHOP_DIR")
KEPT = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "coffee_shop"
BESIDE = {
    "dbt_project_dir": str(Path(__file__).parent / "dbt" / "coffee_shop"),
    "state": str(KEPT / "promotion_states"),
    "env_vars": {"COFFEE_DB_DIR": str(KEPT), "DBT_TARGET_PATH": str(KEPT / "target")},
}

DbtPromotionDag(
    "scheduled_promotion",
    target_environment="production",
    wait=True,
    description="What has earned its way in staging goes to production",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    tags=["dbt", "promotion"],
    doc_md=__doc__,
    **({"dbt_project_dir": COPY} if COPY else BESIDE),
)
