"""The project at hand: parsed for an environment, and built there, by dbt."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError, ExecutedElseError, InvalidNameError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.ports import BuildReport, BuildRequest, OnProgress
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts, read_definition
from airflow_dbt_promotion.dbt.invocation import (
    DbtCommand,
    DbtInvocation,
    DbtOutcome,
    DbtProject,
    DbtRunner,
    IndirectSelection,
)
from airflow_dbt_promotion.dbt.selection import SelectableNode, selectors_for

WORK_FOLDER = "promotion_runs"
"""Where dbt's artifacts of our own runs lie, below the project's target folder: one folder for each environment."""

_PARSED = "partial_parse.msgpack"
_HOOKS = "operation."
_REFUSED = "Runtime Error"


class DbtWorkshop:
    """Runs dbt on one project; the port `Workshop`.

    Each environment has a target folder of its own, since dbt parses everything anew where two targets share one.
    """

    def __init__(self, project: DbtProject, runner: DbtRunner, dbt_targets: Mapping[str, str] | None = None) -> None:
        """Take the project (its `target_path` is the project's own target folder), and how dbt is run.

        `dbt_targets` says which dbt target stands for an environment where it is not the environment's own, such as the
        one of a profile that was made on the spot.
        """
        self._project, self._runner, self._targets = project, runner, dict(dbt_targets or {})
        self._artifacts = DbtArtifacts(project.project_dir)

    def release(self, environment: Environment, *, dry: bool) -> Release:
        """Return the release of the project at hand, parsed now with the environment's target; see `ports.Workshop`."""
        with self._folder(environment, dry=dry) as project:
            self._invoke(
                project,
                DbtInvocation(command=DbtCommand.PARSE, target=self._target(environment), vars=environment.vars),
            )
            return self._artifacts.release(project.target_path)

    def build(self, request: BuildRequest, on_progress: OnProgress) -> BuildReport:
        """Execute exactly the requested nodes; see `ports.Workshop`."""
        environment = request.environment
        # What is selected is told apart among all that there is, so the parse that stays is made first.
        self.release(environment, dry=False)
        project = self._kept(environment)
        definition = read_definition(project.target_path, project.project_dir)
        invocation = DbtInvocation(
            command=DbtCommand.BUILD if request.models else DbtCommand.TEST,
            target=self._target(environment),
            select=_selectors(definition, request),
            indirect_selection=IndirectSelection.EMPTY,
            full_refresh=request.full_refresh and bool(request.models),
            vars=environment.vars,
        )
        outcome = self._runner.invoke(project, invocation, on_progress)
        run, release = self._artifacts.run(project.target_path)
        executed = {result.id for result in run.results if not result.id.startswith(_HOOKS)}
        planned = {*(model.id for model in request.models), *(test.id for test in request.tests)}
        if executed - planned or (outcome.success and planned - executed):
            raise ExecutedElseError(sorted(planned - executed), sorted(executed - planned))
        _check_unmoved(request, release)
        return BuildReport(run=run, release=release, success=outcome.success, words=outcome.messages)

    def select(self, environment: Environment, selector: str) -> tuple[ModelId, ...]:
        """Return the models that a dbt selector names; see `ports.Workshop`."""
        if not selector.strip() or any(part.startswith("-") for part in selector.split()):
            raise InvalidNameError("selector", selector, "give a dbt selector such as tag:nightly or +orders")
        with self._folder(environment, dry=True) as project:
            invocation = DbtInvocation(
                command=DbtCommand.LS,
                target=self._target(environment),
                select=tuple(selector.split()),
                vars=environment.vars,
            )
            try:
                listed = set(self._invoke(project, invocation).listed)
            except DbtError as error:
                # The project was read, and no warehouse is asked: what dbt itself refuses then is the selector.
                if not any(_REFUSED in word for word in error.words):
                    raise
                raise InvalidNameError("selector", selector, f"dbt says: {' | '.join(error.words)}") from error
            models = self._artifacts.release(project.target_path).models
        return tuple(sorted(model for model in models if model in listed))

    def _invoke(self, project: DbtProject, invocation: DbtInvocation) -> DbtOutcome:
        """Run a command that executes no node; anything but success is an error."""
        outcome = self._runner.invoke(project, invocation, None)
        if not outcome.success:
            raise DbtError(f"`dbt {invocation.command.value}` failed in {project.project_dir}", outcome.messages)
        return outcome

    def _target(self, environment: Environment) -> str:
        """Return the dbt target of an environment."""
        return self._targets.get(environment.name, environment.target)

    def _kept(self, environment: Environment) -> DbtProject:
        """Return the project with the environment's own target folder."""
        return replace(self._project, target_path=self._project.target_path / WORK_FOLDER / environment.name)

    @contextmanager
    def _folder(self, environment: Environment, *, dry: bool) -> Iterator[DbtProject]:
        """Yield the project with a target folder: the environment's own, or one that is gone afterwards.

        A folder that is gone begins with the environment's last parse, where there is one, so that dbt has less to do.
        """
        kept = self._kept(environment)
        if not dry:
            yield kept
            return
        with tempfile.TemporaryDirectory(prefix="dbt-promote-") as folder:
            parsed = kept.target_path / _PARSED
            if parsed.is_file():
                shutil.copy2(parsed, folder)
            yield replace(kept, target_path=Path(folder))


def _selectors(definition: Definition, request: BuildRequest) -> tuple[str, ...]:
    """Return selectors that dbt understands as exactly the requested nodes."""
    every = {
        node.unique_id: SelectableNode(
            unique_id=node.unique_id,
            resource_type=node.resource_type,
            package=node.package_name,
            fqn=node.fqn,
            file=node.original_file_path,
            parents=node.depends_on.nodes,
        )
        for node in definition.nodes.values()
    }
    for kind, others in (("unit_test", definition.unit_tests), ("exposure", definition.exposures)):
        every.update(
            (
                id_,
                SelectableNode(
                    unique_id=id_,
                    resource_type=kind,
                    package=other.package_name,
                    fqn=other.fqn,
                    file=other.original_file_path,
                    parents=other.depends_on.nodes,
                ),
            )
            for id_, other in others.items()
            if other.fqn
        )
    wanted = [*(model.id for model in request.models), *(test.id for test in request.tests)]
    missing = [id_ for id_ in wanted if id_ not in every]
    if missing:
        raise ExecutedElseError(missing, ())
    return selectors_for((every[id_] for id_ in wanted), every.values())


def _check_unmoved(request: BuildRequest, release: Release) -> None:
    """Refuse a run on code that changed between plan and run: somebody edited the project meanwhile."""
    moved = [
        model.id
        for model in request.models
        if model.id not in release.models or release.models[model.id].version != model.version
    ]
    if moved:
        raise DbtError(
            f"the project changed between the plan and the run ({', '.join(moved[:8])}); nothing of it counts as "
            f"promoted. Let the checkout be "
            f"still while a promotion runs, and promote again"
        )
