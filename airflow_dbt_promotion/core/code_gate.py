"""The code gate: is the code of what would go at hand, and does it make the version that soaked?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.composing import compose
from airflow_dbt_promotion.core.composition import Composition, verify
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked
from airflow_dbt_promotion.core.errors import UnservableError, VersionsMovedError
from airflow_dbt_promotion.core.identity import MANIFEST_ONLY, EnvironmentName, ModelId, ReleaseId, bare_name
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.reliance import Reliances
from airflow_dbt_promotion.core.state import Entry, EnvironmentState
from airflow_dbt_promotion.core.versioned_names import of_composition

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class Code(Struct, frozen=True, kw_only=True):
    """Kept releases that a plan is made of, parsed for its target, with their fingerprints.

    `lost` are those that cannot be had, each with the reason.
    """

    definitions: Mapping[ReleaseId, Definition]
    releases: Mapping[ReleaseId, Release]
    reliances: Reliances
    lost: Mapping[ReleaseId, str] = {}


def of_kept(model: ModelId, after: Entry, code: Code) -> Verdict | None:
    """Say why a version cannot be built from its kept sources, None where it can, or where they were not read yet."""
    release = after.release
    if release is None:
        reason = "its sources were not kept when it was recorded; build it in the source again, and record that"
        return blocked(GateName.CODE, "code_not_kept", reason)
    if release in code.lost:
        return blocked(GateName.CODE, "code_lost", f"its kept sources cannot be had: {code.lost[release]}")
    made = code.releases.get(release)
    if made is None:
        return None
    found = made.models.get(model)
    if found is None:
        reason = f"release {release[:8]}, parsed for the target, does not have it (disabled there?)"
        return blocked(GateName.CODE, "not_in_target", reason)
    if found.version != after.version:
        why = "its code" if found.code != after.code else "a parent"
        reason = (
            f"release {release[:8]}, parsed for the target by dbt {made.dbt_version}, makes another version of it "
            f"({why} comes out otherwise)"
        )
        return blocked(GateName.CODE, "versions_moved", reason)
    return None


def of_checkout(model: ModelId, after: Entry, project: Release) -> Verdict | None:
    """Say why the project at hand is not what soaked, None where it is."""
    at_hand = project.models.get(model)
    if at_hand is None:
        reason = "the project at hand does not have it any more; check out the code that soaked"
    elif at_hand.version.startswith(MANIFEST_ONLY) != after.version.startswith(MANIFEST_ONLY):
        reason = (
            "its version was recorded from a manifest alone and cannot be compared; record it with the sources or "
            "the kept parse at hand"
        )
    elif at_hand.version != after.version:
        why = "it changed" if at_hand.code != after.code else "a parent of it changed"
        reason = (
            f"the project at hand is not what soaked ({why} since), and what soaked was not kept; check out the code "
            f"that soaked, or let the new version soak"
        )
    elif at_hand.tests != after.tests:
        reason = "its tests in the project at hand are not those that ran; record a run with the new tests first"
    else:
        return None
    return blocked(GateName.CODE, "code_moved", reason)


def served_after(target: EnvironmentState, changes: tuple[Change, ...]) -> dict[ModelId, Entry]:
    """Return what a target would hold after some changes, as entered later than all that it holds now."""
    served = dict(target.current)
    for change in changes:
        if change.kind is ChangeKind.REMOVED or change.after is None:
            served.pop(change.model, None)
        else:
            served[change.model] = replace(change.after, stale_since=None)
    moved = {change.model for change in changes}
    latest = max((entry.since for entry in served.values()), default=_BEGINNING)
    then = latest + timedelta(microseconds=1)
    return {model: replace(entry, since=then) if model in moved else entry for model, entry in served.items()}


def composed(
    environment: EnvironmentName, target: EnvironmentState, changes: tuple[Change, ...], code: Code
) -> Composition | Verdict:
    """Return what a target would run after some changes, verified, or why that cannot be put together."""
    served = served_after(target, changes)
    if (conflict := of_composition(served, environment)) is not None:
        return conflict
    try:
        composition = compose(environment, served, code.definitions, code.reliances)
        for change in changes:
            if change.model in composition.unserved:
                reason = f"{bare_name(change.model)} cannot be put together: {composition.unserved[change.model]}"
                return blocked(GateName.CODE, "code_not_kept", reason)
        verify(composition, environment, served, code.definitions)
    except (UnservableError, VersionsMovedError) as error:
        return blocked(GateName.CODE, "not_reproducible", str(error))
    return composition
