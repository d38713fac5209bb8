"""A plan: an immutable list of changes, with every gate's verdict and the preconditions that it was computed under.

Computing one is pure. The plan that is shown is the very value that is carried out: applying recomputes it inside the
lock and refuses if `plan_id` came out otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.code_gate import Code
from airflow_dbt_promotion.core.definition import Exposure
from airflow_dbt_promotion.core.demand import demanded
from airflow_dbt_promotion.core.eligibility import Requirement, Verdict
from airflow_dbt_promotion.core.environment import BypassKind, Environment, IncrementalChange, Strategy
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, PlanId, ReleaseId, TestId, Version, digest_of
from airflow_dbt_promotion.core.importing import IMPORTED
from airflow_dbt_promotion.core.policy import Policy, policy_for
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Entry, EnvironmentState
from airflow_dbt_promotion.core.windows import Hours, Opening

PLAN_FORMAT = 2


class Situation(Struct, frozen=True, kw_only=True):
    """Everything that a plan is computed from: both environments, what is remembered of them, the project at hand, and
    the time.

    `source_state` is None where the source was never recorded. `project` is what the project is now, None where that is
    not known. `code` are the kept releases that are built from, None where the project at hand is (`project` then), or
    nothing is built. `hours` is what the target's windows say of `now`. `policies` are what the target's rules make of
    its policy, by model; `older` what they make of it besides for a version that the source held before, by its model
    and the release that it would come from.
    """

    source: Environment
    target: Environment
    source_state: EnvironmentState | None
    target_state: EnvironmentState
    others: tuple[EnvironmentState, ...]
    project: Release | None
    now: datetime
    code: Code | None = None
    hours: Hours = Hours()
    policies: Mapping[ModelId, Policy] = {}
    older: Mapping[tuple[ModelId, ReleaseId], Policy] = {}

    def policy(self, model: ModelId, version: Entry | None = None) -> Policy:
        """Return what the target asks of a model, or of a version of it; the strictest where its rules were not asked
        about it.
        """
        if version is not None and version.release is not None and (model, version.release) in self.older:
            return self.older[model, version.release]
        return self.policies.get(model) or policy_for(self.target, None)


class Plan(Struct, frozen=True, kw_only=True):
    """What a promotion would do.

    `changes` would go, together; `held` would not, each with the verdicts that say why; `already_current` costs
    nothing. `verdicts` are about the plan as a whole. `tests_in_target` have to run in the target, since in the source
    they saw other models than they will meet. `rests_on` are the candidates of the source over the plan's closure.
    `rollback_to` is the checkpoint that a rollback goes back to, whose source is its target; None for a promotion.
    `approved_by` are those whose approval counts, `approvals` what policy asks of people about it. `then` is what the
    target's windows say of the instant at which every gate could pass by itself. `rows` is what becomes of the rows of
    incremental models whose own code changed, where the choices do not say it for all.
    """

    plan_id: PlanId
    source: EnvironmentName
    target: EnvironmentName
    strategy: Strategy
    precondition: str
    changes: tuple[Change, ...]
    held: tuple[Change, ...] = ()
    already_current: tuple[ModelId, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    tests_in_target: tuple[TestId, ...] = ()
    stale_after: tuple[ModelId, ...] = ()
    exposures: tuple[Exposure, ...] = ()
    choices: Choices = Choices()
    rests_on: Mapping[ModelId, Version] = {}
    rollback_to: str | None = None
    approved_by: tuple[str, ...] = ()
    then: Opening | None = None
    approvals: tuple[ApprovalPolicy, ...] = ()
    rows: Mapping[ModelId, IncrementalChange] = {}
    id_of_format_one: PlanId | None = None
    computed_at: datetime

    @property
    def ids(self) -> tuple[PlanId, ...]:
        """The ids by which people may have been asked about it."""
        return (self.plan_id,) if self.id_of_format_one is None else (self.plan_id, self.id_of_format_one)

    @property
    def allowed(self) -> bool:
        """Whether every gate is open for the plan and all of its changes."""
        return all(verdict.passed for verdict in self.verdicts) and all(change.allowed for change in self.changes)

    def builds_anew(self, change: Change) -> bool:
        """Say whether a change is of an incremental model whose rows are all built anew."""
        if change.kind is not ChangeKind.MODIFIED or change.after is None or not change.after.incremental:
            return False
        chosen = self.rows.get(change.model, self.choices.on_incremental_change)
        return chosen is IncrementalChange.FULL_REFRESH

    @property
    def refusals(self) -> tuple[tuple[ModelId | None, Verdict], ...]:
        """Every verdict that keeps the plan from going, with the model that it is about."""
        own = [(None, verdict) for verdict in self.verdicts if not verdict.passed]
        return (
            *own,
            *((change.model, verdict) for change in self.changes for verdict in change.verdicts if not verdict.passed),
        )

    @property
    def eligible_at(self) -> datetime | None:
        """The earliest instant at which the plan could pass, None where it may go now or where time alone does not
        tell.
        """
        at, then = self.all_pass_at, self.then
        return at if at is None or then is None or then.is_open else then.opens_at

    @property
    def all_pass_at(self) -> datetime | None:
        """The earliest instant at which each shut gate could pass, whatever the windows say of that instant."""
        refusals = [verdict for _, verdict in self.refusals]
        instants = [verdict.eligible_at for verdict in refusals if verdict.eligible_at is not None]
        return max(instants) if instants and len(instants) == len(refusals) else None


def plan_id(source: EnvironmentName, target: EnvironmentName, changes: Collection[Change], precondition: str) -> PlanId:
    """Return the digest of what would change and what that rests on; no verdict and no time enters."""
    told = sorted(
        (
            change.model,
            change.kind.value,
            change.from_version,
            change.to_version,
            change.after and change.after.tests,
            change.after and change.after.meta,
        )
        for change in changes
    )
    return PlanId(digest_of([PLAN_FORMAT, source, target, told, precondition]))


def precondition(source: EnvironmentState, target: EnvironmentState, closure: Collection[ModelId]) -> str:
    """Return the digest of what a plan rests on: what both environments hold over its closure, what is blocked or held
    there, and which documents they are.

    A document of which nothing is known but who has the lock is as good as none.
    """
    held = [(model, _held(source, model)[:2], _held(target, model)) for model in sorted(closure)]
    stops = [told for state in (source, target) for told in _stops(state, closure)]
    rests = [source.lineage, target.lineage if _is_begun(target) else "new", held]
    return digest_of([*rests, stops] if stops else rests)


def _stops(state: EnvironmentState, closure: Collection[ModelId]) -> Iterator[object]:
    """Yield what is blocked in an environment, as far as a plan rests on it, and its hold."""
    for model in sorted(state.blocks.keys() & set(closure)):
        yield [state.environment, model, sorted(block.version for block in state.blocks[model])]
    if state.hold is not None:
        yield [state.environment, state.hold.at.isoformat()]


def _is_begun(state: EnvironmentState) -> bool:
    """Say whether anything ever happened in an environment; what was imported did not happen in this document."""
    ours = any(record.strategy != IMPORTED for record in state.history)
    return bool(state.current or state.stays or state.evidence or ours)


def _held(state: EnvironmentState, model: ModelId) -> list[object]:
    """Return what a document says of one model, as far as a plan rests on it: version, tests, whether it is stale.

    A plan rests on the candidate of the source, whether that is held still or not: so staleness counts in a target.
    """
    entry = state.current.get(model)
    return [] if entry is None else [entry.version, entry.tests, entry.stale_since is not None]


def exposures_reached(project: Release | None, changes: Mapping[ModelId, Change]) -> tuple[Exposure, ...]:
    """Return the exposures that stand on a changed model, directly or through others."""
    if project is None or not project.exposures:
        return ()
    reached = {model for model, change in changes.items() if change.kind is not ChangeKind.METADATA}
    children: dict[ModelId, list[ModelId]] = {}
    for model in project.models.values():
        for parent in model.parents:
            children.setdefault(parent, []).append(model.id)
    waiting = list(reached)
    while waiting:
        fresh = [child for child in children.get(waiting.pop(), ()) if child not in reached]
        reached.update(fresh)
        waiting.extend(fresh)
    return tuple(
        exposure
        for exposure in project.exposures
        if any(ModelId(parent) in reached for parent in exposure.depends_on.nodes)
    )


class Question(Struct, frozen=True, kw_only=True):
    """What is asked for: these models (None: all that may go), under this requirement, with these choices.

    `requirement` is by the target's own values; `soak` and `runs` are what the caller asks for in addition, of each
    model. `pinned` are models of which no other version than this may go, as where a plan is computed again. `promoter`
    is who would promote it. `to_approve` asks for the plan that people are to approve: all that may go but for that.
    `agreed_at` is when a promotion that is carried on began: it was approved then. `named` are versions that were asked
    for by name.
    """

    models: tuple[ModelId, ...] | None
    requirement: Requirement
    choices: Choices
    pinned: Mapping[ModelId, Version] = {}
    promoter: str | None = None
    to_approve: bool = False
    agreed_at: datetime | None = None
    soak: timedelta | None = None
    runs: int | None = None
    named: Mapping[ModelId, Version] = {}

    def asked_of(self, model: ModelId, situation: Situation, version: Entry | None = None) -> Requirement:
        """Return what is asked of a version of a model (None: of the one that the source holds)."""
        if not situation.target.rules:
            return self.requirement
        short = BypassKind.SHORT_SOAK in self.choices.bypasses
        return demanded(situation.policy(model, version), self.requirement, self.soak, self.runs, short=short)
