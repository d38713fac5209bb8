"""What Airflow asks the package about itself, and what the package root offers."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import jsonschema
import pytest

import airflow_dbt_promotion
from airflow_dbt_promotion.get_provider_info import get_provider_info


def test_airflow_finds_the_provider_by_its_entry_point() -> None:
    found = [
        entry for entry in entry_points(group="apache_airflow_provider") if entry.module.startswith("airflow_dbt_")
    ]
    assert [entry.load()()["package-name"] for entry in found] == ["airflow-dbt-promotion"]


@pytest.mark.airflow
def test_what_is_said_fits_airflows_schema_and_names_what_is_there() -> None:
    import airflow  # noqa: PLC0415 - a second of imports

    schema = Path(airflow.__file__).with_name("provider_info.schema.json")
    info = get_provider_info()
    jsonschema.validate(info, json.loads(schema.read_text(encoding="utf-8")))
    for connection in info["connection-types"]:  # type: ignore[attr-defined] - checked by the schema
        module, _, name = connection["hook-class-name"].rpartition(".")
        hook = getattr(import_module(module), name)
        assert hook.conn_type == connection["connection-type"]
        assert hook.hook_name == connection["hook-name"]


def test_the_root_resolves_every_public_name_and_no_other() -> None:
    for name in airflow_dbt_promotion.__all__:
        assert getattr(airflow_dbt_promotion, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        airflow_dbt_promotion.no_such_name  # noqa: B018 - asking is the test


def test_importing_the_root_and_the_provider_info_imports_nothing_else() -> None:
    code = "import sys, airflow_dbt_promotion.get_provider_info; print(*sorted(m for m in sys.modules if '.' not in m))"
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert not {"airflow", "dbt", "cosmos", "msgspec", "yaml", "pendulum"} & set(told)
