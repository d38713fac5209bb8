"""Composition: one project put together from several releases, so that each model is what was promoted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from msgspec import Struct

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.errors import UnservableError, VersionsMovedError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Entry


class Composition(Struct, frozen=True, kw_only=True, dict=True):
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

    @cached_property
    def release(self) -> Release:
        """The fingerprint of the whole. Raises MissingParentError, CyclicGraphError."""
        return release_of(self.definition)

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


def verify(
    composition: Composition,
    environment: str,
    served: Mapping[ModelId, Entry],
    definitions: Mapping[ReleaseId, Definition] | None = None,
) -> Release:
    """Return the release that a composition makes, if every model in it is what was promoted.

    `code` has to come out, and `version` too, but where a parent moved and the model was not built since. Two models
    must not write one relation. `definitions` are the releases that it was put together from: with them the error says
    whether one of these comes out otherwise already, as after an upgrade of dbt. Raises VersionsMovedError,
    UnservableError.
    """
    made = composition.release
    stale = _stale(served)
    moved = [
        model
        for model, entry in served.items()
        if model not in composition.unserved and not _comes_out(made, model, entry, whole=model not in stale)
    ]
    if moved:
        raise VersionsMovedError(
            f"what {environment} runs", sorted(moved), _why(composition, served, moved, definitions)
        )
    _check_places(made, environment)
    return made


def _comes_out(made: Release, model: ModelId, entry: Entry, *, whole: bool) -> bool:
    """Say whether a model of a release is what was promoted."""
    found = made.models.get(model)
    return found is not None and found.code == entry.code and (not whole or found.version == entry.version)


def _stale(served: Mapping[ModelId, Entry]) -> set[ModelId]:
    """Return the models that stand on another parent than their version names, directly or through others."""
    children: dict[ModelId, list[ModelId]] = {}
    waiting = []
    for model, entry in served.items():
        for parent, version in entry.parents.items():
            children.setdefault(parent, []).append(model)
            if parent not in served or served[parent].version != version:
                waiting.append(model)
    stale = set(waiting)
    while waiting:
        fresh = [child for child in children.get(waiting.pop(), ()) if child not in stale]
        stale.update(fresh)
        waiting.extend(fresh)
    return stale


def _why(
    composition: Composition,
    served: Mapping[ModelId, Entry],
    moved: list[ModelId],
    definitions: Mapping[ReleaseId, Definition] | None,
) -> str:
    """Say why models do not come out: their own release says otherwise by now, or the company that they are in."""
    for model in moved:
        release = composition.origins.get(model)
        if definitions is None or release is None:
            continue
        alone = release_of(definitions[release])
        if not _comes_out(alone, model, served[model], whole=True):
            return (
                f"release {release[:8]}, parsed now by dbt {definitions[release].dbt_version}, makes another version "
                f"of {model} than it was kept for; run dbt as it was then, or promote versions that this dbt built"
            )
    return "the releases that they come from cannot stand together; promote the others from one newer release, too"


def _check_places(made: Release, environment: str) -> None:
    """Raise UnservableError where two models write one relation."""
    places: dict[str, ModelId] = {}
    for model in made.models.values():
        if model.relation is not None and (other := places.setdefault(model.relation, model.id)) != model.id:
            raise UnservableError(environment, sorted((other, model.id)), f"two models write {model.relation}")
