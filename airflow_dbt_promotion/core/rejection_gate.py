"""The rejection gate: a version that people rejected is held back, unless a bypass overrules them."""

from __future__ import annotations

from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, passed, rejected_version
from airflow_dbt_promotion.core.state import EnvironmentState


def of_rejections(change: Change | None, target: EnvironmentState, *, overruled: bool) -> tuple[Verdict, ...]:
    """Return the verdict on what a change brings; a version that the target holds already is not asked about again."""
    if change is None or change.from_version == change.to_version:
        return ()
    said = rejected_version(change.model, change.to_version, target)
    return tuple(overrule(verdict, "a bypass overrules that") for verdict in said) if overruled else said


def overrule(verdict: Verdict, how: str) -> Verdict:
    """Return the open verdict in place of one on a rejection."""
    return passed(GateName.APPROVAL, "rejection_overruled", f"{verdict.reason}; {how}")


def is_rejected(change: Change) -> bool:
    """Say whether a change is held back since people rejected it."""
    return any(_is_rejection(verdict) for verdict in change.verdicts)


def without_rejection(change: Change, how: str) -> Change:
    """Return a change in which the rejection is overruled."""
    told = (overrule(verdict, how) if _is_rejection(verdict) else verdict for verdict in change.verdicts)
    return replace(change, verdicts=tuple(told))


def _is_rejection(verdict: Verdict) -> bool:
    return verdict.gate is GateName.APPROVAL and verdict.code == "rejected"
