"""dbt_project.yml and schema files as written, and sources on disk that are, or are not, those of a manifest."""

# ruff: noqa: E501 - YAML stands here as people write it

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from airflow_dbt_promotion.core.definition import AsWritten, Origin
from airflow_dbt_promotion.core.errors import ArtifactError
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts, read_definition
from airflow_dbt_promotion.dbt.project_file import ProjectFile, load_yaml, merged, plain, read_project, reads_vars_file
from airflow_dbt_promotion.dbt.schema_file import JinjaIn, SchemaFile, packed
from tests.dbt.documents import Json, manifest, node, written

HERE = Path("schema.yml")


def schema_file(text: str) -> SchemaFile:
    """Return a schema file from its YAML."""
    return SchemaFile(packed(load_yaml(HERE, text)))


# --- dbt_project.yml --------------------------------------------------------------------------------------------------


def test_levels_follow_the_folders_and_stop_where_the_file_says_nothing() -> None:
    project = ProjectFile({"models": {"+a": 1, "b": 2, "shop": {"+a": 3, "marts": {"+c": {"d": 1}, "x": {"+a": 4}}}}})
    assert project.levels("models", ("shop", "marts", "orders")) == ({"a": 1, "b": 2}, {"a": 3}, {"c": {"d": 1}})
    assert project.levels("models", ("shop", "other", "x")) == ({"a": 1, "b": 2}, {"a": 3})
    assert project.levels("models", ("shop", "marts", "a")) is project.levels("models", ("shop", "marts", "b"))
    assert project.levels("seeds", ("shop",)) == ()


def test_tests_is_the_old_name_of_data_tests() -> None:
    assert ProjectFile({"tests": {"+severity": "warn"}}).levels("data_tests", ()) == ({"severity": "warn"},)
    assert ProjectFile({"tests": {"+severity": "warn"}, "data_tests": {}}).levels("data_tests", ()) == ()


def test_hooks_and_tags_are_joined_mappings_laid_over_each_other_and_the_nearest_wins_else() -> None:
    assert merged(
        [
            {"pre-hook": "a", "tags": "x", "meta": {"a": 1, "b": 1}, "materialized": "view", "unique_key": ["a"]},
            {
                "pre_hook": ["b", {"sql": "c"}],
                "tags": ["y"],
                "meta": {"b": 2},
                "materialized": "table",
                "unique_key": ["b"],
            },
            {"post_hook": None},
        ]
    ) == {
        "pre_hook": ["a", "b", {"sql": "c"}],
        "tags": ["x", "y"],
        "meta": {"a": 1, "b": 2},
        "materialized": "table",
        "unique_key": ["b"],
        "post_hook": [],
    }


def test_keys_become_text_and_dates_stay_text() -> None:
    value = load_yaml(HERE, "a: 2024-01-02\nb: {7: x, true: y, null: z, 2.5: q}\nc: [2024-01-02T03:04:05Z]\n")
    assert plain(value) == {
        "a": "2024-01-02",
        "b": {"7": "x", "true": "y", "null": "z", "2.5": "q"},
        "c": ["2024-01-02T03:04:05+00:00"],
    }


@pytest.mark.parametrize("text", ["a: [", "- a", "text", "a: 2024-99-99"])
def test_what_is_no_mapping_is_an_error_that_names_the_file(text: str) -> None:
    with pytest.raises(ArtifactError, match=r"schema\.yml"):
        load_yaml(HERE, text)


def test_an_empty_file_holds_nothing() -> None:
    assert load_yaml(HERE, "# nothing\n") == {}


def test_vars_under_a_package_name_are_that_package_s() -> None:
    project = ProjectFile({"name": "shop", "vars": {"a": {"b": 1}, "shop": {"c": 2}, "tools": {"d": {"e": 3}}}})
    assert [(var.scope, var.name, var.value) for var in project.vars(["shop", "tools"])] == [
        ("", "a", {"b": 1}),
        ("shop", "c", 2),
        ("tools", "d", {"e": 3}),
    ]


def test_vars_yml_counts_from_dbt_1_12_on(tmp_path: Path) -> None:
    (tmp_path / "vars.yml").write_text("vars: {a: 1}\n")
    assert [var.name for var in read_project(tmp_path, "name: shop", vars_file=True).vars([])] == ["a"]
    assert list(read_project(tmp_path, "name: shop", vars_file=False).vars([])) == []
    assert [reads_vars_file(version) for version in ("1.11.16", "1.12.0", "2.0.0-beta.3", "1.9", "unknown", "")] == [
        False,
        True,
        True,
        False,
        False,
        False,
    ]


# --- schema files -----------------------------------------------------------------------------------------------------


