"""What tests of databases share."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import event, text

from airflow_dbt_promotion.core.identity import PlanId
from airflow_dbt_promotion.core.state import PromotionOutcome, PromotionRecord
from airflow_dbt_promotion.stores.database import DatabaseStore
from airflow_dbt_promotion.stores.database_address import root_of
from airflow_dbt_promotion.stores.database_engine import Database
from tests.stores.contract import STAGING


def opened(address: str) -> DatabaseStore:
    """Return the store at an address."""
    return DatabaseStore.open(address, Path("/nowhere"), ())


def promoted(number: int) -> PromotionRecord:
    """Return a promotion that is history."""
    at = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(days=number)
    return PromotionRecord(
        plan_id=PlanId(f"{number:064}"),
        outcome=PromotionOutcome.PROMOTED,
        source=STAGING,
        strategy="build",
        actor='ada "the first"\n',
        started_at=at,
        finished_at=at,
        models={},
    )


def in_tables(address: str, statement: str, **values: object) -> list[tuple[Any, ...]]:
    """Carry out a statement beside the store; tables are called by their last word."""
    database = Database(root_of(address, Path("/nowhere")))
    tables = ("states", "history", "blobs", "schema")
    words = {name: f"{database.dialect.words['schema']}dbt_promotion_{name}" for name in tables}
    with database._transaction() as connection:
        database.dialect.begin_writing(connection)
        done = connection.execute(text(statement.format_map(words)), values)
        return [tuple(row) for row in done] if done.returns_rows else []


def at_once(count: int, act: Callable[[int], object]) -> None:
    """Let forked processes do something, all at the same moment; each must end well."""
    ready, go = os.pipe()
    children = []
    for number in range(count):
        child = os.fork()
        if child == 0:
            try:
                os.close(go)
                os.read(ready, 1)
                act(number)
                os._exit(0)
            except BaseException:  # noqa: BLE001 - whatever it is, the parent counts it
                traceback.print_exc()
            finally:
                os._exit(1)
        children.append(child)
    os.close(go)
    os.close(ready)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * count


def once(store: DatabaseStore, statement: str, act: Callable[[], object]) -> None:
    """Let something happen just before a store sends a statement for the first time."""
    left = [act]

    def before(*arguments: Any) -> None:
        if left and statement in arguments[2]:
            left.pop()()

    event.listen(store._database._reached()[0], "before_cursor_execute", before)
