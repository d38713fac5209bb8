"""What is in the way of a swap: found out before anything is built."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain

from airflow_dbt_promotion.core.beside import Arrangement, Beside, Fill, Obstacle
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.carrying import lost_features
from airflow_dbt_promotion.dbt.publish.catalog import Catalog, Kind, Relation
from airflow_dbt_promotion.dbt.publish.dialect import Dialect, Located

_INSTEAD = "or promote with `strategy: build`"


def refused(located: Iterable[Located], dialect: Dialect, here: str | None) -> Iterator[Obstacle]:
    """Yield what the nodes themselves are in the way of: what they are, and in which database they lie."""
    for node in located:
        reason = dialect.refusal(node)
        if reason is not None:
            yield Obstacle(
                model=node.model, code="not_swappable", reason=f"{reason}; promote it with `strategy: build`"
            )
        elif dialect.atomic and here and (node.place.database or here).lower() != here.lower():
            yield Obstacle(
                model=node.model,
                code="other_database",
                reason=f"it lies in {node.place.database}, and one transaction writes to {here} alone; promote it with "
                f"`strategy: build`",
            )


def obstacles(
    arrangement: Arrangement, catalog: Catalog, dialect: Dialect, ours: Collection[Place]
) -> Iterator[Obstacle]:
    """Yield what the catalog says is in the way of an arrangement."""
    made = {dialect.spot(place) for place in ours}
    moving = {dialect.spot(place) for one in arrangement.besides for place in (one.place, one.next, one.was)}
    for beside in arrangement.besides:
        found = catalog.relations.get(dialect.spot(beside.place))
        yield from _in_the_way(beside, catalog, dialect, made)
        if found is not None:
            yield from _immovable(beside, found)
            yield from _held(beside, catalog, dialect, made | moving)
            yield from _not_carried(beside, found, catalog, dialect)
        if beside.fill is Fill.COPY:
            yield from _lost(beside, catalog, dialect)
    yield from _unreachable(arrangement, catalog, dialect, made | moving)


def missing(arrangement: Arrangement, catalog: Catalog, dialect: Dialect) -> Iterator[str]:
    """Yield what is missing once all is built: relations that nothing came of, columns that views outside read."""
    for beside in arrangement.besides:
        if catalog.kind(dialect.spot(beside.next)) not in {Kind.TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW}:
            yield f"{beside.model} was built, and there is no {beside.next.told}: it cannot be published by a swap"
        for lost in lost_features(beside, catalog, dialect):
            yield (
                f"{beside.place.told} has the {lost.kind} {lost.told}, which the relation that would replace it cannot "
                f"be given; take it away first, {_INSTEAD}"
            )
    new = {dialect.spot(beside.place): catalog.columns.get(dialect.spot(beside.next)) for beside in arrangement.besides}
    moving = {dialect.spot(place) for one in arrangement.besides for place in (one.place, one.next)}
    spared = moving | {dialect.spot(place) for place in arrangement.ours}
    for reader in catalog.readers:
        if reader.spot in spared:
            continue
        for spot, columns in reader.reads.items():
            gone = sorted(set(columns) - set(new.get(spot) or columns))
            if gone:
                yield (
                    f"the view {'.'.join(reader.spot[1:])} reads {', '.join(gone)} of {'.'.join(spot[1:])}, which has "
                    f"no such column any more: the view would be lost. Change or drop it first, {_INSTEAD}"
                )


def _not_carried(beside: Beside, found: Relation, catalog: Catalog, dialect: Dialect) -> Iterator[Obstacle]:
    """Yield what was done to a relation by hand, and what replaces it cannot come to."""
    lost = [f"{one.kind} {one.told}".strip() for one in lost_features(beside, catalog, dialect)]
    if not found.passed_on:
        lost.append(f"owner {found.owner}, who may not create anything in its schema")
    if lost:
        reason = f"what replaces {beside.place.told} cannot be given its {', '.join(lost)}; take it away, {_INSTEAD}"
        yield Obstacle(model=beside.model, code="not_carried", reason=reason)


def _in_the_way(
    beside: Beside, catalog: Catalog, dialect: Dialect, made: Collection[tuple[str, str, str]]
) -> Iterator[Obstacle]:
    """Yield relations that have a name that we would give, and that we did not make."""
    for place in (beside.next, beside.was):
        spot = dialect.spot(place)
        if spot in catalog.relations and spot not in made:
            reason = f"{place.told} is there already, and this package did not make it; rename or drop it"
            yield Obstacle(model=beside.model, code="in_the_way", reason=reason)


def _immovable(beside: Beside, found: Relation) -> Iterator[Obstacle]:
    """Yield what is in place and cannot be moved aside."""
    told = beside.place.told
    if found.kind is Kind.OTHER:
        reason = f"{told} is neither a table nor a view, and is not replaced"
        yield Obstacle(model=beside.model, code="not_swappable", reason=reason)
    elif not found.owned:
        reason = f"{told} is {found.owner}'s, and only its owner may rename it; let it be owned by who runs dbt"
        yield Obstacle(model=beside.model, code="not_owned", reason=reason)


def _held(
    beside: Beside, catalog: Catalog, dialect: Dialect, spared: Collection[tuple[str, str, str]]
) -> Iterator[Obstacle]:
    """Yield what holds on to what is in place, and would go on holding on to it."""
    for tie in catalog.tied.get(dialect.spot(beside.place), ()):
        if tie.holder is None or tie.holder not in spared:
            reason = (
                f"{tie.told} depends on {beside.place.told} and would stay with what is replaced; drop it, {_INSTEAD}"
            )
            yield Obstacle(model=beside.model, code="depended_on", reason=reason)


def _lost(beside: Beside, catalog: Catalog, dialect: Dialect) -> Iterator[Obstacle]:
    """Yield what a copy of the rows in place would lose."""
    lost = catalog.uncopied.get(dialect.spot(beside.place), ())
    if lost:
        reason = f"its rows are copied, and the copy would lose {', '.join(lost)}; {_INSTEAD[3:]}"
        yield Obstacle(model=beside.model, code="not_copied", reason=reason)


def _unreachable(
    arrangement: Arrangement, catalog: Catalog, dialect: Dialect, spared: Collection[tuple[str, str, str]]
) -> Iterator[Obstacle]:
    """Yield views outside that would go on reading what is replaced, since only their owner can make them again."""
    models: Mapping[object, Beside] = {dialect.spot(beside.place): beside for beside in arrangement.besides}
    for reader in catalog.readers:
        read = next(chain((models[spot] for spot in sorted(reader.reads) if spot in models), [None]))
        if read is not None and reader.spot not in spared and not reader.owned:
            reason = (
                f"the view {'.'.join(reader.spot[1:])} reads {read.place.told} and is {reader.owner}'s: only its owner "
                f"can let it read what replaces it; let it be owned by who runs dbt, {_INSTEAD}"
            )
            yield Obstacle(model=read.model, code="view_left_behind", reason=reason)
