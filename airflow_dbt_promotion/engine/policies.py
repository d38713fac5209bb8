"""What a target's rules make of its policy, by model: labels come from the code that would go.

Where there are no rules, nothing is read. A model that differs from what the target holds is known by the release that
the source holds it from (one that leaves: by the one that the target has it from); others are not worth reading an old
release for, and are known by the newest. What no kept release tells, the project at hand does; what that does not
tell either, or what dbt refuses, is not known. Where an older version goes than the source holds, what its own code
says is asked besides.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.labels import Labels, labels_of
from airflow_dbt_promotion.core.plan import Plan, Situation
from airflow_dbt_promotion.core.policy import Policy, policy_for, stricter
from airflow_dbt_promotion.core.state import Entry, EnvironmentState
from airflow_dbt_promotion.engine.shelf import Shelf


def policies_of(
    target: Environment, source: EnvironmentState | None, held: EnvironmentState | None, shelf: Shelf
) -> Mapping[ModelId, Policy]:
    """Return what a target asks of every model that its source or itself holds; nothing where it has no rules."""
    if not target.rules:
        return {}
    coming, standing = (state.current if state is not None else {} for state in (source, held))
    newest = source.release if source is not None else None
    found: dict[ModelId, Policy] = {}
    for model in sorted(coming.keys() | standing.keys()):
        mine, theirs = coming.get(model), standing.get(model)
        entry = mine or theirs
        release = entry.release if entry is not None and _differs(mine, theirs) else newest
        definition = shelf.found(release) if release is not None else None
        labels = labels_of(definition, model) if definition is not None else None
        found[model] = policy_for(target, labels or _at_hand(shelf, model))
    return found


def held_to_their_own(situation: Situation, plan: Plan, shelf: Shelf) -> Situation:
    """Return a situation in which older candidates that a plan takes are held to what rules make of their own code,
    too: a newer one that lost a label speaks for itself alone.
    """
    target, source = situation.target, situation.source_state
    if not target.rules or source is None:
        return situation
    older: dict[tuple[ModelId, ReleaseId], Policy] = {}
    for change in plan.changes:
        model, release = change.model, change.after.release if change.after is not None else None
        if release is None or (model, release) in situation.older or release == source.current[model].release:
            continue
        definition = shelf.found(release)
        labels = labels_of(definition, model) if definition is not None else None
        older[model, release] = stricter(situation.policy(model), policy_for(target, labels))
    return replace(situation, older={**situation.older, **older}) if older else situation


def concerned(situation: Situation, models: Collection[ModelId] | None) -> tuple[Policy, ...]:
    """Return the policies of the models that are asked for: of all that differ, where none is named."""
    if models is None:
        source, target = situation.source_state, situation.target_state.current
        coming = source.current if source is not None else {}
        models = [model for model, entry in coming.items() if _differs(entry, target.get(model))]
    return tuple(situation.policy(model) for model in models)


def _differs(mine: Entry | None, theirs: Entry | None) -> bool:
    """Say whether two environments hold something else of a model."""
    if mine is None or theirs is None:
        return True
    return (mine.version, mine.tests, mine.meta) != (theirs.version, theirs.tests, theirs.meta)


def _at_hand(shelf: Shelf, model: ModelId) -> Labels | None:
    """Return what the project at hand says of a model."""
    definition = shelf.checkout()
    return labels_of(definition, model) if definition is not None else None
