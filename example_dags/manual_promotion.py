"""A form: choose models and where they go, look at the plan, then promote.

A dry run by default, so that the first click changes nothing; the plan is in the task's log. Whoever skips the tests
has to say why, and that stays on record.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import DAG

from airflow_dbt_promotion import promotion_arguments, promotion_params
from airflow_dbt_promotion.operators.promote import PromoteOperator

# The project beside this file may lie where nobody can write, so everything that it makes goes below AIRFLOW_HOME.
# COFFEE_SHOP_DIR names a copy of it; that one keeps state and targets as its own files say.
COPY = os.environ.get("COFFEE_SHOP_DIR")
KEPT = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "coffee_shop"
PROJECT = Path(COPY or Path(__file__).parent / "dbt" / "coffee_shop")
BESIDE = {
    "dbt_project_dir": str(PROJECT),
    "state": str(KEPT / "promotion_states"),
    "env_vars": {"COFFEE_DB_DIR": str(KEPT), "DBT_TARGET_PATH": str(KEPT / "target")},
}

# The form shows what the state knows, with version and soak. Into staging anything may go, so the names of the
# project's files are offered besides. The plan relies on neither: it asks the project itself.
FILES = ("models/**/*.sql", "seeds/**/*.csv", "snapshots/**/*.yml")
EPHEMERAL = {"line_amounts"}
MODELS = sorted({file.stem for pattern in FILES for file in PROJECT.glob(pattern)} - EPHEMERAL)
PLACE = {"dbt_project_dir": COPY} if COPY else BESIDE

with DAG(
    dag_id="manual_promotion",
    description="Promote chosen models from a form",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args=PLACE,
    tags=["dbt", "promotion"],
    doc_md=__doc__,
    params=promotion_params(also=MODELS, **PLACE),
):
    PromoteOperator(task_id="promote", **promotion_arguments())
