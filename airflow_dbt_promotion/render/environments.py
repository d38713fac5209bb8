"""What is to be known of an environment as a whole: its hold, its blocks, what it can go back to; as a document and in
sentences.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from airflow_dbt_promotion.core.identity import ModelId, bare_name, short
from airflow_dbt_promotion.core.instants import Instant
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.stops import Block
from airflow_dbt_promotion.render.remedies import moment

_MOST_BLOCKS = 12


class HoldDocument(Struct, frozen=True, kw_only=True):
    """Nothing is promoted until somebody lifts it; `plan_id` is the rollback that set it, or null."""

    at: Instant
    actor: str
    reason: str
    plan_id: str | None


class FreezeDocument(Struct, frozen=True, kw_only=True):
    """Nothing is promoted until `until`, or by hand where that is null; it is over once that is past."""

    at: Instant
    actor: str
    reason: str
    until: Instant | None


class BlockDocument(Struct, frozen=True, kw_only=True):
    """A version that may not come in again; `plan_id` is the rollback that left it, or null."""

    unique_id: str
    version: str
    at: Instant
    actor: str
    reason: str
    plan_id: str | None


class EnvironmentDocument(Struct, frozen=True, kw_only=True):
    """One environment as a whole. `whole` is false while a promotion has gone only part of the way into it.

    `checkpoints` is how many there are to go back to, `newest_checkpoint` the id of the newest.
    """

    environment: str
    whole: bool
    hold: HoldDocument | None
    freeze: FreezeDocument | None
    blocks: tuple[BlockDocument, ...]
    checkpoints: int
    newest_checkpoint: str | None
    newest_checkpoint_at: Instant | None


def environment_document(state: EnvironmentState) -> EnvironmentDocument:
    """Return an environment as a whole."""
    hold, freeze, newest = state.hold, state.freeze, next(iter(state.checkpoints), None)
    return EnvironmentDocument(
        environment=state.environment,
        whole=state.unfinalized is None,
        hold=None
        if hold is None
        else HoldDocument(at=hold.at, actor=hold.actor, reason=hold.reason, plan_id=hold.plan_id),
        freeze=None
        if freeze is None
        else FreezeDocument(at=freeze.at, actor=freeze.actor, reason=freeze.reason, until=freeze.until),
        blocks=tuple(
            BlockDocument(
                unique_id=model,
                version=block.version,
                at=block.at,
                actor=block.actor,
                reason=block.reason,
                plan_id=block.plan_id,
            )
            for model, blocks in sorted(state.blocks.items())
            for block in blocks
        ),
        checkpoints=len(state.checkpoints),
        newest_checkpoint=newest.id if newest is not None else None,
        newest_checkpoint_at=newest.at if newest is not None else None,
    )


def stops_told(state: EnvironmentState) -> tuple[str, ...]:
    """Return what people, or a rollback, stopped in an environment, and how it is lifted."""
    found, name = [], state.environment
    if (hold := state.hold) is not None:
        lift = f"`dbt-promote release --environment {name} --reason TEXT` lifts that"
        found.append(
            f"Held since {moment(hold.at)} by {hold.actor}: {hold.reason}. Nothing is promoted into it; {lift}."
        )
    if state.blocks:
        lift = f"`dbt-promote unblock --environment {name} --reason TEXT` lifts that"
        found.append(f"Blocked: {_blocked(state.blocks)}; {lift}.")
    return tuple(found)


def checkpoints_told(state: EnvironmentState) -> tuple[str, ...]:
    """Return what an environment can go back to, in a sentence; nothing where there is nothing."""
    if not state.checkpoints:
        return ()
    whole = [checkpoint for checkpoint in state.checkpoints if checkpoint.whole]
    if not whole:
        return (
            f"No checkpoint to go back to: before {moment(state.checkpoints[0].at)} it held nothing, or was not whole.",
        )
    many = "1 checkpoint" if len(whole) == 1 else f"{len(whole)} checkpoints"
    return (f"{many} to go back to; the newest is {whole[0].id}, of {moment(whole[0].at)}.",)


def _blocked(blocks: Mapping[ModelId, tuple[Block, ...]]) -> str:
    """Return the blocked versions for a sentence, each with its reason."""
    told = [
        f"{bare_name(model)} {short(block.version)} (by {block.actor}: {block.reason})"
        for model, found in sorted(blocks.items())
        for block in found
    ]
    more = f" and {len(told) - _MOST_BLOCKS} more" if len(told) > _MOST_BLOCKS else ""
    return ", ".join(told[:_MOST_BLOCKS]) + more
