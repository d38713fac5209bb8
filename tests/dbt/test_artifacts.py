"""Reading manifest.json and run_results.json, and what is said when they cannot be read."""

from __future__ import annotations

import codecs
import gc
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.definition import Definition, Origin
from airflow_dbt_promotion.core.errors import (
    ArtifactError,
    InvocationMismatchError,
    MissingArtifactError,
    RunRefusedError,
    UnsupportedSchemaError,
)
from airflow_dbt_promotion.core.run import ResultStatus, Run
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts, read_definition
from airflow_dbt_promotion.dbt.results import read_run
from tests.dbt.documents import Json, manifest, node, result, results, written


def definition_of(folder: Path, document: object) -> Definition:
    """Read a manifest alone."""
    return read_definition(written(folder, "manifest.json", document), None)


def run_of(folder: Path, document: object) -> Run:
    """Read a run_results.json alone."""
    return read_run(written(folder, "run_results.json", document))


# --- manifest.json ----------------------------------------------------------------------------------------------------


def test_a_manifest_alone(tmp_path: Path) -> None:
    found = definition_of(tmp_path, manifest())
    assert found.project.name == "shop"
    assert found.origin is Origin.MANIFEST
    assert found.written is None
    assert found.generated_at == datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    assert found.nodes["model.shop.orders"].raw_code == "select 1"
    assert len(found.manifest) == 32


def test_everything_else_that_can_be_a_parent_is_known_by_id(tmp_path: Path) -> None:
    sections = {
        name: {f"{name}.x": {"unique_id": "whatever"}}
        for name in ("sources", "metrics", "semantic_models", "saved_queries")
    }
    assert definition_of(tmp_path, {**manifest(), **sections}).others.keys() == {f"{name}.x" for name in sections}


def test_functions_are_nodes(tmp_path: Path) -> None:
    functions = {"function.shop.half": node("function.shop.half", raw_code="x / 2")}
    assert definition_of(tmp_path, manifest(functions=functions)).nodes["function.shop.half"].raw_code == "x / 2"


@pytest.mark.parametrize("version", [10, 11, 12])
def test_schemas_that_are_read(tmp_path: Path, version: int) -> None:
    assert set(definition_of(tmp_path, manifest(version)).nodes) == {"model.shop.orders"}


@pytest.mark.parametrize("version", [1, 4, 7, 9])
def test_an_old_schema_says_which_dbt_is_needed(tmp_path: Path, version: int) -> None:
    document = manifest(version)
    document["metadata"]["dbt_version"] = "1.3.0"
    with pytest.raises(UnsupportedSchemaError, match=rf"v{version} of dbt 1\.3\.0; use dbt 1\.6 or newer"):
        definition_of(tmp_path, document)


def test_an_old_schema_is_named_even_where_its_shape_is_another(tmp_path: Path) -> None:
    document = manifest(2)
    document["nodes"] = [1, 2]
    with pytest.raises(UnsupportedSchemaError):
        definition_of(tmp_path, document)


@pytest.mark.parametrize("version", [12, 20])
def test_dbt_2_may_write_null_where_dbt_1_writes_nothing(tmp_path: Path, version: int) -> None:
    bare = node(
        "model.shop.orders",
        description=None,
        columns=None,
        tags=None,
        meta=None,
        depends_on={"macros": None, "nodes": []},
    )
    found = definition_of(tmp_path, manifest(version, nodes={"model.shop.orders": bare}, unit_tests=None))
    assert found.nodes["model.shop.orders"].description == ""
    assert found.nodes["model.shop.orders"].columns == {}


def test_dbt_2_without_code_is_refused(tmp_path: Path) -> None:
    document = manifest(20, nodes={"model.shop.orders": node("model.shop.orders", raw_code="--placeholder--")})
    with pytest.raises(ArtifactError, match="holds no code"):
        definition_of(tmp_path, document)


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_bytes(codecs.BOM_UTF8 + json.dumps(manifest()).encode())
    assert read_definition(tmp_path, None).project.name == "shop"


