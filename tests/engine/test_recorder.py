"""Recording runs of others: what is refused is refused whole, and what is recorded is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import OnDrift, PromotionPath
from airflow_dbt_promotion.core.errors import (
    ClockError,
    ForeignProjectError,
    MissingArtifactError,
    OverriddenVarsError,
    ParentNotBuiltError,
    PromotionError,
    TargetMismatchError,
    UnknownEnvironmentError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EntryOrigin
from airflow_dbt_promotion.engine import Engine
from tests.fakes import id_of
from tests.scenarios import DAY, NOON, Shop, defined, model_id, path, release, test_id

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")


def edited(shop: Shop, **told: object) -> Path:
    """Leave a run in staging that differs from a good one."""
    folder = shop.leave_run("staging")
    run, found = shop.reader.runs[folder]
    shop.reader.runs[folder] = (replace(run, **told), found)
    return folder


def refused(shop: Shop, folder: Path, error: type[PromotionError]) -> PromotionError:
    with pytest.raises(error) as caught:
        shop.engine.record("staging", folder)
    assert shop.store.read(STAGING) is None, "nothing is written"
    return caught.value


def test_a_run_of_others_enters_where_others_deploy() -> None:
    shop = Shop()
    told = shop.run("staging")
    assert told.entered == tuple(sorted(shop.project.models))
    state = shop.store.read(STAGING)
    assert state is not None
    assert (state.serial, state.project, state.current[ORDERS].since) == (1, shop.project.project, NOON)


def test_a_run_of_others_is_drift_where_promotions_deploy() -> None:
    shop = Shop()
    told = shop.run("production")
    assert (told.entered, set(told.drifted)) == ((), set(shop.project.models))


def test_a_folder_without_a_run_and_an_unknown_environment_are_bad_input() -> None:
    shop = Shop()
    refused(shop, Path("/nowhere"), MissingArtifactError)
    with pytest.raises(UnknownEnvironmentError):
        shop.engine.record("moon", Path("/nowhere"))


def test_a_run_into_another_target_is_refused() -> None:
    error = refused(shop := Shop(), edited(shop, target="prod"), TargetMismatchError)
    assert "'prod'" in str(error)


def test_a_child_built_on_a_parent_that_was_not_is_refused_whole() -> None:
    shop = Shop()
    with pytest.raises(ParentNotBuiltError):
        shop.run("staging", failing=[STG])
    assert shop.store.read(STAGING) is None


def test_vars_that_change_what_the_project_declares_are_refused_unless_they_are_the_environments() -> None:
    project = replace(release(), var_names=frozenset({"tax"}))
    shop = Shop(project)
    refused(shop, edited(shop, vars={"tax": 1, "unheard_of": 2}), OverriddenVarsError)
    first, staging, last = path().environments
    shop = Shop(project, PromotionPath((first, replace(staging, vars={"tax": 1}), last)))
    assert shop.engine.record("staging", edited(shop, vars={"tax": 1})).entered


def test_a_run_of_another_project_is_refused() -> None:
    shop = Shop()
    foreign = replace(release(), project=replace(release().project, name="finance"))
    folder = shop.leave_run("staging")
    shop.reader.runs[folder] = (shop.reader.runs[folder][0], foreign)
    refused(shop, folder, ForeignProjectError)


# --- kept sources -----------------------------------------------------------------------------------------------------


def test_the_sources_of_a_run_are_kept_and_named() -> None:
    shop = Shop(defined())
    told = shop.run("staging")
    kept = id_of(defined())
    assert (told.release, told.not_kept, set(shop.workshop.kept)) == (kept, "", {kept})
    state = shop.store.read(STAGING)
    assert state is not None
    assert (state.release, {entry.release for entry in state.current.values()}) == (kept, {kept})


def test_a_run_whose_sources_moved_is_recorded_all_the_same_and_says_why() -> None:
    shop = Shop(defined())
    folder = shop.leave_run("staging")
    shop.change(defined(code={"orders": "select 2"}))
    told = shop.engine.record("staging", folder)
    assert (told.release, told.not_kept) == (None, "the sources at hand are not those of the run")
    assert told.entered == tuple(sorted(shop.project.models))


def test_nothing_is_kept_for_a_run_that_is_refused_or_that_moves_nothing() -> None:
    shop = Shop(defined())
    refused(shop, edited(shop, target="prod"), TargetMismatchError)
    with pytest.raises(ParentNotBuiltError):
        shop.run("staging", failing=[STG])
    assert shop.run("production").not_kept == ""
    assert shop.workshop.kept == {}


def test_a_run_that_ended_in_the_future_is_refused() -> None:
    shop = Shop(defined())
    error = refused(shop, edited(shop, finished_at=shop.clock() + timedelta(minutes=6)), ClockError)
    assert "set the clock right" in str(error)
    assert shop.workshop.kept == {}
    assert shop.engine.record("staging", edited(shop, finished_at=shop.clock() + timedelta(minutes=4))).entered


# --- drift ------------------------------------------------------------------------------------------------------------


def promoted(**production: object) -> Shop:
    """Return a shop whose production holds the first release, while the checkout has moved on."""
    shop = Shop(defined(), path(**production))
    shop.engine.baseline("production")
    shop.clock.pass_by(DAY)
    shop.change(defined(code={"orders": "select 2"}))
    return shop


def test_drift_is_told_and_its_evidence_is_taken() -> None:
    shop = promoted()
    told = shop.run("production")
    assert (told.drifted, told.refused, told.passed) == ((ORDERS, REVENUE), False, (STG, RAW))


def test_where_policy_blocks_it_drift_is_noted_and_nothing_else_is_taken() -> None:
    shop = promoted(on_drift=OnDrift.BLOCK)
    folder = shop.leave_run("production")
    before = shop.store.read(PRODUCTION)
    for _ in range(2):  # recording it again changes nothing, and is refused again
        told = shop.engine.record("production", folder)
        assert (told.drifted, told.refused, told.passed, told.run) == ((ORDERS, REVENUE), True, (), "run-1")
        after = shop.store.read(PRODUCTION)
        assert before is not None
        assert after is not None
        assert set(after.drift) == {ORDERS, REVENUE}
        assert replace(after, drift={}, serial=before.serial) == before


def test_where_policy_blocks_it_a_run_of_promoted_code_is_taken() -> None:
    shop = promoted(on_drift=OnDrift.BLOCK)
    shop.run("production")
    shop.change(defined())
    shop.clock.pass_by(DAY)
    told = shop.run("production")
    assert (told.refused, len(told.passed), told.state.drift) == (False, 4, {})


# --- a run whose arguments name no target -----------------------------------------------------------------------------


def placed(schema: str, project: Release | None = None) -> Release:
    found = project or release()
    models = {id_: replace(model, relation=f'"db"."{schema}"."{model.name}"') for id_, model in found.models.items()}
    return replace(found, models=models)


def test_a_run_that_names_no_target_is_told_by_its_relations() -> None:
    shop = Shop(placed("staging"))
    folder = edited(shop, target=None)
    assert shop.engine.record("staging", folder).entered
    shop = Shop(placed("elsewhere"))
    folder = edited(shop, target=None)
    shop.change(placed("staging"))
    assert "elsewhere" in str(refused(shop, folder, TargetMismatchError))


def test_a_run_that_can_be_told_by_nothing_is_refused() -> None:
    shop = Shop()
    assert "nothing that it can be told by" in str(refused(shop, edited(shop, target=None), TargetMismatchError))


def test_a_run_with_another_adapter_is_refused() -> None:
    shop = Shop(placed("staging"))
    folder = edited(shop, target=None)
    shop.change(replace(shop.project, adapter_type="postgres"))
    refused(shop, folder, TargetMismatchError)


# --- baseline ---------------------------------------------------------------------------------------------------------


def test_a_baseline_adopts_the_project_at_hand_or_that_of_a_manifest_once() -> None:
    shop = Shop()
    told = shop.engine.baseline("production")
    assert told.entered == tuple(sorted(shop.project.models))
    state = shop.store.read(PRODUCTION)
    assert state is not None
    assert (state.current[ORDERS].origin, state.evidence) == (EntryOrigin.BASELINE, {})
    assert all(dry for _, dry in shop.workshop.parses)
    shop.change(release(code={"orders": "select 2"}))
    assert shop.engine.baseline("production").entered == ()
    folder = shop.leave_run("staging")
    assert shop.engine.baseline("staging", folder).entered == told.entered


def test_a_baseline_of_another_project_is_refused() -> None:
    shop = Shop()
    shop.change(replace(release(), project=replace(release().project, name="finance")))
    with pytest.raises(ForeignProjectError):
        shop.engine.baseline("production")


def test_an_engine_that_knows_no_project_takes_any() -> None:
    shop = Shop()
    anyone = Engine(
        path=shop.engine.path,
        store=shop.store,
        releases=shop.releases,
        workshop=shop.workshop,
        reader=shop.reader,
        processes=shop.processes,
        clock=shop.clock,
        calendar=shop.calendar,
    )
    assert anyone.record("staging", shop.leave_run("staging", failing=[test_id("orders")])).failed == (ORDERS,)
