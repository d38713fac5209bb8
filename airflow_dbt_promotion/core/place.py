"""Places: where a relation is in a warehouse, as dbt names it."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace


class Place(Struct, frozen=True, kw_only=True, gc=False):
    """A relation's database (None where the adapter knows none), schema and identifier.

    `quoted` says of the three, in that order, which are written in quotes. How quotes look, and what becomes of a name
    without them, is the warehouse's: see `dbt/publish`.
    """

    database: str | None
    schema: str
    identifier: str
    quoted: tuple[bool, bool, bool] = (True, True, True)

    def named(self, identifier: str) -> Place:
        """Return the place beside this one that has another name."""
        return replace(self, identifier=identifier)

    @property
    def told(self) -> str:
        """The place as people say it: schema and identifier."""
        return f"{self.schema}.{self.identifier}"
