"""What a warehouse says of the relations that a swap is about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

Spot = tuple[str, str, str]
"""A relation as a warehouse finds it: database, schema and name as they are stored, an empty database where there is
none."""


class Kind(Enum):
    """What kind of thing has a name. OTHER is neither built nor moved by us."""

    TABLE = "table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized_view"
    OTHER = "other"


class Relation(Struct, frozen=True, kw_only=True):
    """Something that has a name in a warehouse; `owned` says whether who asks may alter it, `owner` whose it is.

    `identity` tells it from every other relation, whatever its name, where the warehouse has such a thing.
    `passed_on`: who asks may make something, and let it be of the same owner. `transient`: a table of the kind that is
    not kept safe after it is gone, and whose clones have to be of that kind.
    """

    spot: Spot
    kind: Kind
    owned: bool = True
    owner: str = ""
    transient: bool = False
    passed_on: bool = True
    identity: str = ""


class Reader(Struct, frozen=True, kw_only=True):
    """A view that reads what is replaced, by its identity: it would go on reading what was replaced.

    `sql` is its name as SQL has it, `definition` its query, `options` what follows `with`. `reads` says what it reads,
    and which columns of it.
    """

    spot: Spot
    sql: str
    definition: str
    reads: Mapping[Spot, tuple[str, ...]]
    options: str = ""
    owned: bool = True
    owner: str = ""


class Index(Struct, frozen=True, kw_only=True):
    """An index: its name as SQL has it, and the statement that made it."""

    sql: str
    definition: str


class ForeignKey(Struct, frozen=True, kw_only=True):
    """A foreign key: its name and definition as SQL has them, and what it refers to."""

    sql: str
    definition: str
    refers: Spot


class Feature(Struct, frozen=True, kw_only=True):
    """Something of a relation that no dbt config made, of some `kind`: what it is called, and its column if it has one.

    The `statement` gives it to the relation that has come into place; None where nothing can.
    """

    kind: str
    told: str
    column: str = ""
    statement: str | None = None


class Privilege(Struct, frozen=True, kw_only=True):
    """A privilege that somebody other than the owner has; `by_default`: default privileges give it."""

    grantee: str
    privilege: str
    grantable: bool = False
    by_default: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """What is granted to whom."""
        return self.grantee, self.privilege


class Tie(Struct, frozen=True, kw_only=True):
    """Something else that holds on to a relation by its identity, as the warehouse describes it.

    `holder` is the relation that it belongs to, where it belongs to one.
    """

    told: str
    holder: Spot | None = None


class Catalog(Struct, frozen=True, kw_only=True):
    """What is there: relations by their spot, and what hangs on them.

    `readers` are the views that read a relation by its identity, `tied` is whatever else holds on to one. `definitions`
    are the statements that made views, `comments` those that say again what is said of a view and its columns.
    `additions` are statements that give a copy its rows and what copying leaves out, with `{}` for its name, and
    `uncopied` what cannot be given. `digests` are those of the answers to each question. `features`
    and `privileges` are what relations have, whoever made that.
    """

    relations: Mapping[Spot, Relation] = {}
    readers: tuple[Reader, ...] = ()
    tied: Mapping[Spot, tuple[Tie, ...]] = {}
    definitions: Mapping[Spot, str] = {}
    comments: Mapping[Spot, tuple[str, ...]] = {}
    indexes: Mapping[Spot, tuple[Index, ...]] = {}
    foreign: Mapping[Spot, tuple[ForeignKey, ...]] = {}
    columns: Mapping[Spot, tuple[str, ...]] = {}
    additions: Mapping[Spot, tuple[str, ...]] = {}
    uncopied: Mapping[Spot, tuple[str, ...]] = {}
    digests: Mapping[str, str] = {}
    features: Mapping[Spot, tuple[Feature, ...]] = {}
    privileges: Mapping[Spot, tuple[Privilege, ...]] = {}

    def kind(self, spot: Spot) -> Kind | None:
        """Return what is at a spot, None where nothing is."""
        found = self.relations.get(spot)
        return found.kind if found is not None else None
