"""Warehouses that bind views by name and have no transactions over DDL: what their dialects have in common.

Each model is a step of its own, parents first, so that a stop between two steps leaves whole models. What a step needs
to be done again after a stop in its middle is never lost: what was in place has its name aside before it is replaced.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from airflow_dbt_promotion.core.beside import Arrangement, Beside
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind, Relation, Spot
from airflow_dbt_promotion.dbt.publish.dialect import Quoting, Step, escaped

WORDS = {Kind.TABLE: "table", Kind.VIEW: "view"}

Found = TypeVar("Found")


class ByName(Quoting):
    """A dialect that swaps model by model."""

    ran = False
    atomic = False
    rewrites_views = True
    clones = True
    shared = True

    def swap(self, arrangement: Arrangement, catalog: Catalog) -> tuple[Step, ...]:
        """Return a step for each model, parents first."""
        return tuple(
            Step(
                models=(beside.model,),
                kept=(beside.model,) if self.old(beside, catalog) is not None else (),
                statements=self.replaced(beside, arrangement, catalog),
            )
            for beside in arrangement.besides
        )

    def replaced(self, beside: Beside, arrangement: Arrangement, catalog: Catalog) -> tuple[str, ...]:
        """Return the statements that put one model into place, and what was there aside, in an order that can break off
        anywhere.
        """
        raise NotImplementedError

    def spot(self, place: Place) -> Spot:
        """Return a place as the catalog has it."""
        raise NotImplementedError

    def dropped(self, place: Place, relation: Relation) -> str:
        """Return the statement that drops a relation."""
        return f"drop {WORDS[relation.kind]} {self.sql(place)}"

    def old(self, beside: Beside, catalog: Catalog) -> Relation | None:
        """Return what is in place, None where nothing is."""
        return catalog.relations.get(self.spot(beside.place))

    def renamed(self, kind: Kind, before: Place, after: Place) -> str:
        """Return the statement that gives a relation another name."""
        return f"alter {WORDS[kind]} {self.sql(before)} rename to {self.sql(after)}"

    def text(self, place: Place, catalog: Catalog) -> str:
        """Return what makes something, as the catalog has it. Raises NotSwappedError where it does not show it."""
        found = catalog.definitions.get(self.spot(place))
        if not found:
            told = f"the warehouse does not show who runs dbt how {place.told} is made; its owner sees it"
            raise NotSwappedError(told, [])
        return found.strip().rstrip(";").rstrip()

    def among(self, places: Iterable[Place]) -> str:
        """Return a condition on an information schema: something is in one of these places."""
        listed = sorted({self.spot(place)[1:] for place in places})
        pairs = ", ".join(f"({escaped(schema)}, {escaped(name)})" for schema, name in listed)
        return f"(table_schema, table_name) in ({pairs})"

    def databases(self, places: Collection[Place]) -> Mapping[str, list[Place]]:
        """Return some places by their database."""
        found: defaultdict[str, list[Place]] = defaultdict(list)
        for place in places:
            found[self.spot(place)[0]].append(place)
        return dict(sorted(found.items()))


def in_place(text: str, arrangement: Arrangement) -> str:
    """Return a text that says where things will be in place of where they were built, in whatever case it says it.

    The names beside hold a digest of their own, so nothing else is met.
    """
    for beside in sorted(arrangement.besides, key=lambda one: -len(one.next.identifier)):
        name = beside.place.identifier
        text = re.sub(re.escape(beside.next.identifier), lambda _: name, text, flags=re.IGNORECASE)  # noqa: B023
    return text


def spot_of(row: Iterable[str | None]) -> Spot:
    """Return the spot that a row begins with."""
    database, schema, name, *_rest = row
    return database or "", schema or "", name or ""


def listed(pairs: Iterable[tuple[Spot, Found]]) -> Mapping[Spot, tuple[Found, ...]]:
    """Return what was found of each relation."""
    found: defaultdict[Spot, list[Found]] = defaultdict(list)
    for spot, one in pairs:
        found[spot].append(one)
    return {spot: tuple(every) for spot, every in found.items()}
