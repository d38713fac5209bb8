"""Random promotions of random edits: production is what was promoted, or the plan was blocked for a true reason."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core.code_gate import Code, composed, served_after
from airflow_dbt_promotion.core.definition import DeclaredVar, Definition
from airflow_dbt_promotion.core.eligibility import Verdict
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import bare_name
from airflow_dbt_promotion.core.reliance import Reliances
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, PromotionRequest
from tests.core.definitions import definition, generic_test, macro, node
from tests.kept_shop import PRODUCTION, STAGING, KeptShop, with_macro, with_text, without
from tests.scenarios import DAY, empty_state

NAMES = "abcdefgh"
PARENTS = {"a": "", "b": "a", "c": "ab", "d": "", "e": "d", "f": "ce", "g": "f", "h": ""}
WIDER = {"needs_upstream", "needs_downstream", "parent_moved_on"}
TEXTS = ["select 1", "select {{ cents() }}", "select {{ var('days') }}", "select {{ fees() }}", "{{ context[x] }}"]


def shop_definition() -> Definition:
    """Return eight models, e ephemeral, with two macros (one calls the other) and a var."""
    nodes = [
        node(
            name,
            *(f"model.shop.{parent}" for parent in PARENTS[name]),
            materialized="ephemeral" if name == "e" else "table",
            raw_code=TEXTS[index % 4],
            relation_name=None if name == "e" else f'"prod"."{name}"',
        )
        for index, name in enumerate(NAMES)
    ]
    tests = [generic_test(f"not_null_{name}", "not_null", f"model.shop.{name}") for name in NAMES if name != "e"]
    tests.append(generic_test("agree_b_d", "agree", "model.shop.b", "model.shop.d"))
    macros = [macro("cents", "100"), macro("fees", "{{ cents() }} + 1"), macro("test_agree", "select 1")]
    return definition([*nodes, *tests], macros=macros, declared={"days": "7"})


@st.composite
def edits(draw: st.DrawFn, known: Definition) -> Definition:
    """Return the project after one edit."""
    kind = draw(st.sampled_from(["text", "macro", "macro", "var", "remove", "add", "drop_macro", "hook"]))
    name = draw(st.sampled_from(NAMES))
    serial = draw(st.integers(0, 3))
    id_ = f"model.shop.{name}"
    match kind:
        case "text" if id_ in known.nodes:
            return with_text(known, name, f"{draw(st.sampled_from(TEXTS))} -- {serial}")
        case "macro":
            chosen = draw(st.sampled_from(["cents", "fees", "test_agree"]))
            held = known.macros.get(f"macro.shop.{chosen}", macro(chosen))
            again = replace(known, macros={**known.macros, held.unique_id: held})
            return with_macro(again, chosen, f"{held.macro_sql.split('--')[0]}-- {serial}")
        case "drop_macro":
            return with_macro(known, "fees", None)
        case "var":
            return replace(known, vars=(DeclaredVar(declared_in="shop", scope="", name="days", value=serial),))
        case "remove" if name in "gh":
            return without(known, id_)
        case "add" if id_ not in known.nodes:
            whole = shop_definition()
            back = {k: v for k, v in whole.nodes.items() if k == id_ or id_ in v.depends_on.nodes}
            return replace(known, nodes={**known.nodes, **back})
        case "hook":
            hook = node("open", kind="operation", materialized="view", raw_code=f"{{{{ log({serial}) }}}}")
            return replace(known, nodes={**known.nodes, hook.unique_id: hook})
        case _:
            return known


def check_production(shop: KeptShop) -> None:
    """Insist that what production runs makes exactly the versions that production holds."""
    if shop.store.read(PRODUCTION) is None or not shop.state().current:
        return
    composition = shop.served()
    assert composition.unserved == {}
    made = release_of(composition.definition)
    state = shop.state()
    if all(entry.stale_since is None for entry in state.current.values()):
        assert {model: found.version for model, found in made.models.items()} == shop.versions()
    assert {model: found.code for model, found in made.models.items()} == {
        model: entry.code for model, entry in state.current.items()
    }


def check_reasons(shop: KeptShop, found: Promotion) -> None:
    """Insist that a plan which only what models share has blocked could really not be put together.

    Where a change lacks other company too, the conflict may be that company's. What stands on a moved parent is
    verified by its own code alone, so an ephemeral parent of it that would lose its macro shows in its version only.
    """
    shut = {v.code: v.reason for change in found.plan.changes for v in change.verdicts if not v.passed}
    alone = shut.keys() & {"macro_conflict", "project_conflict"} and not shut.keys() & WIDER
    if found.outcome is not PromotionOutcome.REFUSED or not alone or "hooks" in str(shut):
        return
    definitions = shop.workshop.kept
    code = Code(definitions=definitions, releases={}, reliances=Reliances(definitions))
    going = tuple(change for change in found.plan.changes if change.after is not None)
    target = shop.store.read(PRODUCTION) or empty_state("production")
    answer = composed(PRODUCTION, target, going, code)
    if isinstance(answer, Verdict):
        return
    made = answer.release.models
    assert any(made[model].version != entry.version for model, entry in served_after(target, going).items()), shut


def stage(shop: KeptShop, data: st.DataObject) -> None:
    """Build staging in one of the ways in which that can go, and let some time pass."""
    how = data.draw(st.sampled_from(["whole", "whole", "failing", "some"]))
    if how == "failing":
        shop.run("staging", failing=[f"test.shop.not_null_{data.draw(st.sampled_from('abcdfgh'))}"])
    elif how == "some":
        left = data.draw(st.sets(st.sampled_from("fgh"), min_size=1))
        shop.run("staging", without={f"model.shop.{name}" for name in left | ({"g"} if "f" in left else set())})
    else:
        shop.run("staging")
    shop.clock.pass_by(data.draw(st.sampled_from([DAY, DAY, timedelta(hours=1)])))


def asked(shop: KeptShop, data: st.DataObject) -> PromotionRequest:
    """Return a promotion of some models, or of all that may go."""
    known = {bare_name(model) for model in (*shop.versions(STAGING), *shop.versions())}
    names = data.draw(st.sets(st.sampled_from(sorted(known)), max_size=3))
    wide, loose = data.draw(st.booleans()), data.draw(st.booleans())
    return PromotionRequest(
        target="production",
        models=tuple(sorted(names)) or None,
        include_upstream=wide,
        include_downstream=wide,
        include_macro_users=wide,
        allow_removals=loose,
        allow_stale_downstream=loose,
    )


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.data())
def test_random_promotions_of_random_edits(data: st.DataObject) -> None:
    shop = KeptShop(shop_definition())
    shop.run("staging")
    shop.clock.pass_by(DAY)
    shop.engine.promote(PromotionRequest(target="production"))
    for _ in range(data.draw(st.integers(2, 6))):
        for _ in range(data.draw(st.integers(0, 3))):
            shop.edit(data.draw(edits(shop.definition)))
        stage(shop, data)
        found = shop.engine.promote(asked(shop, data))
        assert found.outcome is not PromotionOutcome.ERRORED
        assert "plan_moved" not in {verdict.code for verdict in found.plan.verdicts}
        check_reasons(shop, found)
        check_production(shop)
