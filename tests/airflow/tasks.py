"""Tasks without an Airflow around them: an engine in memory, and the little of a context that is asked for."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import count
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest

from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.hooks.promotion import PromotionHook
from tests.scenarios import Shop

_NUMBERS = count()


class FakeTaskInstance:
    """Remembers what was pushed; `first` is when the first reschedule began. Each is another one."""

    dag_id, task_id, map_index = "dag", "task", -1

    def __init__(self, first: datetime | None = None, try_number: int = 1) -> None:
        self.first, self.pushed = first, dict[str, object]()
        self.id, self.try_number = uuid4(), try_number
        self.run_id = f"run {next(_NUMBERS)}"

    def get_first_reschedule_date(self, context: object) -> datetime | None:  # noqa: ARG002 - Airflow's signature
        return self.first

    def xcom_push(self, key: str, value: object) -> None:
        self.pushed[key] = value


class LogOfLines:
    """Keeps what is logged for people."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, message: str, *arguments: object) -> None:
        self.lines.append(message % arguments if arguments else message)

    def warning(self, message: str) -> None:
        self.lines.append(f"warning: {message}")

    def log(self, level: int, message: str, *arguments: object) -> None:
        if level >= logging.INFO:
            self.lines.append(message % arguments)


def a_context(ti: FakeTaskInstance | None = None, user: str | None = None) -> Any:
    run = SimpleNamespace(dag_id="a dag", run_id="manual__2026-07-24T12:00:00+00:00", triggering_user_name=user)
    return {"ti": ti or FakeTaskInstance(), "dag_run": run}


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> Shop:
    """A shop in memory that every hook leads to."""
    made = Shop()
    lead_to(made, monkeypatch)
    return made


def lead_to(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every hook lead to a shop."""

    @contextmanager
    def engine(self: PromotionHook, environment: str | None = None, *, builds: bool = False) -> Iterator[Engine]:  # noqa: ARG001
        yield shop.engine

    monkeypatch.setattr(PromotionHook, "engine", engine)
