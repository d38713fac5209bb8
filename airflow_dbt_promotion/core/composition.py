"""Composition: one project put together from several releases, so that each model is what was promoted."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId


class Composition(Struct, frozen=True, kw_only=True):
    """What an environment runs, from releases that were all parsed for its target.

    `definition` is the whole, as one parse would say it. `base` is the release that gives whatever belongs to no model:
    the project file, hooks, dbt's and the adapter's macros. `origins` says for everything in it (nodes, hooks, macros,
    tests, sources, exposures, metrics, semantic models, saved queries; by unique id) from which release it is taken;
    what is not named is not in it. `vars` names the vars whose declarations are those of another release than `base`.
    `latest` are versioned models whose `latest_version` has to be this one, since the release of the other versions
    says so. `unserved` are models that the environment holds and that cannot be had, each with the reason.
    """

    definition: Definition
    base: ReleaseId
    origins: Mapping[str, ReleaseId]
    vars: Mapping[str, ReleaseId] = {}
    latest: Mapping[str, str | int | float | None] = {}
    unserved: Mapping[ModelId, str] = {}

    @property
    def releases(self) -> frozenset[ReleaseId]:
        """Return every release that something is taken from."""
        return frozenset({self.base, *self.origins.values(), *self.vars.values()})


def whole(release: ReleaseId, definition: Definition) -> Composition:
    """Return the composition that is one release as it was parsed."""
    everything = (
        definition.nodes,
        definition.macros,
        definition.unit_tests,
        definition.exposures,
        definition.others,
    )
    return Composition(
        definition=definition, base=release, origins={id_: release for kind in everything for id_ in kind}
    )
