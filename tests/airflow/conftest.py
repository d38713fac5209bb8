"""An Airflow of our own: a home that is gone afterwards, SQLite, nothing sent anywhere."""

from __future__ import annotations

import atexit
import base64
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
HOME = Path(tempfile.mkdtemp(prefix="airflow-home-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)

# Airflow reads these when it is first imported, which is after this file.
SURROUNDINGS = {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(HOME / "dags"),
    # One key for all processes: whoever imports Airflow before its home is made has none otherwise.
    "AIRFLOW__CORE__FERNET_KEY": base64.urlsafe_b64encode(os.urandom(32)).decode(),
    "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "300",  # a slow machine is no failure
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__UNIT_TEST_MODE": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__API__BASE_URL": "https://airflow.example.com/",
    "AIRFLOW__COSMOS__ENABLE_TELEMETRY": "False",
    "AIRFLOW__COSMOS__CACHE_DIR": str(HOME / "cosmos"),
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
    "OPENLINEAGE_DISABLED": "true",
    "DBT_SEND_ANONYMOUS_USAGE_STATS": "False",
}
os.environ.update(SURROUNDINGS)
for name in ("COFFEE_SHOP_DIR", "COFFEE_DB_DIR"):
    os.environ.pop(name, None)


@pytest.fixture(scope="session")
def migrated() -> Path:
    """The home of an Airflow with its database."""
    subprocess.run(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        check=True,
        env={**os.environ, **SURROUNDINGS},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    (HOME / "dags").mkdir()
    return HOME
