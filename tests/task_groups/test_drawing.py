"""Drawings of manifests: every model once, every test once."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from airflow_dbt_promotion.task_groups.drawing import Drawing, drawing_of
from tests.dbt.documents import Json, manifest, node, written

VIEW = {"materialized": "view"}
EPHEMERAL = {"materialized": "ephemeral"}


def reading(unique_id: str, *parents: str, **fields: object) -> Json:
    """Return a node that reads others."""
    return node(unique_id, depends_on={"macros": [], "nodes": list(parents)}, **fields)


def drawn(folder: Path, *nodes: Json, only: Collection[str] | None = None) -> Drawing:
    """Return the drawing of a manifest of these nodes."""
    document = manifest(nodes={one["unique_id"]: one for one in nodes})
    return drawing_of(written(folder, "manifest.json", document) / "manifest.json", only)


def selected(selectors: str | None, name: str) -> bool:
    """Whether one of these selectors means a name; one character of it is bracketed."""
    return f"fqn:shop.{name[:-1]}[{name[-1]}]" in (selectors or "").split()


def test_parents_come_first_and_ephemeral_models_are_looked_through(tmp_path: Path) -> None:
    drawing = drawn(
        tmp_path,
        reading("model.shop.a_last", "model.shop.between", "source.shop.raw.orders"),
        reading("model.shop.between", "model.shop.z_first", config=EPHEMERAL),
        reading("model.shop.z_first"),
    )
    assert [(part.name, part.above) for part in drawing.parts] == [
        ("z_first", ()),
        ("a_last", ("model.shop.z_first",)),
    ]
    assert drawing.between is None


def test_each_test_runs_once_with_its_model_or_at_the_end(tmp_path: Path) -> None:
    drawing = drawn(
        tmp_path,
        reading("model.shop.a"),
        reading("model.shop.b", "model.shop.folded"),
        reading("model.shop.folded", "model.shop.a", config=EPHEMERAL),
        reading("test.shop.own", "model.shop.a", "source.shop.raw.orders"),
        reading("test.shop.both", "model.shop.a", "model.shop.b"),
        reading("test.shop.of_folded", "model.shop.folded"),
        reading("test.shop.of_source", "source.shop.raw.orders"),
    )
    at_end = {"both", "of_folded", "of_source"}
    assert {name for name in at_end | {"own"} if selected(drawing.between, name)} == at_end
    excluded = {part.name: part.exclude for part in drawing.parts}
    assert selected(excluded["a"], "both")
    assert selected(excluded["b"], "both")
    assert not selected(excluded["a"], "own")


def test_of_some_models_the_tests_that_read_one_of_them_run(tmp_path: Path) -> None:
    drawing = drawn(
        tmp_path,
        reading("model.shop.a"),
        reading("model.shop.b"),
        reading("model.shop.c"),
        reading("test.shop.a_and_b", "model.shop.a", "model.shop.b"),
        reading("test.shop.b_and_c", "model.shop.b", "model.shop.c"),
        reading("test.shop.of_source", "source.shop.raw.orders"),
        only={"model.shop.a"},
    )
    assert [part.name for part in drawing.parts] == ["a"]
    assert selected(drawing.between, "a_and_b")
    assert not selected(drawing.between, "b_and_c")
    assert not selected(drawing.between, "of_source")


def test_wide_and_deep_graphs_are_drawn(tmp_path: Path) -> None:
    """Through layers of two models that all read the layer below go 2**60 ways; a chain outgrows Python's stack."""
    layers = [
        reading(f"model.shop.m{layer}_{side}", *(f"model.shop.m{layer - 1}_{one}" for one in "lr" if layer))
        for layer in range(60)
        for side in "lr"
    ]
    ends = {"model.shop.m0_l", "model.shop.m59_l"}
    few = drawn(tmp_path, *layers, only=ends)
    assert [part.above for part in few.parts] == [(), ("model.shop.m0_l",)]
    chain = [reading(f"model.shop.c{n}", *([f"model.shop.c{n - 1}"] if n else [])) for n in range(1500)]
    assert [part.name for part in drawn(tmp_path, *chain).parts] == [f"c{n}" for n in range(1500)]
