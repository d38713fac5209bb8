"""Brakes: a hold and a block stop a promotion on every surface, and lifting them lets it go."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.braking import Deed, with_blocks
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    NotBlockedError,
    NotHeldError,
    ReasonRequiredError,
    UnknownEnvironmentError,
    UnknownModelError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.core.stops import InterventionKind
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.engine.brakes import Brakes
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.sensors.readiness import Never, Ready, answer, question
from airflow_dbt_promotion.sensors.waiting import Waiting
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.locking import SHOP, locked
from tests.scenarios import DAY, Shop, model_id, path

PRODUCTION = EnvironmentName("production")
ORDERS, REVENUE = model_id("orders"), model_id("revenue")


@pytest.fixture
def shop() -> Shop:
    """Return a shop whose staging has soaked."""
    made = Shop()
    made.run("staging")
    made.clock.pass_by(DAY)
    return made


def state(shop: Shop) -> EnvironmentState:
    found = shop.store.read(PRODUCTION)
    assert found is not None
    return found


def block(shop: Shop, name: str) -> None:
    deed = Deed(at=shop.clock(), actor="ann", reason="it doubles rows")
    version = shop.project.models[model_id(name)].version
    memory = Memory(shop.engine.path, shop.store, None)
    memory.change(PRODUCTION, SHOP, lambda found: with_blocks(found, {model_id(name): version}, deed))


def answers(shop: Shop) -> set[type]:
    asked = question(shop.engine, None, ["orders"], None)
    return {type(answer(asked, Waiting.ALL, DAY))}


def test_a_held_environment_takes_nothing_and_every_surface_says_so(shop: Shop) -> None:
    assert answers(shop) == {Ready}
    done = shop.engine.hold("production", "ann", " the books are closed ")
    assert (done.kind, done.actor, done.reason) == (InterventionKind.HOLD, "ann", "the books are closed")
    refused = shop.engine.promote(PromotionRequest(target="production"))
    assert refused.outcome is PromotionOutcome.REFUSED
    assert "held since" in refused.message
    assert (shop.workshop.orders, shop.engine.validated()) == ([], ())
    assert answers(shop) == {Never}
    shop.engine.release("production", "ben", "they are open")
    assert shop.engine.promote(PromotionRequest(target="production")).outcome is PromotionOutcome.PROMOTED
    assert [one.kind.value for one in state(shop).interventions] == ["hold", "release"]


def test_a_blocked_version_stays_behind_on_every_surface(shop: Shop) -> None:
    block(shop, "orders")
    block(shop, "revenue")
    assert answers(shop) == {Never}
    assert {one.model for one in shop.engine.validated()} == {model_id("raw_orders"), model_id("stg_orders")}
    assert set(shop.engine.promote(PromotionRequest(target="production")).models) == {
        model_id("raw_orders"),
        model_id("stg_orders"),
    }
    with pytest.raises(UnknownModelError, match="orders"):
        shop.engine.unblock("production", "ben", "mended", ["stg_orders"])
    done = shop.engine.unblock("production", "ben", "mended", ["orders"])
    assert set(done.models) == {ORDERS}
    shop.engine.unblock("production", "ben", "mended")
    assert set(shop.engine.promote(PromotionRequest(target="production")).models) == {ORDERS, REVENUE}


def test_what_is_held_while_it_waits_for_its_turn_does_not_go(shop: Shop) -> None:
    planned = shop.engine.plan(PromotionRequest(target="production"))
    shop.engine.hold("production", "ann", "wait")
    assert shop.engine.plan(PromotionRequest(target="production")).plan_id != planned.plan_id


def test_no_lock_is_needed(shop: Shop) -> None:
    with locked(shop.store, "production", "ben", shop.clock()):
        shop.engine.hold("production", "ann", "stop")
    assert state(shop).hold is not None


def test_there_has_to_be_something_to_lift_and_a_reason(shop: Shop) -> None:
    engine = shop.engine
    with pytest.raises(NotHeldError):
        engine.release("production", "ann", "why not")
    with pytest.raises(NotBlockedError):
        engine.unblock("production", "ann", "why not")
    engine.hold("production", "ann", "stop")
    with pytest.raises(NotBlockedError):
        engine.unblock("production", "ann", "why not")
    for act in (engine.hold, engine.release, engine.unblock):
        with pytest.raises(ReasonRequiredError):
            act("production", "ann", " ")
        with pytest.raises(UnknownEnvironmentError):
            act("nowhere", "ann", "why not")


def test_a_document_of_no_project_is_not_made() -> None:
    brakes = Brakes(Memory(path(), MemoryStore(), None), Shop().clock)
    with pytest.raises(ConfigError, match="which dbt project"):
        brakes.hold("production", "ann", "stop")
