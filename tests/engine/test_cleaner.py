"""Cleaning: what any document names is needed, and an unreadable document stops it."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import CorruptStateError, LockHeldError
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.kept import Waste
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.engine.cleaner import GRACE
from airflow_dbt_promotion.stores.json_file import JsonFileStore
from tests.fakes import id_of
from tests.locking import locked
from tests.scenarios import DAY, Shop, defined

MERGED = defined(code={"orders": "select 2"})


def test_every_release_that_is_named_is_needed() -> None:
    shop = Shop(defined())
    shop.run("staging")
    shop.baseline("production")
    shop.clock.pass_by(DAY)
    shop.change(MERGED)
    shop.run("staging")
    shop.releases.found = Waste(releases=(ReleaseId("old"),), bytes=5)
    waste = shop.engine.cleaner.waste()
    assert waste.releases == ("old",)
    assert shop.releases.needed == {id_of(defined()), id_of(MERGED)}
    assert (shop.releases.before, shop.releases.removed) == (shop.clock() - GRACE, [])
    assert shop.engine.cleaner.remove(waste, "ann", 0) == waste
    assert shop.releases.removed == [waste]


def test_nothing_is_deleted_while_somebody_promotes() -> None:
    shop = Shop(defined())
    shop.run("staging")
    shop.releases.found = Waste(releases=(ReleaseId("old"),), names=("trees/old.json",))
    waste = shop.engine.cleaner.waste()
    with locked(shop.store, "staging", "ben", shop.clock()), pytest.raises(LockHeldError, match="ben"):
        shop.engine.cleaner.remove(waste, "ann", 0)
    assert shop.releases.removed == []


def test_what_is_needed_by_now_is_not_deleted() -> None:
    shop = Shop(defined())
    shop.run("staging")
    shop.releases.found = Waste(releases=(ReleaseId("old"), ReleaseId("x")), names=("trees/old.json", "trees/x.json"))
    waste = shop.engine.cleaner.waste()
    shop.releases.found = Waste(releases=(ReleaseId("old"),), names=("trees/old.json",))
    assert shop.engine.cleaner.remove(waste, "ann", 0) == Waste(releases=(ReleaseId("old"),), names=("trees/old.json",))


def test_a_version_that_left_is_needed_as_long_as_its_stay_is_kept() -> None:
    shop = Shop(defined())
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.change(defined(code={"raw_orders": "1,2"}))
    shop.run("staging")
    shop.engine.cleaner.waste()
    assert shop.releases.needed == {id_of(defined()), id_of(defined(code={"raw_orders": "1,2"}))}


def test_an_unreadable_document_stops_it(tmp_path: Path) -> None:
    shop = Shop(defined())
    (tmp_path / "staging.json").write_text("{", encoding="utf-8")
    engine = Engine(
        path=shop.engine.path,
        store=JsonFileStore(tmp_path),
        releases=shop.releases,
        workshop=shop.workshop,
        reader=shop.reader,
        processes=shop.processes,
        clock=shop.clock,
        calendar=shop.calendar,
    )
    with pytest.raises(CorruptStateError):
        engine.cleaner.waste()
    assert shop.releases.needed is None
