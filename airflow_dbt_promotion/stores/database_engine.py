"""A database as the stores use it: whole transactions, tried again where that helps, on tables that make themselves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from sqlalchemy import inspect, select, update
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from airflow_dbt_promotion.stores.database_address import Address, Root, root_of
from airflow_dbt_promotion.stores.database_dialects import Dialect, dialect_of
from airflow_dbt_promotion.stores.database_faults import DatabaseFaultError, Kind, fault_of
from airflow_dbt_promotion.stores.database_schema import BEFORE_THE_FIRST, MIGRATIONS, Step, Tables, written

PAUSES = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0)
"""Seconds before each further attempt. The first is at once: a connection that was kept may have ended long ago."""

T = TypeVar("T")


class Database:
    """The database at a root. Opening it touches nothing; it is reached when it is first read or written.

    Connections are not shared over a fork: a task that Airflow forks makes its own.
    """

    def __init__(self, root: Root, migrations: tuple[Step, ...] = MIGRATIONS) -> None:
        """Take the root, and the steps that make the tables."""
        self.shown = root.shown
        self._root, self._migrations = root, migrations
        self._address = root.address
        self._tables: Tables | None = None
        self._made: tuple[int, Engine, Dialect] | None = None

    @classmethod
    def at(cls, root: str, base: Path) -> Database:
        """Return the database at a root. Raises ConfigError."""
        return cls(root_of(root, base))

    @property
    def known_address(self) -> Address | None:
        """Return the address, None where Airflow was not asked for it yet."""
        return self._address

    @property
    def tells_secret(self) -> bool:
        """Say whether the root itself holds a password, as that of a connection does not."""
        return self._root.address is not None and bool(self._root.address.secrets)

    @property
    def address(self) -> Address:
        """Return the address. Raises ConfigError where a connection of Airflow has none."""
        if self._address is None:
            self._address = self._root.find()
        return self._address

    @property
    def tables(self) -> Tables:
        """Return the tables."""
        if self._tables is None:
            self._tables = Tables(self.address.schema)
        return self._tables

    @property
    def dialect(self) -> Dialect:
        """Return what is special about this kind of database."""
        return self._reached()[1]

    def read(self, work: Callable[[Connection], T]) -> T | None:
        """Return what `work` finds at one moment, None where nothing was ever written; makes nothing.

        Raises DatabaseFaultError.
        """

        def attempt() -> T | None:
            if not self.dialect.is_there():
                return None
            try:
                with self._transaction(**self.dialect.reading) as connection:
                    self.dialect.begin_reading(connection)
                    self._version(connection)
                    return work(connection)
            except DBAPIError as error:
                if self._fault(error).kind is not Kind.ABSENT or self._has_tables():
                    raise
                return None

        return self._persist(attempt)

    def change(self, work: Callable[[Connection], T]) -> T:
        """Carry out `work`, which may as well be carried out twice, as `settle` does."""
        return self.settle(lambda connection, _: work(connection))

    def settle(self, work: Callable[[Connection, bool], T]) -> T:
        """Carry out `work` in one transaction and return what it returns; makes the tables where they are not there.

        It may be carried out again after an attempt of which nobody knows whether it was committed, as when the
        connection ended meanwhile; it is told so, and has to look whether it was. Raises DatabaseFaultError, which says
        so, too.
        """
        unsure = False

        def attempt() -> T:
            nonlocal unsure
            committing = False
            try:
                with self._transaction() as connection:
                    self.dialect.begin_writing(connection)
                    if self._version(connection) < len(self._migrations):
                        raise DatabaseFaultError(Kind.ABSENT, "the tables are of an earlier release")
                    done = work(connection, unsure)
                    committing = True
            except DBAPIError as error:
                unsure = unsure or (committing and self._fault(error).lost)
                raise
            return done

        try:
            self._persist(self.dialect.make)
            return self._persist(attempt, self.migrate)
        except DatabaseFaultError as fault:
            fault.unsure = unsure
            raise

    def migrate(self) -> None:
        """Take the steps that were not taken yet, each in a transaction of its own, while nobody else does."""
        while self._persist(self._step):
            pass

    # --- the tables ---------------------------------------------------------------------------------------------------

    def _step(self) -> bool:
        """Take the next step; say whether there was one."""
        with self._transaction() as connection:
            self.dialect.begin_changing_tables(connection)
            there = self._version(connection) if self._is_ours(connection) else None
            if there == len(self._migrations):
                return False
            statements = self._migrations[there or 0]
            if there is None:
                if (why := self.dialect.elsewhere(connection)) is not None:
                    raise DatabaseFaultError(Kind.FINAL, why)
                statements = (*BEFORE_THE_FIRST, *statements)
            for statement in written(statements, self.dialect.words):
                connection.exec_driver_sql(statement)
            connection.execute(update(self.tables.schema).values(version=(there or 0) + 1))
        return True

    def _version(self, connection: Connection) -> int:
        """Return how many steps were taken."""
        found = [int(row[0]) for row in connection.execute(select(self.tables.schema.c.version))]
        if len(found) != 1:
            problem = f"{self.tables.schema.name} has {len(found)} rows instead of one; restore it from a backup"
            raise DatabaseFaultError(Kind.DAMAGED, problem)
        if found[0] > len(self._migrations):
            problem = (
                f"a newer release made its tables (version {found[0]}, this one knows {len(self._migrations)}); "
                f"upgrade airflow-dbt-promotion"
            )
            raise DatabaseFaultError(Kind.FUTURE, problem)
        return found[0]

    def _is_ours(self, connection: Connection) -> bool:
        """Say whether the table is there that says what was done."""
        return inspect(connection).has_table(self.tables.schema.name, schema=self.address.schema)

    def _has_tables(self) -> bool:
        """Say whether tables of ours are there; raise DatabaseFaultError where that cannot be told."""
        with self._transaction() as connection:
            if self._is_ours(connection):
                return True
            if (why := self.dialect.elsewhere(connection)) is not None:
                raise DatabaseFaultError(Kind.FINAL, why)
        return False

    # --- transactions -------------------------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self, **options: object) -> Iterator[Connection]:
        """Open a connection with a transaction, which is committed unless something is raised."""
        with self._reached()[0].connect() as connection:
            connection.execution_options(**options)
            with connection.begin():
                yield connection

    def _persist(self, attempt: Callable[[], T], where_absent: Callable[[], object] | None = None) -> T:
        """Return what an attempt returns, tried again while the fault may pass. Raises DatabaseFaultError."""
        for pause in (*PAUSES, None):
            try:
                return attempt()
            except DBAPIError as error:
                fault = self._fault(error)
                fault.__cause__ = error
            except DatabaseFaultError as error:
                fault = error
            except UnicodeDecodeError as error:
                fault = DatabaseFaultError(Kind.DAMAGED, f"holds text that is no UTF-8: {error}")
            if pause is None or fault.kind not in {Kind.PASSING, Kind.ABSENT}:
                raise fault
            if fault.kind is Kind.ABSENT and where_absent is not None:
                where_absent()
            time.sleep(pause)
        raise AssertionError  # for the type checker; the last attempt has no pause

    def _fault(self, error: DBAPIError) -> DatabaseFaultError:
        """Return what an error of the driver means."""
        return fault_of(error, self.address.secrets)

    def _reached(self) -> tuple[Engine, Dialect]:
        """Return the engine of this very process, and the dialect."""
        if self._made is None or self._made[0] != os.getpid():
            if self._made is not None:
                # The connections are those of the process that was forked: let go of them, and leave them open.
                self._made[1].dispose(close=False)
            dialect = dialect_of(self.address)
            self._made = (os.getpid(), dialect.engine(), dialect)
        return self._made[1], self._made[2]
