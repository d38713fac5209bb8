"""Why a model may go or not: every gate with its answer, what would change it, and the facts that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.eligibility import GateName, Status, Verdict
from airflow_dbt_promotion.core.identity import ModelId, TestId, bare_name, short
from airflow_dbt_promotion.core.instants import readable
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.core.state import Entry, EnvironmentState, Evidence, TestStatus
from airflow_dbt_promotion.core.status import Drifted, drifted
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.drift import DriftDocument, drift_document
from airflow_dbt_promotion.render.remedies import Ends, moment, remedy, when
from airflow_dbt_promotion.render.table import Cell, Column, Page, Tone, table
from airflow_dbt_promotion.render.telling import listed, versions
from airflow_dbt_promotion.render.text import STATUSES


class Why(Struct, frozen=True, kw_only=True):
    """What is asked of one model: the plan for it alone, the documents of both ends, and its source's answers where it
    is no change.

    `asked` is the name as it was given.
    """

    asked: str
    plan: Plan
    source: EnvironmentState | None
    target: EnvironmentState | None
    standing: tuple[Verdict, ...] = ()

    @property
    def change(self) -> Change | None:
        """The change that the model would be, None where the target holds it already or nothing is known."""
        return self.plan.changes[0] if self.plan.changes else None

    @property
    def model(self) -> ModelId | None:
        """The model, where it is known."""
        if self.change is not None:
            return self.change.model
        return self.plan.already_current[0] if self.plan.already_current else None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Every gate's answer, the plan's own first."""
        return (*self.plan.verdicts, *(self.change.verdicts if self.change is not None else self.standing))

    @property
    def name(self) -> str:
        """The bare name."""
        return bare_name(self.model) if self.model is not None else self.asked

    @property
    def ends(self) -> Ends:
        """Both environments and the present instant."""
        return Ends(source=self.plan.source, target=self.plan.target, now=self.plan.computed_at)


class AnswerDocument(Struct, frozen=True, kw_only=True):
    """One gate's answer, with what would change it; `remedy` is null where the gate is open."""

    gate: GateName
    status: Status
    code: str
    reason: str
    eligible_at: Instant | None
    remedy: str | None


class HoldingDocument(Struct, frozen=True, kw_only=True):
    """What one environment holds of the model. `stale_since`: a parent moved and it was not built since."""

    environment: str
    version: str
    since: Instant
    origin: str
    by: str
    stale_since: Instant | None


class EvidenceDocument(Struct, frozen=True, kw_only=True):
    """What runs in the source have proven of the version: the first complete pass since it last failed, the newest, how
    many since it entered.
    """

    built_at: Instant | None
    first_pass: Instant | None
    last_pass: Instant | None
    runs: int
    missing_tests: tuple[str, ...]
    failed_tests: tuple[str, ...]
    warned: bool
    failed_at: Instant | None
    failure: str | None


class FailureInTargetDocument(Struct, frozen=True, kw_only=True):
    """The newest failure of the version in the target, which no complete pass there has followed."""

    failed_at: Instant
    failure: str | None


class WhyDocument(Struct, frozen=True, kw_only=True):
    """Why one model may go to the target, or not. `change` is null where the target holds it already, or where nothing
    is known of it.
    """

    schema_version: int
    unique_id: str | None
    name: str
    source_environment: str
    target_environment: str
    may_go: bool
    already_current: bool
    change: ChangeKind | None
    from_version: str | None
    to_version: str | None
    eligible_at: Instant | None
    verdicts: tuple[AnswerDocument, ...]
    held_by_source: HoldingDocument | None
    held_by_target: HoldingDocument | None
    evidence: EvidenceDocument | None
    failed_in_target: FailureInTargetDocument | None
    drift: DriftDocument | None


