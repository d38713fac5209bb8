"""Databricks, with Unity Catalog: model by model, and each renamed twice; there are no transactions over DDL.

No test of this package ran on Databricks: what is written here was reviewed against the vendor's documentation alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from airflow_dbt_promotion.core.beside import Arrangement, Beside, Fill
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.by_name import ByName, in_place, listed, spot_of
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind, Relation, Spot
from airflow_dbt_promotion.dbt.publish.dialect import Answers, Located, escaped

_LEGACY = "hive_metastore"
_TABLES = ("MANAGED", "EXTERNAL", "MANAGED_SHALLOW_CLONE", "EXTERNAL_SHALLOW_CLONE")
_KINDS = {"VIEW": Kind.VIEW, **dict.fromkeys(_TABLES, Kind.TABLE)}
_NOT_RENAMED = {
    "materialized_view": "a materialized view",
    "streaming_table": "a streaming table",
    "metric_view": "a metric view",
}


class Databricks(ByName):
    """The dialect of dbt-databricks."""

    adapter = "databricks"
    longest = 255
    quote = "`"

    def sql(self, place: Place) -> str:
        """Return a place as SQL has it: lower case, as dbt's adapter writes it."""
        return super().sql(place).lower()

    def spot(self, place: Place) -> Spot:
        """Return a place as the catalog has it: lower case."""
        return (place.database or "").lower(), place.schema.lower(), place.identifier.lower()

    def refusal(self, located: Located) -> str | None:
        """Return why a node cannot be published by a swap."""
        if (located.place.database or _LEGACY).lower() == _LEGACY:
            return f"it lies in {_LEGACY}, which has no information schema: swaps need Unity Catalog"
        if located.materialized in _NOT_RENAMED:
            return f"it is {_NOT_RENAMED[located.materialized]}, which cannot be renamed or reads what is beside"
        if located.located:
            return "its config has a `location_root`: its files would lie under the name that it has beside"
        if located.file_format not in {"", "delta"} or located.table_format not in {"", "default"}:
            return (
                f"it is stored as {located.table_format or located.file_format}, and only Delta tables are known here"
            )
        return None

    def questions(self, places: Collection[Place]) -> Mapping[str, str]:
        """Return queries over the catalog; see `Dialect.questions`."""
        if not places:
            return {}
        spots = sorted({self.spot(place) for place in places})
        rows = ", ".join(f"({', '.join(escaped(part) for part in spot)})" for spot in spots)
        among = f"(table_catalog, table_schema, table_name) in ({rows})"
        spot = "table_catalog, table_schema, table_name"
        return {
            "relations": f"""
select to_json(array({spot}, table_type, coalesce(table_owner, '')))
from system.information_schema.tables where {among}""",
            "views": f"""
select to_json(array({spot}, coalesce(view_definition, '')))
from system.information_schema.views where {among}""",
            "comments": f"""
select to_json(array({spot}, '', comment))
from system.information_schema.tables where table_type = 'VIEW' and comment <> '' and {among}
union all
select to_json(array({spot}, column_name, comment))
from system.information_schema.columns where comment <> '' and {among}""",
        }

    def catalog(self, answers: Answers) -> Catalog:
        """Return what came of the questions."""
        relations = [
            Relation(spot=spot_of(row), kind=_KINDS.get(row[3] or "", Kind.OTHER), owner=row[4] or "")
            for row in answers.get("relations", ())
        ]
        return Catalog(
            relations={relation.spot: relation for relation in relations},
            definitions={spot_of(row): row[3] or "" for row in answers.get("views", ())},
            comments=listed((spot_of(row), self._comment(row)) for row in answers.get("comments", ())),
        )

    def copied(self, beside: Beside, catalog: Catalog) -> tuple[str, ...]:  # noqa: ARG002 - the port's
        """Return the statement that copies the table in place, or the origin, with its files: it lasts without them."""
        source = beside.origin if beside.fill is Fill.CLONE and beside.origin is not None else beside.place
        return (f"create table {self.sql(beside.next)} deep clone {self.sql(source)}",)

    def replaced(self, beside: Beside, arrangement: Arrangement, catalog: Catalog) -> tuple[str, ...]:
        """Return two renames; a view is altered before it is where readers see it, and says its comments again."""
        old, new = catalog.kind(self.spot(beside.place)), catalog.kind(self.spot(beside.next))
        again: tuple[str, ...] = ()
        if new is Kind.VIEW:
            query = in_place(self.text(beside.next, catalog), arrangement)
            comments = catalog.comments.get(self.spot(beside.next), ())
            again = (f"alter view {self.sql(beside.next)} as {query}", *comments)
        aside = (self.renamed(old, beside.place, beside.was),) if old is not None else ()
        return (*again, *aside, self.renamed(new or Kind.TABLE, beside.next, beside.place))

    def _comment(self, row: Iterable[str | None]) -> str:
        """Return the statement that says a comment again."""
        *spot, column, comment = row
        name = ".".join(self.quoted(part or "") for part in spot)
        what = f"column {name}.{self.quoted(column)}" if column else f"view {name}"
        return f"comment on {what} is {escaped(comment or '')}"
