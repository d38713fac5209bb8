"""The approval gate: whether people enough, of those whose word counts, approved of this very plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Approval, Decision, Identity, Vote, name_of, weighty
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked, passed
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, person_of, short
from airflow_dbt_promotion.core.instants import minute

_GATE = GateName.APPROVAL

_NOBODY_ASKED = ApprovalPolicy(trust_claimed=True)


class Asked(Struct, frozen=True, kw_only=True):
    """What the gate is asked: of an approval (None: nobody was asked), for this environment and these choices.

    `soak` is what was asked for in place of policy's, `rows` what becomes of the rows of models. `plan_id` is the
    plan's, `promoter` who would promote it, `now` the time.
    """

    target: EnvironmentName
    plan_id: str
    choices: Choices
    soak: timedelta | None
    rows: Mapping[ModelId, IncrementalChange]
    approval: Approval | None
    promoter: str | None
    now: datetime


class Approved(Struct, frozen=True, kw_only=True):
    """The gate's answer, and those whose approval counted."""

    verdict: Verdict
    by: tuple[str, ...] = ()


def approved(asked: Asked, policies: Collection[ApprovalPolicy]) -> Approved:
    """Return the answer to several policies, each of which has to be satisfied; there is at least one."""
    approval = asked.approval
    if approval is None:
        return Approved(verdict=blocked(_GATE, "approval_needed", _unasked(asked, policies)))
    if approval.weighty != weighty(asked.choices, asked.soak, asked.rows):
        reason = "people were asked about it with other choices (a bypass, say, or what becomes of rows); ask anew"
        return Approved(verdict=blocked(_GATE, "approved_otherwise", reason))
    said_no = [vote for vote in approval.words if vote.decision is Decision.REJECT]
    overruled = BypassKind.OVERRULE_REJECTION in asked.choices.bypasses
    if said_no and not overruled and not outvoted(asked, policies):
        return Approved(verdict=blocked(_GATE, "rejected", f"{_told(said_no[-1])} rejected this plan"))
    answers = [_by(asked, approval, policy) for policy in sorted(policies, key=repr)]
    missing = next((answer for answer in answers if not answer.verdict.passed), None)
    by = tuple(sorted({name for answer in answers for name in answer.by}))
    return missing or Approved(verdict=passed(_GATE, "approved", f"approved by {', '.join(by)}"), by=by)


def outvoted(asked: Asked, policies: Collection[ApprovalPolicy], rejected_by: Collection[str] = ()) -> tuple[str, ...]:
    """Return who overrules a rejection: those who approve, where they are one more than each policy asks; else nobody.

    Where policy asks nobody, one is enough. Who rejected does not count.
    """
    approval = asked.approval
    if approval is None or approval.weighty != weighty(asked.choices, asked.soak, asked.rows):
        return ()
    against = {*map(person_of, rejected_by)}
    against |= {person_of(vote.actor) for vote in approval.words if vote.decision is Decision.REJECT}
    others = replace(approval, votes=tuple(vote for vote in approval.votes if person_of(vote.actor) not in against))
    answers = [_by(asked, others, policy, more=1) for policy in policies]
    answers = answers or [_by(asked, others, _NOBODY_ASKED)]
    if not all(answer.verdict.passed for answer in answers):
        return ()
    return tuple(sorted({name for answer in answers for name in answer.by}))


def _by(asked: Asked, approval: Approval, policy: ApprovalPolicy, *, more: int = 0) -> Approved:
    """Return the answer to one policy, with `more` approvals than it asks."""
    said = [vote for vote in approval.words if vote.decision is Decision.APPROVE]
    against = [(vote, _void(vote, asked, approval, policy)) for vote in said]
    counted = tuple(sorted({person_of(vote.actor): vote.actor for vote, why in against if why is None}.values()))
    if len(counted) >= policy.min_approvals + more:
        return Approved(verdict=passed(_GATE, "approved", ""), by=counted)
    void = [(vote, why) for vote, why in against if why is not None]
    told = f"{asked.target} asks for {_several(policy.min_approvals)} of this plan, and {_counts(len(counted))}"
    reason = "; ".join([told, *(f"{vote.actor}'s does not: {why.reason}" for vote, why in void)])
    codes = {why.code for _, why in void}
    if len(codes) == 1 and not counted:
        return Approved(verdict=replace(void[0][1], reason=reason))
    return Approved(verdict=blocked(_GATE, "approval_needed", reason))


def _void(vote: Vote, asked: Asked, approval: Approval, policy: ApprovalPolicy) -> Verdict | None:
    """Return why an approval does not count, None where it does."""
    if policy.approvers and person_of(vote.actor) not in map(person_of, policy.approvers):
        return blocked(_GATE, "not_an_approver", "policy names others as approvers")
    if vote.identity is Identity.CLAIMED and not policy.trust_claimed:
        return blocked(_GATE, "claimed_only", "the name is only claimed, and policy does not trust that")
    if policy.four_eyes and person_of(vote.actor) in {
        person_of(approval.requested_by),
        person_of(asked.promoter or ""),
    }:
        return blocked(_GATE, "four_eyes", "who asks, or promotes, cannot approve")
    if vote.at + policy.expires_after < asked.now:
        return blocked(_GATE, "approval_expired", f"it expired at {minute(vote.at + policy.expires_after)}")
    return None


def _counts(count: int) -> str:
    """Return how many count, as people say it."""
    return "none counts yet" if count == 0 else f"{count} counts so far" if count == 1 else f"{count} count so far"


def _unasked(asked: Asked, policies: Collection[ApprovalPolicy]) -> str:
    """Say that nobody was asked yet, and how that is done."""
    most = max(policy.min_approvals for policy in policies)
    return (
        f"{asked.target} asks for {_several(most)} of this plan ({short(asked.plan_id)}), and nobody was asked yet; "
        f"`dbt-promote ask --target-environment {asked.target}` puts it before people"
    )


def unapproved(verdicts: Sequence[Verdict]) -> bool:
    """Say whether nothing but an approval is missing, and perhaps time: people may say yes before a window opens."""
    shut = [verdict for verdict in verdicts if not verdict.passed]
    others = [verdict for verdict in shut if verdict.gate is not _GATE]
    return len(others) < len(shut) and all(verdict.eligible_at is not None for verdict in others)


def _several(count: int) -> str:
    """Return how many approvals, as people say it."""
    return "an approval" if count == 1 else f"{count} approvals"


def _told(vote: Vote) -> str:
    """Return who said something when, and why."""
    return f"{name_of(vote)} at {minute(vote.at)}" + (f' ("{vote.comment}")' if vote.comment else "")
