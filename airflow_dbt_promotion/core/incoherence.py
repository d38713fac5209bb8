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
            code = "macro_conflict" if direction is Direction.MACRO else "project_conflict"
            things = ", ".join(sorted({told(need.thing) for need in needs}))
            reason = (
                f"it was validated with {things} as the source has it, and {names}{more} in the target with another"
            )
            if impossible:
                gone = bare_name(impossible[0].model)
                return (
                    code,
                    f"{reason}; {gone} has no version that may go and agrees. Let it follow in the source first",
                )
            return code, f"{reason}; include_macro_users adds them"
