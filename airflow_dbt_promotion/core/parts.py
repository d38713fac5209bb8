"""Parts: what of a plan can be built by itself, in a process of its own, and what came of that.

Two models are of one part where one is built from the other, or one test reads both. Parts are built beside what
readers see, each under a lock of its own; they become visible together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec import Struct

from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.instants import Instant
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run

_LONGEST_MESSAGE = 300


class PartResult(Struct, frozen=True, kw_only=True, gc=False):
    """How one node of a part ended; `message` is dbt's own where it did not go well."""

    id: str
    status: ResultStatus
    started_at: Instant | None = None
    completed_at: Instant | None = None
    message: str = ""


class PartEnd(Struct, frozen=True, kw_only=True):
    """What came of building and testing a part; `words` are dbt's own where that did not go well.

    Where nothing had to be built or tested there is no `invocation_id` and no result. `row_witnesses` are those of
    `BuildReport`.
    """

    well: bool
    started_at: Instant
    finished_at: Instant
    invocation_id: str = ""
    results: tuple[PartResult, ...] = ()
    words: tuple[str, ...] = ()
    row_witnesses: Mapping[ModelId, str] = {}


def end_of(run: Run, *, well: bool, words: Iterable[str], row_witnesses: Mapping[ModelId, str] = {}) -> PartEnd:
    """Return what came of a part by the run that built it."""
    return PartEnd(
        well=well,
        started_at=run.started_at,
        finished_at=run.finished_at,
        invocation_id=run.invocation_id,
        results=tuple(_kept(result) for result in run.results),
        words=tuple(words),
        row_witnesses=dict(row_witnesses),
    )


def run_of(end: PartEnd, target: str) -> Run:
    """Return the run that built a part, into a dbt target."""
    return Run(
        invocation_id=end.invocation_id,
        command="build",
        where="a part of the promotion",
        started_at=end.started_at,
        finished_at=end.finished_at,
        results=tuple(
            NodeResult(
                id=one.id,
                status=one.status,
                started_at=one.started_at,
                completed_at=one.completed_at,
                message=one.message,
            )
            for one in end.results
        ),
        target=target,
    )


def divided(
    work: Mapping[ModelId, int], ties: Iterable[Collection[ModelId]], most: int
) -> tuple[tuple[ModelId, ...], ...]:
    """Return models in at most so many parts of about the same work; those of one tie stay together.

    `work` is how much there is to do for each model; parts of which there is none are left out. Heaviest first. The
    same answer comes of the same question.
    """
    groups = _together(work, ties)
    weights = {first: sum(work[model] for model in group) for first, group in groups.items()}
    heaviest = sorted((first for first in groups if weights[first]), key=lambda first: (-weights[first], first))
    parts: list[list[ModelId]] = [[] for _ in range(min(most, len(heaviest)))]
    loads = [0] * len(parts)
    for first in heaviest:
        lightest = loads.index(min(loads))
        parts[lightest] += groups[first]
        loads[lightest] += weights[first]
    return tuple(tuple(sorted(part)) for part in parts)


def _together(models: Collection[ModelId], ties: Iterable[Collection[ModelId]]) -> dict[ModelId, list[ModelId]]:
    """Return the models in groups, each by one of them, so that no tie is cut."""
    leads = {model: model for model in models}

    def lead(model: ModelId) -> ModelId:
        while leads[model] != model:
            leads[model] = leads[leads[model]]
            model = leads[model]
        return model

    for tie in ties:
        found = {lead(model) for model in tie if model in leads}
        if found:
            leads |= dict.fromkeys(found, min(found))
    groups: dict[ModelId, list[ModelId]] = {}
    for model in sorted(models):
        groups.setdefault(lead(model), []).append(model)
    return groups


def _kept(result: NodeResult) -> PartResult:
    """Return a result as it is kept."""
    fine = result.status in {ResultStatus.SUCCESS, ResultStatus.PASS}
    return PartResult(
        id=result.id,
        status=result.status,
        started_at=result.started_at,
        completed_at=result.completed_at,
        message="" if fine else result.message[:_LONGEST_MESSAGE],
    )
