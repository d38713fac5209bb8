"""A rollback as people and machines read it: what comes back, how old its rows are, and what cannot be undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from msgspec import Struct

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.identity import bare_name
from airflow_dbt_promotion.core.instants import readable
from airflow_dbt_promotion.core.rolling_back import How, Way
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Rollback
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render import text as promotions
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, VerdictDocument, builtins, verdicts
from airflow_dbt_promotion.render.remedies import moment
from airflow_dbt_promotion.render.table import Page
from airflow_dbt_promotion.render.telling import count, listed


class RolledBackModelDocument(Struct, frozen=True, kw_only=True):
    """One model of a rollback. `result` is what became of it, null where nothing was carried out.

    `how` is `comes_back` (its old relation, with rows of `rows_at`), `built` (from the checkpoint's code), `state_only`
    or `leaves`; null where an earlier attempt of the same run did it. `lasting` says what of its data cannot be undone.
    """

    unique_id: str
    name: str
    change: ChangeKind
    from_version: str | None
    to_version: str | None
    result: str | None
    how: How | None
    rows_at: Instant | None
    lasting: str | None
    verdicts: tuple[VerdictDocument, ...]


class RollbackDocument(Struct, frozen=True, kw_only=True):
    """A rollback, carried out or not, to the checkpoint with this id; `undone` are all that it undoes, newest first.

    `rebuilt` says whether what came back with old rows was built anew, null where nothing was to be; `not_rebuilt` says
    why not. `words` are dbt's own where something failed.
    """

    schema_version: int
    outcome: PromotionOutcome
    message: str
    environment: str
    checkpoint: str | None
    checkpoint_at: Instant | None
    undone: tuple[str, ...]
    plan_id: str
    strategy: Strategy
    reason: str | None
    dry_run: bool
    started_at: Instant
    finished_at: Instant
    models: tuple[RolledBackModelDocument, ...]
    verdicts: tuple[VerdictDocument, ...]
    rebuilt: bool | None
    not_rebuilt: str | None
    words: tuple[str, ...]
    warnings: tuple[str, ...]


def document(told: Rollback) -> dict[str, object]:
    """Return a rollback as JSON-able values."""
    done, back = told.promotion, told.back
    return builtins(
        RollbackDocument(
            schema_version=SCHEMA_VERSION,
            outcome=told.outcome,
            message=done.message,
            environment=done.plan.target,
            checkpoint=done.plan.rollback_to,
            checkpoint_at=back.goal.at if back is not None else None,
            undone=tuple(one.id for one in back.undone) if back is not None else (),
            plan_id=done.plan.plan_id,
            strategy=done.plan.strategy,
            reason=done.plan.choices.reason,
            dry_run=done.dry_run,
            started_at=done.started_at,
            finished_at=done.finished_at,
            models=tuple(_model(told, change) for change in done.plan.changes),
            verdicts=verdicts(done.plan.verdicts),
            rebuilt=rebuilt(told),
            not_rebuilt=told.not_rebuilt or None,
            words=done.words,
            warnings=done.warnings,
        )
    )


def text(told: Rollback, page: Page) -> str:
    """Return a rollback as text."""
    lines = [line for note in notes(told) for line in page.paragraph(note, "  ", "    ")]
    return promotions.promotion(told.promotion, page) + "".join(f"{line}\n" for line in ([""] if lines else []) + lines)


def as_markdown(told: Rollback) -> str:
    """Return a rollback as markdown."""
    listing = "\n".join(f"- {markdown.escaped(note)}" for note in notes(told))
    return markdown.promotion(told.promotion) + (f"\n{listing}\n" if listing else "")


def notes(told: Rollback) -> tuple[str, ...]:
    """Return what is to be known of a rollback, before and after: one sentence each."""
    found: list[str] = []
    name = told.promotion.plan.target
    if told.back is not None and told.outcome is not PromotionOutcome.NOTHING_TO_DO:
        found += _ways(told.back.ways, told.promotion.finished_at)
        if len(told.back.undone) > 1:
            found.append(f"It undoes {len(told.back.undone)} checkpoints: {listed([o.id for o in told.back.undone])}.")
    if told.outcome is PromotionOutcome.PROMOTED:
        lift = f"`dbt-promote release --environment {name} --reason TEXT`"
        found.append(f"The versions that were left are blocked, and {name} is held: {lift} lets promotions go on.")
    if told.rebuild is not None and not told.not_rebuilt:
        found.append(f"Built anew afterwards, with fresh rows: {count(len(told.rebuild.plan.changes))}.")
    if told.not_rebuilt:
        fresh = f"`dbt-promote run --environment {name}` builds fresh ones"
        found.append(f"What came back was not built anew: {told.not_rebuilt}. Its old rows stay; {fresh}.")
    return tuple(found)


def _ways(ways: Iterable[Way], now: datetime) -> list[str]:
    """Return how models go back, and what of their data cannot be undone."""
    by_how: dict[How, list[Way]] = {how: [] for how in How}
    for way in ways:
        by_how[way.how].append(way)
    found = []
    if back := by_how[How.COMES_BACK]:
        ages = [f"{bare_name(way.model)} {_rows(way, now)}" for way in back]
        found.append(f"Old relations come back, with rows built then: {listed(ages)}.")
    for how, sentence in _SENTENCES.items():
        if by_how[how]:
            found.append(f"{sentence}: {listed([bare_name(way.model) for way in by_how[how]])}.")
    lasting = [f"{bare_name(way.model)} ({way.lasting})" for way in ways if way.lasting is not None]
    if lasting:
        found.append(f"Cannot be undone as data: {listed(lasting)}.")
    return found


_SENTENCES: Mapping[How, str] = {
    How.BUILT: "Built from the code of the checkpoint",
    How.STATE_ONLY: "Their code, tests or description go back, and nothing is built",
    How.LEAVES: "Not there at the checkpoint; they leave, and their relations stay",
}


def _rows(way: Way, now: datetime) -> str:
    """Return when the rows of a relation were built, and how old they are."""
    return "" if way.rows_at is None else f"{moment(way.rows_at)} ({readable(now - way.rows_at)} old)"


def rebuilt(told: Rollback) -> bool | None:
    """Say whether old rows were replaced by fresh ones; None where there was nothing to do."""
    if told.rebuild is None and not told.not_rebuilt:
        return None
    return not told.not_rebuilt


def _model(told: Rollback, change: Change) -> RolledBackModelDocument:
    """Return one model."""
    ways = {way.model: way for way in told.back.ways} if told.back is not None else {}
    way, done = ways.get(change.model), told.promotion.models.get(change.model)
    return RolledBackModelDocument(
        unique_id=change.model,
        name=change.name,
        change=change.kind,
        from_version=change.from_version,
        to_version=change.to_version,
        result=done.result if done is not None else None,
        how=way.how if way is not None else None,
        rows_at=way.rows_at if way is not None else None,
        lasting=way.lasting if way is not None else None,
        verdicts=verdicts(change.verdicts),
    )
