"""Bypasses of a plan: which of them are used, and which policy forbids."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked
from airflow_dbt_promotion.core.environment import BypassKind, Environment
from airflow_dbt_promotion.core.plan import Question, Situation


def used_choices(question: Question, situation: Situation, changes: Iterable[Change]) -> Choices:
    """Return the choices without a soak that is short of nothing that is promoted: what is held back is no bypass."""
    soak, choices = question.soak, question.choices
    coming = (change for change in changes if change.after is not None)
    if soak is None or any(soak < situation.policy(one.model, one.after).soak for one in coming):
        return choices
    return replace(choices, bypasses=choices.bypasses - {BypassKind.SHORT_SOAK})


def of_bypasses(choices: Choices, target: Environment) -> tuple[Verdict, ...]:
    """Refuse the bypasses that the target's policy forbids."""
    forbidden = sorted(kind.value for kind in choices.bypasses & target.forbid)
    reason = f"policy of {target.name} forbids {', '.join(forbidden)}"
    return (blocked(GateName.CHANGE, "bypass_forbidden", reason),) if forbidden else ()
