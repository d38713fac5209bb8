"""State in a database: a row an environment, replaced where its serial and lineage are those that were read.

The history has rows of its own: a write adds the promotion that is new, and leaves the others as they are. Whatever
falls out of the document stays in that table, as the whole past.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Self

from msgspec.structs import replace

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import CorruptStateError, FutureSchemaError, StateError, StateUnwritableError
from airflow_dbt_promotion.core.identity import EnvironmentName, environment_name
from airflow_dbt_promotion.core.migrations import schema_of
from airflow_dbt_promotion.core.state import SCHEMA_VERSION, EnvironmentState
from airflow_dbt_promotion.stores.agreement import risen
from airflow_dbt_promotion.stores.database_documents import Documents, Write
from airflow_dbt_promotion.stores.database_engine import Database
from airflow_dbt_promotion.stores.database_faults import DatabaseFaultError, Kind
from airflow_dbt_promotion.stores.endangered import warnings_of
from airflow_dbt_promotion.stores.history import alone, apart, as_of, record, together


class DatabaseStore:
    """Keeps documents in the tables of a database, which the first write makes, never a reader."""

    def __init__(self, database: Database, endangered: tuple[Path, ...] = ()) -> None:
        """Take the database, and folders that other tools delete."""
        self._database, self._endangered = database, endangered
        self._documents = Documents(database)

    @classmethod
    def open(cls, root: str, base: Path, endangered: tuple[Path, ...]) -> Self:
        """Return the store for the address of a database, or of a connection of Airflow to one."""
        return cls(Database.at(root, base), endangered)

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        """Return the newest document with its history, as of one moment; None where there is none."""
        where = self.where(environment_name(environment))
        with _told(where, StateError, "cannot be read"):
            row = self._database.read(lambda connection: self._documents.row(connection, environment))
        if row is None:
            return None
        state = codec.decode(row.document, where, environment)
        row.insist(state.serial, state.lineage, where)
        if not row.texts:
            return state
        past = together(codec.encode(alone(state), plain=True), [record(text) for text in row.texts])
        # All promotions of a history are of the schema of its document: a write in another makes new rows of them.
        past = as_of(past, schema_of(row.document) or SCHEMA_VERSION)
        return replace(state, history=codec.decode(past, where, environment).history)

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        """Replace a document that has the expected serial, and our lineage; raise StateConflictError if it has not.

        Where the connection ends while it is committed, the writers in the row say what became of it.
        """
        where = self.where(environment_name(state.environment))
        written = risen(state, expected_serial)
        document = codec.encode(replace(written, history=()))
        _, records = apart(codec.encode(alone(written), plain=True))
        write = Write(
            state=written,
            expected=expected_serial,
            document=document.decode(),
            records=records,
            writer=secrets.token_hex(8),
            where=where,
        )
        with _told(where, StateUnwritableError, "cannot be written"):
            self._database.settle(partial(self._documents.put, write))
        return written

    def where(self, environment: EnvironmentName) -> str:
        """Return the address of the database, without any password, and the environment."""
        return f"{self._database.shown}#{environment}"

    def environments(self) -> tuple[EnvironmentName, ...]:
        """Return the environments that have a row."""
        with _told(self._database.shown, StateError, "cannot be listed"):
            names = self._database.read(self._documents.names) or []
        return tuple(EnvironmentName(name) for name in sorted(names))

    def warnings(self) -> tuple[str, ...]:
        """Say so where the address holds a password, or where the file lies in a folder that other tools delete."""
        address = self._database.known_address
        if address is not None and address.file is not None:
            return warnings_of(address.file, self._endangered)
        if self._database.tells_secret:
            told = f"the address of the promotion state ({self._database.shown}) holds a password for all who read it"
            return (f"{told}; use airflow-connection://ID, PGPASSWORD or ~/.pgpass instead",)
        return ()


@contextmanager
def _told(where: str, cannot: type[StateError], what: str) -> Iterator[None]:
    """Tell what a database refuses as what it means here."""
    try:
        yield
    except DatabaseFaultError as fault:
        if fault.kind is Kind.FUTURE:
            raise FutureSchemaError(where, fault.problem) from fault
        if fault.kind is Kind.DAMAGED:
            raise CorruptStateError(where, fault.problem) from fault
        if fault.unsure:
            problem = "the connection ended while it was written, and it is not known whether it was"
            raise StateError(where, f"{problem}; look at it before you go on: {fault.problem}") from fault
        raise cannot(where, f"{what}: {fault.problem}") from fault
