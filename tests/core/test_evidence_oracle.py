"""Runs in any order and state, beside an oracle that knows what was really built and tested in a little warehouse.

The oracle keeps, of every run, what it built and tested on what, and reads the whole history anew each time; the ledger
folds one run after the other. What the ledger calls validated has to be so in the warehouse, and what a normal
pipeline did has to be validated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.errors import ParentNotBuiltError, PromotionError
from airflow_dbt_promotion.core.evidence import of_version
from airflow_dbt_promotion.core.identity import EnvironmentName, Version
from airflow_dbt_promotion.core.recording import record
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.core.run_conditions import Connection
from airflow_dbt_promotion.core.state import EnvironmentState
from tests.scenarios import (
    BY_OTHERS,
    NOON,
    Shop,
    dbt_run,
    empty_state,
    joint_test_id,
    model_id,
    recorded,
    release,
    test_id,
    with_tests,
)

PARENTS = {"stg": (), "orders": ("stg",), "other": (), "marts": ("orders", "other")}
NAMES = tuple(PARENTS)
MINUTE = timedelta(minutes=1)
SUCCESS, FAILED, SKIPPED = ResultStatus.SUCCESS, ResultStatus.FAILED, ResultStatus.SKIPPED
STAGING = EnvironmentName("staging")
PASS, FAIL, WARN, ERROR = ResultStatus.PASS, ResultStatus.FAIL, ResultStatus.WARN, ResultStatus.ERROR


def projects() -> tuple[Release, ...]:
    """Return the releases between which people switch: an edit at the top, one in the middle, one at the end."""
    codes: tuple[dict[str, str], ...] = ({}, {"stg": "select 2"}, {"orders": "select 2"}, {"marts": "select 2"})
    return tuple(with_tests(release(PARENTS, code=code), joint=[("orders", "other")]) for code in codes)


PROJECTS = projects()
JOINT = joint_test_id("orders", "other")
TESTS = {**{test_id(name): (name,) for name in NAMES}, JOINT: ("orders", "other")}


@dataclass
class Warehouse:
    """What stands in the warehouse: of each model its version, when it was built, and on what; and each test's words.

    What a test says of a model holds for the tables that it saw; a table that is built again has to be tested again.
    """

    tables: dict[str, tuple[Version, datetime]] = field(default_factory=dict)
    good: dict[tuple[str, str], dict[str, tuple[Version, datetime]]] = field(default_factory=dict)
    failed: set[tuple[str, Version]] = field(default_factory=set)

    def perform(self, project: Release, run: Run) -> None:
        """Do what a run did."""
        told = {result.id: result.status for result in run.results}
        for name in NAMES:
            version, status = project.models[model_id(name)].version, told.get(model_id(name))
            if status is SUCCESS:
                self.tables[name] = (version, run.finished_at)
                self.failed.discard((name, version))
            elif status is FAILED:
                self.failed.add((name, version))
        for test, names in TESTS.items():
            for name in names:
                if self.tables.get(name, (None,))[0] != project.models[model_id(name)].version:
                    continue  # it was tested by code that was not built there, so that its words are about neither
                if told.get(test) in {PASS, WARN}:
                    self.good[test, name] = {other: self.tables[other] for other in names}
                elif told.get(test) is FAIL:
                    self.good.pop((test, name), None)

    def is_whole(self, project: Release, name: str) -> bool:
        """Say whether a model stands at a release's version, and every test of it passed on what stands there.

        The other models that a test read have to be at the versions that they had then.
        """
        version, table = project.models[model_id(name)].version, self.tables.get(name)
        if table is None or table[0] != version or (name, version) in self.failed:
            return False
        return all(self._passed(test, name) for test, names in TESTS.items() if name in names)

    def _passed(self, test: str, name: str) -> bool:
        """Say whether a test passed on the table of a model."""
        seen = self.good.get((test, name))
        return (
            seen is not None
            and seen[name] == self.tables[name]
            and all(version == self.tables[other][0] for other, (version, _) in seen.items())
        )


def validated(state: EnvironmentState, project: Release, name: str) -> bool:
    """Say whether the ledger calls a release's version of a model validated, beside what else stands there."""
    found = of_version(state, model_id(name), project.models[model_id(name)].version)
    if found is None or found.missing or ledger.revoked(found) or found.built_at is None:
        return False
    seen = {other: version for outcome in found.outcomes.values() for other, version in outcome.others.items()}
    return all(other in state.current and state.current[other].version == version for other, version in seen.items())


