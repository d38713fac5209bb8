"""Never back: a routine promotion ships nothing that is older than what was there, unless a version is named."""

from __future__ import annotations

from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.approvals import Identity, Person
from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.errors import ConfigError, ReasonRequiredError, UnknownVersionError
from airflow_dbt_promotion.core.identity import Version
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest, RollbackRequest
from airflow_dbt_promotion.engine.approvals import agreed_request
from airflow_dbt_promotion.failpoints import Failpoint
from tests.engine.test_resuming import die
from tests.kept_shop import STAGING, KeptShop, with_text
from tests.scenarios import DAY, defined, model_id, path

ORDERS, REVENUE = model_id("orders"), model_id("revenue")
ASKED = PromotionRequest(target="production", actor="ann")


def staged(shop: KeptShop, text: str) -> Version:
    """Let another text of `orders` soak in staging; return its version."""
    shop.edit(with_text(shop.definition, "orders", text))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    return shop.versions(STAGING)[ORDERS]


@pytest.fixture
def shop() -> KeptShop:
    """Return it with the usual policy."""
    return rolled_back(KeptShop(defined()))


def rolled_back(shop: KeptShop) -> KeptShop:
    """Return a shop whose production held two versions of orders, the first and the third, and left the third."""
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    staged(shop, "select 2")
    staged(shop, "select 3")
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    shop.clock.pass_by(timedelta(hours=1))
    back = shop.engine.roll_back(RollbackRequest(environment="production", reason="wrong", actor="ann"))
    assert back.outcome is PromotionOutcome.PROMOTED
    shop.engine.release("production", "ann", "known")
    return shop


def second(shop: KeptShop) -> Version:
    """Return the version that was never promoted."""
    return shop.state(STAGING).stays[ORDERS][1].version


def named(shop: KeptShop, **asked: object) -> PromotionRequest:
    """Return the request for the second version by name, with the revenue that stood on it."""
    revenue = shop.state(STAGING).stays[REVENUE][1].version
    text = f"orders={second(shop)[:8]}, revenue={revenue[:8]}"
    return replace(ASKED, version=text, **asked)


def codes(told: Promotion) -> set[str]:
    return {verdict.code for change in told.plan.changes for verdict in change.verdicts}


def test_what_is_older_than_what_a_rollback_left_stays_out(shop: KeptShop) -> None:
    before = shop.versions()
    told = shop.engine.promote(ASKED)
    assert (told.outcome, shop.versions()) == (PromotionOutcome.NOTHING_TO_DO, before)
    assert {change.name for change in told.plan.held} == {"orders", "revenue"}
    fourth = staged(shop, "select 4")
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.PROMOTED
    assert shop.versions()[ORDERS] == fourth


def test_by_name_with_a_reason_that_stays_on_record(shop: KeptShop) -> None:
    asked = second(shop)
    with pytest.raises(ReasonRequiredError, match="older_version"):
        shop.engine.promote(named(shop))
    told = shop.engine.promote(named(shop, reason="the second was right"))
    assert (told.outcome, shop.versions()[ORDERS]) == (PromotionOutcome.PROMOTED, asked)
    assert "older_version" in codes(told)
    [bypass] = shop.state().bypasses
    assert (bypass.kind, bypass.reason, bypass.models[ORDERS]) == (
        BypassKind.OLDER_VERSION,
        "the second was right",
        asked,
    )
    assert shop.engine.promote(ASKED).outcome is PromotionOutcome.NOTHING_TO_DO


def test_a_named_version_that_is_not_older_needs_no_reason(shop: KeptShop) -> None:
    fourth = staged(shop, "select 4")
    with_revenue = replace(ASKED, models=("orders",), version=fourth, include_downstream=True)
    staged(shop, "select 5")
    revenue = shop.state(STAGING).stays[REVENUE][-1].version
    told = shop.engine.promote(replace(with_revenue, models=None, version=f"orders={fourth},revenue={revenue}"))
    assert (told.outcome, shop.versions()[ORDERS]) == (PromotionOutcome.PROMOTED, fourth)
    assert "named_version" in codes(told)
    assert shop.state().bypasses == ()


def test_a_named_version_is_held_to_every_gate(shop: KeptShop) -> None:
    third = shop.state(STAGING).current[ORDERS].version
    told = shop.engine.promote(replace(ASKED, models=("orders",), version=third, include_downstream=True))
    assert told.outcome is PromotionOutcome.REFUSED
    assert "version_blocked" in codes(told)


def test_policy_can_forbid_it() -> None:
    shop = rolled_back(KeptShop(defined(), path(forbid=frozenset({BypassKind.OLDER_VERSION}))))
    told = shop.engine.promote(named(shop, reason="the second was right"))
    assert [verdict.code for verdict in told.plan.verdicts if not verdict.passed] == ["bypass_forbidden"]


def test_a_retry_goes_on_with_the_named_version(shop: KeptShop) -> None:
    asked = second(shop)
    request = named(shop, reason="the second was right", run="task 1")
    die(shop, Failpoint.PUBLISHED, request)
    told = shop.engine.promote(request)
    assert (told.outcome, shop.versions()[ORDERS]) == (PromotionOutcome.PROMOTED, asked)


def test_what_people_approved_is_the_named_version(shop: KeptShop) -> None:
    request = named(shop, reason="the second was right")
    plan = shop.engine.promote(replace(request, dry_run=True)).plan
    approval = shop.engine.approvals.ask(request, plan, Person(name="ann", identity=Identity.CLAIMED))
    told = shop.engine.promote(agreed_request(ASKED, approval))
    assert (told.outcome, told.plan.plan_id) == (PromotionOutcome.PROMOTED, plan.plan_id)


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({"version": "1a2b3c4d"}, "not said of which model"),
        ({"version": "1a2b3c4d", "select": "orders"}, "leave the selector out"),
        ({"version": "1a2b3c4d", "models": ("orders", "revenue")}, "write MODEL=VERSION"),
        ({"version": "orders=", "models": ("orders",)}, "is no version"),
    ],
)
def test_what_cannot_be_meant(shop: KeptShop, asked: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        shop.engine.promote(replace(ASKED, **asked))


def test_a_version_that_there_is_not(shop: KeptShop) -> None:
    with pytest.raises(UnknownVersionError, match="staging has no version '1a2b3c4d' of orders"):
        shop.engine.promote(replace(ASKED, models=("orders",), version="1a2b3c4d"))
