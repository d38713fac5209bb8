"""A promotion in several tasks: one opens it, others build its parts beside what readers see, one finishes it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Arrangement, token_of
from airflow_dbt_promotion.core.building import parts as parts_of
from airflow_dbt_promotion.core.change import BUILT
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.errors import NotOpenError, PlanMovedError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.lock import Holder
from airflow_dbt_promotion.core.orders import OnProgress
from airflow_dbt_promotion.core.parts import PartEnd, end_of
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.ports import Clock, Workshop
from airflow_dbt_promotion.core.state import EnvironmentState, Part
from airflow_dbt_promotion.core.turns import OfPart, opened
from airflow_dbt_promotion.engine.beside import arrange, order_of
from airflow_dbt_promotion.engine.locks import Held, Locks
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.outcomes import refused_now
from airflow_dbt_promotion.engine.planned import Planned
from airflow_dbt_promotion.engine.planner import Planner
from airflow_dbt_promotion.engine.promoter import Asking, Doing, OnPlan, Promoter
from airflow_dbt_promotion.engine.publisher import Hearing, code_of
from airflow_dbt_promotion.engine.request import Promotion, PromotionRequest
from airflow_dbt_promotion.failpoints import Failpoint, reached

PATIENCE = timedelta(hours=1)
"""For how long an open promotion waits for its next task, unless somebody says otherwise."""


def unseen(_: Plan) -> None:
    """Take a plan and show it to nobody."""


class Opened(Struct, frozen=True, kw_only=True):
    """A promotion that was opened, or was not: `promotion` says how it ended then, and `is_open` whether it is open.

    `promotion` is None where an earlier attempt has opened it. `parts` are the models of each part, by its name; of a
    promotion that is not divided there are none.
    """

    promotion: Promotion | None
    is_open: bool
    parts: Mapping[str, tuple[ModelId, ...]] = {}


class PartOrder(Struct, frozen=True, kw_only=True):
    """One part as it is to be built: of the promotion into `target` that was opened as a run.

    `lock_timeout` is in seconds; `run` is what later attempts at the part have in common with this one.
    """

    target: str
    opened_as: str
    part: str
    lock_timeout: float = 60.0
    actor: str = "unknown"
    link: str | None = None
    run: str | None = None

    @property
    def holder(self) -> Holder:
        """Who holds the lock of the part meanwhile."""
        return Holder(owner=self.actor, run=self.run, link=self.link)


class Parts:
    """Opens promotions, and builds their parts; `Promoter.promote` finishes them."""

    def __init__(
        self, memory: Memory, locks: Locks, planner: Planner, promoter: Promoter, workshop: Workshop, clock: Clock
    ) -> None:
        """Take what is remembered, its locks, what plans and promotes, what builds, and the clock."""
        self._memory, self._locks, self._planner, self._promoter = memory, locks, planner, promoter
        self._workshop, self._clock = workshop, clock

    def open(
        self,
        request: PromotionRequest,
        most: int,
        on_progress: OnProgress,
        on_plan: OnPlan = unseen,
        patience: timedelta = PATIENCE,
    ) -> Opened:
        """Plan, write the intent, and divide what is to be built into at most so many parts.

        The environment stays locked for the run, and waits for each of its tasks as long as `patience`. Only what is
        built beside what readers see, from kept releases, and in a warehouse that several processes can write to, is
        divided. What an earlier attempt has opened is open. Returns and raises as `Promoter.promote` does.
        """
        if request.run is None:
            raise ValueError("what is opened is finished by another task of the same run")
        state = self._memory.read(self._memory.path.get(request.target).name)
        if state is not None and (found := _parts_in(state, request.run)) is not None:
            return Opened(promotion=None, is_open=True, parts=_models(found))
        divided: dict[str, Part] = {}

        def deed(planned: Planned, doing: Doing, held: Held) -> Promotion:
            divided.update(self._divided(planned, most))
            attempt = replace(doing.attempt, opens=True, parts=divided)
            return self._promoter.open(planned, doing._replace(attempt=attempt), held, patience)

        told = self._promoter.begun(request, Asking(on_progress, on_plan, self._clock()), deed)
        state = self._memory.read(told.plan.target)
        is_open = state is not None and _parts_in(state, request.run) is not None
        return Opened(promotion=told, is_open=is_open, parts=_models(divided) if is_open else {})

    def build(self, order: PartOrder, on_progress: OnProgress) -> PartEnd:
        """Build and test a part beside what readers see, and note what came of it; what is noted is told.

        A model or a test that fails is an answer. Raises NotOpenError where the promotion is not open any more,
        PlanMovedError where what it rests on has moved, LockHeldError, LockLostError, and what `Workshop.build` raises.
        """
        target, turn = self._memory.path.get(order.target), OfPart(order.opened_as, order.part)
        state = self._memory.read(target.name)
        if state is None:
            raise NotOpenError(target.name)
        if (end := turn.found(state).end) is not None:
            return end
        with self._locks.hold(target.name, state.project, order.holder, order.lock_timeout, turn) as held:
            if (end := turn.found(self._read(held)).end) is not None:
                return end
            end = self._built(order, held, on_progress)
            reached(Failpoint.PART_BUILT)
            held.change(lambda found: turn.ended(found, held.epoch, end), release=True)
        return end

    def _built(self, order: PartOrder, held: Held, on_progress: OnProgress) -> PartEnd:
        """Build a part, and return what came of it."""
        target, began = self._memory.path.get(order.target), self._clock()
        promotion = opened(self._read(held), order.opened_as)
        journal, part = promotion.journal, promotion.journal.parts[order.part]
        planned = self._planner.resumed(target, journal)
        if (refused := refused_now(planned.plan, journal.plan_id, journal.rows)) is not None:
            raise PlanMovedError(target.name, refused.refusals[0][1].reason)
        release = code_of(planned)
        building = {change.model for change in planned.plan.changes if change.kind in BUILT} & set(part.models)
        token = token_of(journal.plan_id, held.lineage, journal.epochs[0])
        found = arrange(self._workshop, planned, release, building, token)
        if not isinstance(found, Arrangement):
            reasons = tuple(one.reason for one in found)
            return PartEnd(well=False, started_at=began, finished_at=self._clock(), words=reasons)
        wanted = order_of(planned, release, found, part.models, order.part)
        if not (wanted.models or wanted.tests):
            return PartEnd(well=True, started_at=began, finished_at=self._clock())
        report = self._workshop.build(wanted, Hearing(held, on_progress, in_place=False))
        return end_of(report.run, well=report.success, words=report.words, row_witnesses=report.row_witnesses)

    def _divided(self, planned: Planned, most: int) -> dict[str, Part]:
        """Return the parts of a plan by their names, none where it cannot be divided, or is all of one piece."""
        plan, composition = planned.plan, planned.composition
        if composition is None or plan.strategy is not Strategy.BLUE_GREEN:
            return {}
        if not self._workshop.shares(composition.definition.adapter_type):
            return {}
        found = parts_of(plan, composition.release, most)
        return {str(number): Part(models=models) for number, models in enumerate(found, 1)} if found[1:] else {}

    def _read(self, held: Held) -> EnvironmentState:
        """Return the document of what is locked."""
        state = self._memory.read(held.environment)
        if state is None:
            raise NotOpenError(held.environment)
        return state


def _parts_in(state: EnvironmentState, run: str) -> Mapping[str, Part] | None:
    """Return the parts of the promotion that is open as a run, None where none is."""
    try:
        return opened(state, run).journal.parts
    except NotOpenError:
        return None


def _models(parts: Mapping[str, Part]) -> dict[str, tuple[ModelId, ...]]:
    """Return the models of each part."""
    return {name: part.models for name, part in parts.items()}
