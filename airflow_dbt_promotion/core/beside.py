"""Building beside: where a planned model is built before readers see it, and where what it replaces is kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.identity import ModelId, PlanId, ReleaseId, digest_of
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import KeptRelation
from airflow_dbt_promotion.core.state import EnvironmentState

TOKEN_LENGTH = 8
_NEXT, _WAS = "__next_", "__was_"


class Fill(Enum):
    """How a relation beside comes to its rows.

    BUILD: dbt builds it anew. COPY: it begins with the rows of the one in place, and dbt goes on from there. CLONE: it
    is a clone of the source environment's. KEPT: it is there, kept from before, and nothing is built.
    """

    BUILD = "build"
    COPY = "copy"
    CLONE = "clone"
    KEPT = "kept"


class Beside(Struct, frozen=True, kw_only=True):
    """One model that is published by a swap.

    `place` is what readers see, `next` what is built beside it, `was` where the one in place goes, if there is one
    (`replaces`); it may hold rows of its own (`has_rows`), which a view does not. `origin` is what a clone is of.
    `row_witness` says which rows the one in place held when they were copied. Privileges that are `granted` are those
    of which config says who has them, or said it of the one in place.
    """

    model: ModelId
    place: Place
    next: Place
    was: Place
    fill: Fill
    materialized: str
    replaces: bool = False
    has_rows: bool = False
    origin: Place | None = None
    row_witness: str = ""
    granted: tuple[str, ...] = ()


class Arrangement(Struct, frozen=True, kw_only=True):
    """Everything that one swap publishes, parents before children.

    `token` is part of each name that this package makes for it. `standing` are models whose code goes and whose
    relation stays as it is: snapshots that are there. `left` lies where something will be built, of an earlier attempt;
    `done` are models that one has swapped already. `ours` are all places that are on record as made by this package.
    """

    token: str
    besides: tuple[Beside, ...]
    standing: tuple[ModelId, ...] = ()
    left: tuple[Place, ...] = ()
    done: tuple[ModelId, ...] = ()
    ours: tuple[Place, ...] = ()

    def without(self, models: Collection[ModelId]) -> Arrangement:
        """Return the arrangement of the other models."""
        besides = tuple(one for one in self.besides if one.model not in models)
        rest = {one.next for one in besides}
        return replace(self, besides=besides, left=tuple(place for place in self.left if place in rest))

    def to_be_seen(self, built: Collection[ModelId], row_witnesses: Mapping[ModelId, str] = {}) -> Arrangement:
        """Return the arrangement with what was built before taken for what it is: nothing that is left over.

        `row_witnesses` say which rows the relations in place held when they were copied.
        """
        besides = tuple(replace(one, row_witness=row_witnesses.get(one.model, "")) for one in self.besides)
        return replace(self, besides=besides, left=self.without(built).left)


class Obstacle(Struct, frozen=True, kw_only=True):
    """Why a model cannot be published by a swap (None: no model of the plan), before anything was built."""

    model: ModelId | None
    code: str
    reason: str


class ArrangeRequest(Struct, frozen=True, kw_only=True):
    """What is to be arranged: `models` in the order in which they are built.

    `anew` are models whose rows are built anew though they are incremental. `kept` are relations that are there from
    before. `ours` are all places that are on record as made by this package. With a `source`, relations are clones of
    that environment's. `served` are the releases by which models entered that are replaced.
    """

    models: tuple[ModelId, ...]
    token: str
    anew: frozenset[ModelId] = frozenset()
    kept: Mapping[ModelId, KeptRelation] = {}
    ours: tuple[Place, ...] = ()
    source: Environment | None = None
    served: Mapping[ModelId, ReleaseId] = {}


class Swapped(Struct, frozen=True, kw_only=True):
    """What became of a swap: since when readers see it; without `at` nothing was swapped, and `words` say why."""

    at: datetime | None
    words: tuple[str, ...] = ()


def token_of(plan: PlanId, lineage: str, epoch: int) -> str:
    """Return what the names of one promotion's relations have in common: no two promotions share it."""
    return digest_of([plan, lineage, epoch])[:TOKEN_LENGTH]


def beside_names(identifier: str, token: str, longest: int) -> tuple[str, str]:
    """Return the names of what is built beside a relation, and of what is kept of it, each of `longest` bytes at most.

    A name that gets too long gives way to a part of it with a digest of the whole.
    """
    return _fitted(identifier, f"{_NEXT}{token}", longest), _fitted(identifier, f"{_WAS}{token}", longest)


def _fitted(identifier: str, suffix: str, longest: int) -> str:
    """Return an identifier with a suffix, shortened where it has to be."""
    room = longest - len(suffix)
    if len(identifier.encode()) <= room:
        return identifier + suffix
    digest = digest_of(identifier)[:TOKEN_LENGTH]
    head = identifier.encode()[: room - len(digest) - 1].decode(errors="ignore")
    return f"{head}_{digest}{suffix}"


def made_by_us(state: EnvironmentState) -> tuple[Place, ...]:
    """Return every place of an environment that is on record as made by this package."""
    journal = state.journal
    begun = (
        ()
        if journal is None
        else (*journal.beside.values(), *journal.aside.values(), *(old.place for old in journal.kept.values()))
    )
    kept = (old.place for checkpoint in state.checkpoints for old in checkpoint.kept.values())
    return (*begun, *kept, *(leftover.place for leftover in state.leftovers))
