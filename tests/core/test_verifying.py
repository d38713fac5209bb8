"""What can never be true of a state is found, and what can is not."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.identity import Version
from airflow_dbt_promotion.core.lock import Holder, taken
from airflow_dbt_promotion.core.promotion import Attempt, begin, settle
from airflow_dbt_promotion.core.results import Built
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.verifying import across, findings
from tests.core.test_promotion import ORDERS, STG, planned, staged
from tests.scenarios import NOON, empty_state


def promoted() -> EnvironmentState:
    """Return a production into which everything was promoted."""
    found = planned(staged())
    began = begin(empty_state("production"), found, Attempt(actor="ann", epoch=1), NOON, 10)
    return replace(settle(began, found, Built(), NOON, 10).state, serial=3, epoch=1)


def codes(state: EnvironmentState) -> list[str]:
    return [one.code for one in findings(state)]


def test_all_is_well_with_what_was_promoted_and_what_is_going_on() -> None:
    assert findings(promoted()) == ()
    assert findings(replace(taken(promoted(), Holder(owner="ann"), NOON), serial=4)) == ()
    begun = begin(promoted(), planned(staged()), Attempt(actor="ann", epoch=1), NOON, 10)
    assert findings(begun) == ()


def test_a_model_that_stands_on_another_parent_is_stale_or_wrong() -> None:
    state = promoted()
    moved = replace(state.current[STG], version=Version("f" * 32))
    wrong = replace(state, current={**state.current, STG: moved})
    (found,) = findings(wrong)
    assert (found.code, found.environment) == ("parent_moved", "production")
    assert found.place == f'$.current["{ORDERS}"].parents["{STG}"]'
    assert "at another version" in found.problem
    assert "backup" in found.remedy
    without = replace(state, current={model: entry for model, entry in state.current.items() if model != STG})
    assert ["is not there" in one.problem for one in findings(without)] == [True]
    stale = replace(wrong.current[ORDERS], stale_since=NOON)
    assert findings(replace(wrong, current={**wrong.current, ORDERS: stale})) == ()


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (replace(promoted(), serial=0), "never_written"),
        (
            replace(begin(promoted(), planned(staged()), Attempt(actor="ann", epoch=9), NOON, 10), epoch=8),
            "epoch_ahead",
        ),
    ],
)
def test_counters_that_no_write_makes(wrong: EnvironmentState, code: str) -> None:
    assert codes(wrong) == [code]


def test_a_lock_and_a_promotion_that_end_before_they_begin() -> None:
    state = taken(promoted(), Holder(owner="ann"), NOON)
    assert state.lock is not None
    early = replace(state, lock=replace(state.lock, expires_at=NOON - timedelta(seconds=1)))
    assert codes(early) == ["lock_backwards"]
    (told,) = state.history
    early = replace(state, history=(replace(told, finished_at=told.started_at - timedelta(seconds=1)),))
    assert codes(early) == ["ends_before_it_begins"]


@pytest.mark.parametrize(
    ("states", "found"),
    [
        ([], []),
        ([promoted()], []),
        ([promoted(), replace(promoted(), lineage="two")], []),
        ([promoted(), promoted()], ["lineage_twice", "lineage_twice"]),
        (
            [
                promoted(),
                replace(promoted(), lineage="two"),
                replace(promoted(), lineage="three", project=ProjectIdentity(name="mill")),
            ],
            ["foreign_project"],
        ),
    ],
)
def test_between_documents(states: Sequence[EnvironmentState], found: list[str]) -> None:
    assert [one.code for one in across(states)] == found
