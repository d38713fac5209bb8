"""A release that takes over what it has in common with an earlier one is the release that is made without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import AsWritten, Definition, Lineage, Origin
from airflow_dbt_promotion.core.errors import MissingParentError
from airflow_dbt_promotion.core.fingerprint import fingerprinted, release_of
from airflow_dbt_promotion.core.identity import ModelId, TestId
from tests.core.definitions import (
    Drawn,
    definition,
    from_manifest_alone,
    generic_test,
    macro,
    node,
    projects,
    touched,
    unit_test,
    with_node,
    with_written,
)

A, B, C = (ModelId(f"model.shop.{name}") for name in "abc")
UNIQUE = TestId("test.shop.unique_a")


def shop(**more: Any) -> Definition:
    """Return models a <- b <- c, with a test of a."""
    nodes = [
        node("a"),
        node("b", A, raw_code="select {{ paid() }} {{ var('region') }}"),
        node("c", B),
        generic_test("unique_a", "unique", A, kwargs={"column_name": "id"}),
    ]
    shared = AsWritten(config={"tags": ["x"]})
    written = {A: AsWritten(config={"enabled": True}), B: shared, C: shared}
    fields = {"macros": [macro("paid")], "units": [unit_test("u", C)], "declared": {"region": 1}, "written": written}
    return definition(nodes, **{**fields, **more})


def same(before: Definition, after: Definition) -> None:
    """Check that an earlier fingerprint changes nothing."""
    found, plain = fingerprinted(after, fingerprinted(before)), fingerprinted(after)
    assert (found.release, found.codes, found.versions) == (plain.release, plain.codes, plain.versions)


def without(known: Definition, id_: str) -> Definition:
    """Return a definition without a node that nothing else depends on, and without the tests of it."""
    used = {one.unique_id for one in known.nodes.values() if id_ in one.depends_on.nodes}
    kept = {one: found for one, found in known.nodes.items() if one != id_ and one not in used}
    units = {one: unit for one, unit in known.unit_tests.items() if id_ not in unit.depends_on.nodes}
    return replace(known, nodes=kept, unit_tests=units)


def edits() -> dict[str, Callable[[Definition, str], Definition]]:
    """Return the kinds of edit that are drawn; each takes a definition and the node that it is made to."""
    return {
        "code": touched,
        "config": lambda known, id_: with_written(known, id_, enabled=False),
        "description": lambda known, id_: with_node(known, id_, description="other"),
        "relation": lambda known, id_: with_node(known, id_, relation_name="elsewhere"),
        "no parents": lambda known, id_: with_node(known, id_, depends_on=Lineage()),
        "ephemeral": lambda known, id_: with_node(
            known, id_, config=replace(known.nodes[id_].config, materialized="ephemeral")
        ),
        "table": lambda known, id_: with_node(
            known, id_, config=replace(known.nodes[id_].config, materialized="table")
        ),
        "new model": lambda known, id_: replace(known, nodes={**known.nodes, "model.shop.new": node("new", id_)}),
        "new test": lambda known, id_: replace(
            known, nodes={**known.nodes, "test.shop.new": generic_test("new", "unique", id_)}
        ),
        "no unit tests": lambda known, _: replace(known, unit_tests={}),
        "macro": lambda known, _: replace(known, macros={**known.macros, "macro.shop.mac0": macro("mac0", "other")}),
        "vars": lambda known, _: replace(known, vars=known.vars[1:]),
        "nothing": lambda known, _: known,
    }


@given(drawn=projects(), data=st.data())
def test_with_an_earlier_release_and_without_it_is_the_same(drawn: Drawn, data: st.DataObject) -> None:
    after, known = drawn.definition, edits()
    for kind in data.draw(st.lists(st.sampled_from(sorted(known)), max_size=3)):
        after = known[kind](after, data.draw(st.sampled_from(drawn.built())))
    same(drawn.definition, after)
    same(after, drawn.definition)


def test_what_did_not_change_is_taken_over_as_it_is() -> None:
    before = fingerprinted(shop())
    after = fingerprinted(touched(shop(), B), before)
    assert after.release.models[A] is before.release.models[A]
    assert after.release.tests[UNIQUE] is before.release.tests[UNIQUE]
    assert after.release.models[C].code == before.release.models[C].code
    assert after.release.models[C].version != before.release.models[C].version


def test_a_test_that_changed_changes_the_models_that_need_it() -> None:
    edited = with_node(shop(), UNIQUE, unrendered_config=Raw(b'{"severity":"warn"}'))
    same(shop(), edited)
    before = release_of(shop()).models[A].tests
    assert fingerprinted(edited, fingerprinted(shop())).release.models[A].tests != before


@pytest.mark.parametrize("value", [1, 1.0, "1", False])
def test_what_python_takes_for_the_same_is_not(value: object) -> None:
    same(shop(), with_written(shop(), A, enabled=value))
    same(shop(declared={"region": True}), shop(declared={"region": value}))
    same(with_node(shop(), A, version=1), with_node(shop(), A, version=value))


@pytest.mark.parametrize(
    "other",
    [
        from_manifest_alone(shop()),
        replace(shop(), origin=Origin.SOURCES),
        replace(shop(), adapter_type="postgres"),
        replace(shop(), dispatch=[{"macro_namespace": "dbt"}]),
        shop(macros=[macro("paid", "other")]),
        shop(written={}),
        without(shop(), C),
        without(shop(), UNIQUE),
    ],
)
def test_any_two_parses_can_be_held_against_each_other(other: Definition) -> None:
    same(shop(), other)
    same(other, shop())
    same(other, other)


def test_through_an_ephemeral_model_that_has_other_parents_now() -> None:
    nodes = [node("a"), node("b"), node("c", A, materialized="ephemeral"), node("d", C), generic_test("t", "unique", C)]
    same(definition(nodes), with_node(definition(nodes), C, depends_on=Lineage(nodes=(B,))))
    same(definition(nodes), with_node(definition(nodes), C, raw_code="select 2"))


def test_a_parent_that_went_is_an_error_with_an_earlier_release_too() -> None:
    before = fingerprinted(shop())
    after = replace(shop(), nodes={id_: found for id_, found in shop().nodes.items() if id_ != A})
    with pytest.raises(MissingParentError):
        fingerprinted(after, before)
    source = "source.shop.raw"
    known = definition([generic_test("t", "unique", source)], others=[source])
    with pytest.raises(MissingParentError):
        fingerprinted(replace(known, others=frozenset()), fingerprinted(known))
