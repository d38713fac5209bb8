"""Status: what an environment holds, how far each model is, and how it came there."""

from __future__ import annotations

from msgspec.structs import replace

from airflow_dbt_promotion.core.eligibility import Requirement
from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, PlanId, Version
from airflow_dbt_promotion.core.recording import record
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import Bypass, EnvironmentState, PromotedModel, PromotionOutcome, PromotionRecord
from airflow_dbt_promotion.core.status import FAILURES_TOLD, Following, ModelStatus, drifted, statuses
from tests.scenarios import BY_NOBODY, DAY, NOON, dbt_run, empty_state, model_id, recorded, release, with_tests

ORDERS, RAW, REVENUE = model_id("orders"), model_id("raw_orders"), model_id("revenue")
SHOP = release()
CHANGED = release(code={"orders": "select 2"})
BUILT = recorded(SHOP, dbt_run(SHOP, NOON))
PRODUCTION = recorded(SHOP, dbt_run(SHOP, NOON), state=empty_state("production"))


def status(state: EnvironmentState, following: Following | None = None, model: ModelId = ORDERS) -> ModelStatus:
    (found,) = statuses(state, following, (), NOON + DAY, [model, model_id("unheard_of")])
    return found


def after(state: EnvironmentState | None) -> Following:
    return Following(requirement=Requirement(soak=DAY), state=state)


def promotion(plan: str, result: str, *models: ModelId) -> PromotionRecord:
    told = PromotedModel(change="added", from_version=None, to_version=Version("v"), result=result)
    return PromotionRecord(
        plan_id=PlanId(plan),
        outcome=PromotionOutcome.PROMOTED,
        source=EnvironmentName("staging"),
        strategy="build",
        actor="ann",
        started_at=NOON,
        finished_at=NOON,
        models=dict.fromkeys(models, told),
    )


def test_every_model_that_is_held_is_told_by_id() -> None:
    found = statuses(BUILT, after(None), (), NOON + DAY)
    assert [one.model for one in found] == sorted(SHOP.models)
    assert all(one.tested and one.soaked and one.validated and one.pending for one in found)


def test_the_last_environment_has_no_soak_and_nothing_pending() -> None:
    found = status(BUILT)
    assert (found.soak, found.soaked, found.pending, found.validated) == (None, None, False, False)
    assert found.tested


def test_pending_is_what_the_next_environment_lacks() -> None:
    revised = with_tests(SHOP, revised={"orders": "new"})
    tested = recorded(revised, dbt_run(revised, NOON), state=empty_state())
    assert not status(BUILT, after(PRODUCTION)).pending
    assert status(BUILT, after(empty_state("production"))).pending
    assert status(tested, after(PRODUCTION)).pending
    assert status(recorded(CHANGED, dbt_run(CHANGED, NOON)), after(PRODUCTION)).pending


def test_a_stale_model_and_a_drifted_one_are_told() -> None:
    rooted = release(code={"raw_orders": "1,2"})
    stale = recorded(rooted, dbt_run(rooted, NOON, only=[RAW]), state=BUILT)
    assert status(stale, model=model_id("stg_orders")).stale
    drifted = record(PRODUCTION, CHANGED, dbt_run(CHANGED, NOON + DAY), BY_NOBODY).state
    assert status(drifted).drifted == CHANGED.models[ORDERS].version
    assert (status(BUILT).stale, status(BUILT).drifted) == (False, None)


def test_the_newest_promotion_of_a_model_is_told() -> None:
    state = replace(
        BUILT,
        history=(promotion("3", "failed", RAW), promotion("2", "advanced", ORDERS), promotion("1", "failed", ORDERS)),
    )
    last = status(state).last_promotion
    assert last is not None
    assert (last.plan_id, last.result, last.actor) == ("2", "advanced", "ann")
    assert status(BUILT).last_promotion is None


def test_the_bypasses_by_which_a_version_came_in_are_told() -> None:
    version = SHOP.models[ORDERS].version

    def bypass(kind: BypassKind, held: Version) -> Bypass:
        return Bypass(kind=kind, at=NOON, actor="ann", reason="now", plan_id=PlanId("p"), models={ORDERS: held})

    state = replace(
        BUILT, bypasses=(bypass(BypassKind.SKIP_TESTS, version), bypass(BypassKind.SHORT_SOAK, Version("old")))
    )
    assert status(state).bypassed == ("skip_tests",)


def test_drift_is_told_of_each_model_with_what_was_promoted_if_anything_was() -> None:
    more = release({"raw_orders": (), "stg_orders": ("raw_orders",), "new": ()}, code={"stg_orders": "select 2"})
    state = record(PRODUCTION, more, dbt_run(more, NOON + DAY, name="theirs"), BY_NOBODY).state
    new, stg = model_id("new"), model_id("stg_orders")
    assert [(one.model, one.name, one.promoted, one.by) for one in drifted(state)] == [
        (new, "new", None, "theirs"),
        (stg, "stg_orders", SHOP.models[stg].version, "theirs"),
    ]
    assert {one.version for one in drifted(state, [new])} == {more.models[new].version}
    assert drifted(PRODUCTION) == ()


def test_a_model_whose_first_build_failed_is_told_for_a_month() -> None:
    failed = recorded(SHOP, dbt_run(SHOP, NOON, {ORDERS: ResultStatus.FAILED, REVENUE: ResultStatus.SKIPPED}))
    found = {one.model: one for one in statuses(failed, after(None), (), NOON + DAY)}
    assert (found[ORDERS].origin, found[ORDERS].since, found[ORDERS].pending) == ("failed", NOON, False)
    assert (found[ORDERS].tested, found[ORDERS].tests.code, found[ORDERS].validated) == (False, "revoked", False)
    assert REVENUE not in found
    assert ORDERS not in {one.model for one in statuses(failed, after(None), (), NOON + FAILURES_TOLD + DAY)}
    built = recorded(SHOP, dbt_run(SHOP, NOON + DAY), state=failed)
    assert status(built).origin == "run"
