"""Putting a planned promotion before people, and writing down what they say: what the approval task asks the engine."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from airflow_dbt_promotion.core.approvals import (
    AgreedPlan,
    Decision,
    Identity,
    Person,
    Vote,
)
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked, passed
from airflow_dbt_promotion.core.errors import AskedOtherwiseError, ConfigError
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.engine import Engine, PromotionRequest
from airflow_dbt_promotion.hooks import rendered
from airflow_dbt_promotion.hooks.asking import Answer, Question
from airflow_dbt_promotion.hooks.endings import OnRefused, fail, skip
from airflow_dbt_promotion.render import asking
from airflow_dbt_promotion.render.documents import builtins
from airflow_dbt_promotion.render.planned import closed

APPROVE, REJECT = "Approve", "Reject"
OPTIONS = (APPROVE, REJECT)
_GATE = GateName.APPROVAL
_DECISIONS = {APPROVE: Decision.APPROVE, REJECT: Decision.REJECT}


class Case(Struct, frozen=True, kw_only=True):
    """What a task puts before people: the `request` for a plan that was agreed to, `link` is where they answer.

    `people` are assigned to it. `until` is when waiting ends, None where it does not.
    """

    request: PromotionRequest
    link: str | None = None
    people: Mapping[str, str] = {}
    until: datetime | None = None

    @property
    def agreed(self) -> AgreedPlan:
        """The plan that was handed over."""
        if self.request.agreed is None:
            raise ValueError("a case is about a plan")
        return self.request.agreed


class Standing(Struct, frozen=True, kw_only=True):
    """How a plan stands with people. `question` is what is yet to ask them, None where nothing is; `asked_at` says
    since when this very plan is before them.
    """

    verdict: Verdict
    by: tuple[str, ...] = ()
    question: Question | None = None
    asked_at: datetime | None = None
    waits: timedelta | None = None


class ApprovalSummary(Struct, frozen=True, kw_only=True):
    """How people stand to a plan, as other tasks read it from XCom: small, and the same for every outcome.

    `by` are those whose approval counts, none where nobody had to be asked. `link` is where they answer.
    """

    plan_id: str
    target_environment: str
    approved: bool
    code: str
    reason: str
    by: tuple[str, ...]
    link: str | None


def people(value: object) -> dict[str, str]:
    """Return Airflow's users with their names, by id: names, text of names or of a list, or `{"id": ..., "name": ...}`.

    None are all users; a template that came out empty is an error, for it would mean everybody. Raises ConfigError.
    """
    if value is None:
        return {}
    found = _listed(value) if isinstance(value, str) else value
    if not isinstance(found, (list, tuple, set, frozenset)):
        raise ConfigError("approvers", f"{str(value)[:80]!r} is no list of users")
    if not found:
        raise ConfigError("approvers", f"{value!r} names nobody; leave it out where everybody may answer")
    return dict(_person(one) for one in found)


def opened(engine: Engine, case: Case, *, again: bool = False) -> Standing:
    """Return how a plan stands; where nothing but people's word is missing, it is put on record that they are asked.

    Who rejected it is not asked again, but where `again` says so.
    """
    if not case.agreed.models:
        return Standing(verdict=passed(_GATE, "nothing_to_approve", "the plan changes nothing"))
    plan = engine.plan(case.request)
    if (hopeless := _hopeless(plan)) is not None:
        return Standing(verdict=hopeless)
    verdict = next((one for one in plan.verdicts if one.gate is _GATE), None)
    if verdict is None:
        return Standing(verdict=passed(_GATE, "no_approval_needed", "policy asks nobody about this plan"))
    if verdict.passed or (verdict.code == "rejected" and not again):
        return Standing(verdict=verdict, by=plan.approved_by)
    moved = engine.approvals.moved(plan)
    approval = engine.approvals.ask(case.request, plan, _requester(case), case.link)
    waits = None if case.until is None else max(case.until - engine.clock(), timedelta(0))
    around = asking.Around(
        soak=case.request.soak,
        requester=approval.requested_by,
        counts_for=_counts_for(plan),
        waits=waits,
        moved=moved[1] if moved else (),
    )
    question = Question(
        subject=asking.subject(plan),
        terms=asking.terms(plan, case.request.soak),
        body=asking.body(plan, around),
        options=OPTIONS,
        people=case.people,
    )
    yet = verdict if approval.votes else blocked(_GATE, verdict.code, "nobody has answered yet")
    return Standing(verdict=yet, question=question, asked_at=approval.requested_at, waits=waits)


def instant(told: str | None) -> datetime | None:
    """Return an instant as a parked task remembers it."""
    return None if told is None else datetime.fromisoformat(told)


def heard(engine: Engine, case: Case, answer: Answer | None, asked_at: str) -> Standing:
    """Write down what somebody answered to the plan that is before people since `asked_at`; return how it stands then.

    None is no answer, in time: nothing is written down, but who approved elsewhere meanwhile counts.
    """
    if answer is None:
        standing = opened(engine, case)
        return standing if standing.question is None else Standing(verdict=_unanswered(standing.verdict))
    target, plan_id = case.request.target, case.agreed.plan_id
    vote = Vote(
        decision=_DECISIONS[answer.option],
        at=answer.at,
        actor=answer.by,
        identity=Identity.AIRFLOW,
        comment=answer.comment,
        link=case.link,
    )
    try:
        engine.approvals.vote(target, plan_id, vote, instant(asked_at))
    except AskedOtherwiseError as error:
        return Standing(verdict=_asked_otherwise(error, answer))
    return opened(engine, case)


def summary(case: Case, standing: Standing) -> dict[str, object]:
    """Return the XCom of a task that has asked."""
    return builtins(
        ApprovalSummary(
            plan_id=case.agreed.plan_id,
            target_environment=case.request.target,
            approved=standing.verdict.passed,
            code=standing.verdict.code,
            reason=standing.verdict.reason,
            by=standing.by,
            link=case.link,
        )
    )


def ending(standing: Standing, wanted: Mapping[str, OnRefused], else_: OnRefused) -> Exception | None:
    """Return the exception with which the task ends, None where it succeeds; `wanted` is by the code of the verdict."""
    verdict = standing.verdict
    if verdict.passed:
        return None
    how = wanted.get(verdict.code, else_)
    return skip(verdict.reason) if how is OnRefused.SKIP else fail(f"{verdict.code}: {verdict.reason}")


def _hopeless(plan: Plan) -> Verdict | None:
    """Return why a plan could not go if people said yes, None where it could, be it later."""
    shut = closed(plan)
    return next((one for one in shut if one.code == "plan_moved"), shut[0] if shut else None)


def _requester(case: Case) -> Person:
    """Return who asks: Airflow knows who triggered the run."""
    return Person(name=case.request.actor, identity=Identity.AIRFLOW)


def _counts_for(plan: Plan) -> timedelta | None:
    """Return for how long an approval of a plan counts."""
    return min((policy.expires_after for policy in plan.approvals), default=None)


def _unanswered(verdict: Verdict) -> Verdict:
    """Return the verdict of a plan for which time ran out."""
    return blocked(_GATE, "unanswered", f"time ran out before people enough had answered: {verdict.reason}")


def _asked_otherwise(error: AskedOtherwiseError, answer: Answer) -> Verdict:
    """Return the verdict where people were asked about the plan with other choices since, which is not what was
    answered.
    """
    reason = (
        f"while this task waited, {error.by} asked people about the same plan with other choices; "
        f"what {answer.by} answered is not recorded; clear this task, and it asks anew"
    )
    return blocked(_GATE, "approved_otherwise", reason)


def _listed(value: str) -> object:
    """Return what the text of users says: a list, or names."""
    told = (rendered.text(value) or "").strip()
    return rendered.listed("approvers", told) if told.startswith("[") else told.replace(",", " ").split()


def _person(one: object) -> tuple[str, str]:
    """Return the id and the name of a user."""
    if isinstance(one, str) and one.strip():
        return one.strip(), one.strip()
    if isinstance(one, Mapping) and one.get("id"):
        return str(one["id"]), str(one.get("name") or one["id"])
    raise ConfigError("approvers", f"{one!r} names no user; give a name, or {{'id': ..., 'name': ...}}")
