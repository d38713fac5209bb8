"""Running what was promoted: from released code, whatever is checked out; and what of the checkout is not promoted."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import (
    ConfigError,
    DbtError,
    EmptySelectionError,
    LockHeldError,
    UnknownEnvironmentError,
    UnservableError,
    VersionsMovedError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, PlanId
from airflow_dbt_promotion.core.orders import Progress, RunCommand
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import EnvironmentState, Journal, PromotionOutcome, Unfinalized
from airflow_dbt_promotion.engine import RunOrder, RunOutcome, ServedRun
from airflow_dbt_promotion.engine.server import NOTHING
from tests.fakes import id_of
from tests.locking import locked
from tests.scenarios import DAY, PARENTS, Shop, defined, model_id, release, test_id

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
PRODUCTION = EnvironmentName("production")
MERGED = defined(code={"orders": "select 2"})


def serving() -> Shop:
    """Return a shop whose production holds the first release, while the checkout has moved on."""
    shop = Shop(defined())
    shop.baseline("production")
    shop.clock.pass_by(DAY)
    shop.change(MERGED)
    return shop


def run(shop: Shop, **order: object) -> ServedRun:
    return shop.engine.run(RunOrder(environment="production", **order))  # type: ignore[arg-type]  # passed on


def held(shop: Shop) -> EnvironmentState:
    state = shop.store.read(PRODUCTION)
    assert state is not None
    return state


def test_what_runs_is_what_was_promoted_and_not_what_is_checked_out() -> None:
    shop = serving()
    seen: list[Progress] = []
    told = shop.engine.run(RunOrder(environment="production"), seen.append)
    (request,) = shop.workshop.runs
    assert request.composition.definition.nodes[ORDERS].raw_code == "select 1"
    assert (told.outcome, told.releases) == (RunOutcome.PASSED, (id_of(defined()),))
    assert told.counts == {ResultStatus.SUCCESS: 4, ResultStatus.PASS: 4}
    assert len(seen) == len(told.nodes) == 8
    assert told.recording is not None
    assert (told.recording.entered, len(told.recording.passed)) == ((), 4)
    evidence = held(shop).evidence[ORDERS][0]
    assert (evidence.version, evidence.runs) == (release().models[ORDERS].version, 1)


def test_a_selection_is_run_and_nothing_else() -> None:
    shop = serving()
    told = run(shop, select="stg_orders orders", exclude="orders", command=RunCommand.RUN, full_refresh=True)
    assert told.nodes == (STG,)
    (request,) = shop.workshop.runs
    assert (request.select, request.exclude, request.full_refresh) == ("stg_orders orders", "orders", True)
    with pytest.raises(EmptySelectionError):
        run(shop, select="unheard_of")


def test_a_failure_is_an_outcome_with_dbts_words_and_revokes() -> None:
    shop = serving()
    shop.workshop.failing = [test_id("orders")]
    told = run(shop)
    assert told.outcome is RunOutcome.FAILED
    (failed,) = told.failed
    assert (failed.name, failed.status, failed.message) == ("not_null_orders_id", ResultStatus.FAIL, "it broke")
    assert told.recording is not None
    assert (told.recording.failed, told.words) == ((ORDERS,), (f"{test_id('orders')} broke",))


def test_a_dry_run_lists_and_writes_nothing() -> None:
    shop = serving()
    before = held(shop)
    told = run(shop, select="orders", dry_run=True)
    assert (told.outcome, told.nodes) == (RunOutcome.LISTED, (ORDERS, test_id("orders")))
    assert (held(shop), shop.workshop.runs, told.recording) == (before, [], None)
    assert all(dry for _, _, dry in shop.workshop.loaded)


def test_a_machine_that_breaks_leaves_nothing_behind() -> None:
    shop = serving()
    before = held(shop)
    shop.workshop.build_breaks = DbtError("it broke")
    with pytest.raises(DbtError):
        run(shop)
    after = held(shop)
    assert (after.lock, after.current, after.evidence) == (None, before.current, before.evidence)


def test_a_run_waits_for_the_environments_lock_and_a_dry_run_does_not() -> None:
    shop = serving()
    with locked(shop.store, PRODUCTION, "somebody", shop.clock()):
        with pytest.raises(LockHeldError, match="somebody"):
            run(shop, lock_timeout=0.0)
        assert run(shop, dry_run=True).nodes


def test_an_environment_that_holds_nothing_or_has_no_promoted_code_is_told() -> None:
    shop = Shop()
    with pytest.raises(UnservableError, match="nothing is in it yet; promote to it from staging"):
        run(shop)
    with pytest.raises(UnservableError, match="record a dbt run of it"):
        shop.engine.run(RunOrder(environment="staging"))
    with pytest.raises(ConfigError, match="people work there"):
        shop.engine.run(RunOrder(environment="development"))
    with pytest.raises(UnknownEnvironmentError):
        shop.engine.run(RunOrder(environment="moon"))


def test_models_without_kept_sources_are_named_and_a_baseline_mends_it() -> None:
    shop = Shop(release())  # no sources at hand
    shop.baseline("production")
    with pytest.raises(UnservableError, match="not kept when they entered; check out what production holds") as error:
        run(shop)
    assert set(error.value.models) == set(shop.project.models)
    shop.change(defined())
    told = shop.baseline("production")
    assert (told.entered, set(told.sourced)) == ((), set(shop.project.models))
    shop.workshop.kept.clear()
    shop.releases.kept.clear()
    with pytest.raises(UnservableError, match=r"cannot be had: release [0-9a-f]+: is not kept"):
        run(shop)
    shop.baseline("production")
    assert run(shop).outcome is RunOutcome.PASSED
    shop.workshop.kept.clear()
    shop.releases.kept.clear()
    shop.change(defined({**PARENTS, "more": ()}))
    told = shop.baseline("production")
    assert (told.entered, told.left_out) == (
        (),
        (model_id("more"),),
    )  # keeping sources needs no reason, and adopts nothing
    assert set(told.sourced) == {RAW, STG, ORDERS, REVENUE}
    assert run(shop).outcome is RunOutcome.PASSED


def test_where_others_deploy_the_advice_is_to_record_a_run() -> None:
    shop = Shop(release())
    shop.run("staging")
    with pytest.raises(UnservableError, match="build them in staging and record the run"):
        shop.engine.run(RunOrder(environment="staging"))


def test_a_model_that_its_release_does_not_have_is_told_with_the_reason() -> None:
    shop = serving()
    shop.workshop.kept[id_of(defined())] = defined({"raw_orders": (), "stg_orders": ("raw_orders",)})
    with pytest.raises(UnservableError, match="does not have it"):
        run(shop)


def test_code_that_does_not_come_out_as_promoted_is_not_run() -> None:
    shop = serving()
    shop.workshop.kept[id_of(defined())] = MERGED
    with pytest.raises(VersionsMovedError):
        run(shop)
    assert shop.workshop.runs == []


def test_an_environment_that_is_not_whole_runs_and_says_so() -> None:
    shop = serving()
    state = held(shop)
    current = {**state.current, REVENUE: replace(state.current[REVENUE], stale_since=shop.clock())}
    shop.store.write(replace(state, current=current), state.serial)
    told = run(shop)
    assert told.outcome is RunOutcome.PASSED
    assert any("production is not whole: these models stand on an older parent: revenue" in w for w in told.warnings)


def test_what_a_promotion_left_undone_is_told() -> None:
    shop = serving()
    state = held(shop)
    left = Unfinalized(plan_id=PlanId("p"), since=shop.clock(), models=(ORDERS,), why="a promotion broke")
    began = Journal(
        plan_id=PlanId("p"),
        actor="ann",
        started_at=shop.clock(),
        source=EnvironmentName("staging"),
        strategy="build",
        models={},
    )
    shop.store.write(replace(state, unfinalized=left, journal=began), state.serial)
    told = run(shop, select="raw_orders", dry_run=True)
    assert "production is not whole: a promotion broke (orders)" in told.warnings
    assert "a promotion into production by ann broke off; promote again, or look at status" in told.warnings
    told = run(shop, select="raw_orders")
    assert any(warning.startswith("production is not whole: the promotion broke off") for warning in told.warnings)
    after = held(shop)
    assert (after.journal, [(record.actor, record.outcome) for record in after.history]) == (
        None,
        [("ann", PromotionOutcome.ERRORED)],
    )


def test_a_run_mends_the_drift_of_what_it_builds_and_tells_of_the_rest() -> None:
    shop = serving()
    shop.run("production")
    assert set(held(shop).drift) == {ORDERS, REVENUE}
    shop.clock.pass_by(DAY)
    told = run(shop, select="orders")
    assert set(held(shop).drift) == {REVENUE}
    assert any(warning.startswith("drift:") and "revenue" in warning for warning in told.warnings)
    assert run(shop).warnings == shop.store.warnings()
    assert held(shop).drift == {}


# --- what of the checkout is not promoted -----------------------------------------------------------------------------


def test_what_is_not_at_its_promoted_version_is_excluded() -> None:
    shop = serving()
    found = shop.engine.exclusion("production")
    old = release().models
    assert found.unpromoted == {ORDERS: old[ORDERS].version, REVENUE: old[REVENUE].version}
    assert found.selectors == ("fqn:shop.orders", "fqn:shop.revenue")
    assert all(dry for _, dry in shop.workshop.parses)


def test_where_everything_is_promoted_the_selector_takes_nothing_and_where_nothing_is_all() -> None:
    shop = serving()
    shop.change(defined())
    assert shop.engine.exclusion("production").selectors == (NOTHING,)
    assert set(Shop().engine.exclusion("production").unpromoted) == set(shop.project.models)
    with pytest.raises(ConfigError):
        shop.engine.exclusion("development")
