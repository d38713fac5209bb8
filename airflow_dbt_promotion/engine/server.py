"""Serving: running what was promoted to an environment, whatever is checked out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial

from airflow_dbt_promotion.core.composing import compose
from airflow_dbt_promotion.core.composition import Composition, verify
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import DeployedBy, Environment
from airflow_dbt_promotion.core.errors import ConfigError, UnservableError
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, ReleaseId, TestId, bare_name
from airflow_dbt_promotion.core.orders import BuildReport, Mark, OnProgress, RunRequest
from airflow_dbt_promotion.core.ports import Clock, Workshop
from airflow_dbt_promotion.core.promotion import buried
from airflow_dbt_promotion.core.recording import Entering, Recording, record
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus
from airflow_dbt_promotion.core.state import Entry, EntryOrigin, EnvironmentState
from airflow_dbt_promotion.engine.locks import Held, Locks
from airflow_dbt_promotion.engine.memory import Memory, made_by
from airflow_dbt_promotion.engine.request import Exclusion, FailedNode, RunOrder, RunOutcome, ServedRun
from airflow_dbt_promotion.engine.shelf import Shelf

NOTHING = "fqn:nothing_is_excluded"
"""A selector that takes nothing; dbt says nothing of it where it is excluded, and refuses `--exclude` without a value.
"""

_FAILED = frozenset({ResultStatus.FAILED, ResultStatus.FAIL, ResultStatus.ERROR})
_MOST_NAMED = 20


class Server:
    """Puts together what an environment holds, and runs it."""

    def __init__(self, memory: Memory, locks: Locks, workshop: Workshop, clock: Clock) -> None:
        """Take what is remembered, its locks, what runs dbt, and the clock."""
        self._memory, self._locks, self._workshop, self._clock = memory, locks, workshop, clock

    def composition(self, environment: Environment, *, dry: bool) -> Composition:
        """Return the project that an environment runs: every model at the version that it holds, verified.

        Raises UnservableError where a model cannot be had, VersionsMovedError where one does not come out as it was
        promoted, ConfigError for an environment where people work.
        """
        return self._composed(environment, self._held(environment), dry=dry)

    def _composed(self, environment: Environment, state: EnvironmentState, *, dry: bool) -> Composition:
        """Return the project that makes what a document holds, verified; see `composition`."""
        unkept = sorted(model for model, entry in state.current.items() if entry.release is None)
        if unkept:
            problem = f"the sources of these models were not kept when they entered; {_advice(environment)}"
            raise UnservableError(environment.name, unkept, problem)
        definitions = self._definitions(environment, state.current, dry=dry)
        composed = compose(environment.name, state.current, definitions)
        if composed.unserved:
            told = "; ".join(f"{model}: {why}" for model, why in sorted(composed.unserved.items())[:_MOST_NAMED])
            raise UnservableError(environment.name, sorted(composed.unserved), f"{told}; {_advice(environment)}")
        verify(composed, environment.name, state.current, definitions)
        return composed

    def run(self, order: RunOrder, on_progress: OnProgress) -> ServedRun:
        """Run what was promoted to an environment, under its lock, and record what that proves.

        A failing model or test is an outcome. Raises what `composition` and `Workshop.run` raise, LockHeldError; then
        nothing is recorded. A dry run takes no lock and writes nothing.
        """
        environment, started = self._memory.path.get(order.environment), self._clock()
        if order.dry_run:
            composition = self.composition(environment, dry=True)
            nodes = self._workshop.listed(run_request(order, environment, composition))
            return self._listed(order, environment, composition, nodes, started)
        project = self._held(environment).project
        with self._locks.hold(environment.name, project, order.holder, order.lock_timeout) as held:
            # What we build is not what a promotion published that broke off: nobody may carry it on afterwards.
            state = held.change(lambda found: buried(found, self._clock(), environment.keep_history))
            composition = self._composed(environment, state, dry=False)
            mark = self._shut_out(environment, composition, held)
            report = self._workshop.run(run_request(order, environment, composition, mark), on_progress)
            recording = self._record(environment, report, held)
        results = [result for result in report.run.results if _is_told(result, report)]
        failed = tuple(_failed(result, report) for result in results if result.status in _FAILED)
        return ServedRun(
            order=order,
            environment=environment.name,
            outcome=RunOutcome.PASSED if report.success and not failed else RunOutcome.FAILED,
            started_at=started,
            finished_at=self._clock(),
            releases=tuple(sorted(composition.releases)),
            nodes=tuple(result.id for result in results),
            counts=Counter(result.status for result in results),
            failed=failed,
            words=report.words,
            recording=recording,
            warnings=(*_unwhole(recording.state), *self._memory.store.warnings()),
        )

    def exclusion(self, environment_name: str) -> Exclusion:
        """Return what of the checkout is not what was promoted to an environment, and how dbt leaves it out.

        Writes nothing. Raises ConfigError for an environment where people work.
        """
        environment = self._memory.path.get(environment_name)
        _check_deployed(environment)
        state = self._memory.read(environment.name)
        held = state.current if state is not None else {}
        release = self._workshop.release(environment, dry=True)
        unpromoted: dict[ModelId, str | None] = {
            model: held[model].version if model in held else None
            for model, described in sorted(release.models.items())
            if model not in held or held[model].version != described.version
        }
        selectors = self._workshop.exact(environment, tuple(unpromoted)) if unpromoted else (NOTHING,)
        return Exclusion(environment=environment.name, unpromoted=unpromoted, selectors=selectors)

    def _shut_out(self, environment: Environment, composition: Composition, held: Held) -> Mark | None:
        """Shut older holders of the lock out of the warehouse, and return the mark that does it; None without marks."""
        if not environment.marks:
            return None
        mark = Mark(lineage=held.lineage, epoch=held.epoch)
        self._workshop.published(environment, mark, composition)
        return mark

    def _held(self, environment: Environment) -> EnvironmentState:
        """Return the document of an environment that holds something."""
        _check_deployed(environment)
        state = self._memory.read(environment.name)
        if state is None or not state.current:
            raise UnservableError(environment.name, (), f"nothing is in it yet; {_beginning(environment)}")
        return state

    def _definitions(
        self, environment: Environment, served: Mapping[ModelId, Entry], *, dry: bool
    ) -> Mapping[ReleaseId, Definition]:
        """Return every release that some model comes from, parsed for the environment."""
        wanted = {entry.release for entry in served.values() if entry.release is not None}
        found, lost = Shelf(self._workshop, environment, dry=dry).read(wanted)
        if lost:
            models = sorted(model for model, entry in served.items() if entry.release in lost)
            told = "; ".join(lost.values())
            raise UnservableError(
                environment.name,
                models,
                f"the kept sources of these models cannot be had: {told}; {_advice(environment)}",
            )
        return found

    def _record(self, environment: Environment, report: BuildReport, held: Held) -> Recording:
        """Record what a run proves; nothing enters by it, since all of it is there already."""
        others = self._memory.others(environment.name)
        entering = Entering(only=frozenset(), origin=EntryOrigin.PROMOTION, by=report.run.invocation_id)
        return made_by(
            partial(held.change, release=True),
            lambda state: record(state, report.release, report.run, entering, others),
        )

    def _listed(
        self,
        order: RunOrder,
        environment: Environment,
        composition: Composition,
        nodes: tuple[str, ...],
        started: datetime,
    ) -> ServedRun:
        """Return what a run would execute."""
        state = self._memory.read(environment.name)
        return ServedRun(
            order=order,
            environment=environment.name,
            outcome=RunOutcome.LISTED,
            started_at=started,
            finished_at=self._clock(),
            releases=tuple(sorted(composition.releases)),
            nodes=nodes,
            warnings=(*(_unwhole(state) if state is not None else ()), *self._memory.store.warnings()),
        )


def run_request(
    order: RunOrder, environment: Environment, composition: Composition, mark: Mark | None = None
) -> RunRequest:
    """Return the order for one invocation."""
    return RunRequest(
        environment=environment,
        composition=composition,
        command=order.command,
        select=order.select,
        exclude=order.exclude,
        full_refresh=order.full_refresh,
        mark=mark,
    )


def _check_deployed(environment: Environment) -> None:
    """Refuse an environment where people work: nothing is promoted to it."""
    if environment.working:
        raise ConfigError(
            f"environment {environment.name}",
            "people work there: it has no promoted code, but what is checked out; run dbt itself there",
        )


def _is_told(result: NodeResult, report: BuildReport) -> bool:
    """Say whether a result is of interest: models and tests are, hooks that failed too; dbt lists exposures as well."""
    release = report.release
    return ModelId(result.id) in release.models or TestId(result.id) in release.tests or result.status in _FAILED


def _failed(result: NodeResult, report: BuildReport) -> FailedNode:
    """Return a node that failed, as people call it."""
    test = report.release.tests.get(TestId(result.id))
    name = bare_name(result.id) if test is None else test.name
    return FailedNode(id=result.id, name=name, status=result.status, message=result.message)


def _unwhole(state: EnvironmentState) -> tuple[str, ...]:
    """Return what people should know of an environment that was run: it is not whole, or something drifted."""
    name, found = state.environment, []
    stale = {model for model, entry in state.current.items() if entry.stale_since is not None}
    if state.unfinalized is not None:
        found.append(f"{name} is not whole: {state.unfinalized.why} ({_names(state.unfinalized.models)})")
    elif stale:
        found.append(f"{name} is not whole: these models stand on an older parent: {_names(stale)}")
    if state.journal is not None:
        found.append(f"a promotion into {name} by {state.journal.actor} broke off; promote again, or look at status")
    if state.drift:
        found.append(
            f"drift: others built what was never promoted, and this run did not mend it: {_names(state.drift)}"
        )
    return tuple(found)


def _names(models: Collection[ModelId]) -> str:
    """Return the names of some models for a sentence."""
    shown = [bare_name(model) for model in sorted(models)]
    more = f" and {len(shown) - _MOST_NAMED} more" if len(shown) > _MOST_NAMED else ""
    return ", ".join(shown[:_MOST_NAMED]) + more


def _beginning(environment: Environment) -> str:
    """Say how something comes into an environment."""
    adopting = (
        f"where it was built before, adopt what stands in its warehouse with `dbt-promote record --environment "
        f"{environment.name} --baseline`"
    )
    if environment.deployed_by is DeployedBy.PROMOTION and environment.promotes_from is not None:
        return f"promote to it from {environment.promotes_from}, or {adopting}"
    return f"record a dbt run of it, or {adopting}"


def _advice(environment: Environment) -> str:
    """Say how the sources of what an environment holds come to be kept."""
    name: EnvironmentName = environment.name
    baseline = (
        f"check out what {name} holds of them and keep it with `dbt-promote record --environment {name} --baseline`"
    )
    if environment.deployed_by is DeployedBy.PROMOTION:
        return f"{baseline}, or promote a newer version of them"
    return f"build them in {name} and record the run while its code is checked out, or {baseline}"
