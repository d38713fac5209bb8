"""A form: choose models and where they go, look at the plan, then promote.

A dry run by default, so that the first click changes nothing; the plan is in the task's log. Whoever skips the tests
has to say why, and that stays on record.
"""

from __future__ import annotations

import os
from pathlib import Path

from airflow.sdk import DAG, Param

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

# What the form offers is read from the names of the project's files, which costs next to nothing at each parse.
# The plan does not rely on it: it asks the project itself.
FILES = ("models/**/*.sql", "seeds/**/*.csv", "snapshots/**/*.yml")
EPHEMERAL = {"line_amounts"}
MODELS = sorted({file.stem for pattern in FILES for file in PROJECT.glob(pattern)} - EPHEMERAL)
ALL = "all-validated"

with DAG(
    dag_id="manual_promotion",
    description="Promote chosen models from a form",
    schedule=None,
    catchup=False,
    max_active_runs=1,
    default_args={"dbt_project_dir": COPY} if COPY else BESIDE,
    tags=["dbt", "promotion"],
    doc_md=__doc__,
    params={
        "target_environment": Param("production", type="string", enum=["staging", "production"], title="Promote into"),
        "models": Param(
            [ALL],
            type="array",
            items={"type": "string", "enum": [ALL, *MODELS]},
            examples=[ALL, *MODELS],
            values_display={ALL: "everything that may go"},
            minItems=1,
            title="Models",
        ),
        "include_upstream": Param(False, type="boolean", title="Add the parents that have to come along"),  # noqa: FBT003 - a form's value
        "dry_run": Param(True, type="boolean", title="Dry run", description="Plan, and change nothing"),  # noqa: FBT003
        "skip_tests": Param(
            False,  # noqa: FBT003
            type="boolean",
            title="Skip the tests gate",
            description="A bypass that is recorded for good, with your name and the reason",
            section="Bypass",
        ),
        "reason": Param(None, type=["null", "string"], title="Reason", minLength=1, section="Bypass"),
    },
):
    PromoteOperator(
        task_id="promote",
        target_environment="{{ params.target_environment }}",
        models="{{ params.models | tojson }}",
        include_upstream="{{ params.include_upstream }}",
        dry_run="{{ params.dry_run }}",
        require_tests="{{ not params.skip_tests }}",
        reason="{{ params.reason or '' }}",
    )
