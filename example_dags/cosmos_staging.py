"""Build staging with Cosmos, one task a model, and let every run become evidence.

The callback records each dbt run before Cosmos deletes the folder in which it ran; evidence adds up over the tasks. A
failed test is recorded, too: it revokes what the version had earned.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pendulum
from airflow.sdk import DAG, task
from cosmos import DbtTaskGroup, InvocationMode, LoadMode, ProfileConfig, ProjectConfig, RenderConfig

from airflow_dbt_promotion.hooks.cosmos import record_run

# The project beside this file may lie where nobody can write, so everything that it makes goes below AIRFLOW_HOME.
# COFFEE_SHOP_DIR names a copy of it; that one keeps state and targets as its own files say.
COPY = os.environ.get("COFFEE_SHOP_DIR")
KEPT = Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "coffee_shop"
PROJECT = Path(COPY or Path(__file__).parent / "dbt" / "coffee_shop")
STATE = None if COPY else str(KEPT / "promotion_states")
WAREHOUSE = Path(os.environ.get("COFFEE_DB_DIR") or (PROJECT / "target" if COPY else KEPT))

with DAG(
    dag_id="cosmos_staging",
    description="Cosmos builds staging; each run is recorded as evidence",
    schedule="@daily",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    # DuckDB lets one process write at a time. Leave this out on a warehouse.
    max_active_tasks=1,
    tags=["dbt", "promotion", "cosmos"],
    doc_md=__doc__,
):

    @task
    def make_room() -> None:
        """Make the folder of the DuckDB files."""
        WAREHOUSE.mkdir(parents=True, exist_ok=True)

    staging = DbtTaskGroup(
        group_id="staging",
        project_config=ProjectConfig(PROJECT, install_dbt_deps=False, env_vars={"COFFEE_DB_DIR": str(WAREHOUSE)}),
        profile_config=ProfileConfig(
            profile_name="coffee_shop", target_name="staging", profiles_yml_filepath=PROJECT / "profiles.yml"
        ),
        render_config=RenderConfig(
            # Asks dbt once for each change of the project, and caches the answer: out of the box, always current.
            # Where CI ships a manifest.json, LoadMode.DBT_MANIFEST parses without dbt.
            load_method=LoadMode.DBT_LS,
            invocation_mode=InvocationMode.SUBPROCESS,
            dbt_executable_path=Path(sys.executable).with_name("dbt"),
            # A test on two models runs after both, not after the first.
            should_detach_multiple_parents_tests=True,
            emit_datasets=False,
        ),
        operator_args={"callback": record_run("staging", dbt_project_dir=PROJECT, state=STATE)},
    )

    make_room() >> staging
