"""What a version is made of, on random projects; and each single rule, by an example."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw, json
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import (
    AsWritten,
    Checksum,
    Column,
    DeclaredVar,
    Definition,
    Exposure,
    Lineage,
    Macro,
    NodeConfig,
)
from airflow_dbt_promotion.core.errors import CyclicGraphError, MissingParentError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import MANIFEST_ONLY, ModelId
from airflow_dbt_promotion.core.release import NO_TESTS, Model, ModelKind, Release
from tests.core.definitions import (
    Drawn,
    definition,
    descendants,
    from_manifest_alone,
    generic_test,
    macro,
    node,
    projects,
    shuffled,
    touched,
    unit_test,
    with_node,
    with_written,
)

A, B, C, D = "model.shop.a", "model.shop.b", "model.shop.c", "model.shop.d"


def changed(before: Release, after: Release, field: str) -> set[str]:
    """Return the models in which one thing is another, or that only one of two releases has."""
    ids = before.models.keys() | after.models.keys()
    return {
        id_
        for id_ in ids
        if getattr(before.models.get(id_), field, None) != getattr(after.models.get(id_), field, None)
    }


def built(known: Definition, ids: set[str]) -> set[str]:
    """Return those of some nodes that a release lists: ephemeral ones are no models of it."""
    return {id_ for id_ in ids if known.nodes[id_].config.materialized != "ephemeral"}


def one(known: Definition, id_: str = A) -> Model:
    """Return one model of the release that a definition makes."""
    return release_of(known).models[ModelId(id_)]


def pick(data: st.DataObject, ids: list[str]) -> str:
    """Return one of some ids."""
    return data.draw(st.sampled_from(sorted(ids)))


# --- properties -------------------------------------------------------------------------------------------------------


@given(projects(), st.data())
def test_touching_one_model_changes_exactly_it_and_its_descendants(drawn: Drawn, data: st.DataObject) -> None:
    known = drawn.definition
    id_ = pick(data, drawn.built())
    before, after = release_of(known), release_of(touched(known, id_))
    assert changed(before, after, "version") == built(known, descendants(known, {id_}))
    assert changed(before, after, "code") == built(known, {id_})
    assert changed(before, after, "tests") == changed(before, after, "meta") == set()


@given(projects())
def test_editing_a_macro_changes_exactly_its_users(drawn: Drawn) -> None:
    known = drawn.definition
    for id_, found in known.macros.items():
        edited = Macro(id_, found.name, found.package_name, found.macro_sql + " -- edited")
        before, after = release_of(known), release_of(replace(known, macros={**known.macros, id_: edited}))
        users = drawn.users(id_)
        models = users & set(drawn.built())
        assert changed(before, after, "code") == built(known, models)
        assert changed(before, after, "version") == built(known, descendants(known, models))
        assert changed(before, after, "tests") == {
            model.id for model in before.models.values() if users.intersection(model.required)
        }


@given(projects())
def test_the_declared_value_of_a_var_is_part_of_exactly_what_reads_it(drawn: Drawn) -> None:
    known = drawn.definition
    for var in known.vars:
        others = tuple(other for other in known.vars if other != var)
        readers = drawn.readers(var.name) & set(drawn.built())
        for vars_ in (others, (*others, replace(var, value="another")), (*known.vars, replace(var, scope="shop"))):
            before, after = release_of(known), release_of(replace(known, vars=vars_))
            assert changed(before, after, "code") == built(known, readers)
            assert changed(before, after, "version") == built(known, descendants(known, readers))


@given(projects(), st.data())
def test_what_people_know_of_a_model_and_where_it_goes_changes_meta_alone(drawn: Drawn, data: st.DataObject) -> None:
    known = drawn.definition
    id_ = pick(data, drawn.built())
    column = Column(name="id", description="of the customer")
    key = data.draw(
        st.sampled_from(
            ("tags", "meta", "docs", "grants", "database", "schema", "alias", "dataset", "project", "catalog")
        )
    )
    for other in (
        with_node(known, id_, description="another"),
        with_node(known, id_, columns={"id": column}),
        with_written(known, id_, **{key: ["another"]}),
    ):
        before, after = release_of(known), release_of(other)
        assert changed(before, after, "meta") == built(known, {id_})
        assert (
            changed(before, after, "version")
            == changed(before, after, "code")
            == changed(before, after, "tests")
            == set()
        )


@given(projects())
def test_nothing_that_a_target_decides_is_part_of_a_version(drawn: Drawn) -> None:
    known = drawn.definition
    rendered = {
        id_: replace(
            found,
            relation_name=f'"prod"."{found.name}"',
            unrendered_config=Raw(b'{"materialized":"table","alias":"prod"}'),
            config=NodeConfig(
                materialized="table"
                if found.config.materialized in {"view", "incremental"}
                else found.config.materialized
            ),
        )
        for id_, found in known.nodes.items()
        if found.resource_type != "test"
    }
    other = replace(
        known,
        nodes={**known.nodes, **rendered},
        where="elsewhere",
        invocation_id="another",
        manifest="1" * 32,
        dbt_version="1.12.0",
    )
    before, after = release_of(known), release_of(other)
    for what in ("version", "code", "tests", "meta"):
        assert changed(before, after, what) == set()


@given(projects(), st.data())
def test_order_does_not_matter(drawn: Drawn, data: st.DataObject) -> None:
    known = drawn.definition
    assert known.written is not None
    nodes = {
        id_: replace(found, depends_on=Lineage(nodes=tuple(data.draw(st.permutations(found.depends_on.nodes)))))
        for id_, found in known.nodes.items()
    }
    written = {id_: replace(found, config=shuffled(data, found.config)) for id_, found in known.written.items()}
    other = replace(
        known,
        nodes=shuffled(data, nodes),
        macros=shuffled(data, known.macros),
        unit_tests=shuffled(data, known.unit_tests),
        written=shuffled(data, written),
        vars=tuple(data.draw(st.permutations(known.vars))),
    )
    before, after = release_of(known), release_of(other)
    assert before.models == after.models
    assert before.tests == after.tests


@given(projects(), st.data())
def test_adding_what_nobody_uses_changes_no_version(drawn: Drawn, data: st.DataObject) -> None:
    known = drawn.definition
    more = node("unrelated", *data.draw(st.lists(st.sampled_from(drawn.built()), max_size=2, unique=True)))
    test = generic_test("of_unrelated", "unique", more.unique_id)
    other = replace(
        known,
        nodes={more.unique_id: more, **known.nodes, test.unique_id: test},
        macros={**known.macros, "macro.shop.unused": macro("unused")},
        vars=(*known.vars, DeclaredVar(declared_in="shop", scope="", name="unused", value=1)),
    )
    before, after = release_of(known), release_of(other)
    for what in ("version", "code", "tests", "meta"):
        assert changed(before, after, what) == {more.unique_id}


@given(projects(fewest=2), st.data())
def test_a_test_is_part_of_the_tests_of_exactly_the_models_that_it_needs(drawn: Drawn, data: st.DataObject) -> None:
    known = drawn.definition
    if not drawn.tests():
        return
    id_ = pick(data, drawn.tests())
    found = known.nodes[id_]
    edits = [
        with_written(known, id_, severity="warn"),
        replace(known, nodes={key: other for key, other in known.nodes.items() if key != id_}),
    ]
    if found.test_metadata is None:
        edits.append(with_node(known, id_, raw_code=found.raw_code + " and 1 = 1"))
    else:
        edits.append(
            with_node(known, id_, test_metadata=replace(found.test_metadata, kwargs=Raw(b'{"column_name":"other"}')))
        )
    for other in edits:
        before, after = release_of(known), release_of(other)
        needed = {model for parent in found.depends_on.nodes for model in nearest(known, parent)}
        assert changed(before, after, "tests") == needed
        assert changed(before, after, "version") == changed(before, after, "meta") == set()
        assert {model.id for model in before.models.values() if id_ in model.required} == needed


def nearest(known: Definition, id_: str) -> set[str]:
    """Return a node, or where it is ephemeral the nearest nodes above it that are built."""
    found = known.nodes[id_]
    if found.config.materialized != "ephemeral":
        return {id_}
    return {above for parent in found.depends_on.nodes for above in nearest(known, parent)}


@given(projects())
def test_ephemeral_models_are_looked_through(drawn: Drawn) -> None:
    known = drawn.definition
    release = release_of(known)
    assert set(release.models) == built(known, set(drawn.built()))
    for id_, model in release.models.items():
        expected = {above for parent in known.nodes[id_].depends_on.nodes for above in nearest(known, parent)}
        assert set(model.parents) == expected
        assert list(model.parents) == sorted(expected)
        assert release.parent_versions(id_) == {parent: release.models[parent].version for parent in model.parents}


@given(projects())
def test_a_version_from_a_manifest_alone_says_so(drawn: Drawn) -> None:
    known = drawn.definition
    alone = release_of(from_manifest_alone(known))
    assert all(model.version.startswith(MANIFEST_ONLY) for model in alone.models.values())
    assert not any(model.version.startswith(MANIFEST_ONLY) for model in release_of(known).models.values())


@given(projects(), st.data())
def test_a_seed_that_nobody_read_makes_its_descendants_say_so(drawn: Drawn, data: st.DataObject) -> None:
    known = drawn.definition
    seeds = [id_ for id_ in drawn.built() if known.nodes[id_].resource_type == "seed"]
    if not seeds:
        return
    id_ = pick(data, seeds)
    release = release_of(with_node(known, id_, checksum=Checksum("path", "seeds/big.csv")))
    said = {model.id for model in release.models.values() if model.version.startswith(MANIFEST_ONLY)}
    assert said == built(known, descendants(known, {id_}))


@given(projects(), st.data())
def test_a_parent_that_is_not_there_is_an_error(drawn: Drawn, data: st.DataObject) -> None:
    known = drawn.definition
    id_ = pick(data, list(known.nodes))
    missing = "model.shop.gone"
    with pytest.raises(MissingParentError, match=r"which the manifest does not hold") as caught:
        release_of(with_node(known, id_, depends_on=Lineage(nodes=(*known.nodes[id_].depends_on.nodes, missing))))
    assert (caught.value.node, caught.value.parent) == (id_, missing)


@given(projects(), st.data())
def test_a_ring_is_an_error(drawn: Drawn, data: st.DataObject) -> None:
    known = drawn.definition
    id_ = pick(data, drawn.built())
    last = pick(data, list(descendants(known, {id_})))
    with pytest.raises(CyclicGraphError) as caught:
        release_of(with_node(known, id_, depends_on=Lineage(nodes=(*known.nodes[id_].depends_on.nodes, last))))
    assert {id_, last} <= set(caught.value.nodes)


# --- single rules -----------------------------------------------------------------------------------------------------


def test_a_source_counts_by_its_identity() -> None:
    names = ("source.shop.raw.one", "source.shop.raw.two")
    known = definition([node("a", names[0])], others=names)
    assert one(known).version != one(definition([node("a", names[1])], others=names)).version
    assert one(known).code == one(definition([node("a", names[1])], others=names)).code
    assert one(known).parents == ()


def test_two_models_with_the_same_code_have_two_versions() -> None:
    release = release_of(definition([node("a", raw_code="select 1"), node("b", raw_code="select 1")]))
    assert release.models[ModelId(A)].code == release.models[ModelId(B)].code
    assert release.models[ModelId(A)].version != release.models[ModelId(B)].version


def test_moving_a_file_changes_nothing() -> None:
    known = definition([node("a")])
    moved = with_node(known, A, original_file_path="models/marts/a.sql", fqn=("shop", "marts", "a"))
    assert changed(release_of(known), release_of(moved), "version") == set()


def test_the_language_is_part_of_a_version() -> None:
    known = definition([node("a", raw_code="1")])
    assert one(known).code != one(with_node(known, A, language="python")).code


def test_a_python_model_comes_to_its_materialization_and_to_nothing_by_braces() -> None:
    code = 'def model(dbt, session):\n    dbt.config(materialized="ledger")\n    return {{"used": 1}}'
    known = definition(
        [node("a", language="python", raw_code=code)],
        written={A: AsWritten(config={"materialized": "table"})},
        macros=[macro("used"), macro("materialization_ledger_duckdb", "create")],
    )
    edited = [
        replace(known, macros={**known.macros, found.unique_id: found})
        for found in (macro("used", "y"), macro("materialization_ledger_duckdb", "y"))
    ]
    assert [one(known).code != one(other).code for other in edited] == [False, True]


@pytest.mark.parametrize(
    ("kind", "name"), [("model", "view"), ("seed", "seed"), ("snapshot", "snapshot"), ("function", "function")]
)
def test_an_override_of_the_default_materialization_is_part_of_a_version(kind: str, name: str) -> None:
    known = definition([node("a", kind=kind)], macros=[macro(f"materialization_{name}_default")])
    edited = replace(
        known, macros={f"macro.shop.materialization_{name}_default": macro(f"materialization_{name}_default", "mine")}
    )
    id_ = f"{kind}.shop.a"
    assert one(known, id_).code != one(edited, id_).code
    assert one(known, id_).kind is ModelKind(kind)


@pytest.mark.parametrize("written", ["{{ var('kind') }}", "{{ 'ledger' if target.name == 'prod' else 'view' }}"])
def test_a_materialization_that_is_computed_may_be_any(written: str) -> None:
    known = with_written(
        definition([node("a")], macros=[macro("materialization_ledger_default")]), A, materialized=written
    )
    edited = replace(
        known, macros={"macro.shop.materialization_ledger_default": macro("materialization_ledger_default", "mine")}
    )
    assert one(known).code != one(edited).code


def test_the_rendered_materialization_is_part_of_no_version() -> None:
    macros = [macro("materialization_ledger_default")]
    code = "{{ config(materialized=var('kind', 'view')) }} select 1"
    versions = {
        one(definition([node("a", raw_code=code, materialized=kind)], macros=macros)).version
        for kind in ("view", "ledger", "incremental")
    }
    assert len(versions) == 1


def test_from_a_manifest_alone_the_rendered_materialization_stands_in() -> None:
    known = definition([node("a", materialized="ledger")], macros=[macro("materialization_ledger_default")])
    edited = replace(
        known, macros={"macro.shop.materialization_ledger_default": macro("materialization_ledger_default", "mine")}
    )
    assert one(from_manifest_alone(known)).code != one(from_manifest_alone(edited)).code


def test_from_a_manifest_alone_the_rendered_config_stands_in_without_where_it_goes() -> None:
    known = definition([node("a", unrendered_config=Raw(b'{"materialized":"table","schema":"dev","tags":["x"]}'))])
    code, place, tag = (
        with_node(known, A, unrendered_config=Raw(config))
        for config in (
            b'{"materialized":"view","schema":"dev","tags":["x"]}',
            b'{"materialized":"table","schema":"prod","tags":["x"]}',
            b'{"materialized":"table","schema":"dev","tags":["y"]}',
        )
    )
    before = one(from_manifest_alone(known))
    after = {name: one(from_manifest_alone(other)) for name, other in (("code", code), ("place", place), ("tag", tag))}
    assert {name for name, model in after.items() if model.version != before.version} == {"code"}
    assert {name for name, model in after.items() if model.meta != before.meta} == {"tag"}


def column(data_type: str | None = None, **more: Any) -> dict[str, Column]:
    """Return one declared column."""
    return {"id": Column(name="id", data_type=data_type, **more)}


def test_types_and_constraints_of_columns_are_part_of_a_version() -> None:
    found = [
        one(definition([node("a", columns=columns)])).version
        for columns in (
            column(),
            column("integer"),
            column("bigint"),
            column(constraints=Raw(b'[{"type":"not_null"}]')),
        )
    ]
    assert len(set(found)) == 4
    assert found[0] == one(definition([node("a")])).version


def test_columns_as_written_stand_for_those_that_were_rendered() -> None:
    def known(written: str, data_type: str) -> Definition:
        columns = [{"name": "id", "data_type": written}]
        return definition([node("a", columns=column(data_type))], written={A: AsWritten(columns=columns)})

    by_target, by_var = "{{ 'bigint' if target.name == 'prod' else 'integer' }}", "{{ var('id_type') }}"
    assert one(known(by_target, "integer")).version == one(known(by_target, "bigint")).version
    assert one(known(by_target, "integer")).version != one(known(by_var, "integer")).version
    values = [
        replace(known(by_var, "x"), vars=(DeclaredVar("shop", "", "id_type", value),))
        for value in ("integer", "bigint")
    ]
    assert one(values[0]).version != one(values[1]).version


def test_order_of_columns_is_no_change() -> None:
    columns = {name: Column(name=name, data_type="integer", description="d") for name in ("id", "name")}
    turned = dict(reversed(columns.items()))
    assert one(definition([node("a", columns=columns)])) == one(definition([node("a", columns=turned)]))


def test_group_and_access_are_known_of_a_model() -> None:
    known = definition([node("a", access="protected")])
    for other in (with_node(known, A, access="public"), with_node(known, A, group="finance")):
        assert one(known).meta != one(other).meta
        assert one(known).version == one(other).version


def test_config_as_written_is_part_of_a_version() -> None:
    known = definition([node("a")])
    versions = {
        one(known).version,
        one(with_written(known, A, materialized="table")).version,
        one(with_written(known, A, full_refresh=True)).version,
    }
    assert len(versions) == 3


def test_dispatch_order_is_part_of_what_dispatches_to_a_macro_of_the_project() -> None:
    nodes = [node("a", raw_code="{{ cents() }}"), node("b", raw_code="{{ plain() }}")]
    known = definition(nodes, macros=[macro("default__cents"), macro("plain")])
    other = replace(known, dispatch=[{"macro_namespace": "shop", "search_order": ["tools", "shop"]}])
    assert changed(release_of(known), release_of(other), "code") == {A}


def test_a_var_with_a_computed_name_may_be_any() -> None:
    known = definition([node("a", raw_code="{{ var('x_' ~ y) }}"), node("b")], declared={"x_1": 1})
    other = replace(known, vars=(*known.vars, DeclaredVar("shop", "", "x_2", 2)))
    assert changed(release_of(known), release_of(other), "code") == {A}
    assert release_of(known).var_names == {"x_1"}


def test_an_ephemeral_model_flows_into_its_consumers_and_is_no_model_itself() -> None:
    known = definition(
        [node("a"), node("b", A, materialized="ephemeral"), node("c", B, materialized="ephemeral"), node("d", C, A)]
    )
    release = release_of(known)
    assert set(release.models) == {A, D}
    assert release.models[ModelId(D)].parents == (A,)
    assert changed(release, release_of(touched(known, B)), "version") == {D}


def test_a_model_without_tests_has_the_digest_of_none() -> None:
    assert one(definition([node("a")])).tests == NO_TESTS


def test_a_test_of_no_model_is_left_out() -> None:
    source = "source.shop.raw.one"
    units = [unit_test("u", "model.shop.gone", depends_on=Lineage())]
    release = release_of(definition([node("a"), generic_test("t", "unique", source)], units=units, others=[source]))
    assert release.tests == {}


def test_tests_of_several_models_are_required_by_each() -> None:
    known = definition(
        [node("a"), node("b"), node("c"), generic_test("t", "relationships", A, B)], units=[unit_test("u", C)]
    )
    release = release_of(known)
    assert {id_: len(model.required) for id_, model in release.models.items()} == {A: 1, B: 1, C: 1}
    assert {test.unit: test.models for test in release.tests.values()} == {False: (A, B), True: (C,)}


@pytest.mark.parametrize("field", ["given", "expect", "overrides"])
def test_a_unit_test_counts_with_its_inputs_expectation_and_overrides(field: str) -> None:
    known = definition([node("a")], units=[unit_test("u", A)])
    other = definition([node("a")], units=[unit_test("u", A, **{field: Raw(b'{"rows":[{"id":2}]}')})])
    assert one(known).tests != one(other).tests
    assert one(known).version == one(other).version


def test_a_unit_test_of_a_model_that_is_not_there_is_an_error() -> None:
    with pytest.raises(MissingParentError):
        release_of(definition([node("a")], units=[unit_test("u", "model.shop.gone")]))


def test_a_generic_test_counts_with_its_macro_and_the_vars_of_that() -> None:
    known = definition(
        [node("a"), generic_test("t", "odd", A)], macros=[macro("test_odd", "{{ var('x') }}")], declared={"x": 1}
    )
    edited = replace(known, macros={"macro.shop.test_odd": macro("test_odd", "{{ var('x') }} and")})
    other = replace(known, vars=(DeclaredVar("shop", "", "x", 2),))
    assert len({one(found).tests for found in (known, edited, other)}) == 3


def test_a_generic_test_counts_with_what_its_arguments_call_and_read() -> None:
    test = generic_test("t", "unique", A, kwargs={"value": '{{ limit("x") }} {{ var("x") }}'})
    known = definition([node("a"), test], macros=[macro("limit")], declared={"x": 1, "y": 1})
    edited = replace(known, macros={"macro.shop.limit": macro("limit", "y")})
    mine, others = (
        replace(known, vars=tuple(DeclaredVar("shop", "", name, 2 if name == edit else 1) for name in "xy"))
        for edit in "xy"
    )
    assert len({one(found).tests for found in (known, edited, mine)}) == 3
    assert one(known).tests == one(others).tests


def test_a_generic_test_counts_as_written_where_that_is_known() -> None:
    known = definition([node("a"), generic_test("t", "unique", A, unrendered_config=Raw(b'{"severity":"warn"}'))])
    rendered = with_node(known, "test.shop.t", unrendered_config=Raw(b'{"severity":"error"}'))
    assert one(known).tests != one(rendered).tests
    entry = {"unique": {"config": {"severity": "{{ 'error' if target.name == 'prod' else 'warn' }}"}}}
    written = {"test.shop.t": AsWritten(test=[entry])}
    assert one(replace(known, written=written)).tests == one(replace(rendered, written=written)).tests
    assert one(replace(known, written=written)).tests != one(known).tests


def test_a_singular_test_counts_with_what_its_config_calls() -> None:
    known = with_written(
        definition([node("a"), node("t", A, kind="test")], macros=[macro("limit")]),
        "test.shop.t",
        where="{{ limit() }}",
    )
    edited = replace(known, macros={"macro.shop.limit": macro("limit", "y")})
    assert one(known).tests != one(edited).tests


def test_an_override_of_dbts_test_machinery_is_part_of_every_data_test() -> None:
    own = [macro("materialization_test_default", "{{ get_test_sql() }}", "dbt"), macro("get_test_sql", "x", "dbt")]
    nodes = [node("a"), generic_test("t", "unique", A), node("b"), node("s", B, kind="test"), node("c")]
    before, after = (
        release_of(definition(nodes, macros=[*own, macro("get_test_sql", body)])) for body in ("one", "two")
    )
    assert changed(before, after, "tests") == {A, B}


def test_the_order_of_keys_in_arguments_is_no_change() -> None:
    tests = [
        generic_test("t", "between", A, kwargs=kwargs) for kwargs in ({"least": 1, "most": 2}, {"most": 2, "least": 1})
    ]
    assert len({one(definition([node("a"), test])).tests for test in tests}) == 1


def test_numbers_of_any_size_can_be_config() -> None:
    config = json.decode(b'{"big":123456789012345678901234567890,"small":1e-300}')
    assert one(definition([node("a")], written={A: AsWritten(config=config)})).version


def test_a_model_says_what_it_is() -> None:
    versioned = node("a", version=2, materialized="incremental")
    model = one(definition([versioned]))
    assert (model.name, model.package, model.kind, model.incremental) == ("a.v2", "shop", ModelKind.MODEL, True)
    assert (model.fqn, model.path, model.relation) == (("shop", "a"), "models/a.sql", '"dev"."a"')


def test_a_release_says_where_it_comes_from() -> None:
    exposure = Exposure(unique_id="exposure.shop.board", name="board")
    known = replace(definition([node("a")]), exposures={exposure.unique_id: exposure})
    release = release_of(known)
    assert (release.project, release.origin, release.where, release.manifest) == (
        known.project,
        known.origin,
        known.where,
        known.manifest,
    )
    assert (release.invocation_id, release.dbt_version, release.adapter_type) == ("invocation", "1.11.16", "duckdb")
    assert release.exposures == (exposure,)


def test_what_is_neither_built_nor_a_test_is_left_out() -> None:
    release = release_of(
        definition([node("a"), replace(node("q"), unique_id="analysis.shop.q", resource_type="analysis")])
    )
    assert set(release.models) == {A}


def test_an_override_of_how_tests_see_their_model_is_part_of_every_generic_test() -> None:
    own = macro("get_where_subquery", "x", "dbt")
    kwargs = {"column_name": "id", "model": "{{ get_where_subquery(ref('a')) }}"}
    nodes = [node("a"), generic_test("t", "unique", A, kwargs=kwargs), node("b"), node("s", B, kind="test")]
    before, after = (
        release_of(definition(nodes, macros=[own, macro("default__get_where_subquery", body)])) for body in "xy"
    )
    assert changed(before, after, "tests") == {A}
