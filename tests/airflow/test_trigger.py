from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from importlib import import_module

import pytest

from airflow_dbt_promotion.triggers import soak
from airflow_dbt_promotion.triggers.soak import SoakTrigger


async def first(trigger: SoakTrigger) -> object:
    async for event in trigger.run():
        return event.payload
    raise AssertionError("it never fired")


def test_it_survives_a_restart_of_the_triggerer() -> None:
    path, arguments = SoakTrigger("2026-07-24T12:00:00+00:00", "2026-07-23T12:00:00+00:00").serialize()
    module, _, name = path.rpartition(".")
    again = getattr(import_module(module), name)(**arguments)
    assert isinstance(again, SoakTrigger)
    assert again.serialize() == (path, arguments)


def test_it_fires_at_once_where_the_moment_is_past() -> None:
    moment = "2026-07-24T12:00:00+02:00"
    assert asyncio.run(first(SoakTrigger(moment, "b"))) == {"moment": moment, "began": "b"}


def test_it_sleeps_in_hours_and_fires_no_earlier_than_the_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    begin = datetime(2026, 7, 24, tzinfo=UTC)

    class Clock(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # noqa: ARG003 - the signature of datetime
            return begin + timedelta(seconds=sum(slept))

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(soak, "datetime", Clock)
    monkeypatch.setattr(soak.asyncio, "sleep", sleep)
    asyncio.run(first(SoakTrigger((begin + timedelta(hours=2, minutes=30)).isoformat(), "b")))
    assert slept == [3600, 3600, 1800]
