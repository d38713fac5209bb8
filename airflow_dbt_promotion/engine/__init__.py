"""The engine: plan, record, promote, run, and tell. It speaks to ports alone and knows neither dbt nor Airflow."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from airflow_dbt_promotion.core.environment import PromotionPath
from airflow_dbt_promotion.core.lock import LEASE
from airflow_dbt_promotion.core.orders import OnProgress, Progress
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.ports import (
    ArtifactReader,
    Calendar,
    Clock,
    Processes,
    ReleaseStore,
    StateStore,
    Workshop,
)
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.core.rolling_back import Return
from airflow_dbt_promotion.core.state import PromotionRecord, Unlocking
from airflow_dbt_promotion.core.status import ModelStatus
from airflow_dbt_promotion.core.stops import Intervention
from airflow_dbt_promotion.engine.adopter import Adopter, AdoptionRequest
from airflow_dbt_promotion.engine.aftercare import Aftercare
from airflow_dbt_promotion.engine.approvals import Approvals
from airflow_dbt_promotion.engine.brakes import Brakes
from airflow_dbt_promotion.engine.cleaner import Cleaner
from airflow_dbt_promotion.engine.importer import Importer
from airflow_dbt_promotion.engine.locks import Locks
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.observer import Observer
from airflow_dbt_promotion.engine.parts import Parts, unseen
from airflow_dbt_promotion.engine.planner import Planner
from airflow_dbt_promotion.engine.promoter import OnPlan, Promoter
from airflow_dbt_promotion.engine.recognising import Recogniser
from airflow_dbt_promotion.engine.recorder import Recorder
from airflow_dbt_promotion.engine.request import (
    Exclusion,
    Promotion,
    PromotionRequest,
    Rollback,
    RollbackRequest,
    RunOrder,
    RunOutcome,
    ServedRun,
)
from airflow_dbt_promotion.engine.rollback import OnReturn, Rollbacks
from airflow_dbt_promotion.engine.server import Server
from airflow_dbt_promotion.engine.sweeper import Sweeper
from airflow_dbt_promotion.engine.verifier import Verifier

__all__ = [
    "AdoptionRequest",
    "Engine",
    "Exclusion",
    "Promotion",
    "PromotionRequest",
    "Rollback",
    "RollbackRequest",
    "RunOrder",
    "RunOutcome",
    "ServedRun",
    "quiet",
]


def quiet(_: Progress) -> None:
    """Take a sign of life and do nothing."""


def _unshown(_: Return) -> None:
    """Take a rollback that could be and show it to nobody."""


class Engine:
    """Everything that can be asked, over one project's environments."""

    def __init__(  # noqa: PLR0913 - one argument a port
        self,
        *,
        path: PromotionPath,
        store: StateStore,
        releases: ReleaseStore,
        workshop: Workshop,
        reader: ArtifactReader,
        processes: Processes,
        clock: Clock,
        calendar: Calendar,
        project: str | None = None,
        lease: timedelta = LEASE,
    ) -> None:
        """Take the promotion path and the ports; `project` is the dbt project's name, to refuse what belongs to
        another. A sign of life of whoever holds a lock holds for a `lease`.
        """
        self.path, self.store, self.releases, self.clock = path, store, releases, clock
        recogniser = Recogniser(path, store, workshop)
        memory = Memory(path, store, project, recogniser)
        self._planner = Planner(memory, workshop, clock, calendar)
        self._locks = Locks(memory, processes, clock, lease)
        self._promoter = Promoter(memory, self._locks, self._planner, workshop, clock)
        self._rollbacks = Rollbacks(memory, self._locks, self._planner, self._promoter, clock)
        self._recorder = Recorder(memory, reader, workshop, releases, clock, recogniser)
        self._adopter = Adopter(
            memory,
            self._locks,
            reader=reader,
            workshop=workshop,
            releases=releases,
            clock=clock,
            recogniser=recogniser,
        )
        self.parts = Parts(memory, self._locks, self._planner, self._promoter, workshop, clock)
        self.server = Server(memory, self._locks, workshop, clock)
        self._aftercare = Aftercare(memory, self._locks, workshop, self.server, self._rollbacks)
        self.verifier, self.importer = Verifier(memory, releases), Importer(memory, clock)
        self.cleaner = Cleaner(memory, self._locks, releases, clock)
        self.sweeper = Sweeper(memory, self._locks, workshop, self.server, clock)
        self.approvals = Approvals(memory, self._planner, clock)
        self.observer, self._brakes = Observer(memory, workshop, clock, calendar), Brakes(memory, clock)

    def plan(self, request: PromotionRequest) -> Plan:
        """Return the plan for a request as things stand; writes and runs nothing."""
        return self._planner.plan(request).plan

    def promote(
        self, request: PromotionRequest, on_progress: OnProgress = quiet, on_plan: OnPlan = unseen
    ) -> Promotion:
        """Carry a request out, and verify what was published where that is asked for; see `Promoter.promote` and
        `Aftercare.verified`.
        """
        return self._aftercare.verified(request, self._promoter.promote(request, on_progress, on_plan), on_progress)

    def resume(self, request: PromotionRequest, on_progress: OnProgress = quiet, on_plan: OnPlan = unseen) -> Promotion:
        """Carry on the promotion that broke off in an environment; see `Promoter.resume`."""
        return self._promoter.resume(request, on_progress, on_plan)

    def roll_back(
        self, request: RollbackRequest, on_progress: OnProgress = quiet, on_return: OnReturn = _unshown
    ) -> Rollback:
        """Take an environment back to a checkpoint; see `Rollbacks.roll_back`."""
        return self._rollbacks.roll_back(request, on_progress, on_return)

    def unlock(self, environment: str, actor: str, reason: str) -> Unlocking:
        """Open the lock of an environment by force, on record. Raises NotLockedError, ReasonRequiredError."""
        return self._locks.open(self.path.get(environment).name, actor, reason)

    def hold(self, environment: str, actor: str, reason: str) -> Intervention:
        """Let nothing be promoted into an environment, on record; see `Brakes.hold`."""
        return self._brakes.hold(environment, actor, reason)

    def release(self, environment: str, actor: str, reason: str) -> Intervention:
        """Lift the hold of an environment, on record; see `Brakes.release`."""
        return self._brakes.release(environment, actor, reason)

    def freeze(self, environment: str, actor: str, reason: str, until: datetime | None = None) -> Intervention:
        """Let nothing be promoted into an environment for a time, on record; see `Brakes.freeze`."""
        return self._brakes.freeze(environment, actor, reason, until)

    def thaw(self, environment: str, actor: str, reason: str) -> Intervention:
        """Lift the freeze of an environment, on record; see `Brakes.thaw`."""
        return self._brakes.thaw(environment, actor, reason)

    def unblock(self, environment: str, actor: str, reason: str, models: Sequence[str] | None = None) -> Intervention:
        """Lift blocks of versions, on record; see `Brakes.unblock`."""
        return self._brakes.unblock(environment, actor, reason, models)

    def run(self, order: RunOrder, on_progress: OnProgress = quiet) -> ServedRun:
        """Run what was promoted to an environment; see `Server.run`."""
        return self.server.run(order, on_progress)

    def exclusion(self, environment: str) -> Exclusion:
        """Return what of the checkout is not what was promoted to an environment; see `Server.exclusion`."""
        return self.server.exclusion(environment)

    def record(
        self, environment: str, target_path: Path, actor: str = "unknown", reason: str | None = None
    ) -> Recording:
        """Record the dbt run in a target folder for an environment; see `Recorder.record`."""
        return self._recorder.record(environment, target_path, actor, reason)

    def baseline(self, request: AdoptionRequest) -> Recording:
        """Adopt an environment that existed before; see `Adopter.adopt`."""
        return self._adopter.adopt(request)

    def status(
        self, environment: str | None = None, models: Sequence[str] | None = None, soak: timedelta | None = None
    ) -> tuple[ModelStatus, ...]:
        """Return where every model stands."""
        return self.observer.status(environment, models, soak)

    def validated(
        self, soak: timedelta | None = None, environment: str | None = None, *, pending: bool = False
    ) -> tuple[ModelStatus, ...]:
        """Return the models that are validated and soaked."""
        return self.observer.validated(environment, soak, pending=pending)

    def history(self, environment: str | None = None) -> tuple[tuple[str, PromotionRecord], ...]:
        """Return the promotions on record, newest first."""
        return self.observer.history(environment)
