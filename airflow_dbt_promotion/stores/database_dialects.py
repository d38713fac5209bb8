"""What SQLite and PostgreSQL do each in its own way: being reached, beginning a transaction, telling the time."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

from sqlalchemy import create_engine, func, literal, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool
from sqlalchemy.sql.expression import ColumnElement, Insert

from airflow_dbt_promotion.stores import durable
from airflow_dbt_promotion.stores.database_address import Address, is_known
from airflow_dbt_promotion.stores.database_faults import DatabaseFaultError, Kind, fault_of

WAIT = 10
"""Seconds that a statement waits for a lock; it is tried again some times."""

_GLANCE = 0.002
"""Seconds between two looks at a lock of SQLite's."""

_LOCK = 0x6462_745F_7072_6F6D
"""PostgreSQL's advisory lock of those who write (shared) and of those who change the tables: `dbt_prom`."""

_CONNECTING = MappingProxyType(
    {
        "connect_timeout": 10,
        "fallback_application_name": "airflow-dbt-promotion",
        # Without these, whoever waits for a server whose machine is gone waits for hours.
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
    }
)
"""What the client library is told where the address says nothing of it."""


class Dialect(Protocol):
    """One kind of database."""

    @property
    def words(self) -> Mapping[str, str]:
        """What it calls what the steps of the schema name."""

    @property
    def reading(self) -> Mapping[str, Any]:
        """The options of a transaction that reads."""

    def engine(self) -> Engine:
        """Return what makes connections; makes none."""

    def is_there(self) -> bool:
        """Say whether there is a database to ask at all. Raises DatabaseFaultError."""

    def make(self) -> None:
        """Make the database where that is a thing that a store does. Raises DatabaseFaultError."""

    def begin_reading(self, connection: Connection) -> None:
        """Begin a transaction that sees one moment of the database."""

    def begin_writing(self, connection: Connection) -> None:
        """Begin a transaction that writes, beside which nobody changes the tables."""

    def begin_changing_tables(self, connection: Connection) -> None:
        """Begin a transaction beside which nobody writes."""

    def elsewhere(self, connection: Connection) -> str | None:
        """Return why tables that are not found may be there all the same, None where they are not."""

    def insert(self, into: Any) -> Any:  # noqa: ANN401 - SQLAlchemy has one class a dialect
        """Return an INSERT that knows ON CONFLICT."""

    def seconds(self) -> ColumnElement[Any]:
        """Return the time in seconds since the epoch."""

    def instant(self) -> ColumnElement[Any]:
        """Return the time, for people."""


def dialect_of(address: Address) -> Dialect:
    """Return what is special about the database at an address."""
    return Postgres(address) if address.file is None else Sqlite(address.file)


class Sqlite:
    """One file, which is locked as a whole by whoever writes.

    The journal is one that is emptied at each commit, and not a write-ahead log: the file alone is the database, to be
    copied or put into a read-only place, and readers need no memory that they share with writers. A write-ahead log
    that somebody else chose is left. Each use is a connection of its own, so that none is open over a fork.
    """

    words = MappingProxyType({"schema": "", "bytes": "BLOB", "double": "DOUBLE PRECISION", "instant": "TEXT"})
    reading = MappingProxyType[str, Any]({})

    def __init__(self, file: Path) -> None:
        """Take the file."""
        self._file = file

    def engine(self) -> Engine:
        """Return what opens the file, and never makes it."""
        uri = f"{self._file.as_uri()}?mode=rw"

        def connect() -> sqlite3.Connection:
            return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None, check_same_thread=False)

        return create_engine("sqlite://", creator=connect, poolclass=NullPool, hide_parameters=True, future=True)

    def is_there(self) -> bool:
        """Say whether there is such a file; a link to nothing is an error."""
        try:
            self._file.stat()
        except FileNotFoundError:
            if self._file.is_symlink():
                problem = "is a symbolic link to a file that is not there; is it mounted?"
                raise DatabaseFaultError(Kind.FINAL, problem) from None
            return False
        except OSError as error:
            raise DatabaseFaultError(Kind.FINAL, f"{error.strerror} ({self._file})") from error
        return True

    def make(self) -> None:
        """Make an empty file, and its folder, where they are not there."""
        if self.is_there():
            return
        try:
            durable.make_folder(self._file.parent)
            with suppress(FileExistsError):
                os.close(os.open(self._file, os.O_CREAT | os.O_EXCL, 0o666))
        except OSError as error:
            raise DatabaseFaultError(Kind.FINAL, f"{error.strerror} ({error.filename or self._file})") from error

    def begin_reading(self, connection: Connection) -> None:
        """Begin, and take the lock of readers, beside which nobody commits."""
        connection.exec_driver_sql("BEGIN")
        _patiently(connection, "SELECT count(*) FROM sqlite_master")

    def begin_writing(self, connection: Connection) -> None:
        """Begin as the one who writes; what is committed survives a loss of power.

        SQLite's default, to delete the journal, is less: that name may be back after a loss of power, and undo all.
        """
        connection.exec_driver_sql("PRAGMA synchronous = FULL")
        if _patiently(connection, "PRAGMA journal_mode") == "delete":
            _patiently(connection, "PRAGMA journal_mode = TRUNCATE")
        _patiently(connection, "BEGIN IMMEDIATE")
        # The commit waits for readers, whom it lets end and lets no others begin.
        connection.exec_driver_sql(f"PRAGMA busy_timeout = {WAIT * 1000:.0f}")

    def begin_changing_tables(self, connection: Connection) -> None:
        """Begin as the one who writes."""
        self.begin_writing(connection)

    def elsewhere(self, connection: Connection) -> str | None:  # noqa: ARG002 - one file has one set of tables
        """Return None."""
        return None

    def insert(self, into: Any) -> Insert:  # noqa: ANN401 - SQLAlchemy has one class a dialect
        """Return SQLite's INSERT."""
        return sqlite.insert(into)

    def seconds(self) -> ColumnElement[Any]:
        """Return this machine's time, which is the file's."""
        return literal(time.time())

    def instant(self) -> ColumnElement[Any]:
        """Return the time in UTC as text."""
        return func.strftime("%Y-%m-%dT%H:%M:%fZ", "now")


