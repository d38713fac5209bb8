"""Recording runs of others: what is refused is refused whole, and what is recorded is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import BypassKind, Leniency, OnDrift, PromotionPath
from airflow_dbt_promotion.core.errors import (
    ClockError,
    DbtError,
    ForbiddenBypassError,
    ForeignProjectError,
    MissingArtifactError,
    OverriddenVarsError,
    ParentNotBuiltError,
    PlaceMismatchError,
    PromotionError,
    ReasonRequiredError,
    RunRefusedError,
    TargetMismatchError,
    UnknownArgumentError,
    UnknownEnvironmentError,
    UnverifiedPlaceError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, digest_of
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run_conditions import Connection
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
    project = replace(release(), vars_read=frozenset({"tax"}))
    shop = Shop(project)
    error = refused(shop, edited(shop, vars={"tax": 1, "unheard_of": 2}), OverriddenVarsError)
    assert "tax was 1, staging has the project's own value" in str(error)
    assert "add `run_vars: [tax]` to environments.staging" in str(error)
    first, staging, last = path().environments
    shop = Shop(project, PromotionPath((first, replace(staging, vars={"tax": 1}), last)))
    assert shop.engine.record("staging", edited(shop, vars={"tax": 1})).entered


@pytest.mark.parametrize(
    ("given", "environment", "declared", "read", "is_refused"),
    [
        ({}, {}, {}, "*", False),
        ({"tax": 1}, {}, {}, "tax", True),
        ({"tax": 1}, {}, {}, "*", True),
        ({"tax": 1}, {}, {}, "other", False),
        ({"tax": 1}, {}, {"tax": 1}, "tax", False),
        ({"tax": 1}, {}, {"tax": True}, "tax", True),
        ({"tax": 1}, {"tax": 1}, {}, "tax", False),
        ({"tax": 1}, {"tax": 2}, {"tax": 1}, "tax", True),
        ({}, {"tax": 2}, {"tax": 1}, "tax", True),
        ({}, {"tax": 2}, {"tax": 2}, "tax", False),
        ({}, {"tax": 2}, {}, "tax", True),
        ({"tax": {"a": [1, 2]}}, {"tax": {"a": [1, 2]}}, {}, "tax", False),
        ({"run_date": "2026-01-01"}, {}, {}, "run_date", False),
    ],
)
def test_the_vars_of_a_run_are_the_environments_for_all_that_reads_them(
    given: dict[str, object], environment: dict[str, object], declared: dict[str, object], read: str, is_refused: bool
) -> None:
    digests = {name: digest_of(value) for name, value in declared.items()}
    project = replace(release(), vars_read=frozenset({read}), declared_vars=digests)
    first, staging, last = path().environments
    staging = replace(staging, vars=environment, run_vars=frozenset({"run_date"}))
    shop = Shop(project, PromotionPath((first, staging, last)))
    folder = edited(shop, vars=given)
    if is_refused:
        refused(shop, folder, OverriddenVarsError)
    else:
        assert shop.engine.record("staging", folder).entered
        state = shop.store.read(STAGING)
        assert state is not None
        assert state.evidence[ORDERS][0].run_vars == ({"run_date": '"2026-01-01"'} if "run_date" in given else {})


# --- arguments --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argument", ["empty", "sample", "defer"])
def test_a_run_that_was_narrowed_is_refused(argument: str) -> None:
    error = refused(shop := Shop(), edited(shop, arguments={argument: True}), RunRefusedError)
    assert f"--{argument}" in str(error)


@pytest.mark.parametrize("value", [None, False, "", [], {}])
def test_an_unknown_argument_that_is_off_is_no_matter(value: object) -> None:
    shop = Shop()
    assert shop.engine.record("staging", edited(shop, arguments={"invented": value})).entered


def test_an_unknown_argument_is_refused_with_its_name_value_and_the_key_that_takes_it() -> None:
    error = refused(shop := Shop(), edited(shop, arguments={"invented": 3, "threads": 8}), UnknownArgumentError)
    assert "invented=3" in str(error)
    assert "accept_arguments: [invented]` to environments.staging" in str(error)
    assert "threads" not in str(error)


def test_an_unknown_argument_at_dbts_default_of_the_project_or_accepted_is_taken() -> None:
    shop = Shop()
    shop.workshop.defaults = {"invented": 3}
    assert shop.engine.record("staging", edited(shop, arguments={"invented": 3})).entered
    shop = Shop(replace(release(), flags={"invented": 3}))
    assert shop.engine.record("staging", edited(shop, arguments={"invented": 3})).entered
    first, staging, last = path().environments
    accepting = replace(staging, accept_arguments=frozenset({"invented"}))
    shop = Shop(release(), PromotionPath((first, accepting, last)))
    assert shop.engine.record("staging", edited(shop, arguments={"invented": 3})).entered


# --- where it ran -----------------------------------------------------------------------------------------------------


def test_a_run_of_another_connection_is_refused() -> None:
    shop = Shop()
    shop.workshop.connection = Connection.OTHER
    error = refused(shop, edited(shop), TargetMismatchError)
    assert "another connection" in str(error)


def test_what_cannot_be_told_of_a_connection_is_on_record_and_policy_may_refuse_it() -> None:
    shop = Shop()
    shop.workshop.connection = Connection.UNKNOWN
    assert shop.engine.record("staging", edited(shop), "ann").entered
    state = shop.store.read(STAGING)
    assert state is not None
    found = state.evidence[ORDERS][0]
    assert (found.unverified_place, found.recorded_by, found.recorded_at) == (True, "ann", shop.clock())
    first, staging, last = path().environments
    shop = Shop(release(), PromotionPath((first, replace(staging, unverified_place=Leniency.BLOCK), last)))
    shop.workshop.connection = Connection.UNKNOWN
    refused(shop, edited(shop), UnverifiedPlaceError)


def test_a_profile_that_is_not_here_is_told_where_policy_refuses() -> None:
    first, staging, last = path().environments
    shop = Shop(release(), PromotionPath((first, replace(staging, unverified_place=Leniency.BLOCK), last)))
    folder = edited(shop)
    shop.workshop.breaks = DbtError("there is no profile", [])
    assert "there is no profile" in str(refused(shop, folder, UnverifiedPlaceError))


# --- when it counts ---------------------------------------------------------------------------------------------------


def soaked(shop: Shop) -> tuple[str, ...]:
    """Return the names of the models that have soaked in staging for two days."""
    return tuple(one.name for one in shop.engine.validated(2 * DAY, "staging"))


def test_a_run_that_is_recorded_late_counts_from_an_hour_before() -> None:
    shop = Shop()
    folder = edited(shop)
    shop.clock.pass_by(14 * DAY)
    shop.engine.record("staging", folder)
    assert soaked(shop) == ()
    shop.clock.pass_by(2 * DAY - timedelta(hours=1, seconds=1))
    assert soaked(shop) == ()
    shop.clock.pass_by(timedelta(seconds=1))
    assert set(soaked(shop)) == {"raw_orders", "stg_orders", "orders", "revenue"}
    state = shop.store.read(STAGING)
    assert state is not None
    assert state.current[ORDERS].since == NOON, "it is ordered by its own end"


def test_with_a_reason_its_own_time_counts_on_record_unless_policy_forbids() -> None:
    shop = Shop()
    folder = edited(shop)
    shop.clock.pass_by(14 * DAY)
    shop.engine.record("staging", folder, "ann", "the recorder was down")
    assert set(soaked(shop)) == {"raw_orders", "stg_orders", "orders", "revenue"}
    state = shop.store.read(STAGING)
    assert state is not None
    (bypass,) = state.bypasses
    assert (bypass.kind, bypass.actor, bypass.reason) == (BypassKind.OLD_EVIDENCE, "ann", "the recorder was down")
    assert set(bypass.models) == set(shop.project.models)
    with pytest.raises(ReasonRequiredError):
        shop.engine.record("staging", folder, "ann", " ")
    first, staging, last = path().environments
    forbids = replace(last, forbid=frozenset({BypassKind.OLD_EVIDENCE}))
    shop = Shop(release(), PromotionPath((first, staging, forbids)))
    with pytest.raises(ForbiddenBypassError):
        shop.engine.record("staging", edited(shop), "ann", "why not")


def test_a_failure_and_a_late_pass_start_the_soak_where_the_pass_was_recorded() -> None:
    shop = Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.run("staging", failing=[test_id("orders")])
    shop.clock.pass_by(DAY)
    folder = edited(shop)
    shop.clock.pass_by(3 * DAY)
    shop.engine.record("staging", folder)
    assert "orders" not in soaked(shop)
    shop.clock.pass_by(2 * DAY)
    assert "orders" in soaked(shop)


def test_an_older_run_that_is_recorded_late_makes_nothing_count_earlier() -> None:
    shop = Shop()
    old = edited(shop)
    shop.clock.pass_by(14 * DAY)
    shop.run("staging")
    shop.engine.record("staging", old)
    assert soaked(shop) == ()


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
    shop.baseline("production")
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
    assert "elsewhere" in str(refused(shop, folder, PlaceMismatchError))


def test_a_run_that_can_be_told_by_nothing_is_refused() -> None:
    shop = Shop()
    shop.workshop.connection = Connection.UNKNOWN
    assert "nothing that it can be told by" in str(refused(shop, edited(shop, target=None), TargetMismatchError))


def test_a_run_with_another_adapter_is_refused() -> None:
    shop = Shop(placed("staging"))
    folder = edited(shop, target=None)
    shop.change(replace(shop.project, adapter_type="postgres"))
    refused(shop, folder, TargetMismatchError)


# --- baseline ---------------------------------------------------------------------------------------------------------


def test_a_baseline_adopts_the_project_at_hand_or_that_of_a_manifest_once() -> None:
    shop = Shop()
    told = shop.baseline("production")
    assert told.entered == tuple(sorted(shop.project.models))
    state = shop.store.read(PRODUCTION)
    assert state is not None
    assert (state.current[ORDERS].origin, state.evidence) == (EntryOrigin.BASELINE, {})
    assert all(dry for _, dry in shop.workshop.parses)
    shop.change(release(code={"orders": "select 2"}))
    assert shop.baseline("production").entered == ()
    folder = shop.leave_run("staging")
    assert shop.baseline("staging", folder).entered == told.entered


def test_a_baseline_of_another_project_is_refused() -> None:
    shop = Shop()
    shop.change(replace(release(), project=replace(release().project, name="finance")))
    with pytest.raises(ForeignProjectError):
        shop.baseline("production")


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
