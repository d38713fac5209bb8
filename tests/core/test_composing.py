"""Composing: several releases in one project, each model as it was promoted; or the reason why not."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.composing import compose
from airflow_dbt_promotion.core.composition import Composition, verify, whole
from airflow_dbt_promotion.core.definition import AsWritten, Definition, Exposure, Lineage, Other
from airflow_dbt_promotion.core.errors import UnservableError, VersionsMovedError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, ReleaseId
from airflow_dbt_promotion.core.reliance import Reliances
from airflow_dbt_promotion.core.state import Entry, EntryOrigin
from airflow_dbt_promotion.core.stays import entry_of
from tests.core.definitions import definition, generic_test, macro, node, touched, unit_test

PRODUCTION = EnvironmentName("production")
NOON = datetime(2026, 7, 24, 12, tzinfo=UTC)
OLD, NEW, NEWEST = ReleaseId("a" * 32), ReleaseId("b" * 32), ReleaseId("c" * 32)
A, B, C, E, S = (f"model.shop.{name}" for name in ("a", "b", "c", "e", "s"))
SOURCE = "source.shop.raw.lines"


def project(**texts: str) -> Definition:
    """Return a -> b -> c, with e ephemeral between a and c, each with a test, and one test on a and b."""
    return definition(
        [
            node("a", SOURCE, raw_code=texts.get("a", "select {{ cents() }}")),
            node("b", A, raw_code=texts.get("b", "select 'b'")),
            node("c", B, E, raw_code=texts.get("c", "select {{ var('days') }}")),
            node("e", A, materialized="ephemeral", raw_code=texts.get("e", "select 'e'"), relation_name=None),
            generic_test("not_null_a", "not_null", A),
            generic_test("not_null_c", "not_null", C),
            generic_test("agree_a_b", "agree", A, B, kwargs={"of": texts.get("agree", "one")}),
        ],
        macros=[macro("cents", texts.get("cents", "100")), macro("test_agree", texts.get("test_agree", "select 1"))],
        units=[unit_test("sums", B)],
        others=[SOURCE],
        declared={"days": texts.get("days", "7")},
    )


def served(of: Mapping[str, ReleaseId], definitions: Mapping[ReleaseId, Definition]) -> dict[ModelId, Entry]:
    """Return what an environment holds: each model from a release; those of later releases entered later."""
    since = {release: NOON + timedelta(days=index) for index, release in enumerate(sorted(definitions))}
    found = {}
    for id_, release in of.items():
        made = replace(release_of(definitions[release]), id=release)
        model = ModelId(id_)
        found[model] = entry_of(made, model, since[release], EntryOrigin.PROMOTION, "plan")
    return found


def composed(of: Mapping[str, ReleaseId], definitions: Mapping[ReleaseId, Definition]) -> Composition:
    """Return the composition, verified."""
    entries = served(of, definitions)
    found = compose(PRODUCTION, entries, definitions)
    verify(found, PRODUCTION, entries, definitions)
    return found


def test_one_release_is_itself() -> None:
    known = project()
    found = composed({A: OLD, B: OLD, C: OLD}, {OLD: known})
    assert found.definition.nodes == known.nodes
    assert found.definition.macros == known.macros
    assert (found.base, found.releases, dict(found.origins)) == (OLD, {OLD}, dict(whole(OLD, known).origins))


def test_each_model_is_taken_from_the_release_by_which_it_entered() -> None:
    definitions = {OLD: project(), NEW: touched(touched(project(), B), C)}
    found = composed({A: OLD, B: OLD, C: OLD}, definitions)
    assert found.definition.nodes[B] == definitions[OLD].nodes[B]
    entries = served({A: OLD, B: NEW, C: NEW}, definitions)
    found = compose(PRODUCTION, entries, definitions)
    made = verify(found, PRODUCTION, entries, definitions)
    assert found.definition.nodes[B] == definitions[NEW].nodes[B]
    assert (found.origins[A], found.origins[B], found.base) == (OLD, NEW, NEW)
    assert {model: found.version for model, found in made.models.items()} == {m: e.version for m, e in entries.items()}


def test_a_model_that_is_not_promoted_is_not_in_it_with_what_stands_on_it() -> None:
    found = composed({A: OLD}, {OLD: project()})
    assert set(found.definition.nodes) == {A, "test.shop.not_null_a"}
    assert (found.definition.unit_tests, found.unserved) == ({}, {})


def test_a_child_whose_parent_is_not_there_cannot_be_had() -> None:
    found = composed({A: OLD, C: OLD}, {OLD: project()})
    assert set(found.unserved) == {C}
    assert "model.shop.b" in found.unserved[ModelId(C)]
    assert C not in found.origins


def test_what_was_not_kept_or_is_lost_cannot_be_had() -> None:
    entries = served({A: OLD, B: OLD}, {OLD: project()})
    unkept = entries | {ModelId(A): replace(entries[ModelId(A)], release=None)}
    with pytest.raises(UnservableError, match="nothing that could be run: its sources were not kept"):
        compose(PRODUCTION, unkept, {OLD: project()})
    lost = entries | {ModelId(B): replace(entries[ModelId(B)], release=NEW)}
    assert "release bbbbbbbb" in compose(PRODUCTION, lost, {OLD: project()}).unserved[ModelId(B)]
    with pytest.raises(UnservableError, match="nothing was ever promoted"):
        compose(PRODUCTION, {}, {OLD: project()})


def test_a_macro_is_taken_from_the_models_that_call_it() -> None:
    definitions = {OLD: project(), NEW: project(cents="1000", b="select 'new b'")}
    entries = served({A: OLD}, definitions) | served({B: NEW}, definitions)
    entries[ModelId(B)] = replace(entries[ModelId(B)], parents={ModelId(A): entries[ModelId(A)].version})
    found = compose(PRODUCTION, entries, definitions)
    assert found.base == NEW
    assert found.origins["macro.shop.cents"] == OLD
    assert release_of(found.definition).models[ModelId(A)].version == entries[ModelId(A)].version


def test_a_macro_that_a_later_release_removed_or_added_is_as_its_models_know_it() -> None:
    without = replace(project(b="select 'new b'"), macros={"macro.shop.test_agree": macro("test_agree", "select 1")})
    definitions = {OLD: project(), NEW: without}
    entries = served({A: OLD}, definitions) | served({B: NEW}, definitions)
    assert compose(PRODUCTION, entries, definitions).origins["macro.shop.cents"] == OLD
    definitions = {OLD: without, NEW: project(b="select 'new b'")}
    entries = served({A: OLD}, definitions) | served({B: NEW}, definitions)
    found = compose(PRODUCTION, entries, definitions)
    assert "macro.shop.cents" not in found.origins
    assert release_of(found.definition).models[ModelId(A)].code == entries[ModelId(A)].code


def test_two_models_that_need_two_texts_of_one_macro_do_not_come_out() -> None:
    definitions = {OLD: project(), NEW: project(cents="1000", b="select {{ cents() }}")}
    entries = served({A: OLD}, definitions) | served({B: NEW}, definitions)
    found = compose(PRODUCTION, entries, definitions)
    with pytest.raises(VersionsMovedError, match="cannot stand together") as caught:
        verify(found, PRODUCTION, entries, definitions)
    assert caught.value.models == (A,)


def test_a_var_is_taken_from_the_models_that_read_it() -> None:
    definitions = {OLD: project(), NEW: project(days="9", b="select 'new b'")}
    entries = served({A: OLD, B: OLD, C: OLD}, definitions)
    newer = served({B: NEW}, definitions)[ModelId(B)]
    late = {**entries, ModelId(B): newer}
    found = compose(PRODUCTION, late, definitions)
    assert (found.base, dict(found.vars)) == (NEW, {"days": OLD})
    assert {var.name: var.value for var in found.definition.vars} == {"days": "7"}
    verify(found, PRODUCTION, late, definitions)


def test_a_test_of_several_models_is_what_the_newest_of_them_says() -> None:
    definitions = {OLD: project(), NEW: project(b="select 'new b'", agree="two")}
    entries = served({A: OLD}, definitions) | served({B: NEW}, definitions)
    found = compose(PRODUCTION, entries, definitions)
    assert found.origins["test.shop.agree_a_b"] == NEW
    gone = replace(definitions[NEW], nodes={k: v for k, v in definitions[NEW].nodes.items() if "agree" not in k})
    found = compose(PRODUCTION, entries, {**definitions, NEW: gone})
    assert "test.shop.agree_a_b" not in found.origins
    assert found.origins["test.shop.not_null_a"] == OLD
    assert found.origins["unit_test.shop.b.sums"] == NEW


def test_a_macro_that_only_a_test_of_an_older_release_calls_comes_along() -> None:
    later = project(b="select 'new b'")
    later = replace(
        later,
        macros={"macro.shop.cents": macro("cents", "100")},
        nodes={id_: found for id_, found in later.nodes.items() if "agree" not in id_},
    )
    definitions = {OLD: later, NEW: project(a="select 'new a'")}
    entries = served({B: OLD}, definitions) | served({A: NEW}, definitions)
    assert compose(PRODUCTION, entries, definitions).origins["macro.shop.test_agree"] == NEW


def test_an_ephemeral_model_comes_with_its_reader() -> None:
    definitions = {OLD: project(), NEW: project(e="select 'new e'", b="select 'new b'")}
    entries = served({A: OLD, B: OLD, C: OLD}, definitions) | served({B: NEW}, definitions)
    found = compose(PRODUCTION, entries, definitions)
    assert (found.origins[E], found.origins[B], found.origins[C]) == (OLD, NEW, OLD)


def test_exposures_and_semantic_objects_come_with_the_newest_model_below_them() -> None:
    known = project()
    exposure = Exposure(unique_id="exposure.shop.x", name="x", depends_on=Lineage((C,)))
    others = {
        **known.others,
        "semantic_model.shop.c": Other(depends_on=Lineage((C,))),
        "metric.shop.m": Other(depends_on=Lineage(("semantic_model.shop.c",))),
        "exposure.shop.x": Other(depends_on=Lineage((C,))),
    }
    full = replace(known, others=others, exposures={"exposure.shop.x": exposure})
    found = composed({A: OLD, B: OLD, C: OLD}, {OLD: full, NEW: known})
    assert {"metric.shop.m", "semantic_model.shop.c", "exposure.shop.x"} <= set(found.origins)
    assert set(found.definition.exposures) == {"exposure.shop.x"}
    found = composed({A: OLD, B: OLD}, {OLD: full})
    assert not {"metric.shop.m", "semantic_model.shop.c", "exposure.shop.x"} & set(found.origins)


def test_the_latest_of_a_versioned_model_is_what_its_readers_know() -> None:
    def family(latest: int, text: str = "select 1") -> Definition:
        return definition(
            [
                node("m.v1", version=1, latest_version=latest),
                node("m.v2", version=2, latest_version=latest, raw_code=text),
                node("reader", f"model.shop.m.v{latest}"),
            ]
        )

    def named(found: Definition) -> Definition:
        nodes = {id_: replace(one, name="m") if one.version else one for id_, one in found.nodes.items()}
        return replace(found, nodes=nodes)

    definitions = {OLD: named(family(1)), NEW: named(family(2, "select 2"))}
    v1, v2, reader = "model.shop.m.v1", "model.shop.m.v2", "model.shop.reader"
    found = composed({v1: OLD, v2: NEW, reader: OLD}, definitions)
    assert dict(found.latest) == {v2: 1}
    assert {id_: one.latest_version for id_, one in found.definition.nodes.items()} == {v1: 1, v2: 1, reader: None}
    found = composed({v1: OLD, v2: NEW}, definitions)
    assert dict(found.latest) == {v1: 2}


def test_two_models_that_write_one_relation_cannot_be_served() -> None:
    known = definition([node("a"), node("b", relation_name='"dev"."a"')])
    with pytest.raises(UnservableError, match="two models write"):
        composed({A: OLD, B: OLD}, {OLD: known})


def test_what_its_own_release_makes_otherwise_by_now_says_so() -> None:
    definitions = {OLD: project()}
    entries = served({A: OLD, B: OLD}, definitions)
    now = {OLD: touched(project(), A)}
    found = compose(PRODUCTION, entries, now)
    with pytest.raises(
        VersionsMovedError, match=r"parsed now by dbt 1\.11\.16, makes another version of model\.shop\.a"
    ):
        verify(found, PRODUCTION, entries, now)


def test_where_a_parent_moved_the_code_has_to_come_out_and_no_more() -> None:
    definitions = {OLD: project(), NEW: touched(project(), A)}
    entries = served({A: OLD, B: OLD, C: OLD}, definitions) | served({A: NEW}, definitions)
    found = compose(PRODUCTION, entries, definitions)
    verify(found, PRODUCTION, entries, definitions)
    assert (found.origins[A], found.origins[B]) == (NEW, OLD)


def test_only_what_differs_is_relied_on() -> None:
    definitions = {OLD: project(), NEW: project(cents="1000", days="9"), NEWEST: project(cents="1000", days="9")}
    found = Reliances(definitions)
    assert set(found.of(OLD, ModelId(A))) == {"macro.shop.cents"}
    assert set(found.of(OLD, ModelId(C))) == {"var:days", E}
    assert found.of(OLD, ModelId(B)) == {}
    assert found.of(NEW, ModelId(A)) == found.of(NEWEST, ModelId(A)) != found.of(OLD, ModelId(A))
    assert Reliances({OLD: project()}).of(OLD, ModelId(A)) == {}


def test_children_of_children_of_what_is_not_there_cannot_be_had_either() -> None:
    known = definition([node("a"), node("b", A), node("c", B), node("d")])
    entries = served({A: OLD, B: OLD, C: OLD, "model.shop.d": OLD}, {OLD: known})
    del entries[ModelId(A)]
    found = compose(PRODUCTION, entries, {OLD: known})
    assert set(found.unserved) == {B, C}
    assert "reads model.shop.b" in found.unserved[ModelId(C)]


def test_an_ephemeral_model_of_two_readers_is_that_of_the_newer() -> None:
    def read_by_two(text: str = "select 'b'") -> Definition:
        inner = node("e", materialized="ephemeral", relation_name=None)
        return definition([inner, node("a", E), node("b", E, raw_code=text)])

    definitions = {OLD: read_by_two(), NEW: read_by_two("select 'new b'")}
    assert composed({A: OLD, B: NEW}, definitions).origins[E] == NEW
    assert composed({A: NEW, B: OLD}, definitions).origins[E] == NEW


def test_without_the_releases_at_hand_the_reason_is_the_company() -> None:
    definitions = {OLD: project()}
    entries = served({A: OLD}, definitions)
    now = {OLD: touched(project(), A)}
    with pytest.raises(VersionsMovedError, match="cannot stand together"):
        verify(compose(PRODUCTION, entries, now), PRODUCTION, entries)


def test_config_as_written_comes_along() -> None:
    written = {A: AsWritten(config={"materialized": "table"})}
    known = definition([node("a"), node("b", A)], written=written)
    assert composed({A: OLD}, {OLD: known}).definition.written == written


def test_a_child_of_two_that_are_not_there_is_told_once() -> None:
    known = definition([node("a"), node("b", A), node("c", A), node("d", B, C)])
    d = "model.shop.d"
    entries = served({A: OLD, B: OLD, C: OLD, d: OLD}, {OLD: known})
    del entries[ModelId(A)]
    with pytest.raises(UnservableError, match="nothing that could be run"):
        compose(PRODUCTION, entries, {OLD: known})
