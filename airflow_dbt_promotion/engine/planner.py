"""Planning through ports: read what is remembered, parse what is at hand, resolve names, compute."""

from __future__ import annotations

from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.eligibility import Requirement
from airflow_dbt_promotion.core.environment import BypassKind, Environment, Strategy
from airflow_dbt_promotion.core.errors import ConfigError, EmptySelectionError, InputError, ReasonRequiredError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.names import Names
from airflow_dbt_promotion.core.plan import Choices, Plan, Question, Situation
from airflow_dbt_promotion.core.planning import plan as make_plan
from airflow_dbt_promotion.core.ports import Clock, Workshop
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.memory import Memory, working_state
from airflow_dbt_promotion.engine.request import PromotionRequest


class Planned(Struct, frozen=True, kw_only=True):
    """A plan with what it was computed from."""

    plan: Plan
    situation: Situation
    question: Question


class Planner:
    """Computes plans; never writes and never runs a model."""

    def __init__(self, memory: Memory, workshop: Workshop, clock: Clock) -> None:
        """Take what is remembered, the project at hand, and the clock."""
        self._memory, self._workshop, self._clock = memory, workshop, clock

    def plan(self, request: PromotionRequest) -> Planned:
        """Return the plan for a request as things stand now; no file is left behind anywhere."""
        path = self._memory.path
        target = path.get(request.target)
        source = path.source_of(target, request.source)
        choices, requirement = choices_of(request, target), requirement_of(request, source, target)
        situation = self._situation(source, target, choices.strategy)
        models = self._models(request, situation)
        question = Question(models=models, requirement=requirement, choices=choices)
        return Planned(plan=make_plan(situation, question), situation=situation, question=question)

    def again(self, planned: Planned, *, keep_models: bool, on_the_spot: bool | None = None) -> Planned:
        """Return the plan for the same question over what is remembered now, with the parse that is at hand already.

        `keep_models` asks for exactly the models that were in the plan, so that the two plans can be compared.
        """
        before = planned.situation
        situation = self._situation(
            before.source, before.target, planned.question.choices.strategy, project=before.project
        )
        question = planned.question
        if keep_models and question.models is None:
            question = replace(question, models=tuple(change.model for change in planned.plan.changes))
        if on_the_spot is not None:
            question = replace(question, requirement=replace(question.requirement, on_the_spot=on_the_spot))
        return Planned(plan=make_plan(situation, question), situation=situation, question=question)

    def _situation(
        self, source: Environment, target: Environment, strategy: Strategy, *, project: Release | None = None
    ) -> Situation:
        """Gather what a plan is computed from."""
        memory = self._memory
        source_state, target_state = memory.read(source.name), memory.read(target.name)
        if source.working:
            source_state = working_state(source, self._workshop.release(source, dry=True), source_state, self._clock())
        if project is None and strategy is Strategy.BUILD and source_state is not None:
            project = self._workshop.release(target, dry=True)
        identity = next(
            (state.project for state in (source_state, target_state) if state is not None), ProjectIdentity("")
        )
        others = memory.others(source.name)
        return Situation(
            source=source,
            target=target,
            source_state=source_state,
            target_state=target_state or EnvironmentState(project=identity, environment=target.name, lineage="new"),
            others=others,
            project=project,
            now=self._clock(),
        )

    def _models(self, request: PromotionRequest, situation: Situation) -> tuple[ModelId, ...] | None:
        """Resolve what was named or selected."""
        if request.models is not None and request.select is not None:
            raise ConfigError("models, select", "name models or give a selector, not both")
        if request.select is not None:
            if not (selected := self._workshop.select(situation.target, request.select)):
                raise EmptySelectionError(f"what {request.select!r} selects")
            return selected
        if request.models is None:
            return None
        if not request.models:
            raise EmptySelectionError
        states = (situation.source_state, situation.target_state)
        known: set[ModelId] = {model for state in states if state is not None for model in state.current}
        if situation.project is not None:
            known.update(situation.project.models)
        names = Names(known)
        if situation.project is None and not all(names.knows(name) for name in request.models):
            names = Names(known | set(self._at_hand(situation.target)))
        return tuple(sorted({names.resolve(name) for name in request.models}))

    def _at_hand(self, target: Environment) -> tuple[ModelId, ...]:
        """Return the models of the project at hand, none where it cannot be parsed: then what is remembered must do."""
        try:
            return tuple(self._workshop.release(target, dry=True).models)
        except InputError:
            return ()


def requirement_of(request: PromotionRequest, source: Environment, target: Environment) -> Requirement:
    """Return what is asked of a source version: the target's policy, more where the request asks for more, less as a
    bypass.
    """
    return Requirement(
        soak=target.soak if request.soak is None else request.soak,
        runs=target.min_successful_runs
        if request.min_successful_runs is None
        else max(request.min_successful_runs, target.min_successful_runs),
        scope=target.soak_scope,
        zero_tests=target.zero_tests,
        warnings=target.warnings,
        skip_tests=not request.require_tests,
        on_the_spot=source.working,
    )


def policy_of(target: Environment, soak: timedelta | None = None) -> Requirement:
    """Return what a target asks of its source, with at least `soak` where given."""
    request = PromotionRequest(target=target.name, soak=None if soak is None else max(soak, target.soak))
    return requirement_of(request, target, target)


def choices_of(request: PromotionRequest, target: Environment) -> Choices:
    """Return the choices of a request over the target's policy; raise ReasonRequiredError for a bypass without a
    reason.
    """
    bypasses = {
        *((BypassKind.SKIP_TESTS,) if not request.require_tests else ()),
        *((BypassKind.SHORT_SOAK,) if request.soak is not None and request.soak < target.soak else ()),
    }
    reason = (request.reason or "").strip()
    if bypasses and not reason:
        raise ReasonRequiredError(" and ".join(sorted(kind.value for kind in bypasses)))
    return Choices(
        include_upstream=request.include_upstream,
        include_downstream=request.include_downstream,
        allow_stale_downstream=request.allow_stale_downstream,
        allow_removals=request.allow_removals,
        force=request.force,
        strategy=request.strategy or target.strategy,
        on_incremental_change=request.on_incremental_change or target.on_incremental_change,
        bypasses=frozenset(bypasses),
        reason=reason or None,
    )
