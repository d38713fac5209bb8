"""The command line as people use it: real dbt, a real warehouse, processes and exit codes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest

from airflow_dbt_promotion.render.schemas import schema

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
DBT = "import sys; from dbt.cli.main import cli; cli(prog_name='dbt')"


class CoffeeShop:
    """A copy of the example project, and a shell that stands in another folder."""

    def __init__(self, folder: Path) -> None:
        self.project = folder / "coffee_shop"
        shutil.copytree(
            ROOT / "example_dags" / "dbt" / "coffee_shop", self.project, ignore=shutil.ignore_patterns("target", "logs")
        )
        (self.project / "promotion.yml").write_text(
            "version: 1\n"
            f"state: {folder / 'states'}\n"
            "environments:\n"
            "  staging: {target: staging}\n"
            "  production: {target: production, promotes_from: staging, min_days_in_staging: 1}\n",
            encoding="utf-8",
        )
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        self._environ = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "COFFEE_DB_DIR": str(folder),
            "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        }

    def dbt(self, *words: str) -> None:
        """Run dbt in the project."""
        done = self._run([sys.executable, "-c", DBT, *words], self.project)
        assert done.returncode == 0, done.stdout

    def promote(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `dbt-promote` from somewhere else."""
        command = [sys.executable, "-m", "airflow_dbt_promotion", *words, "--dbt-project-dir", str(self.project)]
        return self._run(command, self.elsewhere)

    def _run(self, command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=folder, env=self._environ, capture_output=True, text=True, check=False, timeout=300
        )


def test_a_version_earns_its_way_from_staging_to_production(tmp_path: Path) -> None:
    shop = CoffeeShop(tmp_path)
    go = ("promote", "--target-environment", "production", "--output-format", "json")

    never = shop.promote(*go, "--dry-run")
    assert never.returncode == 3, never.stderr
    assert json.loads(never.stdout)["verdicts"][0]["code"] == "source_never_recorded"

    shop.dbt("build", "--target", "staging")
    recorded = shop.promote("record", "--environment", "staging", "--output-format", "json")
    assert recorded.returncode == 0, recorded.stderr
    entered = json.loads(recorded.stdout)["entered"]
    assert {"seed.coffee_shop.shops", "model.coffee_shop.orders"} <= set(entered)

    early = shop.promote(*go, "--models", "shops,orders", "--include-upstream")
    assert early.returncode == 3, early.stderr
    refused = json.loads(early.stdout)
    jsonschema.validate(refused, schema("promotion"))
    assert refused["outcome"] == "refused"
    assert refused["eligible_at"] is not None
    assert not (tmp_path / "states" / "production.json").exists()

    done = shop.promote(*go, "--min-days-in-staging", "0", "--reason", "the test cannot wait a day")
    assert done.returncode == 0, done.stderr
    promoted = json.loads(done.stdout)
    jsonschema.validate(promoted, schema("promotion"))
    assert promoted["outcome"] == "promoted"
    assert {model["unique_id"] for model in promoted["models"]} == set(entered)
    assert {model["result"] for model in promoted["models"]} == {"advanced"}
    assert promoted["bypasses"] == [{"kind": "short_soak", "reason": "the test cannot wait a day"}]

    status = json.loads(shop.promote("status", "--environment", "production", "--output-format", "json").stdout)
    jsonschema.validate(status, schema("status"))
    assert {one["unique_id"] for one in status["models"]} == set(entered)
    assert all(one["tested"] and one["bypassed"] == ["short_soak"] for one in status["models"])

    again = shop.promote("promote", "--target-environment", "production")
    assert (again.returncode, again.stdout.splitlines()[0]) == (
        0,
        "Nothing to do: what was asked for is in production already.",
    )
    assert list(shop.elsewhere.iterdir()) == []
