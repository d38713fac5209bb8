"""Config as written, on a real dbt project in which everything asks for the target."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from airflow_dbt_promotion.core.definition import Definition, Origin
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts, read_definition
from tests.dbt.projects import TARGETS, dbt, parse, write_project

SEVERITY = "{{ 'error' if target.name == 'prod' else 'warn' }}"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the project, parsed for each of its targets. No test may change it."""
    project = write_project(tmp_path_factory.mktemp("shop"))
    for target in TARGETS:
        parse(project, target)
    return project


@pytest.fixture(scope="module")
def parsed(shop: Path) -> Mapping[str, Definition]:
    """Return what dbt's kept parse says, by target."""
    return {target: read_definition(shop / f"target_{target}", shop) for target in TARGETS}


@pytest.fixture
def own_shop(shop: Path, tmp_path: Path) -> Path:
    """Return a copy of the project with what was parsed for dev, to be changed."""
    return Path(shutil.copytree(shop, tmp_path / "shop", symlinks=False))


def test_nothing_of_a_target_is_in_what_is_written(parsed: Mapping[str, Definition]) -> None:
    first, *others = parsed.values()
    assert {definition.origin for definition in parsed.values()} == {Origin.PARSE}
    for other in others:
        assert other.written == first.written
        assert other.vars == first.vars
        assert other.dispatch == first.dispatch
        assert [(unit.given, unit.expect, unit.overrides) for unit in other.unit_tests.values()] == [
            (unit.given, unit.expect, unit.overrides) for unit in first.unit_tests.values()
        ]


def test_three_targets_make_the_same_versions_and_tests(parsed: Mapping[str, Definition]) -> None:
    releases = [release_of(definition) for definition in parsed.values()]
    assert len(releases[0].models) == 9
    for release in releases[1:]:
        assert {id_: (model.version, model.tests) for id_, model in release.models.items()} == {
            id_: (model.version, model.tests) for id_, model in releases[0].models.items()
        }


def test_the_manifest_itself_does_differ(parsed: Mapping[str, Definition]) -> None:
    rendered = {definition.nodes["model.shop.customers"].relation_name for definition in parsed.values()}
    assert len(rendered) == len(TARGETS)


def test_sources_on_disk_say_the_same_as_the_kept_parse(
    shop: Path, parsed: Mapping[str, Definition], tmp_path: Path
) -> None:
    for target, kept in parsed.items():
        (tmp_path / target).mkdir()
        shutil.copy(shop / f"target_{target}" / "manifest.json", tmp_path / target)
        read = read_definition(tmp_path / target, shop)
        assert read.origin is Origin.SOURCES
        assert read.written == kept.written
        assert (read.vars, read.dispatch, read.unit_tests) == (kept.vars, kept.dispatch, kept.unit_tests)


def test_the_kept_parse_needs_no_project_folder_while_the_sources_lie_where_they_lay(
    shop: Path, parsed: Mapping[str, Definition]
) -> None:
    read = read_definition(shop / "target_dev", None)
    assert read.origin is Origin.PARSE
    assert read.written == parsed["dev"].written


def test_folders_schema_file_and_root_project_are_merged_as_dbt_merges_them(parsed: Mapping[str, Definition]) -> None:
    written = parsed["dev"].written
    assert written is not None
    hook = "select '{{ target.name }}'"
    assert written["model.shop.marts"].config == {
        "post_hook": [hook, "select 2"],
        "materialized": "{{ 'ledger' if target.name == 'prod' else 'view' }}",
        "meta": {"owner": "data"},
        "persist_docs": {"relation": False},
    }
    assert written["model.shop.orders"].config == {
        "post_hook": [hook],
        "pre_hook": [hook],
        "materialized": "{{ 'table' if target.name == 'prod' else 'view' }}",
        "meta": {"owner": "data"},
        "access": "public",
    }
    assert written["model.tools.calendar"].config == {
        "materialized": "table",
        "meta": {"team": "{{ target.name }}"},
        "post_hook": [hook],
        "enabled": True,
        "tags": ["root"],
    }
    assert written["seed.shop.countries"].config["column_types"] == {
        "code": "{{ 'varchar(2)' if target.name == 'prod' else 'varchar' }}"
    }
    assert (
        written["snapshot.shop.orders_history"].config["hard_deletes"]
        == "{{ 'ignore' if target.name == 'dev' else 'invalidate' }}"
    )


def test_in_file_config_is_left_to_the_raw_code(parsed: Mapping[str, Definition]) -> None:
    written = parsed["dev"].written
    assert written is not None
    assert not {"alias", "tags"} & written["model.shop.customers"].config.keys()
    assert written["test.shop.no_customers_lost"].config == {"severity": SEVERITY, "store_failures": False}


