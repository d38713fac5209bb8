"""Recording: what one run changes in what is remembered of an environment.

A version becomes current by a promotion that succeeded, or, where others deploy the environment, by recording their
run. A failed or skipped model does not enter. Building the same version again does not restart its stay; another
version ends it, and so does a parent that moved while the child was not built. The time of entry is the end of the run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.errors import ParentNotBuiltError
from airflow_dbt_promotion.core.identity import ModelId, TestId, Version
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.core.state import (
    Drift,
    Entry,
    EntryOrigin,
    EnvironmentState,
    Evidence,
    Outcome,
    Stay,
    TestStatus,
)

KEPT_STAYS = 10
"""How many completed stays of a model are kept."""

_TEST_STATUS = {
    ResultStatus.PASS: TestStatus.PASS,
    ResultStatus.WARN: TestStatus.WARN,
    ResultStatus.FAIL: TestStatus.FAIL,
    ResultStatus.ERROR: TestStatus.ERROR,
    ResultStatus.SKIPPED: TestStatus.SKIPPED,
}


class Entering(Struct, frozen=True, kw_only=True):
    """Which models may enter by a run, and how that is called: None lets every model enter that was built."""

    only: frozenset[ModelId] | None
    origin: EntryOrigin
    by: str


class Recording(Struct, frozen=True, kw_only=True):
    """What a run changed: the new document, and the models that entered, passed, failed, or drifted, by unique id.

    `incomplete` are models that the run touched and whose evidence still lacks tests; `unmatched` were tested at
    another version than they hold.
    """

    state: EnvironmentState
    entered: tuple[ModelId, ...] = ()
    passed: tuple[ModelId, ...] = ()
    failed: tuple[ModelId, ...] = ()
    incomplete: tuple[ModelId, ...] = ()
    ended: tuple[ModelId, ...] = ()
    gone: tuple[ModelId, ...] = ()
    drifted: tuple[ModelId, ...] = ()
    unmatched: tuple[ModelId, ...] = ()


def record(
    state: EnvironmentState,
    release: Release,
    run: Run,
    entering: Entering,
    others: Collection[EnvironmentState] = (),
) -> Recording:
    """Return what a run on a release changes.

    Raises ParentNotBuiltError where a model would enter on a parent version that the environment does not hold.
    Recording a run twice, or an older run after a newer one, never moves `current` back.
    """
    return _Recorder(state, release, run, entering, others).recording()


def adopt(
    state: EnvironmentState, release: Release, at: datetime, by: str, only: Collection[ModelId] | None = None
) -> Recording:
    """Return the document with every model of a release (or `only` some) entered as a baseline; what is current already
    stays as it is.
    """
    fresh = [model for model in release.models if model not in state.current and (only is None or model in only)]
    entries = {model: _entry(release, model, at, EntryOrigin.BASELINE, by) for model in fresh}
    current = dict(state.current) | entries
    for model in fresh:
        held = {parent: current[parent].version if parent in current else None for parent in entries[model].parents}
        wrong = next((parent for parent, version in entries[model].parents.items() if held[parent] != version), None)
        if wrong is not None:
            raise ParentNotBuiltError(model, wrong, state.environment, held[wrong])
    return Recording(state=replace(state, current=current), entered=tuple(sorted(fresh)))


def leave(state: EnvironmentState, model: ModelId, at: datetime) -> EnvironmentState:
    """Return the document without a model: its stay ends, what was proven of it stays on record."""
    current = dict(state.current)
    entry = current.pop(model)
    return replace(state, current=current, stays=_closed(state.stays, model, entry, at))


def end_stale(state: EnvironmentState, at: datetime) -> tuple[EnvironmentState, tuple[ModelId, ...]]:
    """End the stay of every model that stands on a parent version that the environment no longer holds."""
    current, stays, ended = dict(state.current), state.stays, []
    for model, entry in state.current.items():
        if entry.stale_since is not None:
            continue
        for parent, version in entry.parents.items():
            held = state.current.get(parent)
            if held is None or held.version != version:
                current[model] = replace(entry, stale_since=max(at, entry.since))
                stays = _closed(stays, model, entry, at)
                ended.append(model)
                break
    return (replace(state, current=current, stays=stays), tuple(sorted(ended))) if ended else (state, ())


class _Recorder:
    """Folds one run into one document."""

    def __init__(
        self,
        state: EnvironmentState,
        release: Release,
        run: Run,
        entering: Entering,
        others: Collection[EnvironmentState],
    ) -> None:
        """Sort the results of the run by what they are about."""
        self._state, self._release, self._run, self._entering, self._others = state, release, run, entering, others
        self._built: dict[ModelId, NodeResult] = {}
        self._broken: dict[ModelId, NodeResult] = {}
        self._tried: dict[ModelId, dict[TestId, NodeResult]] = {}
        for result in run.results:
            model = ModelId(result.id)
            if model in release.models:
                match result.status:
                    case ResultStatus.SUCCESS:
                        self._built[model] = result
                    case ResultStatus.FAILED:
                        self._broken[model] = result
                    case _:
                        pass
            elif (test := release.tests.get(TestId(result.id))) is not None and result.status in _TEST_STATUS:
                for tested in test.models:
                    self._tried.setdefault(tested, {})[test.id] = result

    def recording(self) -> Recording:
        """Enter what was built, end what is stale or gone, then weigh the evidence."""
        at = self._run.finished_at
        entered = self._enter()
        gone = self._let_go() if self._entering.only is None else ()
        drifted = self._note_drift()
        self._state, ended = end_stale(self._state, at)
        proven = self._weigh()
        return Recording(
            state=self._state,
            entered=entered,
            ended=ended,
            gone=gone,
            drifted=drifted,
            passed=tuple(
                sorted(
                    m for m, e in proven.items() if not e.missing and not ledger.revoked(e) and e.built_at is not None
                )
            ),
            failed=tuple(sorted(m for m, e in proven.items() if ledger.revoked(e))),
            incomplete=tuple(sorted(m for m, e in proven.items() if e.missing and not ledger.revoked(e))),
            unmatched=tuple(sorted(m for m in self._tried if m not in proven)),
        )

    def _may_enter(self, model: ModelId) -> bool:
        """Say whether a built model enters: it may, and nothing newer is on record."""
        allowed = self._entering.only is None or model in self._entering.only
        held = self._state.current.get(model)
        return allowed and (held is None or held.since <= self._run.finished_at)

    def _enter(self) -> tuple[ModelId, ...]:
        """Make the built versions current; check every parent first, so that nothing is entered where one is wrong."""
        release, at = self._release, self._run.finished_at
        entering = [model for model in self._built if self._may_enter(model)]
        versions = {model: entry.version for model, entry in self._state.current.items()}
        versions.update((model, release.models[model].version) for model in entering)
        for model in entering:
            for parent in release.models[model].parents:
                if versions.get(parent) != release.models[parent].version:
                    raise ParentNotBuiltError(model, parent, self._state.environment, versions.get(parent))
        current, stays, evidence = dict(self._state.current), self._state.stays, dict(self._state.evidence)
        entered = []
        for model in entering:
            held = current.get(model)
            fresh = _entry(release, model, at, self._entering.origin, self._entering.by)
            if held is not None and held.version == fresh.version and held.stale_since is None:
                continue
            if held is not None and held.stale_since is None:
                stays = _closed(stays, model, held, at)
            current[model] = fresh
            evidence[model] = tuple(
                replace(found, runs=0) if found.version == fresh.version else found for found in evidence.get(model, ())
            )
            entered.append(model)
        self._state = replace(
            self._state, current=current, stays=stays, evidence={m: e for m, e in evidence.items() if e}
        )
        self._describe()
        return tuple(sorted(entered))

    def _describe(self) -> None:
        """Take over tests and meta of versions that stand: they change neither version nor clock."""
        if self._entering.only is not None:
            return
        current = dict(self._state.current)
        for model, entry in self._state.current.items():
            now = self._release.models.get(model)
            if now is not None and now.version == entry.version and entry.since <= self._run.finished_at:
                current[model] = replace(entry, tests=now.tests, meta=now.meta)
        self._state = replace(self._state, current=current)

    def _let_go(self) -> tuple[ModelId, ...]:
        """Forget as current what the project no longer has."""
        at = self._run.finished_at
        gone = [m for m, entry in self._state.current.items() if m not in self._release.models and entry.since <= at]
        for model in gone:
            self._state = leave(self._state, model, at)
        return tuple(sorted(gone))

    def _note_drift(self) -> tuple[ModelId, ...]:
        """Note what was built at a version that was never promoted, and forget it where the promoted version was built
        again.
        """
        if self._entering.only is None:
            return ()
        drift = dict(self._state.drift)
        drifted = []
        for model in self._built:
            held, version = self._state.current.get(model), self._release.models[model].version
            if held is not None and held.version == version:
                drift.pop(model, None)
            else:
                drift[model] = Drift(version=version, seen_at=self._run.finished_at, by=self._run.invocation_id)
                drifted.append(model)
        self._state = replace(self._state, drift=drift)
        return tuple(sorted(drifted))

    def _weigh(self) -> dict[ModelId, Evidence]:
        """Add what this run proves to the ledger; return the evidence of every model that it says something of."""
        ledgers, touched = dict(self._state.evidence), {}
        for model in sorted({*self._built, *self._broken, *self._tried}):
            proof = self._proof(model)
            if proof is None:
                continue
            before = ledger.of_version(self._state, model, proof.version)
            elsewhere = ledger.unit_tests_passed(self._others, model, proof.version, proof.tests)
            touched[model] = ledger.add(before, proof, elsewhere)
            ledgers[model] = ledger.put(ledgers.get(model, ()), touched[model])
        self._state = replace(self._state, evidence=ledgers)
        return touched

    def _proof(self, model: ModelId) -> ledger.Proof | None:
        """Return what this run proves of a model, None where the environment holds another version than the run was
        about.
        """
        described = self._release.models[model]
        held = self._state.current.get(model)
        holds = held is not None and held.version == described.version
        built, broken = self._built.get(model), self._broken.get(model)
        if not holds and broken is None:
            return None
        return ledger.Proof(
            version=described.version,
            tests=described.tests,
            required=described.required,
            ended_at=self._run.finished_at,
            built_at=(built.completed_at or self._run.finished_at) if built is not None and holds else None,
            build_failure=(broken.message or "no message") if broken is not None else None,
            outcomes=self._outcomes(model) if holds else {},
        )

    def _outcomes(self, model: ModelId) -> dict[TestId, Outcome]:
        """Return the results of a model's tests, each with the versions of the other models that it saw."""
        outcomes = {}
        for test, result in self._tried.get(model, {}).items():
            seen: Mapping[ModelId, Version | None] = {
                other: (entry.version if (entry := self._state.current.get(other)) is not None else None)
                for other in self._release.tests[test].models
                if other != model
            }
            outcomes[test] = Outcome(
                _TEST_STATUS[result.status],
                result.started_at or self._run.finished_at,
                {other: version or Version("unknown") for other, version in seen.items()},
            )
        return outcomes


def _entry(release: Release, model: ModelId, at: datetime, origin: EntryOrigin, by: str) -> Entry:
    """Return what an environment holds of a model of a release from some instant on."""
    described = release.models[model]
    return Entry(
        version=described.version,
        code=described.code,
        tests=described.tests,
        meta=described.meta,
        parents=release.parent_versions(model),
        since=at,
        origin=origin,
        by=by,
        incremental=described.incremental,
    )


def _closed(
    stays: Mapping[ModelId, tuple[Stay, ...]], model: ModelId, entry: Entry, at: datetime
) -> Mapping[ModelId, tuple[Stay, ...]]:
    """Return the stays with the present one of a model completed."""
    stay = Stay(version=entry.version, code=entry.code, entered_at=entry.since, left_at=max(at, entry.since))
    return {**stays, model: (*stays.get(model, ()), stay)[-KEPT_STAYS:]}
