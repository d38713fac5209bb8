"""What a warehouse has to say of itself, so that models can be published there by a swap."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Protocol

from msgspec import Struct

from airflow_dbt_promotion.core.beside import Arrangement, Beside
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Relation, Spot

Answers = Mapping[str, Sequence[Sequence[str | None]]]
"""The rows that came of each question."""

LOST = "a view outside cannot be made again on what would replace its tables, so nothing was swapped"
"""What a swap says that would have lost somebody's view."""

ROWS_CHANGED = "was written to after its rows were copied, so nothing was swapped; promote again"
"""What a swap says of a table whose copy lacks what another session wrote."""

RELATION_DIFFERS = "relation_differs: after the swap this is not the relation that was built"
"""What a swap says, in its transaction, of a relation that does not stand where it was put."""

CATALOG_CHANGED = "the catalog changed after it was read, so nothing was swapped"
"""What a swap says that found another catalog under its locks than the one that it was made for."""


class Located(Struct, frozen=True, kw_only=True):
    """A planned node, where it lies, and what its config says of how it lies there.

    `grants`: the privileges that its config grants. `located`: its files lie where its config says.
    """

    model: ModelId
    resource_type: str
    place: Place
    materialized: str
    full_refresh: bool | None = None
    foreign_keys: bool = False
    late_binding: bool = False
    table_format: str = ""
    file_format: str = ""
    grants: tuple[str, ...] = ()
    located: bool = False


class Step(Struct, frozen=True, kw_only=True):
    """Statements that take effect together: all of them, or none.

    `models` are those that readers see anew afterwards, `kept` those of them whose old relation is kept. The `question`
    is asked after the statements, in their transaction.
    """

    models: tuple[ModelId, ...]
    kept: tuple[ModelId, ...]
    statements: tuple[str, ...]
    question: str = ""


class Dialect(Protocol):
    """One kind of warehouse, by the name of dbt's adapter for it.

    `ran` says whether what is written here was ever run on such a warehouse by the tests of this package. `atomic`:
    one swap is one transaction, whatever it publishes. `rewrites_views`: a view is made again from its text at the
    swap. `clones`: a clone is a table of its own there, and no view. `shared`: several processes can write at once.
    `longest` is the most bytes of a name. `whole`: a step is sent as one string, with its own begin and commit, since
    dbt's adapter may begin nothing, or connect anew between two strings.
    """

    adapter: str
    ran: bool
    atomic: bool
    rewrites_views: bool
    clones: bool
    shared: bool
    longest: int
    quote: str
    whole: bool

    def sql(self, place: Place) -> str:
        """Return a place as SQL has it."""

    def spot(self, place: Place) -> Spot:
        """Return a place as the catalog has it."""

    def refusal(self, located: Located) -> str | None:
        """Return why a node cannot be published by a swap, None where it can."""

    def questions(self, places: Collection[Place]) -> Mapping[str, str]:
        """Return queries over the catalog, by name; each row is one column: a JSON list of texts.

        A name may go on with `|`, a database, `|` and a schema: it is asked only where that schema is, and its rows are
        those of the name before.
        """

    def catalog(self, answers: Answers) -> Catalog:
        """Return what came of the questions."""

    def copied(self, beside: Beside, catalog: Catalog) -> tuple[str, ...]:
        """Return the statements that put the rows of the relation in place, or of a clone's origin, beside it."""

    def row_witness(self, place: Place) -> str:
        """Return a query whose one text differs where the rows of a table do, an empty one where none is known."""

    def swap(self, arrangement: Arrangement, catalog: Catalog) -> tuple[Step, ...]:
        """Return the steps that put what was built beside into place, and what was in place aside."""

    def dropped(self, place: Place, relation: Relation) -> str:
        """Return the statement that drops a relation, and nothing that depends on it."""


class Quoting:
    """Names in quotes, as most warehouses have them."""

    quote: str = '"'
    whole: bool = False

    def row_witness(self, place: Place) -> str:  # noqa: ARG002 - the port's
        """Return an empty text: no witness of a table's rows is known here."""
        return ""

    def sql(self, place: Place) -> str:
        """Return a place as SQL has it."""
        parts = (place.database, place.schema, place.identifier)
        return ".".join(
            self.quoted(part) if quoted else part
            for part, quoted in zip(parts, place.quoted, strict=True)
            if part is not None
        )

    def name(self, place: Place) -> str:
        """Return the identifier of a place as SQL has it."""
        return self.quoted(place.identifier) if place.quoted[2] else place.identifier

    def quoted(self, part: str) -> str:
        """Return a name in quotes."""
        return f"{self.quote}{part.replace(self.quote, 2 * self.quote)}{self.quote}"


def literal(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def escaped(text: str) -> str:
    """Return a text as SQL has it where a backslash escapes what follows it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def place_in(relation_name: str, database: str | None, schema: str, identifier: str, quote: str) -> Place | None:
    """Return the place that dbt wrote as a relation's name, with the quotes that it has; None where it cannot be told.

    dbt puts quotes around a name and doubles none inside of it; on some warehouses it writes all of it in lower case.
    """
    named = (database, schema, identifier)
    lower = (database.lower() if database is not None else None, schema.lower(), identifier.lower())
    for base, inside, name in dict.fromkeys((named, (None, *named[1:]), lower, (None, *lower[1:]))):
        for quoted in product((True, False), (True, False), (True, False)):
            parts = [
                f"{quote}{part}{quote}" if flag else part
                for part, flag in zip((base, inside, name), quoted, strict=True)
                if part is not None
            ]
            if ".".join(parts) == relation_name and not any(quote in part for part in (inside, name)):
                return Place(database=base, schema=inside, identifier=name, quoted=quoted)
    return None