def document(why: Why) -> dict[str, object]:
    """Return the answer as JSON-able values."""
    change, found, failure, drift = why.change, _evidence(why), _failure(why), _drift(why)
    return builtins(
        WhyDocument(
            schema_version=SCHEMA_VERSION,
            unique_id=why.model,
            name=why.name,
            source_environment=why.plan.source,
            target_environment=why.plan.target,
            may_go=change is not None and why.plan.allowed,
            already_current=bool(why.plan.already_current),
            change=change.kind if change is not None else None,
            from_version=change.from_version if change is not None else None,
            to_version=change.to_version if change is not None else None,
            eligible_at=why.plan.eligible_at,
            verdicts=tuple(_answer(verdict, why.ends) for verdict in why.verdicts),
            held_by_source=_holding(why.source, why.model),
            held_by_target=_holding(why.target, why.model),
            evidence=None
            if found is None
            else EvidenceDocument(
                built_at=found.built_at,
                first_pass=found.first_pass,
                last_pass=found.last_pass,
                runs=found.runs,
                missing_tests=tuple(test for test in found.missing if test not in failing_tests(found)),
                failed_tests=failing_tests(found),
                warned=found.warned,
                failed_at=found.failed_at,
                failure=found.failure,
            ),
            failed_in_target=None
            if failure is None or failure.failed_at is None
            else FailureInTargetDocument(failed_at=failure.failed_at, failure=failure.failure),
            drift=None if drift is None else drift_document(drift),
        )
    )


def text(why: Why, page: Page) -> str:
    """Return the answer as text."""
    tone = Tone.GOOD_BOLD if why.plan.allowed else Tone.WAIT_BOLD
    lines = [page.paint(line, tone) for line in page.paragraph(_headline(why))]
    for verdict in why.verdicts:
        answer = page.paint(f"{verdict.gate.value}: {verdict.status.value}", STATUSES[verdict.status])
        lines += ["", f"  {answer} ({verdict.code})", *page.paragraph(verdict.reason, "    ")]
        told = remedy(verdict, why.ends)
        lines += page.paragraph(told, "    => ", "       ") if told is not None else []
    facts = table(
        page,
        (Column(title="fact"), Column(title="", least=24)),
        [[Cell(what, Tone.DIM), said] for what, said in _facts(why).items()],
    )
    return "\n".join([*lines, "", *facts[1:]]).rstrip() + "\n"


def as_markdown(why: Why) -> str:
    """Return the answer as markdown."""
    rows = [
        (
            verdict.gate.value,
            markdown.gate([verdict]) or verdict.code,
            markdown.escaped(verdict.reason),
            markdown.escaped(remedy(verdict, why.ends) or ""),
        )
        for verdict in why.verdicts
    ]
    facts = "\n".join(f"- {what}: {markdown.escaped(said)}" for what, said in _facts(why).items())
    blocks = [
        f"## {markdown.code(why.name, cell=False)}: {why.plan.source} to {why.plan.target}",
        markdown.escaped(_headline(why)),
        *([markdown.grid(("gate", "answer", "why", "what would change it"), rows)] if rows else []),
        *([facts] if facts else []),
    ]
    return "\n\n".join(blocks) + "\n"


def _headline(why: Why) -> str:
    """Return the answer in one sentence."""
    plan = why.plan
    if plan.already_current:
        return f"{why.name}: {plan.target} holds what {plan.source} has already; nothing is to be done."
    if plan.allowed:
        return f"{why.name} may go from {plan.source} to {plan.target} now."
    soonest = f"; it could at {when(plan.eligible_at, why.ends.now)}" if plan.eligible_at is not None else ""
    return f"{why.name} may not go from {plan.source} to {plan.target} now{soonest}."


def _facts(why: Why) -> Mapping[str, str]:
    """Return what the answers rest on, by what it is."""
    found: dict[str, str] = {}
    if why.change is not None:
        found["change"] = f"{why.change.kind.value}, {versions(why.change)}"
    for name, state in ((why.plan.source, why.source), (why.plan.target, why.target)):
        if (entry := _entry(state, why.model)) is not None:
            found[f"in {name}"] = _held(entry, why.ends.now)
    if (proven := _evidence(why)) is not None:
        found |= _proven(proven)
    if parents := _failed_parents(why):
        found["failed parents"] = listed(list(parents))
    if (failure := _failure(why)) is not None and failure.failed_at is not None:
        told = f"{moment(failure.failed_at)}, {failure.failure}" if failure.failure else moment(failure.failed_at)
        found[f"failed in {why.plan.target}"] = f"{told}; mend what it met there before it goes again"
    if (drift := _drift(why)) is not None:
        found["drift"] = _drifted(drift)
    if why.plan.stale_after:
        found["left behind"] = listed([bare_name(model) for model in why.plan.stale_after])
    if why.plan.exposures:
        found["reaches"] = listed([exposure.label or exposure.name for exposure in why.plan.exposures])
    return found


