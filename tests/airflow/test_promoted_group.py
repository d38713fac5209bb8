"""What an environment runs, drawn in Airflow: one task a model, exactly that model, and no test lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.airflow.conftest import HOME
from tests.airflow.spellings import dag_bag
from tests.airflow.test_examples import IN_PRODUCTION, CoffeeShop, Run, coffee_shop

__all__ = ["coffee_shop"]

pytestmark = [pytest.mark.airflow, pytest.mark.dbt, pytest.mark.slow]

DAG_FILE = """
from airflow_dbt_promotion.task_groups.promoted import DbtPromotedDag

dag = DbtPromotedDag("nightly_drawn", environment="production", dbt_project_dir={project!r}, schedule=None, **{more!r})
"""


def dag_of(shop: CoffeeShop, **more: object) -> object:
    """Return the DAG that a file draws."""
    for old in (HOME / "dags").iterdir():
        old.unlink()
    file = HOME / "dags" / "nightly_drawn.py"
    file.write_text(DAG_FILE.format(project=str(shop.folder), more=more))
    bag = dag_bag(file)
    assert bag.import_errors == {}
    return bag.dags["nightly_drawn"]


def tasks(dag: object) -> dict[str, set[str]]:
    """Return the tasks of a DAG, each with those above it, without the name of the group."""
    found = {task.task_id: task.upstream_task_ids for task in dag.tasks}  # type: ignore[attr-defined]
    return {id_.rsplit(".", 1)[1]: {one.rsplit(".", 1)[1] for one in above} for id_, above in found.items()}


@pytest.fixture
def promoted(coffee_shop: CoffeeShop) -> CoffeeShop:
    coffee_shop.build_staging()
    assert coffee_shop.run("scheduled_promotion").told("promotion.promote")["outcome"] == "promoted"
    return coffee_shop


def test_before_anything_was_promoted_one_task_runs_everything(coffee_shop: CoffeeShop) -> None:
    assert tasks(dag_of(coffee_shop)) == {"build": set()}


def test_each_model_is_a_task_in_the_order_of_the_graph(promoted: CoffeeShop) -> None:
    found = tasks(dag_of(promoted))
    between = found.pop("tests_between_models")
    assert len(found) == IN_PRODUCTION
    assert between == set(found)
    assert found["regulars"] == {"customers"}
    assert found["drink_sales"] == {"stg_drinks", "stg_receipt_lines"}
    assert found["drinks"] == set()


def test_cosmos_selects(promoted: CoffeeShop) -> None:
    found = tasks(dag_of(promoted, select=["path:models/marts"], exclude=["regulars"]))
    assert {"customers", "orders", "drink_sales"} <= found.keys()
    assert not {"regulars", "drinks", "stg_drinks"} & found.keys()


def test_each_task_builds_its_model_from_what_was_promoted(promoted: CoffeeShop) -> None:
    for file in (promoted.folder / "models").rglob("*.sql"):
        file.unlink()
    dag = dag_of(promoted, select=["+price_changes"])
    assert tasks(dag).keys() == {"drinks", "drink_prices", "price_changes"}
    ended = Run(dag.test())  # type: ignore[attr-defined]
    assert set(ended.tasks.values()) == {"success"}
    told = {name: ended.told(f"production.{name}") for name in tasks(dag)}
    assert {name: one["counts"]["success"] for name, one in told.items()} == dict.fromkeys(told, 1)
    assert told["drinks"]["counts"]["pass"] > 0


def test_importing_the_group_imports_neither_dbt_nor_the_graph_of_cosmos(tmp_path: Path) -> None:
    code = (
        "import sys, airflow.sdk, airflow_dbt_promotion.task_groups.promoted\n"
        "late = ('dbt.', 'duckdb', 'cosmos.dbt')\n"
        "print([name for name in sys.modules if name.startswith(late)])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == "[]"
