"""What the engine asks of the world. Adapters at the edge promise what these docstrings say."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Protocol

from airflow_dbt_promotion.core.beside import Arrangement, ArrangeRequest, Obstacle, Swapped
from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment, Strategy
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, ReleaseId
from airflow_dbt_promotion.core.kept import Provenance, Sources, SourceTree, Waste
from airflow_dbt_promotion.core.orders import (
    BuildReport,
    BuildRequest,
    CodeAtHand,
    Kept,
    Mark,
    OnProgress,
    Published,
    RunRequest,
    Standing,
    SwapRequest,
)
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.run_conditions import RunPlace
from airflow_dbt_promotion.core.state import EnvironmentState, Process
from airflow_dbt_promotion.core.windows import Opening, Windows


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
        """Write a document and return it with its new serial, one higher than the expected; than its own, where nothing
        may be there.

        Atomic, durable once returned, and conditional: raises StateConflictError where the serial that is there is not
        `expected_serial` (None: nothing may be there), StateUnwritableError where nothing can be written. Nothing has
        changed then.
        """

    def where(self, environment: EnvironmentName) -> str:
        """Return how people find a document: a path or an address, without any password."""

    def environments(self) -> tuple[EnvironmentName, ...]:
        """Return the environments of which there is a document, sorted; whoever collects waste asks all of them."""

    def warnings(self) -> tuple[str, ...]:
        """Return what people should know of this place, such as that `dbt clean` would delete it."""


class ReleaseStore(Protocol):
    """Keeps the sources of releases beside the state: immutable, addressed by content, read back whole or not at all.

    Files are stored once however many releases hold them. Sources are the truth; a parse is a cache, and may be gone
    the next time.
    """

    def keep(self, sources: Sources, provenance: Provenance) -> ReleaseId:
        """Keep sources and return the id of their tree.

        Files first and the tree last, so that whoever finds a tree finds all of it, and a crash leaves waste and no
        more. Durable once returned. What is kept already is left as it is, its provenance too. Raises SourcesError,
        ReleaseUnwritableError.
        """

    def has(self, release: ReleaseId) -> bool:
        """Say whether a release is kept."""

    def tree(self, release: ReleaseId) -> SourceTree:
        """Return the files of a release. Raises MissingReleaseError, CorruptReleaseError."""

    def read(self, digest: str, path: str) -> bytes:
        """Return the file with this SHA-256; `path` is for errors. Raises MissingReleaseError, CorruptReleaseError."""

    def provenance(self, release: ReleaseId) -> Provenance:
        """Return where a release comes from. Raises MissingReleaseError, CorruptReleaseError."""

    def parse(self, release: ReleaseId, key: str) -> Mapping[str, bytes] | None:
        """Return the files of a cached parse by name, None where there is none, or none that can be read."""

    def keep_parse(self, release: ReleaseId, key: str, files: Mapping[str, bytes]) -> None:
        """Cache a parse of a release. What cannot be written is left out: a cache may be gone at any time."""

    def keep_manifest(self, environment: EnvironmentName, manifest: bytes) -> None:
        """Keep the manifest of what an environment runs, in place of the last, for whoever draws it.

        A cache: what cannot be written is left out.
        """

    def manifest(self, environment: EnvironmentName) -> str | None:
        """Return the path of the manifest of what an environment runs, None where none was kept as a file."""

    def waste(self, needed: Collection[ReleaseId], before: datetime) -> Waste:
        """Return what none of the needed releases refers to and was last touched before an instant.

        The instant keeps safe what somebody is keeping at this very moment.
        """

    def remove(self, waste: Waste) -> None:
        """Delete what was found to be waste; what is gone already is no error. Raises ReleaseUnwritableError."""


class Workshop(Protocol):
    """Runs dbt: on the project at hand, and on code that is kept.

    `dry` leaves no file behind, anywhere: neither in the project nor beside the state.
    """

    def release(self, environment: Environment, *, dry: bool) -> Release:
        """Return the release of the project at hand, parsed now with the environment's target.

        Raises DbtProjectError with dbt's own words, or DbtError.
        """

    def at_hand(self, environment: Environment, *, dry: bool) -> CodeAtHand:
        """Return the project at hand, parsed now with the environment's target; keeps nothing.

        Raises as `release` does, and SourcesError where the project cannot be kept or changes meanwhile.
        """

    def keep(self, expected: ReleaseId) -> None:
        """Keep the sources at hand. Raises SourcesError where they are not, or no longer, the expected ones."""

    def keep_run(self, target_path: Path, release: Release) -> Kept:
        """Keep the sources of a run that was just read, if they are still at hand as dbt parsed them."""

    def run_place(self, target_path: Path, run: Run, release: Release, environment: Environment) -> RunPlace:
        """Return where the environment builds what a run in a target folder built, and whether the run went there.

        Never raises for what cannot be told, such as a profile that is not on this machine: the answer says so.
        """

    def standing(self, environment: Environment, release: Release, target_path: Path | None) -> Standing:
        """Return which models of a release stand in the environment's warehouse; changes nothing.

        `target_path` holds the manifest of the release, None for the project at hand. Raises DbtError where the
        warehouse cannot be asked, and as `release` does.
        """

    def argument_defaults(self, dbt_version: str, command: str) -> Mapping[str, object]:
        """Return the defaults that a dbt declares for the arguments of a command and its flags, by name.

        Empty where that dbt is not installed here.
        """

    def released(self, release: ReleaseId, environment: Environment, *, dry: bool) -> Definition:
        """Return a kept release, parsed with the environment's target.

        Raises ReleaseError and its kin where it cannot be had, DbtProjectError where dbt refuses it.
        """

    def published(
        self, environment: Environment, mark: Mark, composition: Composition | None
    ) -> Mapping[ModelId, Published]:
        """Shut holders of an older epoch out of a warehouse, and return what earlier attempts have published.

        Whoever is in the middle of publishing a model is waited for, where the warehouse has transactions that last.
        Raises LockLostError where a newer epoch was there before, DbtError where the warehouse cannot be asked.
        """

    def cannot(self, strategy: Strategy, adapter: str | None) -> str | None:
        """Return why a strategy cannot be had with an adapter of dbt's, None where it can."""

    def shares(self, adapter: str | None) -> bool:
        """Say whether several processes can write to a warehouse of an adapter at the same time."""

    def default_strategy(self, adapter: str | None) -> Strategy:
        """Return what is done with an adapter where nobody chose: BLUE_GREEN if it was run there, else BUILD."""

    def arrange(
        self, environment: Environment, composition: Composition | None, request: ArrangeRequest
    ) -> Arrangement | tuple[Obstacle, ...]:
        """Return where models are built beside what readers see, or what is in the way; changes nothing.

        Raises DbtError where the warehouse cannot be asked.
        """

    def swap(self, request: SwapRequest) -> Swapped:
        """Let readers see what was built beside: all of it at once where the warehouse has transactions over DDL.

        Nothing is swapped where something that readers need would be lost, and `words` say so. Raises NotSwappedError
        where nothing was swapped, LockLostError where a newer holder has shut us out, and DbtError where it is not
        known how far it went.
        """

    def drop(
        self, environment: Environment, composition: Composition | None, places: Collection[Place]
    ) -> Mapping[Place, str]:
        """Drop relations, and nothing that depends on them; return those that could not be, each with the reason.

        What is gone already is no error. Raises DbtError where the warehouse cannot be asked.
        """

    def present(
        self, environment: Environment, composition: Composition | None, places: Collection[Place]
    ) -> Mapping[Place, str]:
        """Return which of these are there, each with its kind (`table`, `view`, `materialized view`, `other`).

        Leaves nothing behind: no parse in the project's target folder, nor in the release store.
        Raises DbtError where the warehouse cannot be asked.
        """

    def build(self, request: BuildRequest, on_progress: OnProgress) -> BuildReport:
        """Execute exactly the requested nodes in the environment and report.

        A failing model or test is a report, not an exception. Raises ExecutedElseError where dbt executed anything else
        than what was asked for, DbtError where it broke on the way, DbtProjectError where it refuses the project.
        """

    def run(self, request: RunRequest, on_progress: OnProgress) -> BuildReport:
        """Execute what a selector names of a composition, and report; raises as `build` and `listed` do."""

    def listed(self, request: RunRequest) -> tuple[str, ...]:
        """Return the unique ids that a run would execute, sorted; leaves no file behind.

        Raises InvalidNameError for a selector that dbt refuses, EmptySelectionError where it names nothing.
        """

    def select(
        self, environment: Environment, selector: str, composition: Composition | None = None
    ) -> tuple[ModelId, ...]:
        """Return the models that a dbt selector names, in a composition or in the project at hand; writes nothing.

        Raises InputError with dbt's own words.
        """

    def exact(self, environment: Environment, models: Sequence[ModelId]) -> tuple[str, ...]:
        """Return dbt's selectors of exactly these models of the project at hand, in their order; writes nothing.

        Raises UnselectableError, an InputError, for a model that dbt cannot tell from another one.
        """


