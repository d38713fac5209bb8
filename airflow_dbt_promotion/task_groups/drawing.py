"""What an environment runs as a drawing: one part for each model, with the selectors by which dbt builds just that."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from airflow_dbt_promotion.core.definition import Node
from airflow_dbt_promotion.core.graph import KINDS
from airflow_dbt_promotion.dbt.manifest import Manifest, manifest_of, read_manifest_bytes
from airflow_dbt_promotion.dbt.selection import SelectableNode, selectors_alone

_EPHEMERAL = "ephemeral"


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
    """All parts, parents first; `between` selects the tests that read several models, None where there are none."""

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
            id_: node
            for id_, node in manifest.nodes.items()
            if node.resource_type in KINDS and node.config.materialized != _EPHEMERAL
        }
        self._drawn = {id_: node for id_, node in self._built.items() if only is None or id_ in only}
        self._selectors = _selectors(manifest)
        self._several = {
            id_: models
            for id_, node in manifest.nodes.items()
            if node.resource_type == "test" and len(models := set(self._nearest(node, self._built))) > 1
        }

    def drawing(self) -> Drawing:
        """Return it."""
        parts = tuple(self._part(id_, node) for id_, node in self._sorted())
        between = [self._selectors[id_] for id_, models in self._several.items() if models <= self._drawn.keys()]
        return Drawing(parts=parts, between=" ".join(sorted(between)) or None)

    def _part(self, id_: str, node: Node) -> Part:
        several = sorted(self._selectors[test] for test, models in self._several.items() if id_ in models)
        return Part(
            unique_id=id_,
            name=node.name if node.version is None else f"{node.name}.v{node.version}",
            above=tuple(sorted(set(self._nearest(node, self._drawn)))),
            select=self._selectors[id_],
            exclude=" ".join(several) or None,
        )

    def _nearest(self, node: Node, among: Mapping[str, Node]) -> Iterator[str]:
        """Yield the nearest models above a node; what is not among them is looked through."""
        for parent in node.depends_on.nodes:
            if parent in among:
                yield parent
            elif parent in self._nodes:
                yield from self._nearest(self._nodes[parent], among)

    def _sorted(self) -> Iterator[tuple[str, Node]]:
        """Yield the models that are drawn, parents first."""
        done: set[str] = set()

        def above(id_: str) -> Iterator[tuple[str, Node]]:
            if id_ not in done:
                done.add(id_)
                for parent in sorted(set(self._nearest(self._drawn[id_], self._drawn))):
                    yield from above(parent)
                yield id_, self._drawn[id_]

        for id_ in sorted(self._drawn):
            yield from above(id_)


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
