"""Fakes for the ports: a clock that is set, a project that is said, a dbt that does what it is told."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from pathlib import Path

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import MissingArtifactError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.ports import BuildReport, BuildRequest, OnProgress, Progress
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run


class FakeClock:
    """Tells the instant that it was set to."""

    def __init__(self, now: datetime) -> None:
        """Take the first instant."""
        self.now = now

    def __call__(self) -> datetime:
        """Return the present instant."""
        return self.now

    def pass_by(self, length: timedelta) -> datetime:
        """Let time pass; return the new instant."""
        self.now += length
        return self.now


class FakeReader:
    """Reads the runs that it was given, by target folder."""

    def __init__(self) -> None:
        """Begin with empty folders."""
        self.runs: dict[Path, tuple[Run, Release]] = {}

    def release(self, target_path: Path) -> Release:
        """Return the release of the run in a folder."""
        return self.run(target_path)[1]

    def run(self, target_path: Path) -> tuple[Run, Release]:
        """Return the run in a folder."""
        if target_path not in self.runs:
            raise MissingArtifactError(str(target_path / "run_results.json"), "there is no such file")
        return self.runs[target_path]


class FakeWorkshop:
    """Has one project at hand; what it builds succeeds, but for the nodes in `failing`.

    `orders` are the builds that were asked for.
    """

    def __init__(self, project: Release, clock: FakeClock) -> None:
        """Take the project at hand, and the clock by which runs are dated."""
        self.project, self._clock = project, clock
        self.failing: Collection[str] = ()
        self.orders: list[BuildRequest] = []
        self.breaks: BaseException | None = None
        self.build_breaks: BaseException | None = None
        self.meanwhile: Callable[[], object] = bool
        self.parses: list[tuple[str, bool]] = []
        self.selected: tuple[ModelId, ...] = ()

    def release(self, environment: Environment, *, dry: bool) -> Release:
        """Return the project at hand, the same for every target."""
        self.parses.append((environment.name, dry))
        if self.breaks is not None:
            raise self.breaks
        return self.project

    def build(self, request: BuildRequest, on_progress: OnProgress) -> BuildReport:
        """Report a run of exactly the requested nodes."""
        self.orders.append(request)
        if self.build_breaks is not None:
            raise self.build_breaks
        nodes = [*((model.id, True) for model in request.models), *((test.id, False) for test in request.tests)]
        results = []
        for index, (node, built) in enumerate(nodes, start=1):
            status = self._status(node, built=built)
            on_progress(Progress(node=node, status=status.value, index=index, total=len(nodes)))
            results.append(
                NodeResult(
                    id=node, status=status, started_at=self._clock(), completed_at=self._clock(), message="it broke"
                )
            )
        run = Run(
            invocation_id=f"build-{len(self.orders)}",
            command="build" if request.models else "test",
            where="target/promotion_runs",
            started_at=self._clock(),
            finished_at=self._clock(),
            results=tuple(results),
            target=request.environment.target,
        )
        self.meanwhile()
        broke = tuple(f"{node} broke" for node in self.failing)
        return BuildReport(run=run, release=self.project, success=not self.failing, words=broke)

    def select(self, environment: Environment, selector: str) -> tuple[ModelId, ...]:  # noqa: ARG002 - the port's
        """Return the models that were set."""
        return self.selected

    def _status(self, node: str, *, built: bool) -> ResultStatus:
        """Say how a node ends."""
        if built:
            return ResultStatus.FAILED if node in self.failing else ResultStatus.SUCCESS
        return ResultStatus.FAIL if node in self.failing else ResultStatus.PASS
