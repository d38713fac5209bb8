"""State that an earlier release of this package wrote: no block, no half soak and no approval is lost."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core import codec, fingerprint, format_one
from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Approval, Decision, Identity, Person, Vote
from airflow_dbt_promotion.core.identity import is_earlier
from airflow_dbt_promotion.core.state import SCHEMA_VERSION, PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest, RollbackRequest
from airflow_dbt_promotion.engine.recognising import Recogniser
from tests.kept_shop import PRODUCTION, STAGING, KeptShop, with_text
from tests.scenarios import DAY, defined, model_id, path

ORDERS, REVENUE = model_id("orders"), model_id("revenue")
ALL = PromotionRequest(target="production", actor="ann")
ANN = Person(name="ann", identity=Identity.AIRFLOW)
ASKING = path(approval=ApprovalPolicy(four_eyes=True))

Upgrade = Callable[[KeptShop], None]


@pytest.fixture
def upgrade(monkeypatch: pytest.MonkeyPatch) -> Iterator[Upgrade]:
    """Let every version be of format 1, as an earlier release had it, until a shop is upgraded."""
    monkeypatch.setattr(Recogniser, "_known", {})
    monkeypatch.setattr(fingerprint, "Fingerprinting", format_one._FormatOne)

    def upgraded(shop: KeptShop) -> None:
        for environment in shop.store.environments():
            state = shop.store.read(environment)
            assert state is not None
            shop.store._documents[environment] = as_schema_7(codec.encode(state))
        monkeypatch.undo()
        monkeypatch.setattr(Recogniser, "_known", {})
        shop.edit(shop.definition)

    yield upgraded
    monkeypatch.undo()


def as_schema_7(data: bytes) -> bytes:
    """Return a document as the schema before the present one had it."""
    document = json.loads(data) | {"schema_version": 7}
    for entries in (document["current"], *(one["before"] for one in document["checkpoints"])):
        for entry in entries.values():
            (entry or {}).pop("formerly", None)
    for block in (one for several in document["blocks"].values() for one in several):
        del block["formerly"]
    return json.dumps(document).encode()


def promote(shop: KeptShop, **asked: object) -> Promotion:
    return shop.engine.promote(replace(ALL, **asked))


def second(shop: KeptShop) -> None:
    """Let another text of `orders` soak in staging."""
    shop.edit(with_text(shop.definition, "orders", "select 2"))
    shop.run("staging")
    shop.clock.pass_by(DAY)


def opened(environments: object = None) -> KeptShop:
    """Return a shop that promoted once."""
    shop = KeptShop(defined(), environments)  # type: ignore[arg-type]
    shop.run("staging")
    shop.clock.pass_by(DAY)
    if environments is None:
        assert promote(shop).outcome is PromotionOutcome.PROMOTED
    return shop


def rolled_back() -> KeptShop:
    """Return a shop that promoted another version of `orders`, went back, and released production."""
    shop = opened()
    second(shop)
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    back = RollbackRequest(environment="production", reason="it doubles rows", actor="ann")
    assert shop.engine.roll_back(back).outcome is PromotionOutcome.PROMOTED
    shop.engine.release("production", "ann", "looked at")
    return shop


def refusals(found: Promotion) -> dict[str, set[str]]:
    return {
        change.name: {verdict.code for verdict in change.verdicts if not verdict.passed}
        for change in (*found.plan.changes, *found.plan.held)
    }


def test_what_both_environments_hold_is_the_same_after_an_upgrade(upgrade: Upgrade) -> None:
    shop = opened()
    upgrade(shop)
    assert all(is_earlier(version) for version in shop.versions().values())
    found = promote(shop)
    assert (found.outcome, found.plan.changes) == (PromotionOutcome.NOTHING_TO_DO, ())
    assert len(found.plan.already_current) == len(shop.versions())
    shop.run("staging")
    assert promote(shop).outcome is PromotionOutcome.NOTHING_TO_DO
    assert not any(is_earlier(version) for version in shop.versions(STAGING).values())


def test_what_is_promoted_next_is_what_changed_alone(upgrade: Upgrade) -> None:
    shop = opened()
    upgrade(shop)
    second(shop)
    found = promote(shop)
    assert found.outcome is PromotionOutcome.PROMOTED
    assert {(one.name, one.kind.value) for one in found.plan.changes} == {
        ("orders", "modified"),
        ("revenue", "indirect"),
    }
    assert shop.versions() == shop.versions(STAGING)


def test_a_block_holds_the_version_that_it_was_made_for_and_no_other(upgrade: Upgrade) -> None:
    shop = rolled_back()
    upgrade(shop)
    for _ in range(2):
        found = promote(shop, models=("orders",))
        assert found.outcome is PromotionOutcome.REFUSED
        assert "version_blocked" in refusals(found)["orders"]
        shop.run("staging")
    shop.edit(with_text(shop.definition, "orders", "select 3"))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    shop.edit(with_text(shop.definition, "orders", "select 2"))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert "version_blocked" in refusals(promote(shop, models=("orders",)))["orders"]


def test_a_block_that_cannot_be_recognised_holds_every_version_until_it_is_lifted(upgrade: Upgrade) -> None:
    shop = rolled_back()
    upgrade(shop)
    shop.workshop.kept.clear()
    shop.edit(with_text(shop.definition, "orders", "select 3"))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    found = promote(shop, models=("orders", "revenue"))
    assert refusals(found) == {"orders": {"version_blocked"}, "revenue": {"version_blocked"}}
    reasons = [verdict.reason for change in found.plan.changes for verdict in change.verdicts if not verdict.passed]
    assert all("every version is blocked" in reason for reason in reasons)
    shop.engine.unblock("production", "ann", "looked at")
    assert promote(shop, models=("orders", "revenue")).outcome is PromotionOutcome.PROMOTED


@pytest.mark.parametrize("records", [True, False])
@pytest.mark.parametrize("keeps", [True, False])
def test_half_a_soak_goes_on(upgrade: Upgrade, records: bool, keeps: bool) -> None:
    shop = opened()
    shop.edit(with_text(shop.definition, "orders", "select 2"))
    shop.run("staging")
    shop.clock.pass_by(DAY / 2)
    since = shop.state(STAGING).current[ORDERS].since
    upgrade(shop)
    if not keeps:
        shop.workshop.kept.clear()
    if records or not keeps:
        shop.run("staging")
    shop.clock.pass_by(DAY / 2 - timedelta(minutes=1))
    assert promote(shop).outcome is PromotionOutcome.NOTHING_TO_DO
    shop.clock.pass_by(timedelta(minutes=1))
    assert promote(shop, allow_stale_downstream=True).outcome is PromotionOutcome.PROMOTED
    assert shop.state(STAGING).current[ORDERS].since == since


def approved(shop: KeptShop) -> Approval:
    """Ask about what may go, and let another person say yes."""
    asked = replace(ALL, to_approve=True)
    approval = shop.engine.approvals.ask(asked, shop.engine.plan(asked), ANN)
    vote = Vote(decision=Decision.APPROVE, at=shop.clock(), actor="bob", identity=Identity.AIRFLOW)
    return shop.engine.approvals.vote("production", approval.plan_id, vote)


@pytest.mark.parametrize("agreed", [True, False])
@pytest.mark.parametrize("writes", [True, False])
def test_what_was_approved_goes(upgrade: Upgrade, agreed: bool, writes: bool) -> None:
    shop = opened(ASKING)
    approval = approved(shop)
    upgrade(shop)
    if writes:
        shop.run("staging")
        shop.engine.freeze("production", "ann", "a look")
        shop.engine.thaw("production", "ann", "looked at")
    asked = shop.engine.approvals.ask(
        replace(ALL, to_approve=True), shop.engine.plan(replace(ALL, to_approve=True)), ANN
    )
    assert (asked.plan_id, asked.votes) == (approval.plan_id, approval.votes)
    found = promote(shop, agreed=approval.agreed) if agreed else promote(shop)
    assert found.outcome is PromotionOutcome.PROMOTED, found.message
    assert [record.approved_by for _, record in shop.engine.history("production")] == [("bob",)]


def test_what_was_approved_and_moved_since_does_not_go(upgrade: Upgrade) -> None:
    shop = opened(ASKING)
    approval = approved(shop)
    upgrade(shop)
    second(shop)
    assert promote(shop, agreed=approval.agreed).outcome is PromotionOutcome.REFUSED


def test_production_goes_back_to_what_it_held_before(upgrade: Upgrade) -> None:
    shop = opened()
    before = shop.definition
    second(shop)
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    upgrade(shop)
    back = shop.engine.roll_back(RollbackRequest(environment="production", reason="it doubles rows", actor="ann"))
    assert back.outcome is PromotionOutcome.PROMOTED, back.message
    assert shop.versions() == {model: one.version for model, one in fingerprint.release_of(before).models.items()}
    assert set(shop.state().blocks) == {ORDERS, REVENUE}
    assert not any(is_earlier(block.version) for several in shop.state().blocks.values() for block in several)


def test_where_no_version_is_of_an_earlier_format_no_parse_is_asked_for() -> None:
    shop = opened()
    shop.reader.definitions.clear()
    shop.clock.pass_by(DAY)
    shop.workshop.definition = defined()
    folder = shop.leave_run("staging")
    del shop.reader.definitions[folder]
    assert shop.engine.record("staging", folder).passed


def test_a_kept_release_is_read_once(upgrade: Upgrade) -> None:
    shop = opened()
    upgrade(shop)
    shop.workshop.loaded.clear()
    reads: list[str] = []
    read = shop.store.read
    shop.store.read = lambda name: (reads.append(name), read(name))[1]  # type: ignore[method-assign]
    shop.engine.observer.state("production")
    first = len(reads)
    for _ in range(3):
        shop.engine.observer.state("production")
    assert (len(reads) - first, len(shop.workshop.loaded)) == (3, 1), "the documents are searched once"
    shop.engine.status("production")
    assert len(shop.workshop.loaded) == 1
    assert shop.store.read(PRODUCTION).schema_version == SCHEMA_VERSION  # type: ignore[union-attr]
