"""DuckDB: everything in one transaction, and views that are bound by name.

A table that has an index cannot be renamed, so indexes are dropped and made again within the swap. A table that others
refer to by a foreign key cannot be renamed at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from airflow_dbt_promotion.core.beside import Arrangement, Beside
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Index, Kind, Relation, Spot, Tie
from airflow_dbt_promotion.dbt.publish.dialect import (
    RELATION_DIFFERS,
    ROWS_CHANGED,
    Answers,
    Located,
    Quoting,
    Step,
    literal,
)
from airflow_dbt_promotion.dbt.publish.statements import index_parts, renamed

_WORDS = {Kind.TABLE: "table", Kind.VIEW: "view"}

_QUESTIONS = {
    "relations": (
        "table_name",
        """
select to_json([{spot}, 'table'])::varchar from duckdb_tables() where {among}
union all
select to_json([lower(database_name), lower(schema_name), lower(view_name), 'view'])::varchar
from duckdb_views() where (lower(database_name), lower(schema_name), lower(view_name)) in ({listed})""",
    ),
    "tables": ("table_name", "select to_json([{spot}, sql])::varchar from duckdb_tables() where {among}"),
    "views": ("view_name", "select to_json([{spot}, sql])::varchar from duckdb_views() where {among}"),
    "tied": (
        "referenced_table",
        """
select to_json([{spot}, schema_name || '.' || table_name])::varchar
from duckdb_constraints() where constraint_type = 'FOREIGN KEY' and {among}""",
    ),
    "indexes": (
        "table_name",
        "select to_json([{spot}, schema_name, index_name, sql])::varchar from duckdb_indexes() where {among}",
    ),
    "comments": (
        "view_name",
        """
