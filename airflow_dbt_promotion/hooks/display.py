"""How tasks are called in the UI where the author of the DAG gave them no name: what they do, in words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow_dbt_promotion.core.names import means_all

_MOST_NAMED = 3
_LONGEST = 60


def named(kwargs: dict[str, Any], words: str, *values: object) -> dict[str, Any]:
    """Return a task's keyword arguments with a display name, unless it has one.

    `{}` in the words stand for the values. A value that is not known yet (a template, another task's answer) leaves the
    task to be called by its id, which is what other tasks and people refer to it by in any case.
    """
    told = [str(value) for value in values]
    if kwargs.get("task_display_name") or any("{" in value for value in told):
        return kwargs
    return {**kwargs, "task_display_name": words.format(*told).strip()}


def some(models: str | Sequence[str] | None, select: str | None = None) -> str:
    """Return which models are meant, in a few words with a space at their end; empty for all."""
    if select:
        return _in_short(select)
    if models is None or means_all(models):
        return ""
    if not isinstance(models, (list, tuple)):  # text, or what another task will tell
        return _in_short(str(models))
    named = ", ".join(str(name) for name in models)
    return f"{named} " if len(models) <= _MOST_NAMED and len(named) <= _LONGEST else f"{len(models)} models "


def _in_short(text: str) -> str:
    """Return text as it is, a template too, where it is short enough to be read in a graph."""
    return f"{text} " if len(text) <= _LONGEST or "{" in text else "some models "
