"""`airflow dbt-promotion`: the words go to `dbt-promote`, and what Airflow knows of the project goes with them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import pytest

from airflow_dbt_promotion import airflow_cli
from airflow_dbt_promotion.cli import ExitCode
from airflow_dbt_promotion.get_provider_info import get_provider_info
from tests.airflow.conftest import SURROUNDINGS
from tests.airflow.spellings import newer_than_3_1


def parsed(*words: str) -> Any:
    """Read a command line with Airflow's own parser."""
    import argparse  # noqa: PLC0415 - beside what it is used with

    from airflow.cli.cli_parser import _add_command  # noqa: PLC0415 - needs the home of the fixture

    parser = argparse.ArgumentParser(prog="airflow")
    commands = parser.add_subparsers(dest="subcommand")
    for command in airflow_cli.get_commands():
        _add_command(commands, command)
    return parser.parse_args(["dbt-promotion", *words])


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--help",),
        ("promote", "--help"),
        ("promote", "--models", "orders", "-h"),
        ("state", "copy", "a", "b"),
    ],
)
def test_every_word_is_handed_on_as_it_stands(words: tuple[str, ...]) -> None:
    said = parsed(*words)
    assert said.words == list(words)
    assert said.func.__name__ == "run"


def test_airflows_settings_and_a_connection_stand_in_for_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DBT_PROMOTION__DBT_PROJECT_DIR", "/srv/shop")
    monkeypatch.setenv("AIRFLOW__DBT_PROMOTION__STATE", "/srv/state")
    assert airflow_cli._settled(["status"]) == ["status", "--dbt-project-dir=/srv/shop", "--state=/srv/state"]
    given = ["status", "--dbt-project-dir", "/mine", "--state=s3://x"]
    assert airflow_cli._settled(given) == given
    for words in ([], ["--version"]):
        assert airflow_cli._settled(words) == words
    extra = json.dumps({"conn_type": "dbt_promotion", "extra": {"dbt_project_dir": "/srv/other"}})
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_SHOP", extra)
    found = airflow_cli._settled(["status", "--promotion-conn-id", "other_shop", "--environment", "staging"])
    assert found == ["status", "--dbt-project-dir=/srv/other", "--state=/srv/state", "--environment", "staging"]


def test_the_provider_names_what_there_is_and_airflow_can_import_it() -> None:
    info: Any = get_provider_info()
    named = [*info["cli"], *info["extra-links"], *info["notifications"]]
    assert all(callable(resolve_name(path)) for path in named)


@newer_than_3_1
@pytest.mark.airflow
@pytest.mark.slow
def test_the_real_command_says_what_ours_says_and_ends_with_our_exit_code(migrated: Path, tmp_path: Path) -> None:
    environ = {**os.environ, **SURROUNDINGS, "AIRFLOW_HOME": str(migrated)}
    command = [sys.executable, "-m", "airflow", "dbt-promotion", "promote"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environ, cwd=tmp_path)
    assert done.returncode == ExitCode.BAD_INPUT
    assert "required: --target-environment" in done.stderr
