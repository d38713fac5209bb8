"""Who acts in a task, and where a person can look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow_dbt_promotion.hooks.settings import airflow_setting

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.engine import Engine, Promotion


def actor(context: Context) -> str:
    """Return the person who triggered the run, where Airflow tells (not in early 3.1); else `airflow:` and the DAG."""
    run = context["dag_run"]
    return getattr(run, "triggering_user_name", None) or f"airflow:{run.dag_id}"


def link(context: Context) -> str | None:
    """Return the address of the run in the UI, None where `[api] base_url` does not say where that is."""
    return run_address(context["dag_run"].dag_id, context["dag_run"].run_id)


def run_address(dag_id: str, run_id: str) -> str | None:
    """Return the address of a run in the UI, None where `[api] base_url` does not say where that is."""
    base = airflow_setting("api", "base_url")
    return None if base is None else f"{base.rstrip('/')}/dags/{quote(dag_id)}/runs/{quote(run_id)}"


def answer_link(context: Context) -> str | None:
    """Return the address at which people answer what this task asks, None where the run has none."""
    instance, run = context["ti"], link(context)
    place = f"tasks/{quote(instance.task_id)}/required_actions?map_index={instance.map_index}"
    return None if run is None else f"{run}/{place}"


def promotion_link(engine: Engine, told: Promotion) -> str | None:
    """Return where what the target holds was promoted: the newest promotion on record that went well.

    None where this one did not go well, for then it is not the place to look.
    """
    from airflow_dbt_promotion.core.state import PromotionOutcome  # noqa: PLC0415 - DAG files import this module

    if told.dry_run or told.outcome not in {PromotionOutcome.PROMOTED, PromotionOutcome.NOTHING_TO_DO}:
        return None
    state = engine.observer.state(told.plan.target)
    went = [one for one in (state.history if state is not None else ()) if one.outcome is PromotionOutcome.PROMOTED]
    return went[0].link if went else None


def run(context: Context) -> str:
    """Return what all attempts at a task have in common: its DAG, its run, the task, and its place in a mapped one."""
    instance = context["ti"]
    return f"airflow:{instance.dag_id}:{instance.run_id}:{instance.task_id}:{instance.map_index}"
