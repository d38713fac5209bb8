"""What was published is verified where it is, and taken back where it does not hold and somebody asked for that."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.orders import BuildRequest
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest, RollbackRequest
from airflow_dbt_promotion.engine.request import Verification
from airflow_dbt_promotion.failpoints import Failpoint, arm
from airflow_dbt_promotion.render import documents, markdown, text
from tests.kept_shop import KeptShop, with_text
from tests.scenarios import DAY, defined, model_id, path, test_id

ORDERS, REVENUE = map(model_id, ("orders", "revenue"))
ASKED = PromotionRequest(target="production", actor="ann")


def shop_with(**policy: object) -> KeptShop:
    """Return a shop with one edition in production, and another one that has soaked."""
    shop = KeptShop(defined(), path(**policy))
    shop.workshop.swaps = True
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.engine.promote(replace(ASKED, verify=False, rollback_on_failure=False)).verification is None
    edition(shop, 2)
    return shop


def edition(shop: KeptShop, number: int) -> None:
    shop.edit(with_text(shop.definition, "orders", f"select {number} as id"))
    shop.run("staging")
    shop.clock.pass_by(DAY)


def fails_in_place(shop: KeptShop) -> None:
    """Let a test fail once its model is where readers see it."""

    build = shop.workshop.build

    def building(request: BuildRequest, on_progress: object) -> object:
        shop.workshop.failing = () if request.arrangement is not None else {test_id("revenue")}
        return build(request, on_progress)  # type: ignore[arg-type]

    shop.workshop.build = building  # type: ignore[assignment, method-assign]


def test_without_asking_nothing_is_verified() -> None:
    shop = shop_with()
    told = shop.engine.promote(ASKED)
    assert (told.outcome, told.verification, len(shop.workshop.orders)) == (PromotionOutcome.PROMOTED, None, 2)


@pytest.mark.parametrize("by_policy", [True, False])
def test_the_tests_of_what_was_published_are_run_in_place(by_policy: bool) -> None:
    shop = shop_with(verify=by_policy)
    told = shop.engine.promote(ASKED if by_policy else replace(ASKED, verify=True))
    assert (told.outcome, told.verification) == (PromotionOutcome.PROMOTED, Verification(passed=True))
    order = shop.workshop.orders[-1]
    assert (order.models, order.arrangement) == ((), None)
    assert {test.id for test in order.tests} == {test_id("orders"), test_id("revenue")}
    assert shop.state().lock is None


def test_what_fails_in_place_is_a_failure_that_stays_and_revokes() -> None:
    shop = shop_with(verify=True)
    fails_in_place(shop)
    told = shop.engine.promote(ASKED)
    assert told.outcome is PromotionOutcome.FAILED
    assert told.verification is not None
    assert told.verification.rolled_back_to is None
    assert "tests failed in place: not_null_revenue_id" in told.message
    assert "it stays: rollback_on_failure is off" in told.message
    assert shop.state().evidence[REVENUE][0].failed_at is not None
    assert shop.versions() == shop.versions(shop.engine.path.get("staging").name)


@pytest.mark.parametrize("by_policy", [True, False])
def test_what_fails_in_place_is_taken_back_where_that_is_asked_for(by_policy: bool) -> None:
    shop = shop_with(rollback_on_failure=by_policy)
    before = shop.versions()
    fails_in_place(shop)
    told = shop.engine.promote(ASKED if by_policy else replace(ASKED, rollback_on_failure=True))
    assert told.outcome is PromotionOutcome.FAILED
    assert told.verification is not None
    assert told.verification.rolled_back_to is not None
    assert f"taken back to checkpoint {told.verification.rolled_back_to}" in told.message
    state = shop.state()
    assert shop.versions() == before
    assert state.hold is not None
    assert "did not hold" in state.hold.reason
    assert set(state.blocks) == {ORDERS, REVENUE}
    assert [record.rollback_to is not None for record in state.history if record.rollback_to] == [True]


@pytest.mark.parametrize(
    ("answer", "words"),
    [(True, ()), (None, ()), (1, ()), (False, ("the verification said no",)), ("too few rows", ("too few rows",))],
)
def test_a_function_says_whether_it_holds(answer: object, words: tuple[str, ...]) -> None:
    shop, seen = shop_with(), list[Promotion]()

    def look(promotion: Promotion) -> object:
        seen.append(promotion)
        return answer

    told = shop.engine.promote(replace(ASKED, verify=look))
    assert told.verification == Verification(passed=not words, words=words)
    assert (told.outcome is PromotionOutcome.PROMOTED) is not bool(words)
    assert [one.outcome for one in seen] == [PromotionOutcome.PROMOTED]


def test_a_function_that_breaks_says_no_in_its_own_words() -> None:
    shop = shop_with(rollback_on_failure=True)
    before = shop.versions()

    def look(_: Promotion) -> None:
        raise LookupError("no dashboard")

    told = shop.engine.promote(replace(ASKED, verify=look))
    assert told.verification is not None
    assert told.verification.words == ("LookupError: no dashboard",)
    assert shop.versions() == before


def test_what_has_no_way_back_stays_and_the_reason_is_told() -> None:
    shop = shop_with(keep_checkpoints=0)
    told = shop.engine.promote(replace(ASKED, verify=lambda _: False, rollback_on_failure=True))
    assert "could not be taken back: no checkpoint" in told.message
    shop = KeptShop(defined(), path(rollback_on_failure=True))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    told = shop.engine.promote(replace(ASKED, verify=lambda _: False))
    assert told.outcome is PromotionOutcome.FAILED
    assert "could not be taken back" in told.message


def test_a_way_back_that_breaks_is_told() -> None:
    shop = shop_with()
    shop.workshop.meanwhile = lambda: bool(setattr(shop.workshop, "swap_breaks", None))

    def look(_: Promotion) -> bool:
        shop.workshop.swap_breaks = DbtError("the warehouse is gone")
        shop.workshop.meanwhile = bool
        return False

    told = shop.engine.promote(replace(ASKED, verify=look, rollback_on_failure=True))
    assert told.outcome is PromotionOutcome.FAILED
    assert "could not be taken back: the warehouse is gone" in told.message


def test_what_was_not_published_is_not_verified() -> None:
    shop, seen = shop_with(), list[Promotion]()
    asked = replace(ASKED, verify=seen.append)
    assert shop.engine.promote(replace(asked, dry_run=True)).verification is None
    shop.workshop.failing = {test_id("orders")}
    assert shop.engine.promote(asked).outcome is PromotionOutcome.FAILED
    assert seen == []


def test_a_retry_verifies_what_an_earlier_attempt_has_promoted_unless_something_came_since() -> None:
    shop, seen = shop_with(), list[Promotion]()
    asked = replace(ASKED, run="task 1", verify=seen.append)
    shop.engine.promote(asked)
    shop.engine.promote(asked)
    assert len(seen) == 2
    shop.engine.roll_back(RollbackRequest(environment="production", reason="bad", rebuild=False))
    shop.engine.promote(asked)
    assert len(seen) == 2


@pytest.mark.parametrize("point", [Failpoint.BEGUN, Failpoint.TESTED, Failpoint.PUBLISHED, Failpoint.COMMITTED])
def test_a_way_back_that_died_is_gone_on_with_by_the_retry_and_the_promotion_has_failed(point: Failpoint) -> None:
    shop = shop_with(rollback_on_failure=True)
    before, asked = shop.versions(), replace(ASKED, run="task 1")
    answers = iter([False])

    def look(_: Promotion) -> bool:
        arm(dying)
        return next(answers)

    def dying(reached: Failpoint) -> None:
        if reached is point:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.engine.promote(replace(asked, verify=look))
    arm(None)
    told = shop.engine.promote(replace(asked, verify=lambda _: pytest.fail("that was said already")))
    assert told.outcome is PromotionOutcome.FAILED
    assert told.verification is not None
    assert told.verification.words == ("the verification said no",)
    assert told.verification.rolled_back_to is not None
    state = shop.state()
    assert (shop.versions(), state.journal, state.unfinalized) == (before, None, None)
    assert len([one for one in state.history if one.rollback_to is not None]) == 1
    assert state.hold is not None
    again = shop.engine.promote(asked)
    assert (again.outcome, again.verification) == (PromotionOutcome.FAILED, told.verification)
    assert shop.state() == state


@pytest.mark.parametrize("goes_back", [True, False])
def test_what_cannot_be_put_together_is_not_verified_and_stays(goes_back: bool) -> None:
    shop = shop_with(verify=True, rollback_on_failure=goes_back)
    promote = shop.engine.promote(replace(ASKED, run="task 1", verify=False, rollback_on_failure=False))
    orders, state = len(shop.workshop.orders), shop.state()
    current = {**state.current, REVENUE: replace(state.current[REVENUE], release=None)}
    shop.store.write(replace(state, current=current), state.serial)
    told = shop.engine.promote(replace(ASKED, run="task 1"))
    assert (promote.outcome, told.outcome) == (PromotionOutcome.PROMOTED, PromotionOutcome.PROMOTED)
    assert told.verification is not None
    assert (told.verification.passed, told.verification.rolled_back_to) == (False, None)
    assert "not verified: " in told.verification.words[0]
    assert "sources of these models were not kept" in told.verification.words[0]
    assert (len(shop.workshop.orders), shop.state().current, shop.state().lock) == (orders, current, None)
    for shown in (text.promotion(told), markdown.promotion(told)):
        assert "Verified where" not in shown
        assert "Not verified: " in shown


def test_models_without_tests_hold() -> None:
    shop = shop_with(verify=True)
    without = {id_: node for id_, node in shop.definition.nodes.items() if node.resource_type != "test"}
    shop.edit(replace(shop.definition, nodes=without))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    orders = len(shop.workshop.orders)
    told = shop.engine.promote(ASKED)
    assert told.verification == Verification(passed=True)
    assert len(shop.workshop.orders) == orders + 1


def test_the_answer_says_so_wherever_it_is_shown() -> None:
    shop = shop_with(verify=True)
    told = shop.engine.promote(ASKED)
    assert "Verified where readers see it." in text.promotion(told)
    assert "Verified where readers see it." in markdown.promotion(told)
    assert documents.promotion_document(told)["verification"] == {"passed": True, "words": [], "rolled_back_to": None}
    edition(shop, 3)
    told = shop.engine.promote(replace(ASKED, verify=lambda _: "too few rows", rollback_on_failure=True))
    assert "too few rows" in text.promotion(told)
    assert "taken back to checkpoint" in " ".join(markdown.promotion(told).split())
