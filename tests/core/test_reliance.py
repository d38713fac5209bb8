"""Reliance: what models share, told by name, and only where releases differ in it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import Definition, Other
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.reliance import Reliances, is_of_project, told
from tests.core.definitions import definition, generic_test, macro, node, unit_test

OLD, NEW, NEWEST = ReleaseId("a" * 32), ReleaseId("b" * 32), ReleaseId("c" * 32)
A, B = ModelId("model.shop.a"), ModelId("model.shop.b")
SOURCE = "source.shop.raw.lines"


def project(code: str = "select 1", *parents: str, cents: str = "100", days: object = 7) -> Definition:
    """Return one model with that code, a test of it, and what it can share with others."""
    nodes = [node("a", *parents, raw_code=code), generic_test("t", "positive", A, kwargs={"of": ["{{ cents() }}"]})]
    macros = [macro("cents", cents), macro("default__cents", "1"), macro("test_positive", "select 1")]
    return definition(nodes, macros=macros, units=[unit_test("sums", A)], others=[SOURCE], declared={"days": days})


@pytest.mark.parametrize(
    ("thing", "name", "of_project"),
    [
        ("macro.shop.cents", "the macro cents", False),
        ("model.shop.fx", "the ephemeral model fx", False),
        ("source.shop.raw.lines", "the source raw.lines", True),
        ("var:late_days", "the var late_days", True),
        ("latest:shop.orders", "the latest version of orders", False),
        ("project:hooks", "on-run hooks", True),
        ("project:dispatch", "the dispatch order", True),
        ("project:quoting", "the project's quoting", True),
    ],
)
def test_a_thing_is_told_as_people_call_it(thing: str, name: str, of_project: bool) -> None:
    assert (told(thing), is_of_project(thing)) == (name, of_project)


def things(old: Definition, new: Definition, model: ModelId = A) -> set[str]:
    """Return what a model of the first of two releases relies on."""
    return set(Reliances({OLD: old, NEW: new}).of(OLD, model))


def test_nothing_that_is_the_same_is_relied_on() -> None:
    code = "select {{ cents() }}, {{ var('days') }}"
    assert things(project(code), project(code)) == set()
    assert things(project(code), project(code, cents="1", days=9)) == {"macro.shop.cents", "var:days"}
    assert things(project("select 1"), project(code, cents="1", days=9)) == set()


def test_a_name_that_is_computed_relies_on_all() -> None:
    assert things(project("{{ var(x) }}"), project(days=9)) == {"var:days"}
    assert things(project("{{ context[x] }}"), project(cents="1")) == {"macro.shop.cents"}


def test_a_var_that_one_release_does_not_declare_is_relied_on_as_absent() -> None:
    without = replace(project("{{ var('days', 1) }}"), vars=())
    found = Reliances({OLD: without, NEW: project("{{ var('days', 1) }}")})
    assert found.of(OLD, A) == {"var:days": None}
    assert found.of(NEW, A)["var:days"] is not None


def test_the_dispatch_order_counts_for_those_who_dispatch() -> None:
    code = "select {{ adapter.dispatch('cents')() }}"
    ordered = replace(project(code), dispatch=[{"macro_namespace": "shop"}])
    assert things(project(code), ordered) == {"project:dispatch"}
    assert things(project("select 1"), ordered) == set()


def test_quoting_and_hooks_count_for_everybody() -> None:
    assert things(project(), replace(project(), quoting={"schema": False})) == {"project:quoting"}
    hook = node("open", kind="operation", materialized="view")
    hooked = replace(project(), nodes={**project().nodes, hook.unique_id: hook})
    assert things(project(), hooked) == {"project:hooks"}


def test_a_source_that_is_elsewhere_counts_for_those_who_read_it() -> None:
    def placed(relation: str) -> Definition:
        return replace(project("select 1", SOURCE), others={SOURCE: Other(relation_name=relation)})

    assert things(placed("raw.a"), placed("raw.b")) == {SOURCE}
    assert things(placed("raw.a"), placed("raw.a")) == set()
    assert things(replace(project(), others=placed("raw.a").others), placed("raw.b")) == set()


def test_three_releases_are_compared_each_with_each() -> None:
    def placed(relation: str) -> Definition:
        return replace(project("select 1", SOURCE), others={SOURCE: Other(relation_name=relation)})

    found = Reliances({OLD: replace(placed("x"), others={}), NEW: placed("raw.a"), NEWEST: placed("raw.b")})
    assert set(found.of(NEW, A)) == {SOURCE}


def test_what_a_release_does_not_hold_relies_on_nothing() -> None:
    found = Reliances({OLD: project(), NEW: project(cents="1")})
    assert found.of(OLD, B) == {}
    assert found.of(NEWEST, A) == {}
    assert found.reading(OLD, "test.shop.gone") == frozenset()
    assert found.reading(OLD, "test.shop.t") == {"macro.shop.cents"}
