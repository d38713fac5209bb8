"""What enters a version because code reads it, and what of flags, contracts and sources does."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import Raw
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import (
    AsWritten,
    Checksum,
    Column,
    Definition,
    Exposure,
    Macro,
    Other,
    OtherConfig,
)
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.release import Model
from tests.core.definitions import definition, generic_test, node

A = ModelId("model.shop.a")


def column(**more: Any) -> dict[str, Column]:
    return {"id": Column(name="id", **more)}


def version(known: Definition) -> str:
    return release_of(known).models[A].version


def moves(before: Definition, after: Definition) -> bool:
    """Say whether the version of `a` differs."""
    return version(before) != version(after)


def written(known: Definition, **fields: Any) -> Definition:
    """Return a definition in which something else is written of `a`."""
    found = dict(known.written or {})
    return replace(known, written={**found, A: AsWritten(**fields)})


def with_fields(known: Definition, **fields: Any) -> Definition:
    """Return a definition in which `a` has other fields."""
    return replace(known, nodes={**known.nodes, A: replace(known.nodes[A], **fields)})


READERS = {
    "meta": "{{ config.get('meta') }}",
    "tags": "{{ model.tags }}",
    "docs": "{{ model.docs }}",
    "grants": "{{ config.get('grants') }}",
    "group": "{{ model.group }}",
    "access": "{{ model.access }}",
}


@pytest.mark.parametrize("key", READERS)
@pytest.mark.parametrize("reads", [True, False])
def test_config_that_people_know_a_model_by_counts_where_its_code_reads_it(key: str, reads: bool) -> None:
    code = READERS[key] if reads else "select 1"
    known = definition([node("a", raw_code=code)])
    one, other = written(known, config={key: "x"}), written(known, config={key: "y"})
    assert moves(one, other) is reads


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("{{ model.description }}", {"description": "another"}),
        ("{{ model.columns }}", {"columns": column(description="another")}),
        ("{{ model.columns }}", {"columns": column(meta=Raw(b'{"pii":true}'))}),
        ("{{ model.columns }}", {"columns": column(config=Raw(b'{"meta":{"pii":true}}'))}),
        ("{{ model.columns }}", {"columns": column(tags=Raw(b'["x"]'))}),
        ("{{ model.columns }}", {"columns": column(quote=True)}),
        ("{{ model.fqn }}", {"fqn": ("shop", "other", "a")}),
    ],
)
def test_attributes_of_a_node_count_where_its_code_reads_them(code: str, fields: dict[str, Any]) -> None:
    for text, expected in ((code, True), ("select 1", False)):
        known = definition([node("a", raw_code=text, columns=column())])
        assert moves(known, with_fields(known, **fields)) is expected


def test_a_macro_that_is_reached_reads_for_the_node_and_one_in_a_hook_too() -> None:
    masks = Macro("macro.shop.mask", "mask", "shop", "{% macro mask() %}{{ model.columns }}{% endmacro %}")
    for text, config in (("{{ mask() }}", {}), ("select 1", {"pre_hook": ["{{ model.columns }}"]})):
        known = replace(
            written(definition([node("a", raw_code=text, columns=column())]), config=config),
            macros={masks.unique_id: masks},
        )
        assert moves(known, with_fields(known, columns=column(description="x")))


def test_what_dbt_would_render_counts_as_it_is_written() -> None:
    reading = node("a", raw_code="{{ model.description }}{{ model.columns }}", columns=column(description="of dev"))
    known = written(
        definition([reading]), description="of {{ target.name }}", talk=[{"name": "id", "description": "{{ x }}"}]
    )
    rendered = with_fields(known, description="of prod", columns=column(description="of prod"))
    assert not moves(known, rendered)
    talk = [{"name": "id", "meta": {"a": "{{ x }}"}}]
    known = written(known, talk=talk)
    assert moves(known, with_fields(known, columns=column(description="other")))


def test_of_a_manifest_alone_what_it_says_counts() -> None:
    known = replace(definition([node("a", raw_code="{{ model.description }}{{ graph }}")]), written=None)
    assert moves(known, with_fields(known, description="other"))
    assert moves(known, with_fields(known, unrendered_config=Raw(b'{"tags":["x"]}')))


def test_code_that_reads_the_graph_reads_every_node_source_and_exposure() -> None:
    source = "source.shop.raw.one"
    seed = node("s", kind="seed", checksum=Checksum("sha256", "1"))
    test = generic_test("t", "unique", A, kwargs={"column_name": "id"})
    exposure = Exposure(unique_id="exposure.shop.e", name="e")
    nodes = [node("a", raw_code="{{ graph.nodes }}"), node("b"), seed, test]
    known = replace(definition(nodes, others=(source,)), exposures={exposure.unique_id: exposure})
    b = ModelId("model.shop.b")

    def edited(id_: str, **fields: Any) -> Definition:
        return replace(known, nodes={**known.nodes, id_: replace(known.nodes[id_], **fields)})

    for other in (
        edited(b, description="x"),
        edited(b, raw_code="select 2"),
        edited(seed.unique_id, checksum=Checksum("sha256", "2")),
        replace(known, others={**known.others, source: Other(description="x")}),
        replace(known, exposures={exposure.unique_id: replace(exposure, label="x")}),
    ):
        assert moves(known, other)
    # dbt renders the config of a generic test into its code, and where a node lies differs between environments
    assert not moves(known, edited(test.unique_id, raw_code="{{ config(severity='warn') }}"))
    assert not moves(known, edited(b, relation_name='"elsewhere"."b"'))
    quiet = definition([node("a"), node("b")])
    more = replace(quiet.nodes[b], description="x")
    assert not moves(quiet, replace(quiet, nodes={**quiet.nodes, b: more}))


def test_in_a_composition_the_graph_is_that_of_the_release_of_the_node() -> None:
    before = definition([node("a", raw_code="{{ graph.nodes }}"), node("b")])
    after = replace(before, nodes={**before.nodes, "model.shop.c": node("c")})
    assert moves(before, after)
    assert not moves(before, replace(after, graphs={A: before}))


@pytest.mark.parametrize(
    ("flags", "model", "tests"),
    [
        ({"require_ref_searches_node_package_before_root": True}, True, False),
        ({"some_adapter_flag": True}, True, False),
        ({"printer_width": 120, "use_colors": False, "partial_parse": False}, False, False),
        ({"require_generic_test_arguments_property": True}, False, True),
    ],
)
def test_flags_count_for_models_unless_they_are_known_not_to(
    flags: dict[str, object], model: bool, tests: bool
) -> None:
    known = definition([node("a"), generic_test("t", "unique", A)])
    one, other = (release_of(found).models[A] for found in (known, replace(known, flags=flags)))
    assert (one.version != other.version, one.tests != other.tests) == (model, tests)


@pytest.mark.parametrize("contract", ["config", "code", None])
def test_in_a_contract_order_and_quotes_of_columns_count(contract: str | None) -> None:
    code = "{{ config(contract={'enforced': true}) }} select 1" if contract == "code" else "select 1"
    two = {"id": Column(name="id", data_type="int"), "x": Column(name="x", data_type="int")}
    known = definition([node("a", raw_code=code, columns=two)])
    if contract == "config":
        known = written(known, config={"contract": {"enforced": True}})
    turned = with_fields(known, columns=dict(reversed(two.items())))
    quoted = with_fields(known, columns={**two, "x": replace(two["x"], quote=True)})
    assert (moves(known, turned), moves(known, quoted)) == ((contract is not None,) * 2)


@pytest.mark.parametrize("where", ["config", "code", None])
def test_the_event_time_of_a_source_counts_where_a_model_filters_by_it(where: str | None) -> None:
    source = "source.shop.raw.one"
    code = "{{ config(incremental_strategy='microbatch') }}" if where == "code" else "select 1"
    known = definition([node("a", source, raw_code=code)], others=(source,))
    if where == "config":
        known = written(known, config={"incremental_strategy": "microbatch"})
    other = replace(known, others={source: Other(config=OtherConfig(event_time="at"))})
    assert moves(known, other) is (where is not None)


def test_line_endings_are_no_difference() -> None:
    says = Macro("macro.shop.m", "m", "shop", "{% macro m() %}\nx\n{% endmacro %}")
    test = node("t", A, kind="test", raw_code="select 1\nwhere false")
    known = replace(
        definition([node("a", raw_code="{{ m() }}\nx", description="a\nb"), test]), macros={says.unique_id: says}
    )

    def windows(text: str) -> str:
        return text.replace("\n", "\r\n")

    a, t = known.nodes[A], known.nodes[test.unique_id]
    other = replace(
        known,
        nodes={
            A: replace(a, raw_code=windows(a.raw_code), description=windows(a.description)),
            test.unique_id: replace(t, raw_code=windows(t.raw_code)),
        },
        macros={says.unique_id: replace(says, macro_sql=windows(says.macro_sql))},
    )
    assert digests(known) == digests(other)


def digests(known: Definition) -> dict[str, tuple[object, ...]]:
    """Return every digest of every model."""

    def of(model: Model) -> tuple[object, ...]:
        return model.version, model.code, model.tests, model.meta

    return {id_: of(model) for id_, model in release_of(known).models.items()}


def test_a_model_of_another_project_is_a_place_to_read() -> None:
    foreign = "model.platform.customers"
    known = definition([node("a", foreign)], others=(foreign,))
    release = release_of(replace(known, others={foreign: Other(relation_name='"wh"."main"."customers"')}))
    assert (release.models[A].parents, dict(release.source_relations)) == ((), {foreign: '"wh"."main"."customers"'})
    assert version(known) != version(definition([node("a")]))


def test_vars_are_read_by_nodes_macros_yaml_and_nothing_else() -> None:
    reads = Macro("macro.shop.m", "m", "shop", "{% macro m() %}{{ var('by_macro') }}{% endmacro %}")
    dbts = Macro("macro.dbt.m", "m", "dbt", "{% macro m() %}{{ var('by_dbt') }}{% endmacro %}")
    known = replace(
        definition(
            [node("a", raw_code="{{ var('by_node') }}"), node("t", A, kind="test", raw_code="{{ var('by_test') }}")]
        ),
        macros={one.unique_id: one for one in (reads, dbts)},
        vars_in_yaml=frozenset({"by_yaml"}),
    )
    assert release_of(known).vars_read == {"by_node", "by_test", "by_macro", "by_yaml"}
    assert "*" in release_of(replace(known, written=None)).vars_read


def test_two_models_that_read_the_graph_find_the_same_in_it() -> None:
    code = "select {{ graph.nodes | length }} as n"
    found = release_of(definition([node("a", raw_code=code), node("b", raw_code=code)])).models
    more = release_of(definition([node("a", raw_code=code), node("b", raw_code=code), node("c")])).models
    assert found[ModelId("model.shop.a")].code == found[ModelId("model.shop.b")].code
    assert found[ModelId("model.shop.a")].code != more[ModelId("model.shop.a")].code
