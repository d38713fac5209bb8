"""Building: a plan's work in the target, cut into invocations that each execute exactly what is planned.

One invocation is enough, but for incremental models that must be built anew beside others that must not be:
`--full-refresh` holds for a whole invocation, so these go in turns, parents first.
"""

from __future__ import annotations

from collections.abc import Collection

from msgspec import Struct

from airflow_dbt_promotion.core.change import BUILT, ChangeKind
from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.identity import ModelId, TestId
from airflow_dbt_promotion.core.parts import divided
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.release import Model, Release, Test


class Segment(Struct, frozen=True, kw_only=True):
    """One invocation: these models, then these data tests."""

    models: tuple[Model, ...]
    tests: tuple[Test, ...]
    full_refresh: bool = False


def segments(plan: Plan, release: Release) -> tuple[Segment, ...]:
    """Return the invocations that carry a plan out, in order; a test runs with the last planned model that it reads.

    Unit tests are left out: they prove the same everywhere, and they were asked for by the tests gate.
    """
    building = {change.model: change for change in plan.changes if change.kind in BUILT}
    refreshed = {model for model, change in building.items() if plan.builds_anew(change)}
    turns = _turns(building, refreshed, release)
    when = {model: turn for turn, (models, _) in enumerate(turns) for model in models}
    tests: dict[int, list[Test]] = {}
    last = max(len(turns) - 1, 0)
    for test in tests_to_run(plan, release):
        turn = max((when[model] for model in test.models if model in when), default=last)
        tests.setdefault(turn, []).append(test)
    if not turns:
        return (Segment(models=(), tests=tuple(tests[0])),) if tests else ()
    return tuple(
        Segment(
            models=tuple(release.models[model] for model in models),
            tests=tuple(tests.get(turn, ())),
            full_refresh=refresh,
        )
        for turn, (models, refresh) in enumerate(turns)
    )


def tests_of(release: Release, models: Collection[ModelId], *, unit: bool) -> tuple[Test, ...]:
    """Return the tests that some models require, by id; unit tests only where they are asked for."""
    ids: set[TestId] = {test for model in models if model in release.models for test in release.models[model].required}
    return tuple(release.tests[id_] for id_ in sorted(ids) if unit or not release.tests[id_].unit)


def tests_to_run(plan: Plan, release: Release) -> tuple[Test, ...]:
    """Return the data tests of every planned model; none where a bypass skips them."""
    if BypassKind.SKIP_TESTS in plan.choices.bypasses:
        return ()
    return tests_of(
        release, [change.model for change in plan.changes if change.kind is not ChangeKind.REMOVED], unit=False
    )


def parts(plan: Plan, release: Release, most: int) -> tuple[tuple[ModelId, ...], ...]:
    """Return the changes of a plan in at most so many parts, each of which can be built and tested by itself.

    What is built from one another, directly or through what is not planned, is of one part, and so is what a test
    reads together. Removals are of none, nor is what has nothing to be built or tested.
    """
    going = {change.model: change for change in plan.changes if change.kind is not ChangeKind.REMOVED}
    built = {model for model, change in going.items() if change.kind in BUILT}
    tests = [[model for model in test.models if model in going] for test in tests_to_run(plan, release)]
    work = {model: int(model in built) for model in going}
    for models in tests:
        for model in models[:1]:
            work[model] += 1
    ties = [*tests, *([model, *_nearest(model, built, release)] for model in sorted(built))]
    return divided(work, ties, most)


def _nearest(model: ModelId, planned: Collection[ModelId], release: Release) -> set[ModelId]:
    """Return the planned models that a model is built from with none planned between."""
    found: set[ModelId] = set()
    seen: set[ModelId] = set()
    waiting = [model]
    while waiting:
        fresh = {parent for parent in release.models[waiting.pop()].parents if parent not in seen}
        seen |= fresh
        found |= fresh & set(planned)
        waiting.extend(fresh - set(planned))
    return found


def _turns(
    building: Collection[ModelId], refreshed: set[ModelId], release: Release
) -> list[tuple[list[ModelId], bool]]:
    """Cut models into turns of one kind each, so that parents are built before their children."""
    left = set(building)
    if not refreshed:
        return [(sorted(left), False)] if left else []
    upstream = {model: _planned_ancestors(model, left, release) for model in left}
    turns: list[tuple[list[ModelId], bool]] = []
    refresh = False
    while left:
        turn: set[ModelId] = set()
        for model in sorted(left, key=lambda model: len(upstream[model])):
            if (model in refreshed) is refresh and upstream[model] & left <= turn:
                turn.add(model)
        if turn:
            turns.append((sorted(turn), refresh))
            left -= turn
        refresh = not refresh
    return turns


def _planned_ancestors(model: ModelId, planned: Collection[ModelId], release: Release) -> set[ModelId]:
    """Return the planned models that a model stands on, directly or through others."""
    found: set[ModelId] = set()
    waiting = [model]
    while waiting:
        fresh = [parent for parent in release.models[waiting.pop()].parents if parent not in found]
        found.update(fresh)
        waiting.extend(fresh)
    return found & set(planned)
