"""How tasks end: outcomes and errors as Airflow's exceptions.

Refused is a failure or a skip, as the task asks; failed is a failure that is not retried; errored is an exception that
is. Bad input is not retried either: trying again changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from types import ModuleType

from airflow_dbt_promotion.core.errors import InputError


class OnRefused(Enum):
    """What a refused promotion makes of its task."""

    FAIL = "fail"
    SKIP = "skip"


def exceptions() -> ModuleType:
    """Return the module that holds Airflow's exceptions."""
    from airflow.sdk import exceptions as found  # noqa: PLC0415 - imports of Airflow wait until they are needed

    if not hasattr(found, "AirflowFailException"):  # Airflow 3.1
        from airflow import exceptions as found  # type: ignore[no-redef] # noqa: PLC0415
    return found


def fail(message: str) -> Exception:
    """Return the exception that fails a task for good: no retry."""
    made: Exception = exceptions().AirflowFailException(message)
    return made


def skip(message: str) -> Exception:
    """Return the exception that skips a task."""
    made: Exception = exceptions().AirflowSkipException(message)
    return made


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Turn bad input into a failure without retries; let the machine's errors pass, which Airflow retries."""
    try:
        yield
    except InputError as error:
        raise fail(f"{error.code}: {error}") from error
