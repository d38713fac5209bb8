"""The ledger: what one run adds to what earlier runs have proven of a version.

Evidence is complete when the model was built with success and each required test passed after that build. `dbt run` and
then `dbt test` is as good as one `dbt build`. A failed test, or a failed build, revokes; a test that is missing,
skipped, or that errored on its way to the warehouse proves nothing and revokes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.identity import Digest, ModelId, TestId, Version
from airflow_dbt_promotion.core.state import EnvironmentState, Evidence, Outcome, TestStatus, Unproven

KEPT_VERSIONS = 10
"""How many versions of a model keep their evidence and stays."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)
_PROVES = frozenset({TestStatus.PASS, TestStatus.WARN})
_CONCLUSIVE = _PROVES | {TestStatus.FAIL}


class Proof(Struct, frozen=True, kw_only=True):
    """What one run says of one model at one version.

    `built_at` is when a successful build of it ended, `build_failure` dbt's words of a failed one. `outcomes` holds the
    required tests that this run tried. `ended_at` is the end of the run. `unproven` is there where the build ended well
    and does not prove what it built; `built_at` is None then.
    """

    version: Version
    tests: Digest
    required: tuple[TestId, ...]
    ended_at: datetime
    built_at: datetime | None = None
    build_failure: str | None = None
    outcomes: Mapping[TestId, Outcome] = {}
    unproven: Unproven | None = None


def add(evidence: Evidence | None, proof: Proof, elsewhere: Collection[TestId] = ()) -> Evidence:
    """Return the evidence with one more run in it; not the order in which runs are added decides, but their times.

    `elsewhere` are the unit tests that passed for the same version and tests in other environments.
    """
    known = evidence or Evidence(version=proof.version, tests=proof.tests)
    if known.tests != proof.tests:
        if (newest := newest_sign(known)) is not None and newest > proof.ended_at:
            return _failed(known, proof)
        known = replace(known, tests=proof.tests, outcomes={}, missing=(), settled=None)
    known = _unproven(known, proof)
    before, known = known, _built(known, proof)
    late = known.built_at if known is not before else None
    known = _tried(known, proof)
    if late is not None and before.last_pass is not None and before.last_pass > late:
        missing = tuple(test for test in proof.required if not proven(known, test))
        known = _unmade(replace(known, missing=missing), late)
    known = _failed(known, proof)
    return _completed(known, proof, elsewhere)


def lookup(evidence: Evidence, test: TestId) -> Outcome | None:
    """Return the newest result of a required test, None where there is none."""
    found = evidence.outcomes.get(test)
    if found is None and evidence.settled is not None and not is_unit(test):
        return Outcome(TestStatus.PASS, evidence.settled)
    return found


def proven(evidence: Evidence, test: TestId) -> bool:
    """Say whether a required test passed after the last build.

    A unit test is of the code, and dbt runs it before the build.
    """
    found = lookup(evidence, test)
    if found is None or found.status not in _PROVES:
        return False
    return is_unit(test) or evidence.built_at is None or found.at >= evidence.built_at


def revoked(evidence: Evidence) -> bool:
    """Say whether the newest failure has not been followed by a complete pass."""
    return evidence.failed_at is not None and evidence.last_pass is None


def of_version(state: EnvironmentState, model: ModelId, version: Version) -> Evidence | None:
    """Return the evidence for one version of a model."""
    return next((found for found in state.evidence.get(model, ()) if found.version == version), None)


def put(evidences: tuple[Evidence, ...], evidence: Evidence, held: Version | None = None) -> tuple[Evidence, ...]:
    """Return a model's evidence with one version's replaced, newest first.

    The oldest are forgotten, but never that of the version that is held.
    """
    rest = (found for found in evidences if found.version != evidence.version)
    ordered = sorted(
        (evidence, *rest), key=lambda found: (newest_sign(found) or _BEGINNING, found.version), reverse=True
    )
    return (*ordered[:KEPT_VERSIONS], *(found for found in ordered[KEPT_VERSIONS:] if found.version == held))


def reentered(evidences: tuple[Evidence, ...], version: Version) -> tuple[Evidence, ...]:
    """Return a model's evidence at the beginning of a new stay of a version: what it earned stays, runs count anew."""
    return tuple(replace(found, runs=0) if found.version == version else found for found in evidences)


def unit_tests_passed(
    states: Collection[EnvironmentState], model: ModelId, version: Version, tests: Digest
) -> frozenset[TestId]:
    """Return the unit tests whose newest result for this version and these tests, over some environments, is a pass."""
    newest: dict[TestId, Outcome] = {}
    for state in states:
        found = of_version(state, model, version)
        for test, outcome in found.outcomes.items() if found is not None and found.tests == tests else ():
            if is_unit(test) and (test not in newest or _rank(newest[test]) < _rank(outcome)):
                newest[test] = outcome
    return frozenset(test for test, outcome in newest.items() if outcome.status in _PROVES)


def is_unit(test: TestId) -> bool:
    """Say whether a test id is a unit test's."""
    return test.startswith("unit_test.")


def newest_sign(evidence: Evidence) -> datetime | None:
    """Return the newest instant that an evidence tells of."""
    instants = [
        evidence.built_at,
        evidence.settled,
        evidence.last_pass,
        evidence.failed_at,
        evidence.unproven.at if evidence.unproven is not None else None,
        *(found.at for found in evidence.outcomes.values()),
    ]
    return max((instant for instant in instants if instant is not None), default=None)


