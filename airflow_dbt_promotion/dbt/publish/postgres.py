"""PostgreSQL: everything in one transaction, and views that are bound by identity.

A rename takes a lock that no reader may hold, and readers take theirs one by one. So that nobody ever waits for
somebody who waits for him, all locks are taken within half of what the server takes for a deadlock; where that fails
they are given back, and it is tried again.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import TypeVar

from msgspec.structs import replace

from airflow_dbt_promotion.core.beside import Arrangement, Beside
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish import postgres_catalog as questions
from airflow_dbt_promotion.dbt.publish.carrying import carried_over
from airflow_dbt_promotion.dbt.publish.catalog import (
    Catalog,
    Feature,
    ForeignKey,
    Kind,
    Privilege,
    Reader,
    Relation,
    Spot,
    Tie,
)
from airflow_dbt_promotion.dbt.publish.catalog_digest import DIGESTS, digest_query
from airflow_dbt_promotion.dbt.publish.dialect import (
    CATALOG_CHANGED,
    RELATION_DIFFERS,
    ROWS_CHANGED,
    Answers,
    Located,
    Quoting,
    Step,
    literal,
)
from airflow_dbt_promotion.dbt.publish.patience import AGAIN, locking, patiently, stopping_unless
from airflow_dbt_promotion.dbt.publish.statements import renamed

_WORDS = {Kind.TABLE: "table", Kind.VIEW: "view", Kind.MATERIALIZED_VIEW: "materialized view"}
_KINDS = {"r": Kind.TABLE, "v": Kind.VIEW, "m": Kind.MATERIALIZED_VIEW}

Found = TypeVar("Found")


class Postgres(Quoting):
    """The dialect of dbt-postgres."""

    adapter = "postgres"
    ran = True
    atomic = True
    rewrites_views = False
    clones = False
    shared = True
    longest = 63

    def spot(self, place: Place) -> Spot:
        """Return a place as the catalog has it: lower case, but for what is in quotes."""
        schema, name = (
            part if quoted else part.lower()
            for part, quoted in zip((place.schema, place.identifier), place.quoted[1:], strict=True)
        )
        return "", schema, name

    def refusal(self, located: Located) -> str | None:  # noqa: ARG002 - the port's
        """Return None: whatever dbt builds there can be renamed."""
        return None

    def questions(self, places: Collection[Place]) -> Mapping[str, str]:
        """Return queries over the catalog; see `Dialect.questions`."""
        spots = sorted({self.spot(place)[1:] for place in places})
        return {name: query(spots) for name, query in questions.ALL.items()} if spots else {}

    def catalog(self, answers: Answers) -> Catalog:
        """Return what came of the questions."""
        return Catalog(
            relations={
                spot: Relation(
                    spot=spot,
                    kind=_KINDS.get(_text(kind), Kind.OTHER),
                    owned=bool(owned),
                    owner=_text(owner),
                    passed_on=bool(passed_on),
                    identity=_text(identity),
                )
                for schema, name, kind, owner, owned, passed_on, identity in answers.get("relations", ())
                for spot in [("", _text(schema), _text(name))]
            },
            readers=tuple(_readers(answers.get("readers", ()))),
            tied=_listed((spot_of(row), _tie(row)) for row in answers.get("tied", ())),
            columns={spot_of(row): tuple(json.loads(_text(row[2]))) for row in answers.get("columns", ())},
            additions=_listed((spot_of(row), _text(row[2])) for row in answers.get("additions", ())),
            uncopied=_listed((spot_of(row), _text(row[2])) for row in answers.get("uncopied", ())),
            foreign=_listed((spot_of(row), _foreign_key(row)) for row in answers.get("foreign", ())),
            features=_listed((spot_of(row), _feature(row)) for row in answers.get("features", ())),
            privileges=_listed((spot_of(row), _privilege(row)) for row in answers.get("privileges", ())),
            digests={_text(name): _text(digest) for name, digest in answers.get(DIGESTS, ())},
        )

    def copied(self, beside: Beside, catalog: Catalog) -> tuple[str, ...]:
        """Return the statements that copy the table in place, with what belongs to it."""
        next_, place = self.sql(beside.next), self.sql(beside.place)
        return (
            # The rows that are copied and those that are witnessed are those of one instant.
            "set transaction isolation level repeatable read",
            f"create table {next_} (like {place} including all)",
            *(statement.replace("{}", next_, 1) for statement in catalog.additions.get(self.spot(beside.place), ())),
        )

    def row_witness(self, place: Place) -> str:
        """Return a query that digests which transactions the rows are of: whoever writes, or deletes, changes that."""
        written = f"select xmin as writer, count(*) as number from {self.sql(place)} group by xmin"
        summed = "coalesce(sum(number * hashtextextended(writer::text, 0)::numeric), 0)"
        return f"select 'rows:' || coalesce(sum(number), 0) || ':' || {summed} from ({written}) as written"

    def swap(self, arrangement: Arrangement, catalog: Catalog) -> tuple[Step, ...]:
        """Return one step: every rename, then what is bound to what was replaced, again."""
        statements: list[str] = []
        locked: list[str] = []
        views: list[str] = []
        kept = []
        rebound = list(self._rebound(arrangement, catalog))
        statements.extend(before for before, _after in rebound if before)
        for beside in arrangement.besides:
            old = catalog.kind(self.spot(beside.place))
            if old in _WORDS and beside.next != beside.place:
                statements.append(f"alter {_WORDS[old]} {self.sql(beside.place)} rename to {self.name(beside.was)}")
                kept.append(beside.model)
                if old is Kind.TABLE:
                    locked.append(self.sql(beside.place))
                else:
                    views.append(locking(_WORDS[old], self.sql(beside.place)))
            new = _WORDS[catalog.kind(self.spot(beside.next)) or Kind.TABLE]
            statements.append(f"alter {new} {self.sql(beside.next)} rename to {self.name(beside.place)}")
            statements.extend(carried_over(beside, arrangement, catalog, self))
        statements.extend(after for _before, after in rebound)
        statements += [_again(reader) for reader in self.left_behind(arrangement, catalog)]
        models = tuple(beside.model for beside in arrangement.besides)
        locks = [f"lock table {table} in access exclusive mode" for table in sorted(locked)]
        # Readers that come while the catalog is asked would hold the views, and wait for the tables.
        every = [*self._unwritten(arrangement), *locks, *sorted(views), *self._unchanged(arrangement, catalog)]
        every += [*statements, *self._in_place(arrangement, catalog)]
        return (Step(models=models, kept=tuple(kept), statements=(patiently(every),)),)

    def _unwritten(self, arrangement: Arrangement) -> Iterable[str]:
        """Yield what keeps writers from the tables whose rows were copied, and stops where one was there before."""
        copies = sorted((one for one in arrangement.besides if one.row_witness), key=lambda one: self.sql(one.place))
        yield from (f"lock table {self.sql(beside.place)} in share mode" for beside in copies)
        for beside in copies:
            problem = f"{beside.place.told} {ROWS_CHANGED}"
            yield stopping_unless(self.row_witness(beside.place), beside.row_witness, problem)

    def _unchanged(self, arrangement: Arrangement, catalog: Catalog) -> Iterable[str]:
        """Yield what stops where the catalog is another one, under the locks, than the one that a swap is made for."""
        places = [place for one in arrangement.besides for place in (one.place, one.next, one.was)]
        for name, question in self.questions(places).items():
            if name in catalog.digests:
                yield stopping_unless(digest_query(question), catalog.digests[name], f"{CATALOG_CHANGED} ({name})")

    def _in_place(self, arrangement: Arrangement, catalog: Catalog) -> Iterable[str]:
        """Yield what stops where something else than what was built, or nothing, stands in place in the end."""
        for beside in arrangement.besides:
            built = catalog.relations.get(self.spot(beside.next))
            if built is not None:
                _database, schema, name = self.spot(beside.place)
                found = f"""select c.oid::text || ' ' || c.relkind::text from pg_class c
                    join pg_namespace n on n.oid = c.relnamespace
                    where n.nspname = {literal(schema)} and c.relname = {literal(name)}"""
                yield stopping_unless(found, built.identity, f"{RELATION_DIFFERS}: {beside.place.told}")

    def left_behind(self, arrangement: Arrangement, catalog: Catalog) -> tuple[Reader, ...]:
        """Return the views outside of a swap that read what it replaces, but for those that are kept of earlier ones:
        they go on reading what they read then.
        """
        spared = {self.spot(place) for beside in arrangement.besides for place in (beside.place, beside.next)}
        spared |= {self.spot(place) for place in arrangement.ours}
        replaced = {self.spot(beside.place) for beside in arrangement.besides}
        return tuple(
            reader for reader in catalog.readers if reader.spot not in spared and not replaced.isdisjoint(reader.reads)
        )

    def _rebound(self, arrangement: Arrangement, catalog: Catalog) -> Iterable[tuple[str, str]]:
        """Yield what is to be said before and after the renames where what was built names what is replaced: foreign
        keys of copies, and tables that are written out in place of a `ref`.
        """
        replaced = {self.spot(beside.place) for beside in arrangement.besides}
        readers = {reader.spot: reader for reader in catalog.readers}
        names = {beside.next.identifier: beside.place.identifier for beside in arrangement.besides}
        for beside in arrangement.besides:
            spot, place = self.spot(beside.next), self.sql(beside.place)
            for key in catalog.foreign.get(spot, ()):
                if key.refers in replaced:
                    dropped = f"alter table {self.sql(beside.next)} drop constraint {key.sql}"
                    yield dropped, f"alter table {place} add constraint {key.sql} {key.definition}"
            reader = readers.get(spot)
            if reader is not None and not replaced.isdisjoint(reader.reads):
                definition = renamed(reader.definition, names)
                yield "", _again(replace(reader, sql=place, definition=definition))

    def dropped(self, place: Place, relation: Relation) -> str:
        """Return the statement that drops a relation; what depends on it keeps it."""
        return f"drop {_WORDS[relation.kind]} {self.sql(place)}"


def spot_of(row: Iterable[str | None]) -> Spot:
    """Return the spot that a row begins with."""
    schema, name, *_rest = row
    return "", _text(schema), _text(name)


def _readers(rows: Iterable[Iterable[str | None]]) -> Iterable[Reader]:
    """Return the views that read something, each once."""
    found: dict[Spot, Reader] = {}
    for row in rows:
        schema, name, sql, definition, options, owner, owned, read_schema, read_name, columns = (
            _text(one) for one in row
        )
        spot = ("", schema, name)
        known = found.get(spot)
        found[spot] = Reader(
            spot=spot,
            sql=sql,
            definition=definition,
            reads={**(known.reads if known else {}), ("", read_schema, read_name): tuple(json.loads(columns))},
            options=options,
            owned=bool(owned),
            owner=owner,
        )
    return found.values()


def _tie(row: Iterable[str | None]) -> Tie:
    """Return what holds on to a relation."""
    _schema, _name, told, holder_schema, holder_name = row
    return Tie(told=_text(told), holder=("", _text(holder_schema), _text(holder_name)) if holder_name else None)


def _feature(row: Iterable[str | None]) -> Feature:
    """Return something that a relation has."""
    _schema, _name, kind, told, column, statement = row
    return Feature(kind=_text(kind), told=_text(told), column=_text(column), statement=statement)


def _privilege(row: Iterable[str | None]) -> Privilege:
    """Return a privilege."""
    _schema, _name, grantee, privilege, grantable, by_default = (_text(one) for one in row)
    return Privilege(grantee=grantee, privilege=privilege, grantable=bool(grantable), by_default=bool(by_default))


def _foreign_key(row: Iterable[str | None]) -> ForeignKey:
    """Return a foreign key."""
    _schema, _name, sql, definition, refers_schema, refers_name = (_text(one) for one in row)
    return ForeignKey(sql=sql, definition=definition, refers=("", refers_schema, refers_name))


def _again(reader: Reader) -> str:
    """Return the statement that binds a view to what has come into place, and leaves all else of it as it is."""
    options = f" with ({reader.options})" if reader.options else ""
    return f"{AGAIN} {reader.sql}{options} as {reader.definition.rstrip().rstrip(';')}"


def _listed(pairs: Iterable[tuple[Spot, Found]]) -> Mapping[Spot, tuple[Found, ...]]:
    """Return what was found of each relation."""
    found: defaultdict[Spot, list[Found]] = defaultdict(list)
    for spot, one in pairs:
        found[spot].append(one)
    return {spot: tuple(every) for spot, every in found.items()}


def _text(value: str | None) -> str:
    """Return a text, an empty one for none."""
    return value or ""
