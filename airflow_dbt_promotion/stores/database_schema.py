"""The tables of a database, and the steps that make them what this release knows.

`dbt_promotion_states` has one row an environment: its document without the history. `dbt_promotion_history` has one row
a promotion; the row of the environment says which of them are the history of its document, the newest and how many, and
the others are the past, for people. `dbt_promotion_blobs` are the kept sources. `dbt_promotion_schema` says in its one
row how many of the steps were taken.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import BigInteger, Float, LargeBinary, Text, column, table

PREFIX = "dbt_promotion_"

Step = tuple[str, ...]
"""Statements that take the tables from one version to the next, in one transaction.

`{schema}` comes before each table; `{bytes}`, `{double}`, `{instant}` are types that databases call by different names.
A step adds, and leaves what an earlier release reads as it is: reading takes no steps, so it has to go with both.
"""

MIGRATIONS: tuple[Step, ...] = (
    (
        """
        CREATE TABLE {schema}dbt_promotion_states (
            environment TEXT NOT NULL PRIMARY KEY,
            serial BIGINT NOT NULL,
            lineage TEXT NOT NULL,
            writers TEXT NOT NULL,
            written_at {instant} NOT NULL,
            history_newest BIGINT NOT NULL,
            history_kept BIGINT NOT NULL,
            document TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE {schema}dbt_promotion_history (
            environment TEXT NOT NULL,
            lineage TEXT NOT NULL,
            position BIGINT NOT NULL,
            digest TEXT NOT NULL,
            record TEXT NOT NULL,
            PRIMARY KEY (environment, lineage, position)
        )
        """,
        """
        CREATE TABLE {schema}dbt_promotion_blobs (
            name TEXT NOT NULL PRIMARY KEY,
            size BIGINT NOT NULL,
            touched_at {double} NOT NULL,
            data {bytes} NOT NULL
        )
        """,
    ),
)
"""The next change is one more of these, and nothing is ever changed in one that was released."""

BEFORE_THE_FIRST: Step = (
    "CREATE TABLE {schema}dbt_promotion_schema (version INTEGER NOT NULL)",
    "INSERT INTO {schema}dbt_promotion_schema (version) VALUES (0)",
)


class Tables:
    """The tables as queries name them, in a schema of PostgreSQL or in the one that a connection begins with."""

    def __init__(self, schema: str | None) -> None:
        """Take the schema."""
        self.schema = table(f"{PREFIX}schema", column("version", BigInteger()), schema=schema)
        self.states = table(
            f"{PREFIX}states",
            column("environment", Text()),
            column("serial", BigInteger()),
            column("lineage", Text()),
            column("writers", Text()),
            column("written_at"),
            column("history_newest", BigInteger()),
            column("history_kept", BigInteger()),
            column("document", Text()),
            schema=schema,
        )
        self.history = table(
            f"{PREFIX}history",
            column("environment", Text()),
            column("lineage", Text()),
            column("position", BigInteger()),
            column("digest", Text()),
            column("record", Text()),
            schema=schema,
        )
        self.blobs = table(
            f"{PREFIX}blobs",
            column("name", Text()),
            column("size", BigInteger()),
            column("touched_at", Float(53)),
            column("data", LargeBinary()),
            schema=schema,
        )


def written(step: Step, words: Mapping[str, str]) -> tuple[str, ...]:
    """Return the statements of a step as one kind of database takes them."""
    return tuple(statement.format_map(words) for statement in step)
