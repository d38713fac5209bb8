"""Released code: what soaked is what goes, and what production runs is what was promoted."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Candidate
from airflow_dbt_promotion.core.errors import EmptySelectionError, ReleaseError, SourcesError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import Digest, ModelId
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest
from tests.core.definitions import definition, generic_test, macro, node
from tests.kept_shop import PRODUCTION, STAGING, KeptShop, with_macro, with_text, without
from tests.scenarios import DAY, path

A, B, C, D = (ModelId(f"model.shop.{name}") for name in "abcd")


def shop_definition() -> Definition:
    """Return a -> b -> c, and d by itself; b and d call the macro cents."""
    return definition(
        [
            node("a"),
            node("b", A, raw_code="select {{ cents() }}"),
            node("c", B),
            node("d", raw_code="select {{ cents() }} as d"),
            *(generic_test(f"not_null_{name}", "not_null", f"model.shop.{name}") for name in "abcd"),
            node("open", kind="operation", materialized="view", raw_code="{{ log('hello') }}"),
        ],
        macros=[macro("cents", "100"), macro("unused", "1")],
        declared={"days": 7},
    )


def built(shop: KeptShop, edited: Definition | None = None) -> None:
    """Build what is at hand (edited first) in staging, and let a day pass."""
    if edited is not None:
        shop.edit(edited)
    shop.run("staging")
    shop.clock.pass_by(DAY)


def promoted() -> KeptShop:
    """Return a shop whose production holds the first release."""
    shop = KeptShop(shop_definition())
    built(shop)
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    return shop


def promote(shop: KeptShop, *models: str, **asked: object) -> Promotion:
    asked = {"models": models, **asked} if models else asked
    return shop.engine.promote(PromotionRequest(target="production", actor="ann", **asked))  # type: ignore[arg-type]


def codes(found: Promotion, model: ModelId | None = None) -> set[str]:
    changes = [*found.plan.changes, *found.plan.held]
    own = {v.code for c in changes if model in {None, c.model} for v in c.verdicts if not v.passed}
    return own if model is not None else own | {v.code for v in found.plan.verdicts if not v.passed}


def test_the_sources_of_what_is_promoted_are_kept_and_named() -> None:
    shop = promoted()
    assert len(shop.workshop.kept) == 1
    (release,) = shop.workshop.kept
    assert {entry.release for entry in shop.state().current.values()} == {release}
    assert shop.state(STAGING).release == release


def test_what_soaked_is_what_goes_however_far_the_checkout_has_moved() -> None:
    shop = KeptShop(shop_definition())
    built(shop)
    shop.edit(without(with_text(shop.definition, "a", "select 'moved'"), C))
    found = promote(shop)
    assert found.outcome is PromotionOutcome.PROMOTED
    assert shop.versions() == shop.versions(STAGING)
    (order,) = shop.workshop.orders
    assert order.composition is not None
    assert order.composition.definition.nodes[A].raw_code == "select 'a'"


def test_a_newer_version_in_staging_does_not_starve_what_soaked() -> None:
    shop = KeptShop(shop_definition())
    built(shop)
    soaked = shop.versions(STAGING)
    shop.edit(with_text(shop.definition, "b", "select 'newer'"))
    shop.run("staging")
    found = promote(shop, "b", include_upstream=True)
    assert found.outcome is PromotionOutcome.PROMOTED
    assert shop.versions()[B] == soaked[B] != shop.versions(STAGING)[B]
    told = [verdict for change in found.plan.changes if change.model == B for verdict in change.verdicts]
    assert "newest_soaked" in {verdict.code for verdict in told}


def test_the_policy_can_ask_for_what_is_held_now() -> None:
    shop = KeptShop(shop_definition(), path(candidate=Candidate.CURRENT))
    built(shop)
    shop.edit(with_text(shop.definition, "b", "select 'newer'"))
    shop.run("staging")
    assert codes(promote(shop, "b")) == {"soaking", "needs_upstream"}


def test_a_revoked_version_does_not_go_though_it_is_kept() -> None:
    shop = KeptShop(shop_definition())
    built(shop)
    shop.run("staging", failing=["test.shop.not_null_b"])
    shop.edit(with_text(shop.definition, "b", "select 'newer'"))
    shop.run("staging")
    shop.clock.pass_by(DAY / 2)
    assert "soaking" in codes(promote(shop, "b", include_upstream=True), B)


def test_production_never_goes_back_to_what_soaked_before() -> None:
    shop = promoted()
    built(shop, with_text(shop.definition, "d", "select 'second'"))
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    shop.edit(with_text(shop.definition, "d", "select 'third'"))
    shop.run("staging")
    assert promote(shop).outcome is PromotionOutcome.NOTHING_TO_DO


def test_where_the_newest_cannot_stand_together_the_last_that_could_goes() -> None:
    shop = promoted()
    built(shop, with_text(shop.definition, "b", "select 'second'"))
    second = shop.versions(STAGING)
    shop.edit(with_text(shop.definition, "b", "select 'third'"))
    shop.run("staging", without=[C, "test.shop.not_null_c"])
    shop.clock.pass_by(DAY)
    found = promote(shop)
    assert found.outcome is PromotionOutcome.PROMOTED
    assert (shop.versions()[B], shop.versions()[C]) == (second[B], second[C])
    assert shop.versions(STAGING)[B] != second[B]


def test_a_macro_that_others_still_use_as_it_was_is_a_conflict_that_names_them() -> None:
    shop = promoted()
    built(shop, with_macro(shop.definition, "cents", "1000"))
    refused = promote(shop, "d")
    assert (refused.outcome, codes(refused, D)) == (PromotionOutcome.REFUSED, {"macro_conflict", "needs_downstream"})
    (reason,) = [v.reason for c in refused.plan.changes for v in c.verdicts if v.code == "macro_conflict"]
    assert "the macro cents" in reason
    assert "b, c in the target" in reason or "b in the target" in reason
    found = promote(shop, "d", include_macro_users=True, include_downstream=True)
    assert found.outcome is PromotionOutcome.PROMOTED
    assert {change.model for change in found.plan.changes} == {B, C, D}
    assert shop.served().definition.macros["macro.shop.cents"].macro_sql == "1000"


def test_all_that_may_go_leaves_out_what_a_macro_holds_back() -> None:
    shop = promoted()
    edited = with_text(with_macro(shop.definition, "cents", "1000"), "a", "select 'a2'")
    shop.edit(edited)
    shop.run("staging", failing=["test.shop.not_null_b"])
    shop.clock.pass_by(DAY)
    found = promote(shop)
    assert found.outcome is PromotionOutcome.NOTHING_TO_DO
    assert "macro_conflict" in codes(found, D)
    assert "it cannot go without b: test test.shop.not_null_b failed" in str(found.plan.held)


def test_a_macro_that_nobody_else_uses_goes_along() -> None:
    shop = promoted()
    edited = with_text(with_macro(shop.definition, "unused", "2"), "d", "select {{ unused() }}")
    built(shop, edited)
    assert promote(shop, "d").outcome is PromotionOutcome.PROMOTED
    served = shop.served()
    assert served.definition.macros["macro.shop.unused"].macro_sql == "2"
    assert {m: e.version for m, e in shop.state().current.items()} == dict(shop.versions())


def test_hooks_that_differ_are_a_conflict_of_the_project() -> None:
    shop = promoted()
    hooked = replace(
        shop.definition,
        nodes={
            **shop.definition.nodes,
            "operation.shop.open": replace(shop.definition.nodes["operation.shop.open"], raw_code="drop"),
        },
    )
    shop.edit(with_text(with_text(hooked, "d", "select 'd2'"), "a", "select 'a2'"))
    shop.run("staging", failing=["test.shop.not_null_a"])
    shop.clock.pass_by(DAY)
    refused = promote(shop, "d")
    assert codes(refused, D) == {"project_conflict"}


def test_what_stands_unchanged_is_taken_from_the_release_that_comes() -> None:
    shop = promoted()
    built(shop, with_text(shop.definition, "d", "select 'second'"))
    assert promote(shop, "d").outcome is PromotionOutcome.PROMOTED
    assert {entry.release for entry in shop.state().current.values()} == {shop.state(STAGING).release}


def test_what_was_not_kept_says_so_and_what_was_goes() -> None:
    shop = promoted()
    edited = with_text(shop.definition, "d", "select 'second'")
    shop.change(release_of(edited))
    shop.run("staging")
    shop.clock.pass_by(DAY)
    assert shop.state(STAGING).current[D].release is None
    assert codes(promote(shop, "d"), D) == {"code_not_kept"}


def test_a_lost_release_is_told_and_nothing_is_built() -> None:
    shop = promoted()
    built(shop, with_text(shop.definition, "d", "select 'second'"))
    lost = shop.state(STAGING).release
    assert lost is not None
    del shop.workshop.kept[lost]
    before = shop.state()
    assert codes(promote(shop, "d"), D) == {"code_lost"}
    assert (len(shop.workshop.orders), shop.state()) == (1, before)
    with pytest.raises(ReleaseError, match="is not kept"):
        promote(shop, select="d")


def test_a_standing_model_whose_sources_are_lost_does_not_hold_up_others() -> None:
    shop = promoted()
    first = shop.state().release or next(iter(shop.workshop.kept))
    edited = with_text(with_text(shop.definition, "d", "select 'second'"), "a", "select 'a2'")
    shop.edit(edited)
    shop.run("staging", failing=["test.shop.not_null_a"])
    shop.clock.pass_by(DAY)
    del shop.workshop.kept[first]
    assert promote(shop, "d").outcome is PromotionOutcome.PROMOTED
    assert shop.state().current[A].release == first


def test_a_model_that_the_target_does_not_have_says_so() -> None:
    shop = promoted()
    built(shop, with_text(shop.definition, "d", "select 'second'"))
    release = shop.state(STAGING).release
    assert release is not None
    shop.workshop.kept[release] = without(shop.workshop.kept[release], D)
    assert codes(promote(shop, "d"), D) == {"not_in_target"}


def test_a_version_that_does_not_come_out_for_the_target_says_so() -> None:
    shop = promoted()
    built(shop, with_text(shop.definition, "d", "select 'second'"))
    release = shop.state(STAGING).release
    assert release is not None
    shop.workshop.kept[release] = with_text(shop.workshop.kept[release], "d", "select 'for another target'")
    assert codes(promote(shop, "d"), D) == {"versions_moved"}


def test_a_dry_run_keeps_and_parses_nothing_for_good() -> None:
    shop = KeptShop(shop_definition())
    built(shop)
    shop.workshop.loaded.clear()
    assert promote(shop, dry_run=True).outcome is PromotionOutcome.PLANNED
    assert {dry for _, _, dry in shop.workshop.loaded} == {True}
    assert shop.store.read(PRODUCTION) is None


def test_the_checkout_is_parsed_only_where_nothing_was_kept() -> None:
    shop = KeptShop(shop_definition())
    built(shop)
    shop.workshop.parses.clear()
    promote(shop)
    assert shop.workshop.parses == []


def test_out_of_where_people_work_the_checkout_goes_and_is_kept() -> None:
    shop = KeptShop(shop_definition())
    found = shop.engine.promote(PromotionRequest(target="staging", actor="ann"))
    assert found.outcome is PromotionOutcome.PROMOTED
    (release,) = shop.workshop.kept
    assert {entry.release for entry in shop.state(STAGING).current.values()} == {release}


def test_a_checkout_that_changes_meanwhile_is_not_promoted() -> None:
    shop = KeptShop(shop_definition())
    planned = shop.workshop.at_hand

    def moving(*args: object, **kwargs: object) -> object:
        found = planned(*args, **kwargs)  # type: ignore[arg-type]
        shop.workshop.definition = with_text(shop.definition, "a", f"select {len(shop.workshop.parses)}")
        return found

    shop.workshop.at_hand = moving  # type: ignore[assignment, method-assign]
    with pytest.raises(SourcesError):
        shop.engine.promote(PromotionRequest(target="staging", actor="ann"))
    assert shop.workshop.kept == {}


def test_a_selector_is_asked_of_the_newest_release_of_the_source() -> None:
    shop = KeptShop(shop_definition())
    built(shop)
    shop.workshop.selected = (A,)
    assert {change.model for change in promote(shop, select="tag:nightly").plan.changes} == {A}
    shop.workshop.selected = ()
    with pytest.raises(EmptySelectionError):
        promote(shop, select="tag:nothing")


def test_what_the_source_let_go_of_is_removed_and_the_last_model_too() -> None:
    shop = KeptShop(definition([node("a"), node("d")]))
    built(shop)
    promote(shop)
    built(shop, without(shop.definition, D))
    assert codes(promote(shop, "d")) == {"removal"}
    assert promote(shop, "d", allow_removals=True).outcome is PromotionOutcome.PROMOTED
    assert set(shop.versions()) == {A}
    assert set(shop.served().definition.nodes) == {A}
    shop.edit(definition([node("d")]))
    shop.run("staging")
    assert promote(shop, "a", allow_removals=True).outcome is PromotionOutcome.PROMOTED
    assert shop.versions() == {}


def test_all_go_from_the_older_release_where_one_of_them_cannot_go_from_the_newer() -> None:
    shop = KeptShop(shop_definition())
    built(shop)
    first = shop.versions(STAGING)
    shop.edit(with_macro(shop.definition, "cents", "1000"))
    shop.run("staging", failing=["test.shop.not_null_d"])
    shop.clock.pass_by(DAY)
    assert promote(shop).outcome is PromotionOutcome.PROMOTED
    assert shop.versions() == first


def test_models_of_two_releases_that_differ_in_a_macro_do_not_go_at_once() -> None:
    shop = KeptShop(shop_definition())
    built(shop)
    assert promote(shop, "a", "b", "c").outcome is PromotionOutcome.PROMOTED
    shop.edit(with_macro(shop.definition, "cents", "1000"))
    shop.run("staging", failing=["test.shop.not_null_d"])
    shop.clock.pass_by(DAY)
    found = promote(shop, "b", "c", "d")
    assert codes(found, D) >= {"macro_conflict"}
    assert "differs between the release that it comes from and that of" in str(found.plan.changes)


def test_a_place_that_two_models_write_is_told_and_nothing_is_built() -> None:
    shop = promoted()
    same = replace(shop.definition.nodes[A], unique_id="model.shop.again", name="again")
    built(shop, replace(shop.definition, nodes={**shop.definition.nodes, "model.shop.again": same}))
    assert codes(promote(shop, "again")) == {"not_reproducible"}
    assert len(shop.workshop.orders) == 1


def test_a_child_whose_standing_parent_was_not_kept_says_so() -> None:
    shop = promoted()
    state = shop.state()
    unkept = {model: replace(entry, release=None) for model, entry in state.current.items()}
    shop.store.write(replace(state, current=unkept), state.serial)
    edited = with_text(with_text(shop.definition, "c", "select 'c2'"), "a", "select 'a2'")
    shop.edit(edited)
    shop.run("staging", failing=["test.shop.not_null_a"])
    shop.clock.pass_by(DAY)
    found = promote(shop, "d", force=True)
    assert found.outcome is PromotionOutcome.PROMOTED


def test_who_used_the_macro_as_it_was_and_is_gone_by_now_comes_along_as_a_removal() -> None:
    shop = promoted()
    built(shop, without(with_macro(shop.definition, "cents", "1000"), D))
    refused = promote(shop, "b", include_downstream=True)
    assert "macro_conflict" in codes(refused, B)
    wide = {"include_downstream": True, "include_macro_users": True}
    assert "removal" in codes(promote(shop, "b", **wide), D)
    assert promote(shop, "b", allow_removals=True, **wide).outcome is PromotionOutcome.PROMOTED
    assert set(shop.versions()) == {A, B, C}
    assert shop.served().definition.macros["macro.shop.cents"].macro_sql == "1000"


def test_a_model_whose_parent_in_the_target_has_lost_its_sources_cannot_go() -> None:
    shop = promoted()
    built(shop, with_text(shop.definition, "c", "select 'c2'"))
    state = shop.state()
    lost = {model: replace(state.current[model], release=None, meta=Digest("x")) for model in (A, B)}
    shop.store.write(replace(state, current={**state.current, **lost}), state.serial)
    refused = promote(shop, "c")
    assert codes(refused) == {"code_not_kept"}
    assert "c cannot be put together: it reads model.shop.b" in refused.message


def test_a_macro_that_was_only_tried_for_a_while_cannot_come_by_a_version_of_that_time() -> None:
    shop = promoted()
    first = shop.definition
    built(shop, with_macro(first, "cents", "1000"))
    shop.edit(with_text(first, "d", "select {{ cents() }} as newer"))
    shop.run("staging")
    refused = promote(shop, "d")
    assert "macro_conflict" in codes(refused, D)
    assert "b has no version that may go and agrees" in str(refused.plan.changes)
