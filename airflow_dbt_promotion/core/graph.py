"""The graph of one definition: what is built of what."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.errors import CyclicGraphError, MissingParentError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.release import ModelKind

KINDS = {kind.value: kind for kind in ModelKind}


class Graph:
    """The nodes that have a version, ephemeral ones among them, each after its parents."""

    def __init__(self, definition: Definition) -> None:
        """Put the nodes in order. Raises MissingParentError or CyclicGraphError."""
        self.nodes = {id_: node for id_, node in definition.nodes.items() if node.resource_type in KINDS}
        self.ephemeral = frozenset(id_ for id_, node in self.nodes.items() if node.is_ephemeral)
        self._definition = definition
        self._nearest: dict[str, tuple[ModelId, ...]] = {}
        self.order = self._sorted()
        for id_ in self.order:
            if id_ in self.ephemeral:
                self._nearest[id_] = self.nearest(id_, self.nodes[id_].depends_on.nodes)

    def nearest(self, id_: str, parents: Iterable[str]) -> tuple[ModelId, ...]:
        """Return the nearest of a node's parents that are built; ephemeral ones are looked through.

        Raises MissingParentError.
        """
        found: set[ModelId] = set()
        for parent in parents:
            if parent in self.ephemeral:
                found.update(self._nearest[parent])
            elif parent in self.nodes:
                found.add(ModelId(parent))
            else:
                self._check_known(id_, parent)
        return tuple(sorted(found))

    def _check_known(self, id_: str, parent: str) -> None:
        """Raise MissingParentError for a parent that the manifest does not hold."""
        if parent not in self._definition.others and parent not in self._definition.nodes:
            raise MissingParentError(id_, parent)

    def _sorted(self) -> list[str]:
        """Return the nodes, parents first."""
        waiting: dict[str, int] = {}
        children: dict[str, list[str]] = {}
        for id_, node in self.nodes.items():
            count = 0
            for parent in set(node.depends_on.nodes):
                if parent in self.nodes:
                    count += 1
                    children.setdefault(parent, []).append(id_)
                else:
                    self._check_known(id_, parent)
            waiting[id_] = count
        order = [id_ for id_, count in waiting.items() if count == 0]
        for id_ in order:
            for child in children.get(id_, ()):
                waiting[child] -= 1
                if waiting[child] == 0:
                    order.append(child)
        if len(order) < len(self.nodes):
            raise CyclicGraphError(sorted(set(self.nodes) - set(order)))
        return order
