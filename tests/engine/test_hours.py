"""Windows and freezes on every surface of the engine: when something may be promoted, and never whether."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_dbt_promotion.core.eligibility import Verdict
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    NotFrozenError,
    ReasonRequiredError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.core.stops import InterventionKind
from airflow_dbt_promotion.core.windows import Window, Windows
from airflow_dbt_promotion.engine import PromotionRequest
from tests.scenarios import DAY, NOON, Shop, path

PRODUCTION = EnvironmentName("production")
HOUR = timedelta(hours=1)
NIGHT = NOON + DAY + 12 * HOUR
HOURS = Windows(allow=(Window(name="business hours", zone="Europe/Berlin"),))
REQUEST = PromotionRequest(target="production")


@pytest.fixture
def shop() -> Shop:
    """Return a shop whose staging has soaked, and whose production has windows, which are open."""
    made = Shop(environments=path(windows=HOURS))
    made.run("staging")
    made.clock.pass_by(DAY)
    return made


def state(shop: Shop) -> EnvironmentState:
    found = shop.store.read(PRODUCTION)
    assert found is not None
    return found


def codes(verdicts: tuple[Verdict, ...]) -> list[str]:
    return [verdict.code for verdict in verdicts]


def test_a_closed_window_refuses_and_every_surface_says_so(shop: Shop) -> None:
    shop.calendar.opens_at = NIGHT
    for request in (REQUEST, PromotionRequest(target="production", dry_run=True)):
        refused = shop.engine.promote(request)
        assert refused.outcome is PromotionOutcome.REFUSED
        assert (
            "production is outside its windows; 'business hours' opens at Sun 2026-07-26 00:00 UTC" in refused.message
        )
    plan = shop.engine.plan(PromotionRequest(target="production", models=["orders"], include_upstream=True))
    assert (plan.allowed, plan.eligible_at) == (False, NIGHT)
    assert codes(shop.engine.observer.hours("production")) == ["window_closed"]
    assert codes(shop.engine.observer.hours()) == ["window_closed"]
    standing = [one for one in shop.engine.status() if one.environment == "staging"]
    assert {tuple(codes(one.hours)) for one in standing} == {("window_closed",)}
    assert all(verdict in one.verdicts for one in standing for verdict in one.hours)
    assert shop.workshop.orders == []
    shop.clock.now = NIGHT
    assert shop.engine.promote(REQUEST).outcome is PromotionOutcome.PROMOTED


def test_the_time_of_day_does_not_make_a_version_less_validated(shop: Shop) -> None:
    shop.calendar.opens_at = NIGHT
    shop.engine.freeze("production", "ann", "stop")
    assert len(shop.engine.validated()) == 4
    assert {tuple(codes(one.hours)) for one in shop.engine.validated()} == {("frozen", "window_closed")}


def test_nothing_else_is_said_where_there_are_no_windows() -> None:
    shop = Shop()
    shop.run("staging")
    assert shop.engine.observer.hours("production") == ()
    assert shop.calendar.asked == []


def test_windows_of_production_do_not_keep_anything_out_of_staging(shop: Shop) -> None:
    shop.calendar.never = True
    assert shop.engine.promote(PromotionRequest(target="staging")).outcome is PromotionOutcome.NOTHING_TO_DO
    assert codes(shop.engine.plan(REQUEST).verdicts) == ["never_opens"]
    assert shop.engine.plan(REQUEST).eligible_at is None


def test_what_soaks_until_after_the_window_closes_could_go_at_the_next_one() -> None:
    shop = Shop(environments=path(windows=HOURS))
    shop.run("staging")
    shop.clock.pass_by(HOUR)
    assert shop.engine.plan(PromotionRequest(target="production", models=["raw_orders"])).eligible_at == NOON + DAY
    shop.calendar.shuts_at, shop.calendar.opens_at = NOON + 20 * HOUR, NIGHT
    request = PromotionRequest(target="production", models=["raw_orders"])
    plan = shop.engine.plan(request)
    assert {verdict.code for _, verdict in plan.refusals} == {"soaking"}
    assert plan.eligible_at == NIGHT
    shop.calendar.never_from = NOON + 20 * HOUR
    assert shop.engine.plan(request).eligible_at is None


def test_neither_windows_nor_a_freeze_move_a_plan(shop: Shop) -> None:
    before = shop.engine.plan(REQUEST)
    shop.calendar.opens_at = NIGHT
    assert shop.engine.plan(REQUEST).plan_id == before.plan_id
    shop.engine.freeze("production", "ann", "stop")
    assert shop.engine.plan(REQUEST).plan_id == before.plan_id
    shop.engine.thaw("production", "ann", "go")
    assert shop.engine.plan(REQUEST).plan_id == before.plan_id


def test_a_window_that_closes_before_the_lock_is_ours_refuses(shop: Shop) -> None:
    def close(_: object) -> None:
        shop.calendar.opens_at = NIGHT

    refused = shop.engine.promote(REQUEST, on_plan=close)
    assert refused.outcome is PromotionOutcome.REFUSED
    assert "opens at Sun 2026-07-26 00:00 UTC" in refused.message
    assert (shop.workshop.orders, state(shop).journal, state(shop).lock) == ([], None, None)


def test_what_has_begun_is_carried_out_although_the_window_closes(shop: Shop) -> None:
    def close() -> None:
        shop.calendar.opens_at = NIGHT

    shop.workshop.meanwhile = close
    assert shop.engine.promote(REQUEST).outcome is PromotionOutcome.PROMOTED


def test_an_attempt_that_would_be_carried_on_after_the_window_closed_is_undone(shop: Shop) -> None:
    """A shut gate is a shut gate: history tells of the first attempt as errored, and the answer is refused."""
    request = PromotionRequest(target="production", run="run-1")
    shop.workshop.build_breaks = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        shop.engine.promote(request)
    assert state(shop).journal is not None
    shop.workshop.build_breaks = None
    shop.calendar.opens_at = NIGHT
    refused = shop.engine.promote(request)
    assert refused.outcome is PromotionOutcome.REFUSED
    assert "'business hours' opens at" in refused.message
    left = state(shop)
    assert (left.journal, left.lock, left.current) == (None, None, {})
    assert [(one.outcome, one.message) for one in left.history] == [
        (PromotionOutcome.ERRORED, f"interrupted, and not carried on: {refused.message}")
    ]
    assert left.unfinalized is not None
    shop.clock.now = NIGHT
    assert shop.engine.promote(request).outcome is PromotionOutcome.PROMOTED
    assert state(shop).unfinalized is None


def test_a_freeze_refuses_until_it_is_lifted_and_both_are_on_record(shop: Shop) -> None:
    done = shop.engine.freeze("production", "ann", " year end ")
    assert (done.kind, done.actor, done.reason) == (InterventionKind.FREEZE, "ann", "year end")
    refused = shop.engine.promote(REQUEST)
    assert refused.outcome is PromotionOutcome.REFUSED
    assert "production is frozen since Sat 2026-07-25 12:00 UTC by ann: year end" in refused.message
    assert refused.plan.eligible_at is None
    shop.engine.thaw("production", "ben", "the books are open")
    assert shop.engine.promote(REQUEST).outcome is PromotionOutcome.PROMOTED
    assert [one.kind.value for one in state(shop).interventions] == ["freeze", "thaw"]


def test_a_freeze_with_an_end_ends_by_itself_and_is_then_nothing_to_lift(shop: Shop) -> None:
    now = shop.clock()
    shop.engine.freeze("production", "ann", "the demo", now + HOUR)
    plan = shop.engine.plan(REQUEST)
    assert (plan.allowed, plan.eligible_at) == (False, now + HOUR)
    shop.calendar.opens_at = now + 3 * HOUR
    assert shop.engine.plan(REQUEST).eligible_at == now + 3 * HOUR
    assert now + HOUR in shop.calendar.asked
    shop.calendar.opens_at = None
    shop.clock.pass_by(HOUR)
    with pytest.raises(NotFrozenError):
        shop.engine.thaw("production", "ann", "over")
    assert shop.engine.promote(REQUEST).outcome is PromotionOutcome.PROMOTED


def test_a_freeze_replaces_the_one_before_and_is_no_hold(shop: Shop) -> None:
    now = shop.clock()
    shop.engine.freeze("production", "ann", "one", now + HOUR)
    shop.engine.freeze("production", "ben", "two")
    shop.engine.hold("production", "cat", "three")
    found = state(shop)
    assert found.freeze is not None
    assert (found.freeze.reason, found.freeze.until) == ("two", None)
    assert codes(shop.engine.plan(REQUEST).verdicts) == ["held", "frozen", "window_open"]
    shop.engine.release("production", "cat", "done")
    assert codes(shop.engine.plan(REQUEST).verdicts) == ["frozen", "window_open"]


def test_there_has_to_be_something_to_thaw_a_reason_and_a_time_to_come(shop: Shop) -> None:
    with pytest.raises(NotFrozenError, match="production is not frozen"):
        shop.engine.thaw("production", "ann", "why not")
    with pytest.raises(ReasonRequiredError):
        shop.engine.freeze("production", "ann", "  ")
    with pytest.raises(ConfigError, match="2026-07-25 12:00:00 UTC is past"):
        shop.engine.freeze("production", "ann", "stop", shop.clock())
    assert shop.store.read(PRODUCTION) is None
    shop.engine.freeze("production", "ann", "stop")
    with pytest.raises(ReasonRequiredError):
        shop.engine.thaw("production", "ann", "")
    assert state(shop).freeze is not None
