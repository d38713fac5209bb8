"""Eligibility: may this version of this model go on, and if not yet, when?

The one answer that every surface gives: the plan and the promotion, the sensor, the command line and the status page
all call `judge`, and ask `blocked_version` and `held_environment` what people stopped.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.environment import Leniency, SoakScope
from airflow_dbt_promotion.core.identity import ModelId, TestId, Version, is_earlier, short
from airflow_dbt_promotion.core.instants import check_past, minute, readable
from airflow_dbt_promotion.core.rejections import describe, find_rejections
from airflow_dbt_promotion.core.release import NO_TESTS
from airflow_dbt_promotion.core.state import Entry, EnvironmentState, Evidence
from airflow_dbt_promotion.core.stops import Block

_UNPROVEN = {
    "unknown_bytes": (
        "dbt takes no checksum of a seed of this size, and its file was changed after the build began, or is gone, so "
        "that it is not known what was loaded; set maximum_seed_size_mib (dbt 1.12), or record the run in the job "
        "that builds"
    ),
    "slices_missing": (
        "its table was made by a run of some batches alone, and those that are on record do not reach from its `begin` "
        "to now; run the other batches, or the model without a window"
    ),
}
"""Why a build that ended well proves nothing, by code."""

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class GateName(Enum):
    """The questions that are asked of a change."""

    SOURCE = "source"
    TESTS = "tests"
    SOAK = "soak"
    COHERENCE = "coherence"
    CHANGE = "change"
    CODE = "code"
    BLOCK = "block"
    HOLD = "hold"
    PUBLISHING = "publishing"
    WINDOW = "window"
    APPROVAL = "approval"


class Status(Enum):
    """A gate's answer; WAITING lifts by time or by the next runs, BLOCKED only by people."""

    PASSED = "passed"
    WAITING = "waiting"
    BLOCKED = "blocked"


class Verdict(Struct, frozen=True, kw_only=True, gc=False):
    """One gate's answer: a stable code, a sentence, and the earliest instant (UTC) at which it could pass, where time
    alone can tell.
    """

    gate: GateName
    status: Status
    code: str
    reason: str
    eligible_at: datetime | None = None

    @property
    def passed(self) -> bool:
        """Whether the gate is open."""
        return self.status is Status.PASSED


class Requirement(Struct, frozen=True, kw_only=True):
    """What is asked of a source version: the target's policy with the caller's arguments applied.

    `skip_tests` is a bypass. `soak` of zero still asks for a complete pass unless tests are skipped. `on_the_spot` is
    for a source where people work: what lacks evidence there is built and tested as the first step of the promotion.
    """

    soak: timedelta = timedelta(0)
    runs: int = 1
    scope: SoakScope = SoakScope.LINEAGE
    zero_tests: Leniency = Leniency.PASS
    warnings: Leniency = Leniency.PASS
    skip_tests: bool = False
    on_the_spot: bool = False


def passed(gate: GateName, code: str, reason: str) -> Verdict:
    """Return an open gate's verdict."""
    return Verdict(gate=gate, status=Status.PASSED, code=code, reason=reason)


def waiting(gate: GateName, code: str, reason: str, eligible_at: datetime | None = None) -> Verdict:
    """Return the verdict of a gate that may open by itself."""
    return Verdict(gate=gate, status=Status.WAITING, code=code, reason=reason, eligible_at=eligible_at)


def blocked(gate: GateName, code: str, reason: str) -> Verdict:
    """Return the verdict of a gate that people must open."""
    return Verdict(gate=gate, status=Status.BLOCKED, code=code, reason=reason)


def blocked_version(model: ModelId, version: Version, *environments: EnvironmentState) -> tuple[Verdict, ...]:
    """Return the verdict of the block gate where a version is blocked in one of some environments, nothing where it is
    not: what was left once for a reason goes nowhere.
    """
    return tuple(
        blocked(GateName.BLOCK, "version_blocked", _blocked_by(block, state, version))
        for state in environments
        for block in state.blocks.get(model, ())
        if block.version == version or is_earlier(block.version)
    )


def _blocked_by(block: Block, state: EnvironmentState, version: Version) -> str:
    """Say which version is blocked, since when, by whom and why, and how that is lifted."""
    lift = f"`dbt-promote unblock --environment {state.environment} --reason TEXT` lifts that"
    by = f"in {state.environment} since {minute(block.at)} by {block.actor}: {block.reason}"
    if block.version == version:
        return f"{short(version)} is blocked {by}; {lift}"
    return (
        f"{short(block.version)} is blocked {by}; an earlier release of this package named that version, and it cannot "
        f"be told whether {short(version)} is the same code, so every version is blocked; {lift}"
    )


