"""Telling a promotion in sentences: what text and markdown both say, in the same words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from msgspec import Struct

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.definition import Exposure
from airflow_dbt_promotion.core.eligibility import GateName, Verdict
from airflow_dbt_promotion.core.environment import BypassKind, IncrementalChange, Strategy
from airflow_dbt_promotion.core.identity import ModelId, bare_name, short
from airflow_dbt_promotion.core.instants import readable
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion
from airflow_dbt_promotion.render.remedies import Ends, remedy, when

BYPASSES = {
    BypassKind.SKIP_TESTS: "tests skipped",
    BypassKind.SHORT_SOAK: "soak shorter than policy asks",
    BypassKind.OLDER_VERSION: "a version older than what was there",
    BypassKind.OVERRULE_REJECTION: "a rejection overruled",
    BypassKind.BASELINE: "adopted without a promotion",
}


_ROWS = {
    IncrementalChange.BLOCK: "block it",
    IncrementalChange.FORWARD_ONLY: "stay as they are, and new ones come by the new code",
    IncrementalChange.FULL_REFRESH: "are built anew",
}


def agreed_to(choices: Choices, soak: timedelta | None, rows: Mapping[ModelId, IncrementalChange]) -> tuple[str, ...]:
    """Return the choices that people agree to with a plan, a sentence for each; none where nobody chose anything."""
    said = [_bypass(kind, soak) for kind in sorted(choices.bypasses, key=lambda kind: kind.value)]
    said += [f"Reason: {choices.reason}"] if choices.bypasses else []
    if choices.on_incremental_change is not IncrementalChange.BLOCK:
        said.append(f"Incremental models whose code changed: {choices.on_incremental_change.value}.")
    said += [f"{bare_name(model)}: its rows {_ROWS[chosen]}." for model, chosen in sorted(rows.items())]
    said += ["Removals are allowed."] if choices.allow_removals else []
    said += ["Models downstream may be left on older parents."] if choices.allow_stale_downstream else []
    said += ["What is there already is built anew."] if choices.force else []
    said += ["Nothing is built: state alone is written."] if choices.strategy is Strategy.RECORD else []
    return tuple(said)


def _bypass(kind: BypassKind, soak: timedelta | None) -> str:
    """Return a bypass, with the soak that is left of policy's."""
    left = f" ({readable(soak)})" if kind is BypassKind.SHORT_SOAK and soak is not None else ""
    return f"Bypass: {BYPASSES[kind]}{left}."


class Refusal(Struct, frozen=True, kw_only=True):
    """One reason for which a plan may not go, the models that it holds up (none: the plan as a whole), and what would
    change it.
    """

    gate: GateName
    code: str
    told: tuple[tuple[str | None, str], ...]
    remedy: str | None


def count(number: int, what: str = "model") -> str:
    """Return a number of things: `1 model`, `2 models`."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def listed(names: Sequence[str], most: int = 12) -> str:
    """Return names for a sentence, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def headline(promotion: Promotion) -> str:
    """Return in one sentence how a promotion ended."""
    plan = promotion.plan
    if plan.source == plan.target:
        return _returning(promotion)
    way = f"from {plan.source} to {plan.target}"
    match promotion.outcome:
        case PromotionOutcome.PROMOTED:
            return f"Promoted {count(len(plan.changes))} {way}."
        case PromotionOutcome.PLANNED:
            return f"Dry run: {count(len(plan.changes))} would go {way}. Nothing was changed."
        case PromotionOutcome.NOTHING_TO_DO if plan.held:
            return f"Nothing to do: nothing may go {way} now; held back: {count(len(plan.held))}."
        case PromotionOutcome.NOTHING_TO_DO:
            return f"Nothing to do: what was asked for is in {plan.target} already."
        case PromotionOutcome.REFUSED if promotion.dry_run:
            return f"Refused (dry run): this promotion {way} may not go. Nothing was changed."
        case PromotionOutcome.REFUSED:
            return f"Refused: nothing was promoted {way}."
        case PromotionOutcome.FAILED:
            return _failed(promotion, way)
        case PromotionOutcome.ERRORED:
            return f"Errored: the promotion {way} broke."


def _failed(promotion: Promotion, way: str) -> str:
    """Return in one sentence what a promotion that failed did not do; where all is swapped at once it changed nothing,
    unless something advanced.
    """
    target, models = promotion.plan.target, promotion.models.values()
    left = sum(told.result in {"failed", "skipped"} for told in models)
    said = f"Failed: {left} of {count(len(models))} did not get {way}"
    if promotion.plan.strategy.swaps and all(told.result != "advanced" for told in models):
        return f"{said}; nothing was published, and {target} is as it was."
    return f"{said}; {target} is not whole until they do."


def _returning(promotion: Promotion) -> str:
    """Return in one sentence how a rollback ended, or the rebuilding after one."""
    plan, name, number = promotion.plan, promotion.plan.target, count(len(promotion.plan.changes))
    what = f"checkpoint {plan.rollback_to}" if plan.rollback_to is not None else "fresh rows"
    match promotion.outcome:
        case PromotionOutcome.PROMOTED if plan.rollback_to is None:
            return f"Built {number} of {name} anew, at the versions that it holds."
        case PromotionOutcome.PROMOTED:
            return f"Rolled {name} back to {what}: {number}."
        case PromotionOutcome.PLANNED:
            return f"Dry run: {number} of {name} would go back to {what}. Nothing was changed."
        case PromotionOutcome.NOTHING_TO_DO:
            return f"Nothing to do: {name} is as it was at {what}."
        case PromotionOutcome.REFUSED if promotion.dry_run:
            return f"Refused (dry run): {name} cannot go back to {what}. Nothing was changed."
        case PromotionOutcome.REFUSED:
            return f"Refused: {name} was not taken back to {what}."
        case PromotionOutcome.FAILED:
            left = sum(told.result in {"failed", "skipped"} for told in promotion.models.values())
            return f"Failed: {left} of {number} of {name} did not get to {what}."
        case PromotionOutcome.ERRORED:
            return f"Errored: taking {name} back to {what} broke."


