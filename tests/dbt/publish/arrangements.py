"""A small arrangement, for the dialects of warehouses that no test runs on: what would be done there is compared."""

from __future__ import annotations

from collections.abc import Sequence

from airflow_dbt_promotion.core.beside import Arrangement, Beside, Fill, beside_names
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.dialect import Answers, Dialect, Located

TOKEN = "1f0c22ab"  # noqa: S105 - no password
Quoted = tuple[bool, bool, bool]


def beside(place: Place, fill: Fill = Fill.BUILD, origin: Place | None = None, materialized: str = "table") -> Beside:
    """Return a model that is swapped."""
    next_, was = beside_names(place.identifier, TOKEN, 127)
    return Beside(
        model=ModelId(f"model.shop.{place.identifier.lower()}"),
        place=place,
        next=place.named(next_),
        was=place.named(was),
        fill=fill,
        materialized=materialized,
        origin=origin,
    )


def arranged(database: str, quoted: Quoted, mixed: Quoted) -> Arrangement:
    """Return a table that is replaced, a new one, a view that is replaced and reads both, and a view on it.

    The view on it has quotes in another way.
    """
    places = [Place(database=database, schema="prod", identifier=name, quoted=quoted) for name in ("orders", "new")]
    views = [
        Place(database=database, schema="prod", identifier="revenue", quoted=quoted),
        Place(database=database, schema="prod", identifier="Top_Revenue", quoted=mixed),
    ]
    besides = (*(beside(place) for place in places), *(beside(place, materialized="view") for place in views))
    return Arrangement(token=TOKEN, besides=besides)


def places_of(arrangement: Arrangement) -> list[Place]:
    """Return every place that some models have or get."""
    return [place for one in arrangement.besides for place in (one.place, one.next, one.was)]


def answers(**rows: Sequence[Sequence[str]]) -> Answers:
    """Return what a warehouse would answer."""
    return rows


def statements(dialect: Dialect, arrangement: Arrangement, found: Answers) -> dict[str, list[str]]:
    """Return the statements of a swap, by the models of each step."""
    steps = dialect.swap(arrangement, dialect.catalog(found))
    return {" ".join(model.rpartition(".")[2] for model in step.models): list(step.statements) for step in steps}


def located(place: Place, **config: object) -> Located:
    """Return a planned node."""
    known = {"resource_type": "model", "materialized": "table", **config}
    return Located(model=ModelId("model.shop.orders"), place=place, **known)  # type: ignore[arg-type]
