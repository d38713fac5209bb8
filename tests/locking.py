"""Holding a lock as another process would."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.lock import Holder, freed, taken
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.memory import Memory

SHOP = ProjectIdentity(name="shop")


@contextmanager
def locked(
    store: StateStore, environment: str, owner: str, now: datetime | None = None, run: str | None = None
) -> Iterator[EnvironmentState]:
    """Hold the lock of an environment; yield its document."""
    name, at = EnvironmentName(environment), now or datetime.now(tz=UTC)
    before = store.read(name)
    fresh = before or EnvironmentState(project=SHOP, environment=name, lineage="made by a test")
    held = taken(fresh, Holder(owner=owner, run=run), at)
    written = store.write(held, before.serial if before is not None else None)
    try:
        yield written
    finally:
        Memory.change(
            Memory(None, store, None),  # type: ignore[arg-type]  # no path is asked for
            name,
            SHOP,
            lambda state: freed(state, written.epoch),
        )
