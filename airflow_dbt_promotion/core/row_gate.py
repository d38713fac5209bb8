"""The gate of rows: what becomes of the data of an incremental model whose own code changed."""

from __future__ import annotations

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked, passed
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy


def has_rows(change: Change) -> bool:
    """Say whether a change is of the own code of an incremental model that the target holds already."""
    return change.kind is ChangeKind.MODIFIED and bool(change.after and change.after.incremental and change.before)


def of_rows(change: Change, chosen: IncrementalChange, strategy: Strategy) -> tuple[Verdict, ...]:
    """Return what is said of the rows of a change; nothing where there are none, or nothing is built."""
    if not has_rows(change) or strategy is Strategy.RECORD:
        return ()
    match chosen:
        case IncrementalChange.BLOCK:
            reason = (
                "an incremental model changed: choose what becomes of its rows with on_incremental_change "
                "(full_refresh, forward_only)"
            )
            return (blocked(GateName.CHANGE, "incremental_change", reason),)
        case IncrementalChange.FULL_REFRESH:
            return (passed(GateName.CHANGE, "full_refresh", "an incremental model that is built anew"),)
        case IncrementalChange.FORWARD_ONLY:  # pragma: no branch - the last one
            return (passed(GateName.CHANGE, "forward_only", "an incremental model whose old rows stay as they are"),)
