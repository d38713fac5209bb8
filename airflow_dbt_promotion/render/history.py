"""The promotions on record, as a document, text and markdown."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.core.state import PromotionOutcome, PromotionRecord
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.table import Cell, Column, Page, table
from airflow_dbt_promotion.render.telling import count, listed
from airflow_dbt_promotion.render.text import HEADLINES

_TITLES = ("finished (UTC)", "to", "outcome", "plan", "by", "models", "told")
_COLUMNS = tuple(
    Column(title=title, least=least) for title, least in zip(_TITLES, (10, None, None, None, 8, 16, 14), strict=True)
)


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
    """One promotion. `reason` is that of its bypasses, `link` where a person can look at the run that made it."""

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
    return "\n".join(table(page, _COLUMNS, [_row(*told) for told in records], indent="")) + "\n"


def as_markdown(records: Records) -> str:
    """Return the promotions on record as markdown."""
    heading = f"## {count(len(records), 'promotion')} on record\n"
    if not records:
        return heading
    rows = [[markdown.escaped(cell.text) for cell in _row(*told)] for told in records]
    return f"{heading}\n{markdown.grid(_TITLES, rows)}\n"


def _row(environment: str, record: PromotionRecord) -> list[Cell]:
    """Return one promotion as a row."""
    told = [record.message, f"bypass: {record.reason}" if record.reason else "", record.link or ""]
    names = [bare_name(model) for model in sorted(record.models)]
    return [
        Cell(f"{record.finished_at:%Y-%m-%d %H:%M}"),
        Cell(environment),
        Cell(record.outcome.value, HEADLINES[record.outcome]),
        Cell(short(record.plan_id)),
        Cell(record.actor),
        Cell(f"{len(names)}: {listed(names, most=4)}" if names else ""),
        Cell("; ".join(part for part in told if part)),
    ]


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
