"""Telling what is: status, validated models and history, of which nothing writes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import Leniency
from airflow_dbt_promotion.core.errors import ConfigError, UnknownEnvironmentError, UnknownModelError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest
from tests.scenarios import DAY, NOON, Shop, model_id, path, release, test_id

ORDERS = model_id("orders")
HOUR = timedelta(hours=1)


def story() -> Shop:
    """Return a shop whose staging was built, soaked and promoted, and then changed."""
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(PromotionRequest(target="production", actor="ann"))
    shop.change(release(code={"revenue": "select 2"}))
    shop.run("staging")
    return shop


def test_status_goes_along_the_path() -> None:
    found = story().engine.status()
    assert [one.environment for one in found] == ["staging"] * 4 + ["production"] * 4
    by_name = {(one.environment, one.name): one for one in found}
    assert by_name["staging", "orders"].validated
    assert not by_name["staging", "orders"].pending
    assert by_name["staging", "revenue"].pending
    revenue = by_name["staging", "revenue"].soak
    assert revenue is not None
    assert revenue.eligible_at == NOON + 2 * DAY
    assert by_name["production", "revenue"].soak is None
    last = by_name["production", "orders"].last_promotion
    assert last is not None
    assert last.outcome is PromotionOutcome.PROMOTED


def test_status_of_one_environment_some_models_and_a_longer_soak() -> None:
    shop = story()
    (one,) = shop.engine.status("staging", ["orders"], 9 * DAY)
    assert (one.model, one.soaked) == (ORDERS, False)
    (shorter,) = shop.engine.status("staging", ["revenue"], HOUR)
    assert shorter.soak is not None
    assert shorter.soak.eligible_at == NOON + 2 * DAY, "status never asks for less than policy"
    assert shop.engine.status("development") == ()
    with pytest.raises(UnknownModelError):
        shop.engine.status(models=["nothing"])
    with pytest.raises(UnknownEnvironmentError):
        shop.engine.status("moon")


def test_status_before_anything_was_recorded_is_empty_and_writes_nothing() -> None:
    shop = Shop()
    assert (shop.engine.status(), shop.engine.history(), shop.engine.validated()) == ((), (), ())
    assert all(shop.store.read(place.name) is None for place in shop.engine.path.environments)


def test_validated_are_the_versions_of_staging_whether_or_not_production_has_them() -> None:
    shop = story()
    names = shop.engine.observer.names
    assert names(shop.engine.validated()) == ["orders", "raw_orders", "stg_orders"]
    assert names(shop.engine.validated(HOUR)) == ["orders", "raw_orders", "stg_orders"]
    shop.clock.pass_by(HOUR)
    assert names(shop.engine.validated(HOUR)) == ["orders", "raw_orders", "revenue", "stg_orders"]
    assert names(shop.engine.validated(HOUR, pending=True)) == ["revenue"]
    assert names(shop.engine.validated(9 * DAY)) == []


def test_validated_asks_by_policy_where_nothing_is_said() -> None:
    shop = Shop(release(untested=["orders"]), path(timedelta(0), zero_tests=Leniency.BLOCK))
    shop.run("staging")
    assert "orders" not in shop.engine.observer.names(shop.engine.validated())
    failing = Shop(environments=path(timedelta(0)))
    failing.run("staging", failing=[test_id("orders")])
    assert failing.engine.observer.names(failing.engine.validated()) == ["raw_orders", "revenue", "stg_orders"]


def test_the_last_environment_has_nowhere_to_validate_for() -> None:
    shop = story()
    with pytest.raises(ConfigError, match="last of its path"):
        shop.engine.validated(environment="production")
    assert len(shop.engine.validated(environment="staging")) == 3


def test_functions_are_no_models_to_validate() -> None:
    project = release()
    function = replace(project.models[ORDERS], id=ORDERS.replace("model.", "function."), required=(), parents=())
    shop = Shop(replace(project, models={**project.models, function.id: function}), path(timedelta(0)))
    shop.run("staging")
    assert function.id not in {one.model for one in shop.engine.validated()}


def test_names_are_as_short_as_they_can_be() -> None:
    project = release()
    twin = replace(
        project.models[ORDERS], id=ORDERS.replace("shop", "finance"), package="finance", required=(), parents=()
    )
    shop = Shop(replace(project, models={**project.models, twin.id: twin}), path(timedelta(0)))
    shop.run("staging")
    assert shop.engine.observer.names(shop.engine.validated()) == [
        "finance.orders",
        "raw_orders",
        "revenue",
        "shop.orders",
        "stg_orders",
    ]


def test_history_is_told_newest_first_over_all_environments() -> None:
    shop = story()
    shop.clock.pass_by(DAY)
    shop.workshop.failing = [model_id("revenue")]
    shop.engine.promote(PromotionRequest(target="production"))
    told = [(name, record.outcome) for name, record in shop.engine.history()]
    assert told == [("production", PromotionOutcome.FAILED), ("production", PromotionOutcome.PROMOTED)]
    assert len(shop.engine.history("production")) == 2
    assert shop.engine.history("staging") == ()


def test_a_document_is_there_to_be_looked_at() -> None:
    shop = story()
    state = shop.engine.observer.state("staging")
    assert state is not None
    assert ORDERS in state.current
    assert shop.engine.observer.state("development") is None


def test_drift_goes_along_the_path_and_knows_models_that_no_environment_holds() -> None:
    shop = story()
    shop.change(release({"raw_orders": (), "more": ()}, code={"raw_orders": "1,2"}))
    shop.run("production")
    observer = shop.engine.observer
    found = observer.drift(None, None)
    assert [(one.environment, one.name) for one in found] == [("production", "more"), ("production", "raw_orders")]
    assert [one.name for one in observer.drift("production", ["more"])] == ["more"]
    assert observer.drift("staging", None) == ()
    assert shop.engine.status(None, ["more"]) == ()
    with pytest.raises(UnknownModelError):
        observer.drift(None, ["ordesr"])
