"""What a task tells: its log, its XCom, its end."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion, Rollback, RunOutcome, ServedRun
from airflow_dbt_promotion.hooks.endings import OnRefused, fail, skip
from airflow_dbt_promotion.render import rolling_back, serving, table, text
from airflow_dbt_promotion.render.documents import Instant, builtins
from airflow_dbt_promotion.render.planned import MOST_REFUSALS, SummaryRefusal, closed, refusals


class Log(Protocol):
    """A logger, as far as it is needed here."""

    def info(self, message: str, /) -> None:
        """Write one line."""


class SummaryModel(Struct, frozen=True, kw_only=True):
    """One model of the plan; `result` is null where nothing was carried out."""

    unique_id: str
    name: str
    change: str
    from_version: str | None
    to_version: str | None
    result: str | None


class Summary(Struct, frozen=True, kw_only=True):
    """A promotion as other tasks read it from XCom: small, and the same for every outcome.

    `held` is how many models stay behind; `link` is the run in the UI, `promotion_link` the run, or CI job, of the
    newest promotion that went well. The first fifty refusals are told.
    """

    outcome: PromotionOutcome
    plan_id: str
    source_environment: str
    target_environment: str
    dry_run: bool
    message: str
    eligible_at: Instant | None
    models: tuple[SummaryModel, ...]
    refusals: tuple[SummaryRefusal, ...]
    held: int
    link: str | None
    promotion_link: str | None


def summary(told: Promotion, link: str | None, promotion_link: str | None = None) -> dict[str, object]:
    """Return the XCom of a promotion: a `Summary` as dicts, lists and text."""
    plan = told.plan
    return builtins(
        Summary(
            outcome=told.outcome,
            plan_id=plan.plan_id,
            source_environment=plan.source,
            target_environment=plan.target,
            dry_run=told.dry_run,
            message=told.message,
            eligible_at=plan.eligible_at,
            models=_models(told),
            refusals=refusals(told.plan),
            held=len(plan.held),
            link=link,
            promotion_link=promotion_link,
        )
    )


def _models(told: Promotion) -> tuple[SummaryModel, ...]:
    """Return each model of a plan with what became of it."""
    return tuple(
        SummaryModel(
            unique_id=change.model,
            name=change.name,
            change=change.kind.value,
            from_version=change.from_version,
            to_version=change.to_version,
            result=told.models[change.model].result if change.model in told.models else None,
        )
        for change in told.plan.changes
    )


class RunFailure(Struct, frozen=True, kw_only=True):
    """A model or a test that failed."""

    unique_id: str
    name: str
    status: str
    message: str


class RunSummary(Struct, frozen=True, kw_only=True):
    """A run of what was promoted as other tasks read it from XCom: small, and the same for every outcome.

    `counts` says how many nodes ended in which way; the first fifty failures are told. `link` is the run in the UI.
    """

    outcome: RunOutcome
    environment: str
    command: str
    counts: dict[str, int]
    failed: tuple[RunFailure, ...]
    releases: tuple[str, ...]
    warnings: tuple[str, ...]
    started_at: Instant
    finished_at: Instant
    link: str | None


def run_summary(told: ServedRun, link: str | None) -> dict[str, object]:
    """Return the XCom of a run: a `RunSummary` as dicts, lists and text."""
    return builtins(
        RunSummary(
            outcome=told.outcome,
            environment=told.environment,
            command=told.order.command.value,
            counts=serving.counts(told),
            failed=tuple(
                RunFailure(unique_id=one.id, name=one.name, status=one.status.value, message=one.message)
                for one in told.failed[:MOST_REFUSALS]
            ),
            releases=told.releases,
            warnings=told.warnings,
            started_at=told.started_at,
            finished_at=told.finished_at,
            link=link,
        )
    )


class RollbackSummary(Struct, frozen=True, kw_only=True):
    """A rollback as other tasks read it from XCom: small, and the same for every outcome.

    `rebuilt` says whether what came back with old rows was built anew, null where nothing was to be.
    """

    outcome: PromotionOutcome
    environment: str
    checkpoint: str | None
    plan_id: str
    dry_run: bool
    message: str
    models: tuple[SummaryModel, ...]
    refusals: tuple[SummaryRefusal, ...]
    rebuilt: bool | None
    not_rebuilt: str | None
    link: str | None


def rollback_summary(told: Rollback, link: str | None) -> dict[str, object]:
    """Return the XCom of a rollback: a `RollbackSummary` as dicts, lists and text."""
    done = told.promotion
    return builtins(
        RollbackSummary(
            outcome=told.outcome,
            environment=done.plan.target,
            checkpoint=done.plan.rollback_to,
            plan_id=done.plan.plan_id,
            dry_run=done.dry_run,
            message=done.message,
            models=_models(done),
            refusals=refusals(done.plan),
            rebuilt=rolling_back.rebuilt(told),
            not_rebuilt=told.not_rebuilt or None,
            link=link,
        )
    )


def rollback(told: Rollback) -> str:
    """Return a rollback for the task's log: what came back, and what cannot be undone."""
    return rolling_back.text(told, table.Page())


def run(told: ServedRun) -> str:
    """Return a run for the task's log: how it ended, and what failed."""
    return serving.text(told, table.Page())


def run_ending(told: ServedRun) -> Exception | None:
    """Return the exception with which the task ends, None where it succeeds."""
    match told.outcome:
        case RunOutcome.FAILED:
            return fail(serving.headline(told))
        case RunOutcome.PASSED | RunOutcome.LISTED:
            return None


def promotion(told: Promotion) -> str:
    """Return a promotion for the task's log: what happened, why, and the table of the plan."""
    return text.promotion(told)


def write(log: Log, told: str) -> None:
    """Write text line by line, so that a table stays one in every way of showing a log."""
    for line in told.rstrip().splitlines():
        log.info(line)


def ending(told: Promotion, on_refused: OnRefused) -> Exception | None:
    """Return the exception with which the task ends, None where it succeeds."""
    match told.outcome:
        case PromotionOutcome.REFUSED:
            message = f"refused: {told.message}"
            return skip(message) if on_refused is OnRefused.SKIP else fail(message)
        case PromotionOutcome.FAILED:
            return fail(f"failed: {told.message}")
        case PromotionOutcome.PROMOTED | PromotionOutcome.NOTHING_TO_DO | PromotionOutcome.PLANNED:
            return None
        case PromotionOutcome.ERRORED:
            return RuntimeError(f"errored: {told.message}")


def plan_ending(told: Promotion, on_refused: OnRefused) -> Exception | None:
    """Return the exception with which a task that plans ends, None for a plan that may go, or has but to wait."""
    shut = closed(told.plan)
    if not shut:
        return None
    message = f"refused: {shut[0].reason}" + (f" (and {len(shut) - 1} more)" if len(shut) > 1 else "")
    return skip(message) if on_refused is OnRefused.SKIP else fail(message)
