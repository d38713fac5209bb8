"""State in memory: the reference for what a store promises, a fake for tests, and gone when the process ends."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Self

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.identity import EnvironmentName, environment_name
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores.agreement import agree, risen


class MemoryStore:
    """Keeps documents as bytes, so that whatever cannot be written down fails here too."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._documents: dict[EnvironmentName, bytes] = {}
        self._writing = threading.Lock()

    @classmethod
    def open(cls, root: str, base: Path, endangered: tuple[Path, ...]) -> Self:  # noqa: ARG003 - no place
        """Return a new and empty store, whatever the root."""
        return cls()

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        """Return the newest document, None where there is none."""
        data = self._documents.get(environment_name(environment))
        return None if data is None else codec.decode(data, self.where(environment), environment)

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        """Write a document if the one that is there has the expected serial; raise StateConflictError if not."""
        environment = environment_name(state.environment)
        written = risen(state, expected_serial)
        data = codec.encode(written)
        with self._writing:
            agree(self._documents.get(environment), state, expected_serial, self.where(environment))
            self._documents[environment] = data
        return written

    def where(self, environment: EnvironmentName) -> str:
        """Return how errors name a document."""
        return f"memory://{environment}"

    def environments(self) -> tuple[EnvironmentName, ...]:
        """Return the environments that were written."""
        return tuple(sorted(self._documents))

    def warnings(self) -> tuple[str, ...]:
        """Return nothing: whoever keeps state in memory knows that it goes."""
        return ()
