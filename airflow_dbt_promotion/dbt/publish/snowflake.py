"""Snowflake: model by model; a table is swapped with a table in one statement, anything else is renamed twice.

No test of this package ran on Snowflake: what is written here was reviewed against the vendor's documentation alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from airflow_dbt_promotion.core.beside import Arrangement, Beside, Fill
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.by_name import ByName, in_place, spot_of
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind, Relation, Spot
from airflow_dbt_promotion.dbt.publish.dialect import Answers, Located

_KINDS = {"BASE TABLE": Kind.TABLE, "VIEW": Kind.VIEW}
_NOT_RENAMED = {"dynamic_table": "a dynamic table", "materialized_view": "a materialized view"}

_NAME = r'(?:"(?:[^"]|"")*"|[\w$]+)'
_HEAD = re.compile(
    rf"\s*create\s+(?:or\s+replace\s+)?(?P<kind>(?:secure\s+)?(?:recursive\s+)?view)\s+(?:if\s+not\s+exists\s+)?"
    rf"{_NAME}(?:\s*\.\s*{_NAME})*",
    re.IGNORECASE,
)
_PARTS = re.compile(r"'(?:[^'\\]|''|\\.)*'|\"(?:[^\"]|\"\")*\"|[()]|[^'\"()]+", re.DOTALL)


class Snowflake(ByName):
    """The dialect of dbt-snowflake."""

    adapter = "snowflake"
    longest = 255

    def spot(self, place: Place) -> Spot:
        """Return a place as the catalog has it: upper case, but for what is in quotes."""
        parts = zip((place.database or "", place.schema, place.identifier), place.quoted, strict=True)
        database, schema, name = (part if quoted else part.upper() for part, quoted in parts)
        return database, schema, name

    def refusal(self, located: Located) -> str | None:
        """Return why a node cannot be published by a swap."""
        if located.materialized in _NOT_RENAMED:
            return f"it is {_NOT_RENAMED[located.materialized]}, which reads what it was built on beside for good"
        if located.table_format == "iceberg":
            return "it is an Iceberg table, whose files lie where it was built"
        return None

    def questions(self, places: Collection[Place]) -> Mapping[str, str]:
        """Return queries over the catalog; see `Dialect.questions`."""
        databases = self.databases(places)
        relations = [
            f"""
select to_json(array_construct(
  table_catalog, table_schema, table_name, iff(is_dynamic = 'YES', 'DYNAMIC TABLE', table_type),
  coalesce(table_owner, ''), coalesce(is_transient, 'NO')
)::variant)
from {self.quoted(database)}.information_schema.tables
where {self.among(inside)}"""
            for database, inside in databases.items()
        ]
        views = [
            f"""
select to_json(array_construct(table_catalog, table_schema, table_name, coalesce(view_definition, ''))::variant)
from {self.quoted(database)}.information_schema.views
where {self.among(inside)}"""
            for database, inside in databases.items()
        ]
        asked = {"relations": "\nunion all".join(relations), "views": "\nunion all".join(views)}
        return asked if databases else {}

    def catalog(self, answers: Answers) -> Catalog:
        """Return what came of the questions."""
        relations = [
            Relation(
                spot=spot_of(row),
                kind=_KINDS.get(row[3] or "", Kind.OTHER),
                owner=row[4] or "",
                transient=row[5] == "YES",
            )
            for row in answers.get("relations", ())
        ]
        return Catalog(
            relations={relation.spot: relation for relation in relations},
            definitions={spot_of(row): row[3] or "" for row in answers.get("views", ())},
        )

    def copied(self, beside: Beside, catalog: Catalog) -> tuple[str, ...]:
        """Return the statement that clones the table in place, with its grants, or the origin's, without them."""
        if beside.fill is Fill.CLONE and beside.origin is not None:
            made = self._made(beside.next, catalog.relations.get(self.spot(beside.origin)))
            return (f"create {made} clone {self.sql(beside.origin)}",)
        made = self._made(beside.next, self.old(beside, catalog))
        return (f"create {made} clone {self.sql(beside.place)} copy grants",)

    def replaced(self, beside: Beside, arrangement: Arrangement, catalog: Catalog) -> tuple[str, ...]:
        """Return a swap of two tables, else renames; a view is written anew before it is where readers see it."""
        old, new = self.old(beside, catalog), catalog.relations.get(self.spot(beside.next))
        place, next_ = self.sql(beside.place), self.sql(beside.next)
        if _swappable(old) and _swappable(new) and old.transient == new.transient:  # type: ignore[union-attr]
            name = self._made(beside.was, old, " if not exists")
            return (
                f"create {name} clone {place} copy grants",
                f"alter table {place} swap with {next_}",
                f"drop table {next_}",
            )
        kind = Kind.TABLE if new is None else new.kind
        again = (self._again(beside, arrangement, catalog),) if kind is Kind.VIEW else ()
        aside = (self.renamed(old.kind, beside.place, beside.was),) if old is not None else ()
        return (*again, *aside, self.renamed(kind, beside.next, beside.place))

    def _made(self, place: Place, like: Relation | None, condition: str = "") -> str:
        """Return what a clone is made as: transient where what it is of is."""
        return f"{'transient ' if like is not None and like.transient else ''}table{condition} {self.sql(place)}"

    def _again(self, beside: Beside, arrangement: Arrangement, catalog: Catalog) -> str:
        """Return the statement that lets a view beside read what is in place, with the grants that it has."""
        text = self.text(beside.next, catalog)
        head = _HEAD.match(text)
        if head is None:
            raise NotSwappedError(f"how the view {beside.next.told} is written is not understood", [text])
        columns, rest = _parted(text[head.end() :])
        grants = "" if re.match(r"\s*copy\s+grants\b", rest, re.IGNORECASE) else " copy grants"
        name = f"create or replace {' '.join(head['kind'].lower().split())} {self.sql(beside.next)}"
        return f"{name}{columns}{grants}{in_place(rest, arrangement)}"


def _swappable(relation: Relation | None) -> bool:
    """Say whether something is a table."""
    return relation is not None and relation.kind is Kind.TABLE


def _parted(text: str) -> tuple[str, str]:
    """Return the list of columns that a text begins with, if it does with one, and the rest."""
    if not text.lstrip().startswith("("):
        return "", text
    depth = 0
    for part in _PARTS.finditer(text):
        depth += {"(": 1, ")": -1}.get(part[0], 0)
        if depth == 0 and part[0] == ")":
            return text[: part.end()], text[part.end() :]
    return "", text