def test_versions_of_a_model_have_their_own_config_over_that_of_the_model(parsed: Mapping[str, Definition]) -> None:
    written = parsed["dev"].written
    assert written is not None
    assert written["model.shop.report.v1"].config["materialized"] == "{{ 'view' if target.name == 'dev' else 'table' }}"
    assert written["model.shop.report.v2"].config["materialized"] == "table"
    assert written["model.shop.report.v2"].config["meta"] == {"owner": "data", "a": 1}


def test_columns_are_there_only_where_they_hold_jinja(parsed: Mapping[str, Definition]) -> None:
    written = parsed["dev"].written
    assert written is not None
    assert written["model.shop.customers"].columns == [
        {"name": "id", "data_type": "{{ 'bigint' if target.name == 'prod' else 'integer' }}"}
    ]
    assert [id_ for id_, found in written.items() if found.columns is not None] == ["model.shop.customers"]


def entries_of(definition: Definition, name: str) -> object:
    """Return what is written of the test whose id begins so; None where the manifest says it."""
    assert definition.written is not None
    (id_,) = [id_ for id_ in definition.nodes if id_.startswith(f"test.shop.{name}")]
    found = definition.written.get(id_)
    return found.test if found is not None else None


def test_a_generic_test_is_written_where_jinja_or_its_macro_would_render_it(parsed: Mapping[str, Definition]) -> None:
    definition = parsed["dev"]
    assert entries_of(definition, "not_null_customers_id") == [{"not_null": {"config": {"severity": SEVERITY}}}]
    assert entries_of(definition, "positive_customers_id") == ["positive"]
    assert entries_of(definition, "positive_plain_id") == ["positive"]
    assert entries_of(definition, "unique_orders_id") == [
        {"unique": {"arguments": {"column_name": "id"}, "config": {"where": "'{{ target.name }}' <> 'dev'"}}}
    ]
    assert entries_of(definition, "status_other") == [
        {"accepted_values": {"arguments": {"values": ["open", "closed"]}}},
        {
            "accepted_values": {
                "name": "status_other",
                "arguments": {"values": ["open", "{{ target.name }}"]},
                "config": {"severity": "warn"},
            }
        },
    ]
    assert entries_of(definition, "not_null_plain_id") is None
    assert entries_of(definition, "unique_report_v2_id") is None


def test_unit_tests_are_as_written_where_they_hold_jinja(parsed: Mapping[str, Definition]) -> None:
    (unit,) = parsed["prod"].unit_tests.values()
    given, fixtures = msgspec.json.decode(unit.given)
    assert given[0]["rows"] == [{"id": 1, "amount": "{{ 3 if target.name == 'prod' else 4 }}"}]
    assert fixtures == []


def test_vars_and_dispatch(parsed: Mapping[str, Definition]) -> None:
    definition = parsed["dev"]
    assert [(var.declared_in, var.scope, var.name, var.value) for var in definition.vars] == [
        ("shop", "", "cutoff", "2024-01-01"),
        ("shop", "shop", "currency", "EUR"),
        ("shop", "tools", "rounding", 2),
        ("tools", "", "rounding", 4),
        ("tools", "", "scale", {"small": 1, "large": 100}),
    ]
    assert definition.dispatch == [{"macro_namespace": "tools", "search_order": ["shop", "tools"]}]


# --- which text is that of the manifest -------------------------------------------------------------------------------


def test_a_command_that_parses_nothing_leaves_a_kept_parse_that_still_counts(
    own_shop: Path, parsed: Mapping[str, Definition]
) -> None:
    parse(own_shop, "dev")
    before = (own_shop / "target_dev" / "partial_parse.msgpack").read_bytes()
    parse(own_shop, "dev")
    assert (own_shop / "target_dev" / "partial_parse.msgpack").read_bytes() == before
    found = read_definition(own_shop / "target_dev", own_shop)
    kept = msgspec.msgpack.decode(before)["metadata"]["invocation_id"]
    assert found.invocation_id != kept
    assert found.origin is Origin.PARSE
    assert found.written == parsed["dev"].written


def test_an_edit_is_seen_after_a_partial_parse(own_shop: Path, parsed: Mapping[str, Definition]) -> None:
    schema = own_shop / "models" / "schema.yml"
    schema.write_text(schema.read_text().replace("access: public", "access: protected"))
    parse(own_shop, "dev")
    found = read_definition(own_shop / "target_dev", own_shop)
    assert found.origin is Origin.PARSE
    assert found.written is not None
    assert parsed["dev"].written is not None
    changed = {id_ for id_, written in found.written.items() if written != parsed["dev"].written.get(id_)}
    assert changed == {"model.shop.orders"}
    assert found.written["model.shop.orders"].config["access"] == "protected"


def test_a_manifest_does_not_take_a_later_parse_for_its_own(own_shop: Path) -> None:
    manifest = (own_shop / "target_dev" / "manifest.json").read_bytes()
    schema = own_shop / "models" / "schema.yml"
    schema.write_text(schema.read_text().replace("access: public", "access: protected"))
    parse(own_shop, "dev")
    (own_shop / "target_dev" / "manifest.json").write_bytes(manifest)
    assert read_definition(own_shop / "target_dev", None).origin is Origin.MANIFEST
    assert read_definition(own_shop / "target_dev", own_shop).origin is Origin.MANIFEST


