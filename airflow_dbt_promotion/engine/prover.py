"""Proving: running in the source, before a promotion, what evidence lacks."""

from __future__ import annotations

from msgspec.structs import replace

from airflow_dbt_promotion.core.building import tests_of
from airflow_dbt_promotion.core.eligibility import is_complete
from airflow_dbt_promotion.core.environment import DeployedBy, Environment
from airflow_dbt_promotion.core.evidence import of_version
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.moving import held_to
from airflow_dbt_promotion.core.orders import BuildReport, BuildRequest, OnProgress
from airflow_dbt_promotion.core.ports import Workshop
from airflow_dbt_promotion.core.recording import Entering, record
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.planned import Planned
from airflow_dbt_promotion.engine.planner import Planner
from airflow_dbt_promotion.engine.request import PromotionRequest


class Prover:
    """Makes evidence where people work, and where somebody asks for it."""

    def __init__(self, memory: Memory, planner: Planner, workshop: Workshop) -> None:
        """Take what is remembered, what plans, and what runs dbt."""
        self._memory, self._planner, self._workshop = memory, planner, workshop

    def first(self, planned: Planned, request: PromotionRequest, on_progress: OnProgress) -> Planned:
        """Run in the source what evidence lacks, where people work there or `run_tests` asks so; then plan again.

        Any plan but the one that was agreed to is refused before anything is run, and afterwards.
        """
        source = planned.situation.source
        if (
            not (source.working or request.run_tests)
            or not request.require_tests
            or planned.situation.source_state is None
            or _is_other(planned, request)
        ):
            return planned
        lacking = _unproven(planned)
        if lacking:
            release = self._workshop.release(source, dry=True)
            at_hand = [m for m in lacking if m in release.models and release.models[m].version == _version(planned, m)]
            tests = tests_of(release, at_hand, unit=True)
            models = tuple(release.models[model] for model in sorted(at_hand)) if source.working else ()
            if models or tests:
                order = BuildRequest(environment=source, models=models, tests=tests)
                self._note(source, planned, self._workshop.build(order, on_progress))
        again, agreed = self._planner.again(planned, keep_models=False, on_the_spot=False), request.agreed
        if agreed is None:
            return again
        return replace(again, plan=held_to(agreed, again.plan, again.situation.target_state))

    def _note(self, source: Environment, planned: Planned, report: BuildReport) -> None:
        """Record a run that was made in the source; an environment where people work keeps its evidence alone."""
        assumed = planned.situation.source_state
        only: frozenset[ModelId] | None = frozenset() if source.deployed_by is DeployedBy.PROMOTION else None
        entering = Entering(only=only, origin=EntryOrigin.RUN, by=report.run.invocation_id)

        def move(state: EnvironmentState) -> EnvironmentState:
            if not source.working or assumed is None:
                return record(state, report.release, report.run, entering, planned.situation.others).state
            here = replace(assumed, evidence=state.evidence)
            return replace(
                state,
                evidence=record(here, report.release, report.run, entering, planned.situation.others).state.evidence,
            )

        self._memory.change(source.name, report.release.project, move)


def _is_other(planned: Planned, request: PromotionRequest) -> bool:
    """Say whether a plan is not the one that was agreed to."""
    return request.agreed is not None and request.agreed.plan_id not in planned.plan.ids


def _unproven(planned: Planned) -> list[ModelId]:
    """Return the models of a plan, or held back from it, for which the source has no complete evidence."""
    state = planned.situation.source_state
    if state is None:
        return []
    asked = {change.model for change in (*planned.plan.changes, *planned.plan.held)}
    return [
        model
        for model in sorted(asked)
        if (entry := state.current.get(model)) is not None
        and not is_complete(entry, of_version(state, model, entry.version))
    ]


def _version(planned: Planned, model: ModelId) -> str | None:
    """Return the version that the source holds of a model."""
    state = planned.situation.source_state
    return state.current[model].version if state is not None and model in state.current else None
