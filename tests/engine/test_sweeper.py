"""What this package made and nobody needs is listed, then dropped; nothing else is, whatever it is called."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import beside_names
from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import LeftoverRole
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest
from tests.kept_shop import KeptShop, with_text
from tests.scenarios import DAY, defined, path, test_id

ASKED = PromotionRequest(target="production", actor="ann")


@pytest.fixture
def shop() -> KeptShop:
    """Return a shop of which one promotion can be gone back, on a warehouse that swaps."""
    shop = KeptShop(defined(), path(keep_checkpoints=1))
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    return shop


def promote(shop: KeptShop, number: int) -> PromotionOutcome:
    """Promote another edition of the orders."""
    shop.edit(with_text(shop.definition, "orders", f"select {number} as id"))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    return shop.engine.promote(ASKED).outcome


def names(shop: KeptShop) -> list[str]:
    """Return the models of the relations of ours that are in the warehouse, with what they are."""
    return sorted(place.identifier[:-9] for place in shop.workshop.relations if "__" in place.identifier)


def test_a_warehouse_in_which_nothing_is_due_is_not_asked(shop: KeptShop, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(shop, 2)
    monkeypatch.setattr(shop.workshop, "present", None)
    assert shop.engine.sweeper.found() == ()
    assert shop.engine.sweeper.sweep((), "ann", 0) == ()


def test_what_a_checkpoint_kept_is_due_once_the_checkpoint_is_gone(shop: KeptShop) -> None:
    promote(shop, 2)
    promote(shop, 3)
    assert names(shop) == ["orders__was", "orders__was", "revenue__was", "revenue__was"]
    found = shop.engine.sweeper.found()
    assert [(swept.leftover.role, swept.kind) for swept in found] == [(LeftoverRole.SUPERSEDED, "table")] * 2
    assert names(shop) == ["orders__was", "orders__was", "revenue__was", "revenue__was"]
    swept = shop.engine.sweeper.sweep(found, "ann", 0)
    assert [one.stays for one in swept] == [None, None]
    assert names(shop) == ["orders__was", "revenue__was"]
    assert shop.state().leftovers == ()
    assert shop.state().lock is None


def test_what_was_not_published_stays_for_a_day(shop: KeptShop) -> None:
    shop.workshop.failing = {test_id("revenue")}
    assert promote(shop, 2) is PromotionOutcome.FAILED
    assert names(shop) == ["orders__next", "revenue__next"]
    assert [swept.leftover.role for swept in shop.engine.sweeper.found()] == [LeftoverRole.SUPERSEDED] * 2
    shop.clock.pass_by(DAY)
    found = shop.engine.sweeper.found()
    assert sorted((swept.leftover.role.value, swept.kind) for swept in found) == [
        ("shadow", "table"),
        ("shadow", "table"),
        ("superseded", None),
        ("superseded", None),
    ]
    shop.engine.sweeper.sweep(found, "ann", 0)
    assert (names(shop), shop.state().leftovers) == ([], ())


def test_a_relation_of_such_a_name_that_we_did_not_make_is_left_alone(shop: KeptShop) -> None:
    stranger = Place(database=None, schema="production", identifier=beside_names("orders", "12345678", 63)[1])
    shop.workshop.relations[stranger] = "somebody's"
    promote(shop, 2)
    promote(shop, 3)
    shop.engine.sweeper.sweep(shop.engine.sweeper.found(), "ann", 0)
    assert shop.workshop.relations[stranger] == "somebody's"


def test_what_cannot_be_dropped_stays_on_record_with_the_reason(
    shop: KeptShop, monkeypatch: pytest.MonkeyPatch
) -> None:
    promote(shop, 2)
    promote(shop, 3)
    drop = shop.workshop.drop

    def partly(
        environment: Environment, composition: Composition | None, places: Collection[Place]
    ) -> Mapping[Place, str]:
        stays = {place: "a view reads it" for place in places if place.identifier.startswith("orders")}
        drop(environment, composition, [place for place in places if place not in stays])
        return stays

    monkeypatch.setattr(shop.workshop, "drop", partly)
    swept = shop.engine.sweeper.sweep(shop.engine.sweeper.found(), "ann", 0)
    assert sorted(one.stays or "" for one in swept) == ["", "a view reads it"]
    assert [leftover.place.identifier[:11] for leftover in shop.state().leftovers] == ["orders__was"]


def test_what_is_needed_again_meanwhile_is_not_dropped(shop: KeptShop) -> None:
    promote(shop, 2)
    promote(shop, 3)
    found = shop.engine.sweeper.found()
    state = shop.state()
    shop.store.write(replace(state, leftovers=state.leftovers[:1]), state.serial)
    assert len(shop.engine.sweeper.sweep(found, "ann", 0)) == 1
    assert len(names(shop)) == 3


def test_without_kept_code_the_project_at_hand_will_do(shop: KeptShop, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(shop, 2)
    promote(shop, 3)
    shop.workshop.kept.clear()
    asked: list[Composition | None] = []
    present = shop.workshop.present

    def noting(
        environment: Environment, composition: Composition | None, places: Collection[Place]
    ) -> Mapping[Place, str]:
        asked.append(composition)
        return present(environment, composition, places)

    monkeypatch.setattr(shop.workshop, "present", noting)
    assert len(shop.engine.sweeper.found()) == 2
    assert asked == [None]
