"""Backfills: a promotion is about now, whatever interval a run is of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_dbt_promotion.hooks.endings import skip

if TYPE_CHECKING:
    from airflow.sdk import Context


def refuse_backfill(context: Context, *, wanted: bool) -> None:
    """Raise what skips a task of a backfill, unless it is wanted: every run of it would promote what is there now."""
    if wanted:
        return
    run_type = getattr(context["dag_run"], "run_type", None)
    if getattr(run_type, "value", run_type) == "backfill":
        raise skip(
            "this run is a backfill, and a promotion is about now, whatever interval a run is of; "
            "in_backfills=True promotes all the same"
        )