def ends_of(promotion: Promotion) -> Ends:
    """Return the environments of a promotion, and when it was asked for."""
    return Ends(source=promotion.plan.source, target=promotion.plan.target, now=promotion.finished_at)


def refusals(plan: Plan, ends: Ends) -> tuple[Refusal, ...]:
    """Return why a plan may not go, one entry for each gate and code, in the order in which they first occur."""
    groups: dict[tuple[GateName, str], list[tuple[str | None, Verdict]]] = {}
    for model, verdict in plan.refusals:
        groups.setdefault((verdict.gate, verdict.code), []).append(
            (None if model is None else bare_name(model), verdict)
        )
    return tuple(
        Refusal(
            gate=gate,
            code=code,
            told=tuple((name, verdict.reason) for name, verdict in group),
            remedy=remedy(_latest([verdict for _, verdict in group]), ends),
        )
        for (gate, code), group in groups.items()
    )


def eligible(plan: Plan, ends: Ends) -> str | None:
    """Return when the whole plan could go, None where time alone does not tell."""
    return (
        None
        if plan.eligible_at is None
        else f"All of it could go at {when(plan.eligible_at, ends.now)}, if nothing changes."
    )


def shut(change: Change) -> Verdict | None:
    """Return the answer that holds a change back: one that people must lift before one that lifts by itself."""
    closed = [verdict for verdict in change.verdicts if not verdict.passed]
    return min(
        closed, key=lambda verdict: (verdict.status.value != "blocked", verdict.eligible_at is not None), default=None
    )


def put_before_people(held: Sequence[Change], ends: Ends) -> tuple[str, ...]:
    """Return what would let go what is held back for people's approval alone, each remedy once; the other gates' are
    told by `why`.
    """
    answers = [verdict for verdict in map(shut, held) if verdict is not None and verdict.gate is GateName.APPROVAL]
    told = (remedy(verdict, ends) for verdict in answers)
    return tuple(dict.fromkeys(one for one in told if one is not None))


def gates_of(changes: Sequence[Change]) -> tuple[GateName, ...]:
    """Return the gates that were asked of some changes, in their own order."""
    asked = {verdict.gate for change in changes for verdict in change.verdicts}
    return tuple(gate for gate in GateName if gate in asked)


def answers(change: Change, gate: GateName) -> tuple[Verdict, ...]:
    """Return what one gate says of a change: what is shut where anything is, else what is open."""
    found = tuple(verdict for verdict in change.verdicts if verdict.gate is gate)
    return tuple(verdict for verdict in found if not verdict.passed) or found


def versions(change: Change) -> str:
    """Return a change's versions as people see them: `1a2b3c4d -> 9f8e7d6c`, or the one that comes, stays or goes."""
    match change.kind:
        case ChangeKind.ADDED | ChangeKind.METADATA | ChangeKind.UNCHANGED:
            return short(change.to_version)
        case ChangeKind.REMOVED:
            return short(change.from_version)
        case ChangeKind.MODIFIED | ChangeKind.INDIRECT:
            return f"{short(change.from_version)} -> {short(change.to_version)}"


def owner_of(exposure: Exposure) -> str:
    """Return whom to tell of an exposure."""
    email = exposure.owner.email
    address = ", ".join(email) if isinstance(email, list) else email
    return (
        " ".join(part for part in (exposure.owner.name, f"<{address}>" if address else None) if part) or "nobody named"
    )


def notes(promotion: Promotion) -> tuple[str, ...]:
    """Return what else is to be known of a plan: bypasses, what is left behind, tests that run in the target, what is
    there already.
    """
    plan = promotion.plan
    recorded = ", on record" if promotion.outcome in {PromotionOutcome.PROMOTED, PromotionOutcome.FAILED} else ""
    bypasses = sorted(plan.choices.bypasses, key=lambda kind: kind.value)
    found = [f"Bypass{recorded}: {BYPASSES[kind]}. Reason: {plan.choices.reason}" for kind in bypasses]
    if plan.stale_after:
        names = listed([bare_name(model) for model in plan.stale_after])
        found.append(f"Left on an older parent in {plan.target}, which is not whole until they follow: {names}.")
    if plan.tests_in_target:
        number = count(len(plan.tests_in_target), "test")
        found.append(
            f"{number} saw other versions in {plan.source} than in {plan.target}: the promotion runs them there."
        )
    if (verified := promotion.verification) is not None and verified.passed:
        found.append("Verified where readers see it.")
    elif verified is not None and promotion.outcome is PromotionOutcome.PROMOTED:
        found += [f"{word[:1].upper()}{word[1:]}." for word in verified.words]
    if plan.already_current:
        found.append(f"In {plan.target} already: {count(len(plan.already_current))}.")
    return tuple(found)


def _latest(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the answer that opens last."""
    return max(verdicts, key=lambda verdict: verdict.eligible_at.timestamp() if verdict.eligible_at else 0.0)