def test_a_parse_that_dbt_took_from_elsewhere_is_not_the_one_beside_the_manifest(
    own_shop: Path,
) -> None:
    schema = own_shop / "models" / "schema.yml"
    before = schema.read_text()
    parse(own_shop, "dev")
    schema.write_text(before.replace("access: public", "access: protected"))
    elsewhere = parse(own_shop, "dev", folder="elsewhere") / "partial_parse.msgpack"
    parse(own_shop, "dev", "--partial-parse-file-path", str(elsewhere))
    schema.write_text(before)
    assert read_definition(own_shop / "target_dev", None).origin is Origin.MANIFEST


def test_a_snapshot_in_yaml_keeps_its_parse_when_its_file_changes_elsewhere(own_shop: Path) -> None:
    (own_shop / "snapshots").mkdir(exist_ok=True)
    file = own_shop / "snapshots" / "kept.yml"
    text = (
        "snapshots:\n  - name: kept\n    relation: ref('customers')\n"
        "    config: {unique_key: id, strategy: check, check_cols: all}\n"
        "  - name: other\n    relation: ref('customers')\n    description: %s\n"
        "    config: {unique_key: id, strategy: check, check_cols: all}\n"
    )
    file.write_text(text % "before")
    parse(own_shop, "dev")
    file.write_text(text % "after")
    parse(own_shop, "dev")
    assert read_definition(own_shop / "target_dev", own_shop).origin is Origin.PARSE
    (own_shop / "target_dev" / "partial_parse.msgpack").unlink()
    assert read_definition(own_shop / "target_dev", own_shop).origin is Origin.SOURCES


def test_a_project_file_that_was_edited_since_the_parse_is_not_read(own_shop: Path) -> None:
    parse(own_shop, "dev", "--no-partial-parse")
    for edited in ("dbt_project.yml", "dbt_packages/tools/dbt_project.yml"):
        file = own_shop / edited
        text = file.read_text()
        assert read_definition(own_shop / "target_dev", own_shop).origin is Origin.PARSE
        file.write_text(text + "\nclean-targets: [target]\n")
        assert read_definition(own_shop / "target_dev", own_shop).origin is Origin.MANIFEST
        file.write_text(text)


def test_sql_that_was_edited_since_the_parse_matters_only_without_the_kept_parse(
    own_shop: Path, parsed: Mapping[str, Definition]
) -> None:
    (own_shop / "models" / "plain.sql").write_text("select 2 as id")
    assert read_definition(own_shop / "target_dev", own_shop).written == parsed["dev"].written
    (own_shop / "target_dev" / "partial_parse.msgpack").unlink()
    assert read_definition(own_shop / "target_dev", own_shop).origin is Origin.MANIFEST


@pytest.mark.parametrize("damage", [b"", b"\x80", b"\xff\xff", b"\x83"])
def test_a_kept_parse_that_cannot_be_read_is_as_good_as_none(own_shop: Path, damage: bytes) -> None:
    (own_shop / "target_dev" / "partial_parse.msgpack").write_bytes(damage)
    assert read_definition(own_shop / "target_dev", own_shop).origin is Origin.SOURCES


def test_a_manifest_of_another_release_of_dbt_is_not_that_of_the_kept_parse(own_shop: Path) -> None:
    path = own_shop / "target_dev" / "manifest.json"
    document = json.loads(path.read_bytes())
    document["metadata"]["dbt_version"] = "2.0.0"
    path.write_text(json.dumps(document))
    assert read_definition(own_shop / "target_dev", own_shop).origin is Origin.SOURCES


def test_a_run_and_its_retry_are_read(own_shop: Path) -> None:
    target_path = own_shop / "target_dev"
    (own_shop / "tests" / "no_customers_lost.sql").write_text("select * from {{ ref('customers') }}")
    done = dbt(
        own_shop, "build", "--target", "prod", "--target-path", str(target_path), "--select", "customers", "orders+"
    )
    assert done.returncode == 1, done.stdout
    run, release = DbtArtifacts(own_shop).run(target_path)
    assert (run.command, run.target) == ("build", "prod")
    assert {entry.id for entry in run.results} <= set(release.models) | set(release.tests)
    assert dbt(own_shop, "retry", "--target-path", str(target_path)).returncode == 1
    again, same = DbtArtifacts(own_shop).run(target_path)
    assert again.command == "build"
    assert "test.shop.no_customers_lost" in {entry.id for entry in again.results}
    assert again.invocation_id != run.invocation_id
    assert {id_: model.version for id_, model in same.models.items()} == {
        id_: model.version for id_, model in release.models.items()
    }