select to_json([{spot}, schema_name, view_name, null, comment])::varchar
from duckdb_views() where comment is not null and {among}
union all
select to_json([
  lower(database_name), lower(schema_name), lower(table_name), schema_name, table_name, column_name, comment
])::varchar
from duckdb_columns()
where comment is not null and (lower(database_name), lower(schema_name), lower(table_name)) in
  (select (lower(database_name), lower(schema_name), lower(view_name)) from duckdb_views() where {among})""",
    ),
    "columns": (
        "table_name",
        "select to_json([{spot}, column_name])::varchar from duckdb_columns() where {among} order by column_index",
    ),
}
"""Queries over the catalog, each with its column of names. Every row is one column, a JSON list of texts."""


class DuckDb(Quoting):
    """The dialect of dbt-duckdb."""

    adapter = "duckdb"
    ran = True
    atomic = True
    rewrites_views = True
    clones = False
    shared = False
    longest = 255

    def spot(self, place: Place) -> Spot:
        """Return a place as the catalog has it: names are the same in any case."""
        return (place.database or "").lower(), place.schema.lower(), place.identifier.lower()

    def refusal(self, located: Located) -> str | None:
        """Return why a node cannot be published by a swap."""
        if located.foreign_keys:
            return "its contract has a foreign key, and DuckDB renames no table that one refers to"
        if located.materialized in {"external", "table_function", "plugin"}:
            return f"{located.materialized!r} writes besides its relation, which readers would see before its tests"
        return None

    def questions(self, places: Collection[Place]) -> Mapping[str, str]:
        """Return queries over the catalog; see `Dialect.questions`."""
        if not places:
            return {}
        listed = ", ".join(
            f"({', '.join(literal(part) for part in spot)})" for spot in sorted({self.spot(place) for place in places})
        )
        return {
            name: query.format(
                among=f"(lower(database_name), lower(schema_name), lower({column})) in ({listed})",
                spot=f"lower(database_name), lower(schema_name), lower({column})",
                listed=listed,
            )
            for name, (column, query) in _QUESTIONS.items()
        }

    def catalog(self, answers: Answers) -> Catalog:
        """Return what came of the questions."""
        relations = [
            Relation(spot=_spot(row), kind=Kind.VIEW if row[3] == "view" else Kind.TABLE)
            for row in answers.get("relations", ())
        ]
        return Catalog(
            relations={relation.spot: relation for relation in relations},
            tied=_grouped((_spot(row), Tie(told=f"a foreign key of {row[3]}")) for row in answers.get("tied", ())),
            definitions={_spot(row): row[3] or "" for row in answers.get("views", ())},
            comments=_grouped((_spot(row), _comment(row)) for row in answers.get("comments", ())),
            indexes=_grouped((_spot(row), _index(row)) for row in answers.get("indexes", ())),
            columns={spot: tuple(names) for spot, names in _columns(answers.get("columns", ())).items()},
            additions=_grouped((_spot(row), row[3] or "") for row in answers.get("tables", ())),
        )

    def copied(self, beside: Beside, catalog: Catalog) -> tuple[str, ...]:
        """Return the statements that copy the table in place, with its constraints and indexes."""
        spot, next_, place = self.spot(beside.place), self.sql(beside.next), self.sql(beside.place)
        if "(" in f"{place}{next_}":
            return (f"create table {next_} as from {place}",)
        _head, body = catalog.additions[spot][0].split("(", 1)
        indexes = (
            self._on(index, beside.next, f"{beside.next.identifier}_{number}")
            for number, index in enumerate(catalog.indexes.get(spot, ()))
        )
        return (f"create table {next_} ({body.rstrip().rstrip(';')}", f"insert into {next_} from {place}", *indexes)

    def row_witness(self, place: Place) -> str:
        """Return a query that digests every value of every row, in any order."""
        said = "'rows:' || count(*) || ':' || coalesce(sum(hash(row_in_place)::hugeint), 0)"
        return f"select {said} from {self.sql(place)} as row_in_place"

    def swap(self, arrangement: Arrangement, catalog: Catalog) -> tuple[Step, ...]:
        """Return one step: tables are renamed, then views are made again where they will be, parents first."""
        statements = [*self._at_home(arrangement), *self._unwritten(arrangement)]
        statements += self._dropped_indexes(arrangement, catalog)
        kept = []
        for beside in arrangement.besides:
            old = catalog.kind(self.spot(beside.place))
            if old is not None:
                statements.append(f"alter {_WORDS[old]} {self.sql(beside.place)} rename to {self.name(beside.was)}")
                kept.append(beside.model)
        statements.extend(
            f"alter table {self.sql(beside.next)} rename to {self.name(beside.place)}"
            for beside in arrangement.besides
            if catalog.kind(self.spot(beside.next)) is not Kind.VIEW
        )
        statements += self._made_indexes(arrangement, catalog)
        for beside in arrangement.besides:
            if catalog.kind(self.spot(beside.next)) is Kind.VIEW:
                statements += self._made_view(beside, arrangement, catalog)
        statements += self._in_place(arrangement, catalog)
        models = tuple(beside.model for beside in arrangement.besides)
        return (Step(models=models, kept=tuple(kept), statements=(";\n".join(statements),)),)

    def dropped(self, place: Place, relation: Relation) -> str:
        """Return the statement that drops a relation."""
        return f"drop {_WORDS[relation.kind]} {self.sql(place)}"

    def _at_home(self, arrangement: Arrangement) -> Iterator[str]:
        """Yield what goes to the database of it all: the catalog tells of views and indexes without theirs, and a
        profile's may be an attached one.
        """
        for database in sorted({beside.place.database for beside in arrangement.besides if beside.place.database}):
            yield f"use {self.quoted(database)}.main"

    def _unwritten(self, arrangement: Arrangement) -> Iterator[str]:
        """Yield what stops the swap where somebody wrote to a table whose rows were copied."""
        for beside in arrangement.besides:
            if beside.row_witness:
                witness, problem = literal(beside.row_witness), literal(f"{beside.place.told} {ROWS_CHANGED}")
                yield f"select case when ({self.row_witness(beside.place)}) <> {witness} then error({problem}) end"

    def _in_place(self, arrangement: Arrangement, catalog: Catalog) -> Iterator[str]:
        """Yield what stops where something else than what was built, or nothing, stands in place in the end."""
        for beside in arrangement.besides:
            kind = "view" if catalog.kind(self.spot(beside.next)) is Kind.VIEW else "table"
            database, schema, name = (literal(part) for part in self.spot(beside.place))
            where = f"lower(schema_name) = {schema} and lower({kind}_name) = {name}"
            if beside.place.database:
                where += f" and lower(database_name) = {database}"
            problem = literal(f"{RELATION_DIFFERS}: {beside.place.told}")
            yield f"select case when count(*) = 0 then error({problem}) end from duckdb_{kind}s() where {where}"

    def _made_view(self, beside: Beside, arrangement: Arrangement, catalog: Catalog) -> Iterator[str]:
        """Yield the statements that make a view where readers see it, as it was made beside."""
        spot = self.spot(beside.next)
        names = {one.next.identifier: one.place.identifier for one in arrangement.besides}
        yield f"drop view {self.sql(beside.next)}"
        if beside.place.database:
            # Some catalogs, as DuckLake's, tell how a view was made without its schema: it goes to the current one.
            yield f"use {self.quoted(beside.place.database)}.{self.quoted(beside.place.schema)}"
        for statement in (catalog.definitions[spot], *catalog.comments.get(spot, ())):
            yield renamed(statement.rstrip().rstrip(";"), names)

    def _dropped_indexes(self, arrangement: Arrangement, catalog: Catalog) -> Iterator[str]:
        """Yield what drops the indexes of every table that is renamed."""
        for beside in arrangement.besides:
            for place in (beside.place, beside.next):
                yield from (f"drop index {index.sql}" for index in catalog.indexes.get(self.spot(place), ()))

    def _made_indexes(self, arrangement: Arrangement, catalog: Catalog) -> Iterator[str]:
        """Yield what makes these indexes again; those of what was in place get a name that tells so."""
        for beside in arrangement.besides:
            for number, index in enumerate(catalog.indexes.get(self.spot(beside.place), ())):
                yield self._on(index, beside.was, f"{beside.was.identifier}_{number}")
            for index in catalog.indexes.get(self.spot(beside.next), ()):
                yield self._on(index, beside.place, None)

    def _on(self, index: Index, table: Place, name: str | None) -> str:
        """Return the statement that makes an index on another table, under a name of its own where it gets one."""
        head, columns = index_parts(index.definition)
        if name is not None:
            kind = "unique index" if head.upper().startswith("CREATE UNIQUE") else "index"
            head = f"create {kind} {self.quoted(name)}"
        return f"{head} on {self.sql(table)} {columns.rstrip().rstrip(';')}"


def _spot(row: Iterable[str | None]) -> Spot:
    """Return the spot that a row begins with."""
    database, schema, name, *_rest = row
    return database or "", schema or "", name or ""


def _index(row: Iterable[str | None]) -> Index:
    """Return an index."""
    *_, schema, name, sql = row
    quoting = Quoting()
    return Index(sql=f"{quoting.quoted(schema or '')}.{quoting.quoted(name or '')}", definition=sql or "")


def _comment(row: Iterable[str | None]) -> str:
    """Return the statement that says a comment again."""
    *_, schema, name, column, comment = row
    quoting = Quoting()
    what = f"{quoting.quoted(schema or '')}.{quoting.quoted(name or '')}"
    target = f"column {what}.{quoting.quoted(column)}" if column else f"view {what}"
    return f"comment on {target} is {literal(comment or '')}"


def _columns(rows: Iterable[Iterable[str | None]]) -> Mapping[Spot, list[str]]:
    """Return the columns of each relation, in order."""
    found: defaultdict[Spot, list[str]] = defaultdict(list)
    for row in rows:
        *spot, column = row
        found[_spot(spot)].append(column or "")
    return found


def _grouped(pairs: Iterable[tuple[Spot, Any]]) -> dict[Spot, tuple[Any, ...]]:
    """Return what was found of each relation."""
    found: defaultdict[Spot, list[Any]] = defaultdict(list)
    for spot, one in pairs:
        found[spot].append(one)
    return {spot: tuple(every) for spot, every in found.items()}
