"""Planning through ports: read what is remembered, parse what is at hand, resolve names, compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core import candidates
from airflow_dbt_promotion.core.approvals import AgreedPlan
from airflow_dbt_promotion.core.code_gate import composed
from airflow_dbt_promotion.core.composition import Composition, whole
from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked
from airflow_dbt_promotion.core.environment import BypassKind, Environment, Strategy
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    EmptySelectionError,
    InputError,
    ReleaseError,
    SourcesError,
)
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.moving import held_to
from airflow_dbt_promotion.core.names import Names
from airflow_dbt_promotion.core.plan import Plan, Question, Situation, exposures_reached
from airflow_dbt_promotion.core.planning import plan as make_plan
from airflow_dbt_promotion.core.ports import Calendar, Clock, Workshop
from airflow_dbt_promotion.core.recognised_plans import as_today
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EnvironmentState, Journal
from airflow_dbt_promotion.engine.asking import choices_of, requirement_of, strategy_of
from airflow_dbt_promotion.engine.hours import hours_of
from airflow_dbt_promotion.engine.memory import Memory, working_state
from airflow_dbt_promotion.engine.named_versions import names_of, older, versions_of
from airflow_dbt_promotion.engine.planned import Planned
from airflow_dbt_promotion.engine.policies import concerned, held_to_their_own, policies_of
from airflow_dbt_promotion.engine.request import PromotionRequest
from airflow_dbt_promotion.engine.returning import Returning
from airflow_dbt_promotion.engine.shelf import Shelf


class Planner:
    """Computes plans; never writes state and never runs a model."""

    def __init__(self, memory: Memory, workshop: Workshop, clock: Clock, calendar: Calendar) -> None:
        """Take what is remembered, the project at hand, the clock, and the calendar."""
        self._memory, self._workshop, self._clock, self._calendar = memory, workshop, clock, calendar
        self.returning = Returning(memory, workshop, clock)

    def plan(self, request: PromotionRequest, *, dry: bool = True) -> Planned:
        """Return the plan for a request as things stand now; `dry` leaves no file behind anywhere."""
        path = self._memory.path
        target = path.get(request.target)
        source = path.source_of(target, request.source)
        if not target.rules:
            choices_of(request, target)  # a reason that is missing is told before anything is read
        shelf = Shelf(self._workshop, target, dry=dry)
        situation = self._situation(source, target, strategy_of(request, target), shelf)
        agreed = request.agreed
        models = self._models(request, situation, shelf) if agreed is None else _agreed(request, agreed)
        named = versions_of(request, situation, models)
        question = Question(
            models=models,
            requirement=requirement_of(request, source, target),
            choices=choices_of(
                request,
                target,
                concerned(situation, models) if target.rules else None,
                older=older(situation, named),
            ),
            pinned={} if agreed is None else as_today(agreed.rests_on, situation.source_state),
            promoter=request.actor,
            to_approve=request.to_approve,
            soak=request.soak,
            runs=request.min_successful_runs,
            named=named,
        )
        chosen = request.strategy is not None or target.strategy is not None
        planned = self._timed(self._able(self._computed(situation, question, shelf), chosen=chosen))
        if agreed is None:
            return planned
        return replace(planned, plan=held_to(agreed, planned.plan, planned.situation.target_state))

    def again(self, planned: Planned, *, keep_models: bool, on_the_spot: bool | None = None) -> Planned:
        """Return the plan for the same question over what is remembered now, with the parses that are at hand already.

        `keep_models` asks for exactly the models that were in the plan, and for the candidates on which it rests, so
        that the two plans can be compared.
        """
        before = planned.situation
        situation = self._situation(
            before.source, before.target, planned.question.choices.strategy, planned.shelf, project=before.project
        )
        question = planned.question
        if keep_models:
            models = tuple(change.model for change in planned.plan.changes)
            question = replace(question, models=models, pinned=planned.plan.rests_on)
        if on_the_spot is not None:
            question = replace(question, requirement=replace(question.requirement, on_the_spot=on_the_spot))
        return self._timed(self._able(self._computed(situation, question, planned.shelf), chosen=True))

    def resumed(self, target: Environment, journal: Journal) -> Planned:
        """Return the plan of a promotion that broke off, as things stand now; its id is the same if nothing moved."""
        if journal.source == target.name:
            return self.returning.resumed(target, journal)
        source = self._memory.path.source_of(target, journal.source)
        skips = BypassKind.SKIP_TESTS in journal.choices.bypasses
        by_name = journal.models.keys() if BypassKind.OLDER_VERSION in journal.choices.bypasses else ()
        asked = PromotionRequest(
            target=target.name, soak=journal.soak, min_successful_runs=journal.runs, require_tests=not skips
        )
        requirement = replace(requirement_of(asked, source, target), on_the_spot=False)
        question = Question(
            models=tuple(journal.models),
            requirement=requirement,
            choices=journal.choices,
            pinned=journal.rests_on,
            promoter=journal.actor,
            agreed_at=journal.started_at,
            soak=journal.soak,
            runs=journal.runs,
            named={model: journal.rests_on[model] for model in journal.rests_on.keys() & by_name},
        )
        shelf = Shelf(self._workshop, target, dry=False)
        situation = self._situation(source, target, journal.choices.strategy, shelf)
        return self._able(self._computed(situation, question, shelf), chosen=True)

    def _able(self, planned: Planned, *, chosen: bool) -> Planned:
        """Return a plan by a strategy that the warehouse can carry out, refused with the reason where it cannot.

        What nobody chose gives way to the warehouse's default.
        """
        plan, choices = planned.plan, planned.question.choices
        if not _is_known(planned):
            return planned
        if chosen:
            why = self._workshop.cannot(choices.strategy, _adapter(planned))
            if why is None:
                return planned
            verdict = blocked(GateName.PUBLISHING, "strategy_unknown_here", f"{choices.strategy.value}: {why}")
            return replace(planned, plan=replace(plan, verdicts=(*plan.verdicts, verdict)))
        default = self._workshop.default_strategy(_adapter(planned))
        if default is choices.strategy:
            return planned
        others = replace(choices, strategy=default)
        return replace(
            planned,
            plan=replace(plan, strategy=default, choices=replace(plan.choices, strategy=default)),
            question=replace(planned.question, choices=others),
        )

    def _timed(self, planned: Planned) -> Planned:
        """Ask the target's windows of the instant at which every gate could pass: a soak may end at night."""
        plan, windows = planned.plan, planned.situation.target.windows
        if windows.always or (at := plan.all_pass_at) is None:
            return planned
        return replace(planned, plan=replace(plan, then=self._calendar.opening(windows, at)))

    # --- from kept releases -------------------------------------------------------------------------------------------

    def _computed(self, situation: Situation, question: Question, shelf: Shelf) -> Planned:
        """Compute a plan, and where it is built from kept releases, read those that it turns out to need."""
        found, situation = _by_their_own_rules(situation, question, shelf)
        if not _from_kept(situation.source, situation.source_state, question.choices.strategy):
            return Planned(plan=found, situation=situation, question=question, shelf=shelf)
        standing = {entry.release for entry in situation.target_state.current.values()}
        aligned: Mapping[ModelId, ReleaseId] = {}
        seen: set[ReleaseId] = set()
        while (coming := _releases(found)) - seen or (found.changes and situation.code is None):
            seen |= coming
            code = shelf.code(release for release in seen | standing if release is not None)
            newest = sorted(seen & code.releases.keys(), key=_since(found), reverse=True)
            aligned = candidates.aligned(situation.target_state, (code.releases[release] for release in newest))
            target_state = candidates.with_releases(situation.target_state, aligned)
            situation = replace(situation, code=code, target_state=target_state)
            found, situation = _by_their_own_rules(situation, question, shelf)
        planned = Planned(plan=found, situation=situation, question=question, shelf=shelf, aligned=aligned)
        builds = any(change.after is not None for change in found.changes)
        return _composed(planned) if found.allowed and builds else planned

    def _situation(
        self,
        source: Environment,
        target: Environment,
        strategy: Strategy,
        shelf: Shelf,
        *,
        project: Release | None = None,
    ) -> Situation:
        """Gather what a plan is computed from."""
        memory = self._memory
        source_state, target_state = memory.read(source.name), memory.read(target.name)
        if source.working:
            source_state = working_state(source, self._workshop.release(source, dry=True), source_state, self._clock())
        builds = strategy.builds and source_state is not None
        if project is None and builds and not _from_kept(source, source_state, strategy):
            project = self._at_hand_for(target)
        identity = next(
            (state.project for state in (source_state, target_state) if state is not None), ProjectIdentity("")
        )
        others, now = memory.others(source.name), self._clock()
        return Situation(
            source=source,
            target=target,
            source_state=source_state,
            target_state=target_state or EnvironmentState(project=identity, environment=target.name, lineage="new"),
            others=others,
            project=project,
            now=now,
            hours=hours_of(self._calendar, target, target_state, now),
            policies=policies_of(target, source_state, target_state, shelf),
        )

    def _at_hand_for(self, target: Environment) -> Release:
        """Return the project at hand for a target, with the id of its sources where they can be kept."""
        try:
            found = self._workshop.at_hand(target, dry=True)
        except SourcesError:
            return self._workshop.release(target, dry=True)
        return replace(release_of(found.definition), id=found.release)

    def _models(self, request: PromotionRequest, situation: Situation, shelf: Shelf) -> tuple[ModelId, ...] | None:
        """Resolve what was named or selected."""
        if request.models is not None and request.select is not None:
            raise ConfigError("models, select", "name models or give a selector, not both")
        asked = names_of(request)
        if request.select is not None:
            composition = self._newest(situation, shelf)
            if not (selected := self._workshop.select(situation.target, request.select, composition)):
                raise EmptySelectionError(f"what {request.select!r} selects")
            return selected
        if asked is None:
            return None
        if not asked:
            raise EmptySelectionError
        states = (situation.source_state, situation.target_state)
        known: set[ModelId] = {model for state in states if state is not None for model in state.current}
        if situation.project is not None:
            known.update(situation.project.models)
        names = Names(known)
        if situation.project is None and not all(names.knows(name) for name in asked):
            names = Names(known | set(self._at_hand(situation.target)))
        return tuple(sorted({names.resolve(name) for name in asked}))

    def _newest(self, situation: Situation, shelf: Shelf) -> Composition | None:
        """Return the newest kept release of the source, None where the project at hand is what is built from.

        Raises MissingReleaseError and its kin.
        """
        state, strategy = situation.source_state, Strategy.BLUE_GREEN
        if state is None or state.release is None or not _from_kept(situation.source, state, strategy):
            return None
        code = shelf.code([state.release])
        if state.release in code.lost:
            raise ReleaseError(f"release {state.release[:8]}", code.lost[state.release])
        return whole(state.release, code.definitions[state.release])

    def _at_hand(self, target: Environment) -> tuple[ModelId, ...]:
        """Return the models of the project at hand, none where it cannot be parsed: then what is remembered must do."""
        try:
            return tuple(self._workshop.release(target, dry=True).models)
        except InputError:
            return ()


