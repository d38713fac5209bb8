"""Models that get versions, or lose them: `orders` and `orders.v2` cannot be in one dbt project.

So what a target holds under the other form has to leave in the same promotion.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.eligibility import GateName, Verdict, blocked
from airflow_dbt_promotion.core.identity import ModelId, bare_name
from airflow_dbt_promotion.core.state import EnvironmentState

_VERSIONED = re.compile(r"(model\.[^.]+\.[^.]+)\.v.+")


def of_versions(change: Change | None, source: EnvironmentState, target: EnvironmentState) -> tuple[Verdict, ...]:
    """Refuse a model that comes with versions while the target keeps it without, or the other way round."""
    if change is None or change.kind is not ChangeKind.ADDED:
        return ()
    left = [model for model in target.current if model not in source.current and _excludes(model, change.model)]
    return (_refusal(left, change.model, target.environment),) if left else ()


def of_composition(models: Collection[ModelId], environment: str) -> Verdict | None:
    """Refuse a project that would hold one model with and without versions."""
    for model in sorted(models):
        found = _VERSIONED.fullmatch(model)
        if found is not None and found[1] in models:
            return _refusal([ModelId(found[1])], model, environment)
    return None


def _refusal(left: Collection[ModelId], coming: ModelId, environment: str) -> Verdict:
    names = ", ".join(bare_name(model) for model in sorted(left))
    reason = (
        f"{environment} holds {names}, and one project cannot hold {bare_name(coming)} beside that; what it holds has "
        "to be removed in the same promotion (allow_removals)"
    )
    return blocked(GateName.COHERENCE, "gets_versions", reason)


def _excludes(one: ModelId, other: ModelId) -> bool:
    """Say whether two ids are of one model, once with versions and once without."""
    first, second = _VERSIONED.fullmatch(one), _VERSIONED.fullmatch(other)
    return (second is None and first is not None and first[1] == other) or (
        first is None and second is not None and second[1] == one
    )
