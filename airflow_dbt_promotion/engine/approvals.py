"""Approvals: plans are put before people, and what they say is written down. No lock is needed: nothing is built."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec.structs import replace

from airflow_dbt_promotion.core import approving
from airflow_dbt_promotion.core.approvals import Approval, Person, Vote
from airflow_dbt_promotion.core.consent import standing
from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, passed
from airflow_dbt_promotion.core.environment import BypassKind, Strategy
from airflow_dbt_promotion.core.errors import NotAskedError
from airflow_dbt_promotion.core.moving import as_approved, was_there, what_moved
from airflow_dbt_promotion.core.names import Names
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.ports import Clock
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.planner import Planner
from airflow_dbt_promotion.engine.request import PromotionRequest


class Approvals:
    """Puts plans before people, and remembers their words; compare-and-set suffices."""

    def __init__(self, memory: Memory, planner: Planner, clock: Clock) -> None:
        """Take what is remembered, what plans, and the clock."""
        self._memory, self._planner, self._clock = memory, planner, clock

    def ask(self, request: PromotionRequest, plan: Plan, requester: Person, link: str | None = None) -> Approval:
        """Put the plan of a request before people; one that is there with the same choices stays, with their words."""
        fresh = Approval(
            plan_id=plan.plan_id,
            source=plan.source,
            models=as_approved(plan),
            rests_on=plan.rests_on,
            choices=plan.choices,
            soak=request.soak,
            runs=request.min_successful_runs,
            rows=plan.rows,
            requested_at=self._clock(),
            requested_by=requester.name,
            identity=requester.identity,
            link=link,
        )

        def move(state: EnvironmentState) -> EnvironmentState:
            before = approving.of_plan(state, plan.ids)
            return approving.asked(state, fresh if before is None else replace(fresh, plan_id=before.plan_id))

        state = self._memory.change(plan.target, self._project(plan), move)
        asked = approving.of_plan(state, plan.ids)
        return asked or approving.named(state, plan.plan_id)

    def vote(
        self,
        environment: str,
        plan: str,
        vote: Vote,
        asked_at: datetime | None = None,
        models: Sequence[str] | None = None,
    ) -> Approval:
        """Write down what somebody says of a plan, named by its id or the beginning of it.

        `asked_at` is since when what they were shown is before people, None where that is not known. A no is about
        `models` of it, by name; None means those with changes of their own. Raises NotAskedError, AskedOtherwiseError,
        UnknownModelError.
        """
        state = self._state(environment, plan)
        approval = approving.named(state, plan)
        plan_id, names = approval.plan_id, Names(approval.models)
        meant = None if models is None else tuple(names.resolve(name) for name in models)
        after = self._memory.change(
            state.environment, state.project, lambda found: approving.voted(found, plan_id, vote, asked_at, meant)
        )
        return approving.named(after, plan_id)

    def verdict(self, environment: str, plan: str, promoter: str | None = None) -> Verdict:
        """Return how a plan that people were asked about stands now: approved, or not and why, or moved.

        `promoter` would promote it (default: who asked). Raises NotAskedError.
        """
        approval = self.named(environment, plan)
        request = agreed_request(
            PromotionRequest(target=environment, actor=promoter or approval.requested_by), approval
        )
        found = self._planner.plan(request).plan
        said = [verdict for verdict in found.verdicts if verdict.code == "plan_moved"]
        said += [verdict for verdict in found.verdicts if verdict.gate is GateName.APPROVAL]
        said += [verdict for verdict in found.verdicts if verdict.gate is GateName.HOLD and not verdict.passed]
        return said[0] if said else passed(GateName.APPROVAL, "no_approval_needed", "policy asks nobody about it")

    def standing(self, plan: Plan, request: PromotionRequest) -> Verdict:
        """Return how the plan of a request stands that was just put before people, without computing it again."""
        state = self._state(plan.target, plan.plan_id)
        now = self._clock()
        return standing(plan, plan.approvals, state, soak=request.soak, promoter=request.actor, now=now).verdict

    def moved(self, plan: Plan) -> tuple[Approval, tuple[str, ...]] | None:
        """Return the newest plan with some of the same models that people had a word on, and what moved since; None
        where there is none, or it was carried out, or nothing moved.
        """
        ours, target = {change.model for change in plan.changes}, self._memory.read(plan.target)
        for approval in self.of(plan.target):
            if approval.votes and ours & approval.models.keys():
                if target is not None and was_there(approval.agreed, target):
                    return None
                told = what_moved(approval.agreed, plan)
                return (approval, told) if told else None
        return None

    def named(self, environment: str, plan: str) -> Approval:
        """Return what was said of a plan, by its id or the beginning of it. Raises NotAskedError."""
        return approving.named(self._state(environment, plan), plan)

    def of(self, environment: str) -> tuple[Approval, ...]:
        """Return what people were asked about, newest first. Raises UnknownEnvironmentError."""
        state = self._memory.read(self._memory.path.get(environment).name)
        return () if state is None else state.approvals

    def _state(self, environment: str, plan: str) -> EnvironmentState:
        """Return the document of an environment about which somebody was asked."""
        name = self._memory.path.get(environment).name
        state = self._memory.read(name)
        if state is None:
            raise NotAskedError(name, plan, ())
        return state

    def _project(self, plan: Plan) -> ProjectIdentity:
        """Return whose plan it is."""
        for name in (plan.target, plan.source):
            if (state := self._memory.read(name)) is not None:
                return state.project
        return ProjectIdentity(self._memory.project or "")


def agreed_request(request: PromotionRequest, approval: Approval) -> PromotionRequest:
    """Return a request for the very plan that people were asked about, with the choices that they were shown.

    How it is built is chosen anew, but for a plan that only writes state.
    """
    choices = approval.choices
    older = BypassKind.OLDER_VERSION in choices.bypasses
    versions = [f"{model}={one.to_version}" for model, one in approval.models.items() if one.to_version is not None]
    alone = choices.strategy if choices.strategy is Strategy.RECORD else None
    return replace(
        request,
        agreed=approval.agreed,
        version=",".join(versions) if older else None,
        soak=approval.soak,
        min_successful_runs=approval.runs,
        require_tests=BypassKind.SKIP_TESTS not in choices.bypasses,
        reason=choices.reason,
        allow_stale_downstream=choices.allow_stale_downstream,
        allow_removals=choices.allow_removals,
        force=choices.force,
        overrule_rejection=BypassKind.OVERRULE_REJECTION in choices.bypasses,
        strategy=request.strategy or alone,
        on_incremental_change=choices.on_incremental_change,
    )