def test_what_stands_beside_config_counts_as_config() -> None:
    entry = schema_file(
        "models: "
        "[{name: a, meta: {x: 1}, access: public, contract: {enforced: true}, config: {access: private}, constraints: [{type: check}]}]"
    ).entry("models", "a")
    assert entry is not None
    assert entry.config_of(None) == {
        "access": "private",
        "meta": {"x": 1},
        "contract": {"enforced": True},
        "constraints": [{"type": "check"}],
    }


def test_arguments_and_result_of_a_function_are_what_it_is() -> None:
    entry = schema_file(
        "functions: [{name: f, arguments: [{name: x, data_type: int}], returns: {data_type: int}}]"
    ).entry("functions", "f")
    assert entry is not None
    assert entry.config_of(None) == {"arguments": [{"name": "x", "data_type": "int"}], "returns": {"data_type": "int"}}


def test_the_config_of_one_version_lies_over_that_of_the_model() -> None:
    text = (
        "models: "
        "[{name: a, config: {meta: {x: 1, y: 1}, tags: [t], p: 1}, versions: [{v: 1}, {v: '2', config: {meta: {y: 2}, tags: [u], p: 2}, access: public}]}]"
    )
    entry = schema_file(text).entry("models", "a")
    assert entry is not None
    assert entry.config_of(1) == {"meta": {"x": 1, "y": 1}, "tags": ["t"], "p": 1}
    assert entry.config_of(2) == {"meta": {"x": 1, "y": 2}, "tags": ["u", "t"], "p": 2, "access": "public"}


def test_empty_keys_say_nothing() -> None:
    entry = schema_file("models: [{name: a, config: , columns: , data_tests: , versions: }]\nseeds:\n").entry(
        "models", "a"
    )
    assert entry is not None
    assert (entry.config_of(None), entry.columns_of(None)) == ({}, None)
    assert entry.jinja() == JinjaIn(columns=False, tests=False)


def test_jinja_in_a_description_is_none_of_a_column() -> None:
    text = (
        "models: "
        "[{name: a, columns: [{name: x, description: '{{ doc(1) }}', data_type: int, data_tests: [{unique: {description: '{{ y }}'}}]}]}]"
    )
    entry = schema_file(text).entry("models", "a")
    assert entry is not None
    assert entry.columns_of(None) is None
    assert entry.jinja() == JinjaIn(columns=False, tests=True)
    assert entry.matching(None, "x", "unique") == [{"unique": {}}]


@pytest.mark.parametrize(
    ("said", "columns", "tests"),
    [
        ("columns: [{name: x, description: '{{ doc(1) }}', tests: [unique]}]", False, False),
        ("columns: [{name: x, data_type: '{{ t }}', tests: [unique]}]", True, False),
        ("columns: [{name: x, '{{ k }}': 1}]", True, False),
        ("columns: [{name: x, tests: ['{{ t }}']}]", False, True),
        ("columns: [{name: x, data_tests: [{odd: {at: '{% if a %}'}}]}]", False, True),
        ("data_tests: ['{{ t }}']", False, True),
        ("versions: [{v: 1, columns: [{name: x, data_type: '{{ t }}'}]}]", True, False),
        ("versions: [{v: 1, tests: ['{{ t }}']}]", False, True),
        ("columns: [{1: '{{ x }}'}]", True, True),
    ],
)
def test_where_jinja_may_stand_is_told_from_packed_bytes(said: str, columns: bool, tests: bool) -> None:
    entry = schema_file(f"models: [{{name: a, {said}}}]").entry("models", "a")
    assert entry is not None
    found = entry.jinja()
    assert (found.columns, found.tests) == (columns, tests)


def test_a_test_is_found_by_column_and_name_else_by_name_else_all_are() -> None:
    text = """
    models:
      - name: a
        tests:
          - tools.odd: {where: "{{ w }}"}
          - {name: own, test_name: unique, column_name: y}
        columns:
          - {name: X, tests: [unique, {accepted_values: {values: [1]}}]}
          - {name: "{{ z }}", data_tests: [not_null]}
    """
    entry = schema_file(text).entry("models", "a")
    assert entry is not None
    assert entry.matching(None, '"x"', "unique") == ["unique"]
    assert entry.matching(None, None, "unique") == [{"name": "own", "test_name": "unique", "column_name": "y"}]
    assert entry.matching(None, None, "tools.odd") == [{"tools.odd": {"where": "{{ w }}"}}]
    assert entry.matching(None, "z", "not_null") == ["not_null"]
    assert len(entry.matching(None, "x", "{{ name }}")) == 5


