"""Documents as rows: one an environment, and one a promotion of its history; read and written in one transaction each.

The row of an environment says where its history is: the position of the newest promotion, and how many there are from
there on down. Those below are the past, which no document holds any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from msgspec import Struct
from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.engine import Connection, CursorResult

from airflow_dbt_promotion.core.errors import CorruptStateError, StateError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores.agreement import agree
from airflow_dbt_promotion.stores.database_engine import Database
from airflow_dbt_promotion.stores.database_faults import DatabaseFaultError, Kind
from airflow_dbt_promotion.stores.history import Record, overlap, record

REMEMBERED = 100
"""So many writes can be told by their writer, for one that does not know whether it has written."""

_HINT = "it is left as it is; restore it from a backup"


class Row(Struct, frozen=True, kw_only=True):
    """The row of an environment; `positions` are those of its history, newest first, and `texts` what is there."""

    serial: int
    lineage: str
    writers: tuple[str, ...]
    newest: int
    document: bytes
    positions: tuple[int, ...]
    texts: tuple[str, ...]

    def insist(self, serial: int, lineage: str, where: str) -> None:
        """Raise CorruptStateError where the document says something else than its row."""
        if (self.serial, self.lineage) != (serial, lineage):
            problem = f"the row says serial {self.serial} of {self.lineage}, its document serial {serial} of {lineage}"
            raise CorruptStateError(where, f"{problem}; {_HINT}")


class Write(Struct, frozen=True, kw_only=True):
    """What is to be written in place of which serial, and a random name for this one write."""

    state: EnvironmentState
    expected: int | None
    document: str
    records: tuple[Record, ...]
    writer: str
    where: str


class Documents:
    """The tables of states and histories."""

    def __init__(self, database: Database) -> None:
        """Take the database."""
        self._database = database

    def names(self, connection: Connection) -> list[str]:
        """Return the environments that have a row."""
        states = self._database.tables.states
        return [str(row[0]) for row in connection.execute(select(states.c.environment))]

    def row(self, connection: Connection, environment: EnvironmentName) -> Row | None:
        """Return the row of an environment, with its history."""
        return self._row(connection, environment, "record")

    def put(self, write: Write, connection: Connection, unsure: bool) -> None:  # noqa: FBT001 - as `settle` calls it
        """Write unless an earlier attempt did: compare, and set only what is still as it was compared.

        Raises StateConflictError, and StateError where it cannot be told whether an earlier attempt did.
        """
        there = self._row(connection, write.state.environment, "digest")
        if there is not None and _is_done(there, write, unsure=unsure):
            return
        agree(None if there is None else there.document, write.state, write.expected, write.where)
        if there is None:
            self._create(connection, write)
            return
        there.insist(write.state.serial - 1, write.state.lineage, write.where)
        shared = overlap(write.records, there.texts)
        added = write.records[: len(write.records) - shared]
        self._replace(connection, write, there, len(added))
        self._add(connection, write.state, added, there.newest)
        again = {one.digest for one in added}
        past = zip(there.positions[shared:], there.texts[shared:], strict=True)
        self._forget(connection, write.state, [position for position, digest in past if digest in again])

    # --- reading ------------------------------------------------------------------------------------------------------

    def _row(self, connection: Connection, environment: EnvironmentName, what: str) -> Row | None:
        """Return the row of an environment, and of each promotion of its history either the record or the digest."""
        states = self._database.tables.states
        asked = select(states).where(states.c.environment == environment)
        found = connection.execute(asked).mappings().first()
        if found is None:
            return None
        newest, kept, lineage = int(found["history_newest"]), int(found["history_kept"]), str(found["lineage"])
        listed = self._listed(connection, (environment, lineage), range(newest - kept, newest), what)
        return Row(
            serial=int(found["serial"]),
            lineage=lineage,
            writers=tuple(str(found["writers"]).split()),
            newest=newest,
            document=_bytes(found["document"]),
            positions=tuple(position for position, _ in listed),
            texts=tuple(text for _, text in listed),
        )

    def _listed(
        self, connection: Connection, of: tuple[str, str], below: range, what: str
    ) -> Sequence[tuple[int, str]]:
        """Return a part of a history, newest first; raise DatabaseFaultError where it is not whole."""
        history = self._database.tables.history
        asked = (
            select(history.c.position, history.c.digest, history.c[what])
            .where(*self._of(*of))
            .where(history.c.position > below.start)
            .where(history.c.position <= below.stop)
            .order_by(history.c.position.desc())
        )
        rows = [(int(row[0]), str(row[1]), str(row[2])) for row in connection.execute(asked)]
        if len(rows) != len(below):
            problem = f"{len(below) - len(rows)} of the {len(below)} promotions of its history are not in"
            raise DatabaseFaultError(Kind.DAMAGED, f"{problem} {history.name}; {_HINT}")
        if what == "record" and (changed := [row[0] for row in rows if record(row[2]).digest != row[1]]):
            problem = f"the promotion at position {changed[0]} of its history in {history.name} was changed"
            raise DatabaseFaultError(Kind.DAMAGED, f"{problem}; {_HINT}")
        return [(position, text) for position, _, text in rows]

    # --- writing ------------------------------------------------------------------------------------------------------

    def _create(self, connection: Connection, write: Write) -> None:
        """Make the row; where somebody else makes it too, its key lets one of both in.

        A history may be there already, as after somebody deleted the row alone.
        """
        history, state = self._database.tables.history, write.state
        last = select(func.max(history.c.position)).where(*self._of(state.environment, state.lineage))
        newest = int(connection.execute(last).scalar() or 0)
        values = self._values(write, (), newest + len(write.records))
        states = self._database.tables.states
        connection.execute(insert(states).values(environment=state.environment, lineage=state.lineage, **values))
        self._add(connection, state, write.records, newest)

    def _replace(self, connection: Connection, write: Write, there: Row, added: int) -> None:
        """Replace the row that was compared; where it is another by now, all begins anew."""
        states = self._database.tables.states
        replaced = (
            update(states)
            .where(states.c.environment == write.state.environment)
            .where(states.c.serial == there.serial)
            .where(states.c.lineage == there.lineage)
            .values(**self._values(write, there.writers, there.newest + added))
        )
        if cast("CursorResult[Any]", connection.execute(replaced)).rowcount != 1:
            raise DatabaseFaultError(Kind.PASSING, "the row changed while it was written")

    def _values(self, write: Write, before: tuple[str, ...], newest: int) -> dict[str, Any]:
        """Return what goes into the row."""
        return {
            "serial": write.state.serial,
            "writers": " ".join((write.writer, *before)[:REMEMBERED]),
            "written_at": self._database.dialect.instant(),
            "history_newest": newest,
            "history_kept": len(write.records),
            "document": write.document,
        }

    def _add(self, connection: Connection, state: EnvironmentState, added: Sequence[Record], newest: int) -> None:
        """Write promotions that are new, the oldest of them next to the newest that was there."""
        rows = [
            {
                "environment": state.environment,
                "lineage": state.lineage,
                "position": newest + len(added) - index,
                "digest": one.digest,
                "record": one.text,
            }
            for index, one in enumerate(added)
        ]
        if rows:
            connection.execute(insert(self._database.tables.history), rows)

    def _forget(self, connection: Connection, state: EnvironmentState, positions: Sequence[int]) -> None:
        """Delete what was written again at another position, as when older promotions were put in below it."""
        if positions:
            history = self._database.tables.history
            ours = self._of(state.environment, state.lineage)
            connection.execute(delete(history).where(*ours, history.c.position.in_(positions)))

    def _of(self, environment: str, lineage: str) -> tuple[Any, Any]:
        """Return what the promotions of one document have in common."""
        history = self._database.tables.history
        return history.c.environment == environment, history.c.lineage == lineage


def _is_done(row: Row, write: Write, *, unsure: bool) -> bool:
    """Say whether a row shows that this very write was made."""
    age = row.serial - write.state.serial
    if age < 0 or row.lineage != write.state.lineage:
        return False
    if unsure and age >= len(row.writers):
        problem = "it is not known whether this was written, and others have written since; look at it"
        raise StateError(write.where, problem)
    return row.writers[age : age + 1] == (write.writer,)


def _bytes(document: object) -> bytes:
    """Return what is in the column, of whatever type SQLite takes it to be."""
    return bytes(document) if isinstance(document, bytes | memoryview) else str(document).encode()
