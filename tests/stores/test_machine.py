"""Stores under hypothesis: memory at length, a real disk and a database for a while."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp

from airflow_dbt_promotion.stores import open_store
from airflow_dbt_promotion.stores.json_file import JsonFileStore
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.stores.machine import machine_for

TestMemory = machine_for(MemoryStore, examples=60)
TestFiles = machine_for(lambda: JsonFileStore(Path(mkdtemp(prefix="machine-"))), examples=10)
TestSqlite = machine_for(
    lambda: open_store(f"sqlite:///{mkdtemp(prefix='machine-')}/states.db", Path.cwd()), examples=6
)