def _agreed(request: PromotionRequest, agreed: AgreedPlan) -> tuple[ModelId, ...]:
    """Return the models of the plan that has to come out. Raises ConfigError where others were asked for, too."""
    if request.models is not None or request.select is not None:
        raise ConfigError("models, select", "the plan that was agreed to says which models go; leave these out")
    return tuple(agreed.models)


def _by_their_own_rules(situation: Situation, question: Question, shelf: Shelf) -> tuple[Plan, Situation]:
    """Return the plan in which each version is held to what rules make of its own code, and what it is made of."""
    while True:
        found = make_plan(situation, question)
        held = held_to_their_own(situation, found, shelf)
        if held is situation:
            return found, situation
        situation = held


def _from_kept(source: Environment, state: EnvironmentState | None, strategy: Strategy) -> bool:
    """Say whether a promotion is built from kept releases: its source is recorded, and some of it is kept."""
    kept = state is not None and any(entry.release is not None for entry in state.current.values())
    return kept and strategy.builds and not source.working


def _is_known(planned: Planned) -> bool:
    """Say whether the code is known that would be built from, and so the adapter."""
    return planned.situation.project is not None or bool(planned.shelf.definitions)


def _adapter(planned: Planned) -> str | None:
    """Return the adapter of the code that would be built from."""
    if planned.situation.project is not None:
        return planned.situation.project.adapter_type
    return next((definition.adapter_type for definition in planned.shelf.definitions.values()), None)


