"""Every instant of a document, and the document with all of them in UTC."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from msgspec import Struct

from airflow_dbt_promotion.core.instants import utc
from airflow_dbt_promotion.core.state import Entry, EnvironmentState, Lock, Part


def instants(state: EnvironmentState) -> Iterator[datetime | None]:
    """Yield every instant of a document."""
    for entry in state.current.values():
        yield from _of_entry(entry)
    for stays in state.stays.values():
        for stay in stays:
            yield stay.entered_at
            yield stay.left_at
            yield stay.counts_from
    for ledgers in state.evidence.values():
        for evidence in ledgers:
            yield from (evidence.built_at, evidence.settled, evidence.failed_at)
            yield from (evidence.first_pass, evidence.last_pass, evidence.counts_from, evidence.recorded_at)
            for outcome in evidence.outcomes.values():
                yield outcome.at
    yield from (drift.seen_at for drift in state.drift.values())
    yield from (bypass.at for bypass in state.bypasses)
    for record in state.history:
        yield from (record.started_at, record.finished_at)
    yield from (unlocking.at for unlocking in state.unlocks)
    if state.journal is not None:
        yield state.journal.started_at
        yield from (relation.rows_at for relation in state.journal.kept.values())
        yield from (instant for part in state.journal.parts.values() for instant in _of_part(part))
    yield from _of_lock(state.lock)
    yield state.unfinalized.since if state.unfinalized else None
    yield from _of_stops(state)


def _of_entry(entry: Entry) -> Iterator[datetime | None]:
    """Yield every instant of an entry."""
    yield from (entry.since, entry.stale_since, entry.counts_from)


def _of_part(part: Part) -> Iterator[datetime | None]:
    """Yield every instant of a part of a promotion."""
    yield from _of_lock(part.lock)
    if part.end is not None:
        yield from (part.end.started_at, part.end.finished_at)
        yield from (instant for one in part.end.results for instant in (one.started_at, one.completed_at))


def _of_lock(lock: Lock | None) -> Iterator[datetime]:
    """Yield every instant of a lock."""
    if lock is not None:
        yield from (lock.acquired_at, lock.heartbeat_at, lock.expires_at)


def _of_stops(state: EnvironmentState) -> Iterator[datetime | None]:
    """Yield every instant of checkpoints, stops, leftovers and approvals."""
    for checkpoint in state.checkpoints:
        yield checkpoint.at
        for entry in checkpoint.before.values():
            yield from () if entry is None else _of_entry(entry)
        yield from (relation.rows_at for relation in checkpoint.kept.values())
    yield from (block.at for blocks in state.blocks.values() for block in blocks)
    yield state.hold.at if state.hold else None
    yield from (instant for one in state.interventions for instant in (one.at, one.until))
    yield from (leftover.since for leftover in state.leftovers)
    if state.freeze is not None:
        yield from (state.freeze.at, state.freeze.until)
    for approval in state.approvals:
        yield approval.requested_at
        yield from (vote.at for vote in approval.votes)
    yield from (rejection.at for several in state.rejections.values() for rejection in several)


def in_utc(state: EnvironmentState) -> EnvironmentState:
    """Return the state with plain instants in UTC; nearly always they are already, and then nothing is copied."""
    if all(instant is None or (instant.tzinfo is UTC and type(instant) is datetime) for instant in instants(state)):
        return state
    moved = _moved(state)
    assert isinstance(moved, EnvironmentState)  # noqa: S101 - for the type checker; a struct stays one of its kind
    return moved


def _moved(value: object) -> object:
    """Return a value with every instant in it as a plain one in UTC."""
    match value:
        case datetime():
            there = utc(value)
            return datetime.combine(there.date(), there.time(), UTC)
        case Struct():
            return type(value)(**{name: _moved(getattr(value, name)) for name in value.__struct_fields__})
        case dict():
            return {key: _moved(inner) for key, inner in value.items()}
        case tuple():
            return tuple(_moved(inner) for inner in value)
        case _:
            return value
