"""A promotion: the legal moves of a document from the beginning of a plan to its end.

begin: journal `in_progress`, bypasses on record -> settle: `current` advances for what was built and passed -> the
journal is closed

An attempt that died leaves the journal open: a later one of the same run begins where it is, another one makes history
of it.

Each move takes a document and returns one; writing them, with compare-and-set, is the engine's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.candidates import with_releases
from airflow_dbt_promotion.core.change import BUILT, Change, ChangeKind
from airflow_dbt_promotion.core.checkpoints import KEPT, abandoned, replaced, take, without
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId, bare_name
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.recording import Entering, record
from airflow_dbt_promotion.core.relations import KeptRelation
from airflow_dbt_promotion.core.results import Built, results_of
from airflow_dbt_promotion.core.state import (
    Bypass,
    Entry,
    EntryOrigin,
    EnvironmentState,
    Journal,
    Part,
    PromotedModel,
    PromotionOutcome,
    PromotionRecord,
    Unfinalized,
)
from airflow_dbt_promotion.core.stays import end_stale, enter, leave


class Attempt(Struct, frozen=True, kw_only=True):
    """One attempt at carrying a plan out.

    `actor` is who, `link` where a person can look at it (the Airflow run, the CI job), `run` what later attempts at the
    same work have in common with this one, and `epoch` is that of the lock. `soak` and `runs` are what was asked for on
    top of policy. `resumes`: whatever promotion is open is carried on, whoever began it. `beside`, `kept` and `aside`
    are the relations that it makes. `opens`: another task of the run finishes it, once `parts` are built by themselves.
    """

    actor: str
    link: str | None = None
    run: str | None = None
    epoch: int = 0
    soak: timedelta | None = None
    runs: int | None = None
    resumes: bool = False
    beside: Mapping[ModelId, Place] = {}
    kept: Mapping[ModelId, KeptRelation] = {}
    aside: Mapping[ModelId, Place] = {}
    opens: bool = False
    parts: Mapping[str, Part] = {}


class Ending(Struct, frozen=True, kw_only=True):
    """How a promotion ended: the document, the outcome, and what became of each model."""

    state: EnvironmentState
    outcome: PromotionOutcome
    models: Mapping[ModelId, PromotedModel]
    message: str


def begin(state: EnvironmentState, plan: Plan, attempt: Attempt, now: datetime, keep: int) -> EnvironmentState:
    """Return the document of a target in which a plan has begun: its intent and its bypasses are on record before
    anything is done.

    A journal of the same plan that an earlier attempt of the same run left is carried on.
    """
    before = state.journal
    if before is not None and before.plan_id == plan.plan_id and is_carried_on(before, attempt):
        going_on = replace(
            before,
            epochs=(*before.epochs, attempt.epoch),
            link=attempt.link or before.link,
            beside={**before.beside, **attempt.beside},
            kept={**attempt.kept, **before.kept},
            aside={**attempt.aside, **before.aside},
        )
        return replace(state, journal=going_on)
    state = buried(state, now, keep)
    made = (*attempt.beside.values(), *attempt.aside.values(), *(old.place for old in attempt.kept.values()))
    state = without(state, made)
    reason = plan.choices.reason or ""
    versions = {change.model: change.after.version for change in plan.changes if change.after is not None}
    bypasses = tuple(
        Bypass(kind=kind, at=now, actor=attempt.actor, reason=reason, plan_id=plan.plan_id, models=versions)
        for kind in sorted(plan.choices.bypasses, key=lambda kind: kind.value)
    )
    journal = Journal(
        plan_id=plan.plan_id,
        actor=attempt.actor,
        started_at=now,
        source=plan.source,
        strategy=plan.strategy.value,
        models={change.model: _told(change, "planned") for change in plan.changes},
        link=attempt.link,
        run=attempt.run,
        epochs=(attempt.epoch,),
        choices=plan.choices,
        soak=attempt.soak,
        runs=attempt.runs,
        rests_on=plan.rests_on,
        rows=plan.rows,
        rollback_to=plan.rollback_to,
        approved_by=plan.approved_by,
        beside=attempt.beside,
        kept=attempt.kept,
        aside=attempt.aside,
        opened=attempt.opens,
        parts=attempt.parts,
    )
    return replace(state, journal=journal, bypasses=(*state.bypasses, *bypasses))


def is_carried_on(journal: Journal, attempt: Attempt) -> bool:
    """Say whether an attempt is one at the promotion that a journal tells of."""
    return attempt.resumes or (attempt.run is not None and journal.run == attempt.run)


def settle(
    state: EnvironmentState, plan: Plan, built: Built, now: datetime, keep: int, checkpoints: int = KEPT
) -> Ending:
    """Return the document after a plan was carried out: only what was built and passed advances.

    For `record` (no runs) every change advances. What somebody else moved meanwhile, past this plan, does not. Children
    left on an older parent, and changes that did not advance, leave the environment unfinalized. Where `current`
    changed, what it was is a checkpoint, of which so many are kept; a rollback takes them away by itself.
    """
    before, journal = state, _begun(state)
    results = results_of(state, plan, built)
    advanced = {model for model, result in results.items() if result == "advanced"}
    state = _advance(state, plan, built, advanced, now)
    models = {
        change.model: _told(
            change,
            "removed" if change.kind is ChangeKind.REMOVED and change.model in advanced else results[change.model],
        )
        for change in plan.changes
    }
    left = [bare_name(model) for model, told in models.items() if told.result in {"failed", "skipped"}]
    outcome = PromotionOutcome.FAILED if left else PromotionOutcome.PROMOTED
    message = ""
    if left:
        message = f"{len(left)} of {len(models)} did not advance: {', '.join(left[:8])}" + (
            f"; {built.words[0]}" if built.words else ""
        )
    if not built.is_unseen(plan):
        state = replace(state, unfinalized=_unfinalized(state, plan, advanced, models, now))
    keep_back = checkpoints if plan.rollback_to is None else len(before.checkpoints) + 1
    state = take(before, state, journal, now, keep_back)
    state = abandoned(state, journal, now) if left else state
    return _ended(state, Ending(state=state, outcome=outcome, models=models, message=message), now, keep)


def abort(state: EnvironmentState, message: str, now: datetime, keep: int, *, touched: bool) -> EnvironmentState:
    """Return the document after the machine broke in the middle: nothing advanced, the attempt is history as errored.

    `touched` says that the warehouse may hold part of it: the environment is then left unfinalized. The relations that
    it made are left over.
    """
    journal = state.journal
    if journal is None:
        return state
    state = replaced(abandoned(state, journal, now), journal, now)
    if touched:
        why = "the promotion broke off; the warehouse may hold part of it"
        before = state.unfinalized.models if state.unfinalized is not None else ()
        models = tuple(sorted({*journal.models, *before}))
        state = replace(state, unfinalized=Unfinalized(plan_id=journal.plan_id, since=now, models=models, why=why))
    ending = Ending(state=state, outcome=PromotionOutcome.ERRORED, models=journal.models, message=message)
    return _ended(state, ending, now, keep).state


def _begun(state: EnvironmentState) -> Journal:
    """Return the journal of a promotion that has begun; anything else is a broken contract."""
    if state.journal is None:
        raise ValueError("a promotion goes on, and ends, only after it has begun")
    return state.journal


def _told(change: Change, result: str) -> PromotedModel:
    """Return a change as history tells it."""
    return PromotedModel(
        change=change.kind.value, from_version=change.from_version, to_version=change.to_version, result=result
    )


def buried(state: EnvironmentState, now: datetime, keep: int) -> EnvironmentState:
    """Make history of an attempt whose owner died: the lock is ours, and what we do next makes an end of it."""
    touched = state.journal is not None and state.journal.strategy != Strategy.RECORD.value
    return abort(state, "interrupted: the process ended before it could say how", now, keep, touched=touched)


def _ended(state: EnvironmentState, ending: Ending, now: datetime, keep: int) -> Ending:
    """Close the journal and make the attempt history, newest first."""
    journal = _begun(state)
    entry = PromotionRecord(
        plan_id=journal.plan_id,
        outcome=ending.outcome,
        source=journal.source,
        strategy=journal.strategy,
        actor=journal.actor,
        started_at=journal.started_at,
        finished_at=max(now, journal.started_at),
        models=ending.models,
        message=ending.message,
        reason=_reason(state, journal),
        link=journal.link,
        run=journal.run,
        attempts=_attempts(journal),
        rollback_to=journal.rollback_to,
        approved_by=journal.approved_by,
    )
    return replace(ending, state=replace(state, journal=None, history=(entry, *state.history)[:keep]))


def _attempts(journal: Journal) -> int:
    """Return how often a promotion was begun; to finish what was opened is no beginning."""
    return max(len(journal.epochs) - journal.opened, 1)


def _reason(state: EnvironmentState, journal: Journal) -> str | None:
    """Return why gates were gone around, or why it was gone back; None where nobody had to say."""
    if journal.rollback_to is not None:
        return journal.choices.reason
    began = (journal.plan_id, journal.started_at)
    return next((bypass.reason for bypass in state.bypasses if (bypass.plan_id, bypass.at) == began), None)


def _advance(
    state: EnvironmentState, plan: Plan, built: Built, advanced: Collection[ModelId], now: datetime
) -> EnvironmentState:
    """Move `current` to what the plan says for everything that advanced, with the evidence of the runs."""
    moving = {change.model: change for change in plan.changes if change.model in advanced}
    if built.release is not None and built.runs:
        state = enter(state, _there(state, moving, plan, built))
        only = frozenset(model for model, change in moving.items() if change.kind in BUILT)
        entering = Entering(only=only, origin=EntryOrigin.PROMOTION, by=plan.plan_id)
        state = record(state, built.release, built.proof(plan), entering, built.others).state
    entries: dict[ModelId, Entry] = {}
    told: dict[ModelId, Entry] = {}
    for model, change in moving.items():
        held, after = state.current.get(model), change.after
        if after is None:
            continue
        if held is not None and _stands(held, after):
            told[model] = replace(held, tests=after.tests, meta=after.meta, release=_release(change, built))
        else:
            entries[model] = _fresh(change, after, plan, built, now)
    standing = {model: release for model, release in built.aligned.items() if model not in moving}
    state = with_releases(enter(state, entries), standing)
    drift = {model: seen for model, seen in state.drift.items() if model not in moving}
    state = replace(state, current={**state.current, **told}, drift=drift)
    for model, change in moving.items():
        if change.kind is ChangeKind.REMOVED and model in state.current:
            state = leave(state, model, now)
    return end_stale(state, now)[0]


def _there(state: EnvironmentState, moving: Mapping[ModelId, Change], plan: Plan, built: Built) -> dict[ModelId, Entry]:
    """Return the entries of what nothing had to be built of: it was there when the last run ended, which may have built
    its children.
    """
    at = built.runs[-1].finished_at
    entries = {}
    for model in built.there & moving.keys():
        held, after = state.current.get(model), moving[model].after
        if after is not None and (held is None or not _stands(held, after)):
            entries[model] = _fresh(moving[model], after, plan, built, at)
    return entries


def _stands(held: Entry, after: Entry) -> bool:
    """Say whether a version is held already, on the parents that it names."""
    return held.version == after.version and held.stale_since is None


def _fresh(change: Change, after: Entry, plan: Plan, built: Built, at: datetime) -> Entry:
    """Return the entry of a version that enters by a plan."""
    return replace(
        after,
        since=at,
        origin=EntryOrigin.PROMOTION,
        by=plan.plan_id,
        stale_since=None,
        release=_release(change, built),
    )


def _release(change: Change, built: Built) -> ReleaseId | None:
    """Return the kept sources of a version that went: those that it came from, else those that it was built from."""
    kept = change.after.release if change.after is not None else None
    return kept or (built.release.id if built.release is not None else None)


def _unfinalized(
    state: EnvironmentState,
    plan: Plan,
    advanced: Collection[ModelId],
    models: Mapping[ModelId, PromotedModel],
    now: datetime,
) -> Unfinalized | None:
    """Return why the environment is not whole, None where it is."""
    before = state.unfinalized
    still = set(before.models) - set(advanced) if before is not None else set()
    left = {model for model, told in models.items() if told.result in {"failed", "skipped"}}
    stale = {
        model for model in plan.stale_after if model in state.current and state.current[model].stale_since is not None
    }
    if not still | left | stale:
        return None
    why = (
        "a promotion went only part of the way"
        if left
        else "children stand on an older parent"
        if stale
        else (before.why if before else "")
    )
    fresh = left | stale
    return Unfinalized(
        plan_id=plan.plan_id if fresh or before is None else before.plan_id,
        since=now if fresh or before is None else before.since,
        models=tuple(sorted(still | fresh)),
        why=why,
    )
