"""Selectors are tried on a real dbt, with names that its selection syntax would misread."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject, IndirectSelection
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.dbt.selection import SelectableNode, UnselectableError, selectors_for

MODELS = (
    "orders",
    "orders/lines",  # `orders` is a folder, too
    "orders.lines",  # dots part names like folders
    "lines.v2",
    "a b/c d",
    "p,q",
    "p-q",
    "+plus+",
    "x+3",
    "@at",
    "tag:x",
    "st*r",
    "star",
    "q?[a]",
    "m.sql",
    "Ünï",
    "multi_v1",
    "multi_v2",
)
SCHEMA = """
models:
  - name: orders
    columns:
      - name: id
        data_tests: [unique, not_null: {name: "my, odd + test: *"}, not_null: {name: same}]
  - name: star
    columns: [{name: id, data_tests: [not_null: {name: same}]}]
  - name: multi
    latest_version: 2
    versions: [{v: 1}, {v: 2}]
    columns: [{name: id, data_tests: [unique]}]
unit_tests:
  - {name: orders, model: orders, given: [], expect: {rows: [{id: 1}]}}
  - {name: same, model: orders, given: [], expect: {rows: [{id: 1}]}}
  - {name: same, model: star, given: [], expect: {rows: [{id: 1}]}}
exposures:
  - {name: orders, type: dashboard, owner: {name: somebody}, depends_on: [ref('star')]}
"""
SNAPSHOTS = """
snapshots:
  - {name: orders_over_time, relation: ref('orders'), config: {unique_key: id, strategy: check, check_cols: all}}
"""


class _Depends(msgspec.Struct):
    nodes: tuple[str, ...] = ()


class _Node(msgspec.Struct):
    unique_id: str
    resource_type: str
    package_name: str
    fqn: tuple[str, ...]
    original_file_path: str
    depends_on: _Depends


class _Manifest(msgspec.Struct):
    nodes: dict[str, _Node]
    unit_tests: dict[str, _Node]
    exposures: dict[str, _Node]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    home = tmp_path_factory.mktemp("odd")
    files = {f"models/{name}.sql": "select 1 as id" for name in MODELS}
    files |= {
        "models/schema.yml": SCHEMA,
        "snapshots/snapshots.yml": SNAPSHOTS,
        "tests/orders_hold.sql": "select 1 where false",
    }
    files |= {"seeds/seedy.sd.csv": "id\n1\n"}
    files["dbt_project.yml"] = (
        "{name: odd, version: '1.0', profile: odd, flags: {require_resource_names_without_spaces: false}}"
    )
    files["profiles.yml"] = "odd: {target: dev, outputs: {dev: {type: duckdb, path: odd.duckdb}}}"
    for name, text in files.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text, encoding="utf-8")
    project = DbtProject(project_dir=home, target_path=home / "target_dev")
    InProcessRunner().invoke(project, DbtInvocation(command=DbtCommand.PARSE))
    return project


@pytest.fixture(scope="module")
def nodes(project: DbtProject) -> dict[str, SelectableNode]:
    manifest = msgspec.json.decode((project.target_path / "manifest.json").read_bytes(), type=_Manifest)
    return {
        node.unique_id: SelectableNode(
            unique_id=node.unique_id,
            resource_type=node.resource_type,
            package=node.package_name,
            fqn=node.fqn,
            file=node.original_file_path,
            parents=node.depends_on.nodes,
        )
        for node in (*manifest.nodes.values(), *manifest.unit_tests.values(), *manifest.exposures.values())
    }


def listed(project: DbtProject, select: tuple[str, ...]) -> list[str]:
    asked = DbtInvocation(command=DbtCommand.LS, select=select, indirect_selection=IndirectSelection.EMPTY)
    return sorted(InProcessRunner().invoke(project, asked).listed)


def test_each_node_is_selected_alone(project: DbtProject, nodes: dict[str, SelectableNode]) -> None:
    planned = [node for node in nodes.values() if node.resource_type != "exposure"]
    assert {node.resource_type for node in planned} == {"model", "seed", "snapshot", "test", "unit_test"}
    assert len(planned) == len(MODELS) + 1 + 1 + 1 + 6 + 3

    found = {node.unique_id: listed(project, selectors_for([node], nodes.values())) for node in planned}

    assert found == {node.unique_id: [node.unique_id] for node in planned}


def test_several_are_selected_together_and_nothing_else(project: DbtProject, nodes: dict[str, SelectableNode]) -> None:
    planned = [
        node
        for node in nodes.values()
        if node.fqn[-1] in {"same", "orders", "lines", "c d", "v2", "seedy.sd"} and node.resource_type != "exposure"
    ]
    assert len(planned) == 10

    assert listed(project, selectors_for(planned, nodes.values())) == sorted(node.unique_id for node in planned)


def test_a_build_of_a_selection_runs_exactly_that(project: DbtProject, nodes: dict[str, SelectableNode]) -> None:
    planned = [
        nodes["model.odd.orders"],
        nodes["unit_test.odd.orders.same"],
        nodes["model.odd.multi.v2"],
        nodes["seed.odd.seedy.sd"],
    ]
    asked = DbtInvocation(
        command=DbtCommand.BUILD,
        select=selectors_for(planned, nodes.values()),
        indirect_selection=IndirectSelection.EMPTY,
    )

    assert InProcessRunner().invoke(project, asked).success

    results = msgspec.json.decode((project.target_path / "run_results.json").read_bytes())["results"]
    assert sorted(result["unique_id"] for result in results) == sorted(node.unique_id for node in planned)


def node(unique_id: str, *fqn: str, file: str = "models/a.sql", parents: tuple[str, ...] = ()) -> SelectableNode:
    resource_type, package, *_ = unique_id.split(".")
    return SelectableNode(
        unique_id=unique_id, resource_type=resource_type, package=package, fqn=fqn, file=file, parents=parents
    )


def test_an_ordinary_name_makes_a_short_selector() -> None:
    assert selectors_for([node("model.shop.orders", "shop", "marts", "orders")]) == ("fqn:shop.marts.order[s]",)


def test_the_same_path_in_another_package_is_left_out() -> None:
    ours = node("model.shop.orders", "shop", "orders")
    theirs = node("model.other.orders", "other", "shop", "orders")

    assert selectors_for([ours], [theirs]) == ("fqn:shop.order[s],resource_type:model,package:shop,file:a.sql",)


def test_nodes_that_dbt_cannot_tell_apart_are_refused_unless_all_are_planned() -> None:
    one = node("test.shop.same.1", "shop", "same", parents=("model.shop.a",))
    two = node("test.shop.same.2", "shop", "same", parents=("model.shop.a",))

    with pytest.raises(UnselectableError, match=r"test.shop.same.1 without test.shop.same.2"):
        selectors_for([one], [one, two])
    assert selectors_for([one, two], [one, two]) == ("fqn:shop.sam[e]", "fqn:shop.sam[e]")


def test_a_file_name_is_used_only_where_it_tells_apart() -> None:
    folder = node("model.shop.b", "shop", "a", "b", file="models/a/b.sql")
    dotted = node("model.shop.a.b", "shop", "a.b", file=str(Path("models", "a.b.sql")))

    assert selectors_for([folder, dotted]) == ("fqn:shop.a.[b]", "fqn:shop.a.[b]")
    assert selectors_for([dotted], [folder]) == ("fqn:shop.a.[b],resource_type:model,package:shop,file:a.b.sql",)
