"""Stops: versions that may not come into an environment, and environments into which nothing is promoted."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.identity import ModelId, PlanId, Version
from airflow_dbt_promotion.core.instants import Instant


class Block(Struct, frozen=True, kw_only=True, gc=False):
    """A version that may not come into an environment again; `plan_id` is the rollback that left it, if one did.

    `formerly` is what format 1 called the version, None where the block was made since.
    """

    version: Version
    at: Instant
    actor: str
    reason: str
    plan_id: PlanId | None = None
    formerly: Version | None = None


class Hold(Struct, frozen=True, kw_only=True):
    """Nothing is promoted into an environment until somebody lifts this; `plan_id` is the rollback that set it, if one
    did.
    """

    at: Instant
    actor: str
    reason: str
    plan_id: PlanId | None = None


class Freeze(Struct, frozen=True, kw_only=True):
    """Nothing is promoted into an environment until `until`, or until somebody thaws it where that is None.

    It is a window that denies, made on the spot: unlike a hold it is no part of what a plan rests on.
    """

    at: Instant
    actor: str
    reason: str
    until: Instant | None = None

    def holds(self, now: datetime) -> bool:
        """Say whether its time is not over."""
        return self.until is None or self.until > now


class InterventionKind(Enum):
    """What was done to an environment by hand, or by a rollback."""

    HOLD = "hold"
    RELEASE = "release"
    BLOCK = "block"
    UNBLOCK = "unblock"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    THAW = "thaw"


class Intervention(Struct, frozen=True, kw_only=True):
    """One time that somebody stepped in; kept for good.

    `models` are the versions that it is about: those blocked, unblocked, or left by a rollback; none for a hold.
    `until` is when a freeze ends by itself.
    """

    kind: InterventionKind
    at: Instant
    actor: str
    reason: str
    models: Mapping[ModelId, tuple[Version, ...]] = {}
    until: Instant | None = None
