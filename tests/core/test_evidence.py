"""The ledger: what completes evidence, what revokes it, and that the order of recording does not matter."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.evidence import KEPT_VERSIONS, Proof, add, revoked
from airflow_dbt_promotion.core.identity import Digest, ModelId, TestId, Version
from airflow_dbt_promotion.core.state import Evidence, Outcome
from airflow_dbt_promotion.core.state import TestStatus as Ended
from tests.scenarios import NOON, empty_state

VERSION, TESTS = Version("v1"), Digest("t1")
FIRST, SECOND, UNIT = TestId("test.shop.first"), TestId("test.shop.second"), TestId("unit_test.shop.orders.sums")
ORDERS = ModelId("model.shop.orders")


def at(hours: float) -> datetime:
    return NOON + timedelta(hours=hours)


def outcome(status: Ended, hours: float) -> Outcome:
    return Outcome(status, at(hours))


def proof(
    hours: float,
    *,
    built: bool = False,
    broken: str | None = None,
    required: tuple[TestId, ...] = (FIRST, SECOND),
    tests: Digest = TESTS,
    version: Version = VERSION,
    **outcomes: Ended,
) -> Proof:
    ids = {"first": FIRST, "second": SECOND, "unit": UNIT}
    return Proof(
        version=version,
        tests=tests,
        required=required,
        ended_at=at(hours),
        built_at=at(hours) if built else None,
        build_failure=broken,
        outcomes={ids[name]: outcome(status, hours) for name, status in outcomes.items()},
    )


PASS, WARN, FAIL, ERROR, SKIPPED = Ended
BOTH = {"first": PASS, "second": PASS}


def fold(*proofs: Proof) -> Evidence:
    found: Evidence | None = None
    for one in proofs:
        found = add(found, one)
    assert found is not None
    return found


def complete(evidence: Evidence) -> bool:
    return evidence.last_pass is not None and evidence.passed_tests == TESTS


def test_one_build_with_its_tests_is_complete() -> None:
    found = fold(proof(0, built=True, **BOTH))
    assert complete(found)
    assert (found.first_pass, found.last_pass, found.runs, found.missing) == (at(0), at(0), 1, ())


def test_a_build_and_tests_of_two_later_invocations_are_as_good() -> None:
    found = fold(proof(0, built=True), proof(1, first=PASS), proof(2, second=PASS))
    assert complete(found)
    assert (found.first_pass, found.runs) == (at(2), 1)


@pytest.mark.parametrize("status", [FAIL, ERROR, SKIPPED])
def test_a_required_test_that_did_not_pass_leaves_it_incomplete(status: Ended) -> None:
    found = fold(proof(0, built=True, first=PASS, second=status))
    assert not complete(found)
    assert found.missing == (SECOND,)
    assert revoked(found) is (status is FAIL)


def test_a_required_test_that_is_missing_leaves_it_incomplete() -> None:
    assert not complete(fold(proof(0, built=True, first=PASS)))


def test_a_test_that_ran_before_the_last_build_does_not_count() -> None:
    found = fold(proof(0, **BOTH), proof(1, built=True, first=PASS))
    assert not complete(found)
    assert found.missing == (SECOND,)


def test_tests_without_a_build_prove_nothing() -> None:
    assert not complete(fold(proof(0, **BOTH)))


def test_a_warning_passes_and_is_told() -> None:
    found = fold(proof(0, built=True, first=PASS, second=WARN))
    assert complete(found)
    assert found.warned
    assert not fold(proof(0, built=True, first=PASS, second=WARN), proof(1, built=True, **BOTH)).warned


def test_a_model_without_tests_is_complete_once_built() -> None:
    assert complete(fold(proof(0, built=True, required=())))


@pytest.mark.parametrize("status", [ERROR, SKIPPED])
def test_what_proves_nothing_revokes_nothing(status: Ended) -> None:
    found = fold(proof(0, built=True, **BOTH), proof(1, first=status))
    assert complete(found)
    assert (found.last_pass, found.missing) == (at(0), ())


def test_a_rebuild_without_its_tests_revokes_nothing_and_counts_nothing() -> None:
    found = fold(proof(0, built=True, **BOTH), proof(1, built=True, first=PASS, second=SKIPPED))
    assert complete(found)
    assert (found.runs, found.missing) == (1, (SECOND,))


def test_a_later_failure_revokes_and_a_later_pass_restores() -> None:
    found = fold(proof(0, built=True, **BOTH), proof(1, first=FAIL))
    assert revoked(found)
    assert (found.first_pass, found.last_pass, found.passed_tests, found.runs) == (None, None, None, 0)
    assert found.failure == f"test {FIRST} failed"
    found = add(found, proof(2, first=PASS))
    assert complete(found)
    assert (found.first_pass, found.runs) == (at(2), 1)


def test_several_failures_are_told_as_one() -> None:
    assert fold(proof(0, built=True, first=FAIL, second=FAIL)).failure == f"test {FIRST} failed and 1 more"


def test_a_failed_build_revokes_and_tests_alone_do_not_restore() -> None:
    passing = proof(0, built=True, **BOTH)
    found = fold(passing, proof(1, broken="no such column"), proof(2, **BOTH))
    assert revoked(found)
    assert found.failure == "the build failed: no such column"
    assert complete(add(found, proof(3, built=True, **BOTH)))
    assert revoked(add(found, passing)), "the old build again changes nothing"


def test_a_failed_build_that_is_older_than_the_last_build_leaves_later_passes() -> None:
    found = fold(proof(2, built=True, **BOTH), proof(1, broken="no such column"))
    assert complete(found)
    assert (found.failed_at, found.first_pass, found.runs) == (at(1), at(2), 1)


def test_a_failure_recorded_late_voids_what_was_earned_before_it() -> None:
    found = fold(proof(0, built=True, **BOTH), proof(4, built=True, **BOTH), proof(1, first=FAIL))
    assert complete(found)
    assert (found.first_pass, found.last_pass, found.runs) == (at(4), at(4), 1)


def test_an_older_failure_than_the_one_that_is_known_changes_nothing() -> None:
    found = fold(proof(0, built=True, **BOTH), proof(3, first=FAIL), proof(4, built=True, **BOTH))
    assert add(found, proof(2, second=FAIL)) == found


def test_a_late_failure_is_not_hidden_by_the_pass_of_another_test() -> None:
    found = fold(proof(0, built=True, **BOTH), proof(3, first=PASS), proof(2, second=FAIL))
    assert revoked(found)
    assert revoked(add(found, proof(4, first=PASS)))
    assert complete(add(found, proof(5, second=PASS)))


def test_a_pass_that_ended_before_the_failing_run_did_restores_nothing() -> None:
    failing = proof(3, built=True, first=FAIL, second=PASS)
    known = fold(replace(failing, built_at=at(1), ended_at=at(9)))
    found = add(known, proof(5, first=PASS))
    assert revoked(found)
    assert found.missing == ()
    assert complete(add(found, proof(10, first=PASS)))


def test_a_late_run_completes_at_the_instant_of_the_newest_result() -> None:
    found = fold(proof(0, built=True), proof(5, second=PASS), proof(2, first=PASS))
    assert found.first_pass == at(5)


def test_passes_of_one_run_are_told_by_one_instant() -> None:
    found = fold(proof(0, built=True, **BOTH))
    assert (found.settled, found.outcomes) == (at(0), {})
    assert ledger.lookup(found, FIRST) == outcome(PASS, 0)


def test_passes_of_several_runs_keep_their_instants() -> None:
    found = fold(proof(0, built=True, **BOTH), proof(1, first=PASS))
    assert (found.settled, set(found.outcomes)) == (at(0), {FIRST})
    assert add(found, proof(2, **BOTH)).outcomes == {}


def test_changed_tests_invalidate_evidence_and_leave_the_clock() -> None:
    found = fold(proof(0, built=True, **BOTH))
    changed = add(found, proof(1, tests=Digest("t2"), first=PASS))
    assert (changed.tests, changed.passed_tests, changed.first_pass) == ("t2", TESTS, at(0))
    assert changed.missing == (SECOND,)
    again = add(changed, proof(2, tests=Digest("t2"), second=PASS))
    assert (again.passed_tests, again.first_pass, again.last_pass, again.runs) == ("t2", at(0), at(2), 1)


def test_a_late_run_of_older_tests_proves_nothing_but_a_failure() -> None:
    found = fold(proof(2, built=True, **BOTH))
    assert add(found, proof(1, tests=Digest("t0"), built=True, **BOTH)) == found
    late = add(found, proof(1, tests=Digest("t0"), first=FAIL))
    assert (late.failed_at, late.tests) == (at(1), TESTS)


def test_a_unit_test_counts_though_dbt_runs_it_before_the_build() -> None:
    required = (FIRST, UNIT)
    found = fold(proof(0, required=required, unit=PASS), proof(1, required=required, built=True, first=PASS))
    assert complete(found)
    assert UNIT in found.outcomes


def test_unit_tests_count_from_elsewhere_unless_they_fail_here() -> None:
    required = (FIRST, UNIT)
    here = add(None, proof(1, required=required, built=True, first=PASS), {UNIT})
    assert complete(here)
    failing = add(None, proof(1, required=required, built=True, first=PASS, unit=FAIL), {UNIT})
    assert revoked(failing)
    assert revoked(add(failing, proof(2, required=required, built=True, first=PASS), {UNIT}))


def test_the_newest_result_elsewhere_decides_for_a_unit_test() -> None:
    def place(status: Ended, hours: float, tests: Digest = TESTS) -> Evidence:
        return Evidence(version=VERSION, tests=tests, outcomes={UNIT: outcome(status, hours), FIRST: outcome(PASS, 0)})

    def passed(*evidences: Evidence) -> frozenset[TestId]:
        states = [empty_state()]
        for evidence in evidences:
            state = empty_state()
            states.append(
                type(state)(
                    project=state.project, environment=state.environment, lineage="x", evidence={ORDERS: (evidence,)}
                )
            )
        return ledger.unit_tests_passed(states, ORDERS, VERSION, TESTS)

    assert passed(place(PASS, 1)) == {UNIT}
    assert passed(place(PASS, 1, tests=Digest("t0"))) == frozenset()
    assert passed(place(PASS, 1), place(FAIL, 2)) == frozenset()
    assert passed(place(FAIL, 2), place(PASS, 1)) == frozenset()
    assert passed(place(FAIL, 2), place(PASS, 3)) == {UNIT}
    assert passed(place(PASS, 1), place(ERROR, 2)) == {UNIT}


def test_the_oldest_versions_are_forgotten_but_never_the_one_that_is_held() -> None:
    def version(number: int) -> Evidence:
        return Evidence(version=Version(f"v{number}"), tests=TESTS, built_at=at(number))

    kept: tuple[Evidence, ...] = (Evidence(version=Version("unbuilt"), tests=TESTS),)
    for number in range(KEPT_VERSIONS + 3):
        kept = ledger.put(kept, version(number), held=Version("v0"))
    assert [one.version for one in kept] == [f"v{number}" for number in (12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 0)]
    assert ledger.put(kept, version(0), held=Version("v0")) == kept
    assert [one.version for one in ledger.put(kept, version(99))][:2] == ["v99", "v12"]
    assert len(ledger.put(kept, version(99))) == KEPT_VERSIONS


def test_a_new_stay_counts_its_runs_anew() -> None:
    earned = fold(proof(0, built=True, **BOTH))
    other = Evidence(version=Version("v2"), tests=TESTS, runs=5)
    again, untouched = ledger.reentered((earned, other), VERSION)
    assert (again.runs, again.first_pass, untouched.runs) == (0, at(0), 5)
    assert ledger.reentered((), VERSION) == ()


def test_a_build_recorded_late_takes_back_what_rests_on_tests_from_before_it() -> None:
    early, tested = proof(0, built=True, second=PASS), proof(2, first=PASS)
    assert complete(fold(early, tested))
    assert not complete(fold(early, tested, proof(1, built=True)))
    whole, again = proof(0, built=True, **BOTH), proof(3, **BOTH)
    assert fold(whole, proof(2, first=PASS), proof(1, built=True)).last_pass == at(0)
    kept = fold(whole, again, proof(1, built=True))
    assert (kept.first_pass, kept.last_pass, kept.missing) == (at(0), at(3), ())
    later = fold(early, tested, again, proof(1, built=True))
    assert (later.first_pass, later.last_pass, later.runs) == (at(3), at(3), 1)
    assert not complete(fold(proof(1, built=True), proof(3, first=FAIL), proof(2, built=True)))


# --- properties -------------------------------------------------------------------------------------------------------


def whole_runs(hours: float) -> st.SearchStrategy[Proof]:
    """Runs that build and try every test, as `dbt build` does."""
    statuses = st.sampled_from([PASS, PASS, WARN, FAIL, ERROR, SKIPPED])
    tried = st.builds(lambda a, b: proof(hours, built=True, first=a, second=b), statuses, statuses)
    return tried | st.just(proof(hours, broken="boom"))


any_runs = st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True).flatmap(
    lambda hours: st.tuples(*(whole_runs(hour) for hour in hours))
)


def partial_runs(hours: float) -> st.SearchStrategy[Proof]:
    """Runs that build or not, and try some tests or none."""
    status = st.sampled_from([PASS, PASS, WARN, FAIL, ERROR, SKIPPED])
    tried = st.dictionaries(st.sampled_from(["first", "second"]), status, max_size=2)
    return st.builds(lambda built, told: proof(hours, built=built, **told), st.booleans(), tried)


pieces = st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True).flatmap(
    lambda hours: st.tuples(*(partial_runs(hour) for hour in hours))
)


@given(any_runs)
def test_no_order_passes_what_the_true_order_would_not(runs: tuple[Proof, ...]) -> None:
    truth = fold(*sorted(runs, key=lambda run: run.ended_at))
    for order in permutations(runs):
        found = fold(*order)
        assert found.failed_at == truth.failed_at
        if complete(found):
            assert complete(truth)
            assert found.first_pass is not None
            assert truth.first_pass is not None
            assert found.first_pass >= truth.first_pass
            assert found.runs <= truth.runs


@given(any_runs | pieces)
def test_recording_again_changes_nothing(runs: tuple[Proof, ...]) -> None:
    found = fold(*runs)
    for run in runs:
        assert add(found, run) == found


@given(any_runs | pieces)
def test_while_the_newest_word_on_a_test_is_a_failure_nothing_passes(runs: tuple[Proof, ...]) -> None:
    newest: dict[TestId, Outcome] = {}
    for run in sorted(runs, key=lambda run: run.ended_at):
        newest |= {test: found for test, found in run.outcomes.items() if found.status in {PASS, WARN, FAIL}}
    if any(found.status is FAIL for found in newest.values()):
        assert all(revoked(fold(*order)) for order in permutations(runs))
