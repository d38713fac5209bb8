"""Adoption: an environment that existed before is taken over as it is.

- Only what stands in the warehouse is adopted, and only with its parents.
- The first adoption is free: the environment never held anything, and nothing was promoted into its warehouse.
- A later one is a bypass of every gate: with a reason, on record, never past a hold, a freeze, a block, an open
  promotion or an approval that policy asks for.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.eligibility import blocked_version
from airflow_dbt_promotion.core.environment import BypassKind, Environment
from airflow_dbt_promotion.core.errors import AdoptionRefusedError, ParentNotBuiltError, ReasonRequiredError
from airflow_dbt_promotion.core.identity import ModelId, PlanId, ReleaseId
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.core.rejections import find_rejections
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import Bypass, EntryOrigin, EnvironmentState
from airflow_dbt_promotion.core.stays import entry_of, is_as

_BY = "baseline"
_FORBIDDING = (BypassKind.BASELINE, BypassKind.SKIP_TESTS, BypassKind.SHORT_SOAK)
"""An adoption bypasses tests and soak, so whoever forbids one of these forbids it."""


class Adoption(Struct, frozen=True, kw_only=True):
    """Who adopts, when, and why; `reason` is None where nobody gave one."""

    at: datetime
    actor: str
    reason: str | None = None


def is_new(state: EnvironmentState | None) -> bool:
    """Say whether an environment never held anything."""
    return state is None or not (state.current or state.stays or state.checkpoints or state.journal)


def coherent(state: EnvironmentState | None, release: Release, standing: Collection[ModelId]) -> frozenset[ModelId]:
    """Return the models of a release that are not current and can be adopted: they stand, and so do their parents."""
    held = set(state.current) if state is not None else set()
    found: set[ModelId] = set()
    for model in release.parents_first(release.models):
        if (
            model not in held
            and model in standing
            and all(p in found or p in held for p in release.models[model].parents)
        ):
            found.add(model)
    return frozenset(found)


def check_adoption(
    environment: Environment,
    state: EnvironmentState,
    release: Release,
    models: Collection[ModelId],
    adoption: Adoption,
    *,
    first: bool,
) -> None:
    """Raise AdoptionRefusedError, ReasonRequiredError where models may not be adopted as things stand."""
    hold = _held(state, adoption.at)
    if hold is not None:
        raise AdoptionRefusedError(environment.name, *hold)
    blocked = [one for one in sorted(models) if blocked_version(one, release.models[one].version, state)]
    if blocked:
        raise AdoptionRefusedError(
            environment.name,
            f"the version of {', '.join(blocked)} is blocked",
            f"lift the block with `dbt-promote unblock --environment {environment.name} --reason TEXT`",
        )
    rejected = [one for one in sorted(models) if find_rejections(state, one, release.models[one].version)]
    if rejected:
        raise AdoptionRefusedError(
            environment.name,
            f"the version of {', '.join(rejected)} was rejected",
            f"promote it once it is approved (`dbt-promote approvals --environment {environment.name}`)",
        )
    if first:
        return
    _check_later(environment, state)
    if adoption.reason is None or not adoption.reason.strip():
        raise ReasonRequiredError(f"adopting into {environment.name}, which was promoted to or adopted before,")


def adopted(state: EnvironmentState, done: Recording, adoption: Adoption) -> Recording:
    """Return a later adoption with the bypass that it is."""
    bypass = Bypass(
        kind=BypassKind.BASELINE,
        at=adoption.at,
        actor=adoption.actor,
        reason=adoption.reason or "",
        plan_id=PlanId(_BY),
        models={model: done.state.current[model].version for model in done.entered},
    )
    return replace(done, state=replace(done.state, bypasses=(*state.bypasses, bypass)))


def adopt(
    state: EnvironmentState,
    release: Release,
    at: datetime,
    by: str = _BY,
    only: Collection[ModelId] | None = None,
    lost: Collection[ReleaseId] = (),
) -> Recording:
    """Return the document with every model of a release (or `only` some) entered as a baseline; what is current already
    stays as it is.

    But where the sources of what is current were never kept, or are `lost`, those of the release take their place,
    if it says the same of the model. Raises ParentNotBuiltError.
    """
    missing = [model for model in release.models if model not in state.current]
    fresh = [model for model in missing if only is None or model in only]
    entries = {model: entry_of(release, model, at, EntryOrigin.BASELINE, by) for model in fresh}
    current = dict(state.current) | entries
    for model in fresh:
        held = {parent: current[parent].version if parent in current else None for parent in entries[model].parents}
        wrong = next((parent for parent, version in entries[model].parents.items() if held[parent] != version), None)
        if wrong is not None:
            raise ParentNotBuiltError(model, wrong, state.environment, held[wrong])
    sourced = resourced(state, release, lost) if release.id is not None else ()
    return Recording(
        state=replace(
            state,
            current=current | {model: replace(state.current[model], release=release.id) for model in sourced},
        ),
        entered=tuple(sorted(fresh)),
        sourced=sourced,
        left_out=tuple(sorted(set(missing) - set(fresh))),
        release=release.id,
    )


def resourced(state: EnvironmentState, release: Release, lost: Collection[ReleaseId]) -> tuple[ModelId, ...]:
    """Return what is current without kept sources, or with lost ones, and of which a release says the same."""
    return tuple(
        model
        for model, entry in sorted(state.current.items())
        if (entry.release is None or entry.release in lost) and is_as(entry, release.models.get(model))
    )


def _held(state: EnvironmentState, at: datetime) -> tuple[str, str] | None:
    """Return what stops everything that enters an environment, and what to do, None where nothing does."""
    name = state.environment
    if state.hold is not None:
        return (
            f"it is held ({state.hold.reason})",
            f"`dbt-promote release --environment {name} --reason TEXT` lifts that",
        )
    if state.freeze is not None and state.freeze.holds(at):
        return (
            f"it is frozen ({state.freeze.reason})",
            f"`dbt-promote thaw --environment {name} --reason TEXT` lifts that",
        )
    return None


def _check_later(environment: Environment, state: EnvironmentState) -> None:
    """Raise AdoptionRefusedError where policy, or an open promotion, forbids an adoption that is not the first."""
    name = environment.name
    instead = f"promote to {name}, or restore its state from a backup"
    if state.journal is not None:
        raise AdoptionRefusedError(
            name, "a promotion broke off there", f"`dbt-promote resume --environment {name}` finishes it"
        )
    forbidden = [kind.value for kind in _FORBIDDING if kind in environment.forbid]
    if forbidden:
        raise AdoptionRefusedError(name, f"its policy forbids {' and '.join(forbidden)}", instead)
    if environment.asks_people:
        raise AdoptionRefusedError(
            name, "its policy asks for approvals, and an adoption has no plan to approve", instead
        )