@st.composite
def runs(draw: st.DrawFn) -> list[tuple[int, Run]]:
    """Draw some runs of some releases, as dbt would leave them: below what failed, all is skipped."""
    drawn: list[tuple[int, Run]] = []
    project, there = 0, set[str]()
    for at in range(draw(st.integers(1, 8))):
        if draw(st.booleans()):
            project = draw(st.integers(0, len(PROJECTS) - 1))
        selected = draw(st.sets(st.sampled_from(NAMES), min_size=1))
        command = draw(st.sampled_from(["build", "run", "test"]))
        drawn.append((project, one(draw, at, selected, command, there)))
        there |= {name for name in NAMES if drawn[-1][1].results and built(drawn[-1][1], name)}
    return drawn


def built(run: Run, name: str) -> bool:
    """Say whether a run built a model."""
    return any(result.id == model_id(name) and result.status is SUCCESS for result in run.results)


def one(draw: st.DrawFn, at: int, selected: set[str], command: str, there: set[str]) -> Run:
    """Draw one run."""
    when, results = NOON + at * MINUTE, []
    dead: set[str] = set()
    stopped = draw(st.integers(0, 12)) if draw(st.integers(0, 3)) == 0 else None
    for name in NAMES:
        if name not in selected:
            continue
        if command != "test":
            status = draw(st.sampled_from([SUCCESS] * 5 + [FAILED]))
            if dead.intersection(PARENTS[name]):
                status = SKIPPED
            results.append((str(model_id(name)), status))
            if status is not SUCCESS:
                dead.add(name)
        if command != "run":
            for test, names in TESTS.items():
                if name == names[-1] and selected.issuperset(names):
                    told = draw(st.sampled_from([PASS] * 6 + [FAIL, WARN, ERROR]))
                    standing = there | {name for name in NAMES if (str(model_id(name)), SUCCESS) in results}
                    told = told if standing.issuperset(names) else ERROR
                    told = SKIPPED if dead.intersection(names) else told
                    results.append((str(test), told))
                    if told is FAIL and command == "build":
                        dead.update(names)
    told = (NodeResult(id=id_, status=status, started_at=when, completed_at=when) for id_, status in results[:stopped])
    return Run(
        invocation_id=f"run-{at}", command=command, where="run_results.json", started_at=when, finished_at=when,
        results=tuple(told),
    )  # fmt: skip


@given(runs())
def test_nothing_is_validated_that_was_not_and_what_was_is(history: list[tuple[int, Run]]) -> None:
    state, warehouse = empty_state(), Warehouse()
    for at, run in history:
        project = PROJECTS[at]
        try:
            state = record(state, project, run, BY_OTHERS).state
        except ParentNotBuiltError:
            return  # the warehouse holds a mixture, and that was said: nothing of such a run counts
        warehouse.perform(project, run)
        for name in NAMES:
            held = state.current.get(model_id(name))
            stands = held is not None and held.version == project.models[model_id(name)].version
            if stands:
                whole = warehouse.is_whole(project, name)
                assert validated(state, project, name) == whole, (name, run.invocation_id)


