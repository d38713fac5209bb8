"""A promotion as text for a terminal: first what happened and why, then what would change it, then the table."""

from __future__ import annotations

from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.eligibility import GateName, Status, Verdict
from airflow_dbt_promotion.core.identity import short
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion
from airflow_dbt_promotion.render.remedies import Ends, when
from airflow_dbt_promotion.render.table import Cell, Column, Page, Tone, table
from airflow_dbt_promotion.render.telling import (
    answers,
    count,
    eligible,
    ends_of,
    gates_of,
    headline,
    notes,
    owner_of,
    put_before_people,
    refusals,
    shut,
    versions,
)

MOST_REASONS = 8
MOST_HELD = 30

HEADLINES = {
    PromotionOutcome.PROMOTED: Tone.GOOD_BOLD,
    PromotionOutcome.PLANNED: Tone.GOOD_BOLD,
    PromotionOutcome.NOTHING_TO_DO: Tone.BOLD,
    PromotionOutcome.REFUSED: Tone.WAIT_BOLD,
    PromotionOutcome.FAILED: Tone.BAD_BOLD,
    PromotionOutcome.ERRORED: Tone.BAD_BOLD,
}
STATUSES = {Status.PASSED: Tone.GOOD, Status.WAITING: Tone.WAIT, Status.BLOCKED: Tone.BAD}
_RESULTS = {
    "advanced": ("promoted", Tone.GOOD),
    "removed": ("removed", Tone.GOOD),
    "failed": ("failed", Tone.BAD),
    "skipped": ("skipped", Tone.WAIT),
}


def promotion(told: Promotion, page: Page | None = None) -> str:
    """Return a promotion as text, a newline at its end."""
    page = page or Page()
    lines = [page.paint(line, HEADLINES[told.outcome]) for line in page.paragraph(headline(told))]
    if told.outcome is PromotionOutcome.REFUSED:
        lines += _refused(told, page)
    if told.outcome is PromotionOutcome.PROMOTED and told.message:
        lines += page.paragraph(f"{told.message[0].upper()}{told.message[1:]}.", "  ")
    if told.outcome is PromotionOutcome.FAILED:
        lines += page.paragraph(told.message, "  ")
        lines += [line for word in told.words for line in page.paragraph(word, "  dbt: ", "       ")]
    if told.plan.changes:
        lines += ["", *_changes(told, page)]
    if told.plan.held:
        lines += ["", *_held(told, page)]
    lines += _footnotes(told, page)
    return "\n".join(lines) + "\n"


def gate_cell(verdicts: tuple[Verdict, ...]) -> Cell:
    """Return what a gate says, by its codes."""
    if not verdicts:
        return Cell("")
    return Cell(" ".join(verdict.code for verdict in verdicts), STATUSES[verdicts[0].status])


def _refused(told: Promotion, page: Page) -> list[str]:
    """Return what holds the plan up, and what would change it."""
    ends = ends_of(told)
    lines: list[str] = []
    for refusal in refusals(told.plan, ends):
        lines += ["", "  " + page.paint(f"{refusal.gate.value}: {refusal.code}", Tone.BOLD)]
        for name, reason in refusal.told[:MOST_REASONS]:
            lines += page.paragraph(reason if name is None else f"{name}: {reason}", "    ", "      ")
        if len(refusal.told) > MOST_REASONS:
            lines.append(f"    and {len(refusal.told) - MOST_REASONS} more")
        if refusal.remedy is not None:
            lines += page.paragraph(refusal.remedy, "    => ", "       ")
    soonest = eligible(told.plan, ends)
    return [*lines, "", *page.paragraph(soonest, "  ")] if soonest else lines


def _changes(told: Promotion, page: Page) -> list[str]:
    """Return the table of what goes together."""
    gates = gates_of(told.plan.changes)
    columns = [
        Column(title="model", least=16),
        Column(title="change"),
        Column(title="version", least=11),
        *(Column(title=gate.value, least=9) for gate in gates),
        Column(title="result"),
    ]
    return table(page, columns, [_change(told, change, gates) for change in told.plan.changes])


def _change(told: Promotion, change: Change, gates: tuple[GateName, ...]) -> list[Cell | str]:
    """Return one row of that table."""
    result, tone = (
        _RESULTS.get(told.models[change.model].result, ("", Tone.PLAIN))
        if change.model in told.models
        else ("", Tone.PLAIN)
    )
    return [
        Cell(change.name, Tone.BOLD),
        change.kind.value,
        versions(change),
        *(gate_cell(answers(change, gate)) for gate in gates),
        Cell(result, tone),
    ]


def _held(told: Promotion, page: Page) -> list[str]:
    """Return the table of what stays behind, and why."""
    held, ends = told.plan.held, ends_of(told)
    rows = [_held_row(change, ends) for change in held[:MOST_HELD]]
    columns = [
        Column(title="model", least=16),
        Column(title="change"),
        Column(title="gate"),
        Column(title="why", least=24),
        Column(title="may go", least=16),
    ]
    lines = [page.paint(f"Held back: {count(len(held))}", Tone.BOLD), *table(page, columns, rows)]
    if len(held) > MOST_HELD:
        lines.append(f"  and {len(held) - MOST_HELD} more: `dbt-promote why MODEL` tells of each, json of all")
    for told_how in put_before_people(held, ends):
        lines += page.paragraph(told_how, "  => ", "     ")
    return lines


def _held_row(change: Change, ends: Ends) -> list[Cell | str]:
    """Return one row of that table."""
    verdict = shut(change)
    if verdict is None:
        return [Cell(change.name, Tone.BOLD), change.kind.value, "", "", ""]
    may_go = "" if verdict.eligible_at is None else when(verdict.eligible_at, ends.now)
    return [
        Cell(change.name, Tone.BOLD),
        change.kind.value,
        Cell(verdict.gate.value, STATUSES[verdict.status]),
        verdict.reason,
        may_go,
    ]


def _footnotes(told: Promotion, page: Page) -> list[str]:
    """Return the notes, the exposures that are reached, and the plan's name."""
    plan = told.plan
    lines = [line for note in notes(told) for line in page.paragraph(note, "  ", "    ")]
    for exposure in plan.exposures:
        name = exposure.label or exposure.name
        address = f", {exposure.url}" if exposure.url else ""
        lines += page.paragraph(f"Reaches {name} (owner: {owner_of(exposure)}{address})", "  ", "    ")
    if plan.changes:
        dry = "" if not told.dry_run else "; a dry run runs nothing"
        lines.append(page.paint(f"  Plan {short(plan.plan_id)}, strategy {plan.strategy.value}{dry}", Tone.DIM))
    return ["", *lines] if lines else []
