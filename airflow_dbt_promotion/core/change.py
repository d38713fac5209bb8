"""Changes: what would make a target hold what its source holds."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from msgspec import Struct

from airflow_dbt_promotion.core.eligibility import Verdict
from airflow_dbt_promotion.core.identity import ModelId, Version, bare_name
from airflow_dbt_promotion.core.state import Entry, EnvironmentState


class ChangeKind(Enum):
    """What happens to a model: MODIFIED by its own code, INDIRECT by a parent's, METADATA by its tests or description
    alone.
    """

    ADDED = "added"
    MODIFIED = "modified"
    INDIRECT = "indirect"
    METADATA = "metadata"
    REMOVED = "removed"
    UNCHANGED = "unchanged"


BUILT = frozenset({ChangeKind.ADDED, ChangeKind.MODIFIED, ChangeKind.INDIRECT, ChangeKind.UNCHANGED})
"""The kinds for which a model is built; UNCHANGED only where a rebuild was forced."""


class Change(Struct, frozen=True, kw_only=True, gc=False):
    """One model's way from what the target holds (`before`) to what the source holds (`after`), with every gate's
    verdict.
    """

    model: ModelId
    kind: ChangeKind
    before: Entry | None
    after: Entry | None
    verdicts: tuple[Verdict, ...] = ()

    @property
    def name(self) -> str:
        """The bare name."""
        return bare_name(self.model)

    @property
    def from_version(self) -> Version | None:
        """The version that the target holds."""
        return self.before.version if self.before is not None else None

    @property
    def to_version(self) -> Version | None:
        """The version that the target would hold."""
        return self.after.version if self.after is not None else None

    @property
    def allowed(self) -> bool:
        """Whether every gate is open."""
        return all(verdict.passed for verdict in self.verdicts)


def kind_of(before: Entry | None, after: Entry | None) -> ChangeKind:
    """Return the kind of change between two entries of one model; both None is a broken contract."""
    if after is None:
        if before is None:
            raise ValueError("a change needs an entry on one side at least")
        return ChangeKind.REMOVED
    if before is None:
        return ChangeKind.ADDED
    if before.version != after.version:
        return ChangeKind.MODIFIED if before.code != after.code else ChangeKind.INDIRECT
    if before.stale_since is not None:
        return ChangeKind.INDIRECT
    if before.tests != after.tests or before.meta != after.meta:
        return ChangeKind.METADATA
    return ChangeKind.UNCHANGED


def difference(
    source: EnvironmentState, target: EnvironmentState, project: Collection[ModelId] | None
) -> dict[ModelId, Change]:
    """Return the change of every model that either side holds, UNCHANGED ones included.

    `project` are the models of the project at hand, where it is known. A model that only the target holds is REMOVED
    where the source is known to have let it go: the project does not have it any more, or, where no project is at hand,
    the source held it once. Otherwise the source just never built it, and no change is made of it.
    """
    changes = {}
    for model, after in source.current.items():
        before = target.current.get(model)
        changes[model] = Change(model=model, kind=kind_of(before, after), before=before, after=after)
    for model, before in target.current.items():
        if model not in source.current and (model not in project if project is not None else model in source.stays):
            changes[model] = Change(model=model, kind=ChangeKind.REMOVED, before=before, after=None)
    return changes
