"""Checkpoints: what an environment held before each of its last promotions, so that it can be gone back to.

A checkpoint holds what differs between it and the next newer one, the newest what differs between it and `current`: ten
thousand models do not cost a copy for each. So whatever else changes `current` has to be noted in the newest one, which
`noted` does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import NoCheckpointError, UnknownCheckpointError
from airflow_dbt_promotion.core.identity import ModelId, PlanId, digest_of
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import Leftover, LeftoverRole
from airflow_dbt_promotion.core.state import Checkpoint, Entry, EnvironmentState, Journal

KEPT = 3
"""How many checkpoints are kept where nobody says."""

_ID_CHARACTERS = 8


class Turn(Struct, frozen=True, kw_only=True):
    """What changed between a checkpoint and the next newer one: `models` came, went or got another version, of
    `metadata` only tests or descriptions are others.

    A model that only has its sources from another release is in neither: nothing of it would go back.
    """

    checkpoint: Checkpoint
    models: tuple[ModelId, ...]
    metadata: tuple[ModelId, ...]


def take(
    before: EnvironmentState, after: EnvironmentState, journal: Journal, now: datetime, keep: int
) -> EnvironmentState:
    """Return the document after a promotion with a checkpoint of the one before, where `current` changed.

    At the most `keep` are kept. Of a model that did not change, that others had built at another version, or that a
    promotion before left undone, the old relation is not surely what the checkpoint says: it is left over.
    What a rollback left that did not go all the way is never gone back to.
    """
    changed = differing(before.current, after.current)
    unsure = {*before.drift, *(before.unfinalized.models if before.unfinalized is not None else ())}
    kept = {model: old for model, old in journal.kept.items() if model in changed - unsure}
    over = [old for old in _replaced(journal, now) if old.place not in {one.place for one in kept.values()}]
    if not changed:
        return with_leftovers(after, over)
    checkpoint = Checkpoint(
        id=_id(before, journal.plan_id, now),
        at=now,
        by=journal.plan_id,
        actor=journal.actor,
        before={model: before.current.get(model) for model in sorted(changed)},
        kept=kept,
        whole=is_whole(before) and journal.rollback_to is None,
    )
    after = replace(after, checkpoints=(checkpoint, *before.checkpoints))
    return pruned(with_leftovers(after, over), now, keep)


def noted(before: EnvironmentState, after: EnvironmentState) -> EnvironmentState:
    """Return a document, made of the one before, whose newest checkpoint says all that it has to."""
    if not after.checkpoints or before.current is after.current:
        return after
    newest, *older = after.checkpoints
    changed = differing(before.current, after.current)
    missing = {model: before.current.get(model) for model in sorted(changed) if model not in newest.before}
    if not missing:
        return after
    return replace(after, checkpoints=(replace(newest, before={**newest.before, **missing}), *older))


def pruned(state: EnvironmentState, now: datetime, keep: int) -> EnvironmentState:
    """Return the document with its newest checkpoints alone; the relations that the others kept are left over."""
    gone = state.checkpoints[keep:]
    return with_leftovers(replace(state, checkpoints=state.checkpoints[:keep]), superseded(gone, now))


def superseded(checkpoints: Iterable[Checkpoint], now: datetime) -> Iterator[Leftover]:
    """Yield the relations that some checkpoints keep as what nobody needs any more."""
    for checkpoint in checkpoints:
        for model, old in sorted(checkpoint.kept.items()):
            yield _superseded(model, old.place, checkpoint.by, now)


def without(state: EnvironmentState, places: Iterable[Place]) -> EnvironmentState:
    """Return a document whose leftovers are none of some places, which are in use again, or gone."""
    used = set(places)
    left = tuple(leftover for leftover in state.leftovers if leftover.place not in used)
    return replace(state, leftovers=left) if len(left) != len(state.leftovers) else state


def with_leftovers(state: EnvironmentState, found: Iterable[Leftover]) -> EnvironmentState:
    """Return a document with more leftovers: each place once, and none that a checkpoint keeps."""
    kept = {relation.place for checkpoint in state.checkpoints for relation in checkpoint.kept.values()}
    known = kept | {leftover.place for leftover in state.leftovers}
    fresh = {leftover.place: leftover for leftover in found if leftover.place not in known}
    return replace(state, leftovers=(*state.leftovers, *fresh.values())) if fresh else state


def abandoned(state: EnvironmentState, journal: Journal, now: datetime) -> EnvironmentState:
    """Return a document in which the relations are left over that an attempt built beside, and never published."""
    return with_leftovers(
        state,
        (
            Leftover(place=place, model=model, since=now, plan_id=journal.plan_id, role=LeftoverRole.SHADOW)
            for model, place in sorted(journal.beside.items())
        ),
    )


def replaced(state: EnvironmentState, journal: Journal, now: datetime) -> EnvironmentState:
    """Return a document in which the old relations of an attempt are left over, which no checkpoint keeps."""
    return with_leftovers(state, _replaced(journal, now))


def checkpoint_of(state: EnvironmentState, asked: str | None) -> Checkpoint:
    """Return a checkpoint by its id, the newest that is whole where none is named.

    Raises UnknownCheckpointError, NoCheckpointError.
    """
    if asked is None:
        found = next((checkpoint for checkpoint in state.checkpoints if checkpoint.whole), None)
        if found is None:
            raise NoCheckpointError(state.environment, len(state.checkpoints))
        return found
    found = next((checkpoint for checkpoint in state.checkpoints if checkpoint.id == asked), None)
    if found is None:
        raise UnknownCheckpointError(state.environment, asked, [checkpoint.id for checkpoint in state.checkpoints])
    return found


def standing_at(state: EnvironmentState, checkpoint: str) -> Mapping[ModelId, Entry]:
    """Return `current` as it was at a checkpoint. Raises UnknownCheckpointError."""
    goal = checkpoint_of(state, checkpoint)
    standing = dict(state.current)
    for one in since(state, goal):
        for model, entry in one.before.items():
            if entry is None:
                standing.pop(model, None)
            else:
                standing[model] = entry
    return standing


def since(state: EnvironmentState, goal: Checkpoint) -> tuple[Checkpoint, ...]:
    """Return a checkpoint with all that are newer, newest first: what going back to it undoes."""
    return state.checkpoints[: state.checkpoints.index(goal) + 1]


def turns(state: EnvironmentState) -> Iterator[Turn]:
    """Yield what changed since each checkpoint, newest first."""
    standing: dict[ModelId, Entry | None] = dict(state.current)
    for checkpoint in state.checkpoints:
        models, metadata = [], []
        for model, before in sorted(checkpoint.before.items()):
            after = standing.get(model)
            if before is None or after is None or before.version != after.version:
                models += [model] if before is not after else []
            elif before.tests != after.tests or before.meta != after.meta:
                metadata.append(model)
        yield Turn(checkpoint=checkpoint, models=tuple(models), metadata=tuple(metadata))
        standing |= checkpoint.before


def is_whole(state: EnvironmentState) -> bool:
    """Say whether an environment holds something, all of it finalized."""
    stale = any(entry.stale_since is not None for entry in state.current.values())
    return bool(state.current) and state.unfinalized is None and not stale


def differing(before: Mapping[ModelId, Entry], after: Mapping[ModelId, Entry]) -> set[ModelId]:
    """Return the models of which two documents do not say the same."""
    changed = {model for model, entry in after.items() if before.get(model) != entry}
    return changed | (before.keys() - after.keys())


def _replaced(journal: Journal, now: datetime) -> Iterator[Leftover]:
    """Yield the old relations of an attempt, with rows of their own and without."""
    for model, old in sorted(journal.kept.items()):
        yield _superseded(model, old.place, journal.plan_id, now)
    for model, place in sorted(journal.aside.items()):
        yield _superseded(model, place, journal.plan_id, now)


def _superseded(model: ModelId, place: Place, by: PlanId, now: datetime) -> Leftover:
    return Leftover(place=place, model=model, since=now, plan_id=by, role=LeftoverRole.SUPERSEDED)


def _id(state: EnvironmentState, plan_id: PlanId, now: datetime) -> str:
    """Return an id that no checkpoint of the document has."""
    taken = {checkpoint.id for checkpoint in state.checkpoints}
    number = 0
    while (found := digest_of([state.lineage, plan_id, now.isoformat(), number])[:_ID_CHARACTERS]) in taken:
        number += 1
    return found
