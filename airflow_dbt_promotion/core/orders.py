"""Orders: what the engine asks of dbt, and what it hears of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.beside import Arrangement
from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.identity import ModelId, PlanId, ReleaseId
from airflow_dbt_promotion.core.release import Model, Release, Test
from airflow_dbt_promotion.core.run import Run


class Progress(Struct, frozen=True, kw_only=True):
    """A sign of life while dbt works: the node that ended, or began, and how far the run is."""

    node: str
    status: str
    index: int = 0
    total: int = 0


OnProgress = Callable[[Progress], None]


class Mark(Struct, frozen=True, kw_only=True):
    """What a holder of the lock leaves in the warehouse.

    `epoch` shuts older holders out, whoever they are, of the document with this `lineage`. With a `plan_id`, one goes
    with each model that a promotion publishes, in the model's own transaction, so that a later attempt knows of it.
    `earlier` are the epochs of the attempts before, whose marks count still.
    """

    lineage: str
    epoch: int
    earlier: tuple[int, ...] = ()
    plan_id: PlanId | None = None

    @property
    def first(self) -> int:
        """The epoch of the first attempt."""
        return (*self.earlier, self.epoch)[0]


class Published(Struct, frozen=True, kw_only=True):
    """A mark of a model that was published: when, and by which invocation of dbt."""

    invocation_id: str
    at: datetime


class Standing(Struct, frozen=True, kw_only=True):
    """Which models of a release stand in a warehouse, and whether promotions left their marks there."""

    models: frozenset[ModelId]
    marked: bool


class BuildRequest(Struct, frozen=True, kw_only=True):
    """One invocation that executes exactly these nodes: models first, then the tests named, nothing else.

    `composition` is the code that they are built from, None for the project at hand. Without a `mark` none is left, and
    nobody is shut out. With an `arrangement` they are built beside what readers see. `part` is the part of a promotion
    that they are; others may be built at the same time.
    """

    environment: Environment
    models: tuple[Model, ...]
    tests: tuple[Test, ...]
    full_refresh: bool = False
    composition: Composition | None = None
    mark: Mark | None = None
    arrangement: Arrangement | None = None
    part: str | None = None


class SwapRequest(Struct, frozen=True, kw_only=True):
    """One swap: what was built beside comes into place, and what was in place goes aside.

    `composition` is the code that was built from, None for the project at hand. With a `mark`, one is left of each
    model within the swap, and older holders of the lock are shut out; `invocation_id` is that of the build.
    """

    environment: Environment
    arrangement: Arrangement
    composition: Composition | None = None
    mark: Mark | None = None
    invocation_id: str = ""


class RunCommand(Enum):
    """The commands of dbt by which an environment is run."""

    BUILD = "build"
    RUN = "run"
    TEST = "test"
    SEED = "seed"
    SNAPSHOT = "snapshot"


class RunRequest(Struct, frozen=True, kw_only=True):
    """One invocation on the code that was promoted to an environment; what it executes, dbt's own selectors say.

    `select` and `exclude` are what dbt's options of that name take; None selects everything.
    """

    environment: Environment
    composition: Composition
    command: RunCommand = RunCommand.BUILD
    select: str | None = None
    exclude: str | None = None
    full_refresh: bool = False
    mark: Mark | None = None


class BuildReport(Struct, frozen=True, kw_only=True):
    """What an invocation did: its run, the release that it ran on, and dbt's own words where something broke.

    `row_witnesses` say of models whose rows were copied before which rows the relations in place held then.
    """

    run: Run
    release: Release
    success: bool
    words: tuple[str, ...] = ()
    row_witnesses: Mapping[ModelId, str] = {}


class CodeAtHand(Struct, frozen=True, kw_only=True):
    """The project at hand, parsed now for one target, and the id that its sources have if they are kept."""

    release: ReleaseId
    definition: Definition


class Kept(Struct, frozen=True, kw_only=True):
    """Whether sources were kept: the id, or the reason why not."""

    release: ReleaseId | None
    why: str = ""
