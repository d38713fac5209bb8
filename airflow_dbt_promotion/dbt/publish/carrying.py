"""What a relation in place has that no dbt config made: the next one comes to it in the swap, or there is none."""

from __future__ import annotations

from collections.abc import Iterator

from airflow_dbt_promotion.core.beside import Arrangement, Beside, Fill
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Feature, Kind, Privilege, Spot
from airflow_dbt_promotion.dbt.publish.dialect import Dialect
from airflow_dbt_promotion.dbt.publish.postgres_features import TOKEN, WAS

_OF_ANY_KIND = frozenset({"options", "options of column", "statistics target of column", "statistics"})
"""What a relation of another kind has no use for, and nobody misses."""


def lost_features(beside: Beside, catalog: Catalog, dialect: Dialect) -> Iterator[Feature]:
    """Yield what the relation in place has and the next one, as it is, cannot come to."""
    old, new = dialect.spot(beside.place), dialect.spot(beside.next)
    for feature in _to_carry(old, new, catalog):
        if feature.statement is None or (_changes_kind(old, new, catalog) and feature.kind not in _OF_ANY_KIND):
            yield feature


def carried_over(beside: Beside, arrangement: Arrangement, catalog: Catalog, dialect: Dialect) -> Iterator[str]:
    """Yield what gives the relation that has come into place what the one before it had, owner first."""
    old, new = dialect.spot(beside.place), dialect.spot(beside.next)
    if old not in catalog.relations or new not in catalog.relations or beside.place == beside.next:
        return
    owner, place = catalog.relations[old].owner, dialect.sql(beside.place)
    if owner != catalog.relations[new].owner:
        yield f'alter table {place} owner to "{owner.replace(chr(34), 2 * chr(34))}"'
    yield from _privileges(beside, catalog, old, new, place)
    for feature in _to_carry(old, new, catalog):
        if feature.statement is not None and not _changes_kind(old, new, catalog):
            yield feature.statement.replace(WAS, dialect.sql(beside.was)).replace(TOKEN, arrangement.token)


def _to_carry(old: Spot, new: Spot, catalog: Catalog) -> Iterator[Feature]:
    """Yield what the one in place has of a kind of which the next one has nothing of its own."""
    own = {(feature.kind, feature.column) for feature in catalog.features.get(new, ())}
    columns = catalog.columns.get(new)
    for feature in catalog.features.get(old, ()):
        gone = bool(feature.column) and columns is not None and feature.column not in columns
        if (feature.kind, feature.column) not in own and not gone:
            yield feature


def _privileges(beside: Beside, catalog: Catalog, old: Spot, new: Spot, place: str) -> Iterator[str]:
    """Yield what makes privileges those of the one in place, but for those that config says or said."""
    decided = {name.upper() for name in beside.granted}
    before = {one.key: one for one in catalog.privileges.get(old, ()) if one.privilege not in decided}
    after = {one.key: one for one in catalog.privileges.get(new, ()) if one.privilege not in decided}
    for key, one in after.items():
        if key not in before and (one.by_default or beside.fill is Fill.KEPT):
            yield f"revoke {one.privilege} on {place} from {one.grantee}"
    for key, one in before.items():
        if key not in after or after[key].grantable != one.grantable:
            yield _grant(one, place)


def _grant(one: Privilege, place: str) -> str:
    """Return the statement that gives a privilege."""
    option = " with grant option" if one.grantable else ""
    return f"grant {one.privilege} on {place} to {one.grantee}{option}"


def _changes_kind(old: Spot, new: Spot, catalog: Catalog) -> bool:
    """Say whether the next relation is of another kind than the one in place: not before it is built."""
    kind = catalog.kind(new)
    return kind is not None and kind is not catalog.kind(old) and Kind.OTHER is not kind
