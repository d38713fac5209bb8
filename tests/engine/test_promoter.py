"""Promoting: refused, failed and errored are three things, and nothing is written that did not happen."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import BypassKind, DeployedBy, IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import (
    AmbiguousModelError,
    ConfigError,
    CorruptStateError,
    DbtError,
    DbtProjectError,
    EmptySelectionError,
    ForeignProjectError,
    LockHeldError,
    ReasonRequiredError,
    SkippedEnvironmentError,
    StateConflictError,
    UnknownEnvironmentError,
    UnknownModelError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.orders import Progress
from airflow_dbt_promotion.core.promotion import Attempt, begin
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.engine import Engine, Promotion, PromotionRequest
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.stores.json_file import JsonFileStore
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.locking import locked
from tests.scenarios import (
    DAY,
    NOON,
    PACKAGE,
    Shop,
    empty_state,
    model_id,
    path,
    release,
    test_id,
    unit_test_id,
    with_tests,
)

RAW, STG, ORDERS, REVENUE = map(model_id, ("raw_orders", "stg_orders", "orders", "revenue"))
STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")
CHANGED = release(code={"orders": "select 2"})


def soaked(shop: Shop | None = None) -> Shop:
    """Return a shop whose staging was built a day ago."""
    shop = shop or Shop()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    return shop


def promote(shop: Shop, **asked: object) -> Promotion:
    return shop.engine.promote(PromotionRequest(target="production", actor="ann", **asked))  # type: ignore[arg-type]


def production(shop: Shop) -> EnvironmentState:
    state = shop.store.read(PRODUCTION)
    assert state is not None
    return state


def codes(found: Promotion) -> set[str]:
    return {verdict.code for _, verdict in found.plan.refusals}


# --- the story --------------------------------------------------------------------------------------------------------


def test_what_is_validated_and_soaked_is_promoted() -> None:
    shop = soaked()
    seen: list[Progress] = []
    plans: list[object] = []
    found = shop.engine.promote(
        PromotionRequest(target="production", actor="ann", link="run"), seen.append, plans.append
    )
    assert found.outcome is PromotionOutcome.PROMOTED
    assert [order.environment.name for order in shop.workshop.orders] == ["production"]
    assert len(seen) == 8
    assert plans == [found.plan]
    state = production(shop)
    assert set(state.current) == set(shop.project.models)
    assert (state.history[0].actor, state.history[0].link) == ("ann", "run")
    assert {told.result for told in found.models.values()} == {"advanced"}


def test_a_second_application_is_nothing_to_do_and_writes_nothing() -> None:
    shop = soaked()
    promote(shop)
    before = production(shop)
    assert promote(shop).outcome is PromotionOutcome.NOTHING_TO_DO
    assert production(shop) == before
    assert len(shop.workshop.orders) == 1


def test_the_second_of_two_at_once_finds_its_plan_carried_out() -> None:
    shop, first = soaked(), list[Promotion]()

    def other(_: object) -> None:
        if not first:
            first.append(promote(shop))

    done = shop.engine.promote(PromotionRequest(target="production", actor="bob"), lambda _: None, other)
    assert first[0].outcome is PromotionOutcome.PROMOTED
    assert (done.outcome, done.plan.changes) == (PromotionOutcome.NOTHING_TO_DO, ())
    assert len(production(shop).history) == 1


def test_what_has_not_soaked_is_refused_and_nothing_is_written_or_run() -> None:
    shop = Shop()
    shop.run("staging")
    found = promote(shop, models=("raw_orders",))
    assert (found.outcome, codes(found)) == (PromotionOutcome.REFUSED, {"soaking"})
    assert found.plan.eligible_at == NOON + DAY
    assert found.message == found.plan.refusals[0][1].reason
    assert (shop.store.read(PRODUCTION), shop.workshop.orders) == (None, [])


def test_only_what_passed_advances_and_the_rest_is_told_as_failed() -> None:
    shop = soaked()
    shop.workshop.failing = [test_id("orders")]
    found = promote(shop)
    assert found.outcome is PromotionOutcome.FAILED
    assert {model: told.result for model, told in found.models.items()} == {
        RAW: "advanced",
        STG: "advanced",
        ORDERS: "failed",
        REVENUE: "skipped",
    }
    assert found.words == (f"{test_id('orders')} broke",)
    state = production(shop)
    assert set(state.current) == {RAW, STG}
    assert (state.history[0].outcome, state.journal) == (PromotionOutcome.FAILED, None)
    assert state.unfinalized is not None
    shop.workshop.failing = ()
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    assert production(shop).unfinalized is None


def test_a_plan_is_what_a_promotion_carries_out() -> None:
    shop = soaked()
    found = shop.engine.plan(PromotionRequest(target="production"))
    assert shop.store.read(PRODUCTION) is None
    assert promote(shop).plan.plan_id == found.plan_id


# --- nothing is written -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", [{"dry_run": True}, {"update_state": False}])
@pytest.mark.parametrize("kind", ["memory", "files"])
def test_a_dry_run_writes_nothing_not_even_a_folder(asked: dict[str, bool], kind: str, tmp_path: Path) -> None:
    shop = soaked()
    if kind == "files":
        root = tmp_path / "states"
        store = JsonFileStore(root)
        found = engine(shop, store).promote(PromotionRequest(target="production", **asked))  # type: ignore[arg-type]
        assert (found.outcome, root.exists()) == (PromotionOutcome.REFUSED, False)
    found = promote(shop, **asked)
    assert (found.outcome, found.dry_run, found.models) == (PromotionOutcome.PLANNED, True, {})
    assert (shop.store.read(PRODUCTION), shop.workshop.orders) == (None, [])
    assert all(dry for _, dry in shop.workshop.parses)
    assert promote(shop, models=("orders",), **asked).outcome is PromotionOutcome.REFUSED
    promote(shop)
    assert promote(shop, **asked).outcome is PromotionOutcome.NOTHING_TO_DO


def engine(shop: Shop, store: JsonFileStore | MemoryStore, project: str | None = PACKAGE) -> Engine:
    return Engine(
        path=shop.engine.path,
        store=store,
        releases=shop.releases,
        workshop=shop.workshop,
        reader=shop.reader,
        processes=shop.processes,
        clock=shop.clock,
        calendar=shop.calendar,
        project=project,
    )


def test_the_story_in_files(tmp_path: Path) -> None:
    shop = Shop()
    store = JsonFileStore(tmp_path)
    files = engine(shop, store)
    files.record("staging", shop.leave_run("staging"))
    shop.clock.pass_by(DAY)
    assert files.promote(PromotionRequest(target="production")).outcome is PromotionOutcome.PROMOTED
    state = store.read(PRODUCTION)
    assert state is not None
    assert set(state.current) == set(shop.project.models)
    shop.workshop.build_breaks = DbtError("dbt died")
    with pytest.raises(DbtError):
        files.promote(PromotionRequest(target="production", models=("orders",), force=True))
    broken = store.read(PRODUCTION)
    assert broken is not None
    assert (broken.current, broken.journal) == (state.current, None)
    assert broken.history[0].outcome is PromotionOutcome.ERRORED


# --- the lock ---------------------------------------------------------------------------------------------------------


def test_a_lock_that_another_holds_is_no_refusal() -> None:
    shop = soaked()
    with locked(shop.store, PRODUCTION, "bob", shop.clock()), pytest.raises(LockHeldError, match="bob"):
        promote(shop, lock_timeout=0)
    state = shop.store.read(PRODUCTION)
    assert state is not None
    assert (state.current, state.history, state.journal) == ({}, (), None)


class MovingStore(MemoryStore):
    """A store in which something happens whenever somebody is about to get the promotion lock of production."""

    def __init__(self) -> None:
        super().__init__()
        self.waited = lambda: None

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        if state.environment == PRODUCTION and state.lock is not None and state.journal is None:
            self.waited()
        return super().write(state, expected_serial)


@pytest.fixture
def moving() -> tuple[Shop, MovingStore]:
    shop = Shop()
    store = MovingStore()
    shop.store = store
    shop.engine = engine(shop, store)
    return soaked(shop), store


def test_a_plan_that_moved_while_it_waited_is_refused(moving: tuple[Shop, MovingStore]) -> None:
    shop, store = moving

    def another_version() -> None:
        shop.change(CHANGED)
        shop.run("staging")

    store.waited = another_version
    found = promote(shop)
    assert found.outcome is PromotionOutcome.REFUSED
    assert "plan_moved" in codes(found)
    state = store.read(PRODUCTION)
    assert state is not None
    assert (state.current, state.history, state.lock, shop.workshop.orders) == ({}, (), None, [])


def test_a_gate_that_shut_while_it_waited_refuses(moving: tuple[Shop, MovingStore]) -> None:
    shop, store = moving
    store.waited = lambda: shop.run("staging", failing=[test_id("orders")])  # type: ignore[assignment, return-value]
    found = promote(shop)
    assert found.outcome is PromotionOutcome.REFUSED
    assert "revoked" in codes(found)
    assert "plan_moved" not in codes(found)


def test_new_evidence_while_it_waited_changes_nothing(moving: tuple[Shop, MovingStore]) -> None:
    shop, store = moving
    store.waited = lambda: shop.run("staging")  # type: ignore[assignment, return-value]
    assert promote(shop).outcome is PromotionOutcome.PROMOTED


# --- the machine breaks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [DbtError("dbt died"), KeyboardInterrupt(), MemoryError()])
def test_a_build_that_broke_off_is_errored_and_nothing_advanced(error: BaseException) -> None:
    shop = soaked()
    shop.workshop.build_breaks = error
    with pytest.raises(type(error)):
        promote(shop)
    state = production(shop)
    assert (state.current, state.journal) == ({}, None)
    assert state.history[0].outcome is PromotionOutcome.ERRORED
    assert type(error).__name__ in state.history[0].message
    assert state.unfinalized is not None
    shop.workshop.build_breaks = None
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    assert production(shop).unfinalized is None


def test_a_project_that_dbt_refuses_left_nothing_half_done() -> None:
    shop = soaked()
    shop.workshop.build_breaks = DbtProjectError("shop", ["no profile"])
    with pytest.raises(DbtProjectError):
        promote(shop)
    assert production(shop).unfinalized is None
    assert production(shop).history[0].outcome is PromotionOutcome.ERRORED


def test_what_a_dead_process_left_is_buried_by_the_next_promotion() -> None:
    shop = soaked()
    plan = shop.engine.plan(PromotionRequest(target="production"))
    dead = begin(empty_state("production"), plan, Attempt(actor="bob"), NOON, 10)
    shop.store.write(dead, None)
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    state = production(shop)
    assert [told.outcome for told in state.history] == [PromotionOutcome.PROMOTED, PromotionOutcome.ERRORED]
    assert state.history[1].actor == "bob"
    assert (state.journal, state.unfinalized) == (None, None)


def test_what_a_dead_process_left_stays_undone_where_the_next_promotion_does_less() -> None:
    shop = soaked()
    plan = shop.engine.plan(PromotionRequest(target="production"))
    shop.store.write(begin(empty_state("production"), plan, Attempt(actor="bob"), NOON, 10), None)
    promote(shop, models=("raw_orders",))
    left = production(shop).unfinalized
    assert left is not None
    assert set(left.models) == {STG, ORDERS, REVENUE}


# --- others write meanwhile -------------------------------------------------------------------------------------------


def test_a_run_that_others_recorded_during_the_build_is_kept() -> None:
    shop = soaked()
    promote(shop)
    shop.change(CHANGED)
    shop.run("staging")
    shop.clock.pass_by(DAY)
    old = release()

    def nightly() -> None:
        shop.workshop.meanwhile = bool
        shop.change(old)
        shop.run("production", without=[ORDERS, REVENUE, test_id("orders"), test_id("revenue")])
        shop.change(CHANGED)

    shop.workshop.meanwhile = nightly
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    state = production(shop)
    assert state.current[ORDERS].version == CHANGED.models[ORDERS].version
    assert state.evidence[RAW][0].runs == 2


def test_a_document_that_never_stops_changing_is_a_conflict() -> None:
    class Busy(MemoryStore):
        def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
            raise StateConflictError(state.environment, expected_serial, 99)

    shop = Shop()
    memory = Memory(shop.engine.path, Busy(), None)
    with pytest.raises(StateConflictError):
        memory.change(STAGING, shop.project.project, lambda state: replace(state, serial=5))


def test_a_move_that_changes_nothing_writes_nothing() -> None:
    shop = soaked()
    before = shop.store.read(STAGING)
    assert shop.engine.record("staging", Path("/runs/1")).entered == ()
    assert shop.store.read(STAGING) == before


# --- bypasses ---------------------------------------------------------------------------------------------------------


def test_skipping_tests_needs_a_reason_and_is_recorded_for_good() -> None:
    shop = Shop()
    shop.run("staging", failing=[test_id("revenue")])
    shop.clock.pass_by(DAY)
    with pytest.raises(ReasonRequiredError):
        promote(shop, require_tests=False)
    with pytest.raises(ReasonRequiredError):
        promote(shop, require_tests=False, reason="  ")
    assert shop.store.read(PRODUCTION) is None
    promote(shop, models=("raw_orders",), require_tests=False, reason="the test is wrong")
    (bypass,) = production(shop).bypasses
    assert (bypass.kind, bypass.actor, bypass.reason) == (BypassKind.SKIP_TESTS, "ann", "the test is wrong")
    assert shop.workshop.orders[0].tests == ()
    assert production(shop).evidence[RAW][0].first_pass is None


def test_a_shorter_soak_is_a_bypass_and_a_longer_one_is_not() -> None:
    shop = Shop()
    shop.run("staging")
    with pytest.raises(ReasonRequiredError):
        promote(shop, soak=timedelta(hours=1))
    shop.clock.pass_by(timedelta(hours=1))
    assert promote(shop, soak=timedelta(hours=1), reason="hot fix").outcome is PromotionOutcome.PROMOTED
    assert production(shop).bypasses[0].kind is BypassKind.SHORT_SOAK
    shop.clock.pass_by(DAY)
    longer = promote(shop, soak=9 * DAY, models=("orders",), force=True)
    assert (longer.outcome, codes(longer)) == (PromotionOutcome.REFUSED, {"soaking"})


def test_a_bypass_that_policy_forbids_is_refused_and_not_recorded() -> None:
    shop = soaked(Shop(environments=path(forbid=frozenset(BypassKind))))
    found = promote(shop, require_tests=False, reason="please")
    assert (found.outcome, codes(found)) == (PromotionOutcome.REFUSED, {"bypass_forbidden"})
    assert shop.store.read(PRODUCTION) is None


def test_more_runs_may_be_asked_for_and_never_fewer_than_policy_asks() -> None:
    shop = soaked(Shop(environments=path(min_successful_runs=2)))
    assert "runs" in codes(promote(shop, models=("raw_orders",), min_successful_runs=1))
    shop.run("staging")
    assert "runs" in codes(promote(shop, models=("raw_orders",), min_successful_runs=3))
    assert promote(shop).outcome is PromotionOutcome.PROMOTED


# --- tests run first --------------------------------------------------------------------------------------------------


def test_promoting_out_of_where_people_work_builds_and_tests_there_first() -> None:
    shop = Shop(with_tests(release(), units=["orders"]))
    found = shop.engine.promote(PromotionRequest(target="staging"))
    assert found.outcome is PromotionOutcome.PROMOTED
    there, here = shop.workshop.orders
    assert (there.environment.name, here.environment.name) == ("development", "staging")
    assert unit_test_id("orders") in {test.id for test in there.tests}
    assert unit_test_id("orders") not in {test.id for test in here.tests}
    staging = shop.store.read(STAGING)
    assert staging is not None
    assert staging.evidence[ORDERS][0].runs == 1, "unit tests count from development"
    development = shop.store.read(EnvironmentName("development"))
    assert development is not None
    assert development.current == {}
    shop.workshop.orders.clear()
    forced = shop.engine.promote(PromotionRequest(target="staging", models=("orders",), force=True))
    assert forced.outcome is PromotionOutcome.PROMOTED
    assert [order.environment.name for order in shop.workshop.orders] == ["staging"], "evidence is on record"


def test_a_dry_run_out_of_where_people_work_runs_nothing() -> None:
    shop = Shop()
    found = shop.engine.promote(PromotionRequest(target="staging", dry_run=True))
    assert found.outcome is PromotionOutcome.PLANNED
    assert (shop.workshop.orders, shop.store.read(STAGING)) == ([], None)


def test_the_plan_out_of_where_people_work_keeps_its_id_once_evidence_is_there() -> None:
    shop = Shop()
    shop.workshop.failing = [test_id("raw_orders")]
    request = PromotionRequest(target="staging", models=("raw_orders",))
    before = shop.engine.plan(request)
    refused = shop.engine.promote(request)
    assert (refused.outcome, codes(refused)) == (PromotionOutcome.REFUSED, {"revoked", "clock_stopped"})
    assert refused.plan.plan_id == before.plan_id
    assert shop.store.read(STAGING) is None


def test_skipping_tests_runs_nothing_first() -> None:
    shop = Shop()
    shop.engine.promote(PromotionRequest(target="staging", require_tests=False, reason="prototype"))
    assert [order.environment.name for order in shop.workshop.orders] == ["staging"]


def test_run_tests_runs_in_the_source_what_is_missing_and_records_it() -> None:
    shop = Shop(environments=path(timedelta(0)))
    shop.run("staging", without=[test_id("orders")])
    assert "incomplete" in codes(promote(shop, models=("orders",), include_upstream=True))
    found = promote(shop, models=("orders",), include_upstream=True, run_tests=True)
    assert found.outcome is PromotionOutcome.PROMOTED
    source, _ = shop.workshop.orders
    assert (source.environment.name, source.models) == ("staging", ())
    assert [test.id for test in source.tests] == [test_id("orders")]
    assert promote(shop, run_tests=True).outcome is PromotionOutcome.PROMOTED
    assert len(shop.workshop.orders) == 3, "nothing was missing the second time"


def test_run_tests_runs_nothing_of_code_that_is_not_at_hand() -> None:
    shop = Shop(environments=path(timedelta(0)))
    shop.run("staging", without=[test_id("revenue")])
    shop.change(release(code={"revenue": "select 2"}))
    found = promote(shop, models=("revenue",), run_tests=True)
    assert found.outcome is PromotionOutcome.REFUSED
    assert shop.workshop.orders == []


def test_run_tests_where_only_promotions_move_anything_moves_nothing() -> None:
    first, second, last = path(timedelta(0)).environments
    environments = type(path())((first, replace(second, deployed_by=DeployedBy.PROMOTION), last))
    shop = Shop(environments=environments)
    shop.baseline("staging")
    smaller = release({"raw_orders": (), "stg_orders": ("raw_orders",)})
    shop.change(smaller)
    promote(shop, run_tests=True)
    staging = shop.store.read(STAGING)
    assert staging is not None
    assert set(staging.current) == set(release().models)


# --- kinds of change --------------------------------------------------------------------------------------------------


def test_a_change_of_tests_alone_runs_them_in_the_target_without_a_build_or_a_soak() -> None:
    shop = soaked()
    promote(shop)
    shop.change(with_tests(release(), revised={"orders": "new"}))
    shop.run("staging")
    shop.workshop.orders.clear()
    found = promote(shop, models=("orders",))
    assert found.outcome is PromotionOutcome.PROMOTED
    (order,) = shop.workshop.orders
    assert (order.models, [test.id for test in order.tests]) == ((), [test_id("orders")])
    assert production(shop).current[ORDERS].since == NOON + DAY


def test_a_removal_is_refused_until_it_is_allowed() -> None:
    shop = soaked()
    promote(shop)
    shop.change(release({"raw_orders": (), "stg_orders": ("raw_orders",), "orders": ("stg_orders",)}))
    shop.run("staging")
    shop.workshop.orders.clear()
    assert codes(promote(shop, models=("revenue",))) == {"removal"}
    assert promote(shop, models=("revenue",), allow_removals=True).outcome is PromotionOutcome.PROMOTED
    assert REVENUE not in production(shop).current
    assert shop.workshop.orders == []


def test_force_builds_again_what_is_there() -> None:
    shop = soaked()
    promote(shop)
    assert promote(shop, models=("orders",)).plan.already_current == (ORDERS,)
    found = promote(shop, models=("orders",), force=True)
    assert (found.outcome, [m.id for m in shop.workshop.orders[-1].models]) == (PromotionOutcome.PROMOTED, [ORDERS])
    assert production(shop).current[ORDERS].since == NOON + DAY


def test_a_full_refresh_goes_in_turns_and_stops_at_the_first_that_fails() -> None:
    shop = soaked(Shop(release(incremental=["orders"])))
    promote(shop)
    shop.change(release(incremental=["orders"], code={"stg_orders": "new", "orders": "new"}))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.workshop.orders.clear()
    assert codes(promote(shop, models=("orders",), include_upstream=True, include_downstream=True)) == {
        "incremental_change"
    }
    shop.workshop.failing = [STG]
    found = promote(shop, on_incremental_change=IncrementalChange.FULL_REFRESH)
    assert found.outcome is PromotionOutcome.FAILED
    assert [order.full_refresh for order in shop.workshop.orders] == [False]
    shop.workshop.failing = ()
    promote(shop, on_incremental_change=IncrementalChange.FULL_REFRESH)
    assert [order.full_refresh for order in shop.workshop.orders] == [False, False, True, False]


def test_record_runs_nothing_and_needs_no_project() -> None:
    shop = soaked(Shop(environments=path(strategy=Strategy.RECORD)))
    shop.workshop.breaks = DbtProjectError("shop", ["broken"])
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    assert shop.workshop.orders == []
    with pytest.raises(UnknownModelError):
        promote(shop, models=("nothing",))


def test_code_that_moved_is_refused() -> None:
    shop = soaked()
    shop.change(CHANGED)
    found = promote(shop, models=("orders",), include_upstream=True)
    assert "code_moved" in codes(found)


# --- bad input --------------------------------------------------------------------------------------------------------


def test_an_unknown_model_is_told_with_near_names_and_nothing_is_run() -> None:
    shop = soaked()
    with pytest.raises(UnknownModelError) as error:
        promote(shop, models=("order",))
    assert "orders" in error.value.near
    assert shop.store.read(PRODUCTION) is None


def test_a_model_that_only_the_project_knows_is_refused_by_a_gate() -> None:
    shop = soaked()
    shop.change(release({"raw_orders": (), "brand_new": ()}))
    assert codes(promote(shop, models=("brand_new",))) == {"not_in_source"}
    record_only = promote(shop, models=("brand_new",), strategy=Strategy.RECORD)
    assert codes(record_only) == {"not_in_source"}


def test_an_ambiguous_name_is_told_with_its_meanings() -> None:
    twice = release()
    other = replace(twice.models[ORDERS], id=model_id("orders").replace("shop", "finance"), package="finance")
    shop = soaked(Shop(replace(twice, models={**twice.models, other.id: replace(other, required=(), parents=())})))
    with pytest.raises(AmbiguousModelError):
        promote(shop, models=("orders",))
    assert promote(shop, models=("finance.orders",)).outcome is PromotionOutcome.PROMOTED


def test_an_environment_cannot_be_skipped_and_the_first_takes_no_promotion() -> None:
    shop = soaked()
    with pytest.raises(SkippedEnvironmentError):
        promote(shop, source="development")
    with pytest.raises(SkippedEnvironmentError):
        shop.engine.promote(PromotionRequest(target="development"))
    with pytest.raises(UnknownEnvironmentError):
        shop.engine.promote(PromotionRequest(target="moon"))
    assert promote(shop, source="staging").outcome is PromotionOutcome.PROMOTED


def test_a_source_that_was_never_recorded_is_refused() -> None:
    shop = Shop()
    assert codes(promote(shop)) == {"source_never_recorded"}
    assert codes(promote(shop, models=("orders",))) == {"source_never_recorded"}
    assert codes(promote(shop, run_tests=True)) == {"source_never_recorded"}
    with pytest.raises(UnknownModelError):
        promote(shop, models=("nothing",))


def test_names_and_a_selector_do_not_go_together_and_no_name_is_not_all() -> None:
    shop = soaked()
    with pytest.raises(ConfigError):
        promote(shop, models=("orders",), select="orders")
    with pytest.raises(EmptySelectionError):
        promote(shop, models=())


def test_a_selector_is_asked_of_dbt() -> None:
    shop = soaked()
    shop.workshop.selected = (RAW,)
    found = promote(shop, select="tag:nightly")
    assert [change.model for change in found.plan.changes] == [RAW]
    shop.workshop.selected = ()
    with pytest.raises(EmptySelectionError):
        promote(shop, select="tag:none")


def test_the_state_of_another_project_is_refused() -> None:
    shop = soaked()
    foreign = engine(shop, shop.store, "another")
    with pytest.raises(ForeignProjectError):
        foreign.promote(PromotionRequest(target="production"))
    assert engine(shop, shop.store, None).plan(PromotionRequest(target="production")).allowed


def test_corrupt_state_is_an_error_and_is_left_as_it_is(tmp_path: Path) -> None:
    shop = soaked()
    (tmp_path / "production.json").write_text("{")
    (tmp_path / "staging.json").write_text("{")
    with pytest.raises(CorruptStateError):
        engine(shop, JsonFileStore(tmp_path)).promote(PromotionRequest(target="production"))
    assert (tmp_path / "production.json").read_text() == "{"


@pytest.mark.parametrize(
    ("asked", "where"),
    [({"min_successful_runs": -1}, "min_successful_runs"), ({"soak": timedelta(days=-1)}, "min_days_in_staging")],
)
def test_less_than_nothing_is_bad_input_and_no_document_is_spoilt_by_it(
    asked: dict[str, object], where: str, tmp_path: Path
) -> None:
    shop = soaked()
    store = JsonFileStore(tmp_path)
    store.write(shop.store.read(EnvironmentName("staging")), None)  # type: ignore[arg-type]  # it is there
    with pytest.raises(ConfigError) as caught:
        engine(shop, store).promote(PromotionRequest(target="production", **asked))  # type: ignore[arg-type]  # passed on
    assert caught.value.where == where
    assert store.read(EnvironmentName("production")) is None