def test_a_missing_manifest_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match="dbt parse"):
        read_definition(tmp_path, None)
    with pytest.raises(MissingArtifactError):
        read_definition(tmp_path / "absent", None)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "no whole JSON document"),
        (json.dumps(manifest()).encode()[:200], "no whole JSON document"),
        (b"not json", "no whole JSON document"),
        (b'{"metadata": {"dbt_version": "\xff"}}', "no whole JSON document"),
        (b"[]", "no metadata.dbt_schema_version"),
        (b"{}", "no metadata.dbt_schema_version"),
        (b'{"metadata": 1}', "no metadata.dbt_schema_version"),
        (json.dumps(results()).encode(), "run-results"),
        (
            json.dumps(
                {**manifest(), "metadata": {"dbt_schema_version": "https://schemas.getdbt.com/dbt/catalog/v1.json"}}
            ).encode(),
            "catalog",
        ),
        (
            json.dumps(
                {**manifest(), "nodes": {"model.shop.orders": {**node("model.shop.orders"), "fqn": 1}}}
            ).encode(),
            r"\$\.nodes\[\.\.\.\]\.fqn",
        ),
        (
            json.dumps({**manifest(), "nodes": {"model.shop.other": node("model.shop.orders")}}).encode(),
            r"\$\.nodes\['model.shop.other'\]",
        ),
        (gzip.compress(b"{}", mtime=0), "gunzip"),
        (b'{"nodes": ' + b"[" * 100_000, "nested too deeply"),
    ],
)
def test_what_is_no_manifest_is_told_with_file_and_place(tmp_path: Path, data: bytes, told: str) -> None:
    (tmp_path / "manifest.json").write_bytes(data)
    with pytest.raises(ArtifactError, match=told) as caught:
        read_definition(tmp_path, None)
    assert caught.value.path == str(tmp_path / "manifest.json")


def test_a_folder_in_place_of_a_manifest_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").mkdir()
    with pytest.raises(ArtifactError, match="cannot be read"):
        read_definition(tmp_path, None)


def test_a_manifest_without_a_project_is_refused(tmp_path: Path) -> None:
    document = manifest()
    document["metadata"]["project_name"] = None
    with pytest.raises(ArtifactError, match="project_name"):
        definition_of(tmp_path, document)


def test_the_cyclic_collector_is_left_as_it_was(tmp_path: Path) -> None:
    definition_of(tmp_path, manifest())
    assert gc.isenabled()
    (tmp_path / "manifest.json").write_bytes(b"{")
    with pytest.raises(ArtifactError):
        read_definition(tmp_path, None)
    assert gc.isenabled()
    gc.disable()
    try:
        definition_of(tmp_path, manifest())
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_was_frozen_stays_frozen_and_what_was_not_can_be_collected(tmp_path: Path) -> None:
    definition_of(tmp_path, manifest())
    assert gc.get_freeze_count() == 0
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        definition_of(tmp_path, manifest())
        assert 0 < gc.get_freeze_count() <= frozen
    finally:
        gc.unfreeze()


def test_a_manifest_that_did_not_change_is_not_read_again(tmp_path: Path) -> None:
    reader = DbtArtifacts()
    first = reader.release(written(tmp_path, "manifest.json", manifest()))
    assert reader.release(tmp_path) is first
    written(tmp_path, "manifest.json", manifest(invocation="run-2"))
    assert reader.release(tmp_path).invocation_id == "run-2"


# --- run_results.json -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("unique_id", "status", "expected"),
    [
        ("model.shop.a", "success", ResultStatus.SUCCESS),
        ("seed.shop.a", "success", ResultStatus.SUCCESS),
        ("snapshot.shop.a", "success", ResultStatus.SUCCESS),
        ("function.shop.a", "success", ResultStatus.SUCCESS),
        ("model.shop.a", "error", ResultStatus.FAILED),
        ("model.shop.a", "partial success", ResultStatus.FAILED),
        ("model.shop.a", "skipped", ResultStatus.SKIPPED),
        ("model.shop.a", "no-op", ResultStatus.OTHER),
        ("model.shop.a", "reused", ResultStatus.OTHER),
        ("model.shop.a", "pass", ResultStatus.OTHER),
        ("test.shop.a.0", "pass", ResultStatus.PASS),
        ("test.shop.a.0", "warn", ResultStatus.WARN),
        ("test.shop.a.0", "fail", ResultStatus.FAIL),
        ("test.shop.a.0", "error", ResultStatus.ERROR),
        ("test.shop.a.0", "skipped", ResultStatus.SKIPPED),
        ("test.shop.a.0", "success", ResultStatus.OTHER),
        ("unit_test.shop.a.b", "pass", ResultStatus.PASS),
        ("unit_test.shop.a.b", "fail", ResultStatus.FAIL),
        ("exposure.shop.a", "no-op", ResultStatus.OTHER),
        ("operation.shop.a", "success", ResultStatus.OTHER),
    ],
)
def test_statuses_by_kind_of_node(tmp_path: Path, unique_id: str, status: str, expected: ResultStatus) -> None:
    run = run_of(tmp_path, results(result(unique_id, status)))
    assert [(entry.id, entry.status) for entry in run.results] == [(unique_id, expected)]


