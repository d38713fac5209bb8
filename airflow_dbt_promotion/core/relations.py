"""Relations that this package made in a warehouse beside those that readers see."""

from __future__ import annotations

from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.identity import ModelId, PlanId
from airflow_dbt_promotion.core.instants import Instant
from airflow_dbt_promotion.core.place import Place


class KeptRelation(Struct, frozen=True, kw_only=True, gc=False):
    """Where an old relation is kept after a swap, and when its rows were built last."""

    place: Place
    rows_at: Instant


class LeftoverRole(Enum):
    """What a relation was that nobody needs any more: built beside production and never published, or published once
    and replaced since.
    """

    SHADOW = "shadow"
    SUPERSEDED = "superseded"


class Leftover(Struct, frozen=True, kw_only=True, gc=False):
    """A relation that this package made, and that nobody needs any more: `clean` drops it.

    `since` is when it came to that, and `plan_id` the plan that made it.
    """

    place: Place
    model: ModelId
    since: Instant
    plan_id: PlanId
    role: LeftoverRole
