"""The promotions on record, as a document, text and markdown."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.core.importing import IMPORTED
from airflow_dbt_promotion.core.instants import readable
from airflow_dbt_promotion.core.state import PromotionOutcome, PromotionRecord
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.remedies import moment
from airflow_dbt_promotion.render.table import Page
from airflow_dbt_promotion.render.telling import count, listed
from airflow_dbt_promotion.render.text import HEADLINES

_TITLES = ("finished", "to", "outcome", "plan", "by", "models", "told")


class PromotedModelDocument(Struct, frozen=True, kw_only=True):
    """What became of one model: `result` is `advanced`, `failed`, `skipped`, `removed`, or `planned` where the
    promotion broke.
    """

    unique_id: str
    name: str
    change: str
    from_version: str | None
    to_version: str | None
    result: str


class PromotionRecordDocument(Struct, frozen=True, kw_only=True):
    """One promotion. `reason` is that of its bypasses, `link` where a person can look at the run that made it.

    `run_id` is what all attempts at it had in common, null where nobody said; `attempts` counts them. One that was
    imported has the strategy `imported`, an unknown source, and models without versions. `rollback_to` is the
    checkpoint that a rollback went back to, null for a promotion. `approved_by` are those whose approval counted.
    """

    plan_id: str
    outcome: PromotionOutcome
    source_environment: str
    target_environment: str
    strategy: str
    actor: str
    started_at: Instant
    finished_at: Instant
    message: str
    reason: str | None
    link: str | None
    run_id: str | None
    attempts: int
    rollback_to: str | None
    approved_by: tuple[str, ...]
    models: tuple[PromotedModelDocument, ...]


class HistoryDocument(Struct, frozen=True, kw_only=True):
    """The promotions on record, newest first."""

    schema_version: int
    promotions: tuple[PromotionRecordDocument, ...]


Records = Sequence[tuple[str, PromotionRecord]]


def document(records: Records) -> dict[str, object]:
    """Return the promotions on record as JSON-able values."""
    return builtins(
        HistoryDocument(schema_version=SCHEMA_VERSION, promotions=tuple(_record(*told) for told in records))
    )


def text(records: Records, page: Page) -> str:
    """Return the promotions on record as text."""
    if not records:
        return "No promotion is on record.\n"
    lines: list[str] = []
    for environment, record in records:
        lines += [*([""] if lines else []), *_entry(environment, record, page)]
    return "\n".join(lines) + "\n"


def as_markdown(records: Records) -> str:
    """Return the promotions on record as markdown."""
    heading = f"## {count(len(records), 'promotion')} on record\n"
    if not records:
        return heading
    rows = [_row(*told) for told in records]
    return f"{heading}\n{markdown.grid(_TITLES, rows)}\n"


def _entry(environment: str, record: PromotionRecord, page: Page) -> list[str]:
    """Return one promotion as lines."""
    outcome = page.paint(record.outcome.value.replace("_", " "), HEADLINES[record.outcome])
    lines = [
        f"{moment(record.finished_at)}  {environment}  {outcome}",
        *page.paragraph(_way(environment, record), "  ", "    "),
    ]
    for result, names in _by_result(record).items():
        lines += page.paragraph(f"{result}: {listed(names)}", "  ", "    ")
    if record.approved_by:
        lines += page.paragraph(f"approved by {listed(record.approved_by)}", "  ", "    ")
    if record.message:
        lines += page.paragraph(record.message, "  ", "    ")
    if record.reason:
        why = "reason" if record.rollback_to is not None else "bypass, reason"
        lines += page.paragraph(f"{why}: {record.reason}", "  ", "    ")
    if record.link:
        lines += page.paragraph(record.link, "  ", "    ")
    return lines


def _way(environment: str, record: PromotionRecord) -> str:
    """Return by whom and how; of what was imported, nobody knows more than who.

    What comes from the environment itself was built anew, with fresh rows, after a rollback.
    """
    if record.strategy == IMPORTED:
        return f"by {record.actor}"
    took = readable(record.finished_at - record.started_at)
    back = f"back to checkpoint {record.rollback_to}"
    onward = "built anew" if record.source == environment else f"from {record.source}"
    way = onward if record.rollback_to is None else back
    told = f"by {record.actor} {way}, plan {short(record.plan_id)}, {record.strategy}, took {took}"
    return told if record.attempts == 1 else f"{told}, in {record.attempts} attempts"


def _by_result(record: PromotionRecord) -> dict[str, list[str]]:
    """Return the models of a promotion by what became of them."""
    found: dict[str, list[str]] = {}
    for model, told in sorted(record.models.items()):
        found.setdefault(told.result, []).append(bare_name(model))
    return found


def _row(environment: str, record: PromotionRecord) -> list[str]:
    """Return one promotion as a row of a table in markdown."""
    why = "bypass" if record.rollback_to is None else f"back to {record.rollback_to}"
    approved = f"approved by {listed(record.approved_by)}" if record.approved_by else ""
    told = [approved, record.message, f"{why}: {record.reason}" if record.reason else "", record.link or ""]
    models = "; ".join(f"{result}: {listed(names, most=6)}" for result, names in _by_result(record).items())
    shown = (
        moment(record.finished_at),
        environment,
        record.outcome.value,
        short(record.plan_id if record.strategy != IMPORTED else None),
        record.actor,
        models,
        "; ".join(part for part in told if part),
    )
    return [markdown.escaped(one) for one in shown]


def _record(environment: str, record: PromotionRecord) -> PromotionRecordDocument:
    """Return one promotion."""
    return PromotionRecordDocument(
        plan_id=record.plan_id,
        outcome=record.outcome,
        source_environment=record.source,
        target_environment=environment,
        strategy=record.strategy,
        actor=record.actor,
        started_at=record.started_at,
        finished_at=record.finished_at,
        message=record.message,
        reason=record.reason,
        link=record.link,
        run_id=record.run,
        attempts=record.attempts,
        rollback_to=record.rollback_to,
        approved_by=record.approved_by,
        models=tuple(
            PromotedModelDocument(
                unique_id=model,
                name=bare_name(model),
                change=told.change,
                from_version=told.from_version,
                to_version=told.to_version,
                result=told.result,
            )
            for model, told in sorted(record.models.items())
        ),
    )
