"""Drift as an event of Airflow, so that people, and DAGs, can be told of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.sdk import AssetAlias

    from airflow_dbt_promotion.core.recording import Recording


def drift_alias(environment: str) -> AssetAlias:
    """Return the alias of an environment's drift: an outlet for tasks that record runs, a schedule for DAGs that tell
    somebody.
    """
    from airflow.sdk import AssetAlias  # noqa: PLC0415 - imports of Airflow wait until they are needed

    return AssetAlias(_name(environment))


def emit(context: Mapping[str, Any], recording: Recording) -> None:
    """Add an event to the alias where a run drifted; nothing happens where none did, or outside a task.

    The event belongs to the asset of the alias' name. Its extra holds `environment`, `run` (dbt's invocation id), and
    `models`: each with `unique_id`, `version`, and `promoted_version`. Airflow sends it when the task succeeds, and
    only if the alias is one of the task's outlets.
    """
    if not recording.drifted or "outlet_events" not in context:
        return
    from airflow.sdk import Asset  # noqa: PLC0415 - as late

    state = recording.state
    models = [
        {
            "unique_id": str(model),
            "version": str(state.drift[model].version),
            "promoted_version": str(state.current[model].version) if model in state.current else None,
        }
        for model in recording.drifted
    ]
    extra = {"environment": str(state.environment), "run": recording.run, "models": models}
    context["outlet_events"][drift_alias(state.environment)].add(Asset(_name(state.environment)), extra=extra)


def _name(environment: str) -> str:
    """Return what alias and asset are called."""
    return f"dbt_promotion:{environment}:drift"