@given(runs(), st.randoms(use_true_random=False))
def test_runs_that_are_recorded_in_any_order_validate_nothing_that_was_not(
    history: list[tuple[int, Run]], random: Random
) -> None:
    warehouse, state = Warehouse(), empty_state()
    for at, run in history:
        warehouse.perform(PROJECTS[at], run)
    random.shuffle(history)
    for at, run in history:
        try:
            recording = record(state, PROJECTS[at], run, BY_OTHERS)
        except ParentNotBuiltError:
            return  # it stood on what was not recorded yet, and that was said
        if recording.unmatched:
            return  # it tested what was not recorded yet, and that was said
        state = recording.state
    for project in PROJECTS:
        for name in NAMES:
            held = state.current.get(model_id(name))
            if held is not None and held.version == project.models[model_id(name)].version:
                assert not validated(state, project, name) or warehouse.is_whole(project, name), name


def test_a_failed_test_that_is_recorded_before_its_build_counts() -> None:
    project = PROJECTS[0]
    everything = dbt_run(project, NOON)
    failing = dbt_run(project, NOON + MINUTE, {test_id("marts"): FAIL}, only=set(TESTS))
    state = recorded(project, failing, everything)
    assert not validated(state, project, "marts")


@given(runs(), st.data())
def test_a_run_that_is_recorded_twice_changes_nothing(history: list[tuple[int, Run]], data: st.DataObject) -> None:
    state = empty_state()
    for at, run in history:
        try:
            state = record(state, PROJECTS[at], run, BY_OTHERS).state
        except ParentNotBuiltError:
            return
        again = data.draw(st.booleans())
        assert not again or record(state, PROJECTS[at], run, BY_OTHERS).state == state


FOREIGN: dict[str, dict[str, Any]] = {
    "another target": {"target": "prod"},
    "no rows": {"arguments": {"empty": True}},
    "a sample": {"arguments": {"sample": "3 days"}},
    "parents of another place": {"arguments": {"defer": True}},
    "a flag of tomorrow": {"arguments": {"build_only_half": True}},
    "a var that code reads": {"vars": {"tax": 1}},
    "another warehouse": {"connection": Connection.OTHER},
}
"""What makes a run one that is no evidence of staging."""

NORMAL: dict[str, dict[str, Any]] = {
    "nothing more": {},
    "threads, and what is said": {"arguments": {"threads": 8, "debug": True, "log_path": "/x", "quiet": True}},
    "a selection": {"arguments": {"select": ["stg+"], "exclude": ["x"], "resource_types": ["model"]}},
    "a full refresh": {"arguments": {"full_refresh": True}, "full_refresh": True},
    "a window": {"arguments": {"event_time_start": "2024-01-01"}},
    "a window and a full refresh": {"arguments": {"event_time_start": "2024-01-01"}, "full_refresh": True},
    "flags of tomorrow that are off": {"arguments": {"build_only_half": False, "other": None, "more": ""}},
    "a var that nothing reads": {"vars": {"unheard_of": 1}},
    "no target named": {"target": None},
    "the profile's own folder": {"arguments": {"profiles_dir": "/ci", "profile": "ci", "project_dir": "/ci"}},
}
"""What normal teams do."""


@given(st.lists(st.tuples(st.sampled_from([*FOREIGN, *NORMAL]), st.booleans()), min_size=1, max_size=6))
def test_foreign_and_narrowed_runs_prove_nothing_and_normal_ones_do(history: list[tuple[str, bool]]) -> None:
    shop = Shop(replace(PROJECTS[0], vars_read=frozenset({"tax"})))
    whole = False
    for what, fails in history:
        shop.clock.pass_by(MINUTE)
        folder = shop.leave_run("staging", failing=[test_id("orders")] if fails else [])
        told = dict((FOREIGN | NORMAL)[what])
        shop.workshop.connection = told.pop("connection", Connection.SAME)
        run, project = shop.reader.runs[folder]
        shop.reader.runs[folder] = (replace(run, **told), project)
        before = shop.store.read(STAGING)
        if what in FOREIGN:
            with pytest.raises(PromotionError):
                shop.engine.record("staging", folder)
            assert shop.store.read(STAGING) == before, what
        else:
            shop.engine.record("staging", folder)
            whole = not fails
        state = shop.store.read(STAGING)
        assert (state is not None and validated(state, shop.project, "orders")) == whole, what
