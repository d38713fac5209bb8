"""Approvals: what people said of one plan. A word is for that plan id alone: a plan that moved is another one.

Who only claims a name (a shell's user, a variable of a CI job) is told apart from who signed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, Strategy
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, PlanId, Version, person_of
from airflow_dbt_promotion.core.instants import Instant, Natural


class Decision(Enum):
    """What somebody said."""

    APPROVE = "approve"
    REJECT = "reject"


class Identity(Enum):
    """How it is known who acts: Airflow signed them in, or they only say so."""

    AIRFLOW = "airflow"
    CLAIMED = "claimed"


class Person(Struct, frozen=True, kw_only=True):
    """Who acts, and how that is known."""

    name: str
    identity: Identity


class Vote(Struct, frozen=True, kw_only=True):
    """One person's word on a plan; `link` is where it was given."""

    decision: Decision
    at: Instant
    actor: str
    identity: Identity
    comment: str = ""
    link: str | None = None


class Rejection(Struct, frozen=True, kw_only=True, gc=False):
    """A version of a model that somebody rejected with a plan; a version of None is the model's removal."""

    version: Version | None
    at: Instant
    actor: str
    identity: Identity
    reason: str
    plan_id: PlanId


def name_of(word: Vote | Rejection) -> str:
    """Return who said something, as people are shown it."""
    return word.actor if word.identity is Identity.AIRFLOW else f"{word.actor} (a claimed name)"


class ApprovedChange(Struct, frozen=True, kw_only=True, gc=False):
    """One change of the plan that people were shown."""

    change: str
    from_version: Version | None
    to_version: Version | None


def takes_back(later: Vote, vote: Vote | Rejection) -> bool:
    """Say whether a word that was written down later stands in place of another: not where it was said before it."""
    return (
        later.at >= vote.at
        and person_of(later.actor) == person_of(vote.actor)
        and (later.identity is Identity.AIRFLOW or vote.identity is Identity.CLAIMED)
    )


def weighty(choices: Choices, soak: timedelta | None, rows: Mapping[ModelId, IncrementalChange]) -> tuple[object, ...]:
    """Return what people who approve agree to besides the plan.

    By which strategy it is built, and which company was allowed, is in the plan or does no harm; which gates are gone
    around, how far and why, what becomes of rows and of what is left behind, and that nothing is built at all, is
    theirs to agree to.
    """
    return (
        choices.bypasses,
        choices.reason if choices.bypasses else None,
        soak if BypassKind.SHORT_SOAK in choices.bypasses else None,
        rows,
        choices.on_incremental_change,
        choices.allow_stale_downstream,
        choices.allow_removals,
        choices.force,
        choices.strategy is Strategy.RECORD,
    )


class AgreedPlan(Struct, frozen=True, kw_only=True):
    """A plan that was shown, as far as it takes to compute it again and to say what moved since."""

    plan_id: PlanId
    models: Mapping[ModelId, ApprovedChange]
    rests_on: Mapping[ModelId, Version]


class Approval(Struct, frozen=True, kw_only=True):
    """A plan that was put before people, and what they said of it, oldest first; the newest word of each counts.

    `models` and `rests_on` are the plan's, so that what moved since can be told; `choices` are those that people were
    shown, `soak` and `runs` what was asked for on top of policy, `rows` what becomes of the rows of models, whoever
    said that. `requested_by` asked for it, and `identity` says how that is known.
    """

    plan_id: PlanId
    source: EnvironmentName
    models: Mapping[ModelId, ApprovedChange]
    rests_on: Mapping[ModelId, Version]
    choices: Choices
    soak: timedelta | None
    runs: Natural | None
    rows: Mapping[ModelId, IncrementalChange] = {}
    requested_at: Instant
    requested_by: str
    identity: Identity
    link: str | None = None
    votes: tuple[Vote, ...] = ()

    @property
    def agreed(self) -> AgreedPlan:
        """The plan that it is of."""
        return AgreedPlan(plan_id=self.plan_id, models=self.models, rests_on=self.rests_on)

    @property
    def weighty(self) -> tuple[object, ...]:
        """The choices that are agreed to with it."""
        return weighty(self.choices, self.soak, self.rows)

    @property
    def words(self) -> tuple[Vote, ...]:
        """The newest word of each person, oldest first; who only claims a name takes back nobody's word but that."""
        return tuple(
            vote
            for index, vote in enumerate(self.votes)
            if not any(takes_back(later, vote) for later in self.votes[index + 1 :])
        )
