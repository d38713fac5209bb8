"""Kept sources in a database: a table of blobs, each with its size and the time when it was last in use.

The time is the database's, so that all who share it agree what is old.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from sqlalchemy import bindparam, delete, func, select, update
from sqlalchemy.engine import Connection, CursorResult

from airflow_dbt_promotion.core.errors import ReleaseError, ReleaseUnwritableError
from airflow_dbt_promotion.stores.blobs import Listed
from airflow_dbt_promotion.stores.database_engine import Database
from airflow_dbt_promotion.stores.database_faults import DatabaseFaultError, Kind
from airflow_dbt_promotion.stores.releases import BlobReleaseStore

MOST_BYTES = 256 << 20
"""The largest blob: PostgreSQL takes a value of 1 GiB at the most, and a statement of as much with the value in it."""

_BATCH_NAMES = 500
_BATCH_BYTES = 8 << 20
"""So much goes into one transaction."""


class DatabaseBlobs:
    """Blobs as rows of one table, which the first write makes."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def where(self, name: str) -> str:
        """Return the address of the database, and the name."""
        return f"{self._database.shown}#releases/{name}"

    def path(self, name: str) -> Path | None:  # noqa: ARG002 - whatever its name
        """Return None: there are no files."""
        return None

    def write(self, blobs: Iterable[tuple[str, bytes]]) -> None:
        """Write blobs in batches, each of which is a transaction."""
        batch, size = dict[str, bytes](), 0
        for name, data in blobs:
            if len(data) > MOST_BYTES:
                problem = f"is {len(data) >> 20} MiB, more than a database keeps well; leave it out with kept_paths"
                raise ReleaseUnwritableError(self.where(name), f"{problem}, or keep state in object storage")
            batch[name] = data
            size += len(data)
            if size >= _BATCH_BYTES or len(batch) >= _BATCH_NAMES:
                self._write(batch)
                batch, size = {}, 0
        if batch:
            self._write(batch)

    def read(self, name: str) -> bytes | None:
        """Return a blob, None where there is none."""
        blobs = self._database.tables.blobs

        def found(connection: Connection) -> bytes | None:
            data = connection.execute(select(blobs.c.data).where(blobs.c.name == name)).scalar()
            return None if data is None else bytes(data)

        with self._told(ReleaseError, "cannot be read", name):
            return self._database.read(found)

    def touch(self, name: str) -> bool:
        """Hold one."""
        return bool(self.hold((name,)))

    def hold(self, names: Collection[str]) -> set[str]:
        """Set the time of blobs and return those that are there; where that is not allowed, being there must do."""
        with self._told(ReleaseError, "cannot be marked as in use"):
            try:
                held = [self._database.change(partial(self._hold, batch)) for batch in _batches(names)]
            except DatabaseFaultError as fault:
                if fault.kind is not Kind.FINAL:
                    raise
                held = [self._database.read(partial(self._there, batch)) or [] for batch in _batches(names)]
        return {name for batch in held for name in batch}

    def names(self, folder: str) -> Iterator[Listed]:
        """Yield the blobs whose names begin with a folder's."""
        blobs = self._database.tables.blobs
        below = f"{folder}/"

        def listed(connection: Connection) -> list[Listed]:
            asked = select(blobs.c.name, blobs.c.size, blobs.c.touched_at).where(
                func.substr(blobs.c.name, 1, len(below)) == below
            )
            return [Listed(str(row[0]), int(row[1]), float(row[2])) for row in connection.execute(asked)]

        with self._told(ReleaseError, "cannot be listed"):
            found = self._database.read(listed) or []
        yield from found

    def delete(self, name: str, before: float) -> bool:
        """Delete a blob that nobody has touched since: one statement asks and deletes."""
        with self._told(ReleaseUnwritableError, "cannot be deleted", name):
            return self._database.change(partial(self._delete, (name,), before))

    def delete_all(self, names: Iterable[str], before: float) -> None:
        """Delete many, each as `delete` does."""
        with self._told(ReleaseUnwritableError, "cannot be deleted"):
            for batch in _batches(names):
                self._database.change(partial(self._delete, batch, before))

    # --- transactions -------------------------------------------------------------------------------------------------

    def _write(self, batch: dict[str, bytes]) -> None:
        with self._told(ReleaseUnwritableError, "kept sources cannot be written there"):
            self._database.change(partial(self._put, batch))

    def _put(self, batch: dict[str, bytes], connection: Connection) -> None:
        """Write rows, in the order of their names, so that two who write the same do not wait for each other."""
        made = self._database.dialect.insert(self._database.tables.blobs).values(
            name=bindparam("name"),
            size=bindparam("size"),
            data=bindparam("data"),
            touched_at=self._database.dialect.seconds(),
        )
        new = {column: made.excluded[column] for column in ("size", "data", "touched_at")}
        rows = [{"name": name, "size": len(data), "data": data} for name, data in sorted(batch.items())]
        connection.execute(made.on_conflict_do_update(index_elements=["name"], set_=new), rows)

    def _there(self, names: Sequence[str], connection: Connection) -> list[str]:
        """Return those that are there."""
        blobs = self._database.tables.blobs
        asked = select(blobs.c.name).where(blobs.c.name.in_(names))
        return [str(row[0]) for row in connection.execute(asked)]

    def _hold(self, names: Sequence[str], connection: Connection) -> list[str]:
        """Set the time of those that are there, locked in the order of their names."""
        blobs = self._database.tables.blobs
        asked = select(blobs.c.name).where(blobs.c.name.in_(names)).order_by(blobs.c.name).with_for_update()
        there = [str(row[0]) for row in connection.execute(asked)]
        now = self._database.dialect.seconds()
        connection.execute(update(blobs).where(blobs.c.name.in_(there)).values(touched_at=now))
        return there

    def _delete(self, names: Sequence[str], before: float, connection: Connection) -> bool:
        """Delete those that are old, and say whether none is left."""
        blobs = self._database.tables.blobs
        asked = delete(blobs).where(blobs.c.name.in_(names)).where(blobs.c.touched_at < before)
        deleted = cast("CursorResult[Any]", connection.execute(asked)).rowcount
        return deleted == len(names) or not self._there(names, connection)

    @contextmanager
    def _told(self, cannot: type[ReleaseError], what: str, name: str = "") -> Iterator[None]:
        """Tell what a database refuses as what it means here."""
        try:
            yield
        except DatabaseFaultError as fault:
            raise cannot(self.where(name), f"{what}: {fault.problem}") from fault


def open_in_database(root: str, base: Path) -> BlobReleaseStore:
    """Return the store in the database that the state is in; nothing is made before something is kept."""
    return BlobReleaseStore(DatabaseBlobs(Database.at(root, base)))


def _batches(names: Iterable[str]) -> Iterator[Sequence[str]]:
    """Yield names, some at a time."""
    listed = sorted(names)
    for start in range(0, len(listed), _BATCH_NAMES):
        yield listed[start : start + _BATCH_NAMES]
