"""A plan as one task hands it to others: what would change, what that rests on, and with what it was asked for.

All of it but its evidence: who is handed it can have the very same plan computed again, and refuse any other.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import asdict, replace

from airflow_dbt_promotion.core.approvals import AgreedPlan, ApprovedChange
from airflow_dbt_promotion.core.eligibility import GateName, Status, Verdict
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import ModelId, PlanId, Version
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.engine import Promotion, PromotionRequest
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import ExposureDocument, Instant, builtins, exposure

MOST_MARKDOWN = 20_000
"""Letters of markdown that are handed on: the database keeps an XCom for as long as its run."""

MOST_REFUSALS = 50
"""Refusals that are handed on."""

_CUT = "\n\n_The rest is cut here; the log of the task that planned has all of it._\n"


class SummaryRefusal(Struct, frozen=True, kw_only=True):
    """A gate that is shut; `unique_id` is null where it is about the whole plan."""

    unique_id: str | None
    gate: str
    code: str
    reason: str
    eligible_at: Instant | None


class PlannedModel(Struct, frozen=True, kw_only=True):
    """One change of the plan."""

    unique_id: str
    name: str = ""
    change: str
    from_version: str | None
    to_version: str | None


class AskedWith(Struct, frozen=True, kw_only=True):
    """What the plan was asked for with, as far as it decides whether it may go; each by its name in the request."""

    soak: timedelta | None = None
    min_successful_runs: int | None = None
    require_tests: bool = True
    reason: str | None = None
    strategy: Strategy | None = None
    on_incremental_change: IncrementalChange | None = None
    allow_stale_downstream: bool = False
    allow_removals: bool = False
    force: bool = False


class HandedPlan(Struct, frozen=True, kw_only=True):
    """As much of a plan as it takes to have it computed again: its changes, the versions of the source that it rests
    on, and what it was asked for with.
    """

    plan_id: str
    models: tuple[PlannedModel, ...]
    rests_on: dict[str, str]
    asked_with: AskedWith = AskedWith()

    @property
    def agreed(self) -> AgreedPlan:
        """The plan that has to come out."""
        return AgreedPlan(
            plan_id=PlanId(self.plan_id),
            models={
                ModelId(one.unique_id): ApprovedChange(
                    change=one.change, from_version=_version(one.from_version), to_version=_version(one.to_version)
                )
                for one in self.models
            },
            rests_on={ModelId(model): Version(version) for model, version in self.rests_on.items()},
        )


class PlanSummary(HandedPlan, frozen=True, kw_only=True):
    """A plan as other tasks read it from XCom.

    `models` would go, together, none where there is nothing to do; `held` is how many stay behind. `allowed` says
    whether it may go now, `eligible_at` when it may, where time alone can tell; the first fifty of `refusals` are told.
    `needs_approval`: policy asks people about it, whether they have said yes or not. `moved` are sentences on what
    moved since an earlier plan. `markdown` is the plan for people, `link` the run in the UI.
    """

    source_environment: str
    target_environment: str
    strategy: Strategy
    allowed: bool
    eligible_at: Instant | None
    refusals: tuple[SummaryRefusal, ...]
    held: int
    exposures: tuple[ExposureDocument, ...]
    needs_approval: bool
    moved: tuple[str, ...]
    markdown: str
    link: str | None


def summary(told: Promotion, request: PromotionRequest, moved: Sequence[str] = ()) -> dict[str, object]:
    """Return the XCom of a plan: a `PlanSummary` as dicts, lists and text."""
    plan = told.plan
    return builtins(
        PlanSummary(
            plan_id=plan.plan_id,
            source_environment=plan.source,
            target_environment=plan.target,
            strategy=plan.strategy,
            allowed=plan.allowed,
            eligible_at=plan.eligible_at,
            models=tuple(
                PlannedModel(
                    unique_id=change.model,
                    name=change.name,
                    change=change.kind.value,
                    from_version=change.from_version,
                    to_version=change.to_version,
                )
                for change in plan.changes
            ),
            rests_on=dict(plan.rests_on.items()),
            asked_with=msgspec.convert(request, AskedWith, from_attributes=True),
            refusals=refusals(told.plan),
            held=len(plan.held),
            exposures=tuple(exposure(one) for one in plan.exposures),
            needs_approval=any(verdict.gate is GateName.APPROVAL for verdict in plan.verdicts),
            moved=tuple(moved),
            markdown=_cut(markdown.promotion(told)),
            link=request.link,
        )
    )


def refusals(plan: Plan) -> tuple[SummaryRefusal, ...]:
    """Return the first gates that are shut."""
    return tuple(
        SummaryRefusal(
            unique_id=model,
            gate=verdict.gate.value,
            code=verdict.code,
            reason=verdict.reason,
            eligible_at=verdict.eligible_at,
        )
        for model, verdict in plan.refusals[:MOST_REFUSALS]
    )


def read(value: object) -> HandedPlan:
    """Return the plan that another task handed over, or that its text holds. Raises ConfigError."""
    try:
        return msgspec.convert(_read(value) if isinstance(value, str) else value, HandedPlan)
    except msgspec.ValidationError as error:
        problem = f"this is no plan as PromotionPlanOperator hands it over ({error}); give the output of its task"
        raise ConfigError("plan", problem) from error


def request_for(request: PromotionRequest, plan: HandedPlan) -> PromotionRequest:
    """Return a request for just that plan, with what it was asked for with.

    What was begun of it is carried on by whoever is handed it in the same place; another plan there is another deed.
    """
    run = None if request.run is None else f"{request.run}:{plan.plan_id}"
    return replace(request, agreed=plan.agreed, run=run, **asdict(plan.asked_with))


def named_in(request: PromotionRequest, plan: HandedPlan) -> PromotionRequest:
    """Return a request for the models of a plan, at whatever version they are by now, with what it was asked for with.

    What the plan let come along goes by name.
    """
    return replace(request_for(request, plan), agreed=None, models=tuple(one.unique_id for one in plan.models))


def closed(plan: Plan) -> tuple[Verdict, ...]:
    """Return what of a plan only people can lift; to approve it is not among that."""
    verdicts = (verdict for _, verdict in plan.refusals)
    return tuple(one for one in verdicts if one.status is Status.BLOCKED and one.gate is not GateName.APPROVAL)


def waits(plan: Plan) -> tuple[str, ...]:
    """Return the gates that a plan has yet to pass."""
    return tuple(dict.fromkeys(verdict.gate.value for _, verdict in plan.refusals))


def _cut(text: str) -> str:
    """Return markdown that is not too long, cut at the end of a line, with a note."""
    if len(text) <= MOST_MARKDOWN:
        return text
    return text[:MOST_MARKDOWN].rpartition("\n")[0] + _CUT


def _version(value: str | None) -> Version | None:
    """Return a version where there is one."""
    return None if value is None else Version(value)


def _read(told: str) -> Any:  # noqa: ANN401 - whatever it says
    """Read the text of a document, as JSON or as Python writes it; None where a template came out empty."""
    for read_as in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return read_as(told)
    return None
