"""What tests of several stores share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stores.postgres import Postgres, a_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL for all tests, each in a schema of its own."""
    with a_postgres(tmp_path_factory.mktemp("postgres") / "data") as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty place in each kind of database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/states/promotion.db"
    server: Postgres = request.getfixturevalue("postgres")
    return server.address()
