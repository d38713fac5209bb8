"""BigQuery: model by model, and each in the statement that replaces it; its transactions know no DDL.

No test of this package ran on BigQuery: what is written here was reviewed against the vendor's documentation alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping

from airflow_dbt_promotion.core.beside import Arrangement, Beside, Fill
from airflow_dbt_promotion.core.errors import NotSwappedError
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.by_name import ByName, in_place, spot_of
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind, Relation, Spot
from airflow_dbt_promotion.dbt.publish.dialect import Answers, Located

_KINDS = {"BASE TABLE": Kind.TABLE, "CLONE": Kind.TABLE, "VIEW": Kind.VIEW}
_HEAD = re.compile(r"\s*create\s+(?:or\s+replace\s+)?view\s+`[^`]+`(?:\.`[^`]+`)*", re.IGNORECASE)
_LAYOUT = re.compile(r"^(?:partition by|cluster by)\b.*$", re.IGNORECASE | re.MULTILINE)


class BigQuery(ByName):
    """The dialect of dbt-bigquery."""

    adapter = "bigquery"
    longest = 1024
    quote = "`"

    def spot(self, place: Place) -> Spot:
        """Return a place as the catalog has it: upper and lower case differ."""
        return place.database or "", place.schema, place.identifier

    def refusal(self, located: Located) -> str | None:
        """Return why a node cannot be published by a swap."""
        if located.materialized == "materialized_view":
            return "it is a materialized view, which reads what it was built on beside for good"
        if located.table_format == "iceberg":
            return "it is an Iceberg table, which has no clones"
        if located.grants:
            return "its config has grants, which a clone does not take along; grant on its dataset"
        return None

    def questions(self, places: Collection[Place]) -> Mapping[str, str]:
        """Return queries over the catalog, one for each dataset that is there; see `Dialect.questions`."""
        datasets: defaultdict[tuple[str, str], list[Place]] = defaultdict(list)
        for place in places:
            datasets[self.spot(place)[:2]].append(place)
        return {
            f"relations|{project}|{dataset}": f"""
select to_json_string([table_catalog, table_schema, table_name, table_type, ifnull(ddl, '')])
from {self.quoted(project)}.{self.quoted(dataset)}.INFORMATION_SCHEMA.TABLES
where {self.among(inside)}"""
            for (project, dataset), inside in sorted(datasets.items())
        }

    def catalog(self, answers: Answers) -> Catalog:
        """Return what came of the questions."""
        rows = answers.get("relations", ())
        relations = [Relation(spot=spot_of(row), kind=_KINDS.get(row[3] or "", Kind.OTHER)) for row in rows]
        return Catalog(
            relations={relation.spot: relation for relation in relations},
            definitions={spot_of(row): row[4] or "" for row in rows},
        )

    def copied(self, beside: Beside, catalog: Catalog) -> tuple[str, ...]:  # noqa: ARG002 - the port's
        """Return the statement that clones the table in place, or the origin."""
        source = beside.origin if beside.fill is Fill.CLONE and beside.origin is not None else beside.place
        return (f"create table {self.sql(beside.next)} clone {self.sql(source)}",)

    def replaced(self, beside: Beside, arrangement: Arrangement, catalog: Catalog) -> tuple[str, ...]:
        """Return a replacement by a clone, or of a view; renames where BigQuery replaces one by the other in no way."""
        old, new = catalog.kind(self.spot(beside.place)), catalog.kind(self.spot(beside.next))
        place, next_ = self.sql(beside.place), self.sql(beside.next)
        if old is Kind.VIEW:
            aside = [f"create view if not exists {self.sql(beside.was)}{self._body(beside.place, catalog)}"]
            aside += [f"drop view {place}"] if new is not Kind.VIEW else []
        elif (
            old is Kind.TABLE
            and new is Kind.TABLE
            and self._layout(beside.place, catalog) == self._layout(beside.next, catalog)
        ):
            return (
                f"create table if not exists {self.sql(beside.was)} clone {place}",
                f"create or replace table {place} clone {next_}",
                f"drop table {next_}",
            )
        else:
            aside = [self.renamed(Kind.TABLE, beside.place, beside.was)] if old is not None else []
        if new is not Kind.VIEW:
            return (*aside, self.renamed(Kind.TABLE, beside.next, beside.place))
        body = in_place(self._body(beside.next, catalog), arrangement)
        return (*aside, f"create or replace view {place}{body}", f"drop view {next_}")

    def renamed(self, kind: Kind, before: Place, after: Place) -> str:
        """Return the statement that gives a table another name, which is a name without its dataset."""
        return f"alter {kind.value} {self.sql(before)} rename to {self.name(after)}"

    def _body(self, place: Place, catalog: Catalog) -> str:
        """Return what follows a view's name in the statement that makes it."""
        text = self.text(place, catalog)
        head = _HEAD.match(text)
        if head is None:
            raise NotSwappedError(f"how the view {place.told} is written is not understood", [text])
        return text[head.end() :]

    def _layout(self, place: Place, catalog: Catalog) -> tuple[str, ...]:
        """Return how a table is partitioned and clustered: one that is so otherwise is not replaced, but refused."""
        return tuple(_LAYOUT.findall(self.text(place, catalog).partition("\nAS ")[0]))
