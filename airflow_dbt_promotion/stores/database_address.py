"""Addresses of databases: `postgresql://...`, `sqlite:///...`, and `airflow-connection://ID` for one of those."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast
from urllib.parse import parse_qsl, unquote, urlsplit

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from airflow_dbt_promotion.core.errors import ConfigError

if TYPE_CHECKING:
    from airflow_dbt_promotion.stores.connection import Connected

_DRIVER = "postgresql+psycopg2"
_SECRETS = ("password", "sslpassword")
_SHOWN = ("host", "port", "service")
"""Of the parameters in an address, those that say where the database is."""

_IN_BUCKETS = {"aws": "s3", "google_cloud_platform": "gs", "wasb": "az", "adls": "az", "azure_data_lake": "az"}
"""Types of connections to object storage, and the scheme of each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """A database: how people see it, and how it is reached; `file` is SQLite's, `schema` PostgreSQL's.

    `secrets` are those in the URL, which no error may repeat.
    """

    shown: str
    url: URL = field(repr=False)
    file: Path | None = None
    schema: str | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Root:
    """Where a root leads: what people see of it, and what finds the address when it is first needed.

    `address` is that address where it is written in the root itself.
    """

    shown: str
    find: Callable[[], Address]
    address: Address | None = None


def root_of(root: str, base: Path) -> Root:
    """Return where a root leads, asking neither a database nor Airflow; raise ConfigError where it cannot be one."""
    scheme = root.partition(":")[0].lower()
    if scheme == "airflow-connection":
        return _by_connection(root, base)
    try:
        url = make_url(root).set(drivername="sqlite" if scheme == "sqlite" else _DRIVER)
    except (ArgumentError, ValueError):
        raise ConfigError("state", f"this is no {scheme} address; {_manner(scheme)}") from None
    address = _of_file(url, base) if scheme == "sqlite" else _of_server(url)
    return Root(shown=address.shown, find=lambda: address, address=address)


def _manner(scheme: str) -> str:
    """Return how an address is written."""
    path = "sqlite:///folder/file.db (in the project), or sqlite:////folder/file.db"
    return f"write {path if scheme == 'sqlite' else 'postgresql://user@host:5432/database'}"


# --- SQLite -----------------------------------------------------------------------------------------------------------


def _of_file(url: URL, base: Path) -> Address:
    """Return the address of a file."""
    if url.host or url.username or url.query:
        raise ConfigError("state", f"a file of SQLite has a path and nothing else; {_manner('sqlite')}")
    if not url.database or url.database == ":memory:":
        raise ConfigError("state", "SQLite in memory is gone when the process ends; write memory:// if you want that")
    return _at_path(url.database, base)


def _at_path(path: str, base: Path) -> Address:
    """Return the address of the file at a path, which begins at `base` where it is relative; `~` is the home."""
    try:
        file = (base / Path(path).expanduser()).absolute()
    except (RuntimeError, ValueError) as error:
        raise ConfigError("state", f"{path!r} names no file of this machine: {error}") from None
    return Address(shown=f"sqlite:///{file}", url=URL.create("sqlite", database=str(file)), file=file)


# --- PostgreSQL -------------------------------------------------------------------------------------------------------


def _of_server(url: URL) -> Address:
    """Return the address of a database on a server."""
    _driver()
    if "@" in (url.host or ""):
        raise ConfigError("state", "an @ in the user or the password of an address is written as %40")
    schema = _only(url.query, "schema")
    url = url.difference_update_query(["schema"])
    strange = [name for name in url.query if not is_known(name)]
    if strange:
        raise ConfigError("state", f"the parameter {strange[0]!r} is neither `schema` nor one of PostgreSQL's")
    place = {name: url.query[name] for name in _SHOWN if name in url.query} | ({"schema": schema} if schema else {})
    seen = URL.create("postgresql", url.username, None, url.host, url.port, url.database, place)
    return Address(
        shown=unquote(seen.render_as_string()),
        url=url,
        schema=schema,
        secrets=tuple(str(secret) for secret in (url.password, *map(url.query.get, _SECRETS)) if secret),
    )


def _only(query: Mapping[str, str | tuple[str, ...]], name: str) -> str | None:
    """Return a parameter that is given once at the most."""
    found = query.get(name)
    if isinstance(found, tuple) or found == "":
        raise ConfigError("state", f"the parameter {name!r} has to be given once, and with a value")
    return found


def is_known(name: str) -> bool:
    """Say whether PostgreSQL's client library takes a parameter. Raises ConfigError where it is not installed."""
    driver = _driver()
    try:
        driver.extensions.make_dsn(**{name: "x"})
    except (driver.ProgrammingError, TypeError):
        return False
    return True


def _driver() -> ModuleType:
    """Return psycopg2. Raises ConfigError where it is not installed."""
    try:
        import_module("psycopg2.extensions")
        return import_module("psycopg2")
    except ImportError as error:
        problem = f"state in PostgreSQL needs its driver: pip install 'airflow-dbt-promotion[postgres]' ({error})"
        raise ConfigError("state", problem) from error


# --- a connection of Airflow ------------------------------------------------------------------------------------------


def _by_connection(root: str, base: Path) -> Root:
    """Return where a connection of Airflow leads; Airflow is asked when the state is first read or written."""
    parts = urlsplit(root)
    conn_id = unquote(parts.netloc)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    if not conn_id or parts.path.strip("/") or parts.fragment or query.keys() - {"schema"}:
        problem = "write airflow-connection://ID, with ?schema=NAME where the tables are to be in a schema of their own"
        raise ConfigError("state", f"this names no connection; {problem}")
    schema = _only(query, "schema")
    shown = f"airflow-connection://{conn_id}" + (f"?schema={schema}" if schema else "")
    return Root(shown=shown, find=cache(partial(_connected, conn_id, schema, base)))


def _connected(conn_id: str, schema: str | None, base: Path) -> Address:
    """Return the address that a connection of Airflow holds."""
    # By its dotted name: this module does not know Airflow.
    named = import_module("airflow_dbt_promotion.stores.connection").named
    found = cast("Connected", named(conn_id))
    match found.conn_type:
        case "postgres" | "postgresql":
            extra = {key: str(value) for key, value in found.extra.items() if _is_taken(key, value)}
            schemas = {"schema": schema} if schema else {}
            return _of_server(
                URL.create(
                    _DRIVER, found.login, found.password, found.host, found.port, found.schema, {**extra, **schemas}
                )
            )
        case "sqlite" if schema:
            raise ConfigError("state", f"the connection {conn_id!r} is to SQLite, which has no schemas")
        case "sqlite" if path := found.host or found.schema:
            return _at_path(path, base)
        case "sqlite":
            raise ConfigError("state", f"the connection {conn_id!r} to SQLite needs the path of a file as its host")
        case kind if scheme := _IN_BUCKETS.get(kind):
            problem = f"write {scheme}://bucket/prefix?conn_id={conn_id} to keep state there"
            raise ConfigError(
                "state",
                f"the connection {conn_id!r} is to object storage ({kind}), which has no name of a bucket; {problem}",
            )
        case kind:
            problem = f"the connection {conn_id!r} is of type {kind!r}; state is kept in postgres and sqlite"
            raise ConfigError("state", problem)


def _is_taken(key: str, value: object) -> bool:
    """Say whether something in the extras of a connection is for PostgreSQL's client library."""
    return isinstance(value, str | int | float) and key not in {"schema", "dbname"} and is_known(key)
