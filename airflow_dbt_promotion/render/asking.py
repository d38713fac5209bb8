"""A plan as it is put before people who are to approve it: a question, and under it all that it takes to answer.

`subject` and `terms` are the same for the same plan with the same choices, at any time: by them it is told whether
people see the question that was asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec import Struct

from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.eligibility import GateName, Verdict
from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.core.instants import readable
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.remedies import moment
from airflow_dbt_promotion.render.telling import BYPASSES, agreed_to, answers, count, listed, owner_of, shut, versions

_MOST_ROWS = 50


class Around(Struct, frozen=True, kw_only=True):
    """What people should know besides the plan: which soak was asked for in place of policy's, who asks, for how long
    an approval counts, for how long the task waits (None: without end), and what moved since they had a word on an
    earlier plan.
    """

    soak: timedelta | None
    requester: str
    counts_for: timedelta | None
    waits: timedelta | None
    moved: tuple[str, ...] = ()


def subject(plan: Plan) -> str:
    """Return the question in one line; a gate that is gone around is in it."""
    around = [BYPASSES[kind] for kind in sorted(plan.choices.bypasses, key=lambda kind: kind.value)]
    how = f", {' and '.join(around)}" if around else ""
    return f"Promote {count(len(plan.changes))} from {plan.source} to {plan.target}{how}? (plan {short(plan.plan_id)})"


def terms(plan: Plan, soak: timedelta | None) -> str:
    """Return as markdown what an approval is of: the whole plan id, and the choices that somebody made.

    They end with a line across the page, so that terms are never the beginning of others.
    """
    said = agreed_to(plan.choices, soak, plan.rows)
    lines = [f"Plan {markdown.code(plan.plan_id, cell=False)}: {markdown.escaped(_way(plan))}."]
    return "\n".join([*lines, *(["", *(f"- {markdown.escaped(one)}" for one in said)] if said else []), "", "---"])


def body(plan: Plan, around: Around) -> str:
    """Return the plan as markdown, for the page on which people answer; it begins with its terms."""
    blocks = [terms(plan, around.soak)]
    if around.moved:
        blocks.append("**What moved since people had a word on an earlier plan**\n\n" + _bullets(around.moved))
    blocks.append(_changes(plan.changes))
    if still := _still_shut(plan):
        blocks.append("**What it waits for besides**\n\n" + _bullets(still))
    if plan.exposures:
        rows = [(markdown.code(one.label or one.name), markdown.escaped(owner_of(one))) for one in plan.exposures]
        blocks.append("**Exposures reached**\n\n" + markdown.grid(("exposure", "owner"), rows))
    if others := _others(plan):
        blocks.append("**Besides**\n\n" + _bullets(others))
    if plan.held:
        blocks.append(_held(plan.held))
    blocks.append(markdown.escaped(" ".join(_times(plan, around))))
    return "\n\n".join(blocks) + "\n"


def _way(plan: Plan) -> str:
    """Return what goes where."""
    return f"{count(len(plan.changes))} from {plan.source} to {plan.target}, by strategy {plan.strategy.value}"


def _changes(changes: Sequence[Change]) -> str:
    """Return what goes together, from which version to which, on which evidence, after which soak."""
    rows = [
        (
            markdown.code(change.name),
            change.kind.value,
            markdown.code(versions(change)),
            _said(change, GateName.TESTS),
            _said(change, GateName.SOAK),
        )
        for change in changes[:_MOST_ROWS]
    ]
    more = f"\n\nand {count(len(changes) - _MOST_ROWS)} more" if len(changes) > _MOST_ROWS else ""
    return markdown.grid(("model", "change", "version", "evidence", "soak"), rows) + more


def _said(change: Change, gate: GateName) -> str:
    """Return what one gate says of a change, in its own words."""
    return markdown.escaped("; ".join(verdict.reason for verdict in answers(change, gate)))


def _still_shut(plan: Plan) -> list[str]:
    """Return what else holds the plan up for now."""
    told: dict[str, list[str]] = {}
    for model, verdict in plan.refusals:
        if verdict.gate is not GateName.APPROVAL:
            told.setdefault(_reason(verdict), []).extend([] if model is None else [bare_name(model)])
    return [f"{listed(names)}: {reason}" if names else reason for reason, names in told.items()]


def _reason(verdict: Verdict) -> str:
    """Return a gate's reason, with when it could open."""
    opens = "" if verdict.eligible_at is None else f" (from {moment(verdict.eligible_at)})"
    return verdict.reason + opens


def _others(plan: Plan) -> list[str]:
    """Return what else the plan brings with it."""
    found = []
    if plan.stale_after:
        names = listed([bare_name(model) for model in plan.stale_after])
        found.append(f"Left on an older parent in {plan.target}, which is not whole until they follow: {names}.")
    if plan.tests_in_target:
        found.append(
            f"{count(len(plan.tests_in_target), 'test')} saw other versions in {plan.source} than in {plan.target}: "
            "the promotion runs them there."
        )
    if plan.already_current:
        found.append(f"In {plan.target} already: {count(len(plan.already_current))}.")
    return found


def _held(held: Sequence[Change]) -> str:
    """Return what stays behind, and why."""
    rows = []
    for change in held[:_MOST_ROWS]:
        verdict = shut(change)
        rows.append((markdown.code(change.name), markdown.escaped("" if verdict is None else _reason(verdict))))
    more = f"\n\nand {count(len(held) - _MOST_ROWS)} more" if len(held) > _MOST_ROWS else ""
    return f"**Held back: {count(len(held))}**\n\n{markdown.grid(('model', 'why'), rows)}{more}"


def _times(plan: Plan, around: Around) -> list[str]:
    """Return who asks, and what runs out when."""
    said = [f"Asked for by {around.requester}; as things stood at {moment(plan.computed_at)}."]
    if around.counts_for is not None:
        said.append(f"An approval counts for {readable(around.counts_for)}, and for this plan alone.")
    said.append(
        "The task waits for an answer until it has one."
        if around.waits is None
        else f"The task waits {readable(around.waits)} for an answer."
    )
    return said


def _bullets(lines: Sequence[str]) -> str:
    """Return sentences as a list."""
    return "\n".join(f"- {markdown.escaped(line)}" for line in lines)