def test_tests_of_sources_are_found_where_jinja_stands_in_them() -> None:
    text = (
        "sources: "
        "[{name: s, tables: [{name: t, data_tests: [{relationships: {arguments: {to: ref('a')}, config: {where: WHERE}}}]}]}]"
    )
    plain_file, asking = (
        schema_file(text.replace("WHERE", "x")),
        schema_file(text.replace("WHERE", "'{{ target.name }}'")),
    )
    assert plain_file.source_tests("relationships") == []
    assert asking.source_tests("relationships") == [
        {"relationships": {"arguments": {"to": "ref('a')"}, "config": {"where": "{{ target.name }}"}}}
    ]
    assert asking.source_tests("unique") == []


def test_dates_in_the_kept_parse_are_the_text_that_yaml_had() -> None:
    begin = msgspec.msgpack.Ext(1, date(2024, 1, 2).isoformat().encode())
    kept = msgspec.msgpack.encode({"models": [{"name": "a", "config": {"begin": begin}}]})
    text = schema_file("models: [{name: a, config: {begin: 2024-01-02}}]")
    for file in (SchemaFile(kept), text):
        entry = file.entry("models", "a")
        assert entry is not None
        assert entry.config_of(None) == {"begin": "2024-01-02"}


# --- sources on disk --------------------------------------------------------------------------------------------------


def checksum(text: str) -> Json:
    """Return dbt's checksum of a file with this text."""
    return {"name": "sha256", "checksum": hashlib.sha256(text.strip().encode()).hexdigest()}


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """Return a project of a model and a seed over 1 MiB, with the manifest in `target`."""
    sql, seed = "select 1 as id\n", "id\n" + "1234567\n" * 140_000
    (tmp_path / "dbt_project.yml").write_text(
        "name: shop\nmodels: {shop: {+materialized: table}}\nvars: {cutoff: 2024-01-01}\n"
    )
    for folder in ("models", "seeds", "target"):
        (tmp_path / folder).mkdir()
    (tmp_path / "models" / "orders.sql").write_text(sql)
    (tmp_path / "models" / "schema.yml").write_text("models: [{name: orders, config: {unique_key: id}}]\n")
    (tmp_path / "seeds" / "big.csv").write_text(seed)
    orders = node(
        "model.shop.orders",
        raw_code=sql.strip(),
        checksum=checksum(sql),
        patch_path="shop://models/schema.yml",
        unrendered_config={"materialized": "table", "unique_key": "id"},
    )
    big = node(
        "seed.shop.big",
        original_file_path="seeds/big.csv",
        raw_code="",
        unrendered_config={},
        checksum={"name": "path", "checksum": "seeds/big.csv"},
    )
    written(tmp_path / "target", "manifest.json", manifest(nodes={"model.shop.orders": orders, "seed.shop.big": big}))
    return tmp_path


def test_sources_are_read_where_every_checksum_holds(shop: Path) -> None:
    found = read_definition(shop / "target", shop)
    assert found.origin is Origin.SOURCES
    assert found.written == {
        "model.shop.orders": AsWritten(config={"materialized": "table", "unique_key": "id"}),
        "seed.shop.big": AsWritten(),
    }
    assert [(var.name, var.value) for var in found.vars] == [("cutoff", "2024-01-01")]
    assert found.nodes["seed.shop.big"].checksum.name == "sha256"
    assert (
        found.nodes["seed.shop.big"].checksum.checksum
        == hashlib.sha256((shop / "seeds" / "big.csv").read_bytes().strip()).hexdigest()
    )


def edit(name: str, text: str) -> Callable[[Path], Any]:
    """Return an edit of one file."""
    return lambda project: (project / name).write_text(text)


@pytest.mark.parametrize(
    "change",
    [
        edit("models/orders.sql", "select 2 as id"),
        edit("models/schema.yml", "models: [{name: orders, config: {unique_key: other}}]"),
        edit("models/schema.yml", "models: [{name: orders, config: {unique_key: id, cluster_by: id}}]"),
        edit("models/schema.yml", "models: [{name: orders}]"),
        edit("models/schema.yml", "models: ["),
        edit("dbt_project.yml", "name: shop\nmodels: {shop: {+materialized: view}}\n"),
        edit("dbt_project.yml", "name: other\nmodels: {shop: {+materialized: table}}\n"),
        edit("dbt_project.yml", "]"),
        lambda project: (project / "models" / "schema.yml").unlink(),
        lambda project: (project / "models" / "orders.sql").write_bytes(b"\xff"),
        lambda project: (project / "seeds" / "big.csv").unlink(),
        lambda project: (project / "dbt_project.yml").unlink(),
    ],
)
def test_sources_that_are_no_longer_those_of_the_manifest_are_not_read(
    shop: Path, change: Callable[[Path], Any]
) -> None:
    change(shop)
    found = read_definition(shop / "target", shop)
    assert found.origin is Origin.MANIFEST
    assert (found.written, found.vars, found.dispatch) == (None, (), None)


