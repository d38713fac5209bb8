"""Status: what one environment holds of each model, and how far each is on its way."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from msgspec import Struct

from airflow_dbt_promotion.core.demand import explained
from airflow_dbt_promotion.core.eligibility import (
    Requirement,
    Verdict,
    blocked_version,
    held_environment,
    judge,
    rejected_version,
)
from airflow_dbt_promotion.core.identity import Digest, EnvironmentName, ModelId, PlanId, Version, bare_name
from airflow_dbt_promotion.core.policy import Policy
from airflow_dbt_promotion.core.state import (
    Bypass,
    Entry,
    EntryOrigin,
    EnvironmentState,
    PromotionOutcome,
    PromotionRecord,
)

FAILURES_TOLD = timedelta(days=30)
"""For how long status tells of a model that never was built."""


class LastPromotion(Struct, frozen=True, kw_only=True):
    """The newest promotion into an environment that had a model in it."""

    plan_id: PlanId
    outcome: PromotionOutcome
    result: str
    finished_at: datetime
    actor: str


class ModelStatus(Struct, frozen=True, kw_only=True):
    """One model in one environment. `tests` and `soak` are the verdicts for going on to the next environment; `soak` is
    None in the last. `stops` are those of its blocks and of a hold, where there are any; `hours` say whether it is the
    time to promote, where the next environment has windows or is frozen.

    `pending` says whether the next environment lacks this version. `bypassed` are the kinds of bypasses by which this
    version came in.
    """

    environment: EnvironmentName
    model: ModelId
    name: str
    version: Version
    since: datetime
    origin: str
    stale: bool
    tests: Verdict
    soak: Verdict | None
    stops: tuple[Verdict, ...]
    hours: tuple[Verdict, ...]
    pending: bool
    drifted: Version | None
    bypassed: tuple[str, ...]
    last_promotion: LastPromotion | None

    @property
    def tested(self) -> bool:
        """Whether complete passing evidence of this version and its tests is on record."""
        return self.tests.passed

    @property
    def soaked(self) -> bool | None:
        """Whether the soak that the next environment asks for is over; None where there is no next."""
        return None if self.soak is None else self.soak.passed

    @property
    def validated(self) -> bool:
        """Whether nothing but coherence, choice and the time of day keeps it from going on."""
        return self.tests.passed and self.soak is not None and self.soak.passed and not self.stops

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts for going on, those that are not asked left out."""
        return (self.tests, *((self.soak,) if self.soak is not None else ()), *self.stops, *self.hours)


class Drifted(Struct, frozen=True, kw_only=True):
    """A model that others built in an environment at a version that was never promoted to it.

    `promoted` is the version that it should have, None where no version of it was ever promoted. `by` is the invocation
    id of the run.
    """

    environment: EnvironmentName
    model: ModelId
    name: str
    version: Version
    promoted: Version | None
    seen_at: datetime
    by: str


class Following(Struct, frozen=True, kw_only=True):
    """The environment that promotes from another one: what it asks for, what it holds, and whether it is the time to
    promote into it. `requirements` are what it asks of some models instead, since its rules say so, and `policies` why.
    """

    requirement: Requirement
    state: EnvironmentState | None
    hours: tuple[Verdict, ...] = ()
    requirements: Mapping[ModelId, Requirement] = {}
    policies: Mapping[ModelId, Policy] = {}

    def told(self, model: ModelId, verdict: Verdict) -> Verdict:
        """Return a verdict; where a rule is why, it says so."""
        policy = self.policies.get(model)
        return verdict if policy is None else explained(verdict, policy)


def statuses(
    state: EnvironmentState,
    following: Following | None,
    others: Collection[EnvironmentState],
    now: datetime,
    only: Collection[ModelId] | None = None,
) -> tuple[ModelStatus, ...]:
    """Return the status of every model that an environment holds (or of `only` some), by unique id."""
    own = following.requirement if following is not None else Requirement(runs=0)
    special = following.requirements if following is not None else {}
    next_state = following.state if following is not None else None
    last = _last_promotions(state.history)
    found = []
    entries = {**_never_built(state, now), **state.current}
    for model in sorted(entries if only is None else set(only) & set(entries)):
        entry = entries[model]
        tests, soak = judge(model, state, special.get(model, own), now, others, entry)
        held = next_state.current.get(model) if next_state is not None else None
        drift = state.drift.get(model)
        found.append(
            ModelStatus(
                environment=state.environment,
                model=model,
                name=bare_name(model),
                version=entry.version,
                since=entry.since,
                origin=entry.origin.value if model in state.current else "failed",
                stale=entry.stale_since is not None,
                tests=tests if following is None else following.told(model, tests),
                soak=None if following is None else following.told(model, soak),
                stops=_stops(model, entry.version, state, following),
                hours=following.hours if following is not None else (),
                pending=following is not None
                and model in state.current
                and (held is None or held.version != entry.version or held.tests != entry.tests),
                drifted=drift.version if drift is not None else None,
                bypassed=_bypassed(state.bypasses, model, entry.version),
                last_promotion=last.get(model),
            )
        )
    return tuple(found)


def drifted(state: EnvironmentState, only: Collection[ModelId] | None = None) -> tuple[Drifted, ...]:
    """Return what drifted in an environment (or of `only` some models), by unique id."""
    return tuple(
        Drifted(
            environment=state.environment,
            model=model,
            name=bare_name(model),
            version=drift.version,
            promoted=state.current[model].version if model in state.current else None,
            seen_at=drift.seen_at,
            by=drift.by,
        )
        for model, drift in sorted(state.drift.items())
        if only is None or model in only
    )


def _last_promotions(history: tuple[PromotionRecord, ...]) -> dict[ModelId, LastPromotion]:
    """Return the newest promotion of each model; history is newest first."""
    last: dict[ModelId, LastPromotion] = {}
    for record in reversed(history):
        for model, told in record.models.items():
            last[model] = LastPromotion(
                plan_id=record.plan_id,
                outcome=record.outcome,
                result=told.result,
                finished_at=record.finished_at,
                actor=record.actor,
            )
    return last


def _stops(
    model: ModelId, version: Version, state: EnvironmentState, following: Following | None
) -> tuple[Verdict, ...]:
    """Return what people stopped of a version on its way to the next environment."""
    if following is None:
        return ()
    beside = (following.state,) if following.state is not None else ()
    held = held_environment(following.state) if following.state is not None else ()
    rejected = rejected_version(model, version, following.state) if following.state is not None else ()
    return (*blocked_version(model, version, state, *beside), *rejected, *held)


def _never_built(state: EnvironmentState, now: datetime) -> dict[ModelId, Entry]:
    """Return the models that an environment never held and whose builds failed, each as if it had entered then.

    One that was taken out of the project since is not known as such, so that old failures are left out.
    """
    found = {}
    for model, ledgers in state.evidence.items():
        newest = next(iter(ledgers), None)
        if model in state.current or model in state.stays or newest is None or newest.failed_at is None:
            continue
        if now - newest.failed_at > FAILURES_TOLD:
            continue
        found[model] = Entry(
            version=newest.version,
            code=Digest(""),
            tests=newest.tests,
            meta=Digest(""),
            parents={},
            since=newest.failed_at,
            origin=EntryOrigin.RUN,
            by="",
        )
    return found


def _bypassed(bypasses: tuple[Bypass, ...], model: ModelId, version: Version) -> tuple[str, ...]:
    """Return the kinds of bypasses by which a version came in."""
    return tuple(sorted({bypass.kind.value for bypass in bypasses if bypass.models.get(model) == version}))
