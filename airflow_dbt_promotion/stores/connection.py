"""Airflow connections, as stores ask for them: the credentials of a bucket, the address of a database.

One of the few modules below `hooks` that know Airflow, which it imports when it is asked; the others reach it by its
dotted name, so that a store without a connection needs no Airflow.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.stores.supervision import supervised


class Connected(Struct, frozen=True, kw_only=True):
    """An Airflow connection: its parts as Airflow names them, None or empty where nothing was said."""

    conn_id: str
    conn_type: str
    host: str | None = None
    port: int | None = None
    login: str | None = None
    password: str | None = None
    schema: str | None = None
    extra: Mapping[str, Any] = {}

    def __repr__(self) -> str:
        """Return the connection without its secrets, for logs and tracebacks."""
        return f"Connected(conn_id={self.conn_id!r}, conn_type={self.conn_type!r})"


def named(conn_id: str) -> Connected:
    """Return a connection of Airflow: of its environment variables, its secrets backends or its database.

    Raises ConfigError where Airflow is not installed, or does not know it.
    """
    try:
        if supervised():
            get = import_module("airflow.sdk").BaseHook.get_connection
        else:
            get = import_module("airflow.models.connection").Connection.get_connection_from_secrets
    except ImportError as error:
        raise ConfigError(
            "state", f"the connection {conn_id!r} is Airflow's, which is not installed here: {error}"
        ) from error
    try:
        found = get(conn_id)
    except Exception as error:
        raise ConfigError("state", f"Airflow has no connection {conn_id!r}: {error}") from error
    return Connected(
        conn_id=conn_id,
        conn_type=found.conn_type or "",
        host=found.host,
        port=found.port,
        login=found.login,
        password=found.password,
        schema=found.schema,
        extra=found.extra_dejson,
    )