def _rank(outcome: Outcome) -> tuple[bool, datetime, bool]:
    """Return what makes one result of a test count before another.

    It proves something, it is newer, and at the same instant it is the failure.
    """
    return outcome.status in _CONCLUSIVE, outcome.at, outcome.status is TestStatus.FAIL


def _built(known: Evidence, proof: Proof) -> Evidence:
    """Take over a newer successful build; one that is older than a failed build says nothing of what is there now."""
    at = proof.built_at
    if at is None or (known.built_at is not None and known.built_at >= at):
        return known
    if known.built_at is None and known.failed_at is not None and known.failed_at >= at:
        return known
    if known.unproven is not None and known.unproven.at >= at:
        return known
    return replace(known, built_at=at)


def _unproven(known: Evidence, proof: Proof) -> Evidence:
    """Take over a newer build that does not prove what it built: what was proven is there no more."""
    found = proof.unproven
    if found is None or (known.built_at is not None and known.built_at >= found.at):
        return known
    if known.unproven is not None and known.unproven.at >= found.at:
        return known
    return replace(known, unproven=found, built_at=None, first_pass=None, last_pass=None, passed_tests=None, runs=0)


def _tried(known: Evidence, proof: Proof) -> Evidence:
    """Take over newer results of tests."""
    newer = {
        test: outcome
        for test, outcome in proof.outcomes.items()
        if (before := lookup(known, test)) is None or _rank(before) < _rank(outcome)
    }
    return replace(known, outcomes={**known.outcomes, **newer}) if newer else known


def _failed(known: Evidence, proof: Proof) -> Evidence:
    """Void what a failure voids: every complete pass that is not later than it.

    While it is the newest word on its test, or on the build, no pass is left at all.
    """
    failing = sorted(test for test, outcome in proof.outcomes.items() if outcome.status is TestStatus.FAIL)
    if proof.build_failure is None and not failing:
        return known
    at = proof.ended_at
    standing = any(known.outcomes.get(test) == proof.outcomes[test] for test in failing)
    if proof.build_failure is not None and known.built_at is not None and known.built_at <= at:
        known, standing = replace(known, built_at=None), True
    if known.failed_at is None or known.failed_at < at:
        known = replace(known, failed_at=at, failure=_told(proof.build_failure, failing))
    elif not standing:
        return known
    if known.last_pass is not None and known.last_pass > at and not standing:
        if known.first_pass is not None and known.first_pass > at:
            return known
        return replace(known, first_pass=known.last_pass, runs=min(known.runs, 1))
    return replace(known, first_pass=None, last_pass=None, passed_tests=None, runs=0)


def _told(build_failure: str | None, failing: list[TestId]) -> str:
    """Say what failed."""
    if not failing:
        return f"the build failed: {build_failure}"
    more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
    return f"test {failing[0]} failed{more}"


def _completed(known: Evidence, proof: Proof, elsewhere: Collection[TestId]) -> Evidence:
    """Note which required tests are missing still, and where none is count a complete pass: one for each build."""
    missing = tuple(
        test for test in proof.required if not (proven(known, test) or (test in elsewhere and not _fails(known, test)))
    )
    proves = proof.built_at is not None or any(outcome.status in _PROVES for outcome in proof.outcomes.values())
    added = proves or missing != known.missing
    known = replace(known, missing=missing)
    if missing or known.built_at is None or not added:
        return known
    ended = max([proof.ended_at, known.built_at, *(outcome.at for outcome in known.outcomes.values())])
    if known.failed_at is not None and ended <= known.failed_at:
        return known
    counted = known.last_pass is not None and known.last_pass >= known.built_at
    return replace(
        _settled(known, proof.required),
        first_pass=known.first_pass or ended,
        last_pass=max(known.last_pass or ended, ended),
        passed_tests=known.tests,
        warned=any(outcome.status is TestStatus.WARN for outcome in known.outcomes.values()),
        runs=known.runs if counted else known.runs + 1,
    )


def _unmade(known: Evidence, built: datetime) -> Evidence:
    """Take back, of the passes after a build that was recorded late, those that may rest on tests from before it."""
    if known.first_pass is not None and known.first_pass <= built:
        return replace(known, last_pass=known.first_pass, runs=min(known.runs, 1)) if known.missing else known
    if known.missing:
        return replace(known, first_pass=None, last_pass=None, passed_tests=None, runs=0)
    return replace(known, first_pass=known.last_pass, runs=min(known.runs, 1))


def _fails(evidence: Evidence, test: TestId) -> bool:
    """Say whether the newest result of a test is a failure."""
    found = lookup(evidence, test)
    return found is not None and found.status is TestStatus.FAIL


def _settled(known: Evidence, required: Collection[TestId]) -> Evidence:
    """Let one instant stand for all passes of one run, but not for unit tests and tests that saw other models too.

    Nothing is merged where the passes are of several runs, so that no result ever seems newer, or older, than it is.
    """
    plain = {t: o for t, o in known.outcomes.items() if o.status is TestStatus.PASS and not o.others and not is_unit(t)}
    instants = {outcome.at for outcome in plain.values()}
    if len(instants) != 1 or any(test not in known.outcomes and not is_unit(test) for test in required):
        return known
    kept = {test: outcome for test, outcome in known.outcomes.items() if test not in plain}
    return replace(known, settled=instants.pop(), outcomes=kept)
