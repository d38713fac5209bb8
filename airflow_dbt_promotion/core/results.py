"""Results: what was done in the target for a plan, and whether each change advanced, failed or was skipped."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.change import BUILT, Change, ChangeKind
from airflow_dbt_promotion.core.environment import BypassKind
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId, TestId
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import ResultStatus, Run
from airflow_dbt_promotion.core.state import EnvironmentState

_FINE = frozenset({ResultStatus.PASS, ResultStatus.WARN})


class Built(Struct, frozen=True, kw_only=True):
    """What was done in the target: the runs in order, all on one release of the project for that target.

    Empty for `record`. `others` are the documents of the other environments, for unit tests count from anywhere.
    `aligned` are models that stand and are the same in a release that came. `there` are models that nothing had to be
    built of. `withheld` are the changes of which readers see nothing, since not all was well.
    """

    runs: tuple[Run, ...] = ()
    release: Release | None = None
    words: tuple[str, ...] = ()
    others: tuple[EnvironmentState, ...] = ()
    aligned: Mapping[ModelId, ReleaseId] = {}
    there: frozenset[ModelId] = frozenset()
    withheld: frozenset[ModelId] = frozenset()

    def is_unseen(self, plan: Plan) -> bool:
        """Say whether readers see nothing of a whole plan."""
        return bool(self.withheld) and self.withheld.issuperset(change.model for change in plan.changes)

    def proof(self, plan: Plan) -> Run:
        """Return the runs as one that says of the target what is so there: what was built beside and withheld is not
        there, nor is what its tests saw.
        """
        unseen = {change.model for change in plan.changes if change.kind in BUILT} & self.withheld
        tests = self.release.tests.values() if self.release is not None else ()
        beside = {str(model) for model in unseen} | {
            str(test.id) for test in tests if not unseen.isdisjoint(test.models)
        }
        told = (
            result
            for run in self.runs
            for result in run.results
            if result.id not in beside or result.status is ResultStatus.FAILED
        )
        return replace(self.runs[-1], results=tuple(told))


def results_of(state: EnvironmentState, plan: Plan, built: Built) -> dict[ModelId, str]:
    """Return what became of each change of a plan that was carried out; without a release everything advanced.

    What somebody else moved meanwhile, past this plan, did not go, nor what stands on a change that did not.
    """
    results = _results(plan, built)
    results |= dict.fromkeys(_overtaken(state, plan, built, results), "skipped")
    return _together(plan, results)


def _results(plan: Plan, built: Built) -> dict[ModelId, str]:
    """Return what became of each change by itself: `advanced`, `failed` or `skipped`."""
    if built.release is None:
        return dict.fromkeys((change.model for change in plan.changes), "advanced")
    told: dict[str, ResultStatus] = dict.fromkeys(built.there, ResultStatus.SUCCESS)
    told |= {result.id: result.status for run in built.runs for result in run.results}
    tests = _tests_by_model(plan, built.release)
    results = {change.model: _result(change, told, tests.get(change.model, ())) for change in plan.changes}
    seen = results.keys() - built.withheld
    return {
        model: "skipped" if result == "advanced" and model not in seen else result for model, result in results.items()
    }


def _overtaken(state: EnvironmentState, plan: Plan, built: Built, results: Mapping[ModelId, str]) -> list[ModelId]:
    """Return the changes that the document says somebody else went past while the plan was carried out.

    A newer version of the model is there, or a parent that does not come with the plan is at another version.
    """
    coming = {c.model: c.to_version for c in plan.changes if c.kind in BUILT and results[c.model] == "advanced"}
    held = {model: entry.version for model, entry in state.current.items()}
    there = held | coming
    overtaken = []
    for change in plan.changes:
        after, entry = change.after, state.current.get(change.model)
        if after is None or results[change.model] != "advanced":
            continue
        moved = entry is not None and entry.version not in {change.from_version, after.version}
        later = entry is not None and bool(built.runs) and entry.since > built.runs[-1].finished_at
        orphan = any(there.get(parent) != version for parent, version in after.parents.items())
        if change.kind is ChangeKind.METADATA:
            overtaken += [change.model] if held.get(change.model) != after.version else []
        elif (moved and later) or orphan:
            overtaken.append(change.model)
    return overtaken


def _together(plan: Plan, results: Mapping[ModelId, str]) -> dict[ModelId, str]:
    """Return the results with every change skipped of which a planned parent did not advance."""
    together = dict(results)
    children: dict[ModelId, list[ModelId]] = {}
    for change in plan.changes:
        for parent in change.after.parents if change.after is not None and change.kind in BUILT else ():
            children.setdefault(parent, []).append(change.model)
    waiting = [model for model, result in together.items() if result != "advanced"]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            if together[child] == "advanced":
                together[child] = "skipped"
                waiting.append(child)
    return together


def _result(change: Change, told: Mapping[str, ResultStatus], tests: Collection[str]) -> str:
    """Return what became of one change by its own build and its own tests."""
    if change.kind is ChangeKind.REMOVED:
        return "advanced"
    status = told.get(change.model)
    if change.kind is not ChangeKind.METADATA and status is not ResultStatus.SUCCESS:
        return "failed" if status is ResultStatus.FAILED else "skipped"
    ended = {told.get(test) for test in tests}
    if ended <= _FINE:
        return "advanced"
    return "failed" if ended & {ResultStatus.FAIL, ResultStatus.ERROR} else "skipped"


def _tests_by_model(plan: Plan, release: Release) -> dict[ModelId, list[TestId]]:
    """Return the data tests that each planned model had to pass in the target; none where tests were skipped."""
    if BypassKind.SKIP_TESTS in plan.choices.bypasses:
        return {}
    return {
        change.model: [test for test in release.models[change.model].required if not release.tests[test].unit]
        for change in plan.changes
        if change.model in release.models
    }
