"""Plans that people were asked about, and what they said, as people and machines read it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from airflow_dbt_promotion.core.approvals import Approval, Decision, Identity, Vote
from airflow_dbt_promotion.core.eligibility import Verdict
from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, VerdictDocument, builtins, verdicts
from airflow_dbt_promotion.render.remedies import moment
from airflow_dbt_promotion.render.table import Cell, Column, Page, Tone, table
from airflow_dbt_promotion.render.telling import agreed_to, listed

_WIDE = frozenset({"models", "with", "said"})


class VoteDocument(Struct, frozen=True, kw_only=True):
    """What one person said; `identity` is how it is known who they are."""

    decision: Decision
    at: Instant
    actor: str
    identity: Identity
    comment: str
    link: str | None


class AskedModelDocument(Struct, frozen=True, kw_only=True):
    """One change of the plan that people were shown."""

    unique_id: str
    name: str
    change: str
    from_version: str | None
    to_version: str | None


class ApprovalDocument(Struct, frozen=True, kw_only=True):
    """A plan that people were asked about. `votes` are oldest first; the newest of each actor counts.

    `agreed_to` are the choices to which a yes is, in sentences.
    """

    plan_id: str
    source_environment: str
    requested_at: Instant
    requested_by: str
    identity: Identity
    link: str | None
    bypasses: tuple[BypassKind, ...]
    agreed_to: tuple[str, ...]
    models: tuple[AskedModelDocument, ...]
    votes: tuple[VoteDocument, ...]


class ApprovalsDocument(Struct, frozen=True, kw_only=True):
    """Plans that people were asked about, newest first. `verdict` is what the gate says of the one plan of a command
    that asks or has a word; null for the list.
    """

    schema_version: int
    environment: str
    approvals: tuple[ApprovalDocument, ...]
    verdict: VerdictDocument | None


def document(environment: str, found: Sequence[Approval], verdict: Verdict | None = None) -> dict[str, object]:
    """Return them as JSON-able values."""
    return builtins(
        ApprovalsDocument(
            schema_version=SCHEMA_VERSION,
            environment=environment,
            approvals=tuple(_document(one) for one in found),
            verdict=None if verdict is None else verdicts((verdict,))[0],
        )
    )


def _document(one: Approval) -> ApprovalDocument:
    """Return one of them."""
    return ApprovalDocument(
        plan_id=one.plan_id,
        source_environment=one.source,
        requested_at=one.requested_at,
        requested_by=one.requested_by,
        identity=one.identity,
        link=one.link,
        bypasses=tuple(sorted(one.choices.bypasses, key=lambda kind: kind.value)),
        agreed_to=_agreed_to(one),
        models=tuple(
            AskedModelDocument(
                unique_id=model,
                name=bare_name(model),
                change=change.change,
                from_version=change.from_version,
                to_version=change.to_version,
            )
            for model, change in sorted(one.models.items())
        ),
        votes=tuple(
            VoteDocument(
                decision=vote.decision,
                at=vote.at,
                actor=vote.actor,
                identity=vote.identity,
                comment=vote.comment,
                link=vote.link,
            )
            for vote in one.votes
        ),
    )


def text(environment: str, found: Sequence[Approval], page: Page) -> str:
    """Return the list as text."""
    if not found:
        return "\n".join(page.paragraph(_nothing(environment))) + "\n"
    columns = [Column(title=name, least=16 if name in _WIDE else None) for name in _titles(found)]
    rows = [[Cell(short(one.plan_id), Tone.BOLD), *map(Cell, _told(one, found))] for one in found]
    return "\n".join([page.paint(_headline(environment), Tone.BOLD), *table(page, columns, rows)]) + "\n"


def as_markdown(environment: str, found: Sequence[Approval]) -> str:
    """Return the list as markdown."""
    if not found:
        return markdown.escaped(_nothing(environment)) + "\n"
    rows = [(markdown.code(short(one.plan_id)), *map(markdown.escaped, _told(one, found))) for one in found]
    return f"## {markdown.escaped(_headline(environment))}\n\n{markdown.grid(_titles(found), rows)}\n"


def answer(environment: str, approval: Approval, verdict: Verdict) -> str:
    """Return how a plan stands after somebody asked or had a word, as a paragraph."""
    name = short(approval.plan_id)
    if verdict.passed:
        promote = f"`dbt-promote promote --target-environment {environment} --plan {name}`"
        return f"Plan {name} is approved ({verdict.reason}); {promote} promotes it."
    words = f"`dbt-promote approve --environment {environment} --plan {name}`"
    if verdict.code == "plan_moved":
        return f"Plan {name} cannot go any more: {verdict.reason}."
    if verdict.code == "rejected":
        return f"Plan {name} does not go: {verdict.reason}."
    told = "nobody has said anything yet" if not approval.votes else verdict.reason
    return f"Plan {name} is before people: {told}; {words}, or `reject`, is how they say so."


def _headline(environment: str) -> str:
    return f"Plans for {environment} that people were asked about, newest first"


def _nothing(environment: str) -> str:
    return f"Nobody was asked about a plan for {environment}: `dbt-promote ask` puts one before people."


def _titles(found: Sequence[Approval]) -> tuple[str, ...]:
    """Return what is told of each plan; what is agreed to besides only where there is something."""
    return ("plan", "asked", "by", "models", *(("with",) if any(map(_agreed_to, found)) else ()), "said")


def _agreed_to(one: Approval) -> tuple[str, ...]:
    """Return the choices to which a yes is."""
    return agreed_to(one.choices, one.soak, one.rows)


def _told(one: Approval, found: Sequence[Approval]) -> tuple[str, ...]:
    """Return the rest of a row in a list."""
    return (
        moment(one.requested_at),
        one.requested_by,
        listed([bare_name(model) for model in sorted(one.models)]),
        *((" ".join(_agreed_to(one)),) if "with" in _titles(found) else ()),
        "; ".join(_word(vote) for vote in one.words) or "nothing yet",
    )


def _word(vote: Vote) -> str:
    """Return what one person said."""
    said = "yes" if vote.decision is Decision.APPROVE else "no"
    claimed = " (claimed)" if vote.identity is Identity.CLAIMED else ""
    return f"{said}: {vote.actor}{claimed}" + (f", {vote.comment}" if vote.comment else "")
