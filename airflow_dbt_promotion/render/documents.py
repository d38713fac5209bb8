"""Documents: the engine's values as JSON-able dicts. One shape for the command line, the functions and Airflow.

Each document is a typed struct, so that its JSON Schema is generated from the code that writes it (`render.schemas`).
Every field is always there; what is unknown is null. Instants are RFC 3339 in UTC with a Z. `schema_version` rises when
a field goes or changes its meaning, not when one is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import asdict

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.definition import Exposure
from airflow_dbt_promotion.core.eligibility import GateName, Status, Verdict
from airflow_dbt_promotion.core.environment import BypassKind, Strategy
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.core.status import Drifted, ModelStatus
from airflow_dbt_promotion.engine import Promotion
from airflow_dbt_promotion.render.drift import DriftDocument, drift_document
from airflow_dbt_promotion.render.environments import EnvironmentDocument, environment_document

SCHEMA_VERSION = 1

Instant = Annotated[datetime, Meta(tz=True)]


class VerdictDocument(Struct, frozen=True, kw_only=True):
    """One gate's answer. `code` is stable; `eligible_at` is when it could pass at the earliest, where time alone can
    tell.
    """

    gate: GateName
    status: Status
    code: str
    reason: str
    eligible_at: Instant | None


class ChangeDocument(Struct, frozen=True, kw_only=True):
    """One model of a plan. `result` is what became of it (`advanced`, `removed`, `failed`, `skipped`), null where
    nothing was carried out.
    """

    unique_id: str
    name: str
    change: ChangeKind
    from_version: str | None
    to_version: str | None
    result: str | None
    verdicts: tuple[VerdictDocument, ...]


class ExposureDocument(Struct, frozen=True, kw_only=True):
    """A use of the models outside dbt, and whom to tell."""

    unique_id: str
    name: str
    owner: str | None
    email: str | None
    url: str | None


class BypassDocument(Struct, frozen=True, kw_only=True):
    """A gate that was gone around, and why."""

    kind: BypassKind
    reason: str | None


class ErrorDocument(Struct, frozen=True, kw_only=True):
    """What went wrong: `kind` is `bad_input` (exit code 2), `machine` or `unexpected` (4), `interrupted` (130, 143);
    `code` is finer and stable.
    """

    kind: str
    code: str
    message: str


class FailureDocument(Struct, frozen=True, kw_only=True):
    """What any command but `promote` prints where it could not do what was asked; `outcome` is `errored`."""

    schema_version: int
    outcome: PromotionOutcome
    error: ErrorDocument


class VerificationDocument(Struct, frozen=True, kw_only=True):
    """What verifying a promotion came to, once it was published; `rolled_back_to` is the checkpoint it went back to."""

    passed: bool
    words: tuple[str, ...]
    rolled_back_to: str | None


class PromotionDocument(Struct, frozen=True, kw_only=True):
    """A promotion, carried out or not.

    `models` would go or went, together; `held` stays behind, each with the verdicts that say why; `already_current`
    (unique ids) needs nothing. `verdicts` are about the plan as a whole. `eligible_at` is when all of `models` could
    go, where time alone can tell. `words` are dbt's own where something failed. `verification` is null unless
    it was asked for and something was published. `error` is null unless the outcome is
    `errored`; then what could not be found out is null or empty.
    """

    schema_version: int
    outcome: PromotionOutcome
    message: str
    plan_id: str | None
    source_environment: str | None
    target_environment: str | None
    strategy: Strategy | None
    dry_run: bool
    started_at: Instant | None
    finished_at: Instant | None
    eligible_at: Instant | None
    models: tuple[ChangeDocument, ...]
    held: tuple[ChangeDocument, ...]
    already_current: tuple[str, ...]
    verdicts: tuple[VerdictDocument, ...]
    tests_in_target: tuple[str, ...]
    stale_after: tuple[str, ...]
    exposures: tuple[ExposureDocument, ...]
    bypasses: tuple[BypassDocument, ...]
    words: tuple[str, ...]
    warnings: tuple[str, ...]
    verification: VerificationDocument | None
    error: ErrorDocument | None


class LastPromotionDocument(Struct, frozen=True, kw_only=True):
    """The newest promotion into an environment that had a model in it."""

    plan_id: str
    outcome: PromotionOutcome
    result: str
    finished_at: Instant
    actor: str


class ModelStatusDocument(Struct, frozen=True, kw_only=True):
    """One model in one environment.

    `tested`, `soaked` and `validated` answer for going on to the next environment; `soaked` is null in the last.
    `eligible_at` is when the soak ends, where time alone can tell. `pending`: the next environment lacks this version.
    """

    environment: str
    unique_id: str
    name: str
    version: str
    since: Instant
    origin: str
    tested: bool
    soaked: bool | None
    validated: bool
    pending: bool
    stale: bool
    eligible_at: Instant | None
    drifted_version: str | None
    bypassed: tuple[str, ...]
    last_promotion: LastPromotionDocument | None
    verdicts: tuple[VerdictDocument, ...]


class StatusDocument(Struct, frozen=True, kw_only=True):
    """Where every model stands, in the order of the promotion path, then by unique id.

    `drift` tells of models that no environment holds, too. `environments` are those of which there is a document.
    """

    schema_version: int
    models: tuple[ModelStatusDocument, ...]
    drift: tuple[DriftDocument, ...]
    environments: tuple[EnvironmentDocument, ...]


def builtins(document: Struct) -> dict[str, object]:
    """Return a document as dicts, lists, text, numbers and None: what reading its JSON gives."""
    return cast("dict[str, object]", msgspec.json.decode(msgspec.json.encode(document)))


def promotion_document(promotion: Promotion) -> dict[str, object]:
    """Return a promotion as JSON-able values: a `PromotionDocument`."""
    plan = promotion.plan
    return builtins(
        PromotionDocument(
            schema_version=SCHEMA_VERSION,
            outcome=promotion.outcome,
            message=promotion.message,
            plan_id=plan.plan_id,
            source_environment=plan.source,
            target_environment=plan.target,
            strategy=plan.strategy,
            dry_run=promotion.dry_run,
            started_at=promotion.started_at,
            finished_at=promotion.finished_at,
            eligible_at=plan.eligible_at,
            models=_changes(plan.changes, promotion),
            held=_changes(plan.held, promotion),
            already_current=plan.already_current,
            verdicts=verdicts(plan.verdicts),
            tests_in_target=plan.tests_in_target,
            stale_after=plan.stale_after,
            exposures=tuple(exposure(one) for one in plan.exposures),
            bypasses=tuple(
                BypassDocument(kind=kind, reason=plan.choices.reason)
                for kind in sorted(plan.choices.bypasses, key=lambda kind: kind.value)
            ),
            words=promotion.words,
            warnings=promotion.warnings,
            verification=None if (found := promotion.verification) is None else VerificationDocument(**asdict(found)),
            error=None,
        )
    )


def failed_promotion_document(error: ErrorDocument, target: str | None, *, dry_run: bool) -> dict[str, object]:
    """Return the document of a promotion that ended before there was anything to tell: outcome `errored`, and the
    error.
    """
    nothing: dict[str, Any] = dict.fromkeys(
        ("plan_id", "source_environment", "strategy", "started_at", "finished_at", "eligible_at", "verification"),
    )
    empty: dict[str, Any] = dict.fromkeys(
        (
            "models",
            "held",
            "already_current",
            "verdicts",
            "tests_in_target",
            "stale_after",
            "exposures",
            "bypasses",
            "words",
            "warnings",
        ),
        (),
    )
    return builtins(
        PromotionDocument(
            schema_version=SCHEMA_VERSION,
            outcome=PromotionOutcome.ERRORED,
            message=error.message,
            target_environment=target,
            dry_run=dry_run,
            error=error,
            **nothing,
            **empty,
        )
    )


def failure_document(error: ErrorDocument) -> dict[str, object]:
    """Return what went wrong as JSON-able values: a `FailureDocument`."""
    return builtins(FailureDocument(schema_version=SCHEMA_VERSION, outcome=PromotionOutcome.ERRORED, error=error))


def status_document(
    models: Sequence[ModelStatus], drift: Sequence[Drifted] = (), states: Sequence[EnvironmentState] = ()
) -> dict[str, object]:
    """Return where models stand, what drifted, and the environments as a whole, as JSON-able values: a
    `StatusDocument`.
    """
    return builtins(
        StatusDocument(
            schema_version=SCHEMA_VERSION,
            models=tuple(model_status(model) for model in models),
            drift=tuple(drift_document(one) for one in drift),
            environments=tuple(environment_document(state) for state in states),
        )
    )


def model_status(status: ModelStatus) -> ModelStatusDocument:
    """Return where one model stands."""
    last = status.last_promotion
    return ModelStatusDocument(
        environment=status.environment,
        unique_id=status.model,
        name=status.name,
        version=status.version,
        since=status.since,
        origin=status.origin,
        tested=status.tested,
        soaked=status.soaked,
        validated=status.validated,
        pending=status.pending,
        stale=status.stale,
        eligible_at=status.soak.eligible_at if status.soak is not None else None,
        drifted_version=status.drifted,
        bypassed=status.bypassed,
        last_promotion=None
        if last is None
        else LastPromotionDocument(
            plan_id=last.plan_id,
            outcome=last.outcome,
            result=last.result,
            finished_at=last.finished_at,
            actor=last.actor,
        ),
        verdicts=verdicts(status.verdicts),
    )


def verdicts(found: Iterable[Verdict]) -> tuple[VerdictDocument, ...]:
    """Return gates' answers."""
    return tuple(
        VerdictDocument(gate=one.gate, status=one.status, code=one.code, reason=one.reason, eligible_at=one.eligible_at)
        for one in found
    )


def _changes(changes: Iterable[Change], promotion: Promotion) -> tuple[ChangeDocument, ...]:
    """Return the models of a plan with what became of them."""
    return tuple(
        ChangeDocument(
            unique_id=change.model,
            name=change.name,
            change=change.kind,
            from_version=change.from_version,
            to_version=change.to_version,
            result=promotion.models[change.model].result if change.model in promotion.models else None,
            verdicts=verdicts(change.verdicts),
        )
        for change in changes
    )


def exposure(found: Exposure) -> ExposureDocument:
    """Return an exposure with its owner."""
    email = found.owner.email
    return ExposureDocument(
        unique_id=found.unique_id,
        name=found.label or found.name,
        owner=found.owner.name,
        email=", ".join(email) if isinstance(email, list) else email,
        url=found.url,
    )
