"""What a parse has in common with an earlier one of the same project, so that it is fingerprinted once.

Two releases of a project share nearly everything. What is taken over is what would come out again: equal here means
equal as JSON, since 1, 1.0 and true are one to Python, and three in a version.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import TypeVar

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.definition import Definition, Node
from airflow_dbt_promotion.core.graph import Graph
from airflow_dbt_promotion.core.identity import Digest, ModelId, TestId, Version
from airflow_dbt_promotion.core.release import Model, Release, Test

K = TypeVar("K", bound=str)
T = TypeVar("T")


class Fingerprinted(Struct, frozen=True, kw_only=True):
    """A release with all that it was made of; as large as a definition, so for as long as another is compared with it.

    `codes` and `versions` are there for ephemeral nodes, too.
    """

    release: Release
    graph: Graph
    codes: Mapping[str, Digest]
    versions: Mapping[str, Version]


class Earlier:
    """What an earlier fingerprint says of a parse: of all but what changed, of nothing where there is no such.

    `codes` holds code(n) of each node that did not change, `tests` each test that did not and that depends on the same
    models as before.
    """

    def __init__(self) -> None:
        """Know nothing."""
        self.codes: Mapping[str, Digest] = {}
        self.tests: Mapping[TestId, Test] = {}
        self._changed: AbstractSet[str] = frozenset()
        self._versions: Mapping[str, Version] = {}
        self._models: Mapping[ModelId, Model] = {}

    @classmethod
    def of(cls, found: Fingerprinted | None, graph: Graph) -> Earlier:
        """Compare every node and what is written of it, where macros, vars and all else are the same."""
        known = cls()
        if found is not None and _comparable(found.graph.definition, graph.definition):
            known._changed = _changed(found.graph.definition, graph.definition)
            known._versions = found.versions
            known.codes = _but(found.codes, known._changed)
            known._models = _but(found.release.models, known._changed)
            if graph.looks_through_alike(found.graph, known._changed):
                known.tests = _but(found.release.tests, known._changed)
        return known

    def version(self, node: Node, versions: Mapping[str, Version]) -> Version | None:
        """Return the version of a node that did not change, and none of whose parents has another version now."""
        if node.unique_id not in self.codes:
            return None
        before = self._versions
        if any(versions.get(parent) != before.get(parent) for parent in node.depends_on.nodes):
            return None
        return before[node.unique_id]

    def model(
        self, id_: ModelId, version: Version, parents: tuple[ModelId, ...], required: tuple[TestId, ...]
    ) -> Model | None:
        """Return the model where nothing of it changed, its tests among that."""
        model = self._models.get(id_)
        if model is None or (model.version, model.parents, model.required) != (version, parents, required):
            return None
        return model if self._changed.isdisjoint(required) else None


def _comparable(was: Definition, now: Definition) -> bool:
    """Say whether what is no node is the same in both: macros, vars, dispatch, and where config was read."""
    return (
        was.origin is now.origin
        and was.adapter_type == now.adapter_type
        and (was.written is None) == (now.written is None)
        and was.macros == now.macros
        and _same((was.vars, was.dispatch), (now.vars, now.dispatch))
    )


def _changed(was: Definition, now: Definition) -> set[str]:
    """Return the unique ids of all nodes and unit tests that are not the same in both, or in one of them only."""
    changed = _different(was.nodes, now.nodes) | _different(was.unit_tests, now.unit_tests)
    changed.update(id_ for id_, node in now.nodes.items() if node.version is not None and _renamed(id_, node, was))
    known: dict[tuple[int, int], bool] = {}
    before, after = was.written or {}, now.written or {}
    for id_ in before.keys() | after.keys():
        pair = before.get(id_), after.get(id_)
        key = id(pair[0]), id(pair[1])
        if key not in known:
            known[key] = _same(*pair)
        if not known[key]:
            changed.add(id_)
    return changed


def _different(was: Mapping[str, T], now: Mapping[str, T]) -> set[str]:
    """Return the keys whose values are not the same in both, or in one of them only."""
    return {id_ for id_, value in now.items() if was.get(id_) != value} | (was.keys() - now.keys())


def _renamed(id_: str, node: Node, was: Definition) -> bool:
    """Say whether a versioned model is called otherwise, as v1 and v1.0 are."""
    return id_ in was.nodes and str(was.nodes[id_].version) != str(node.version)


def _same(was: object, now: object) -> bool:
    """Say whether two values are the same JSON."""
    return msgspec.json.encode(was, order="sorted") == msgspec.json.encode(now, order="sorted")


def _but(known: Mapping[K, T], changed: AbstractSet[str]) -> Mapping[K, T]:
    """Return a mapping without what changed."""
    return {id_: value for id_, value in known.items() if id_ not in changed}
