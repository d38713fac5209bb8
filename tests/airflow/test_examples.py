"""The example DAGs in a real Airflow, with real dbt and DuckDB: outcomes are read from XCom and from state."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.airflow.conftest import EXAMPLES, HOME
from tests.airflow.spellings import AirflowFailException, dag_bag
from tests.airflow.tasks import a_context

pytestmark = [pytest.mark.airflow, pytest.mark.dbt, pytest.mark.slow]

IN_PRODUCTION = 16
SCHEDULED = ("soaked", "plan", "promote")
SOAK = """
version: 1
environments:
  staging: {target: staging}
  production: {target: production, promotes_from: staging, min_days_in_staging: PT12S}
"""
WRONG = """
models:
  - name: wrong
    columns: [{name: points, data_tests: [{accepted_values: {arguments: {values: [1]}}}]}]
"""


class CoffeeShop:
    """A copy of the example project, and the Airflow that runs the example DAGs on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def engine(self) -> Engine:
        return engine_for(Place(project_dir=self.folder))

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text, encoding="utf-8")

    def build_staging(self, *, record: bool = True) -> None:
        """Build staging as a team would."""
        target_path = self.folder / "target"
        project = DbtProject(project_dir=self.folder, target_path=target_path, profiles_dir=self.folder)
        assert InProcessRunner().invoke(project, DbtInvocation(command=DbtCommand.BUILD, target="staging")).success
        if record:
            self.engine.record("staging", target_path)

    def build_production(self) -> None:
        """Build production as a team did before it promoted."""
        folder = self.folder / "target" / "by_hand"
        project = DbtProject(project_dir=self.folder, target_path=folder, profiles_dir=self.folder)
        assert InProcessRunner().invoke(project, DbtInvocation(command=DbtCommand.BUILD, target="production")).success

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table of production."""
        import duckdb  # noqa: PLC0415 - only where it is asked

        with duckdb.connect(str(self.folder / "target" / "coffee_production.duckdb"), read_only=True) as connection:
            return [name for name, *_ in connection.execute(f"describe production.{table}").fetchall()]

    def run(self, dag_id: str, conf: dict[str, Any] | None = None) -> Run:
        """Run a DAG to its end, as `airflow dags test` does; that parses all DAGs, so here it finds but this one."""
        for old in (HOME / "dags").iterdir():
            old.unlink()
        for name in (".airflowignore", "dbt", f"{dag_id}.py"):
            (HOME / "dags" / name).symlink_to(EXAMPLES / name)
        bag = dag_bag(HOME / "dags" / f"{dag_id}.py")
        assert bag.import_errors == {}
        return Run(bag.dags[dag_id].test(run_conf=conf))


class Run:
    """A DAG run that ended."""

    def __init__(self, ended: Any) -> None:
        self.state = str(ended.state)
        self.tasks = {ti.task_id: str(ti.state) for ti in ended.get_task_instances()}
        self._dag_id, self._run_id = ended.dag_id, ended.run_id

    def told(self, task_id: str) -> Any:
        """Return what a task told by XCom."""
        from airflow.models.xcom import XComModel  # noqa: PLC0415 - as late
        from airflow.utils.session import create_session  # noqa: PLC0415 - as late

        with create_session() as session:
            row = session.scalar(
                XComModel.get_many(key="return_value", run_id=self._run_id, dag_ids=self._dag_id, task_ids=task_id)
            )
            assert row is not None, f"{task_id} told nothing"
            return XComModel.deserialize_value(row)


@pytest.fixture
def coffee_shop(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CoffeeShop]:  # noqa: ARG001
    folder = tmp_path / "coffee_shop"
    ignore = shutil.ignore_patterns("target", "logs", ".user.yml", "promotion.yml")
    shutil.copytree(EXAMPLES / "dbt" / "coffee_shop", folder, ignore=ignore)
    (folder / "target").mkdir()
    monkeypatch.setenv("COFFEE_SHOP_DIR", str(folder))
    monkeypatch.setenv("COFFEE_DB_DIR", str(folder / "target"))
    yield CoffeeShop(folder)
    # DuckDB lets go of the files of a project that is no more.
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415 - only once dbt ran

    DuckDBConnectionManager.close_all_connections()


def test_the_example_dags_import_without_errors_and_cheaply(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.chdir("/")
    bag = dag_bag(EXAMPLES)
    assert bag.import_errors == {}
    assert set(bag.dags) == {"scheduled_promotion", "manual_promotion", "cosmos_staging", "nightly_production"}
    assert bag.dags["scheduled_promotion"].task_dict.keys() == {f"promotion.{name}" for name in SCHEDULED}
    offered = bag.dags["manual_promotion"].params.get_param("models").schema["items"]["enum"]
    project = EXAMPLES / "dbt" / "coffee_shop"
    assert {"all-validated", "orders", "drinks", "drink_prices"} <= set(offered)
    assert "line_amounts" not in offered
    assert not (project / "target").exists()


def test_the_scheduled_dag_promotes_what_is_validated(coffee_shop: CoffeeShop) -> None:
    coffee_shop.build_staging()
    run = coffee_shop.run("scheduled_promotion")
    assert (run.state, run.tasks) == ("success", {f"promotion.{name}": "success" for name in SCHEDULED})
    told = run.told("promotion.promote")
    assert told["outcome"] == "promoted"
    assert told["link"].startswith("https://airflow.example.com/dags/scheduled_promotion/runs/")
    assert {model["name"] for model in told["models"]} == set(run.told("promotion.soaked"))
    state = coffee_shop.engine.observer.state("production")
    assert state is not None
    assert {model["unique_id"]: model["to_version"] for model in told["models"]} == {
        model: entry.version for model, entry in state.current.items()
    }
    assert len(state.current) == IN_PRODUCTION
    assert state.history[0].plan_id == told["plan_id"]
    assert state.history[0].link == told["link"]


def test_the_scheduled_dag_waits_for_the_soak(coffee_shop: CoffeeShop) -> None:
    coffee_shop.write("promotion.yml", SOAK)
    coffee_shop.build_staging()
    run = coffee_shop.run("scheduled_promotion")
    assert run.tasks == {f"promotion.{name}": "success" for name in SCHEDULED}
    state = coffee_shop.engine.observer.state("production")
    assert state is not None
    assert state.history[0].outcome.value == "promoted"
    assert {
        verdict.code for status in coffee_shop.engine.status("staging") for verdict in [status.soak] if verdict
    } == {"soaked"}


def test_the_form_plans_promotes_and_refuses(coffee_shop: CoffeeShop) -> None:
    coffee_shop.build_staging()
    chosen = {"models": ["drinks", "stg_drinks"], "dry_run": True}
    planned = coffee_shop.run("manual_promotion", chosen)
    assert planned.told("promote")["outcome"] == "planned"
    assert coffee_shop.engine.observer.state("production") is None

    done = coffee_shop.run("manual_promotion", {**chosen, "dry_run": False}).told("promote")
    assert (done["outcome"], [model["name"] for model in done["models"]]) == ("promoted", ["stg_drinks", "drinks"])

    refused = coffee_shop.run("manual_promotion", {"models": ["orders"], "dry_run": False})
    assert refused.tasks == {"promote": "failed"}
    assert {one["code"] for one in refused.told("promote")["refusals"]} >= {"needs_upstream"}

    unexplained = coffee_shop.run("manual_promotion", {"models": ["loyalty_cards"], "skip_tests": True})
    assert unexplained.tasks == {"promote": "failed"}

    bypass = {"models": ["loyalty_cards"], "skip_tests": True, "reason": "a hot fix", "dry_run": False}
    assert coffee_shop.run("manual_promotion", bypass).told("promote")["outcome"] == "promoted"
    state = coffee_shop.engine.observer.state("production")
    assert state is not None
    assert [(one.kind.value, one.reason) for one in state.bypasses] == [("skip_tests", "a hot fix")]
    assert {model.rsplit(".", 1)[-1] for model in state.current} == {"drinks", "stg_drinks", "loyalty_cards"}


def test_what_cosmos_builds_task_by_task_is_evidence_that_goes_to_production(coffee_shop: CoffeeShop) -> None:
    coffee_shop.write("models/marts/wrong.sql", "select 1 as id, {{ 0 }} as points")
    coffee_shop.write("models/marts/_wrong.yml", WRONG)
    built = coffee_shop.run("cosmos_staging")
    assert {task for task, state in built.tasks.items() if state == "failed"} == {"staging.wrong.test"}

    statuses = {status.name: status for status in coffee_shop.engine.status("staging")}
    assert statuses["wrong"].tests.code == "revoked"
    assert all(status.validated for name, status in statuses.items() if name != "wrong")
    assert not any((coffee_shop.folder / "target").glob("run_results.json"))

    run = coffee_shop.run("scheduled_promotion")
    promoted = run.told("promotion.promote")
    assert promoted["outcome"] == "promoted"
    assert len(promoted["models"]) == IN_PRODUCTION
    assert run.told("promotion.plan")["held"] == 1


def test_the_nightly_dag_builds_what_was_promoted_however_far_the_checkout_has_moved(coffee_shop: CoffeeShop) -> None:
    coffee_shop.build_staging()
    assert coffee_shop.run("scheduled_promotion").told("promotion.promote")["outcome"] == "promoted"
    held = coffee_shop.engine.observer.state("production")
    assert held is not None

    coffee_shop.write("models/marts/merged.sql", "select 1 as id")
    (coffee_shop.folder / "models" / "marts" / "regulars.sql").write_text("select 'merged' as note")
    run = coffee_shop.run("nightly_production")
    assert (run.state, run.tasks) == ("success", {"build_production": "success"})
    told = run.told("build_production")
    assert (told["outcome"], told["counts"]["success"]) == ("passed", IN_PRODUCTION)
    assert told["link"].startswith("https://airflow.example.com/dags/nightly_production/runs/")

    few = coffee_shop.run("nightly_production", {"select": "regulars"}).told("build_production")
    assert few["counts"]["success"] == 1
    state = coffee_shop.engine.observer.state("production")
    assert state is not None
    assert {m: e.version for m, e in state.current.items()} == {m: e.version for m, e in held.current.items()}
    assert all(found[0].runs >= 2 for model, found in state.evidence.items() if model.endswith(".regulars"))
    assert coffee_shop.columns("regulars") != ["note"]


def test_a_run_is_recorded_by_a_task_and_an_environment_adopted(coffee_shop: CoffeeShop) -> None:
    from airflow_dbt_promotion.operators.record import RecordRunOperator  # noqa: PLC0415 - needs the home of the fixture

    coffee_shop.build_staging(record=False)
    record = RecordRunOperator(task_id="record", environment="staging", dbt_project_dir=str(coffee_shop.folder))
    told: Any = record.execute(a_context())
    assert len(told["entered"]) == len(told["passed"]) == IN_PRODUCTION
    assert told["serial"] == 1
    assert json.loads(json.dumps(told)) == told

    coffee_shop.build_production()
    baseline = RecordRunOperator(
        task_id="adopt", environment="production", baseline="true", dbt_project_dir=str(coffee_shop.folder)
    )
    assert len(baseline.execute(a_context())["entered"]) == IN_PRODUCTION  # type: ignore[arg-type]
    elsewhere = RecordRunOperator(
        task_id="record", environment="staging", target_path="nowhere", dbt_project_dir=str(coffee_shop.folder)
    )
    with pytest.raises(AirflowFailException, match="missing_artifact"):
        elsewhere.execute(a_context())


def test_the_examples_write_nothing_beside_themselves(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COFFEE_SHOP_DIR", "COFFEE_DB_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert "COFFEE_SHOP_DIR" not in os.environ
    beside = EXAMPLES / "dbt" / "coffee_shop"
    before = sorted(beside.rglob("*"))
    run = CoffeeShop(beside).run("manual_promotion", {"dry_run": False})
    assert run.tasks == {"promote": "failed"}
    assert {one["code"] for one in run.told("promote")["refusals"]} == {"source_never_recorded"}
    staged = CoffeeShop(beside).run(
        "manual_promotion", {"target_environment": "staging", "models": ["drinks"], "dry_run": False}
    )
    assert staged.told("promote")["outcome"] == "promoted"
    assert (migrated / "coffee_shop" / "promotion_states" / "staging.json").is_file()
    assert (migrated / "coffee_shop" / "coffee_staging.duckdb").is_file()
    assert sorted(beside.rglob("*")) == before
