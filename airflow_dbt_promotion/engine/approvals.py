"""Approvals: plans are put before people, and what they say is written down. No lock is needed: nothing is built."""

from __future__ import annotations

from airflow_dbt_promotion.core import approving
from airflow_dbt_promotion.core.approvals import AgreedPlan, Approval, Person, Vote
from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.errors import NotAskedError
from airflow_dbt_promotion.core.moving import as_approved
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.ports import Clock
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.memory import Memory


class Approvals:
    """Puts plans before people, and remembers their words; compare-and-set suffices."""

    def __init__(self, memory: Memory, clock: Clock) -> None:
        """Take what is remembered, and the clock."""
        self._memory, self._clock = memory, clock

    def ask(self, plan: Plan, requester: Person, link: str | None = None) -> Approval:
        """Put a plan before people; one that is there with the same choices stays as it is, with their words."""
        fresh = Approval(
            plan_id=plan.plan_id,
            source=plan.source,
            models=as_approved(plan),
            rests_on=plan.rests_on,
            choices=plan.choices,
            requested_at=self._clock(),
            requested_by=requester.name,
            identity=requester.identity,
            link=link,
        )
        state = self._memory.change(plan.target, self._project(plan), lambda found: approving.asked(found, fresh))
        return approving.named(state, plan.plan_id)

    def vote(self, environment: str, plan: str, vote: Vote) -> Approval:
        """Write down what somebody says of a plan, named by its id or the beginning of it. Raises NotAskedError."""
        state = self._state(environment, plan)
        plan_id = approving.named(state, plan).plan_id
        after = self._memory.change(
            state.environment, state.project, lambda found: approving.voted(found, plan_id, vote)
        )
        return approving.named(after, plan_id)

    def agreed(self, environment: str, plan: str) -> AgreedPlan:
        """Return the plan that people were asked about, by its id or the beginning of it. Raises NotAskedError."""
        return approving.named(self._state(environment, plan), plan).agreed

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