def _held(entry: Entry, now: datetime) -> str:
    """Return what an environment holds."""
    ended = (
        f"; its stay ended {moment(entry.stale_since)}, when a parent moved" if entry.stale_since is not None else ""
    )
    since = f"since {moment(entry.since)} ({readable(now - entry.since)})"
    return f"{short(entry.version)} {since}, by {entry.origin.value} {short(entry.by)}{ended}"


def _proven(found: Evidence) -> dict[str, str]:
    """Return what runs have proven."""
    told = {
        "last build": found.built_at,
        "first pass": found.first_pass,
        "last pass": found.last_pass,
        "last failure": found.failed_at,
    }
    facts = {what: moment(instant) for what, instant in told.items() if instant is not None}
    if found.failed_at is not None and found.failure:
        facts["last failure"] += f", {found.failure}"
    facts["runs since entry"] = str(found.runs)
    if failing := failing_tests(found):
        facts["failed tests"] = listed(list(failing))
    if missing := tuple(test for test in found.missing if test not in failing):
        facts["missing tests"] = listed(list(missing))
    return facts


def failing_tests(found: Evidence) -> tuple[TestId, ...]:
    """Return the required tests whose newest result is a failure."""
    return tuple(sorted(test for test, one in found.outcomes.items() if one.status is TestStatus.FAIL))


def _failed_parents(why: Why) -> tuple[str, ...]:
    """Return the parents in the source whose newest evidence is a failure, each with what failed."""
    entry, state = _entry(why.source, why.model), why.source
    if state is None or entry is None:
        return ()
    told = []
    for parent in sorted(entry.parents):
        newest = next(iter(state.evidence.get(parent, ())), None)
        if newest is not None and ledger.revoked(newest):
            told.append(f"{bare_name(parent)} ({newest.failure})")
    return tuple(told)


def _evidence(why: Why) -> Evidence | None:
    """Return the source's evidence for the version that would go, or that both hold."""
    return _proof(why, why.source)


def _failure(why: Why) -> Evidence | None:
    """Return the target's evidence for that version, where it failed there and has not passed since."""
    found = _proof(why, why.target)
    return found if found is not None and ledger.revoked(found) else None


def _proof(why: Why, state: EnvironmentState | None) -> Evidence | None:
    """Return one environment's evidence for the version that would go, or that both hold."""
    change, entry = why.change, _entry(why.source, why.model)
    version = change.to_version if change is not None else entry.version if entry is not None else None
    if state is None or why.model is None or version is None:
        return None
    return ledger.of_version(state, why.model, version)


def _drift(why: Why) -> Drifted | None:
    """Return what others built of the model in the target."""
    if why.target is None or why.model is None:
        return None
    return next(iter(drifted(why.target, (why.model,))), None)


def _drifted(drift: Drifted) -> str:
    """Return the drift of the model, and what can be done about it."""
    built = f"{short(drift.version)} was built in {drift.environment} by run {short(drift.by)}, {moment(drift.seen_at)}"
    if drift.promoted is None:
        return f"{built}, and was never promoted; promote it, or drop it"
    return f"{built}, and was never promoted; `dbt-promote run --environment {drift.environment}` builds what was"


def _entry(state: EnvironmentState | None, model: ModelId | None) -> Entry | None:
    """Return what an environment holds of a model."""
    return state.current.get(model) if state is not None and model is not None else None


def _answer(verdict: Verdict, ends: Ends) -> AnswerDocument:
    """Return a gate's answer with what would change it."""
    return AnswerDocument(
        gate=verdict.gate,
        status=verdict.status,
        code=verdict.code,
        reason=verdict.reason,
        eligible_at=verdict.eligible_at,
        remedy=remedy(verdict, ends),
    )


def _holding(state: EnvironmentState | None, model: ModelId | None) -> HoldingDocument | None:
    """Return what an environment holds."""
    entry = _entry(state, model)
    if state is None or entry is None:
        return None
    return HoldingDocument(
        environment=state.environment,
        version=entry.version,
        since=entry.since,
        origin=entry.origin.value,
        by=entry.by,
        stale_since=entry.stale_since,
    )
