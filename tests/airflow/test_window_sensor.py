from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_dbt_promotion.core.windows import Window, Windows
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.sensors.sleeping import SHORTEST_WAIT
from airflow_dbt_promotion.sensors.window import PromotionWindowSensor
from tests.airflow.spellings import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from tests.airflow.tasks import FakeTaskInstance, a_context, shop
from tests.airflow.test_sensor import moment_of
from tests.scenarios import DAY, NOON, PACKAGE, Shop, path

__all__ = ["shop"]

HOUR = timedelta(hours=1)
WINDOWS = Windows(allow=(Window(name="business hours", zone="Europe/Berlin"),))
OPENS = NOON + 20 * HOUR


@pytest.fixture(autouse=True)
def closed(shop: Shop) -> None:
    """Let production have windows, which open at `OPENS`."""
    shop.run("staging")
    shop.calendar.opens_at = OPENS
    shop.engine = Engine(
        path=path(windows=WINDOWS),
        store=shop.store,
        releases=shop.releases,
        workshop=shop.workshop,
        reader=shop.reader,
        processes=shop.processes,
        clock=shop.clock,
        calendar=shop.calendar,
        project=PACKAGE,
    )


def a_sensor(**arguments: Any) -> PromotionWindowSensor:
    return PromotionWindowSensor(task_id="in_window", dbt_project_dir="/shop", **arguments)


def deferral(sensor: PromotionWindowSensor, event: dict[str, str] | None = None) -> tuple[datetime, dict[str, str]]:
    """Start or wake a sensor that is not ready; return the moment that it sleeps to, and the event that wakes it."""
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(a_context()) if event is None else sensor.execute_complete(a_context(), event)
    return moment_of(caught.value)


def test_where_it_is_open_or_has_no_windows_there_is_nothing_to_wait_for(shop: Shop) -> None:
    a_sensor(target_environment="staging").execute(a_context())
    shop.clock.now = OPENS
    a_sensor().execute(a_context())
    a_sensor(target_environment="production").execute(a_context())


@pytest.mark.parametrize("dry_run", [True, "True"])
def test_a_dry_run_waits_for_nothing(dry_run: bool | str) -> None:
    a_sensor(dry_run=dry_run).execute(a_context())
    deferral(a_sensor(dry_run="False"))


def test_it_sleeps_to_the_instant_at_which_it_opens_and_wakes_once(shop: Shop) -> None:
    moment, event = deferral(a_sensor())
    assert moment == OPENS
    assert datetime.fromisoformat(event["began"]) == NOON
    shop.clock.now = moment
    a_sensor().execute_complete(a_context(), event)


def test_what_moved_meanwhile_is_waited_for_anew(shop: Shop) -> None:
    moment, event = deferral(a_sensor())
    shop.clock.now = moment
    shop.calendar.opens_at = moment + DAY
    again, second = deferral(a_sensor(), event)
    assert (again, second["began"]) == (moment + DAY, event["began"])


def test_a_freeze_with_an_end_is_slept_through_and_one_without_fails_at_once(shop: Shop) -> None:
    shop.engine.freeze("production", "ann", "the demo", OPENS + HOUR)
    moment, event = deferral(a_sensor())
    assert moment == OPENS + HOUR
    shop.calendar.opens_at = OPENS + 5 * HOUR
    assert deferral(a_sensor())[0] == OPENS + 5 * HOUR
    shop.engine.freeze("production", "ann", "INC-42")
    shop.clock.now = moment
    with pytest.raises(AirflowFailException, match=r"only people can lift this: production is frozen since.*INC-42"):
        a_sensor().execute_complete(a_context(), event)
    with pytest.raises(AirflowSkipException, match="INC-42"):
        a_sensor(soft_fail=True).execute(a_context())


def test_windows_that_never_open_fail_it_at_once(shop: Shop) -> None:
    shop.calendar.never = True
    with pytest.raises(AirflowFailException, match="none opens it in the next two years"):
        a_sensor().execute(a_context())


def test_it_can_ask_more_often_so_that_a_thaw_is_noticed(shop: Shop) -> None:
    shop.engine.freeze("production", "ann", "the demo", OPENS + DAY)
    sensor = a_sensor(recheck_interval=HOUR)
    moment, event = deferral(sensor)
    assert moment == NOON + HOUR
    shop.engine.thaw("production", "ann", "over")
    shop.calendar.opens_at = None
    shop.clock.now = moment
    sensor.execute_complete(a_context(), event)


def test_what_nobody_knows_the_end_of_is_asked_again_after_an_hour(shop: Shop) -> None:
    """It is frozen until a time after which no window opens, and until then one is open."""
    shop.engine.freeze("production", "ann", "the demo", OPENS)
    shop.calendar.opens_at = None
    shop.calendar.never_from = OPENS
    assert deferral(a_sensor())[0] == NOON + HOUR


def test_it_gives_up_at_its_timeout_and_without_one_never(shop: Shop) -> None:
    sensor = a_sensor(timeout=2 * HOUR)
    moment, event = deferral(sensor)
    assert moment == NOON + 2 * HOUR
    shop.clock.now = moment
    with pytest.raises(AirflowSensorTimeout, match=r"waited since 2026-07-24 12:00:00 UTC.*outside its windows"):
        sensor.execute_complete(a_context(), event)
    shop.clock.now = NOON + 400 * DAY
    shop.calendar.opens_at = NOON + 401 * DAY
    assert deferral(a_sensor(), event)[0] == NOON + 401 * DAY


def test_a_deferral_never_ends_before_airflow_knows_that_it_began(shop: Shop) -> None:
    shop.clock.now = OPENS - timedelta(seconds=1)
    assert deferral(a_sensor())[0] == shop.clock.now + SHORTEST_WAIT


def test_without_a_triggerer_it_is_rescheduled_for_the_same_instant() -> None:
    sensor = a_sensor(deferrable=False, timeout=3 * DAY)
    assert sensor.reschedule
    with pytest.raises(AirflowRescheduleException) as caught:
        sensor.execute(a_context(FakeTaskInstance(NOON - DAY)))
    assert caught.value.reschedule_date == OPENS
    with pytest.raises(AirflowSensorTimeout):
        sensor.execute(a_context(FakeTaskInstance(NOON - 3 * DAY)))


def test_an_unknown_environment_fails_without_a_retry() -> None:
    with pytest.raises(AirflowFailException, match="unknown_environment"):
        a_sensor(target_environment="moon").execute(a_context())
