"""Taking evidence from dbt runs that others made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from airflow_dbt_promotion.core.adoption import adopt
from airflow_dbt_promotion.core.environment import DeployedBy, Environment, OnDrift
from airflow_dbt_promotion.core.errors import (
    ForeignProjectError,
    OverriddenVarsError,
    SourcesError,
    TargetMismatchError,
)
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.instants import check_past
from airflow_dbt_promotion.core.orders import Kept
from airflow_dbt_promotion.core.ports import ArtifactReader, Clock, ReleaseStore, Workshop
from airflow_dbt_promotion.core.recording import Entering, Recording, record, refuse
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState
from airflow_dbt_promotion.engine.memory import Memory, made_by

NOTHING_TO_KEEP = Kept(release=None)
"""Nothing enters by such a run, so that nothing would ever refer to its sources."""


class Recorder:
    """Records runs and baselines."""

    def __init__(
        self, memory: Memory, reader: ArtifactReader, workshop: Workshop, releases: ReleaseStore, clock: Clock
    ) -> None:
        """Take what is remembered, what reads artifacts, the project at hand, the kept releases, and the clock."""
        self._memory, self._reader, self._workshop = memory, reader, workshop
        self._releases, self._clock = releases, clock

    def record(self, environment_name: str, target_path: Path) -> Recording:
        """Record the run in a target folder for an environment, and keep its sources where it may enter something.

        Raises what reading raises, TargetMismatchError for a run into another target, ClockError for one that ended in
        the future, OverriddenVarsError, ForeignProjectError, ParentNotBuiltError; then nothing is written and nothing
        kept. Where policy refuses a run that drifted, the drift alone is noted, and the recording says `refused`.
        """
        environment = self._memory.path.get(environment_name)
        run, release = self._reader.run(target_path)
        check_past(f"{run.where}: the end of the run", run.finished_at, self._clock())
        self._check(environment, run, release)
        promoted_only = environment.deployed_by is DeployedBy.PROMOTION
        entering = Entering(only=frozenset() if promoted_only else None, origin=EntryOrigin.RUN, by=run.invocation_id)
        others = self._memory.others(environment.name)
        kept = NOTHING_TO_KEEP if promoted_only else self._kept(environment, target_path, run, release)
        release = replace(release, id=kept.release)

        def move(state: EnvironmentState) -> Recording:
            done = record(state, release, run, entering, others)
            blocked = promoted_only and environment.on_drift is OnDrift.BLOCK and done.drifted
            return refuse(state, done) if blocked else done

        return replace(self._changed(environment, release, move), not_kept=kept.why)

    def baseline(self, environment_name: str, target_path: Path | None) -> Recording:
        """Adopt an environment that existed before: enter every model of the project that is not on record yet.

        The release is that of the manifest in `target_path`, or the project parsed now with the environment's target.
        Its sources are kept, also for what stands already and whose sources were never kept, or are lost.
        """
        environment = self._memory.path.get(environment_name)
        release, kept = self._adoptable(environment, target_path)
        release = replace(release, id=kept.release)

        def move(state: EnvironmentState) -> Recording:
            named = {entry.release for entry in state.current.values() if entry.release is not None}
            lost = {one for one in named if not self._releases.has(one)}
            return adopt(state, release, self._clock(), "baseline", lost=lost)

        return replace(self._changed(environment, release, move), not_kept=kept.why)

    def _changed(
        self, environment: Environment, release: Release, move: Callable[[EnvironmentState], Recording]
    ) -> Recording:
        """Apply a recording to what is there, with compare-and-set."""
        return made_by(partial(self._memory.change, environment.name, release.project), move)

    def _kept(self, environment: Environment, target_path: Path, run: Run, release: Release) -> Kept:
        """Keep the sources of a run, once it is known that the run can be recorded as things stand."""
        state = self._memory.read(environment.name)
        if state is None:
            state = EnvironmentState(project=release.project, environment=environment.name, lineage="new")
        record(state, release, run, Entering(only=None, origin=EntryOrigin.RUN, by=run.invocation_id))
        return self._workshop.keep_run(target_path, release)

    def _adoptable(self, environment: Environment, target_path: Path | None) -> tuple[Release, Kept]:
        """Return the release to adopt, its sources kept where they can be."""
        if target_path is not None:
            release = self._reader.release(target_path)
            self._check_project(release)
            return release, self._workshop.keep_run(target_path, release)
        try:
            found = self._workshop.at_hand(environment, dry=True)
        except SourcesError as error:
            release = self._workshop.release(environment, dry=True)
            self._check_project(release)
            return release, Kept(release=None, why=str(error))
        release = release_of(found.definition)
        self._check_project(release)
        self._workshop.keep(found.release)
        return release, Kept(release=found.release)

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
        if self._memory.project is not None and release.project.name != self._memory.project:
            raise ForeignProjectError(release.where, release.project.name, self._memory.project)

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
