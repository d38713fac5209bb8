"""What the engine asks of the world. Adapters at the edge promise what these docstrings say."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId
from airflow_dbt_promotion.core.release import Model, Release, Test
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.state import EnvironmentState


class StateStore(Protocol):
    """Keeps one document for each environment.

    A reader sees the whole of some document that was written, never a mixture. Nothing is ever half written: after a
    crash the old document is there, or the new.
    """

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        """Return the newest document, or None where none was ever written.

        Raises CorruptStateError or FutureSchemaError; what is there is left as it is. Never creates anything.
        """

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        """Write a document and return it with its new serial, one higher than the expected.

        Atomic, durable once returned, and conditional: raises StateConflictError where the serial that is there is not
        `expected_serial` (None: nothing may be there), StateUnwritableError where nothing can be written. Nothing has
        changed then.
        """

    def lock(self, environment: EnvironmentName, owner: str, timeout: float) -> AbstractContextManager[None]:
        """Hold the environment's promotion lock while the context is open.

        One holder at a time over all processes that share the store; given up when the holder's process dies. Waits at
        most `timeout` seconds and then raises LockHeldError that names the owner.
        """

    def warnings(self) -> tuple[str, ...]:
        """Return what people should know of this place, such as that `dbt clean` would delete it."""


class Progress(Struct, frozen=True, kw_only=True):
    """A sign of life while dbt works: the node that ended, or began, and how far the run is."""

    node: str
    status: str
    index: int = 0
    total: int = 0


OnProgress = Callable[[Progress], None]


class BuildRequest(Struct, frozen=True, kw_only=True):
    """One invocation that executes exactly these nodes: models first, then the tests named, nothing else.

    `command` is `build`, or `test` where `models` is empty.
    """

    environment: Environment
    models: tuple[Model, ...]
    tests: tuple[Test, ...]
    full_refresh: bool = False


class BuildReport(Struct, frozen=True, kw_only=True):
    """What an invocation did: its run, the release that it ran on, and dbt's own words where something broke."""

    run: Run
    release: Release
    success: bool
    words: tuple[str, ...] = ()


class Workshop(Protocol):
    """Runs dbt on the project at hand."""

    def release(self, environment: Environment, *, dry: bool) -> Release:
        """Return the release of the project at hand, parsed now with the environment's target.

        `dry`: leaves no file behind, anywhere in the project. Raises DbtProjectError with dbt's own words, or DbtError.
        """

    def build(self, request: BuildRequest, on_progress: OnProgress) -> BuildReport:
        """Execute exactly the requested nodes in the environment and report.

        A failing model or test is a report, not an exception. Raises ExecutedElseError where dbt executed anything else
        than what was asked for, DbtError where it broke on the way, DbtProjectError where it refuses the project.
        """

    def select(self, environment: Environment, selector: str) -> tuple[ModelId, ...]:
        """Return the models that a dbt selector names in the project at hand; writes nothing. Raises InputError with
        dbt's own words.
        """


class ArtifactReader(Protocol):
    """Reads what dbt wrote."""

    def release(self, target_path: Path) -> Release:
        """Return the release that the manifest in a target folder says. Raises ArtifactError and its kin."""

    def run(self, target_path: Path) -> tuple[Run, Release]:
        """Return the run in a target folder with the release that it ran on.

        Raises InvocationMismatchError where both files are not of one invocation, RunRefusedError where the run proves
        nothing.
        """


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> datetime:
        """Return the present instant, aware, in UTC."""