def test_jinja_and_in_file_config_contradict_nothing(shop: Path) -> None:
    path = shop / "target" / "manifest.json"
    document = json.loads(path.read_text())
    document["nodes"]["model.shop.orders"]["unrendered_config"]["unique_key"] = "rendered"
    path.write_text(json.dumps(document))
    assert read_definition(shop / "target", shop).origin is Origin.MANIFEST
    (shop / "models" / "schema.yml").write_text("models: [{name: orders, config: {unique_key: '{{ key }}'}}]")
    assert read_definition(shop / "target", shop).origin is Origin.SOURCES
    sql = "{{ config(unique_key='rendered') }} select 1"
    (shop / "models" / "orders.sql").write_text(sql)
    document["nodes"]["model.shop.orders"].update(raw_code=sql, checksum=checksum(sql))
    path.write_text(json.dumps(document))
    (shop / "models" / "schema.yml").write_text("models: [{name: orders}]")
    assert read_definition(shop / "target", shop).origin is Origin.SOURCES


def test_a_manifest_of_another_project_is_read_as_it_is(shop: Path) -> None:
    path = shop / "target" / "manifest.json"
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "metadata": {**document["metadata"], "project_name": "other"}}))
    found = read_definition(shop / "target", shop)
    assert (found.origin, found.project.name) == (Origin.MANIFEST, "other")


def test_a_package_of_the_manifest_that_is_not_installed_leaves_the_manifest_alone(shop: Path) -> None:
    path = shop / "target" / "manifest.json"
    document = json.loads(path.read_text())
    macros = {
        f"macro.{package}.m": {"unique_id": f"macro.{package}.m", "name": "m", "package_name": package, "macro_sql": ""}
        for package in ("dbt", "tools")
    }
    path.write_text(json.dumps({**document, "macros": macros}))
    assert read_definition(shop / "target", shop).origin is Origin.MANIFEST
    (shop / "dbt_packages" / "tools").mkdir(parents=True)
    (shop / "dbt_packages" / "tools" / "dbt_project.yml").write_text("name: tools\n")
    assert read_definition(shop / "target", shop).origin is Origin.SOURCES


def test_a_big_seed_that_is_not_at_hand_stays_as_dbt_found_it(shop: Path) -> None:
    assert read_definition(shop / "target", None).nodes["seed.shop.big"].checksum.name == "path"


def test_fixtures_of_a_unit_test_stay_as_dbt_read_them(shop: Path) -> None:
    path = shop / "target" / "manifest.json"
    unit = {
        "unique_id": "unit_test.shop.orders.u",
        "name": "u",
        "package_name": "shop",
        "model": "orders",
        "original_file_path": "models/schema.yml",
        "given": [{"input": "ref('a')", "rows": [{"id": 1}]}, {"input": "ref('b')", "rows": [{"env": "dev"}]}],
        "expect": {"rows": [{"id": 2}]},
        "overrides": None,
        "depends_on": {"nodes": ["model.shop.orders"]},
    }
    document = json.loads(path.read_text())
    path.write_text(json.dumps({**document, "unit_tests": {unit["unique_id"]: unit}}))
    (shop / "models" / "schema.yml").write_text(
        "models: [{name: orders, config: {unique_key: id}}]\n"
        "unit_tests: "
        "[{name: u, model: orders, given: [{input: ref('a'), fixture: f}, {input: ref('b'), rows: [{env: '{{ target.name }}'}]}], expect: {fixture: g}}]\n"
    )
    (found,) = read_definition(shop / "target", shop).unit_tests.values()
    given = json.loads(bytes(found.given))
    assert given[0][1] == {"input": "ref('b')", "rows": [{"env": "{{ target.name }}"}]}
    assert given[1] == [[{"id": 1}], [{"id": 2}]]
    assert json.loads(bytes(found.expect)) == {"fixture": "g"}


def test_a_release_of_less_than_the_parse_is_read_again_when_something_beside_the_manifest_changed(shop: Path) -> None:
    reader = DbtArtifacts(shop)
    first = reader.release(shop / "target")
    assert reader.release(shop / "target") is first
    (shop / "dbt_project.yml").write_text("name: shop\nmodels: {shop: {+materialized: view}}\n")
    os.utime(shop / "dbt_project.yml", ns=(1, 1))
    assert (first.origin, reader.release(shop / "target").origin) == (Origin.SOURCES, Origin.MANIFEST)
