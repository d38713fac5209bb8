"""Recording: what one run changes in what is remembered of an environment.

A version becomes current by a promotion that succeeded, or, where others deploy the environment, by recording their
run. A failed or skipped model does not enter. Building the same version again does not restart its stay; another
version ends it, and so does a parent that moved while the child was not built. The time of entry is the end of the run.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.errors import ParentNotBuiltError
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId, TestId, Version
from airflow_dbt_promotion.core.recorded_run import Recorded, counted_fully, witnessed
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.core.state import (
    Drift,
    EntryOrigin,
    EnvironmentState,
    Evidence,
    Outcome,
    TestStatus,
)
from airflow_dbt_promotion.core.stays import end_stale, enter, entry_of, interrupt, is_as, leave
from airflow_dbt_promotion.core.whole_builds import unproven_builds

_TEST_STATUS = {
    ResultStatus.PASS: TestStatus.PASS,
    ResultStatus.WARN: TestStatus.WARN,
    ResultStatus.FAIL: TestStatus.FAIL,
    ResultStatus.ERROR: TestStatus.ERROR,
    ResultStatus.SKIPPED: TestStatus.SKIPPED,
}


class Entering(Struct, frozen=True, kw_only=True):
    """Which models may enter by a run, and how that is called: None lets every model enter that was built.

    `recorded` is there where others made the run.
    """

    only: frozenset[ModelId] | None
    origin: EntryOrigin
    by: str
    recorded: Recorded | None = None


class Recording(Struct, frozen=True, kw_only=True):
    """What a run changed: the new document, and the models that entered, passed, failed, or drifted, by unique id.

    `incomplete` are models that the run touched and whose evidence still lacks tests; `unmatched` were tested at
    another version than they hold, or over drift. `skipped` were not tried, since a parent or a test of one failed in
    the same run. `sourced` stood already, and their sources are kept from now on.
    `left_out` were not adopted: they, or a parent, do not stand in the warehouse, or that would take a reason.
    `release` are the kept sources of the run, None where they were not kept; `not_kept` says why, and is empty where
    nothing was to be kept. `refused`: policy takes no evidence from this run, so that nothing but its drift was noted.
    `run` is its invocation id.
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
    skipped: tuple[ModelId, ...] = ()
    sourced: tuple[ModelId, ...] = ()
    left_out: tuple[ModelId, ...] = ()
    release: ReleaseId | None = None
    not_kept: str = ""
    refused: bool = False
    run: str = ""


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


