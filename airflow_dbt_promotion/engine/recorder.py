"""Taking evidence from dbt runs that others made."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import BypassKind, DeployedBy, Environment, Leniency, OnDrift
from airflow_dbt_promotion.core.errors import (
    ForbiddenBypassError,
    OverriddenVarsError,
    PlaceMismatchError,
    ReasonRequiredError,
    RunRefusedError,
    TargetMismatchError,
    UnknownArgumentError,
    UnverifiedPlaceError,
)
from airflow_dbt_promotion.core.instants import check_past
from airflow_dbt_promotion.core.orders import Kept
from airflow_dbt_promotion.core.ports import ArtifactReader, Clock, ReleaseStore, Workshop
from airflow_dbt_promotion.core.recorded_run import Recorded
from airflow_dbt_promotion.core.recording import Entering, Recording, record, refuse
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.run_conditions import (
    Connection,
    differing_vars,
    kept_vars,
    moved_relation,
    narrowed,
    unknown_arguments,
)
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState
from airflow_dbt_promotion.engine.memory import Memory, made_by
from airflow_dbt_promotion.engine.recognising import Recogniser

NOTHING_TO_KEEP = Kept(release=None)
"""Nothing enters by such a run, so that nothing would ever refer to its sources."""


class Recorder:
    """Records runs."""

    def __init__(
        self,
        memory: Memory,
        reader: ArtifactReader,
        workshop: Workshop,
        releases: ReleaseStore,
        clock: Clock,
        recogniser: Recogniser,
    ) -> None:
        """Take what is remembered, what reads artifacts, the project at hand, the kept releases, the clock, and what
        recognises versions of an earlier format.
        """
        self._memory, self._reader, self._workshop = memory, reader, workshop
        self._releases, self._clock, self._recogniser = releases, clock, recogniser

    def record(self, environment_name: str, target_path: Path, actor: str, reason: str | None = None) -> Recording:
        """Record the run in a target folder for an environment, and keep its sources where it may enter something.

        With a `reason`, the run's own time counts towards soak however late it is recorded, on record as a bypass.
        Raises what reading raises, TargetMismatchError for a run into another target, ClockError for one that ended in
        the future, OverriddenVarsError, ForeignProjectError, ParentNotBuiltError; then nothing is written and nothing
        kept. Where policy refuses a run that drifted, the drift alone is noted, and the recording says `refused`.
        """
        environment = self._memory.path.get(environment_name)
        run, release = self._reader.run(target_path)
        check_past(f"{run.where}: the end of the run", run.finished_at, self._clock())
        known_place = self._check(environment, target_path, run, release)
        self._recogniser.learn(partial(self._reader.definition, target_path))
        recorded = self._recorded(environment, run, actor, reason, unverified_place=not known_place)
        promoted_only = environment.deployed_by is DeployedBy.PROMOTION
        entering = Entering(
            only=frozenset() if promoted_only else None,
            origin=EntryOrigin.RUN,
            by=run.invocation_id,
            recorded=recorded,
        )
        others = self._memory.others(environment.name)
        kept = NOTHING_TO_KEEP if promoted_only else self._kept(environment, target_path, run, release)
        release = replace(release, id=kept.release)

        def move(state: EnvironmentState) -> Recording:
            done = record(state, release, run, entering, others)
            blocked = promoted_only and environment.on_drift is OnDrift.BLOCK and done.drifted
            return refuse(state, done) if blocked else done

        return replace(self._changed(environment, release, move), not_kept=kept.why)

    def _recorded(
        self, environment: Environment, run: Run, actor: str, reason: str | None, *, unverified_place: bool
    ) -> Recorded:
        """Return when and by whom a run is recorded. Raises ReasonRequiredError, ForbiddenBypassError."""
        now = self._clock()
        if reason is not None:
            if not reason.strip():
                raise ReasonRequiredError("record a run by its own time")
            self._check_forbidden(environment)
        return Recorded(
            at=now,
            by=actor,
            earliest=now - environment.record_within,
            reason=reason,
            vars=kept_vars(run, environment),
            unverified_place=unverified_place,
        )

    def _check_forbidden(self, environment: Environment) -> None:
        """Raise ForbiddenBypassError where an environment that promotes from this one forbids old evidence."""
        kind = BypassKind.OLD_EVIDENCE
        for one in self._memory.path.environments:
            if kind in one.forbid and environment.name in {one.name, one.promotes_from}:
                raise ForbiddenBypassError(kind.value, one.name)

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

    def _check(self, environment: Environment, target_path: Path, run: Run, release: Release) -> bool:
        """Refuse a run that is no evidence of an environment; return whether it is known which warehouse it went to."""
        self._memory.check_project(release.where, release.project)
        self._check_arguments(environment, run, release)
        if different := differing_vars(run, release, environment):
            raise OverriddenVarsError(run.where, environment.name, [(d.name, d.run, d.environment) for d in different])
        if run.target is not None and run.target != environment.target:
            raise TargetMismatchError(run.where, run.target, environment.target, environment.name)
        return self._check_place(environment, target_path, run, release)

    def _check_arguments(self, environment: Environment, run: Run, release: Release) -> None:
        """Refuse a run with arguments that narrowed it, or of which nobody knows what they do."""
        for name, why in narrowed(run):
            flag = f"--{name.replace('_', '-')}"
            raise RunRefusedError(run.where, f"dbt ran with {flag}, so {why}; run it again without {flag}")
        unknown = unknown_arguments(run, release.flags, {}, environment.accept_arguments)
        if unknown:
            defaults = self._workshop.argument_defaults(run.dbt_version, run.command)
            unknown = unknown_arguments(run, release.flags, defaults, environment.accept_arguments)
        if unknown:
            raise UnknownArgumentError(run.where, environment.name, unknown)

    def _check_place(self, environment: Environment, target_path: Path, run: Run, release: Release) -> bool:
        """Refuse a run that went elsewhere; return whether it is known which warehouse it went to."""
        place = self._workshop.run_place(target_path, run, release, environment)
        where, name, target = run.where, environment.name, environment.target
        if place.connection is Connection.OTHER:
            raise TargetMismatchError(where, f"{run.target or target} of another connection", target, name)
        if place.adapter is not None and place.adapter != release.adapter_type:
            raise TargetMismatchError(where, f"{run.target or '(unnamed)'}, {release.adapter_type}", target, name)
        if (moved := moved_relation(run, release, place)) is not None:
            node, there, here = moved
            raise PlaceMismatchError(where, node, there, name, here)
        known = place.connection is Connection.SAME
        if run.target is None and not known and not (place.relations and release.models.keys() & place.relations):
            raise TargetMismatchError(where, "(unnamed, wrote nothing that it can be told by)", target, name)
        if not known and environment.unverified_place is Leniency.BLOCK:
            raise UnverifiedPlaceError(where, name, place.why)
        return known
