"""Policy of approvals: whose word on a plan counts, and how many of them it takes."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import person_of

MOST_APPROVALS = 20


class ApprovalPolicy(Struct, frozen=True, kw_only=True):
    """What policy asks of an approval.

    `min_approvals` people have to approve, and what they say counts for `expires_after`. With `four_eyes` neither who
    asked nor who promotes counts. `trust_claimed` lets names count that are only claimed. `approvers` are the names
    that count; none for anybody's.
    """

    min_approvals: int = 1
    four_eyes: bool = False
    expires_after: timedelta = timedelta(days=7)
    trust_claimed: bool = False
    approvers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Hold the invariants: counts in range, and people enough to count."""
        if not 1 <= self.min_approvals <= MOST_APPROVALS:
            raise ConfigError("approval.min_approvals", f"must be a whole number from 1 to {MOST_APPROVALS}")
        if self.expires_after <= timedelta(0):
            raise ConfigError("approval.expires_after", "an approval has to count for some time")
        people = set(map(person_of, self.approvers))
        if people and len(people) < self.min_approvals:
            asked = f"{self.min_approvals} people have to approve, and {len(people)} may"
            raise ConfigError("approval.approvers", asked)
