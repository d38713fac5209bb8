"""Telling once more what a promotion came to that an earlier attempt of the same run has ended."""

from __future__ import annotations

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.identity import Digest, Version
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.state import Entry, EntryOrigin, EnvironmentState, PromotionRecord
from airflow_dbt_promotion.engine.request import Promotion

AGAIN = "promoted by an earlier attempt of the same run; nothing was done again"


def told_again(record: PromotionRecord, target: EnvironmentState, warnings: tuple[str, ...]) -> Promotion:
    """Return a promotion as history tells it: its changes with their versions, and what became of them.

    Of verdicts, evidence and code, history knows nothing.
    """
    plan = Plan(
        plan_id=record.plan_id,
        source=record.source,
        target=target.environment,
        strategy=Strategy(record.strategy),
        precondition="",
        changes=tuple(
            Change(
                model=model,
                kind=ChangeKind(told.change),
                before=_entry(told.from_version, record),
                after=_entry(told.to_version, record),
            )
            for model, told in sorted(record.models.items())
        ),
        rollback_to=record.rollback_to,
        computed_at=record.started_at,
    )
    return Promotion(
        plan=plan,
        outcome=record.outcome,
        started_at=record.started_at,
        finished_at=record.finished_at,
        message=AGAIN,
        models=record.models,
        warnings=warnings,
        retold=True,
    )


def _entry(version: Version | None, record: PromotionRecord) -> Entry | None:
    """Return what is known of a version that came or left, None where there was none."""
    if version is None:
        return None
    unknown = Digest("")
    return Entry(
        version=version,
        code=unknown,
        tests=unknown,
        meta=unknown,
        parents={},
        since=record.finished_at,
        origin=EntryOrigin.PROMOTION,
        by=record.plan_id,
    )
