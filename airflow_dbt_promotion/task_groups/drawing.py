"""What an environment runs as a drawing: one part for each model, with the selectors by which dbt builds just that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Container
from graphlib import TopologicalSorter
from pathlib import Path

from msgspec import Struct

from airflow_dbt_promotion.core.definition import Node
from airflow_dbt_promotion.core.graph import KINDS
from airflow_dbt_promotion.dbt.manifest import Manifest, manifest_of, read_manifest_bytes
from airflow_dbt_promotion.dbt.selection import SelectableNode, selectors_alone


class Part(Struct, frozen=True, kw_only=True):
    """One model with the tests that read it alone.

    `name` is its bare name, `above` are the nearest models that are drawn, by unique id. `select` and `exclude` are
    what dbt's options of that name take.
    """

    unique_id: str
    name: str
    above: tuple[str, ...]
    select: str
    exclude: str | None


class Drawing(Struct, frozen=True, kw_only=True):
    """All parts, parents first; `between` selects the tests that run with no part, None where there are none.

    These are tests that read several models, an ephemeral model, or nothing but sources.
    """

    parts: tuple[Part, ...]
    between: str | None


def drawing_of(manifest_path: Path, only: Collection[str] | None = None) -> Drawing:
    """Return the drawing of a manifest, or of the models with these unique ids.

    Raises ArtifactError and its kin. Neither dbt nor the warehouse is asked.
    """
    manifest = manifest_of(manifest_path, read_manifest_bytes(manifest_path.parent))
    return _Drawing(manifest, only).drawing()


class _Drawing:
    """One drawing in the making."""

    def __init__(self, manifest: Manifest, only: Collection[str] | None) -> None:
        """Take the models that are built, and the tests that read several of them."""
        self._nodes = manifest.nodes
        self._built = {
            id_: node for id_, node in manifest.nodes.items() if node.resource_type in KINDS and not node.is_ephemeral
        }
        self._drawn = {id_: node for id_, node in self._built.items() if only is None or id_ in only}
        self._above = {id_: self._nearest(node, self._drawn) for id_, node in self._drawn.items()}
        self._selectors = _selectors(manifest)
        self._between = {
            id_: models
            for id_, node in manifest.nodes.items()
            if node.resource_type == "test" and not _alone(node, models := self._nearest(node, self._built))
        }
        self._all = only is None
        self._not_with: defaultdict[str, list[str]] = defaultdict(list)
        for test, models in self._between.items():
            for model in models:
                self._not_with[model].append(self._selectors[test])

    def drawing(self) -> Drawing:
        """Return it."""
        order = TopologicalSorter({id_: sorted(self._above[id_]) for id_ in sorted(self._drawn)}).static_order()
        between = [self._selectors[id_] for id_, models in self._between.items() if self._is_wanted(models)]
        return Drawing(
            parts=tuple(self._part(id_, self._drawn[id_]) for id_ in order), between=" ".join(sorted(between)) or None
        )

    def _part(self, id_: str, node: Node) -> Part:
        """Return one model; dbt takes every test that reads it, so those that are not its own are excluded."""
        return Part(
            unique_id=id_,
            name=node.name if node.version is None else f"{node.name}.v{node.version}",
            above=tuple(sorted(self._above[id_])),
            select=self._selectors[id_],
            exclude=" ".join(sorted(self._not_with[id_])) or None,
        )

    def _is_wanted(self, models: frozenset[str]) -> bool:
        """Whether a test is run: as in dbt, one of its models is enough; a test of no model belongs to the whole."""
        return not models.isdisjoint(self._drawn) or (self._all and not models)

    def _nearest(self, node: Node, among: Container[str]) -> frozenset[str]:
        """Return the nearest models above a node; what is not among them is looked through, once."""
        found: set[str] = set()
        seen: set[str] = set()
        waiting = list(node.depends_on.nodes)
        while waiting:
            parent = waiting.pop()
            if parent in seen:
                continue
            seen.add(parent)
            if parent in among:
                found.add(parent)
            elif parent in self._nodes:
                waiting.extend(self._nodes[parent].depends_on.nodes)
        return frozenset(found)


def _alone(test: Node, models: frozenset[str]) -> bool:
    """Whether a test reads one model and names it: dbt then takes the test along with the model."""
    return len(models) == 1 and models <= set(test.depends_on.nodes)


def _selectors(manifest: Manifest) -> dict[str, str]:
    """Return the exact selector of every model and test."""
    return selectors_alone(
        SelectableNode(
            unique_id=id_,
            resource_type=node.resource_type,
            package=node.package_name,
            fqn=node.fqn,
            file=node.original_file_path,
            parents=node.depends_on.nodes,
        )
        for id_, node in manifest.nodes.items()
        if node.resource_type in KINDS or node.resource_type == "test"
    )