def rejected_version(model: ModelId, version: Version | None, target: EnvironmentState) -> tuple[Verdict, ...]:
    """Return the verdict on a version (None: a removal) that people rejected, nothing where nobody did."""
    said = find_rejections(target, model, version)
    return (blocked(GateName.APPROVAL, "rejected", "; ".join(map(describe, said))),) if said else ()


def held_environment(target: EnvironmentState) -> tuple[Verdict, ...]:
    """Return the verdict of the hold gate for a target that is held, nothing for one that is not."""
    hold = target.hold
    if hold is None:
        return ()
    reason = (
        f"{target.environment} is held since {minute(hold.at)} by {hold.actor}: {hold.reason}; "
        f"`dbt-promote release --environment {target.environment} --reason TEXT` lifts that"
    )
    return (blocked(GateName.HOLD, "held", reason),)


def judge(
    model: ModelId,
    source: EnvironmentState,
    requirement: Requirement,
    now: datetime,
    others: Collection[EnvironmentState] = (),
    entry: Entry | None = None,
) -> tuple[Verdict, Verdict]:
    """Return the verdicts of the tests gate and the soak gate for the version that the source holds, or for `entry`.

    `others` are the other environments' documents, for unit tests count from anywhere. Raises ClockError for an entry
    more than five minutes in the future, KeyError where the source does not hold the model.
    """
    entry = entry or source.current[model]
    check_past(f"the entry of {model} into {source.environment}", entry.since, now)
    found = effective(model, source, others, entry)
    return _tests(entry, found, source, requirement), _soak(model, entry, found, source, requirement, now)


def effective(
    model: ModelId, source: EnvironmentState, others: Collection[EnvironmentState], entry: Entry | None = None
) -> Evidence | None:
    """Return the evidence for the version that is held (or for `entry`), completed by unit tests that passed elsewhere
    since it was recorded.
    """
    entry = entry or source.current[model]
    found = ledger.of_version(source, model, entry.version)
    if found is None or found.tests != entry.tests or not found.missing or found.built_at is None:
        return found
    if not all(ledger.is_unit(test) for test in found.missing):
        return found
    elsewhere = ledger.unit_tests_passed(others, model, entry.version, entry.tests)
    ended = ledger.newest_sign(found) or found.built_at
    proof = ledger.Proof(version=entry.version, tests=entry.tests, required=found.missing, ended_at=ended)
    return ledger.add(found, proof, elsewhere)


def is_complete(entry: Entry, found: Evidence | None) -> bool:
    """Say whether a complete pass of the version and the tests that are held is on record, and not revoked."""
    return found is not None and found.last_pass is not None and found.passed_tests == entry.tests


def _tests(entry: Entry, found: Evidence | None, source: EnvironmentState, requirement: Requirement) -> Verdict:
    """Ask whether each required test passed for the version and the tests that are held."""
    gate, where = GateName.TESTS, source.environment
    if requirement.skip_tests:
        return passed(gate, "bypassed", "tests are skipped by a recorded bypass")
    if requirement.on_the_spot and not is_complete(entry, found):
        return passed(gate, "on_the_spot", f"its tests run in {where} as the first step")
    if found is None:
        return waiting(gate, "not_built", f"no successful run of this version is on record for {where}")
    if ledger.revoked(found):
        return blocked(gate, "revoked", f"{found.failure} in {where}; a later complete pass restores it")
    if not is_complete(entry, found):
        return _incomplete(entry, found, where)
    if entry.tests == NO_TESTS:
        if requirement.zero_tests is Leniency.BLOCK:
            return blocked(gate, "no_tests", "no test depends on it, and policy asks for one (zero_tests: block)")
        return passed(gate, "no_tests", f"built in {where}; no test depends on it")
    if found.warned and requirement.warnings is Leniency.BLOCK:
        return blocked(gate, "warned", f"a test warned in {where}, and policy takes no warnings (warnings: block)")
    code, told = ("passed_with_warnings", "passed, some with warnings,") if found.warned else ("passed", "passed")
    return passed(gate, code, f"its tests {told} in {where}")