def test_times_message_and_relation(tmp_path: Path) -> None:
    timing = [
        {"name": "compile", "started_at": "2026-01-02T03:05:00Z", "completed_at": "2026-01-02T03:05:01Z"},
        {"name": "execute", "started_at": "2026-01-02T03:06:00", "completed_at": "2026-01-02T05:07:00+02:00"},
    ]
    entry = result(
        "model.shop.a", "error", timing=timing, message="\x1b[31mno\x1b[0m " + "x" * 900, relation_name='"db"."s"."a"'
    )
    broken = result("model.shop.b", "error", timing=timing[:1], message=7)
    run = run_of(tmp_path, results(entry, broken))
    found = run.results[0]
    assert found.started_at == datetime(2026, 1, 2, 3, 6, tzinfo=UTC)
    assert found.completed_at == datetime(2026, 1, 2, 3, 7, tzinfo=UTC)
    assert found.message.startswith("no xxx")
    assert len(found.message) == 500
    assert found.relation == '"db"."s"."a"'
    assert run.results[1].completed_at == datetime(2026, 1, 2, 3, 5, 1, tzinfo=UTC)
    assert run.results[1].message == "7"
    assert run.started_at == datetime(2026, 1, 2, 3, 5, tzinfo=UTC)
    assert run.finished_at == datetime(2026, 1, 2, 3, 10, tzinfo=UTC)


def test_a_run_begins_when_dbt_says_so(tmp_path: Path) -> None:
    document = results()
    assert run_of(tmp_path, document).started_at == datetime(2026, 1, 2, 3, 10, tzinfo=UTC)
    document["metadata"]["invocation_started_at"] = "2026-01-02T03:00:00Z"
    assert run_of(tmp_path, document).started_at == datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"cutoff": 1}, {"cutoff": 1}), ({}, {}), (None, {}), ("{cutoff: 1}", {"cutoff": 1}), ("", {})],
)
def test_vars_of_the_command_line(tmp_path: Path, given: object, expected: object) -> None:
    assert run_of(tmp_path, results(vars=given)).vars == expected


def test_vars_that_are_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"args\.vars"):
        run_of(tmp_path, results(vars="{"))


def test_target_and_full_refresh_are_there_when_given(tmp_path: Path) -> None:
    bare = run_of(tmp_path, results())
    assert (bare.target, bare.full_refresh) == (None, False)
    told = run_of(tmp_path, results(target="prod", full_refresh=True))
    assert (told.target, told.full_refresh, told.command) == ("prod", True, "build")


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"which": "generate"}, "dbt generate"),
        ({"which": "run-operation"}, "dbt run-operation"),
        ({"which": "compile"}, "dbt compile"),
        ({"which": None}, "does not name"),
    ],
)
def test_runs_that_prove_nothing(tmp_path: Path, args: Json, told: str) -> None:
    with pytest.raises(RunRefusedError, match=told):
        run_of(tmp_path, results(**args))


@pytest.mark.parametrize("command", ["build", "run", "seed", "snapshot", "test"])
def test_commands_that_may_prove_something(tmp_path: Path, command: str) -> None:
    assert run_of(tmp_path, results(which=command)).command == command


@pytest.mark.parametrize(
    ("document", "told"),
    [
        (manifest(), "is no run-results"),
        ({**results(), "results": [{"unique_id": 1, "status": "success"}]}, r"\$\.results\[0\]\.unique_id"),
        ({**results(), "metadata": {**results()["metadata"], "generated_at": "yesterday"}}, "generated_at"),
        ({**results(), "metadata": {**results()["metadata"], "invocation_id": None}}, "invocation"),
    ],
)
def test_what_is_no_run_results(tmp_path: Path, document: object, told: str) -> None:
    with pytest.raises(ArtifactError, match=told):
        run_of(tmp_path, document)


def test_old_and_missing_run_results(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifactError, match="dbt build"):
        read_run(tmp_path)
    document = results()
    document["metadata"]["dbt_schema_version"] = "https://schemas.getdbt.com/dbt/run-results/v2.json"
    with pytest.raises(UnsupportedSchemaError):
        run_of(tmp_path, document)


def test_a_run_comes_with_the_release_that_it_ran_on(tmp_path: Path) -> None:
    written(tmp_path, "manifest.json", manifest())
    written(tmp_path, "run_results.json", results(result("model.shop.orders", "success")))
    run, release = DbtArtifacts().run(tmp_path)
    assert run.invocation_id == release.invocation_id == "run-1"
    assert [entry.id for entry in run.results] == list(release.models)


def test_a_run_of_another_invocation_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "manifest.json", manifest(invocation="run-2"))
    written(tmp_path, "run_results.json", results())
    with pytest.raises(InvocationMismatchError) as caught:
        DbtArtifacts().run(tmp_path)
    assert (caught.value.run, caught.value.manifest) == ("run-1", "run-2")


def test_a_kept_manifest_that_was_handed_to_dbt_vouches_for_the_run(tmp_path: Path) -> None:
    kept = DbtArtifacts().release(written(tmp_path, "manifest.json", manifest(invocation="parse")))
    (tmp_path / "run").mkdir()
    written(tmp_path / "run", "run_results.json", results())
    assert DbtArtifacts().run(tmp_path / "run", handed=kept)[1] is kept
