"""What tests of several stores share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.stores.postgres import Postgres, a_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL for all tests, each in a schema of its own."""
    with a_postgres(tmp_path_factory.mktemp("postgres") / "data") as server:
        yield server
