"""Rolling back: the plan of a new promotion whose source is a checkpoint of its own target, and what its end leaves.

It goes back to a state that was whole, so it needs no company, no soak and no evidence, and neither a hold nor a block
stops it. What it leaves is blocked, and the environment is held until somebody lifts that.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.braking import Deed, held, rolled_back, with_blocks
from airflow_dbt_promotion.core.change import BUILT, Change, ChangeKind, kind_of
from airflow_dbt_promotion.core.checkpoints import since, standing_at, superseded, with_leftovers, without
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.identity import ModelId, digest_of, short
from airflow_dbt_promotion.core.plan import Plan, plan_id
from airflow_dbt_promotion.core.promotion import Ending
from airflow_dbt_promotion.core.relations import KeptRelation
from airflow_dbt_promotion.core.state import Checkpoint, Entry, EnvironmentState, PromotionOutcome


class How(Enum):
    """How a model goes back: its old relation COMES_BACK, it is BUILT anew from the checkpoint's code, its code alone
    goes back (STATE_ONLY), or it LEAVES, for it was not there; its relation stays then.
    """

    COMES_BACK = "comes_back"
    BUILT = "built"
    STATE_ONLY = "state_only"
    LEAVES = "leaves"


class Way(Struct, frozen=True, kw_only=True):
    """One model's way back: when the rows that come back were built, and what of its data cannot be undone."""

    model: ModelId
    how: How
    rows_at: datetime | None = None
    kept: KeptRelation | None = None
    lasting: str | None = None


class Return(Struct, frozen=True, kw_only=True):
    """A rollback that could be: its plan, the checkpoint that it goes back to, every one that it undoes (newest first,
    the goal last), and the way of each model.
    """

    plan: Plan
    goal: Checkpoint
    undone: tuple[Checkpoint, ...]
    ways: tuple[Way, ...]

    @property
    def kept(self) -> Mapping[ModelId, KeptRelation]:
        """The relations that come back."""
        return {way.model: way.kept for way in self.ways if way.kept is not None}


def way_back(state: EnvironmentState, goal: Checkpoint, choices: Choices, now: datetime) -> Return:
    """Return the plan by which an environment goes back to a checkpoint, as far as its document alone can tell.

    What a promotion left undone, and what others built over what was promoted, is built again, too.
    """
    undone = since(state, goal)
    changes = tuple(_changes(state, standing_at(state, goal.id), choices))
    condition = digest_of([state.lineage, goal.id])
    name = state.environment
    made = Plan(
        plan_id=plan_id(name, name, changes, condition),
        source=name,
        target=name,
        strategy=choices.strategy,
        precondition=condition,
        changes=changes,
        verdicts=() if goal.whole else (_not_whole(state, goal),),
        choices=choices,
        rollback_to=goal.id,
        computed_at=now,
    )
    kept = _kept(changes, undone, choices.strategy)
    ways = tuple(_way(change, kept.get(change.model), choices) for change in changes)
    return Return(plan=made, goal=goal, undone=undone, ways=ways)


def choices_for(strategy: Strategy, on_incremental_change: IncrementalChange, reason: str) -> Choices:
    """Return the choices of a rollback: an incremental model never blocks it, and goes forward where it has to."""
    fresh = on_incremental_change is IncrementalChange.FULL_REFRESH
    return Choices(
        allow_removals=True,
        strategy=strategy,
        on_incremental_change=IncrementalChange.FULL_REFRESH if fresh else IncrementalChange.FORWARD_ONLY,
        reason=reason,
    )


def rebuild(state: EnvironmentState, models: Iterable[ModelId], choices: Choices, now: datetime) -> Plan:
    """Return the plan that builds some models anew where they stand, after their old rows came back."""
    changes = tuple(
        Change(model=model, kind=ChangeKind.UNCHANGED, before=state.current[model], after=state.current[model])
        for model in sorted(models)
        if model in state.current
    )
    name, condition = state.environment, digest_of([state.lineage, "rebuild"])
    return Plan(
        plan_id=plan_id(name, name, changes, condition),
        source=name,
        target=name,
        strategy=choices.strategy,
        precondition=condition,
        changes=changes,
        choices=choices,
        computed_at=now,
    )


def concluded(ending: Ending, before: EnvironmentState, plan: Plan, now: datetime) -> Ending:
    """Return the end of a plan; of a rollback that went all the way with what it leaves behind.

    The versions that were left are blocked, and the environment is held. The checkpoints that were undone are gone, the
    goal among them, so that the next rollback goes back one further; relations that they kept and that did not come
    back are left over, with those that were just replaced.
    """
    if plan.rollback_to is None or ending.outcome is not PromotionOutcome.PROMOTED:
        return ending
    record = ending.state.history[0]
    deed = Deed(at=now, actor=record.actor, reason=record.reason or "", plan_id=plan.plan_id)
    goal = next(one for one in before.checkpoints if one.id == plan.rollback_to)
    back = {kept.place for kept in _kept(plan.changes, since(before, goal), plan.strategy).values()}
    state = replace(_consumed(ending.state, plan.rollback_to, now), unfinalized=None)
    state = without(state, back)
    left = {change.model: change.before.version for change in plan.changes if change.before and _is_left(change)}
    state = rolled_back(state, left, deed)
    state = with_blocks(state, left, deed) if left else state
    return replace(ending, state=held(state, deed))


