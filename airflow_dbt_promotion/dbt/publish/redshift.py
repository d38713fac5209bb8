"""Redshift: everything in one transaction, and views that are bound by identity, but for those that are bound late.

No test of this package ran on Redshift: what is written here was reviewed against the vendor's documentation alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping

from airflow_dbt_promotion.core.beside import Arrangement, Beside
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish import redshift_catalog as questions
from airflow_dbt_promotion.dbt.publish.by_name import in_place, listed
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind, Reader, Relation, Spot, Tie
from airflow_dbt_promotion.dbt.publish.dialect import Answers, Located, Quoting, Step

_WORDS = {Kind.TABLE: "table", Kind.VIEW: "view"}
_KINDS = {"r": Kind.TABLE, "v": Kind.VIEW}

_NAME = r'(?:"(?:[^"]|"")*"|[\w$#]+)'
_HEAD = re.compile(rf"\s*create\s+(?:or\s+replace\s+)?view\s+{_NAME}(?:\s*\.\s*{_NAME})*", re.IGNORECASE)


class Redshift(Quoting):
    """The dialect of dbt-redshift."""

    adapter = "redshift"
    ran = False
    atomic = True
    rewrites_views = False
    clones = False
    shared = True
    longest = 127
    whole = True

    def spot(self, place: Place) -> Spot:
        """Return a place as the catalog is asked for it: lower case."""
        return "", place.schema.lower(), place.identifier.lower()

    def refusal(self, located: Located) -> str | None:
        """Return why a node cannot be published by a swap."""
        if located.materialized == "materialized_view":
            return "it is a materialized view, which cannot be renamed"
        return None

    def questions(self, places: Collection[Place]) -> Mapping[str, str]:
        """Return queries over the catalog; see `Dialect.questions`."""
        spots = sorted({self.spot(place)[1:] for place in places})
        return {name: query(spots) for name, query in questions.ALL.items()} if spots else {}

    def catalog(self, answers: Answers) -> Catalog:
        """Return what came of the questions."""
        late = {_spot(row): row[5] or "" for row in answers.get("relations", ()) if _is_late(row)}
        columns: defaultdict[Spot, list[str]] = defaultdict(list)
        for row in answers.get("columns", ()):
            columns[_spot(row)].append(row[2] or "")
        return Catalog(
            relations={
                _spot(row): Relation(
                    spot=_spot(row), kind=_KINDS.get(row[2] or "", Kind.OTHER), owner=row[3] or "", owned=bool(row[4])
                )
                for row in answers.get("relations", ())
            },
            readers=tuple(_readers(answers.get("readers", ()))),
            tied=listed((_spot(row), Tie(told=row[2] or "")) for row in answers.get("tied", ())),
            definitions=late,
            columns={spot: tuple(names) for spot, names in columns.items()},
            additions=listed((_spot(row), row[2] or "") for row in answers.get("additions", ())),
        )

    def copied(self, beside: Beside, catalog: Catalog) -> tuple[str, ...]:
        """Return the statements that copy the table in place, with its distribution, its order and its grants."""
        next_, place = self.sql(beside.next), self.sql(beside.place)
        return (
            f"create table {next_} (like {place} including defaults)",
            f"insert into {next_} select * from {place}",
            *(statement.replace("{}", next_) for statement in catalog.additions.get(self.spot(beside.place), ())),
        )

    def swap(self, arrangement: Arrangement, catalog: Catalog) -> tuple[Step, ...]:
        """Return one step: all locks, every rename, then the views that were left behind or are bound late, again."""
        locked, statements, kept = [], [], []
        for beside in arrangement.besides:
            old = catalog.kind(self.spot(beside.place))
            if old is not None:
                statements.append(f"alter table {self.sql(beside.place)} rename to {self.name(beside.was)}")
                kept.append(beside.model)
            if old is Kind.TABLE:
                locked.append(self.sql(beside.place))
            statements.append(f"alter table {self.sql(beside.next)} rename to {self.name(beside.place)}")
        statements += self._bound_late(arrangement, catalog)
        statements += [_again(reader) for reader in self._left_behind(arrangement, catalog)]
        locks = (f"lock {', '.join(sorted(locked))}",) if locked else ()
        models = tuple(beside.model for beside in arrangement.besides)
        return (Step(models=models, kept=tuple(kept), statements=(*locks, *statements)),)

    def dropped(self, place: Place, relation: Relation) -> str:
        """Return the statement that drops a relation; what depends on it keeps it."""
        return f"drop {_WORDS[relation.kind]} {self.sql(place)}"

    def _bound_late(self, arrangement: Arrangement, catalog: Catalog) -> Iterator[str]:
        """Yield what lets views that are bound late, and have come into place, read what is in place."""
        for beside in arrangement.besides:
            text = catalog.definitions.get(self.spot(beside.next))
            if text is None:
                continue
            head = _HEAD.match(text)
            if head is None:
                raise NotSwappedError(f"how the view {beside.next.told} is written is not understood", [text])
            body = in_place(text[head.end() :], arrangement).rstrip().rstrip(";")
            yield f"create or replace view {self.sql(beside.place)}{body}"

    def _left_behind(self, arrangement: Arrangement, catalog: Catalog) -> tuple[Reader, ...]:
        """Return the views outside of a swap that read what it replaces."""
        moved = {self.spot(place) for beside in arrangement.besides for place in (beside.place, beside.next)}
        moved |= {self.spot(place) for place in arrangement.ours}
        replaced = {self.spot(beside.place) for beside in arrangement.besides}
        return tuple(
            reader for reader in catalog.readers if reader.spot not in moved and not replaced.isdisjoint(reader.reads)
        )


def _spot(row: Iterable[str | None]) -> Spot:
    """Return the spot that a row begins with."""
    schema, name, *_rest = row
    return "", (schema or "").lower(), (name or "").lower()


def _is_late(row: Iterable[str | None]) -> bool:
    """Say whether a view is bound late: Redshift keeps the whole statement that made it."""
    _schema, _name, kind, _owner, _owned, definition = row
    return kind == "v" and "with no schema binding" in " ".join((definition or "").lower().split())


def _readers(rows: Iterable[Iterable[str | None]]) -> Collection[Reader]:
    """Return the views that read something, each once, with every column that it reads."""
    found: dict[Spot, Reader] = {}
    for row in rows:
        schema, name, sql, definition, owner, owned, read_schema, read_name, column = (one or "" for one in row)
        spot, read = _spot((schema, name)), _spot((read_schema, read_name))
        known = found[spot].reads if spot in found else {}
        columns = (*known.get(read, ()), *((column,) if column else ()))
        reads = {**known, read: columns}
        found[spot] = Reader(spot=spot, sql=sql, definition=definition, reads=reads, owned=bool(owned), owner=owner)
    return found.values()


def _again(reader: Reader) -> str:
    """Return the statement that binds a view to what has come into place; its grants and its owner stay."""
    return f"create or replace view {reader.sql} as {reader.definition.strip().rstrip(';')}"
