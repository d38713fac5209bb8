"""Taking over environments that existed before."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.adoption import Adoption, adopt, adopted, check_adoption, coherent, is_new, resourced
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import (
    AdoptionRefusedError,
    AdoptionUnconfirmedError,
    NothingToAdoptError,
    SourcesError,
)
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.lock import Holder
from airflow_dbt_promotion.core.orders import Kept, Standing
from airflow_dbt_promotion.core.ports import ArtifactReader, Clock, ReleaseStore, Workshop
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.locks import Locks
from airflow_dbt_promotion.engine.memory import Memory, made_by
from airflow_dbt_promotion.engine.recognising import Recogniser

LOCK_TIMEOUT = 60.0


class AdoptionRequest(Struct, frozen=True, kw_only=True):
    """What to adopt: the manifest in `target_path`, None for the project as it is now.

    The latter has to be `confirmed`, for the next released run builds it. `reason` is asked for where the environment
    is no new one.
    """

    environment: str
    target_path: Path | None = None
    actor: str = "unknown"
    reason: str | None = None
    confirmed: bool = False


class _Found(Struct, frozen=True):
    """The release to adopt, what keeps its sources, and whether that can be."""

    release: Release
    keep: Callable[[], Kept]
    keepable: bool = True


class Adopter:
    """Adopts; see `core/adoption.py` for the rules."""

    def __init__(  # noqa: PLR0913 - one argument a collaborator
        self,
        memory: Memory,
        locks: Locks,
        *,
        reader: ArtifactReader,
        workshop: Workshop,
        releases: ReleaseStore,
        clock: Clock,
        recogniser: Recogniser,
    ) -> None:
        self._memory, self._locks, self._reader, self._workshop = memory, locks, reader, workshop
        self._releases, self._clock, self._recogniser = releases, clock, recogniser

    def adopt(self, request: AdoptionRequest) -> Recording:
        """Enter every model that stands in the environment's warehouse and is not on record yet.

        The sources of the release are kept, also for what is on record already and whose sources were never kept, or
        are lost; that alone needs no reason. Raises what `check_adoption` raises, NothingToAdoptError,
        AdoptionUnconfirmedError, DbtError where the warehouse cannot be asked; then nothing is written or kept.
        """
        environment = self._memory.path.get(request.environment)
        found = self._found(environment, request.target_path)
        state = self._memory.read(environment.name)
        if state is not None and (
            found.release.models.keys() <= state.current.keys() or self._repairs(request, state, found)
        ):
            return self._entered(environment, found, frozenset(), self._memory.change)
        standing = self._workshop.standing(environment, found.release, request.target_path)
        models = self._checked(environment, state, found.release, standing, request)
        if is_new(state) and not standing.marked:
            return self._first(environment, found, models, request)
        return self._later(environment, found, models, request)

    def _repairs(self, request: AdoptionRequest, state: EnvironmentState, found: _Found) -> bool:
        """Say whether sources alone are kept: something lacks them, and nobody gave a reason to adopt more."""
        if request.reason is not None or not found.keepable:
            return False
        return bool(resourced(state, found.release, self._lost(state)))

    def _checked(
        self,
        environment: Environment,
        state: EnvironmentState | None,
        release: Release,
        standing: Standing,
        request: AdoptionRequest,
    ) -> frozenset[ModelId]:
        """Return the models to adopt, where they may be."""
        models = coherent(state, release, standing.models)
        base = state or EnvironmentState(project=release.project, environment=environment.name, lineage="new")
        first = is_new(state) and not standing.marked
        check_adoption(environment, base, release, models, self._adoption(request), first=first)
        if not models:
            raise NothingToAdoptError(environment.name, sorted(release.models.keys() - base.current.keys()))
        if request.target_path is None and not request.confirmed:
            raise AdoptionUnconfirmedError(environment.name, sorted(models))
        return models

    def _first(
        self, environment: Environment, found: _Found, models: frozenset[ModelId], request: AdoptionRequest
    ) -> Recording:
        """Adopt an environment that never held anything."""

        def check(state: EnvironmentState) -> None:
            if not is_new(state):
                raise AdoptionRefusedError(environment.name, "models entered it just now", "run the command again")
            check_adoption(environment, state, found.release, models, self._adoption(request), first=True)

        return self._entered(environment, found, models, self._memory.change, check)

    def _later(
        self, environment: Environment, found: _Found, models: frozenset[ModelId], request: AdoptionRequest
    ) -> Recording:
        """Adopt into an environment that held something before, under its lock, on record."""
        adoption = self._adoption(request)

        def check(state: EnvironmentState) -> None:
            check_adoption(environment, state, found.release, models, adoption, first=False)

        holder = Holder(owner=request.actor)
        with self._locks.hold(environment.name, found.release.project, holder, LOCK_TIMEOUT) as held:
            return self._entered(
                environment, found, models, lambda _name, _project, move: held.change(move), check, adoption
            )

    def _entered(
        self,
        environment: Environment,
        found: _Found,
        models: frozenset[ModelId],
        change: Callable[..., EnvironmentState],
        check: Callable[[EnvironmentState], None] | None = None,
        adoption: Adoption | None = None,
    ) -> Recording:
        """Keep the sources, and write what enters."""
        kept = found.keep()
        release = replace(found.release, id=kept.release)

        def move(state: EnvironmentState) -> Recording:
            if check is not None:
                check(state)
            done = adopt(state, release, self._clock(), only=models, lost=self._lost(state))
            return adopted(state, done, adoption) if adoption is not None else done

        changed = made_by(partial(change, environment.name, release.project), move)
        return replace(changed, not_kept=kept.why)

    def _lost(self, state: EnvironmentState) -> set[ReleaseId]:
        """Return the releases that a document names and that are not kept."""
        named = {entry.release for entry in state.current.values() if entry.release is not None}
        return {one for one in named if not self._releases.has(one)}

    def _adoption(self, request: AdoptionRequest) -> Adoption:
        """Return who adopts now."""
        return Adoption(at=self._clock(), actor=request.actor, reason=request.reason)

    def _found(self, environment: Environment, target_path: Path | None) -> _Found:
        """Return the release to adopt; keeps nothing yet."""
        if target_path is not None:
            release = self._reader.release(target_path)
            self._memory.check_project(release.where, release.project)
            self._recogniser.learn(partial(self._reader.definition, target_path))
            return _Found(release, lambda: self._workshop.keep_run(target_path, release))
        try:
            checkout = self._workshop.at_hand(environment, dry=True)
        except SourcesError as error:
            why = str(error)
            release = self._workshop.release(environment, dry=True)
            self._memory.check_project(release.where, release.project)
            return _Found(release, lambda: Kept(release=None, why=why), keepable=False)
        release = release_of(checkout.definition)
        self._memory.check_project(release.where, release.project)
        self._recogniser.learn(lambda: checkout.definition)

        def keep() -> Kept:
            self._workshop.keep(checkout.release)
            return Kept(release=checkout.release)

        return _Found(release, keep)
