"""Builds that ended well and prove nothing: seeds that dbt did not read, and microbatch models in part."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import NodeConfig
from airflow_dbt_promotion.core.eligibility import Requirement, judge
from airflow_dbt_promotion.core.evidence import of_version
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.recorded_run import Recorded
from airflow_dbt_promotion.core.recording import Entering, record
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import ResultStatus, Run
from airflow_dbt_promotion.core.slices import cover, joined, slices_from
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState
from tests.scenarios import NOON, dbt_run, empty_state, model_id, release

DAY = timedelta(days=1)
TODAY = NOON.replace(hour=0)
BEGIN = TODAY - 3 * DAY
REVENUE, RAW = model_id("revenue"), model_id("raw_orders")


def of_batches(**more: object) -> Release:
    """Return the shop's release with `revenue` built in batches of a day, from three days ago on."""
    found = release()
    return replace(found, models={**found.models, REVENUE: replace(found.models[REVENUE], slices_from=BEGIN, **more)})


def days(first: int, last: int) -> tuple[tuple[datetime, datetime], ...]:
    """Return the batches of some days, counted from today."""
    return tuple((TODAY + day * DAY, TODAY + (day + 1) * DAY) for day in range(first, last + 1))


def run(
    project: Release,
    batches: tuple[tuple[datetime, datetime], ...] = (),
    *,
    after: int = 0,
    full_refresh: bool = False,
    status: ResultStatus = ResultStatus.SUCCESS,
) -> Run:
    """Return a run of everything, some minutes after noon, in which `revenue` was built in these batches."""
    found = dbt_run(project, NOON + timedelta(minutes=after))
    results = tuple(replace(one, slices=batches, status=status) if one.id == REVENUE else one for one in found.results)
    return replace(found, results=results, full_refresh=full_refresh)


def recorded(project: Release, *runs: Run, state: EnvironmentState | None = None) -> EnvironmentState:
    """Return what recording some runs of others leaves."""
    state = state or empty_state()
    for one in runs:
        by = Recorded(at=one.finished_at, by="ann", earliest=one.finished_at - DAY)
        entering = Entering(only=None, origin=EntryOrigin.RUN, by=one.invocation_id, recorded=by)
        state = record(state, project, one, entering).state
    return state


def told(state: EnvironmentState, model: ModelId = REVENUE) -> str:
    """Return the code of the tests gate."""
    return judge(model, state, Requirement(), NOON + DAY)[0].code


WHOLE, OF_TODAY, BEFORE = days(-3, 0), days(0, 0), days(-3, -1)


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ([(WHOLE, {})], "passed"),
        ([(OF_TODAY, {})], "slices_missing"),
        ([(OF_TODAY, {}), (BEFORE, {})], "passed"),
        ([(BEFORE, {}), (OF_TODAY, {})], "passed"),
        ([(days(-3, -2), {}), (OF_TODAY, {})], "slices_missing"),
        ([(WHOLE, {}), (OF_TODAY, {})], "passed"),
        ([(WHOLE, {}), (OF_TODAY, {"full_refresh": True})], "slices_missing"),
        ([(WHOLE, {}), (OF_TODAY, {"full_refresh": True}), (BEFORE, {})], "passed"),
        ([(OF_TODAY, {}), (BEFORE, {"full_refresh": True})], "slices_missing"),
        ([(OF_TODAY, {}), (WHOLE, {"full_refresh": True})], "passed"),
        ([(BEFORE, {"status": ResultStatus.FAILED}), (OF_TODAY, {})], "passed"),
        ([((), {"status": ResultStatus.FAILED}), (OF_TODAY, {})], "revoked"),
        ([(WHOLE, {}), ((), {"status": ResultStatus.FAILED}), (OF_TODAY, {})], "passed"),
        ([(WHOLE, {}), (days(-1, -1), {"status": ResultStatus.FAILED}), (OF_TODAY, {})], "passed"),
        ([((), {})], "slices_missing"),
    ],
)
def test_a_microbatch_model_counts_where_its_batches_are_all_there(runs: list[tuple], expected: str) -> None:  # type: ignore[type-arg]
    project = of_batches()
    found = [run(project, batches, after=after, **more) for after, (batches, more) in enumerate(runs)]
    assert told(recorded(project, *found)) == expected


