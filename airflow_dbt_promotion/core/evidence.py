"""The ledger: what one run adds to what earlier runs have proven of a version.

Evidence is complete when the model was built with success and each required test passed after that build. `dbt run` and
then `dbt test` is as good as one `dbt build`. A failed test, or a failed build, revokes; a test that is missing,
skipped, or that errored on its way to the warehouse proves nothing and revokes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.identity import Digest, ModelId, TestId, Version
from airflow_dbt_promotion.core.state import EnvironmentState, Evidence, Outcome, TestStatus

KEPT_VERSIONS = 10
"""How many versions of a model keep their evidence and stays."""

_PROVES = frozenset({TestStatus.PASS, TestStatus.WARN})


class Proof(Struct, frozen=True, kw_only=True):
    """What one run says of one model at one version.

    `built_at` is when a successful build of it ended, `build_failure` dbt's words of a failed one. `outcomes` holds the
    required tests that this run tried. `ended_at` is the end of the run.
    """

    version: Version
    tests: Digest
    required: tuple[TestId, ...]
    ended_at: datetime
    built_at: datetime | None = None
    build_failure: str | None = None
    outcomes: Mapping[TestId, Outcome] = {}


def add(evidence: Evidence | None, proof: Proof, elsewhere: Collection[TestId] = ()) -> Evidence:
    """Return the evidence with one more run in it; the order in which runs are added does not matter, their times do.

    `elsewhere` are the unit tests that passed for the same version and tests in other environments.
    """
    known = evidence or Evidence(version=proof.version, tests=proof.tests)
    if known.tests != proof.tests:
        if (newest := _newest_sign(known)) is not None and newest > proof.ended_at:
            return _failed(known, proof)
        known = replace(known, tests=proof.tests, outcomes={}, settled=None)
    known = _built(known, proof)
    known = _tried(known, proof)
    known = _failed(known, proof)
    return _completed(known, proof, elsewhere)


def lookup(evidence: Evidence, test: TestId) -> Outcome | None:
    """Return the newest result of a required test, None where there is none."""
    found = evidence.outcomes.get(test)
    if found is None and evidence.settled is not None and test not in evidence.missing:
        return Outcome(TestStatus.PASS, evidence.settled)
    return found


def proven(evidence: Evidence, test: TestId) -> bool:
    """Say whether a required test passed after the last build; a unit test is of the code, and dbt runs it before the
    build.
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


def put(evidences: tuple[Evidence, ...], evidence: Evidence) -> tuple[Evidence, ...]:
    """Return a model's evidence with one version's replaced, newest version first, the oldest forgotten."""
    rest = tuple(found for found in evidences if found.version != evidence.version)
    return (evidence, *rest)[:KEPT_VERSIONS]


def reentered(evidence: Evidence | None) -> Evidence | None:
    """Return the evidence at the beginning of a new stay: runs are counted anew, what was earned stays."""
    return None if evidence is None else replace(evidence, runs=0)


def unit_tests_passed(
    states: Collection[EnvironmentState], model: ModelId, version: Version, tests: Digest
) -> frozenset[TestId]:
    """Return the unit tests that passed for this version and these tests in any of some environments."""
    passed: set[TestId] = set()
    for state in states:
        found = of_version(state, model, version)
        if found is not None and found.tests == tests:
            passed.update(
                test for test, outcome in found.outcomes.items() if is_unit(test) and outcome.status in _PROVES
            )
    return frozenset(passed)


def is_unit(test: TestId) -> bool:
    """Say whether a test id is a unit test's."""
    return test.startswith("unit_test.")


def _newest_sign(evidence: Evidence) -> datetime | None:
    """Return the newest instant that an evidence tells of."""
    instants = [
        evidence.built_at,
        evidence.settled,
        evidence.last_pass,
        evidence.failed_at,
        *(found.at for found in evidence.outcomes.values()),
    ]
    return max((instant for instant in instants if instant is not None), default=None)


def _built(known: Evidence, proof: Proof) -> Evidence:
    """Take over a newer successful build."""
    if proof.built_at is None or (known.built_at is not None and known.built_at >= proof.built_at):
        return known
    return replace(known, built_at=proof.built_at)


def _tried(known: Evidence, proof: Proof) -> Evidence:
    """Take over newer results of tests."""
    newer = {
        test: outcome
        for test, outcome in proof.outcomes.items()
        if (before := lookup(known, test)) is None or before.at <= outcome.at
    }
    return replace(known, outcomes={**known.outcomes, **newer}) if newer else known


def _failed(known: Evidence, proof: Proof) -> Evidence:
    """Void what a failure voids: every complete pass that is not later than it."""
    failure = proof.build_failure and f"the build failed: {proof.build_failure}"
    failing = sorted(test for test, outcome in proof.outcomes.items() if outcome.status is TestStatus.FAIL)
    if failing:
        more = f" and {len(failing) - 1} more" if len(failing) > 1 else ""
        failure = f"test {failing[0]} failed{more}"
    if failure is None or (known.failed_at is not None and known.failed_at >= proof.ended_at):
        return known
    if known.last_pass is not None and known.last_pass > proof.ended_at:
        survivor = known.first_pass if known.first_pass and known.first_pass > proof.ended_at else known.last_pass
        runs = known.runs if survivor is known.first_pass else 1
        return replace(known, failed_at=proof.ended_at, failure=failure, first_pass=survivor, runs=runs)
    return replace(
        known, failed_at=proof.ended_at, failure=failure, first_pass=None, last_pass=None, passed_tests=None, runs=0
    )


def _completed(known: Evidence, proof: Proof, elsewhere: Collection[TestId]) -> Evidence:
    """Note which required tests are missing, and count a complete pass where none is and this build has none yet."""
    missing = tuple(test for test in proof.required if not (proven(known, test) or test in elsewhere))
    known = replace(known, missing=missing)
    if missing or known.built_at is None:
        return known
    ended = max(proof.ended_at, known.built_at)
    if known.failed_at is not None and ended <= known.failed_at:
        return known
    warned = any(outcome.status is TestStatus.WARN for outcome in known.outcomes.values())
    counted = known.last_pass is not None and known.last_pass >= known.built_at and known.passed_tests == known.tests
    settled = replace(known, settled=ended, outcomes=_worth_keeping(known.outcomes), warned=warned)
    if counted:
        return settled
    again = known.last_pass is not None and known.last_pass >= known.built_at
    return replace(
        settled,
        first_pass=known.first_pass or ended,
        last_pass=max(known.last_pass or ended, ended),
        passed_tests=known.tests,
        runs=known.runs if again else known.runs + 1,
    )


def _worth_keeping(outcomes: Mapping[TestId, Outcome]) -> dict[TestId, Outcome]:
    """Return the results that `settled` does not say already: warnings, unit tests, and tests that saw other models
    too.
    """
    return {
        test: outcome
        for test, outcome in outcomes.items()
        if outcome.others or outcome.status is not TestStatus.PASS or is_unit(test)
    }
