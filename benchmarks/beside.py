"""What else there are goals for: how the command line starts, and what our operators add to a DAG file's imports."""

from __future__ import annotations

import importlib.util
import pkgutil
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.cache import Prepared
from benchmarks.measure import ROOT, answer, child, spent
from benchmarks.rows import Row

_PACKAGE = "airflow_dbt_promotion"
_SURFACES = ("operators", "sensors", "triggers", "hooks", "links", "notifications", "task_groups")
_FOR_DAGS = (
    *(f"operators.{name}" for name in ("promote", "record", "rollback", "run")),
    "sensors.soak",
    "task_groups.promoted",
    "notifications.promotion",
    *(f"hooks.{name}" for name in ("assets", "cosmos", "drift", "params")),
)
"""What DAG files import, as docs/airflow.md says; the other modules of these folders are imported by tasks."""

_STATUS = """\
import sys
from airflow_dbt_promotion.cli import main
code = main(["status", "--dbt-project-dir", {folder!r}, "--output-format", "json"])
found = sorted({{"dbt", "airflow"}} & set(sys.modules))
sys.exit(code or (f"imported: {{found}}" if found else 0))
"""

_IMPORTS = """\
import importlib, json, time
import airflow, airflow.sdk, airflow.triggers.base
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
start = time.process_time()
for name in {modules!r}:
    importlib.import_module(name)
print(json.dumps({{"seconds": time.process_time() - start}}))
"""

_DAG = """\
import json, time
import airflow, airflow.sdk, airflow.triggers.base
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
from airflow.providers.standard.operators.empty import EmptyOperator
start = time.process_time()
from airflow_dbt_promotion.task_groups.promotion import DbtPromotionDag
dag = DbtPromotionDag("promotion", target_environment="production", dbt_project_dir={project!r}, **{more!r})
print(json.dumps({{"seconds": time.process_time() - start, "tasks": len(dag.tasks)}}))
"""


def status(prepared: Prepared, rounds: int) -> Iterator[Row]:
    """Yield what `dbt-promote status` costs as a process; it fails where dbt or Airflow was imported."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in ("dbt_project.yml", "profiles.yml"):
            shutil.copy2(prepared.project / file, folder)
        answer(child("ours", "states", prepared.before, prepared.after, prepared.project, folder), dict[str, float])
        command = [sys.executable, "-c", _STATUS.format(folder=str(folder))]
        cost = statistics.median(spent(command).cpu for _ in range(rounds))
    yield Row(
        models=prepared.size,
        what="`dbt-promote status`: process",
        ours=cost,
        against="the goal",
        theirs=0.35,
        goal=1 if prepared.size <= 1000 else None,  # noqa: PLR2004 - the size that the goal is about
    )


def imports(rounds: int) -> Iterator[Row]:
    """Yield what our modules cost where Airflow's own are imported already: those for DAG files, and all there are."""
    for_dags = [f"{_PACKAGE}.{name}" for name in _FOR_DAGS]
    what = f"import of {len(for_dags)} modules for DAG files"
    yield Row(models=0, what=what, ours=_importing(for_dags, rounds), against="the goal", theirs=0.05, goal=1)
    every = [name for surface in _SURFACES for name in _modules(f"{_PACKAGE}.{surface}")]
    yield Row(models=0, what=f"all {len(every)}, as tasks import them", ours=_importing(every, rounds))


def _importing(modules: list[str], rounds: int) -> float:
    """Return the seconds that importing some modules takes."""
    command = [sys.executable, "-c", _IMPORTS.format(modules=modules)]
    return statistics.median(answer(spent(command), dict[str, float])["seconds"] for _ in range(rounds))


def dag(rounds: int) -> Iterator[Row]:
    """Yield what a DAG file costs that draws a promotion, with our own imports, where Airflow's are there already."""
    shop = str(ROOT / "example_dags" / "dbt" / "coffee_shop")
    drawings: dict[str, tuple[str, dict[str, object]]] = {
        "as policy says": (shop, {}),
        "with every step": ("/nowhere", {"models": "orders", "skip_downstream": False}),
    }
    for name, (project, more) in drawings.items():
        command = [sys.executable, "-c", _DAG.format(project=project, more=more)]
        found = [answer(spent(command), dict[str, float]) for _ in range(rounds)]
        cost = statistics.median(one["seconds"] for one in found)
        what = f"parse of a DbtPromotionDag {name}: {found[0]['tasks']:.0f} tasks"
        yield Row(models=0, what=what, ours=cost, against="the goal", theirs=0.1, goal=1)


def _modules(package: str) -> list[str]:
    """Return a package with the modules in it, nothing where there is no such package."""
    found = importlib.util.find_spec(package)
    if found is None:
        return []
    return [package, *(f"{package}.{module.name}" for module in pkgutil.iter_modules(found.submodule_search_locations))]