def _incomplete(entry: Entry, found: Evidence, where: str) -> Verdict:
    """Say what is missing for a complete pass."""
    gate = GateName.TESTS
    if found.built_at is None and found.unproven is not None:
        return waiting(gate, found.unproven.code, f"{_UNPROVEN[found.unproven.code]} ({where})")
    if found.built_at is None:
        return waiting(gate, "not_built", f"no successful build of this version is on record for {where}")
    if found.tests != entry.tests:
        return waiting(gate, "tests_changed", f"its tests changed and have not run in {where} since")
    first = sorted(found.missing)[:1]
    more = f" and {len(found.missing) - 1} more" if len(found.missing) > 1 else ""
    told = f": {_how(found, first[0])}{more}" if first else ""
    return waiting(gate, "incomplete", f"not every required test has passed in {where} since the last build{told}")


def _how(found: Evidence, test: TestId) -> str:
    """Say why a required test does not count."""
    outcome = ledger.lookup(found, test)
    if outcome is None:
        return f"{test} has not run"
    if found.built_at is not None and outcome.at < found.built_at:
        return f"{test} ran before the last build"
    return f"{test} ended with {outcome.status.value}"


def _soak(
    model: ModelId,
    entry: Entry,
    found: Evidence | None,
    source: EnvironmentState,
    requirement: Requirement,
    now: datetime,
) -> Verdict:
    """Ask whether one stay of this version, since its newest failure, was long enough and had enough runs."""
    gate, where, asked = GateName.SOAK, source.environment, requirement.soak
    if asked == timedelta(0) and (requirement.skip_tests or requirement.on_the_spot or requirement.runs == 0):
        return passed(gate, "no_soak", "no soak is asked for")
    if found is not None and ledger.revoked(found):
        return waiting(gate, "clock_stopped", f"its soak in {where} begins at the next complete pass")
    floor = _floor(model, entry, found, source, requirement.scope)
    began = max(_entered(model, entry, source, requirement.scope), floor)
    earned = max(_earned(model, entry, source, requirement.scope, floor), default=timedelta(0))
    present = timedelta(0) if entry.stale_since is not None else max(now - began, timedelta(0))
    if max(earned, present) < asked:
        if entry.stale_since is not None:
            return waiting(gate, "stay_ended", f"a parent moved in {where} and it was not built since")
        ready = began + asked
        reason = f"soaks in {where} for {readable(ready - now)} more (since {minute(began)})"
        return waiting(gate, "soaking", reason, ready)
    runs = found.runs if found is not None else 0
    if runs < requirement.runs and not requirement.skip_tests:
        return waiting(gate, "runs", f"{runs} of {requirement.runs} successful runs in {where} since it entered")
    return passed(gate, "soaked", f"soaked in {where} for {readable(max(earned, present))}")


def _floor(
    model: ModelId, entry: Entry, found: Evidence | None, source: EnvironmentState, scope: SoakScope
) -> datetime:
    """Return the instant before which nothing counts: the first complete pass since the newest failure.

    Under scope `self` a failure of an earlier version of the same code counts too.
    """
    voided = [_BEGINNING]
    if found is not None and (found.failed_at or found.unproven) is not None and found.first_pass is not None:
        voided.append(_counting(found.first_pass, found.counts_from))
    if scope is SoakScope.SELF:
        same = {stay.version for stay in source.stays.get(model, ()) if stay.code == entry.code} - {entry.version}
        voided.extend(
            earlier.first_pass or earlier.failed_at
            for earlier in source.evidence.get(model, ())
            if earlier.version in same and earlier.failed_at is not None
        )
    return max(voided)


def _entered(model: ModelId, entry: Entry, source: EnvironmentState, scope: SoakScope) -> datetime:
    """Return when the present stay began; under scope `self` a stay goes on while only parents change."""
    began = _counting(entry.since, entry.counts_from)
    if scope is SoakScope.SELF:
        for stay in reversed(source.stays.get(model, ())):
            if stay.code != entry.code or stay.left_at < began:
                break
            began = _counting(stay.entered_at, stay.counts_from)
    return began


def _earned(
    model: ModelId, entry: Entry, source: EnvironmentState, scope: SoakScope, floor: datetime
) -> list[timedelta]:
    """Return the lengths of the completed stays that count; what lies before `floor` was voided by a failure."""
    same = (
        stay
        for stay in source.stays.get(model, ())
        if (stay.code == entry.code if scope is SoakScope.SELF else stay.version == entry.version)
    )
    return [stay.left_at - max(_counting(stay.entered_at, stay.counts_from), floor) for stay in same]


def _counting(at: datetime, counts_from: datetime | None) -> datetime:
    """Return when something begins to count towards soak: at once, unless it was recorded too late for that."""
    return at if counts_from is None else max(at, counts_from)
