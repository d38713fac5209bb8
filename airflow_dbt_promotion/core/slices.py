"""Slices: the batches of a microbatch model, and whether they cover all that the model is to hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from airflow_dbt_promotion.core.definition import NodeConfig

Slice = tuple[datetime, datetime]

_NEVER = datetime.min.replace(tzinfo=UTC)
"""Where the batches begin of a microbatch model that does not say it: no slices cover that."""


def slices_from(config: NodeConfig) -> datetime | None:
    """Return where the batches of a microbatch model begin, in UTC as dbt takes it; None for any other model."""
    if config.incremental_strategy != "microbatch" or config.materialized != "incremental":
        return None
    try:
        found = datetime.fromisoformat(str(config.begin))
    except ValueError:
        return _NEVER
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def joined(slices: Iterable[Slice]) -> tuple[Slice, ...]:
    """Return slices in their order, those that touch as one."""
    found: list[Slice] = []
    for begin, end in sorted(slices):
        if found and begin <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((begin, end))
    return tuple(found)


def cover(slices: Iterable[Slice], begin: datetime, end: datetime) -> bool:
    """Say whether slices leave nothing out between two instants."""
    return any(first <= begin and end <= last for first, last in joined(slices))