class ArtifactReader(Protocol):
    """Reads what dbt wrote."""

    def release(self, target_path: Path) -> Release:
        """Return the release that the manifest in a target folder says. Raises ArtifactError and its kin."""

    def definition(self, target_path: Path) -> Definition:
        """Return what the manifest in a target folder says. Raises ArtifactError and its kin."""

    def run(self, target_path: Path) -> tuple[Run, Release]:
        """Return the run in a target folder with the release that it ran on.

        Raises InvocationMismatchError where both files are not of one invocation, RunRefusedError where the run proves
        nothing.
        """


class Processes(Protocol):
    """Knows the processes of the machine at hand."""

    def here(self) -> Process:
        """Return this process."""

    def ended(self, process: Process) -> bool:
        """End a process with all that it started, and say whether it is surely gone; False where that cannot be told,
        as of one on another machine.
        """


class Calendar(Protocol):
    """Knows the clocks of time zones, and the days that recurrences name."""

    def opening(self, windows: Windows, at: datetime) -> Opening:
        """Return what windows say of an instant; `deny` wins over `allow`.

        It opens at the first instant at which one of `allow` is open (where there is any) and none of `deny` is, looked
        for as far ahead as `HORIZON`. Takes the windows of a configuration that was read: their zones and rules are
        known to be right.
        """


class Clock(Protocol):
    """Tells the time."""

    def __call__(self) -> datetime:
        """Return the present instant, aware, in UTC."""
