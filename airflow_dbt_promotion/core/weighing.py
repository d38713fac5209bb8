"""Weighing: which changes go together, and what every gate says of each. Gates are put together nowhere else."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.bypasses import of_bypasses, used_choices
from airflow_dbt_promotion.core.change import BUILT, Change, ChangeKind, difference
from airflow_dbt_promotion.core.code_gate import of_checkout, of_kept
from airflow_dbt_promotion.core.coherence import Direction, Needs, largest
from airflow_dbt_promotion.core.demand import explained, rows_of, unlabelled
from airflow_dbt_promotion.core.eligibility import (
    GateName,
    Status,
    Verdict,
    blocked,
    blocked_version,
    held_environment,
    judge,
    passed,
    waiting,
)
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, Strategy
from airflow_dbt_promotion.core.identity import ModelId, TestId, bare_name
from airflow_dbt_promotion.core.incoherence import incoherent
from airflow_dbt_promotion.core.plan import Plan, Question, Situation, exposures_reached, plan_id, precondition
from airflow_dbt_promotion.core.recognised_plans import id_of_format_one
from airflow_dbt_promotion.core.rejection_gate import of_rejections
from airflow_dbt_promotion.core.row_gate import has_rows, of_rows
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.version_order import of_order
from airflow_dbt_promotion.core.versioned_names import of_versions
from airflow_dbt_promotion.core.window_gate import time_to_promote

_STANDING = frozenset({ChangeKind.UNCHANGED, ChangeKind.METADATA})


class Weighing:
    """One plan in the making."""

    def __init__(
        self, situation: Situation, question: Question, source: EnvironmentState, held: EnvironmentState
    ) -> None:
        """Take the difference of both sides, and the needs between the changes.

        `source` holds the candidate of each model, `held` is the source as it is.
        """
        self._situation, self._question, self._source, self._held = situation, question, source, held
        self._target, self._choices = situation.target_state, question.choices
        project = situation.project.models if situation.project is not None else None
        self._all = difference(source, self._target, project)
        self._needs = Needs(
            source,
            self._target,
            self._all,
            stale_allowed=self._choices.allow_stale_downstream,
            tested=not question.requirement.skip_tests,
            reliances=situation.code.reliances if situation.code is not None else None,
        )
        self._own: dict[ModelId, tuple[Verdict, ...]] = {}

    def withhold(self, model: ModelId, verdict: Verdict) -> None:
        """Let one more gate speak of a model, wherever the next plan is made."""
        self._own[model] = (*self._own_verdicts(model), verdict)

    def differing(self) -> tuple[Change, ...]:
        """Return the change of every model of which the target holds something else."""
        return tuple(change for change in self._all.values() if change.kind is not ChangeKind.UNCHANGED)

    def plan(self) -> Plan:
        """Choose what goes, ask every gate, and seal the plan."""
        held: list[Change] = []
        if self._question.models is None:
            chosen, held = self._all_that_may_go()
            changes = [self._judged(model, chosen) for model in sorted(chosen)]
        else:
            chosen = self._named(self._question.models)
            changes = [self._judged(model, chosen) for model in sorted(chosen)]
        asked = self._question.models if self._question.models is not None else tuple(self._all)
        current = tuple(
            sorted(m for m in asked if m not in chosen and (c := self._all.get(m)) and c.kind is ChangeKind.UNCHANGED)
        )
        return self._sealed(chosen, changes, held, current)

    def _sealed(
        self, chosen: set[ModelId], changes: list[Change], held: list[Change], current: tuple[ModelId, ...]
    ) -> Plan:
        """Put the plan together and give it its id."""
        situation = self._situation
        stale = self._left_stale(chosen)
        closure = self._needs.ancestors(chosen) | {child for model in chosen for child in self._needs.children(model)}
        condition = precondition(self._source, self._target, closure)
        names = situation.source.name, situation.target.name
        return Plan(
            plan_id=plan_id(*names, changes, condition),
            id_of_format_one=id_of_format_one(*names, changes, (self._source, self._target), closure),
            source=situation.source.name,
            target=situation.target.name,
            strategy=self._choices.strategy,
            precondition=condition,
            changes=tuple(changes),
            held=tuple(held),
            already_current=current,
            verdicts=(
                *held_environment(self._target),
                *time_to_promote(situation.target.name, self._target, situation.hours, situation.now),
                *of_bypasses(self._choices, situation.target),
            ),
            tests_in_target=tuple(sorted({test for model in chosen for test in self._unseen(model, chosen)})),
            stale_after=stale,
            exposures=exposures_reached(situation.project, {change.model: change for change in changes}),
            choices=used_choices(self._question, situation, changes),
            rows={change.model: self._rows(change) for change in changes if has_rows(change)},
            rests_on={model: self._source.current[model].version for model in closure if model in self._source.current},
            computed_at=situation.now,
        )

    def score(self, found: Plan) -> int:
        """Return how much of what was asked for a plan lets go."""
        if self._question.models is None:
            return len(found.changes)
        return sum(1 for change in found.changes if change.allowed)

    def stuck(self, found: Plan) -> dict[ModelId, datetime]:
        """Return the models that may go by themselves, but not in the company that there is, each with its entry."""
        asked = found.held if self._question.models is None else found.changes
        return {
            change.model: change.after.since
            for change in asked
            if change.after is not None
            and not change.allowed
            and all(verdict.passed for verdict in self._own_verdicts(change.model))
        }

    # --- choosing -----------------------------------------------------------------------------------------------------

    def _named(self, models: tuple[ModelId, ...]) -> set[ModelId]:
        """Return the named models that differ, with the company that the caller allowed."""
        chosen = {model for model in models if self._goes(model)}
        directions = {
            *((Direction.UPSTREAM, Direction.TEST) if self._choices.include_upstream else ()),
            *((Direction.DOWNSTREAM,) if self._choices.include_downstream else ()),
            *((Direction.MACRO, Direction.PROJECT) if self._choices.include_macro_users else ()),
        }
        joining = set(chosen) if directions else set()
        while joining:
            wanted = {
                need.model
                for model in joining
                for need in self._needs.missing(model, chosen)
                if need.possible and need.direction in directions
            }
            joining = wanted - chosen
            chosen |= joining
        return chosen

    def _goes(self, model: ModelId) -> bool:
        """Say whether a named model belongs into the plan: it differs, is rebuilt by force, or is not in the source at
        all.
        """
        change = self._all.get(model)
        return change is None or change.kind is not ChangeKind.UNCHANGED or self._choices.force

    def _all_that_may_go(self) -> tuple[set[ModelId], list[Change]]:
        """Return the largest coherent set, and the changes that are held back with the reason."""
        differing = {model: change for model, change in self._all.items() if change.kind is not ChangeKind.UNCHANGED}
        candidates = {m: c for m, c in differing.items() if all(verdict.passed for verdict in self._own_verdicts(m))}
        standing = [*(m for m, change in self._all.items() if change.kind in _STANDING), *self._needs.companies]
        chosen, causes = largest(candidates, standing, self._needs)
        apart: dict[ModelId, Verdict] = {}
        while alone := {model: verdict for model in chosen if (verdict := self._tested_beside(model, chosen))}:
            apart |= alone
            candidates = {model: change for model, change in candidates.items() if model not in apart}
            chosen, causes = largest(candidates, standing, self._needs)
        held = []
        for model, change in sorted(differing.items()):
            if model not in chosen:
                own = self._own_verdicts(model)
                held.append(replace(change, verdicts=(*own, *self._cause(model, chosen, apart, causes))))
        return chosen, held

    def _cause(
        self, model: ModelId, chosen: set[ModelId], apart: dict[ModelId, Verdict], causes: dict[ModelId, ModelId]
    ) -> tuple[Verdict, ...]:
        """Return why a change that may go by itself does not go with the others."""
        if model in apart:
            return (apart[model],)
        if causes.get(model) in self._needs.companies:
            return self._apart(model, chosen)
        return (self._because(causes[model]),) if model in causes else ()

    def _apart(self, model: ModelId, chosen: set[ModelId]) -> tuple[Verdict, ...]:
        """Return why a change cannot stand beside others that share something with it, in the target or on the way."""
        missing = (need.model for need in self._needs.missing(model, chosen) if need.model in self._all)
        shut = [other for other in missing if not all(verdict.passed for verdict in self._own_verdicts(other))]
        told = tuple(verdict for verdict in self._together(model, chosen) if not verdict.passed)
        if told:
            return (*told, self._because(shut[0])) if shut else told
        companies = (need.model for need in self._needs.of(model) if need.model in self._needs.companies)
        against = [need for company in companies for need in self._needs.of(company) if need.still]
        return (blocked(GateName.COHERENCE, *incoherent(against[0].direction, against)),)

    def _because(self, cause: ModelId) -> Verdict:
        """Say on which other model a change waits, and until when where that is known."""
        shut = [verdict for verdict in self._own_verdicts(cause) if not verdict.passed] if cause in self._all else []
        reason = f"it cannot go without {bare_name(cause)}" + (f": {shut[0].reason}" if shut else "")
        if shut and all(verdict.status is Status.WAITING for verdict in shut):
            instants = [verdict.eligible_at for verdict in shut if verdict.eligible_at is not None]
            return waiting(
                GateName.COHERENCE, "needs_other", reason, max(instants) if len(instants) == len(shut) else None
            )
        return blocked(GateName.COHERENCE, "needs_other", reason)

    # --- verdicts -----------------------------------------------------------------------------------------------------

    def _judged(self, model: ModelId, chosen: set[ModelId]) -> Change:
        """Return a change with the verdict of every gate."""
        change = self._all.get(model) or Change(
            model=model, kind=ChangeKind.ADDED, before=self._target.current.get(model), after=None
        )
        return replace(change, verdicts=(*self._own_verdicts(model), *self._together(model, chosen)))

    def _own_verdicts(self, model: ModelId) -> tuple[Verdict, ...]:
        """Return the verdicts that do not depend on what else is in the plan."""
        if model not in self._own:
            self._own[model] = (*self._kept_out(model), *self._ask(model))
        return self._own[model]

    def _kept_out(self, model: ModelId) -> tuple[Verdict, ...]:
        """Ask whether people rejected what would come, or the target keeps it in another form."""
        named, change = model in (self._question.models or ()), self._all.get(model)
        overruled = named and BypassKind.OVERRULE_REJECTION in self._choices.bypasses
        leaves = self._choices.allow_removals or not self._choices.strategy.builds
        versions = () if leaves else of_versions(change, self._source, self._target)
        return (*of_rejections(change, self._target, overruled=overruled), *versions)

    def _ask(self, model: ModelId) -> tuple[Verdict, ...]:
        """Ask the gates of one model."""
        change = self._all.get(model)
        if change is None:
            reason = (
                f"{self._situation.source.name} does not hold it: no successful build of it was ever recorded there"
            )
            return (waiting(GateName.SOURCE, "not_in_source", reason),)
        if change.after is None:
            if self._choices.allow_removals:
                return (passed(GateName.CHANGE, "removal_allowed", "the project does not have it any more"),)
            reason = (
                "the project does not have it any more; a removal must be allowed (allow_removals), and drops nothing"
            )
            return (blocked(GateName.CHANGE, "removal", reason),)
        policy = self._situation.policy(model, change.after)
        asked = self._question.asked_of(model, self._situation, change.after)
        tests, soak = judge(model, self._held, asked, self._situation.now, self._situation.others, change.after)
        if change.kind is ChangeKind.METADATA:
            soak = passed(
                GateName.SOAK, "metadata", "its code is in the target already; tests and descriptions need no soak"
            )
        stops = blocked_version(model, change.after.version, self._held, self._target)
        rows = of_rows(change, self._rows(change), self._choices.strategy)
        told = tuple(explained(verdict, policy) for verdict in (tests, soak, *rows))
        return (*stops, *told, *unlabelled(policy), *self._code(change))

    def _rows(self, change: Change) -> IncrementalChange:
        """Return what becomes of the rows of a model, should it be an incremental one that changed."""
        own = self._situation.target.on_incremental_change
        return rows_of(self._situation.policy(change.model, change.after), own, self._choices.on_incremental_change)

    def _code(self, change: Change) -> tuple[Verdict, ...]:
        """Ask whether the code that soaked is at hand (`build` needs it), and tell where the source has moved on."""
        situation, after, verdict = self._situation, change.after, None
        if after is not None and self._choices.strategy.builds:
            if situation.code is not None:
                verdict = of_kept(change.model, after, situation.code)
            elif situation.project is not None:
                verdict = of_checkout(change.model, after, situation.project)
        return (verdict,) if verdict is not None else self._moved_on(change)

    def _moved_on(self, change: Change) -> tuple[Verdict, ...]:
        """Say that the source holds a newer version than the one that goes."""
        now = self._held.current.get(change.model)
        if change.after is None or now is None or now.version == change.after.version:
            return ()
        named = change.model in self._question.named
        order = of_order(self._held, self._target, change.model, change.after, named=named)
        if named:
            return order
        asked = self._question.asked_of(change.model, self._situation)
        held = (
            *blocked_version(change.model, now.version, self._held, self._target),
            *judge(change.model, self._held, asked, self._situation.now, self._situation.others),
        )
        why = next((verdict.reason for verdict in held if not verdict.passed), "it cannot go with the others yet")
        reason = f"{self._held.environment} holds a newer version by now: {why}"
        return (passed(GateName.CODE, "newest_soaked", reason), *order)

    def _together(self, model: ModelId, chosen: set[ModelId]) -> tuple[Verdict, ...]:
        """Ask whether a model is coherent in the company of the plan."""
        if model not in self._all:
            return ()
        missing = self._needs.missing(model, chosen)
        if missing:
            return tuple(
                blocked(GateName.COHERENCE, *incoherent(direction, needs))
                for direction in Direction
                if (needs := [need for need in missing if need.direction is direction])
            )
        if (beside := self._tested_beside(model, chosen)) is not None:
            return (beside,)
        return (passed(GateName.COHERENCE, "coherent", "everything it stands on is in the target or comes along"),)

    def _tested_beside(self, model: ModelId, chosen: set[ModelId]) -> Verdict | None:
        """Block what was tested beside others than it will meet, where the strategy runs no test in the target."""
        unseen = self._unseen(model, chosen) if self._choices.strategy is Strategy.RECORD else []
        if not unseen:
            return None
        reason = (
            f"{unseen[0]} saw other versions in the source than it will meet, and `record` runs no test in the target"
        )
        return blocked(GateName.COHERENCE, "tested_beside_others", reason)

    def _unseen(self, model: ModelId, chosen: set[ModelId]) -> list[TestId]:
        """Return the required tests of a model that saw another one at a version which it will not meet."""
        change = self._all.get(model)
        if change is None or change.after is None or self._question.requirement.skip_tests:
            return []
        found = ledger.of_version(self._source, model, change.after.version)
        unseen = []
        for test, outcome in found.outcomes.items() if found is not None else ():
            for other, version in outcome.others.items():
                planned = self._all.get(other) if other in chosen else None
                meets = planned.after if planned is not None else self._target.current.get(other)
                if meets is None or meets.version != version:
                    unseen.append(test)
                    break
        return unseen

    def _left_stale(self, chosen: set[ModelId]) -> tuple[ModelId, ...]:
        """Return the children in the target that would be left on an old parent."""
        stale: set[ModelId] = set()
        for model in chosen:
            change = self._all.get(model)
            if change is not None and change.kind in BUILT | {ChangeKind.REMOVED}:
                stale.update(
                    child
                    for child in self._needs.children(model)
                    if child not in chosen and self._target.current[child].parents[model] != change.to_version
                )
        return tuple(sorted(stale))
