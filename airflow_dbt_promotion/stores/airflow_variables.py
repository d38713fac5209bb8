"""Airflow Variables, as stores ask for them: in a task through its supervisor, elsewhere in Airflow's database.

Beside `connection`, the one module of the stores that knows Airflow, which it imports when it is asked.

Airflow answers 'there is no such Variable' also where it could not look: it passes over a secrets backend that fails,
and its database is one. So what is not there is believed only where the listing, which does tell of failures, has no
such name either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Protocol, TypeVar

from airflow_dbt_promotion.core.errors import ConfigError, StateError
from airflow_dbt_promotion.stores.supervision import supervised

ALONE = threading.RLock()
"""Held by whoever asks or writes, from finding out where it is on: a process that promotes gives signs of life in a
thread of its own, which must not write between the read and the write of another; and `dag.test` has one ear only.
"""

_TRIES = 4
_PAUSE = 0.1
"""Seconds before the second try; each further one waits twice as long."""

_MOST_WORDS = 300
"""Characters of what Airflow says: its database's errors recite whole documents."""

_ELSEWHERE = "Outside of a task this needs Airflow's database ([database] sql_alchemy_conn)"

T = TypeVar("T")


class Variables(Protocol):
    """Variables that can be reached from here. Whatever goes wrong is raised as it comes."""

    def get(self, key: str) -> str | None:
        """Return a value, None where there is none, or where it could not be read."""

    def keys(self, prefix: str) -> Iterable[str]:
        """Return the keys in Airflow's database that begin with a prefix, and maybe others."""

    def set(self, key: str, value: str, description: str) -> None:
        """Write a value over whatever is there."""

    def delete(self, key: str, value: str) -> bool:
        """Delete a Variable that has this value; say whether it is gone."""


class TaskVariables:
    """Variables as a task reaches them: its supervisor asks the API server."""

    def __init__(self) -> None:
        """Raise ConfigError where Airflow is too old."""
        self._variable: Any = import_module("airflow.sdk").Variable
        if not hasattr(self._variable, "keys"):
            raise ConfigError(
                "state", "airflow-variable:// needs Airflow 3.3, where tasks can tell which Variables there are"
            )

    def get(self, key: str) -> str | None:
        """Return a value, which a secrets backend may have given."""
        found: str | None = self._variable.get(key, default=None)
        return found

    def keys(self, prefix: str) -> Iterable[str]:
        """Return what the API server lists."""
        return list(self._variable.keys(prefix=prefix))

    def set(self, key: str, value: str, description: str) -> None:
        """Write."""
        self._variable.set(key, value, description=description)

    def delete(self, key: str, value: str) -> bool:  # noqa: ARG002 - the port's
        """Refuse: a task could delete what was written a moment ago."""
        raise ConfigError(
            "state",
            "a task cannot delete Variables safely; do it from the command line, where Airflow's database is at hand",
        )


class DatabaseVariables:
    """Variables as Airflow's own database has them: for the command line, and for the API server."""

    def __init__(self) -> None:
        """Import Airflow's models."""
        self._variable: Any = import_module("airflow.models.variable").Variable
        self._session: Any = import_module("airflow.utils.session").create_session
        self._sql: Any = import_module("sqlalchemy")

    def get(self, key: str) -> str | None:
        """Return a value; the database is asked first whether it can be read, for Airflow logs that at length."""
        if key not in self.keys(key):
            return None
        found: str | None = self._variable.get(key, default_var=None)
        return found

    def keys(self, prefix: str) -> Iterable[str]:
        """Return what the database lists."""
        column = self._variable.key
        with self._session() as session:
            return list(session.scalars(self._sql.select(column).where(column.startswith(prefix, autoescape=True))))

    def set(self, key: str, value: str, description: str) -> None:
        """Write."""
        self._variable.set(key, value, description=description)

    def delete(self, key: str, value: str) -> bool:
        """Delete the row if its value is still this one, in one statement."""
        with self._session() as session:
            row = session.scalar(self._sql.select(self._variable).where(self._variable.key == key))
            if row is None:
                return True
            if row.val != value:
                return False
            kept = self._variable.__table__.c
            query = self._sql.delete(self._variable).where(kept.key == key, kept.val == row._val)  # noqa: SLF001 - as it is stored: encrypted
            return bool(session.execute(query.execution_options(synchronize_session=False)).rowcount)


def at_hand() -> Variables:
    """Return the Variables as they can be reached from here.

    Raises ConfigError where Airflow is not installed, is too old, or parts its Variables among teams; StateError where
    it cannot start.
    """
    try:
        with ALONE:
            return _at_hand()
    except ImportError as error:
        raise ConfigError(
            "state", f"airflow-variable:// keeps state in Airflow, which cannot be imported here: {told(error)}"
        ) from error
    except ConfigError:
        raise
    except Exception as error:
        raise StateError("Airflow's Variables", f"cannot be reached: {told(error)}. {_ELSEWHERE}") from error


def _at_hand() -> Variables:
    """Return Variables, or raise whatever Airflow raises while it is imported."""
    import_module("airflow.sdk")
    if import_module("airflow.configuration").conf.getboolean("core", "multi_team", fallback=False):
        raise ConfigError(
            "state",
            "airflow-variable:// cannot be used where [core] multi_team is on: a task does not see all Variables, and "
            "could write over one of another team; keep state in a database or a bucket",
        )
    return TaskVariables() if supervised() else DatabaseVariables()


def value_of(variables: Variables, key: str) -> str | None:
    """Return the value of a Variable, None where there surely is none. Raises StateError where it cannot be read."""

    def ask() -> str | None:
        value = variables.get(key)
        if value is None and key in variables.keys(key):
            raise LookupError("it is there, and Airflow does not give its value (is fernet_key another one?)")
        return value

    return _asked(key, "read", ask)


def keys_of(variables: Variables, prefix: str) -> tuple[str, ...]:
    """Return all keys that begin with a prefix, sorted. Raises StateError where they cannot be listed."""
    # A database may compare without regard to case.
    return _asked(
        f"{prefix}*", "listed", lambda: tuple(sorted(key for key in variables.keys(prefix) if key.startswith(prefix)))
    )


def address(key: str) -> str:
    """Return how people find a Variable."""
    return f"Airflow Variable {key}"


def told(error: Exception) -> str:
    """Return the first words of what Airflow says."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:_MOST_WORDS]


def _asked(key: str, what: str, ask: Callable[[], T]) -> T:
    """Ask a few times; then raise StateError."""
    pause = _PAUSE
    for attempt in range(1, _TRIES + 1):
        try:
            with ALONE:
                return ask()
        except ConfigError:
            raise
        except Exception as error:
            if attempt == _TRIES:
                raise StateError(address(key), f"cannot be {what}: {told(error)}. {_ELSEWHERE}") from error
        time.sleep(pause)
        pause *= 2
    raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises
