"""Fakes for the ports: a clock that is set, a project that is said, a dbt that does what it is told."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from airflow_dbt_promotion.core.beside import (
    Arrangement,
    ArrangeRequest,
    Beside,
    Fill,
    Obstacle,
    Swapped,
    beside_names,
)
from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment, Strategy
from airflow_dbt_promotion.core.errors import (
    DbtError,
    EmptySelectionError,
    LockLostError,
    MissingArtifactError,
    MissingReleaseError,
    SourcesError,
)
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, ReleaseId, bare_name, digest_of
from airflow_dbt_promotion.core.kept import Provenance, Sources, SourceTree, Waste
from airflow_dbt_promotion.core.orders import (
    BuildReport,
    BuildRequest,
    CodeAtHand,
    Kept,
    Mark,
    OnProgress,
    Progress,
    Published,
    RunCommand,
    RunRequest,
    Standing,
    SwapRequest,
)
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.core.run_conditions import Connection, RunPlace
from airflow_dbt_promotion.core.state import Process
from airflow_dbt_promotion.core.windows import Opening, Windows


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


class FakeCalendar:
    """Says of windows what it was told: shut from `shuts_at` (None: from ever) until `opens_at`, or for good (`never`,
    `never_from`); else open.

    The first window is the one to blame or to thank; it is not looked at.
    """

    def __init__(self) -> None:
        """Begin with everything open."""
        self.shuts_at: datetime | None = None
        self.opens_at: datetime | None = None
        self.never = False
        self.never_from: datetime | None = None
        self.asked: list[datetime] = []

    def opening(self, windows: Windows, at: datetime) -> Opening:
        """Return what was said."""
        self.asked.append(at)
        by, denied = (*windows.deny, *windows.allow)[0], bool(windows.deny)
        if self.never or (self.never_from is not None and at >= self.never_from):
            return Opening(is_open=False, denied=denied, by=by if denied else None)
        early = self.shuts_at is not None and at < self.shuts_at
        if early or self.opens_at is None or at >= self.opens_at:
            return Opening(is_open=True, by=next(iter(windows.allow), None))
        there = self.opens_at.replace(tzinfo=None)
        return Opening(is_open=False, denied=denied, by=by, opens_at=self.opens_at, opens_there=there)


class FakeReader:
    """Reads the runs that it was given, by target folder."""

    def __init__(self) -> None:
        """Begin with empty folders."""
        self.runs: dict[Path, tuple[Run, Release]] = {}
        self.definitions: dict[Path, Definition] = {}

    def definition(self, target_path: Path) -> Definition:
        """Return the definition of the run in a folder."""
        if target_path not in self.definitions:
            raise MissingArtifactError(str(target_path / "manifest.json"), "there is no such file")
        return self.definitions[target_path]

    def release(self, target_path: Path) -> Release:
        """Return the release of the run in a folder."""
        return self.run(target_path)[1]

    def run(self, target_path: Path) -> tuple[Run, Release]:
        """Return the run in a folder."""
        if target_path not in self.runs:
            raise MissingArtifactError(str(target_path / "run_results.json"), "there is no such file")
        return self.runs[target_path]


class FakeReleases:
    """A release store of which only the ids and the waste are of interest; `needed` is what it was last asked for."""

    def __init__(self) -> None:
        """Begin empty."""
        self.kept: set[ReleaseId] = set()
        self.found = Waste()
        self.needed: frozenset[ReleaseId] | None = None
        self.before: datetime | None = None
        self.removed: list[Waste] = []

    def keep(self, sources: Sources, provenance: Provenance) -> ReleaseId:  # noqa: ARG002 - the port's
        """Keep the id."""
        self.kept.add(sources.tree.id)
        return sources.tree.id

    def has(self, release: ReleaseId) -> bool:
        """Say whether the id is kept."""
        return release in self.kept

    def tree(self, release: ReleaseId) -> SourceTree:
        """Return nothing: there are no files here."""
        raise MissingReleaseError(release, "the fake keeps no files")

    def read(self, digest: str, path: str) -> bytes:  # noqa: ARG002 - the port's
        """Return nothing: there are no files here."""
        raise MissingReleaseError(path, "the fake keeps no files")

    def provenance(self, release: ReleaseId) -> Provenance:
        """Return nothing: there are no files here."""
        raise MissingReleaseError(release, "the fake keeps no files")

    def parse(self, release: ReleaseId, key: str) -> Mapping[str, bytes] | None:  # noqa: ARG002 - the port's
        """Return no cached parse."""
        return None

    def keep_parse(self, release: ReleaseId, key: str, files: Mapping[str, bytes]) -> None:
        """Leave a parse out."""

    def keep_manifest(self, environment: EnvironmentName, manifest: bytes) -> None:
        """Leave a manifest out."""

    def manifest(self, environment: EnvironmentName) -> str | None:  # noqa: ARG002 - the port's
        """Return no manifest."""
        return None

    def waste(self, needed: Collection[ReleaseId], before: datetime) -> Waste:
        """Return the waste that was set."""
        self.needed, self.before = frozenset(needed), before
        return self.found

    def remove(self, waste: Waste) -> None:
        """Note what was removed."""
        self.removed.append(waste)
        self.found = Waste()


def id_of(definition: Definition) -> ReleaseId:
    """Return the id under which the fake workshop keeps a definition: by its content, as if it were files."""
    parts = (definition.nodes, definition.macros, definition.unit_tests, definition.written, definition.vars)
    return ReleaseId(digest_of([*parts, definition.exposures]))


_KINDS = {
    RunCommand.BUILD: frozenset({"model", "seed", "snapshot", "function", "test", "unit_test"}),
    RunCommand.RUN: frozenset({"model"}),
    RunCommand.TEST: frozenset({"test", "unit_test"}),
    RunCommand.SEED: frozenset({"seed"}),
    RunCommand.SNAPSHOT: frozenset({"snapshot"}),
}


class FakeProcesses:
    """Knows processes by what a test says of them: `alive` are those that cannot be ended."""

    def __init__(self) -> None:
        """Begin as process 1 of a machine on which nothing else runs."""
        self.me = Process(host="here", boot="today", pid=1, started=0.0)
        self.alive: set[int] = set()
        self.asked: list[Process] = []

    def here(self) -> Process:
        """Return who we are just now."""
        return self.me

    def ended(self, process: Process) -> bool:
        """Say whether a process is gone, which it is unless a test says otherwise."""
        self.asked.append(process)
        return process.host == self.me.host and process.pid not in self.alive


class FakeWorkshop:
    """Has one project at hand; what it builds succeeds, but for the nodes in `failing`.

    `orders` are the builds that were asked for, `runs` the runs. `definition` is the project at hand as a definition,
    where a test has one; `kept` holds definitions by the id of their sources. A selector of a run is names of models,
    parted by spaces; each takes the model with its tests.
    """

    def __init__(self, project: Release, clock: FakeClock) -> None:
        """Take the project at hand, and the clock by which runs are dated."""
        self.project, self._clock = project, clock
        self.definition: Definition | None = None
        self.kept: dict[ReleaseId, Definition] = {}
        self.releases: set[ReleaseId] = set()
        self.loaded: list[tuple[ReleaseId, str, bool]] = []
        self.failing: Collection[str] = ()
        self.orders: list[BuildRequest] = []
        self.runs: list[RunRequest] = []
        self.breaks: BaseException | None = None
        self.build_breaks: BaseException | None = None
        self._marked: dict[ModelId, Published] = {}
        self.meanwhile: Callable[[], object] = bool
        self.marks: dict[tuple[str, int], dict[ModelId, Published]] = {}
        self.fences: dict[str, int] = {}
        self.parses: list[tuple[str, bool]] = []
        self.selected: tuple[ModelId, ...] = ()
        self.swaps: bool = False
        self.views: set[ModelId] = set()
        self.swaps_ran: bool = True
        self.is_shared: bool = True
        self.relations: dict[Place, str] = {}
        self.obstacles: tuple[Obstacle, ...] = ()
        self.arranged: list[ArrangeRequest] = []
        self.swapped: list[SwapRequest] = []
        self.swap_breaks: BaseException | None = None
        self.swap_words: tuple[str, ...] = ()
        self.connection = Connection.SAME
        self.absent: Collection[ModelId] = ()
        self.defaults: Mapping[str, object] = {}

    def release(self, environment: Environment, *, dry: bool) -> Release:
        """Return the project at hand, the same for every target."""
        self.parses.append((environment.name, dry))
        if self.breaks is not None:
            raise self.breaks
        return self.project

    def at_hand(self, environment: Environment, *, dry: bool) -> CodeAtHand:
        """Return the definition that was set."""
        self.release(environment, dry=dry)
        if self.definition is None:
            raise SourcesError("the fake project", "a test that needs its sources sets `definition`")
        return CodeAtHand(release=id_of(self.definition), definition=self.definition)

    def keep(self, expected: ReleaseId) -> None:
        """Keep the definition that was set."""
        if self.definition is None or id_of(self.definition) != expected:
            raise SourcesError("the fake project", "the sources are not the expected ones")
        self.kept[expected] = self.definition
        self.releases.add(expected)

    def keep_run(self, target_path: Path, release: Release) -> Kept:  # noqa: ARG002 - the port's
        """Keep the definition that was set, where the run is of its versions."""
        if self.definition is None:
            return Kept(release=None, why="the fake project has no sources at hand")
        at_hand = release_of(self.definition)
        if {m.id: m.version for m in at_hand.models.values()} != {m.id: m.version for m in release.models.values()}:
            return Kept(release=None, why="the sources at hand are not those of the run")
        self.keep(id_of(self.definition))
        return Kept(release=id_of(self.definition))

    def run_place(
        self,
        target_path: Path,  # noqa: ARG002 - the port's
        run: Run,  # noqa: ARG002 - the port's
        release: Release,  # noqa: ARG002 - the port's
        environment: Environment,
    ) -> RunPlace:
        """Return where the project at hand lies; the connection is what a test says."""
        try:
            at_hand = self.release(environment, dry=True)
        except DbtError as error:
            return RunPlace(connection=Connection.UNKNOWN, why=str(error))
        relations = {str(id_): model.relation for id_, model in at_hand.models.items() if model.relation}
        return RunPlace(connection=self.connection, adapter=at_hand.adapter_type, relations=relations)

    def standing(
        self,
        environment: Environment,
        release: Release,
        target_path: Path | None,  # noqa: ARG002 - the port's
    ) -> Standing:
        """Return all models, but for those that a test takes away."""
        return Standing(
            models=frozenset(release.models.keys() - self.absent),
            marked=environment.name in self.fences,
        )

    def argument_defaults(self, dbt_version: str, command: str) -> Mapping[str, object]:  # noqa: ARG002 - the port's
        """Return what a test says that dbt declares."""
        return self.defaults

    def released(self, release: ReleaseId, environment: Environment, *, dry: bool) -> Definition:
        """Return what is kept under an id, the same for every target."""
        self.loaded.append((release, environment.name, dry))
        if self.breaks is not None:
            raise self.breaks
        if release not in self.kept:
            raise MissingReleaseError(f"release {release}", "is not kept")
        return self.kept[release]

    def published(
        self,
        environment: Environment,
        mark: Mark,
        composition: Composition | None,  # noqa: ARG002 - the port's
    ) -> Mapping[ModelId, Published]:
        """Shut older epochs out, and return what was published by earlier ones."""
        self._check_fence(environment, mark)
        self.fences[environment.name] = mark.epoch
        found: dict[ModelId, Published] = {}
        for epoch in mark.earlier:
            found |= self.marks.get((environment.name, epoch), {})
        return found

    def _check_fence(self, environment: Environment, mark: Mark) -> None:
        """Refuse an older epoch."""
        if self.fences.get(environment.name, 0) > mark.epoch:
            raise LockLostError(environment.name, "a newer epoch")

    def cannot(self, strategy: Strategy, adapter: str | None) -> str | None:  # noqa: ARG002 - the port's
        """Know no swaps, unless a test says so, and no clones."""
        if strategy is Strategy.CLONE or (strategy.swaps and not self.swaps):
            return f"the fake warehouse knows no {strategy.value}"
        return None

    def shares(self, adapter: str | None) -> bool:  # noqa: ARG002 - the port's
        """Let several write, unless a test says otherwise."""
        return self.is_shared

    def default_strategy(self, adapter: str | None) -> Strategy:  # noqa: ARG002 - the port's
        """Swap by default where swaps are known, unless a test says that none was ever run."""
        return Strategy.BLUE_GREEN if self.swaps and self.swaps_ran else Strategy.BUILD

    def arrange(
        self,
        environment: Environment,
        composition: Composition | None,  # noqa: ARG002 - the port's
        request: ArrangeRequest,
    ) -> Arrangement | tuple[Obstacle, ...]:
        """Arrange everything beside, but for snapshots that are there; what was set is in the way."""
        self.arranged.append(request)
        if self.obstacles:
            return self.obstacles
        besides, standing, done = [], [], []
        for model in request.models:
            place = self.place(environment, model)
            next_, was = (place.named(name) for name in beside_names(place.identifier, request.token, 63))
            kept = request.kept.get(model)
            if kept is not None and kept.place not in self.relations:
                kept = None
            if model.startswith("snapshot.") and place in self.relations:
                standing.append(model)
            elif was in request.ours and was in self.relations and next_ not in self.relations:
                done.append(model)
            else:
                besides.append(
                    Beside(
                        model=model,
                        place=place,
                        next=next_ if kept is None else kept.place,
                        was=was,
                        fill=Fill.BUILD if kept is None else Fill.KEPT,
                        materialized="table",
                        replaces=place in self.relations,
                        has_rows=place in self.relations and model not in self.views,
                    )
                )
        left = tuple(one.next for one in besides if one.fill is Fill.BUILD and one.next in self.relations)
        return Arrangement(
            token=request.token, besides=tuple(besides), standing=tuple(standing), left=left, done=tuple(done)
        )

    def place(self, environment: Environment, model: ModelId) -> Place:
        """Return where readers see a model."""
        return Place(database=None, schema=environment.target, identifier=bare_name(model))

    def swap(self, request: SwapRequest) -> Swapped:
        """Rename what was built; with a mark, mark it."""
        if request.mark is not None:
            self._check_fence(request.environment, request.mark)
        self.swapped.append(request)
        if self.swap_breaks is not None:
            raise self.swap_breaks
        if self.swap_words:
            return Swapped(at=None, words=self.swap_words)
        for one in request.arrangement.besides:
            if one.place in self.relations:
                self.relations[one.was] = self.relations.pop(one.place)
            self.relations[one.place] = self.relations.pop(one.next)
            if request.mark is not None:
                marks = self.marks.setdefault((request.environment.name, request.mark.epoch), {})
                marks[one.model] = Published(invocation_id=request.invocation_id, at=self._clock())
        return Swapped(at=self._clock())

    def drop(
        self,
        environment: Environment,  # noqa: ARG002 - the port's
        composition: Composition | None,  # noqa: ARG002 - the port's
        places: Collection[Place],
    ) -> Mapping[Place, str]:
        """Drop what is there."""
        for place in places:
            self.relations.pop(place, None)
        return {}

    def present(
        self,
        environment: Environment,  # noqa: ARG002 - the port's
        composition: Composition | None,  # noqa: ARG002 - the port's
        places: Collection[Place],
    ) -> Mapping[Place, str]:
        """Return what is there."""
        return {place: "table" for place in places if place in self.relations}

    def build(self, request: BuildRequest, on_progress: OnProgress) -> BuildReport:
        """Report a run of exactly the requested nodes; with a mark, each model that succeeds is marked."""
        if request.mark is not None:
            self._check_fence(request.environment, request.mark)
            self._marked = self.marks.setdefault((request.environment.name, request.mark.epoch), {})
        else:
            self._marked = {}
        self.orders.append(request)
        nodes = [*(model.id for model in request.models), *(test.id for test in request.tests)]
        release = self.project if request.composition is None else release_of(request.composition.definition)
        command = "build" if request.models else "test"
        return self._executed(nodes, release, command, request.environment, on_progress)

    def run(self, request: RunRequest, on_progress: OnProgress) -> BuildReport:
        """Report a run of what is selected."""
        nodes = self.listed(request)
        self.runs.append(request)
        release = release_of(request.composition.definition)
        ordered = [*(m for m in release.models if m in nodes), *(t for t in release.tests if t in nodes)]
        return self._executed(ordered, release, request.command.value, request.environment, on_progress)

    def listed(self, request: RunRequest) -> tuple[str, ...]:
        """Return the nodes whose model is named, of the kinds that the command executes."""
        release = release_of(request.composition.definition)
        chosen = {m for m in release.models if request.select is None or bare_name(m) in request.select.split()}
        chosen -= {m for m in release.models if bare_name(m) in (request.exclude or "").split()}
        nodes = [*chosen, *(test.id for test in release.tests.values() if chosen & set(test.models))]
        found = tuple(sorted(node for node in nodes if node.partition(".")[0] in _KINDS[request.command]))
        if not found:
            raise EmptySelectionError(f"what {request.select!r} selects")
        return found

    def select(
        self,
        environment: Environment,  # noqa: ARG002 - the port's
        selector: str,  # noqa: ARG002 - the port's
        composition: Composition | None = None,  # noqa: ARG002 - the port's
    ) -> tuple[ModelId, ...]:
        """Return the models that were set."""
        return self.selected

    def exact(self, environment: Environment, models: Sequence[ModelId]) -> tuple[str, ...]:
        """Return something like dbt's selectors."""
        self.parses.append((environment.name, True))
        return tuple(f"fqn:shop.{bare_name(model)}" for model in models)

    def _executed(
        self, nodes: Sequence[str], release: Release, command: str, environment: Environment, on_progress: OnProgress
    ) -> BuildReport:
        """Report a run of some nodes."""
        if self.build_breaks is not None:
            raise self.build_breaks
        results = []
        for index, node in enumerate(nodes, start=1):
            status = self._status(node, built=node in release.models)
            if status is ResultStatus.SUCCESS and node in release.models:
                invocation = f"build-{len(self.orders) + len(self.runs)}"
                self._marked[ModelId(node)] = Published(invocation_id=invocation, at=self._clock())
            self._put(node, status, environment)
            on_progress(Progress(node=node, status=status.value, index=index, total=len(nodes)))
            results.append(
                NodeResult(
                    id=node, status=status, started_at=self._clock(), completed_at=self._clock(), message="it broke"
                )
            )
        run = Run(
            invocation_id=f"build-{len(self.orders) + len(self.runs)}",
            command=command,
            where="target/promotion_runs",
            started_at=self._clock(),
            finished_at=self._clock(),
            results=tuple(results),
            target=environment.target,
        )
        self.meanwhile()
        broke = tuple(f"{node} broke" for node in self.failing)
        return BuildReport(run=run, release=release, success=not self.failing, words=broke)

    def _put(self, node: str, status: ResultStatus, environment: Environment) -> None:
        """Let a model that was built be there: beside, where it was asked for so."""
        arrangement = self.orders[-1].arrangement if self.orders else None
        places = {one.model: one.next for one in arrangement.besides} if arrangement is not None else {}
        if status is ResultStatus.SUCCESS:
            place = places.get(ModelId(node), self.place(environment, ModelId(node)))
            self.relations[place] = f"build-{len(self.orders) + len(self.runs)}"

    def _status(self, node: str, *, built: bool) -> ResultStatus:
        """Say how a node ends."""
        if built:
            return ResultStatus.FAILED if node in self.failing else ResultStatus.SUCCESS
        return ResultStatus.FAIL if node in self.failing else ResultStatus.PASS
