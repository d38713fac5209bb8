"""Sharing: from which release of a composition each macro, var and latest version is taken.

The models that rely on one decide; where none does, it is the base's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import cached_property

from airflow_dbt_promotion.core.definition import Definition, Node
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.reliance import Reliances

Latest = str | int | float | None


class Sharing:
    """What the models of one composition share."""

    def __init__(
        self,
        entered: Mapping[ModelId, tuple[datetime, ReleaseId]],
        origins: Mapping[str, ReleaseId],
        base: ReleaseId,
        definitions: Mapping[ReleaseId, Definition],
        reliances: Reliances,
    ) -> None:
        """Take the models with when they entered and from which release, and where all nodes are taken from."""
        self._entered, self._origins, self._base = entered, origins, base
        self._definitions, self._reliances = definitions, reliances

    def macros(self) -> dict[str, ReleaseId]:
        """Return where each macro is taken from.

        What models rely on decides, then the base; a macro that only a test of another release calls comes along.
        """
        found = dict.fromkeys(self._definitions[self._base].macros, self._base)
        if not self._reliances.macros:
            return found
        found = self._called_by_tests() | found
        for id_ in self._reliances.macros & self._relied_on.keys():
            release = self._relied_on[id_]
            if id_ in self._definitions[release].macros:
                found[id_] = release
            else:
                found.pop(id_, None)
        return found

    def vars(self) -> dict[str, ReleaseId]:
        """Return the vars that differ, each with the release whose declarations hold."""
        return {name: self._relied_on.get(f"var:{name}", self._base) for name in sorted(self._reliances.vars)}

    def latest(self) -> dict[str, Latest]:
        """Return the versioned models whose `latest_version` has to be another than their release says.

        The release of the newest model that reads the family decides, else that of the newest of the family.
        """
        families: dict[tuple[str, str], list[ModelId]] = {}
        for id_ in self._entered:
            node = self._node(id_)
            if node.version is not None:
                families.setdefault((node.package_name, node.name), []).append(id_)
        found: dict[str, Latest] = {}
        for (package, name), members in families.items():
            newest = max(members, key=lambda id_: (*self._entered[id_], id_))
            release = self._relied_on.get(f"latest:{package}.{name}", self._entered[newest][1])
            said = self._said(package, name, release, self._node(newest).latest_version)
            found |= {id_: said for id_ in members if self._node(id_).latest_version != said}
        return found

    @cached_property
    def _relied_on(self) -> Mapping[str, ReleaseId]:
        """The things that differ between releases, each with the release of the newest model that relies on it."""
        newest: dict[str, tuple[datetime, ReleaseId]] = {}
        for model, entered in self._entered.items():
            for thing in self._reliances.of(entered[1], model):
                if thing not in newest or newest[thing] < entered:
                    newest[thing] = entered
        return {thing: entered[1] for thing, entered in newest.items()}

    def _called_by_tests(self) -> dict[str, ReleaseId]:
        """Return the macros that differ and that served tests read, each with a release that has it."""
        called: dict[str, ReleaseId] = {}
        for id_, release in sorted(self._origins.items()):
            node = self._definitions[release].nodes.get(id_)
            if node is not None and node.resource_type == "test":
                has = self._definitions[release].macros
                called.update((macro, release) for macro in self._reliances.reading(release, id_) if macro in has)
        return called

    def _said(self, package: str, name: str, release: ReleaseId, otherwise: Latest) -> Latest:
        """Return what a release says is the latest version of a family."""
        nodes = self._definitions[release].nodes.values()
        family = (one for one in nodes if (one.package_name, one.name) == (package, name) and one.version is not None)
        return next((one.latest_version for one in family), otherwise)

    def _node(self, id_: str) -> Node:
        return self._definitions[self._origins[id_]].nodes[id_]
