"""Plans that people were asked about by versions of format 1, recognised.

A plan's id is of the versions that it names, so that the same plan has another id by format 1. What entered before says
what format 1 called it (`Entry.formerly`), and what entered since is no part of such a plan.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, PlanId, Version, bare_version
from airflow_dbt_promotion.core.plan import plan_id, precondition
from airflow_dbt_promotion.core.state import Entry, EnvironmentState


def id_of_format_one(
    source: EnvironmentName,
    target: EnvironmentName,
    changes: Iterable[Change],
    states: tuple[EnvironmentState, EnvironmentState],
    closure: Collection[ModelId],
) -> PlanId | None:
    """Return the id that a plan had by versions of format 1, None where nothing in it had one.

    Args:
        source: The environment that it promotes from.
        target: The environment that it promotes into.
        changes: Its changes.
        states: The documents of both.
        closure: The models that it rests on.
    """
    held = [entry for state in states for model in closure if (entry := state.current.get(model)) is not None]
    if not any(_has_former_name(entry) for entry in held):
        return None
    condition = precondition(_state_by_format_one(states[0]), _state_by_format_one(states[1]), closure)
    told = [_change_by_format_one(one) for one in changes]
    return plan_id(source, target, told, condition)


def as_today(versions: Mapping[ModelId, Version], source: EnvironmentState | None) -> Mapping[ModelId, Version]:
    """Return versions that a plan rests on as they are today, those of format 1 as far as the source holds them."""
    if source is None:
        return versions
    today = dict(versions)
    for model, version in versions.items():
        entry = source.current.get(model)
        if entry is not None and version != entry.version and version == _by_format_one(entry).version:
            today[model] = entry.version
    return today


def _has_former_name(entry: Entry) -> bool:
    """Say whether format 1 had a name for what is held."""
    return entry.formerly is not None or bare_version(entry.version) != entry.version


def _state_by_format_one(state: EnvironmentState) -> EnvironmentState:
    """Return a document as format 1 had it, as far as a plan rests on it."""
    blocks = {
        model: tuple(replace(one, version=one.formerly or bare_version(one.version)) for one in several)
        for model, several in state.blocks.items()
    }
    return replace(
        state, current={model: _by_format_one(entry) for model, entry in state.current.items()}, blocks=blocks
    )


def _change_by_format_one(change: Change) -> Change:
    """Return a change with both of its entries as format 1 had them."""
    before, after = change.before, change.after
    return replace(
        change,
        before=None if before is None else _by_format_one(before),
        after=None if after is None else _by_format_one(after),
    )


def _by_format_one(entry: Entry) -> Entry:
    """Return what is held of a model as format 1 had it; as it is where it entered since."""
    was = entry.formerly
    if was is None:
        return replace(entry, version=bare_version(entry.version))
    return replace(
        entry,
        version=was.version,
        tests=was.tests if entry.tests == was.tests_now else entry.tests,
        meta=was.meta if entry.meta == was.meta_now else entry.meta,
    )