def _changes(state: EnvironmentState, goal: Mapping[ModelId, Entry], choices: Choices) -> Iterator[Change]:
    """Yield what differs from a checkpoint, and what may not be in the warehouse as the document says."""
    unsure = {*state.drift, *(state.unfinalized.models if state.unfinalized is not None else ())}
    for model in sorted(state.current.keys() | goal.keys()):
        before, after = state.current.get(model), goal.get(model)
        kind = kind_of(before, after)
        if kind is not ChangeKind.UNCHANGED or (model in unsure and choices.strategy.builds):
            yield Change(model=model, kind=kind, before=before, after=after, verdicts=_verdicts(kind, after, choices))


def _verdicts(kind: ChangeKind, after: Entry | None, choices: Choices) -> tuple[Verdict, ...]:
    """Refuse what would have to be built or tested, and whose code was never kept."""
    if after is None or after.release is not None or not choices.strategy.builds:
        return ()
    what = "tested" if kind is ChangeKind.METADATA else "built and tested"
    reason = f"its sources were not kept when it entered, so it cannot be {what} as it was"
    return (blocked(GateName.CODE, "checkpoint_not_kept", reason),)


def _not_whole(state: EnvironmentState, goal: Checkpoint) -> Verdict:
    """Refuse what was not whole then; say whether it was empty, or half of something."""
    what = f"checkpoint {goal.id} is what {state.environment} was until plan {short(goal.by)}"
    why = (
        "a promotion had gone only part of the way then, models stood on an older parent, or a rollback was leaving it"
        if standing_at(state, goal.id)
        else "it held nothing then, so there is nothing to go back to"
    )
    return blocked(GateName.SOURCE, "checkpoint_not_whole", f"{what}: {why}")


def _kept(changes: Iterable[Change], undone: Iterable[Checkpoint], strategy: Strategy) -> dict[ModelId, KeptRelation]:
    """Return the relations that come back: of each built model the one that was kept closest to the goal.

    Where the checkpoint closest to the goal that knows of a model does not keep its relation, no other is as it was.
    """
    if not strategy.swaps:
        return {}
    closest: dict[ModelId, KeptRelation | None] = {}
    for checkpoint in undone:
        closest |= {model: checkpoint.kept.get(model) for model in checkpoint.before}
    found = {change.model: closest.get(change.model) for change in changes if change.kind in BUILT}
    return {model: kept for model, kept in found.items() if kept is not None and not _is_snapshot(model)}


def _way(change: Change, kept: KeptRelation | None, choices: Choices) -> Way:
    """Return one model's way back."""
    model, after = change.model, change.after
    if after is None:
        return Way(model=model, how=How.LEAVES)
    if change.kind is ChangeKind.METADATA or not choices.strategy.builds:
        return Way(model=model, how=How.STATE_ONLY)
    if _is_snapshot(model):
        return Way(model=model, how=How.STATE_ONLY, lasting="a snapshot: its code goes back, its rows stay as they are")
    if kept is not None:
        return Way(model=model, how=How.COMES_BACK, rows_at=kept.rows_at, kept=kept)
    forward = after.incremental and choices.on_incremental_change is not IncrementalChange.FULL_REFRESH
    lasting = "an incremental model: the rows that it has stay, and its old code goes on from there"
    return Way(model=model, how=How.BUILT, lasting=lasting if forward else None)


def _is_snapshot(model: ModelId) -> bool:
    return model.startswith("snapshot.")


def _is_left(change: Change) -> bool:
    """Say whether a version is left: another one, or none, takes its place."""
    return change.before is not None and change.from_version != change.to_version


def _consumed(state: EnvironmentState, goal: str, now: datetime) -> EnvironmentState:
    """Return a document without a checkpoint and all that are newer; the next older one says still what was there."""
    index = next(index for index, checkpoint in enumerate(state.checkpoints) if checkpoint.id == goal)
    gone, older = state.checkpoints[: index + 1], state.checkpoints[index + 1 :]
    if older:
        standing = standing_at(state, older[0].id)
        moved: dict[ModelId, Entry | None] = {model: standing.get(model) for one in gone for model in one.before}
        older = (replace(older[0], before={**moved, **older[0].before}), *older[1:])
    return with_leftovers(replace(state, checkpoints=older), superseded(gone, now))
