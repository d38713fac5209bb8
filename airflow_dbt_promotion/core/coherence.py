"""Coherence: which models must go together, so that everything in the target stands on what it was validated against.

A *need* is one change that another cannot go without. Upstream: a planned child needs every ancestor at the version
that its own version names, in the target or in the plan. Downstream: a planned model needs its children in the target
to follow, or they are left on its old self. Test: a required test that reads another model needs that model to be in
the target. Macro and project: a planned model that relies on the new state of something that is there once in a project
(a macro, a var) needs everything in the target that relies on the old one to come along.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from msgspec.structs import replace

from airflow_dbt_promotion.core import evidence as ledger
from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.company import Company
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.need import Direction, Need
from airflow_dbt_promotion.core.reliance import Reliances
from airflow_dbt_promotion.core.state import EnvironmentState

__all__ = ["Direction", "Need", "Needs", "largest"]


class Needs:
    """The needs of every model, computed once for one pair of environments."""

    def __init__(
        self,
        source: EnvironmentState,
        target: EnvironmentState,
        changes: Mapping[ModelId, Change],
        *,
        stale_allowed: bool,
        tested: bool,
        reliances: Reliances | None = None,
    ) -> None:
        """Take both documents and the changes between them; `stale_allowed` drops downstream needs, `tested` adds those
        of tests, `reliances` those of what models share.
        """
        self._source, self._target, self._changes = source, target, changes
        self._children: dict[ModelId, list[ModelId]] = {}
        for child, entry in target.current.items():
            if entry.stale_since is None:
                for parent in entry.parents:
                    self._children.setdefault(parent, []).append(child)
        self._stale_allowed, self._tested = stale_allowed, tested
        self._known: dict[ModelId, tuple[Need, ...]] = {}
        self._company = Company(target, changes, reliances) if reliances is not None else None

    @property
    def companies(self) -> tuple[ModelId, ...]:
        """What stands among the models for those who rely on one state of one thing."""
        return self._company.names if self._company is not None else ()

    def of(self, model: ModelId) -> tuple[Need, ...]:
        """Return the direct needs of a model that is in the plan, or that stands in the target already."""
        if model not in self._known:
            shared = self._company.of(model) if self._company is not None else ()
            self._known[model] = (*self._upstream(model), *self._downstream(model), *self._tests(model), *shared)
        return self._known[model]

    def missing(self, model: ModelId, chosen: Iterable[ModelId]) -> list[Need]:
        """Return the smallest set that must join `chosen` for `model` to be coherent, with what is not to be had."""
        chosen = chosen if isinstance(chosen, (set, frozenset, dict)) else set(chosen)
        found: dict[ModelId, Need] = {}
        seen, waiting = {model}, [model]
        while waiting:
            for need in self.of(waiting.pop()):
                if need.still:
                    if self.clashes(need, chosen):
                        found[need.model] = replace(need, possible=False)
                    continue
                if need.model in chosen and need.possible:
                    continue
                if not need.possible or self._is_change(need.model):
                    found.setdefault(need.model, need)
                if need.possible and need.model not in seen:
                    seen.add(need.model)
                    waiting.append(need.model)
        return [found[id_] for id_ in sorted(found)]

    def clashes(self, need: Need, chosen: Collection[ModelId]) -> bool:
        """Say whether a model that must stay as it is would change."""
        return need.still and need.model in chosen and self._is_change(need.model)

    def ancestors(self, models: Iterable[ModelId]) -> set[ModelId]:
        """Return some models and all that they stand on, on either side."""
        closure, waiting = set(models), list(models)
        while waiting:
            model = waiting.pop()
            for state in (self._source, self._target):
                entry = state.current.get(model)
                if entry is not None:
                    waiting.extend(parent for parent in entry.parents if parent not in closure)
                    closure.update(entry.parents)
        return closure

    def children(self, model: ModelId) -> list[ModelId]:
        """Return the models of the target that were built on a model."""
        return self._children.get(model, [])

    def _is_change(self, model: ModelId) -> bool:
        """Say whether a model differs between both sides."""
        change = self._changes.get(model)
        return change is not None and change.kind not in {ChangeKind.UNCHANGED, ChangeKind.METADATA}

    def _upstream(self, model: ModelId) -> Iterator[Need]:
        """Yield the parents that must come along, or that must be coherent themselves."""
        change = self._changes.get(model)
        if change is None or change.after is None:
            return
        for parent, version in change.after.parents.items():
            in_source, in_target = self._source.current.get(parent), self._target.current.get(parent)
            if in_source is not None and in_source.version == version:
                yield Need(parent, Direction.UPSTREAM)
            elif in_target is None or in_target.version != version or (below := self._standing(parent)) is None:
                yield Need(parent, Direction.UPSTREAM, possible=False)
            else:
                yield from (Need(standing, Direction.UPSTREAM, still=True) for standing in sorted(below))

    def _standing(self, model: ModelId) -> set[ModelId] | None:
        """Return a model of the target with all that it stands on there, None where one of them is stale."""
        found, waiting = {model}, [model]
        while waiting:
            entry = self._target.current.get(waiting.pop())
            if entry is None or entry.stale_since is not None:
                return None
            waiting.extend(parent for parent in entry.parents if parent not in found)
            found.update(entry.parents)
        return found

    def _downstream(self, model: ModelId) -> Iterator[Need]:
        """Yield the children in the target that would be left on the old self of a changed model."""
        if self._stale_allowed or not self._is_change(model):
            return
        after = self._changes[model].after
        for child in self._children.get(model, ()):
            standing = self._target.current[child].parents[model]
            if after is not None and standing == after.version:
                continue
            change = self._changes.get(child)
            named = change.after.parents.get(model) if change is not None and change.after is not None else None
            follows = change is not None and (named is None or (after is not None and named == after.version))
            yield Need(child, Direction.DOWNSTREAM, possible=follows)

    def _tests(self, model: ModelId) -> Iterator[Need]:
        """Yield the models that a required test reads beside this one, where the target lacks them."""
        change = self._changes.get(model)
        if not self._tested or change is None or change.after is None or change.kind is ChangeKind.UNCHANGED:
            return
        found = ledger.of_version(self._source, model, change.after.version)
        for outcome in found.outcomes.values() if found is not None else ():
            for other in outcome.others:
                if other not in self._target.current:
                    yield Need(other, Direction.TEST, possible=other in self._source.current)


def largest(
    candidates: Mapping[ModelId, Change], standing: Iterable[ModelId], needs: Needs
) -> tuple[set[ModelId], dict[ModelId, ModelId]]:
    """Return the largest set of candidates in which every need is met, and what each one left out failed on.

    `standing` are models that need not go but must be coherent to be stood upon. Two sets that meet their needs do so
    together, so that the largest is unique; but where one model needs another to stay as it is, and that one goes, the
    first is left out.
    """
    alive = set(candidates) | set(standing)
    dead: dict[ModelId, ModelId] = {}
    while True:
        dead |= _unmet(alive - set(dead), needs)
        chosen = set(candidates) - set(dead)
        clashing = {
            model: need.model for model in alive - set(dead) for need in needs.of(model) if needs.clashes(need, chosen)
        }
        if not clashing:
            return chosen, {model: cause for model, cause in dead.items() if model in candidates}
        dead |= clashing


def _unmet(alive: set[ModelId], needs: Needs) -> dict[ModelId, ModelId]:
    """Return the models that cannot go, or be stood upon, each with the model that it failed on."""
    wanted_by: dict[ModelId, list[ModelId]] = {}
    gone: dict[ModelId, ModelId] = {}
    for model in sorted(alive):
        for need in needs.of(model):
            if need.still:
                continue
            if not need.possible or need.model not in alive:
                gone.setdefault(model, need.model)
            wanted_by.setdefault(need.model, []).append(model)
    waiting = list(gone)
    while waiting:
        lost = waiting.pop()
        for model in wanted_by.get(lost, ()):
            if model not in gone:
                gone[model] = lost
                waiting.append(model)
    return gone
