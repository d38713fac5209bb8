"""A shop whose sources are kept: definitions in memory, edited, built in staging, promoted."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from airflow_dbt_promotion.core.composing import compose
from airflow_dbt_promotion.core.composition import Composition, verify
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import PromotionPath
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, Version
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EnvironmentState
from tests.scenarios import PACKAGE, Shop

PRODUCTION, STAGING = EnvironmentName("production"), EnvironmentName("staging")


class KeptShop(Shop):
    """A shop whose project at hand is a definition, kept whenever a run of it is recorded."""

    def __init__(self, definition: Definition, environments: PromotionPath | None = None) -> None:
        """Take the project at hand."""
        super().__init__(release_of(definition), environments)
        self.workshop.definition = definition

    @property
    def definition(self) -> Definition:
        """The project at hand."""
        assert self.workshop.definition is not None
        return self.workshop.definition

    def edit(self, definition: Definition) -> Release:
        """Put another definition at hand."""
        self.change(definition)
        return self.project

    def state(self, environment: EnvironmentName = PRODUCTION) -> EnvironmentState:
        """Return an environment's document."""
        found = self.store.read(environment)
        assert found is not None
        return found

    def versions(self, environment: EnvironmentName = PRODUCTION) -> Mapping[ModelId, Version]:
        """Return what an environment holds."""
        found = self.store.read(environment)
        return {model: entry.version for model, entry in found.current.items()} if found is not None else {}

    def served(self, environment: EnvironmentName = PRODUCTION) -> Composition:
        """Return what an environment runs, verified."""
        current = self.state(environment).current
        wanted = {entry.release for entry in current.values() if entry.release is not None}
        definitions = {release: self.workshop.kept[release] for release in wanted}
        found = compose(environment, current, definitions)
        verify(found, environment, current, definitions)
        return found


def with_text(known: Definition, name: str, text: str) -> Definition:
    """Return a definition in which one model has another code."""
    id_ = f"model.{PACKAGE}.{name}"
    return replace(known, nodes={**known.nodes, id_: replace(known.nodes[id_], raw_code=text)})


def without(known: Definition, *ids: str) -> Definition:
    """Return a definition without some nodes, and without the tests that read them."""
    gone = {
        id_
        for id_, node in known.nodes.items()
        if id_ in ids or (node.resource_type == "test" and set(ids) & set(node.depends_on.nodes))
    }
    return replace(known, nodes={id_: node for id_, node in known.nodes.items() if id_ not in gone})


def with_macro(known: Definition, name: str, text: str | None) -> Definition:
    """Return a definition in which one macro has another text, or is gone."""
    id_ = f"macro.{PACKAGE}.{name}"
    rest = {other: macro for other, macro in known.macros.items() if other != id_}
    if text is None:
        return replace(known, macros=rest)
    return replace(known, macros={**rest, id_: replace(known.macros[id_], macro_sql=text)})
