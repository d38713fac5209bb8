"""Verifying: what can never be true of a state that can be read, beyond what the codec refuses."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from msgspec import Struct

from airflow_dbt_promotion.core.state import EnvironmentState

_RESTORE = (
    "restore the document from a backup, or move it away and adopt what stands in the warehouse "
    "(`record --baseline --reason TEXT`)"
)


class Finding(Struct, frozen=True, kw_only=True):
    """Something that is wrong: a stable code, the environment, the place in its document, and what to do."""

    code: str
    environment: str
    place: str
    problem: str
    remedy: str = _RESTORE


def findings(state: EnvironmentState) -> tuple[Finding, ...]:
    """Return what is wrong in one document.

    Instants are not compared with each other where a clock that steps back could have made them so.
    """
    told = (*_head(state), *_entries(state), *_history(state))
    return tuple(
        Finding(code=code, environment=state.environment, place=place, problem=problem) for code, place, problem in told
    )


def across(states: Sequence[EnvironmentState]) -> tuple[Finding, ...]:
    """Return what is wrong between documents: one lineage twice, or several projects."""
    lineages = Counter(state.lineage for state in states)
    projects = Counter(state.project.name for state in states)
    usual = projects.most_common(1)[0][0] if projects else ""
    found = [
        Finding(
            code="lineage_twice",
            environment=state.environment,
            place="$.lineage",
            problem=f"the document of another environment has the lineage {state.lineage}, too: one is a copy",
        )
        for state in states
        if lineages[state.lineage] > 1
    ]
    found += [
        Finding(
            code="foreign_project",
            environment=state.environment,
            place="$.project.name",
            problem=f"it is of the dbt project {state.project.name!r}, the others are of {usual!r}",
            remedy="give each project a state root of its own",
        )
        for state in states
        if state.project.name != usual
    ]
    return tuple(found)


def _head(state: EnvironmentState) -> Iterator[tuple[str, str, str]]:
    """Yield what is wrong with the serial, the lock and the journal."""
    if state.serial < 1:
        yield "never_written", "$.serial", "no write makes a serial under 1"
    if state.lock is not None and state.lock.expires_at < state.lock.heartbeat_at:
        yield "lock_backwards", "$.lock.expires_at", "the lock expires before its last sign of life"
    if state.journal is not None and any(epoch > state.epoch for epoch in state.journal.epochs):
        yield "epoch_ahead", "$.journal.epochs", "the journal is of a later lock than there ever was"


def _entries(state: EnvironmentState) -> Iterator[tuple[str, str, str]]:
    """Yield the models that stand on another parent than they name, and are not known to."""
    for model, entry in state.current.items():
        for parent, version in entry.parents.items() if entry.stale_since is None else ():
            held = state.current.get(parent)
            if held is None or held.version != version:
                what = "is not there" if held is None else "is there at another version"
                yield "parent_moved", f'$.current["{model}"].parents["{parent}"]', f"{parent} {what}"


def _history(state: EnvironmentState) -> Iterator[tuple[str, str, str]]:
    """Yield the promotions of the history that end before they begin."""
    for index, record in enumerate(state.history):
        if record.finished_at < record.started_at:
            yield "ends_before_it_begins", f"$.history[{index}].finished_at", "a promotion ends before it begins"
