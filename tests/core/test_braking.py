"""Braking: what is stopped, and let go again, with who, when and why on record for good."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.braking import Deed, frozen, held, released, thawed, unblocked, with_blocks
from airflow_dbt_promotion.core.eligibility import GateName, Requirement
from airflow_dbt_promotion.core.errors import NotBlockedError, NotFrozenError, NotHeldError
from airflow_dbt_promotion.core.identity import PlanId, Version
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.status import Following, statuses
from airflow_dbt_promotion.core.stops import InterventionKind
from tests.scenarios import DAY, NOON, dbt_run, empty_state, model_id, question, recorded, release, situation

ORDERS, REVENUE = model_id("orders"), model_id("revenue")
SHOP = release()
VERSION = SHOP.models[ORDERS].version
ANN = Deed(at=NOON, actor="ann", reason="it doubles rows", plan_id=PlanId("p"))
BEN = Deed(at=NOON + DAY, actor="ben", reason="the source was at fault")


def staged() -> EnvironmentState:
    return recorded(SHOP, dbt_run(SHOP, NOON))


def codes(found: Plan) -> set[str]:
    return {verdict.code for _, verdict in found.refusals}


def test_a_hold_is_set_and_lifted_on_record() -> None:
    state = held(empty_state(), ANN)
    assert state.hold is not None
    assert (state.hold.actor, state.hold.reason, state.hold.plan_id) == ("ann", "it doubles rows", "p")
    after = released(state, BEN)
    assert after.hold is None
    assert [(one.kind, one.actor) for one in after.interventions] == [
        (InterventionKind.HOLD, "ann"),
        (InterventionKind.RELEASE, "ben"),
    ]
    with pytest.raises(NotHeldError, match="staging"):
        released(after, BEN)


def test_a_freeze_is_set_and_lifted_on_record_and_ends_by_itself() -> None:
    state = frozen(empty_state(), NOON + 2 * DAY, ANN)
    assert state.freeze is not None
    assert (state.freeze.actor, state.freeze.reason, state.freeze.until) == ("ann", "it doubles rows", NOON + 2 * DAY)
    after = thawed(state, BEN)
    assert after.freeze is None
    assert [(one.kind, one.actor, one.until) for one in after.interventions] == [
        (InterventionKind.FREEZE, "ann", NOON + 2 * DAY),
        (InterventionKind.THAW, "ben", None),
    ]
    assert thawed(frozen(empty_state(), None, ANN), BEN).freeze is None
    for nothing in (after, frozen(empty_state(), NOON + DAY, ANN)):
        with pytest.raises(NotFrozenError, match="staging is not frozen"):
            thawed(nothing, BEN)


def test_versions_are_blocked_once_and_unblocked_by_model() -> None:
    state = with_blocks(empty_state(), {ORDERS: VERSION, REVENUE: Version("r")}, ANN)
    again = with_blocks(state, {ORDERS: VERSION}, BEN)
    assert [block.actor for block in again.blocks[ORDERS]] == ["ann"]
    both = with_blocks(again, {ORDERS: Version("other")}, BEN)
    after = unblocked(both, [ORDERS], BEN)
    assert set(after.blocks) == {REVENUE}
    assert after.interventions[-1].models == {ORDERS: (VERSION, Version("other"))}
    with pytest.raises(NotBlockedError):
        unblocked(after, [ORDERS], BEN)
    assert unblocked(after, None, BEN).blocks == {}


@pytest.mark.parametrize("where", ["source", "target"])
def test_a_blocked_version_never_goes(where: str) -> None:
    source, target = staged(), empty_state("production")
    if where == "source":
        source = with_blocks(source, {ORDERS: VERSION}, ANN)
    else:
        target = with_blocks(target, {ORDERS: VERSION}, ANN)
    found = plan(situation(source, target), question("raw_orders", "stg_orders", "orders"))
    assert codes(found) == {"version_blocked"}
    (verdict,) = (verdict for _, verdict in found.refusals)
    assert verdict.gate is GateName.BLOCK
    for told in (VERSION[:8], "2026-07-24 12:00 UTC by ann", "it doubles rows", "dbt-promote unblock --environment"):
        assert told in verdict.reason
    rest = plan(situation(source, target), question())
    assert {change.model for change in rest.changes} == {model_id("raw_orders"), model_id("stg_orders")}


def test_where_a_rollback_blocked_the_newest_version_no_older_one_goes_in_its_place() -> None:
    newer = release(code={"orders": "select 2"})
    newest = release(code={"orders": "select 3"})
    source = staged()
    kept = {model: replace(entry, release="r1") for model, entry in source.current.items()}
    source = recorded(newer, dbt_run(newer, NOON + 2 * DAY), state=replace(source, current=kept))
    kept = {model: replace(entry, release="r2") for model, entry in source.current.items()}
    source = recorded(newest, dbt_run(newest, NOON + 4 * DAY), state=replace(source, current=kept))
    before = plan(situation(source, empty_state("production")), question())
    assert {change.model: change.to_version for change in before.changes}[ORDERS] == newest.models[ORDERS].version
    blocked = {ORDERS: newest.models[ORDERS].version, REVENUE: newest.models[REVENUE].version}
    found = plan(situation(source, with_blocks(empty_state("production"), blocked, ANN)), question())
    assert not {ORDERS, REVENUE} & {change.model for change in found.changes}
    (held,) = (change for change in found.held if change.model == ORDERS)
    assert "version_blocked" in {verdict.code for verdict in held.verdicts}


def test_a_hold_refuses_every_plan_into_the_target_and_no_other() -> None:
    found = plan(situation(staged(), held(empty_state("production"), ANN)), question())
    assert codes(found) == {"held"}
    assert found.changes
    assert "`dbt-promote release --environment production --reason TEXT`" in found.refusals[0][1].reason
    assert plan(situation(held(staged(), ANN)), question()).allowed


def test_blocks_in_the_closure_and_holds_of_both_ends_are_what_a_plan_rests_on() -> None:
    source, target = staged(), empty_state("production")

    def planned(source: EnvironmentState, target: EnvironmentState) -> str:
        return plan(situation(source, target), question("raw_orders", "stg_orders")).precondition

    plain = planned(source, target)
    stg = {model_id("stg_orders"): Version("another")}
    assert planned(source, with_blocks(target, {REVENUE: Version("r")}, ANN)) == plain
    stopped = {
        planned(with_blocks(source, stg, ANN), target),
        planned(source, with_blocks(target, stg, ANN)),
        planned(held(source, ANN), target),
        planned(source, held(target, ANN)),
        planned(source, held(target, BEN)),
    }
    assert len(stopped | {plain}) == 6


def test_status_agrees() -> None:
    source, nothing = staged(), Requirement()

    def found(target: EnvironmentState | None, source: EnvironmentState = source) -> tuple[bool, list[str]]:
        following = Following(requirement=nothing, state=target)
        (one,) = statuses(source, following, (), NOON + DAY, [ORDERS])
        assert list(one.verdicts[-len(one.stops) :] if one.stops else ()) == list(one.stops)
        return one.validated, [verdict.code for verdict in one.stops]

    production = empty_state("production")
    assert found(None) == found(production) == (True, [])
    assert found(with_blocks(production, {ORDERS: VERSION}, ANN)) == (False, ["version_blocked"])
    assert found(held(production, ANN)) == (False, ["held"])
    assert found(None, with_blocks(source, {ORDERS: VERSION}, ANN)) == (False, ["version_blocked"])
    (last,) = statuses(with_blocks(source, {ORDERS: VERSION}, ANN), None, (), NOON + DAY, [ORDERS])
    assert (last.stops, len(last.verdicts)) == ((), 1)
