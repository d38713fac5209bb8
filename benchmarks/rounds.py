"""Ten ordinary rounds of a few changed tables on PostgreSQL, and what is left of production's relations after each."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from msgspec import Struct

from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.dbt.marks import TABLE
from benchmarks.promoted import Promoted
from benchmarks.warehouses import warehouse

_KEPT = "__was_"
_CHANGED = 4
"""Tables that are changed in a round; a view stands on each."""


class Way(Enum):
    """How tables are published in a round; BACK: and the round before is gone back to."""

    BLUE_GREEN = "blue_green"
    BACK = "blue_green and rollback"
    DBT = "dbt build"


class Round(Struct, frozen=True, kw_only=True):
    """Production's relations around one round: how many of the project's before and after, what was lost meanwhile,
    what is there besides, and how many old ones are kept.
    """

    before: int
    after: int
    lost: tuple[str, ...]
    besides: tuple[str, ...]
    kept: int


def told(size: int, rounds: int) -> list[str]:
    """Return what happened to production's relations, one line for each way of publishing."""
    return [_line(way.value, size, list(_rounds(size, rounds, way))) for way in Way]


def _rounds(size: int, rounds: int, way: Way) -> Iterator[Round]:
    """Publish a few changed tables, again and again; the views on them are not built.

    An edit of a table changes the version of the view that stands on it, so a promotion is told to accept that the
    view was not built again.
    """
    chance = random.Random(7)  # noqa: S311 - which tables are edited
    with tempfile.TemporaryDirectory() as name, warehouse("postgres", Path(name)) as place:
        project = Promoted(Path(name, "yard"), place, size)
        for _ in range(rounds):
            names = sorted(chance.sample(project.tables, min(_CHANGED, len(project.tables))))
            before = project.relations()
            if way is Way.DBT:
                project.edit(names)
                project.build(names)
            else:
                project.changed(names)
                project.promote(Strategy.BLUE_GREEN, names)
            if way is Way.BACK:
                project.roll_back()
                project.release()
            yield _compared(before, project.relations(), frozenset(project.names))


def _compared(before: set[str], after: set[str], names: frozenset[str]) -> Round:
    """Return what happened between two looks."""
    return Round(
        before=len(before & names),
        after=len(after & names),
        lost=tuple(sorted((before - after) & names)),
        besides=tuple(sorted(one for one in after - names if _KEPT not in one and one != TABLE)),
        kept=sum(_KEPT in one for one in after),
    )


def _line(way: str, size: int, found: list[Round]) -> str:
    """Return what is told of the rounds of one way."""
    counts = " ".join(f"{one.before}->{one.after}" for one in found)
    lost, besides = sum(len(one.lost) for one in found), sorted({name for one in found for name in one.besides})
    return (
        f"PostgreSQL, {size} models, {len(found)} rounds of {_CHANGED} changed tables by {way}: production's relations "
        f"{counts}; lost {lost}, left over {len(besides)}, kept `{_KEPT}` {found[-1].kept}"
    )