@pytest.mark.parametrize(
    ("config", "expected"), [(False, "passed"), (True, "slices_missing"), (None, "slices_missing")]
)
def test_the_config_says_whether_a_full_refresh_builds_from_nothing(config: bool | None, expected: str) -> None:
    project = of_batches(full_refresh=config)
    state = recorded(project, run(project, WHOLE), run(project, OF_TODAY, after=1, full_refresh=True))
    assert told(state) == expected


def test_what_a_table_holds_is_known_over_versions_and_recording_again_changes_nothing() -> None:
    project = of_batches()
    first = run(project, OF_TODAY)
    state = recorded(project, first)
    assert recorded(project, first, state=state) == state
    held = project.models[REVENUE]
    other = replace(project, models={**project.models, REVENUE: replace(held, version="f" * 32, code="f" * 32)})
    state = recorded(other, run(other, BEFORE, after=1), state=state)
    found = of_version(state, REVENUE, other.models[REVENUE].version)
    assert found is not None
    assert found.built_at is not None


def test_soak_begins_where_the_build_was_proven() -> None:
    project = of_batches()
    state = recorded(project, run(project, OF_TODAY), run(project, BEFORE, after=30))
    soak = judge(REVENUE, state, Requirement(soak=DAY), NOON + DAY)[1]
    assert (soak.code, soak.eligible_at) == ("soaking", NOON + timedelta(minutes=30) + DAY)


@pytest.mark.parametrize(
    ("changed_at", "expected"),
    [
        (NOON - DAY, "passed"),
        (NOON + timedelta(minutes=1), "unknown_bytes"),
        (NOON, "unknown_bytes"),
        (None, "unknown_bytes"),
    ],
)
def test_a_seed_that_dbt_did_not_read_counts_where_its_file_is_older(
    changed_at: datetime | None, expected: str
) -> None:
    project = replace(release(), unread_seeds={RAW: changed_at})
    state = recorded(project, dbt_run(project, NOON))
    assert told(state, RAW) == expected
    mended = replace(project, unread_seeds={RAW: NOON + timedelta(minutes=2)})
    assert told(recorded(mended, dbt_run(mended, NOON + timedelta(hours=1)), state=state), RAW) == "passed"


def test_what_was_loaded_over_a_proven_seed_and_is_not_known_takes_its_proof_away() -> None:
    project = release()
    state = recorded(project, dbt_run(project, NOON))
    edited = replace(project, unread_seeds={RAW: NOON + DAY})
    state = recorded(edited, dbt_run(edited, NOON + timedelta(hours=1)), state=state)
    assert told(state, RAW) == "unknown_bytes"
    older = dbt_run(project, NOON + timedelta(minutes=30))
    assert told(recorded(project, older, state=state), RAW) == "unknown_bytes", "an older build says nothing of it"


def test_our_own_builds_are_of_what_was_kept() -> None:
    project = replace(release(), unread_seeds={RAW: None})
    entering = Entering(only=None, origin=EntryOrigin.PROMOTION, by="a plan")
    assert told(record(empty_state(), project, dbt_run(project, NOON), entering).state, RAW) == "passed"


def test_slices_are_read_as_dbt_does() -> None:
    def config(begin: object, strategy: object = "microbatch", materialized: str = "incremental") -> NodeConfig:
        return NodeConfig(materialized=materialized, incremental_strategy=strategy, begin=begin)

    assert slices_from(config("2026-01-01")) == datetime(2026, 1, 1, tzinfo=UTC)
    assert slices_from(config("2026-01-01T00:00:00+01:00")) == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert slices_from(config("2026-01-01", "merge")) is None
    assert slices_from(config("2026-01-01", materialized="view")) is None
    never = slices_from(config(None))
    assert never is not None
    assert not cover(days(-9, 9), never, NOON)
    assert joined([*days(1, 1), *days(-1, 0), *days(3, 3)]) == ((TODAY - DAY, TODAY + 2 * DAY), *days(3, 3))
