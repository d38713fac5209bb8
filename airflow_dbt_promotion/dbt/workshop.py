"""dbt at work: on the project at hand, and on code that was kept, for one environment or another."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Arrangement, ArrangeRequest, Obstacle, Swapped
from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment, Strategy
from airflow_dbt_promotion.core.errors import PromotionError, SourcesError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
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
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts, read_definition
from airflow_dbt_promotion.dbt.choice import executed_of, invocation_of, parts_of, refusing
from airflow_dbt_promotion.dbt.desk import Desk
from airflow_dbt_promotion.dbt.exactness import build_invocation, check_executed, check_unmoved, check_versions
from airflow_dbt_promotion.dbt.folders import PARSED, Folders, done
from airflow_dbt_promotion.dbt.installing import macros_alone
from airflow_dbt_promotion.dbt.invocation import (
    DbtCommand,
    DbtInvocation,
    DbtOutcome,
    DbtProject,
    DbtRunner,
    IndirectSelection,
)
from airflow_dbt_promotion.dbt.keeper import Keeper
from airflow_dbt_promotion.dbt.marks import MACROS, begin_invocation, read_begun
from airflow_dbt_promotion.dbt.places import Places
from airflow_dbt_promotion.dbt.publish.altering import altered, fill, granted_before, in_place, origins, swapping, unfit
from airflow_dbt_promotion.dbt.publish.dialects import cannot, default_strategy, shares
from airflow_dbt_promotion.dbt.publish.relocation import CHOSEN
from airflow_dbt_promotion.dbt.released import Releases
from airflow_dbt_promotion.dbt.selection import selectors_in
from airflow_dbt_promotion.dbt.serving import Alteration, Served, Serving
from airflow_dbt_promotion.dbt.standing import standing

_MANIFEST = "manifest.json"


class DbtWorkshop:
    """Runs dbt on one project; the port `Workshop`.

    Each environment has a target folder of its own, since dbt parses everything anew where two targets share one.
    """

    def __init__(
        self, project: DbtProject, runner: DbtRunner, keeper: Keeper, dbt_targets: Mapping[str, str] | None = None
    ) -> None:
        """Take the project (its `target_path` is the project's own target folder), how dbt is run, and what keeps code.

        `dbt_targets` says which dbt target stands for an environment where it is not the environment's own, such as the
        one of a profile that was made on the spot.
        """
        self._project, self._runner, self._keeper = project, runner, keeper
        self._folders = Folders(project, runner, dbt_targets or {})
        self._artifacts = DbtArtifacts(project.project_dir)
        self._releases = Releases(keeper.store, project, runner)
        self._serving = Serving(self._releases, runner)
        self._places = Places(project, runner, keeper, self._folders, self._releases)

    def release(self, environment: Environment, *, dry: bool) -> Release:
        """Return the release of the project at hand, parsed now with the environment's target; see `ports.Workshop`."""
        with self._folders.parsed(environment, dry=dry) as project:
            return self._artifacts.release(project.target_path)

    def at_hand(self, environment: Environment, *, dry: bool) -> CodeAtHand:
        """Return the project at hand with the id of its sources; see `ports.Workshop`."""
        before = self._keeper.sources().tree
        with self._folders.parsed(environment, dry=dry) as project:
            definition = read_definition(project.target_path, project.project_dir)
        after = self._keeper.sources().tree
        if after != before:
            changed = sorted(dict(before.files.items() ^ after.files.items()))
            raise SourcesError(changed[0], "changed while dbt parsed the project; let the checkout be still, try again")
        self._keeper.parsed_as(before.id, definition)
        return CodeAtHand(release=before.id, definition=definition)

    def keep(self, expected: ReleaseId) -> None:
        """Keep the sources at hand; see `ports.Workshop`."""
        self._keeper.keep(expected)

    def keep_run(self, target_path: Path, release: Release) -> Kept:
        """Keep the sources of a run, if they are still at hand; see `ports.Workshop`."""
        return self._keeper.run(target_path, release)

    def run_place(self, target_path: Path, run: Run, release: Release, environment: Environment) -> RunPlace:
        """Return whether a run went where an environment builds; see `ports.Workshop`."""
        return self._places.of_run(target_path, run, release, environment)

    def standing(self, environment: Environment, release: Release, target_path: Path | None) -> Standing:
        """Return which models of a release stand in the warehouse; see `ports.Workshop`."""
        manifest = None if target_path is None else (target_path / _MANIFEST).read_bytes()
        with self._desk(environment, None, dry=True) as (desk, definition):
            return standing(desk, definition.project.name, environment, release, manifest)

    def argument_defaults(self, dbt_version: str, command: str) -> Mapping[str, object]:
        """Return the defaults of dbt's arguments; see `ports.Workshop`."""
        minor = ".".join(dbt_version.split(".")[:2])
        known = f"dbt-core=={minor}." in (self._runner.versions() or "")
        return self._runner.defaults(command) if known else {}

    def released(self, release: ReleaseId, environment: Environment, *, dry: bool) -> Definition:
        """Return a kept release, parsed with the environment's target; see `ports.Workshop`."""
        return self._releases.parsed(release, self._folders.target(environment), environment.vars, dry=dry).definition

    def build(self, request: BuildRequest, on_progress: OnProgress) -> BuildReport:
        """Execute exactly the requested nodes; see `ports.Workshop`."""
        if request.composition is not None:
            return self._build_composed(request, request.composition, on_progress)
        environment = request.environment
        # What is selected is told apart among all that there is, so the parse that stays is made first.
        self.release(environment, dry=False)
        project = self._folders.kept(environment)
        definition = read_definition(project.target_path, project.project_dir)
        invocation = build_invocation(request, definition, self._folders.target(environment))
        alter = altered(definition, environment, request.mark, request)
        with self._at_desk(environment, project) as desk:
            witnesses = fill(desk, definition, environment, request.arrangement)
            manifest = desk.lay(alter(desk.parse)) if alter is not None else None
            outcome = self._runner.invoke(project, replace(invocation, manifest=manifest), on_progress)
        handed = None if manifest is None else self._handed(request, definition)
        run, release = self._artifacts.run(project.target_path, handed=handed)
        check_executed(request, run, success=outcome.success)
        check_unmoved(request, release)
        report = BuildReport(
            run=run, release=release, success=outcome.success, words=outcome.messages, row_witnesses=witnesses
        )
        return _fit(report, unfit(project.target_path, definition, request.arrangement))

    def published(
        self, environment: Environment, mark: Mark, composition: Composition | None
    ) -> Mapping[ModelId, Published]:
        """Shut older epochs out of the warehouse, and return what was published; see `ports.Workshop`."""
        invocation = begin_invocation(environment, self._folders.target(environment), mark)
        with self._desk(environment, composition) as (desk, definition):
            parse = macros_alone(desk.parse, definition.project.name, MACROS)
            return read_begun(desk.operate(parse, invocation), environment, mark)

    def cannot(self, strategy: Strategy, adapter: str | None) -> str | None:
        """Return why a strategy cannot be had with an adapter; see `ports.Workshop`."""
        return cannot(strategy, adapter)

    def shares(self, adapter: str | None) -> bool:
        """Say whether several processes can write to a warehouse at the same time; see `ports.Workshop`."""
        return shares(adapter)

    def default_strategy(self, adapter: str | None) -> Strategy:
        """Return what is done where nobody chose a strategy; see `ports.Workshop`."""
        return default_strategy(adapter)

    def arrange(
        self, environment: Environment, composition: Composition | None, request: ArrangeRequest
    ) -> Arrangement | tuple[Obstacle, ...]:
        """Return where models are built beside what readers see, or what is in the way; see `ports.Workshop`."""
        with self._desk(environment, composition) as (desk, definition):
            source = request.source
            found = {} if source is None else origins(request, composition, definition, partial(self._parse, source))
            parse = partial(self._parse, environment)
            before = partial(granted_before, request=request, definition=definition, parse_of=parse)
            return swapping(desk, definition, environment).arrange(request, found, before)

    def swap(self, request: SwapRequest) -> Swapped:
        """Let readers see what was built beside; see `ports.Workshop`."""
        with self._desk(request.environment, request.composition) as (desk, definition):
            found = swapping(desk, definition, request.environment).swap(request)
        if found.at is not None and request.composition is not None:
            self._keep_manifest(request.environment, request.arrangement, request.composition)
        return found

    def drop(
        self, environment: Environment, composition: Composition | None, places: Collection[Place]
    ) -> Mapping[Place, str]:
        """Drop relations; see `ports.Workshop`."""
        with self._desk(environment, composition) as (desk, definition):
            return swapping(desk, definition, environment).drop(places)

    def present(
        self, environment: Environment, composition: Composition | None, places: Collection[Place]
    ) -> Mapping[Place, str]:
        """Return which of some relations are there; see `ports.Workshop`."""
        with self._desk(environment, composition, dry=True) as (desk, definition):
            found = swapping(desk, definition, environment).kinds(places)
        return {place: kind.value for place, kind in found.items()}

    def run(self, request: RunRequest, on_progress: OnProgress) -> BuildReport:
        """Execute what a selector names of a composition; see `ports.Workshop`."""
        invocation = invocation_of(request, self._folders.target(request.environment))
        alter = altered(request.composition.definition, request.environment, request.mark)
        with self._served(request.composition, request.environment, dry=False, alter=alter) as served:
            self._listed(served, request, invocation)
            outcome = served.invoke(invocation, on_progress)
            return self._report(served, outcome, request.composition.release, request.environment)

    def listed(self, request: RunRequest) -> tuple[str, ...]:
        """Return the unique ids that a run would execute; see `ports.Workshop`."""
        invocation = invocation_of(request, self._folders.target(request.environment))
        with self._served(request.composition, request.environment, dry=True) as served:
            return self._listed(served, request, invocation)

    def select(
        self, environment: Environment, selector: str, composition: Composition | None = None
    ) -> tuple[ModelId, ...]:
        """Return the models that a dbt selector names; see `ports.Workshop`."""
        invocation = DbtInvocation(
            command=DbtCommand.LS,
            target=self._folders.target(environment),
            select=parts_of("selector", selector),
            vars=environment.vars,
        )
        if composition is not None:
            models: Collection[ModelId] = composition.release.models
            with self._served(composition, environment, dry=True) as served, refusing("selector", selector):
                listed = set(done(served.invoke(invocation, None), served.told).listed)
        else:
            with self._folders.folder(environment, dry=True) as project:
                with refusing("selector", selector):
                    listed = set(self._folders.invoke(project, invocation).listed)
                models = self._artifacts.release(project.target_path).models
        return tuple(sorted(model for model in models if model in listed))

    def exact(self, environment: Environment, models: Sequence[ModelId]) -> tuple[str, ...]:
        """Return dbt's selectors of exactly these models of the project at hand; see `ports.Workshop`."""
        with self._folders.parsed(environment, dry=True) as project:
            return selectors_in(read_definition(project.target_path, project.project_dir), models)

    def _build_composed(self, request: BuildRequest, composition: Composition, on_progress: OnProgress) -> BuildReport:
        """Execute exactly the requested nodes of a composition."""
        release = composition.release
        check_versions(request, release)
        invocation = build_invocation(request, composition.definition, self._folders.target(request.environment))
        definition, environment = composition.definition, request.environment
        alter = altered(definition, environment, request.mark, request)
        with self._served(composition, environment, dry=False, alter=alter, part=request.part) as served:
            desk = served.desk(self._folders.target(environment))
            witnesses = fill(desk, definition, environment, request.arrangement)
            outcome = served.invoke(invocation, on_progress)
            report = self._report(served, outcome, release, environment, keeps=request.arrangement is None)
        check_executed(request, report.run, success=report.success)
        target_path = self._folders.kept(environment, request.part).target_path
        report = replace(report, row_witnesses=witnesses)
        return _fit(report, unfit(target_path, definition, request.arrangement))

    def _report(
        self, served: Served, outcome: DbtOutcome, release: Release, environment: Environment, *, keeps: bool = True
    ) -> BuildReport:
        """Return what a run on a composition did; where it went well, keep the manifest for whoever draws it."""
        if outcome.success and keeps:
            self._keep_manifest(environment, None)
        run, release = self._artifacts.run(served.project.target_path, handed=release)
        return BuildReport(run=run, release=release, success=outcome.success, words=outcome.messages)

    def _listed(self, served: Served, request: RunRequest, invocation: DbtInvocation) -> tuple[str, ...]:
        """Return what a run would execute."""
        typed = " ".join(part for part in (request.select, request.exclude) if part is not None)
        with refusing("select", typed):
            listing = replace(invocation, command=DbtCommand.LS, full_refresh=False)
            return executed_of(done(served.invoke(listing, None), served.told).listed, request)

    @contextmanager
    def _served(
        self,
        composition: Composition,
        environment: Environment,
        *,
        dry: bool,
        alter: Alteration | None = None,
        part: str | None = None,
    ) -> Iterator[Served]:
        """Yield a composition that lies ready; its artifacts go to the environment's own target folder, or a part's."""
        target, project = self._folders.target(environment), self._folders.kept(environment, part)
        with self._serving.serve(composition, environment, target, project, dry=dry, alter=alter) as served:
            yield served

    @contextmanager
    def _desk(
        self, environment: Environment, composition: Composition | None, *, dry: bool = False
    ) -> Iterator[tuple[Desk, Definition]]:
        """Yield a desk beside the code of an environment: a composition, else the project at hand."""
        if composition is not None:
            with self._served(composition, environment, dry=dry) as served:
                yield served.desk(self._folders.target(environment)), composition.definition
            return
        with self._folders.parsed(environment, dry=dry) as project:
            definition = read_definition(project.target_path, project.project_dir)
            with self._at_desk(environment, project) as desk:
                yield desk, definition

    @contextmanager
    def _at_desk(self, environment: Environment, project: DbtProject) -> Iterator[Desk]:
        """Yield a desk beside the parse of the project at hand that its target folder has."""
        with tempfile.TemporaryDirectory(prefix="dbt-promote-") as made:
            folder = Path(made)
            yield Desk(
                runner=self._runner,
                project=replace(project, target_path=folder / "target"),
                folder=folder,
                parse=(project.target_path / PARSED).read_bytes(),
                target=self._folders.target(environment),
            )

    def _parse(self, environment: Environment, release: ReleaseId | None) -> bytes:
        """Return dbt's kept parse of a release, or of the project at hand, for an environment."""
        if release is not None:
            return self._releases.parsed(release, self._folders.target(environment), environment.vars, dry=False).packed
        with self._desk(environment, None) as (desk, _definition):
            return desk.parse

    def _keep_manifest(
        self, environment: Environment, arrangement: Arrangement | None, composition: Composition | None = None
    ) -> None:
        """Keep the manifest of what an environment runs now, for whoever draws it, as readers see its relations.

        Where dbt has built nothing of an arrangement here, it writes one of the composition first.
        """
        with suppress(OSError, PromotionError):
            path = self._folders.kept(environment).target_path / _MANIFEST
            if composition is not None and arrangement is not None and not _has(path, arrangement.token):
                self._write_manifest(environment, composition)
            self._keeper.store.keep_manifest(environment.name, in_place(path.read_bytes(), arrangement))

    def _write_manifest(self, environment: Environment, composition: Composition) -> None:
        """Let dbt write the manifest of a composition into the environment's own target folder; it tests nothing."""
        nothing = DbtInvocation(
            command=DbtCommand.TEST,
            target=self._folders.target(environment),
            select=(CHOSEN,),
            indirect_selection=IndirectSelection.EMPTY,
            vars=environment.vars,
        )
        with self._served(composition, environment, dry=False) as served:
            served.invoke(nothing, None)

    def _handed(self, request: BuildRequest, definition: Definition) -> Release:
        """Return the release that dbt was handed; where it read seeds as it went, with what they are by now."""
        if any(model.id.startswith("seed.") for model in request.models):
            return self.release(request.environment, dry=True)
        return release_of(definition)


def _has(path: Path, token: str) -> bool:
    """Say whether a file is there, and has some text in it."""
    return path.is_file() and token.encode() in path.read_bytes()


def _fit(report: BuildReport, words: tuple[str, ...]) -> BuildReport:
    """Return a report of what went well as one of what did not, where there is something against it."""
    return replace(report, success=False, words=words) if report.success and words else report
