"""Taking evidence from dbt runs that others made."""

from __future__ import annotations

from pathlib import Path

from airflow_dbt_promotion.core.environment import DeployedBy, Environment
from airflow_dbt_promotion.core.errors import ForeignProjectError, OverriddenVarsError, TargetMismatchError
from airflow_dbt_promotion.core.ports import ArtifactReader, Clock, Workshop
from airflow_dbt_promotion.core.recording import Entering, Recording, adopt, record
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState
from airflow_dbt_promotion.engine.memory import Memory


class Recorder:
    """Records runs and baselines."""

    def __init__(
        self, memory: Memory, reader: ArtifactReader, workshop: Workshop, clock: Clock, project: str | None
    ) -> None:
        """Take what is remembered, what reads artifacts, the project at hand, the clock, and the project's name where
        it is known.
        """
        self._memory, self._reader, self._workshop, self._clock, self._project = (
            memory,
            reader,
            workshop,
            clock,
            project,
        )

    def record(self, environment_name: str, target_path: Path) -> Recording:
        """Record the run in a target folder for an environment.

        Raises what reading raises, TargetMismatchError for a run into another target, OverriddenVarsError,
        ForeignProjectError, ParentNotBuiltError; then nothing is written.
        """
        environment = self._memory.path.get(environment_name)
        run, release = self._reader.run(target_path)
        self._check(environment, run, release)
        promoted_only = environment.deployed_by is DeployedBy.PROMOTION
        entering = Entering(only=frozenset() if promoted_only else None, origin=EntryOrigin.RUN, by=run.invocation_id)
        others = self._memory.others(environment.name)
        recordings: list[Recording] = []

        def move(state: EnvironmentState) -> EnvironmentState:
            recordings.append(record(state, release, run, entering, others))
            return recordings[-1].state

        self._memory.change(environment.name, release.project, move)
        return recordings[-1]

    def baseline(self, environment_name: str, target_path: Path | None) -> Recording:
        """Adopt an environment that existed before: enter every model of the project that is not on record yet.

        The release is that of the manifest in `target_path`, or the project parsed now with the environment's target.
        """
        environment = self._memory.path.get(environment_name)
        release = (
            self._workshop.release(environment, dry=True) if target_path is None else self._reader.release(target_path)
        )
        self._check_project(release)
        recordings: list[Recording] = []

        def move(state: EnvironmentState) -> EnvironmentState:
            recordings.append(adopt(state, release, self._clock(), "baseline"))
            return recordings[-1].state

        self._memory.change(environment.name, release.project, move)
        return recordings[-1]

    def _check(self, environment: Environment, run: Run, release: Release) -> None:
        """Refuse a run of another project or target, and one whose vars are not the environment's."""
        self._check_project(release)
        overridden = sorted(name for name in run.vars if name in release.var_names and name not in environment.vars)
        if overridden:
            raise OverriddenVarsError(run.where, overridden, environment.name)
        if run.target is None:
            self._check_relations(environment, run, release)
        elif run.target != environment.target:
            raise TargetMismatchError(run.where, run.target, environment.target, environment.name)

    def _check_project(self, release: Release) -> None:
        """Refuse another project's artifacts."""
        if self._project is not None and release.project.name != self._project:
            raise ForeignProjectError(release.where, release.project.name, self._project)

    def _check_relations(self, environment: Environment, run: Run, release: Release) -> None:
        """Tell by relation names and adapter where a run went that names no target."""
        at_hand = self._workshop.release(environment, dry=True)
        if at_hand.adapter_type != release.adapter_type:
            raise TargetMismatchError(
                run.where, f"(unnamed, {release.adapter_type})", environment.target, environment.name
            )
        both = [model for model in release.models if model in at_hand.models and release.models[model].relation]
        wrong = next(
            (model for model in both if release.models[model].relation != at_hand.models[model].relation), None
        )
        if wrong is not None or not both:
            found = release.models[wrong].relation if wrong is not None else "nothing that it can be told by"
            raise TargetMismatchError(run.where, f"(unnamed, wrote {found})", environment.target, environment.name)