def refuse(state: EnvironmentState, recording: Recording) -> Recording:
    """Return what is left of the recording of a run that policy refuses, over the document from before it: its drift.

    What was built is in the warehouse, whoever refuses it, so drift is noted, and ends where the promoted version was
    built again. No evidence is taken.
    """
    return Recording(
        state=replace(state, drift=recording.state.drift), drifted=recording.drifted, refused=True, run=recording.run
    )


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
        self._skipped: set[ModelId] = set()
        self._tried: dict[ModelId, dict[TestId, NodeResult]] = {}
        self._unproven = unproven_builds(state, release, run) if entering.recorded is not None else {}
        for result in run.results:
            model = ModelId(result.id)
            if model in release.models:
                match result.status:
                    case ResultStatus.SUCCESS:
                        self._built[model] = result
                    case ResultStatus.FAILED:
                        self._broken[model] = result
                    case ResultStatus.SKIPPED:
                        self._skipped.add(model)
                    case _:
                        pass
            elif (test := release.tests.get(TestId(result.id))) is not None and result.status in _TEST_STATUS:
                for tested in test.models:
                    self._tried.setdefault(tested, {})[test.id] = result

    def recording(self) -> Recording:
        """Enter what was built, end what is stale or gone, then weigh the evidence."""
        at = self._run.finished_at
        gone: tuple[ModelId, ...] = ()
        drifted: tuple[ModelId, ...] = ()
        entered = self._enter()
        if self._entering.only is not None:
            drifted = self._note_drift()
        elif not self._late():
            gone = self._let_go()
            self._describe()
        self._state, ended = end_stale(self._state, at)
        self._finalize(gone)
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
            unmatched=tuple(sorted(m for m in self._tried if m not in proven and m not in self._skipped)),
            skipped=tuple(sorted(self._skipped)),
            release=self._release.id,
            run=self._run.invocation_id,
        )

    def _late(self) -> bool:
        """Say whether a newer run is on record already; then this one says nothing of what the project has now."""
        signs = [ledger.newest_sign(found) for ledgers in self._state.evidence.values() for found in ledgers]
        signs += [entry.since for entry in self._state.current.values()]
        return any(sign > self._run.finished_at for sign in signs if sign is not None)

    def _may_enter(self, model: ModelId) -> bool:
        """Say whether a built model enters: it may, and nothing newer is on record of it."""
        at, held = self._run.finished_at, self._state.current.get(model)
        if self._entering.only is not None and model not in self._entering.only:
            return False
        if held is None:
            return all(stay.left_at <= at for stay in self._state.stays.get(model, ()))
        if held.version != self._release.models[model].version:
            found = ledger.of_version(self._state, model, held.version)
            if found is not None and found.built_at is not None and found.built_at > at:
                self._state = interrupt(self._state, model, at)
                return False
        return max(held.since, held.stale_since or held.since) <= at

    def _moved_on(self, parent: ModelId, entering: Collection[ModelId]) -> bool:
        """Say whether a parent was at the version of this run then, but has moved on since."""
        held = self._state.current.get(parent)
        if parent in entering or (held is not None and held.version == self._release.models[parent].version):
            return False
        return parent in self._built or (held is not None and held.since > self._run.finished_at)

    def _enter(self) -> tuple[ModelId, ...]:
        """Make the built versions current; check every parent first, so that nothing is entered where one is wrong."""
        release = self._release
        entering = {model for model in self._built if self._may_enter(model)}
        overtaken = entering
        while overtaken:
            overtaken = {m for m in entering if any(self._moved_on(p, entering) for p in release.models[m].parents)}
            entering -= overtaken
        versions = {model: entry.version for model, entry in self._state.current.items()}
        versions.update((model, release.models[model].version) for model in entering)
        for model in sorted(entering):
            for parent in release.models[model].parents:
                if versions.get(parent) != release.models[parent].version:
                    raise ParentNotBuiltError(model, parent, self._state.environment, versions.get(parent))
        fresh = sorted(model for model in entering if not self._stands(model))
        by, origin, at = self._entering.by, self._entering.origin, self._run.finished_at
        recorded = self._entering.recorded
        counts_from = recorded.counts_from(self._run) if recorded is not None else None
        entries = {model: replace(entry_of(release, model, at, origin, by), counts_from=counts_from) for model in fresh}
        self._state = enter(self._state, entries)
        if recorded is not None and recorded.reason is not None:
            since = {model for model in self._built if self._stands(model) and self._state.current[model].since == at}
            self._state = counted_fully(self._state, recorded, self._run, since)
        return tuple(fresh)

    def _stands(self, model: ModelId) -> bool:
        """Say whether the environment holds a model of the release at its version, on the parents of that version."""
        held = self._state.current.get(model)
        return held is not None and held.version == self._release.models[model].version and held.stale_since is None

    def _describe(self) -> None:
        """Take over tests and meta of versions that stand: they change neither version nor clock.

        What stands is the same in this release as in the one by which it entered, and the fewer releases are in use,
        the less has to be kept and put together. Where this one is not kept, the other goes on as long as it says all.
        """
        current, kept = dict(self._state.current), self._release.id
        for model, entry in self._state.current.items():
            now = self._release.models.get(model)
            if now is not None and now.version == entry.version:
                release = kept or (entry.release if is_as(entry, now) else None)
                current[model] = replace(entry, tests=now.tests, meta=now.meta, release=release)
        self._state = replace(self._state, current=current, release=kept or self._state.release)

    def _let_go(self) -> tuple[ModelId, ...]:
        """Forget as current what the project no longer has."""
        gone = sorted(model for model in self._state.current if model not in self._release.models)
        for model in gone:
            self._state = leave(self._state, model, self._run.finished_at)
        return tuple(gone)

    def _finalize(self, gone: Collection[ModelId]) -> None:
        """Take off the list of what a promotion left undone whatever this run built as it is held, or let go."""
        left = self._state.unfinalized
        if left is None:
            return
        mended = {m for m in self._built if self._stands(m) and self._run.finished_at >= left.since}
        models = tuple(model for model in left.models if model not in mended and model not in gone)
        self._state = replace(self._state, unfinalized=replace(left, models=models) if models else None)

    def _note_drift(self) -> tuple[ModelId, ...]:
        """Note what others built at a version that was never promoted; forget it once what is held is built again.

        Of a run from before the present stay nothing can be told. What is noted is the newest.
        """
        drift, at = dict(self._state.drift), self._run.finished_at
        drifted = []
        for model in self._built:
            held, version = self._state.current.get(model), self._release.models[model].version
            if held is not None and held.since > at:
                continue
            overtaken = model in drift and drift[model].seen_at > at
            if held is not None and held.version == version:
                if not overtaken:
                    drift.pop(model, None)
            elif self._entering.origin is not EntryOrigin.PROMOTION:
                if not overtaken:
                    drift[model] = Drift(version=version, seen_at=at, by=self._run.invocation_id)
                drifted.append(model)
        self._state = replace(self._state, drift=drift)
        return tuple(sorted(drifted))

    def _weigh(self) -> dict[ModelId, Evidence]:
        """Add what this run proves to the ledger; return the evidence of every model that it says something of."""
        ledgers, touched, afloat = dict(self._state.evidence), {}, self._afloat()
        recorded = self._entering.recorded
        for model in sorted({*self._built, *self._broken, *self._tried}):
            proof = self._proof(model, afloat)
            if proof is None:
                continue
            before = ledger.of_version(self._state, model, proof.version)
            elsewhere = ledger.unit_tests_passed(self._others, model, proof.version, proof.tests)
            touched[model] = witnessed(recorded, self._run, before, ledger.add(before, proof, elsewhere))
            held = self._state.current.get(model)
            ledgers[model] = ledger.put(ledgers.get(model, ()), touched[model], held.version if held else None)
        self._state = replace(self._state, evidence=ledgers)
        return touched

    def _afloat(self) -> set[ModelId]:
        """Return the models that drifted, or stand on one that did: what is there is not what their versions name."""
        waiting = [model for model in self._state.drift if self._adrift(model)]
        children: dict[ModelId, list[ModelId]] = {}
        for model in self._release.models.values() if waiting else ():
            for parent in model.parents:
                children.setdefault(parent, []).append(model.id)
        afloat = set(waiting)
        while waiting:
            fresh = [child for child in children.get(waiting.pop(), ()) if child not in afloat]
            afloat.update(fresh)
            waiting.extend(fresh)
        return afloat

    def _proof(self, model: ModelId, afloat: Collection[ModelId]) -> ledger.Proof | None:
        """Return what this run proves of a model, None where the environment holds another version, or it is afloat."""
        described = self._release.models[model]
        held = self._state.current.get(model)
        built, broken = self._built.get(model), self._broken.get(model)
        holds = held is not None and held.version == described.version
        holds = holds and model not in afloat and (built is not None or self._held_then(model, described.version))
        failing = {} if holds else self._failed_before_its_build(model, described.version)
        if not holds and broken is None and not failing:
            return None
        unproven = self._unproven.get(model) if holds or broken is not None else None
        whole = built if holds and unproven is None else None
        return ledger.Proof(
            version=described.version,
            tests=described.tests,
            required=described.required,
            ended_at=self._run.finished_at,
            built_at=(whole.completed_at or self._run.finished_at) if whole is not None else None,
            unproven=unproven,
            build_failure=(broken.message or "no message") if broken is not None else None,
            outcomes=self._outcomes(model) if holds else failing,
        )

    def _failed_before_its_build(self, model: ModelId, version: Version) -> dict[TestId, Outcome]:
        """Return the failed tests of a version of which nothing is on record: its build may be recorded later."""
        stays = self._state.stays.get(model, ())
        held = self._state.current.get(model)
        seen = (held is not None and held.version == version) or any(stay.version == version for stay in stays)
        if seen or ledger.of_version(self._state, model, version) is not None:
            return {}
        found = self._outcomes(model)
        return {test: outcome for test, outcome in found.items() if outcome.status is TestStatus.FAIL}

    def _adrift(self, model: ModelId) -> bool:
        """Say whether others had built another version over what is held when this run ended."""
        drift = self._state.drift.get(model)
        return drift is not None and drift.seen_at <= self._run.finished_at

    def _held_then(self, model: ModelId, version: Version) -> bool:
        """Say whether a version had entered the environment when this run ended."""
        at, held = self._run.finished_at, self._state.current[model]
        stays = self._state.stays.get(model, ())
        return held.since <= at or any(s.version == version and s.entered_at <= at <= s.left_at for s in stays)

    def _outcomes(self, model: ModelId) -> dict[TestId, Outcome]:
        """Return the results of a model's tests, each with the versions of the other models that it saw.

        All data tests of one model in one run are told by the instant at which the first of them began. A unit test
        sees no model's rows.
        """
        at, tests = self._run.finished_at, self._release.tests
        tried = self._tried.get(model, {})
        began = min((result.started_at or at for test, result in tried.items() if not tests[test].unit), default=at)
        return {
            test: Outcome(_TEST_STATUS[result.status], result.started_at or at)
            if tests[test].unit
            else Outcome(
                _TEST_STATUS[result.status],
                began,
                {other: self._seen(other) for other in tests[test].models if other != model},
            )
            for test, result in tried.items()
        }

    def _seen(self, model: ModelId) -> Version:
        """Return the version of a model that this run met; of what entered later nothing can be told."""
        if self._adrift(model):
            return self._state.drift[model].version
        held = self._state.current.get(model)
        return held.version if held is not None and held.since <= self._run.finished_at else Version("unknown")
