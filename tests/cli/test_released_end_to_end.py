"""Released code at the command line, with real dbt and a real warehouse: the checkout moves on, production does not."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_dbt_promotion.calendars import WallCalendar
from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.core.environment import DeployedBy, Environment, OnDrift, PromotionPath
from airflow_dbt_promotion.core.identity import environment_name
from airflow_dbt_promotion.core.kept import Provenance
from airflow_dbt_promotion.core.orders import Kept
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.keeper import Keeper
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.dbt.workshop import DbtWorkshop
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.engine.server import NOTHING
from airflow_dbt_promotion.processes import LocalProcesses
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.dbt.projects import write_project
from tests.dbt.shops import FILES, Listed, Shelves, edit, files_below, query

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

MERGED = {"models/customers.sql": FILES["models/customers.sql"].replace("old", "new")}
CUSTOMERS = "select wording from customers"
ORDERS = "model.shop.orders"


class Checkout:
    """A checkout with its environments, and a shell in it."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str], on_drift: OnDrift = OnDrift.TELL) -> None:
        self.folder, self._capsys = write_project(folder, dict(FILES)), capsys
        self.shelves, self.store = Shelves(), MemoryStore()
        self.project = DbtProject(project_dir=folder, target_path=folder / "target")
        staging, production = environment_name("staging"), environment_name("production")
        self.path = PromotionPath(
            (
                Environment(name=staging, target="staging"),
                Environment(
                    name=production,
                    target="prod",
                    promotes_from=staging,
                    deployed_by=DeployedBy.PROMOTION,
                    on_drift=on_drift,
                ),
            )
        )

    def engine(self) -> Engine:
        """Return an engine that remembers nothing, like that of another process."""
        keeper = Keeper(
            store=self.shelves, sources=lambda: Listed(self.folder), clock=now, commit=lambda: None, run=self._keep_run
        )
        return Engine(
            path=self.path,
            store=self.store,
            releases=self.shelves,
            workshop=DbtWorkshop(self.project, InProcessRunner(), keeper),
            reader=DbtArtifacts(self.folder),
            processes=LocalProcesses(),
            clock=now,
            calendar=WallCalendar(),
            project="shop",
        )

    def _keep_run(self, target_path: Path, release: Release) -> Kept:  # noqa: ARG002 - nobody edits meanwhile
        return Kept(release=self.shelves.keep(Listed(self.folder), Provenance(kept_at=now())))

    def run(self, line: str, *more: str) -> tuple[int, str, str]:
        """Run one command in another folder than the checkout."""
        words = [*line.split(), *more, "--dbt-project-dir", str(self.folder)]
        code = main(words, engine_for=lambda _: self.engine())
        captured = self._capsys.readouterr()
        return code, captured.out, captured.err

    def dbt(self, target: str, *, exclude: tuple[str, ...] = ()) -> None:
        """Run `dbt build` of the checkout."""
        told = DbtInvocation(command=DbtCommand.BUILD, target=target, exclude=exclude)
        assert InProcessRunner().invoke(self.project, told).success
        self._capsys.readouterr()

    def edit(self, changes: dict[str, str | None]) -> None:
        edit(self.folder, changes)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        return query(self.folder, sql)

    def release(self) -> None:
        """Build staging, record it, and promote all of it."""
        self.dbt("staging")
        assert self.run("record --environment staging")[0] == 0
        code, out, err = self.run("promote --target-environment production")
        assert code == 0, out + err


def now() -> datetime:
    return datetime.now(tz=UTC)


def test_production_runs_what_was_promoted_while_the_checkout_moves_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = Checkout(tmp_path / "shop", capsys)
    checkout.release()
    checkout.edit({**MERGED, "models/days.sql": None, "macros/labels.sql": "{% macro label() %}'new'{% endmacro %}"})
    checkout.query("drop table main.customers cascade")

    before = files_below(checkout.folder / "models")
    code, out, _ = checkout.run("run --environment production --dry-run --output-format json")
    listed = json.loads(out)
    assert (code, listed["outcome"]) == (0, "listed")

    code, out, err = checkout.run("run --environment production --output-format json")
    told = json.loads(out)
    assert (code, told["outcome"], told["warnings"]) == (0, "passed", []), err
    assert sorted(told["nodes"]) == listed["nodes"]
    assert ORDERS in told["passed_models"]
    assert checkout.query(CUSTOMERS) == [("old",)]
    assert checkout.query("select label from orders") == [("first",)]
    assert files_below(checkout.folder / "models") == before

    code, out, _ = checkout.run("run --environment production --command run --select orders+ --output-format json")
    assert (code, json.loads(out)["nodes"]) == (0, [ORDERS])


def test_a_test_that_fails_in_production_fails_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkout = Checkout(tmp_path / "shop", capsys)
    checkout.release()
    checkout.query("update main.orders set status = 'lost'")
    code, out, _ = checkout.run("run --environment production --command test")
    assert code == 1
    assert "accepted_values_orders_status__open__closed" in out
    assert "What was earned is void: orders" in out
    code, out, _ = checkout.run("run --environment production")
    assert (code, checkout.query("select status from orders")) == (0, [("open",)])


def test_selectors_that_dbt_refuses_or_that_name_nothing_are_bad_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = Checkout(tmp_path / "shop", capsys)
    checkout.release()
    for select in ("unheard_of", "state:modified", "--target", "tag:"):
        code, out, err = checkout.run("run --environment production", f"--select={select}")
        assert code == 2, (select, out, err)


def test_a_run_of_the_checkout_drifts_and_is_put_right(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkout = Checkout(tmp_path / "shop", capsys)
    checkout.release()
    checkout.edit(MERGED)
    checkout.dbt("prod")
    code, _, err = checkout.run("record --environment production")
    assert code == 0
    assert "warning: drift:" in err
    assert "customers" in err
    assert checkout.query(CUSTOMERS) == [("new",)]
    drift = json.loads(checkout.run("status --output-format json")[1])["drift"]
    assert {one["name"] for one in drift} == {"customers", "orders", "history"}
    assert checkout.run("run --environment production")[0] == 0
    assert checkout.query(CUSTOMERS) == [("old",)]
    assert json.loads(checkout.run("status --output-format json")[1])["drift"] == []


def test_where_policy_blocks_drift_recording_it_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkout = Checkout(tmp_path / "shop", capsys, OnDrift.BLOCK)
    checkout.release()
    checkout.edit(MERGED)
    checkout.dbt("prod")
    assert checkout.run("record --environment production")[0] == 3
    assert "Drift: 3 models" in checkout.run("status --environment production")[1]


def test_what_is_not_promoted_is_left_out_of_a_run_of_the_checkout(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkout = Checkout(tmp_path / "shop", capsys)
    checkout.release()
    assert checkout.run("exclude --environment production")[1] == f"{NOTHING}\n"
    checkout.dbt("prod", exclude=(NOTHING,))
    checkout.edit({**MERGED, "models/fresh.sql": "select 1 as id"})
    code, out, _ = checkout.run("exclude --environment production")
    assert (code, len(out.split())) == (0, 4)
    checkout.dbt("prod", exclude=tuple(out.split()))
    assert checkout.query(CUSTOMERS) == [("old",)]
    assert checkout.query(
        "select count(*) from duckdb_tables() where schema_name = 'main' and table_name = 'fresh'"
    ) == [(0,)]
    assert checkout.run("record --environment production")[0] == 0
    assert json.loads(checkout.run("status --output-format json")[1])["drift"] == []
