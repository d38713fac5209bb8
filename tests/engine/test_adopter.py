"""Adopting an environment that existed before is the one way past every gate, so it has rules of its own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Identity, Rejection
from airflow_dbt_promotion.core.environment import BypassKind, Rule
from airflow_dbt_promotion.core.errors import (
    AdoptionRefusedError,
    AdoptionUnconfirmedError,
    NothingToAdoptError,
    PromotionError,
    ReasonRequiredError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, PlanId, Version
from airflow_dbt_promotion.core.selector import selector
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState
from airflow_dbt_promotion.core.stops import Block
from airflow_dbt_promotion.engine import AdoptionRequest
from tests.scenarios import DAY, PARENTS, Shop, model_id, path, release

PRODUCTION = EnvironmentName("production")
RAW, STG, ORDERS, REVENUE, MORE = (model_id(name) for name in ("raw_orders", "stg_orders", "orders", "revenue", "more"))


def state_of(shop: Shop) -> EnvironmentState:
    state = shop.store.read(PRODUCTION)
    assert state is not None
    return state


def adopted(shop: Shop | None = None) -> Shop:
    """Return a shop whose production was adopted, while the checkout has one model more."""
    shop = shop or Shop()
    shop.baseline("production")
    shop.change(release({**PARENTS, "more": ()}))
    return shop


def change(shop: Shop, move: Callable[[EnvironmentState], EnvironmentState]) -> None:
    state = state_of(shop)
    shop.store.write(move(state), state.serial)


def refused(shop: Shop, error: type[PromotionError], match: str, *, reason: str | None = "moved here by hand") -> None:
    """Adopt, which is refused, and leaves nothing behind."""
    before = shop.store.read(PRODUCTION)
    with pytest.raises(error, match=match):
        shop.baseline("production", reason=reason)
    assert shop.store.read(PRODUCTION) == before
    assert not shop.releases.kept


def test_only_what_stands_in_the_warehouse_is_adopted_with_its_parents() -> None:
    shop = Shop()
    shop.workshop.absent = {STG}
    told = shop.baseline("production")
    assert (told.entered, told.left_out) == ((RAW,), tuple(sorted({STG, ORDERS, REVENUE})))
    assert state_of(shop).bypasses == ()


def test_where_nothing_stands_nothing_is_adopted() -> None:
    shop = Shop()
    shop.workshop.absent = set(shop.project.models)
    refused(shop, NothingToAdoptError, "none of 4 models can be adopted")


def test_a_checkout_is_adopted_once_that_is_confirmed() -> None:
    shop = Shop()
    with pytest.raises(AdoptionUnconfirmedError, match="the checkout's code of 4 models: orders"):
        shop.engine.baseline(AdoptionRequest(environment="production"))
    folder = shop.leave_run("production")
    assert shop.engine.baseline(AdoptionRequest(environment="production", target_path=folder)).entered


def test_a_later_adoption_needs_a_reason_and_is_on_record_under_the_lock() -> None:
    shop = adopted()
    refused(shop, ReasonRequiredError, "adopting into production", reason=None)
    refused(shop, ReasonRequiredError, "adopting into production", reason="  ")
    told = shop.baseline("production", reason="moved here by hand")
    assert told.entered == (MORE,)
    (bypass,) = state_of(shop).bypasses
    assert (bypass.kind, bypass.actor, bypass.reason) == (BypassKind.BASELINE, "ann", "moved here by hand")
    assert bypass.models == {MORE: shop.project.models[MORE].version}
    assert (state_of(shop).epoch, state_of(shop).lock) == (1, None)
    assert state_of(shop).current[MORE].origin is EntryOrigin.BASELINE


def test_state_that_was_lost_while_marks_of_ours_are_in_the_warehouse_is_no_new_environment() -> None:
    shop = Shop()
    shop.workshop.fences["production"] = 3
    refused(shop, ReasonRequiredError, "adopting into production", reason=None)
    shop.baseline("production", reason="the bucket was lost")
    assert [bypass.kind for bypass in state_of(shop).bypasses] == [BypassKind.BASELINE]


@pytest.mark.parametrize("new", [True, False])
def test_nothing_is_adopted_into_what_is_held_or_frozen(*, new: bool) -> None:
    shop = Shop() if new else adopted()
    shop.engine.hold("production", "bob", "stop")
    refused(shop, AdoptionRefusedError, r"it is held \(stop\); `dbt-promote release")
    shop.engine.release("production", "bob", "go")
    shop.engine.freeze("production", "bob", "holidays", shop.clock() + DAY)
    refused(shop, AdoptionRefusedError, r"it is frozen \(holidays\); `dbt-promote thaw")
    shop.clock.pass_by(DAY)
    assert shop.baseline("production", reason="moved here by hand").entered


def test_a_blocked_version_is_not_adopted() -> None:
    shop = adopted()
    block = Block(version=shop.project.models[MORE].version, at=shop.clock(), actor="bob", reason="bad")
    change(shop, lambda state: replace(state, blocks={MORE: (block,)}))
    refused(shop, AdoptionRefusedError, "the version of model.shop.more is blocked")


def test_a_block_that_cannot_be_recognised_holds_every_version() -> None:
    shop = adopted()
    block = Block(version=Version("1:" + "f" * 32), at=shop.clock(), actor="bob", reason="bad")
    change(shop, lambda state: replace(state, blocks={MORE: (block,)}))
    refused(shop, AdoptionRefusedError, "the version of model.shop.more is blocked")


def test_a_rejected_version_is_not_adopted() -> None:
    shop = adopted()
    rejection = Rejection(
        version=shop.project.models[MORE].version,
        at=shop.clock(),
        actor="bob",
        identity=Identity.CLAIMED,
        reason="bad",
        plan_id=PlanId("plan"),
    )
    change(shop, lambda state: replace(state, rejections={MORE: (rejection,)}))
    refused(shop, AdoptionRefusedError, "the version of model.shop.more was rejected")


@pytest.mark.parametrize("kind", [BypassKind.BASELINE, BypassKind.SKIP_TESTS, BypassKind.SHORT_SOAK])
def test_policy_can_forbid_later_adoptions(kind: BypassKind) -> None:
    refused(adopted(Shop(environments=path(forbid=frozenset({kind})))), AdoptionRefusedError, f"forbids {kind.value}")


def test_a_later_adoption_does_not_stand_in_for_approvals() -> None:
    approval = ApprovalPolicy()
    rule = Rule(select=selector("tag:critical"), approvals=(approval,))
    for environments in (path(approval=approval), path(rules=(rule,))):
        refused(adopted(Shop(environments=environments)), AdoptionRefusedError, "asks for approvals")


def test_where_a_promotion_broke_off_it_is_resumed_first() -> None:
    shop = adopted()
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.workshop.build_breaks = KeyboardInterrupt()
    from airflow_dbt_promotion.engine import PromotionRequest  # noqa: PLC0415 - of this test alone

    with pytest.raises(KeyboardInterrupt):
        shop.engine.promote(PromotionRequest(target="production", run="run"))
    assert state_of(shop).journal is not None
    refused(shop, AdoptionRefusedError, "a promotion broke off there")


def test_who_adopts_at_the_same_time_as_another_is_no_longer_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    shop, other = Shop(), Shop()
    other.baseline("production")
    standing = shop.workshop.standing

    def meanwhile(*args: object) -> object:
        shop.store.write(state_of(other), None)
        return standing(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(shop.workshop, "standing", meanwhile)
    with pytest.raises(AdoptionRefusedError, match="models entered it just now"):
        shop.baseline("production")