def _releases(plan: Plan) -> set[ReleaseId]:
    """Return the releases that a plan's changes come from."""
    return {c.after.release for c in plan.changes if c.after is not None and c.after.release is not None}


def _since(plan: Plan) -> Callable[[ReleaseId], tuple[datetime, ReleaseId]]:
    """Return what tells how new a release is: when the newest change that comes from it entered the source."""
    newest: dict[ReleaseId, datetime] = {}
    for change in plan.changes:
        if change.after is not None and change.after.release is not None:
            before = newest.get(change.after.release, change.after.since)
            newest[change.after.release] = max(before, change.after.since)
    return lambda release: (newest.get(release, datetime.min.replace(tzinfo=UTC)), release)


def _composed(planned: Planned) -> Planned:
    """Put together what the target runs once a plan is carried out; where that cannot be, the plan says why."""
    plan, situation = planned.plan, planned.situation
    if situation.code is None:
        raise ValueError("only kept releases can be put together")
    target = situation.target
    found = composed(target.name, situation.target_state, plan.changes, situation.code)
    if isinstance(found, Verdict):
        return replace(planned, plan=replace(plan, verdicts=(*plan.verdicts, found)))
    reached = exposures_reached(found.release, {change.model: change for change in plan.changes})
    return replace(planned, plan=replace(plan, exposures=reached), composition=found)
