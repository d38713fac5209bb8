"""The store in memory passes the contract."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.stores.contract import STAGING, StoreContract, fresh


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()

    def test_each_one_is_opened_empty(self, tmp_path: Path) -> None:
        MemoryStore.open("memory://", tmp_path, ()).write(fresh(), None)
        assert MemoryStore.open("memory://", tmp_path, ()).read(STAGING) is None
