"""What a promotion tells those who wait for it: one small document for the environment, one for each model."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import Struct

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.identity import ModelId, Version
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine import Promotion
from airflow_dbt_promotion.render.documents import Instant, builtins

ADVANCED = "advanced"


class AnnouncedEvidence(Struct, frozen=True, kw_only=True):
    """What the version had behind it in the environment that it came from; null where nothing is on record there.

    `soaked_seconds` is its longest stay there, the present one counted up to the promotion.
    """

    tests_passed_at: Instant | None
    soaked_seconds: int | None


class AnnouncedModel(Struct, frozen=True, kw_only=True):
    """One model that has another version, or other tests or descriptions, now. `evidence` is null for a rollback."""

    unique_id: str
    name: str
    change: str
    version: str | None
    from_version: str | None
    evidence: AnnouncedEvidence | None


class Announcement(Struct, frozen=True, kw_only=True):
    """A promotion that went well. `rolled_back_to` is the checkpoint of a rollback, null for a promotion.

    `run` names the task that did it, the same in each of its attempts; `models` holds each model that advanced.
    """

    environment: str
    source_environment: str
    plan_id: str
    run: str
    actor: str | None
    approved_by: tuple[str, ...]
    rolled_back_to: str | None
    promoted_at: Instant
    models: tuple[AnnouncedModel, ...]


def announcement(
    told: Promotion, run: str, source: EnvironmentState | None, target: EnvironmentState | None
) -> Announcement:
    """Return what is told of a promotion that went well; the documents of both environments tell what it does not."""
    plan = told.plan
    record = next((one for one in target.history if one.plan_id == plan.plan_id), None) if target is not None else None
    proven = source if plan.rollback_to is None else None
    return Announcement(
        environment=plan.target,
        source_environment=plan.source,
        plan_id=plan.plan_id,
        run=run,
        actor=record.actor if record is not None else None,
        approved_by=record.approved_by if record is not None else (),
        rolled_back_to=plan.rollback_to,
        promoted_at=told.finished_at,
        models=tuple(
            _model(change, proven, told.started_at)
            for change in plan.changes
            if change.model in told.models and told.models[change.model].result == ADVANCED
        ),
    )


def of_environment(said: Announcement) -> dict[str, object]:
    """Return what the environment's event holds: each model with its versions, without evidence."""
    brief = [
        {"name": one.name, "unique_id": one.unique_id, "version": one.version, "from_version": one.from_version}
        for one in said.models
    ]
    return {**builtins(said), "models": brief}


def of_models(said: Announcement) -> Iterator[tuple[str, dict[str, object]]]:
    """Yield the name of each model, and what its event holds: the promotion's own facts, and the model's."""
    facts = builtins(said)
    del facts["models"]
    for model in said.models:
        yield model.name, {**facts, **builtins(model)}


def _model(change: Change, source: EnvironmentState | None, at: datetime) -> AnnouncedModel:
    """Return one model with what its version had behind it."""
    version = change.to_version
    return AnnouncedModel(
        unique_id=change.model,
        name=change.name,
        change=change.kind.value,
        version=version,
        from_version=change.from_version,
        evidence=None if source is None or version is None else _evidence(source, change.model, version, at),
    )


def _evidence(source: EnvironmentState, model: ModelId, version: Version, at: datetime) -> AnnouncedEvidence:
    """Return when the tests of a version passed last, and how long it stayed."""
    found = ledger.of_version(source, model, version)
    stays = [one.left_at - one.entered_at for one in source.stays.get(model, ()) if one.version == version]
    held = source.current.get(model)
    if held is not None and held.version == version and held.stale_since is None:
        stays.append(max(at, held.since) - held.since)
    return AnnouncedEvidence(
        tests_passed_at=found.last_pass if found is not None else None,
        soaked_seconds=int(max(stays).total_seconds()) if stays else None,
    )
