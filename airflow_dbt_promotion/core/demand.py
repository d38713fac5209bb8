"""Demand: policy for one model together with what a caller asks, and the words that say which rule asked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType

from msgspec.structs import replace

from airflow_dbt_promotion.core.eligibility import GateName, Requirement, Verdict, passed
from airflow_dbt_promotion.core.environment import IncrementalChange
from airflow_dbt_promotion.core.policy import Asked, Policy

_ASKED_BY: Mapping[str, Asked] = MappingProxyType(
    {
        "soaking": Asked.SOAK,
        "stay_ended": Asked.SOAK,
        "runs": Asked.RUNS,
        "no_tests": Asked.ZERO_TESTS,
        "warned": Asked.WARNINGS,
        "incremental_change": Asked.ROWS,
    }
)


def demanded(
    policy: Policy, base: Requirement, soak: timedelta | None, runs: int | None, *, short: bool
) -> Requirement:
    """Return what is asked of one model: its policy, more where a caller asks for more, a shorter soak as a bypass."""
    longest = max(policy.soak, soak or timedelta(0))
    return replace(
        base,
        soak=soak if short and soak is not None else longest,
        runs=max(policy.runs, runs or 0),
        scope=policy.scope,
        zero_tests=policy.zero_tests,
        warnings=policy.warnings,
    )


def rows_of(policy: Policy, own: IncrementalChange, chosen: IncrementalChange) -> IncrementalChange:
    """Return what becomes of the rows of a model: what a caller chose, where that is not what the environment says for
    all (`own`); else what policy says of the model.
    """
    return policy.on_incremental_change if chosen is own else chosen


def explained(verdict: Verdict, policy: Policy) -> Verdict:
    """Return a verdict; one that keeps a model back says which rule asks for that."""
    asked = _ASKED_BY.get(verdict.code)
    names = () if asked is None or verdict.passed else policy.given_by.get(asked, ())
    if not names:
        return verdict
    return replace(verdict, reason=f"{verdict.reason} (asked for by the rule {' and '.join(map(repr, names))})")


def unlabelled(policy: Policy) -> tuple[Verdict, ...]:
    """Say so where it is not known which rules mean a model; nothing where it is."""
    reason = "no parse of it could be had, so nobody knows which rules mean it, and the strictest of all holds"
    return () if policy.known else (passed(GateName.CHANGE, "rules_unknown", reason),)
