"""A store of anything but Airflow imports no Airflow, and none is imported before it is opened."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from airflow_dbt_promotion.stores import STORES

ROOTS = {
    "file": "states",
    "memory": "memory://",
    "s3": "s3://bucket/states",
    "gs": "gs://bucket/states",
    "az": "az://container/states?account=a",
    "sqlite": "sqlite:///states.db",
    "postgresql": "postgresql://host/states",
    "postgresql+psycopg2": "postgresql+psycopg2://host/states",
}
OF_AIRFLOW = {"airflow-variable", "airflow-connection"}


def test_every_store_is_asked() -> None:
    assert STORES.keys() == ROOTS.keys() | OF_AIRFLOW


@pytest.mark.parametrize("scheme", ROOTS)
def test_opening_it_imports_no_airflow(scheme: str, tmp_path: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from airflow_dbt_promotion.stores import open_store
before = set(sys.modules)
open_store({ROOTS[scheme]!r}, Path.cwd())
assert not {{name for name in sys.modules if name.partition(".")[0] in {{"airflow", "cosmos", "dbt"}}}}
assert not {{name for name in before if name.partition(".")[0] in {{"obstore", "sqlalchemy"}}}}
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []
