"""Company: who can stand beside whom in one project, told by what they share.

All that rely on the same state of the same thing (one text of a macro, one value of a var) are one company, and a thing
can be in one state only. So a change that joins a company needs everybody in the target who relies on another state of
the thing to join it, too. A company has a name among the models, so that a thousand who share a macro need one another
by it, and not each the thousand.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from msgspec import Struct

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.identity import Digest, ModelId
from airflow_dbt_promotion.core.need import Direction, Need
from airflow_dbt_promotion.core.reliance import Reliances, is_of_project
from airflow_dbt_promotion.core.state import Entry, EnvironmentState

_PREFIX = "company:"


class _Member(Struct, frozen=True):
    """A model with the state of one thing that it relies on in the target (`stands`) and once it went (`goes`).

    False is for one that relies on no state of it; a state of None is that the thing must not be.
    """

    stands: Digest | bool | None
    goes: Digest | bool | None


class Company:
    """Every company that the changes of a plan could join."""

    def __init__(self, target: EnvironmentState, changes: Mapping[ModelId, Change], reliances: Reliances) -> None:
        """Take what stands in the target, what could go, and what each relies on."""
        self._reliances, self._changes = reliances, changes
        self._stands = {model: self._relied(model, entry) for model, entry in target.current.items()}
        self._goes = {
            model: self._relied(model, change.after)
            for model, change in changes.items()
            if change.kind not in {ChangeKind.UNCHANGED, ChangeKind.REMOVED}
        }
        self._members: dict[str, dict[ModelId, _Member]] = {}
        for model in self._stands.keys() | self._goes.keys():
            stands, goes = self._stands.get(model, {}), self._goes.get(model, {})
            for thing in stands.keys() | goes.keys():
                member = _Member(stands.get(thing, False), goes.get(thing, False))
                self._members.setdefault(thing, {})[model] = member
        self._companies = {
            _name(thing, state): (thing, state) for goes in self._goes.values() for thing, state in goes.items()
        }

    @property
    def names(self) -> tuple[ModelId, ...]:
        """The names of all companies."""
        return tuple(self._companies)

    def of(self, model: ModelId) -> tuple[Need, ...]:
        """Return the companies that a change joins, or what must be so for a company to stand."""
        if model in self._companies:
            return tuple(self._asked(*self._companies[model]))
        return tuple(
            Need(_name(thing, state), _direction(thing), thing=thing)
            for thing, state in self._goes.get(model, {}).items()
        )

    def _relied(self, model: ModelId, entry: Entry | None) -> Mapping[str, Digest | None]:
        return self._reliances.of(entry.release, model) if entry is not None and entry.release is not None else {}

    def _asked(self, thing: str, state: Digest | None) -> Iterator[Need]:
        """Yield who must join a company, and who must stay as it is."""
        direction = _direction(thing)
        for model, member in sorted(self._members[thing].items()):
            against = member.stands is not False and member.stands != state
            follows = member.goes is False or member.goes == state
            if against:
                leaves = model in self._goes or self._is_removed(model)
                yield Need(model, direction, possible=leaves and follows, thing=thing)
            elif not follows:
                yield Need(model, direction, still=True, thing=thing)

    def _is_removed(self, model: ModelId) -> bool:
        change = self._changes.get(model)
        return change is not None and change.kind is ChangeKind.REMOVED


def _direction(thing: str) -> Direction:
    return Direction.PROJECT if is_of_project(thing) else Direction.MACRO


def _name(thing: str, state: Digest | None) -> ModelId:
    return ModelId(f"{_PREFIX}{thing}={state}")
