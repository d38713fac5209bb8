"""Approvals: what people said of one plan. A vote is for that plan id alone: a plan that moved is another one.

Who only claims a name (a shell's user, a variable of a CI job) is told apart from who signed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, PlanId, Version
from airflow_dbt_promotion.core.instants import Instant


class Decision(Enum):
    """What somebody said."""

    APPROVE = "approve"
    REJECT = "reject"


class Identity(Enum):
    """How it is known who acts: Airflow signed them in, or they only say so."""

    AIRFLOW = "airflow"
    CLAIMED = "claimed"


class Vote(Struct, frozen=True, kw_only=True):
    """One person's word on a plan; `link` is where it was given."""

    decision: Decision
    at: Instant
    actor: str
    identity: Identity
    comment: str = ""
    link: str | None = None


class ApprovedChange(Struct, frozen=True, kw_only=True, gc=False):
    """One change of the plan that people were shown."""

    change: str
    from_version: Version | None
    to_version: Version | None


class AgreedPlan(Struct, frozen=True, kw_only=True):
    """A plan that was shown, as far as it takes to compute it again and to say what moved since."""

    plan_id: PlanId
    models: Mapping[ModelId, ApprovedChange]
    rests_on: Mapping[ModelId, Version]


class Approval(Struct, frozen=True, kw_only=True):
    """A plan that was put before people, and what they said of it, oldest first; the newest word of each counts.

    `models` and `rests_on` are the plan's, so that what moved since can be told. `requested_by` asked for it.
    `expires_at` is after when no word on it counts any more; None for never.
    """

    plan_id: PlanId
    source: EnvironmentName
    models: Mapping[ModelId, ApprovedChange]
    rests_on: Mapping[ModelId, Version]
    requested_at: Instant
    requested_by: str
    identity: Identity
    expires_at: Instant | None = None
    link: str | None = None
    votes: tuple[Vote, ...] = ()


class ApprovalPolicy(Struct, frozen=True, kw_only=True):
    """What policy asks of an approval.

    `min_approvals` people have to approve, each within `expires_after` of the request. With `four_eyes` neither who
    asked nor who promotes counts. `trust_claimed` lets names count that are only claimed. `approvers` are the names
    that count; none for anybody's.
    """

    min_approvals: int = 1
    four_eyes: bool = False
    expires_after: timedelta = timedelta(days=7)
    trust_claimed: bool = False
    approvers: tuple[str, ...] = ()
