"""Incoherence: a code and a sentence for what a change cannot go without."""

from __future__ import annotations

from airflow_dbt_promotion.core.identity import bare_name
from airflow_dbt_promotion.core.need import Direction, Need
from airflow_dbt_promotion.core.reliance import told

_SHOWN = 8


def incoherent(direction: Direction, needs: list[Need]) -> tuple[str, str]:
    """Return code and sentence for needs that are not met."""
    names = ", ".join(bare_name(need.model) for need in needs[:_SHOWN])
    more = f" and {len(needs) - _SHOWN} more" if len(needs) > _SHOWN else ""
    impossible = [need for need in needs if not need.possible]
    match direction:
        case Direction.UPSTREAM if impossible:
            gone = bare_name(impossible[0].model)
            reason = f"it was validated on a version of {gone} that neither environment holds any more"
            return "parent_moved_on", f"{reason}; build it again in the source"
        case Direction.UPSTREAM:
            reason = f"it was validated on {names}{more} as the source holds them, and the target does not"
            return "needs_upstream", f"{reason}; include_upstream adds them"
        case Direction.DOWNSTREAM:
            reason = f"{names}{more} in the target would be left on its old version"
            return "needs_downstream", f"{reason}; include_downstream adds them, allow_stale_downstream accepts it"
        case Direction.TEST:
            reason = f"a required test reads {names}{more}, which the target does not hold"
            return "test_needs_model", f"{reason}; include_upstream adds them"
        case Direction.MACRO | Direction.PROJECT:  # pragma: no branch - the last ones
            return ("macro_conflict" if direction is Direction.MACRO else "project_conflict"), _apart(
                needs, names + more
            )


def _apart(needs: list[Need], names: str) -> str:
    """Return the sentence for models that rely on different states of one thing."""
    things = ", ".join(sorted({told(need.thing) for need in needs}))
    if any(need.still for need in needs):
        reason = f"{things} differs between the release that it comes from and that of {names}"
        return f"{reason}; promote them one after the other, or wait until newer versions of both may go"
    reason = f"it was validated with {things} as the source has it, and {names} in the target with another"
    impossible = next((need for need in needs if not need.possible), None)
    if impossible is None:
        return f"{reason}; include_macro_users adds them"
    return f"{reason}; {bare_name(impossible.model)} has no version that may go and agrees: build and promote it first"