def _patiently(connection: Connection, statement: str) -> object:
    """Return what a statement of SQLite's returns, which may have to wait for others.

    Its own waiting sleeps ever longer, and may for seconds miss every gap between the writes of somebody else.
    """
    until = time.monotonic() + WAIT
    while True:
        try:
            done = connection.exec_driver_sql(statement)
            return done.scalar() if done.returns_rows else None
        except DBAPIError as error:
            if fault_of(error).kind is not Kind.PASSING or time.monotonic() > until:
                raise
        time.sleep(_GLANCE)


class Postgres:
    """A database on a server. One connection is kept; a process that was forked has its own."""

    def __init__(self, address: Address) -> None:
        """Take the address."""
        self._address = address
        quoted = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]  # SQLAlchemy's
        self.words = MappingProxyType(
            {
                "schema": f"{quoted(address.schema)}." if address.schema else "",
                "bytes": "BYTEA",
                "double": "DOUBLE PRECISION",
                "instant": "TIMESTAMP WITH TIME ZONE",
            }
        )
        self.reading = MappingProxyType({"isolation_level": "REPEATABLE READ"})

    def engine(self) -> Engine:
        """Return what connects, and keeps one connection for the next time."""
        said = self._address.url.query
        arguments = {name: value for name, value in _CONNECTING.items() if name not in said and is_known(name)}
        return create_engine(
            self._address.url,
            isolation_level="READ COMMITTED",
            pool_size=1,
            max_overflow=-1,
            connect_args={**arguments, "client_encoding": "utf8"},
            use_native_hstore=False,
            hide_parameters=True,
            future=True,
        )

    def is_there(self) -> bool:
        """Return true: the server will say."""
        return True

    def make(self) -> None:
        """Do nothing: databases are made by those who run the server."""

    def begin_reading(self, connection: Connection) -> None:
        """Do nothing: it begins with the first statement."""

    def begin_writing(self, connection: Connection) -> None:
        """Share the lock; wait for no lock for long; let what is committed be durable, whatever the default."""
        self._begin(connection, "pg_advisory_xact_lock_shared")

    def begin_changing_tables(self, connection: Connection) -> None:
        """Take the lock for oneself."""
        self._begin(connection, "pg_advisory_xact_lock")

    def _begin(self, connection: Connection, lock: str) -> None:
        """Begin under a lock that ends with the transaction."""
        connection.execute(
            text(
                "SELECT set_config('lock_timeout', :wait, true), set_config('synchronous_commit', CASE "
                "current_setting('synchronous_commit') WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') "
                f"END, true), {lock}(:lock)"
            ),
            {"wait": f"{WAIT}s", "lock": _LOCK},
        )

    def elsewhere(self, connection: Connection) -> str | None:
        """Say where the role cannot see tables that are there, or where its schema is not."""
        if (schema := self._address.schema) is not None:
            found = text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :schema")
            if connection.execute(found, {"schema": schema}).first() is None:
                return f"there is no schema {schema!r} in this database; create it, or leave `schema` out"
            return None
        asked = (
            "SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE c.relname = 'dbt_promotion_schema' ORDER BY 1"
        )
        schemas = [str(row[0]) for row in connection.execute(text(asked))]
        if not schemas:
            return None
        return (
            f"there are tables of promotions in the schema {', '.join(schemas)}, which this role does not look into; "
            f"write ?schema=NAME at the end of the address, of that one or of another, and grant its use to the role"
        )

    def insert(self, into: Any) -> Insert:  # noqa: ANN401 - SQLAlchemy has one class a dialect
        """Return PostgreSQL's INSERT."""
        return postgresql.insert(into)

    def seconds(self) -> ColumnElement[Any]:
        """Return the server's time at this moment, and not at the transaction's beginning."""
        return func.date_part("epoch", func.clock_timestamp())

    def instant(self) -> ColumnElement[Any]:
        """Return the server's time."""
        return func.clock_timestamp()
