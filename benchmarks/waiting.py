"""A hundred sensors that wait for one soak, in a whole Airflow with two workers: what it costs meanwhile."""

from __future__ import annotations

import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psutil

from airflow_dbt_promotion.wiring import Place, engine_for
from tests.airflow.conftest import SURROUNDINGS
from tests.airflow.whole import Airflow, an_airflow
from tests.integration.warehouse import DuckDb, Mill

_PROMOTION_YML = """
version: 1
state: states
environments:
  staging: {{target: staging}}
  production: {{target: production, promotes_from: staging, min_days_in_staging: PT{soak}S}}
"""
_DAG = """
    from datetime import timedelta
    from airflow.sdk import DAG
    from airflow_dbt_promotion.sensors.soak import StagingSoakSensor

    with DAG("waiting", default_args={{"dbt_project_dir": {project!r}}}):
        for number in range({count}):
            StagingSoakSensor(task_id=f"soaked_{{number}}", timeout=timedelta(hours=2))
"""
_WATCHED, _LONGEST = 30, 1800
"""Seconds for which it is looked on while all of them wait, and that anything may take."""


def waiting(count: int = 100, soak: int = 300) -> str:
    """Return what so many sensors came to that wait for a soak of so many seconds, as a sentence.

    The soak has to be longer than Airflow takes to start each of them once.
    """
    SURROUNDINGS["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "INFO"  # the logs say how often a sensor was woken up
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mill = Mill(folder / "mill", DuckDb(folder))
        mill.write("promotion.yml", _PROMOTION_YML.format(soak=soak))
        mill.engine = engine_for(Place(project_dir=mill.folder))
        (folder / "airflow").mkdir()
        dag = _DAG.format(project=str(mill.folder), count=count)
        with an_airflow(folder / "airflow", {"waiting": dag}) as airflow:
            airflow.until(lambda: airflow.knows("waiting"))
            if not mill.build_staging():
                raise RuntimeError("dbt was not content")
            told = airflow.ask("alice", "POST", "dags/waiting/dagRuns", logical_date=None).json()
            return _told(airflow, told["dag_run_id"], count)


def _told(airflow: Airflow, run_id: str, count: int) -> str:
    """Watch the sensors wait, and return what they came to."""
    began = time.monotonic()
    _until(lambda: _asleep(_states(airflow, run_id), count))
    slept = time.monotonic() - began
    before, seen, end = _triggerer(), Counter[str](), time.monotonic() + _WATCHED
    while time.monotonic() < end:
        seen += _states(airflow, run_id)
        time.sleep(1)
    spent = _triggerer() - before
    _until(lambda: _states(airflow, run_id) == {"success": count})
    woken = Counter(_woken(airflow.home, number) for number in range(count))
    told = ", ".join(f"{sensors} {times} time(s)" for times, sensors in sorted(woken.items()))
    return (
        f"{count} sensors wait for one soak, two workers: all slept {slept:.0f} s after the first began; in the "
        f"{_WATCHED} s that were watched, {seen.total() - seen['deferred']} of {seen.total()} looks found one on a "
        f"worker, and the triggerer took {spent / _WATCHED:.1%} of one core; they were woken up: {told}"
    )


def _asleep(states: Counter[str], count: int) -> bool:
    """Say whether all of them sleep. Raises RuntimeError where one has woken up before the last fell asleep."""
    if states["success"]:
        raise RuntimeError("the soak was over before the last sensor slept: take a longer one")
    return states == {"deferred": count}


def _states(airflow: Airflow, run_id: str) -> Counter[str]:
    """Return in which states the tasks of a run are."""
    path = f"dags/waiting/dagRuns/{run_id}/taskInstances?limit=100"
    return Counter(str(task["state"]) for task in airflow.ask("alice", "GET", path).json()["task_instances"])


def _until(what: Callable[[], bool]) -> None:
    """Wait for something that happens elsewhere."""
    deadline = time.monotonic() + _LONGEST
    while not what():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not happen")
        time.sleep(0.5)


def _triggerer() -> float:
    """Return the CPU time that triggerers of this machine have taken, in seconds."""
    total = 0.0
    for process in psutil.process_iter(["cmdline", "cpu_times"]):
        if "triggerer" in " ".join(process.info["cmdline"] or ()):
            total += process.info["cpu_times"].user + process.info["cpu_times"].system
    return total


def _woken(home: Path, number: int) -> int:
    """Return how often a sensor was woken up: it tells when it is ready, and when it sleeps; first it fell asleep."""
    logs = [path for path in home.glob(f"logs/**/task_id=soaked_{number}/*.log") if path.is_file()]
    text = "".join(path.read_text(encoding="utf-8", errors="replace") for path in logs)
    return text.count("sleeping until") + text.count("ready: ") - 1


if __name__ == "__main__":
    os.environ.setdefault("DBT_SEND_ANONYMOUS_USAGE_STATS", "False")
    print(waiting())
