"""Importing into an environment: history alone changes, once, and bad input writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import (
    ClockError,
    ImportedStateError,
    StateConflictError,
    UnknownEnvironmentError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.engine.importer import Imported, Importer
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.scenarios import DAY, NOON, PACKAGE, Shop, model_id, path

PRODUCTION = EnvironmentName("production")
ALL = PromotionRequest(target="production")
OLD = {"orders": "2025-01-31T10:00:00Z", model_id("stg_orders"): "2025-01-30T10:00:00Z"}


def take(shop: Shop, value: object = OLD, environment: str = "production") -> Imported:
    """Import a value that is written as JSON."""
    memory = Memory(shop.engine.path, shop.store, PACKAGE)
    return Importer(memory, shop.clock).take(environment, json.dumps(value).encode(), "old.json", None)


def counts(found: Imported) -> tuple[int, int, int, int]:
    """Return how many were added, known, dropped, and are on record."""
    return found.added, found.known, found.dropped, found.history


def test_importing_twice_adds_nothing_and_writes_nothing() -> None:
    shop = Shop()
    assert counts(take(shop)) == (2, 0, 0, 2)
    once = shop.store.read(PRODUCTION)
    assert once is not None
    assert counts(take(shop)) == (0, 2, 0, 2)
    assert shop.store.read(PRODUCTION) == once
    assert (once.project.name, once.current, once.evidence, once.stays) == ("shop", {}, {}, {})


def test_an_environment_is_called_by_its_target_too() -> None:
    shop = Shop()
    assert take(shop, environment="prod").environment == "production"
    with pytest.raises(UnknownEnvironmentError):
        take(shop, environment="moon")


def test_what_finds_no_room_is_left_out_and_what_is_there_stays() -> None:
    shop = Shop(environments=path(keep_history=2))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(ALL)
    (promoted,) = (record for _, record in shop.engine.history())
    assert counts(take(shop)) == (1, 0, 1, 2)
    assert shop.engine.history()[0] == ("production", promoted)
    assert counts(take(shop)) == (0, 1, 1, 2)


def test_a_plan_made_before_an_import_is_the_plan_after_it() -> None:
    """Even where the environment had no document before."""
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(timedelta(hours=20))
    before, status = shop.engine.plan(ALL), shop.engine.status()
    take(shop)
    take(shop, environment="staging")
    after = shop.engine.plan(ALL)
    assert after == before
    assert [replace(one, last_promotion=None) for one in shop.engine.status()] == list(status)
    told = {one.model: one.last_promotion for one in shop.engine.status()}
    assert told[model_id("stg_orders")] is not None
    assert told[model_id("orders")] is None, "a bare name is no model of this project for sure"


def test_promotions_after_an_import_are_what_they_would_have_been() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    plan = shop.engine.plan(ALL)
    take(shop)
    assert shop.engine.promote(ALL).plan.plan_id == plan.plan_id
    before = shop.store.read(PRODUCTION)
    take(shop, {"orders": "2025-06-01T00:00:00Z"})
    after = shop.store.read(PRODUCTION)
    assert before is not None
    assert after is not None
    assert [record.strategy for record in after.history] == ["build", "imported", "imported", "imported"]
    assert replace(after, history=before.history, serial=before.serial) == before


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ({**OLD, "revenue": "some day"}, ImportedStateError),
        ({**OLD, "revenue": (NOON + timedelta(minutes=6)).isoformat()}, ClockError),
    ],
)
def test_bad_input_writes_nothing(value: object, error: type[Exception]) -> None:
    shop = Shop()
    with pytest.raises(error, match=r"old\.json"):
        take(shop, value)
    assert shop.store.environments() == ()


def test_a_clock_that_is_a_little_behind_is_good_enough() -> None:
    assert take(Shop(), {"orders": (NOON + timedelta(minutes=4)).isoformat()}).added == 1


def test_a_file_that_tells_of_nothing_makes_no_document() -> None:
    shop = Shop()
    assert counts(take(shop, [])) == (0, 0, 0, 0)
    assert shop.store.environments() == ()
    take(shop)
    assert counts(take(shop, [])) == (0, 0, 0, 2)


def test_a_document_of_no_project_is_not_made() -> None:
    store = MemoryStore()
    nameless, data = Importer(Memory(path(), store, None), lambda: NOON), json.dumps(OLD).encode()
    with pytest.raises(ImportedStateError, match="which dbt project"):
        nameless.take("production", data, "old.json", None)
    assert store.environments() == ()
    Importer(Memory(path(), store, "shop"), lambda: NOON).take("production", data, "old.json", None)
    assert nameless.take("production", data, "old.json", None).known == 2


class Busy(MemoryStore):
    """A store in which somebody else does something first, once."""

    def __init__(self) -> None:
        super().__init__()
        self.first: Callable[[], object] | None = None

    def write(self, state: EnvironmentState, expected: int | None) -> EnvironmentState:
        """Let the other go first."""
        if self.first is not None:
            first, self.first = self.first, None
            first()
            with pytest.raises(StateConflictError):
                super().write(state, expected)
        return super().write(state, expected)


def test_two_who_import_at_once_add_each_promotion_once_and_say_so() -> None:
    store = Busy()
    importer, data = Importer(Memory(path(), store, "shop"), lambda: NOON), json.dumps(OLD).encode()
    one = json.dumps({"orders": OLD["orders"]}).encode()
    store.first = lambda: importer.take("production", one, "other.json", None)
    found = importer.take("production", data, "old.json", None)
    assert counts(found) == (1, 1, 0, 2)
