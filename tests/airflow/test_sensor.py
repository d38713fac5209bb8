from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from airflow_dbt_promotion.core.errors import ClockError
from airflow_dbt_promotion.sensors.soak import SHORTEST_WAIT, StagingSoakSensor
from airflow_dbt_promotion.triggers.soak import SoakTrigger
from tests.airflow.spellings import (
    AirflowFailException,
    AirflowRescheduleException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from tests.airflow.tasks import FakeTaskInstance, a_context, shop
from tests.scenarios import DAY, NOON, Shop, model_id, release, test_id

__all__ = ["shop"]

HOUR = timedelta(hours=1)
ALL = ["orders", "raw_orders", "revenue", "stg_orders"]


def a_sensor(**arguments: Any) -> StagingSoakSensor:
    return StagingSoakSensor(task_id="soaked", dbt_project_dir="/shop", **arguments)


def deferral(sensor: StagingSoakSensor) -> tuple[datetime, dict[str, str]]:
    """Start a sensor that is not ready; return the moment that it sleeps to, and the event that wakes it."""
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute(a_context())
    return moment_of(caught.value)


def moment_of(deferred: TaskDeferred) -> tuple[datetime, dict[str, str]]:
    assert deferred.method_name == "execute_complete"
    assert deferred.timeout is None
    trigger = deferred.trigger
    assert isinstance(trigger, SoakTrigger)
    return datetime.fromisoformat(trigger.moment), {"moment": trigger.moment, "began": trigger.began}


def test_what_has_soaked_is_told_at_once(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert a_sensor().execute(a_context()) == ALL
    assert a_sensor(models="orders, revenue").execute(a_context()) == ["orders", "revenue"]


def test_what_production_holds_already_is_ready_where_it_is_named_and_not_waited_for_otherwise(shop: Shop) -> None:
    from airflow_dbt_promotion.engine import PromotionRequest  # noqa: PLC0415 - beside its use

    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(PromotionRequest(target="production"))
    assert a_sensor().execute(a_context()) == []
    assert a_sensor(models=["orders"]).execute(a_context()) == ["orders"]


def test_it_sleeps_to_the_instant_at_which_the_soak_ends(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(HOUR)
    moment, event = deferral(a_sensor(models=["orders"]))
    assert moment == NOON + DAY
    assert datetime.fromisoformat(event["began"]) == NOON + HOUR

    shop.clock.now = moment
    assert a_sensor(models=["orders"]).execute_complete(a_context(), event) == ["orders"]


def test_all_waits_for_the_last_and_any_for_the_first(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(HOUR)
    shop.change(release(code={"revenue": "select 2"}))
    shop.run("staging")
    assert deferral(a_sensor(mode_of_waiting="all"))[0] == NOON + HOUR + DAY
    assert deferral(a_sensor(mode_of_waiting="any"))[0] == NOON + DAY
    shop.clock.now = NOON + DAY
    assert a_sensor(mode_of_waiting="any").execute(a_context()) == ["orders", "raw_orders", "stg_orders"]


def test_a_version_that_moved_meanwhile_is_waited_for_anew(shop: Shop) -> None:
    shop.run("staging")
    sensor = a_sensor(models=["orders"])
    moment, event = deferral(sensor)

    shop.clock.pass_by(HOUR)
    shop.change(release(code={"orders": "select 2"}))
    shop.run("staging")
    shop.clock.now = moment
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute_complete(a_context(), event)
    again, second = moment_of(caught.value)
    assert again == NOON + HOUR + DAY
    assert second["began"] == event["began"]

    shop.clock.now = again
    assert sensor.execute_complete(a_context(), second) == ["orders"]


def test_more_soak_can_be_asked_for_and_less_cannot(shop: Shop) -> None:
    shop.run("staging")
    assert deferral(a_sensor(min_days_in_staging=2))[0] == NOON + 2 * DAY
    assert deferral(a_sensor(min_days_in_staging="PT36H"))[0] == NOON + 1.5 * DAY
    assert deferral(a_sensor(min_days_in_staging=0))[0] == NOON + DAY


def test_what_nobody_knows_the_end_of_is_asked_again_after_the_recheck_interval(shop: Shop) -> None:
    shop.run("staging", without={test_id("orders")})
    shop.clock.pass_by(DAY)
    assert deferral(a_sensor(models=["orders"], recheck_interval=2 * HOUR))[0] == shop.clock.now + 2 * HOUR


def test_it_does_not_ask_again_before_the_last_known_instant(shop: Shop) -> None:
    shop.run("staging", without={test_id("orders")})
    assert deferral(a_sensor(models=["orders", "revenue"]))[0] == NOON + DAY


def test_a_model_that_staging_does_not_hold_yet_is_waited_for(shop: Shop) -> None:
    shop.run("staging", without={model_id("revenue"), test_id("revenue")})
    assert deferral(a_sensor(models=["revenue"]))[0] == NOON + HOUR


def test_any_waits_where_nothing_is_on_its_way(shop: Shop) -> None:
    from airflow_dbt_promotion.engine import PromotionRequest  # noqa: PLC0415 - beside its use

    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(PromotionRequest(target="production"))
    assert deferral(a_sensor(mode_of_waiting="any"))[0] == shop.clock.now + HOUR


def test_what_only_people_can_lift_fails_at_once(shop: Shop) -> None:
    shop.run("staging", failing={test_id("orders")})
    with pytest.raises(AirflowFailException, match=r"only people can lift this.*orders"):
        a_sensor(models=["orders", "stg_orders"]).execute(a_context())
    with pytest.raises(AirflowFailException, match="revoked"):
        a_sensor(models=["orders"], mode_of_waiting="any").execute(a_context())
    assert deferral(a_sensor(models=["orders", "stg_orders"], mode_of_waiting="any"))[0] == NOON + DAY


def test_a_source_that_was_never_recorded_fails_at_once(shop: Shop) -> None:
    with pytest.raises(AirflowFailException, match="nothing was ever recorded for staging"):
        a_sensor().execute(a_context())
    assert shop.workshop.orders == []


def test_what_is_revoked_during_the_sleep_fails_on_waking(shop: Shop) -> None:
    shop.run("staging")
    sensor = a_sensor(models=["orders"])
    moment, event = deferral(sensor)
    shop.run("staging", failing={test_id("orders")})
    shop.clock.now = moment
    with pytest.raises(AirflowFailException, match="revoked"):
        sensor.execute_complete(a_context(), event)


def test_unknown_models_and_environments_fail_without_a_retry(shop: Shop) -> None:
    shop.run("staging")
    with pytest.raises(AirflowFailException, match=r"unknown_model.*'order'"):
        a_sensor(models=["order"]).execute(a_context())
    with pytest.raises(AirflowFailException, match="unknown_environment"):
        a_sensor(target_environment="moon").execute(a_context())
    with pytest.raises(AirflowFailException, match="bad_duration"):
        a_sensor(min_days_in_staging="soon").execute(a_context())
    with pytest.raises(AirflowFailException, match="empty_selection"):
        a_sensor(models=[]).execute(a_context())


def test_the_machines_errors_are_left_to_airflows_retries(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.now = NOON - DAY
    with pytest.raises(ClockError):
        a_sensor().execute(a_context())


def test_it_gives_up_at_its_timeout_counted_from_the_first_start(shop: Shop) -> None:
    shop.run("staging")
    sensor = a_sensor(models=["orders"], timeout=2 * HOUR)
    moment, event = deferral(sensor)
    assert moment == NOON + 2 * HOUR
    shop.clock.now = moment
    with pytest.raises(AirflowSensorTimeout, match=r"waited since 2026-07-24 12:00:00 UTC.*soaks in staging"):
        sensor.execute_complete(a_context(), event)


def test_the_default_timeout_leaves_room_for_one_restart_of_the_clock(shop: Shop) -> None:
    shop.run("staging")
    sensor = a_sensor(models=["orders"], min_days_in_staging=9)
    moment, event = deferral(sensor)
    assert moment == NOON + 9 * DAY
    shop.clock.now = NOON + 8 * DAY
    shop.change(release(code={"orders": "select 2"}))
    shop.run("staging")
    shop.clock.now = moment
    with pytest.raises(TaskDeferred) as caught:
        sensor.execute_complete(a_context(), event)
    assert moment_of(caught.value)[0] == NOON + 17 * DAY
    shop.clock.now = NOON + 19 * DAY
    shop.change(release(code={"orders": "select 3"}))
    shop.run("staging")
    with pytest.raises(AirflowSensorTimeout):
        sensor.execute_complete(a_context(), event)


def test_a_deferral_never_ends_before_airflow_knows_that_it_began(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.now = NOON + DAY - timedelta(seconds=1)
    assert deferral(a_sensor())[0] == shop.clock.now + SHORTEST_WAIT


def test_without_a_triggerer_it_is_rescheduled_for_the_same_instant(shop: Shop) -> None:
    shop.run("staging")
    sensor = a_sensor(models=["orders"], deferrable=False, timeout=3 * DAY)
    assert sensor.reschedule
    with pytest.raises(AirflowRescheduleException) as caught:
        sensor.execute(a_context(FakeTaskInstance(None)))
    assert caught.value.reschedule_date == NOON + DAY

    shop.change(release(code={"orders": "select 2"}))
    shop.clock.now = NOON + DAY
    shop.run("staging")
    with pytest.raises(AirflowRescheduleException) as caught:
        sensor.execute(a_context(FakeTaskInstance(NOON)))
    assert caught.value.reschedule_date == NOON + 2 * DAY
    shop.clock.now = NOON + 3 * DAY
    shop.change(release(code={"orders": "select 3"}))
    shop.run("staging")
    with pytest.raises(AirflowSensorTimeout):
        sensor.execute(a_context(FakeTaskInstance(NOON)))


def test_a_soft_sensor_skips_where_it_would_fail(shop: Shop) -> None:
    shop.run("staging", failing={test_id("orders")})
    with pytest.raises(AirflowSkipException, match="revoked"):
        a_sensor(models=["orders"], soft_fail=True).execute(a_context())
    with pytest.raises(AirflowSkipException, match="still"):
        a_sensor(models=["revenue"], soft_fail=True, timeout=0).execute(a_context())


def test_names_may_come_out_of_a_template(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert a_sensor(models='["orders"]').execute(a_context()) == ["orders"]
    assert a_sensor(models="['orders', 'revenue']").execute(a_context()) == ["orders", "revenue"]


def test_a_wrong_way_of_waiting_is_found_when_the_dag_is_parsed() -> None:
    with pytest.raises(ValueError, match="most"):
        a_sensor(mode_of_waiting="most")
