"""A real Airflow's Variables: as a task reaches them, and as the command line does."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_dbt_promotion.stores.airflow_variables import Variables, at_hand


@contextmanager
def in_a_task() -> Iterator[None]:
    """Be where a task of `dag.test` is: with a supervisor that asks Airflow's execution API."""
    import psutil  # noqa: PLC0415 - Airflow needs the home of the fixture first
    import structlog  # noqa: PLC0415 - as late
    from airflow.sdk.execution_time import supervisor  # noqa: PLC0415 - as late

    made = supervisor.InProcessTestSupervisor(
        id=uuid.uuid4(),
        pid=os.getpid(),
        process=psutil.Process(),
        process_log=structlog.get_logger(),
        client=supervisor.InProcessTestSupervisor._api_client(),
    )
    made.comms = supervisor.InProcessSupervisorComms(supervisor=made)
    with supervisor.set_supervisor_comms(made.comms):
        yield


def a_prefix() -> str:
    """Return a prefix that nobody has."""
    return f"shop-{uuid.uuid4().hex[:12]}"


class Interfered:
    """Variables into which somebody else writes at the worst instant: right after the next `set`."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act: Callable[[], object] | None = act
        self._real = at_hand()

    def __call__(self) -> Variables:
        return self

    def get(self, key: str) -> str | None:
        return self._real.get(key)

    def keys(self, prefix: str) -> list[str]:
        return list(self._real.keys(prefix))

    def set(self, key: str, value: str, description: str) -> None:
        self._real.set(key, value, description)
        act, self._act = self._act, None
        if act is not None:
            act()

    def delete(self, key: str, value: str) -> bool:
        return self._real.delete(key, value)
