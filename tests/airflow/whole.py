"""A whole Airflow: API server, scheduler, triggerer and DAG processor, each a process that can be killed and started
again, asked through its REST API by users who signed in.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx

from tests.airflow.conftest import SURROUNDINGS

USERS = {"alice": "admin", "bob": "op", "carol": "op", "dave": "viewer"}
"""Who can sign in, each with a role; the password is the name."""

_PARTS: Mapping[str, tuple[str, ...]] = {
    "api-server": ("api-server",),
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
}
_LONGEST = 240.0
"""Seconds that anything may take; what is waited for takes a few, but on a machine that has other things to do."""


class Airflow:
    """An Airflow in a folder of its own, with its DAGs."""

    def __init__(self, home: Path, dags: Mapping[str, str], redis: str | None = None) -> None:
        """Take a folder that is empty, and the text of each DAG by its id.

        With the address of a Redis, tasks run on two Celery workers, one at a time on each; else on a LocalExecutor.
        """
        self.home, self._redis = home, redis
        workers = ("worker-1", "worker-2") if redis is not None else ()
        celery = ("celery", "worker", "--skip-serve-logs", "--concurrency", "1", "--celery-hostname")
        self._parts = {**_PARTS, **{name: (*celery, f"{name}@%h") for name in workers}}
        (home / "dags").mkdir()
        for dag_id, text in dags.items():
            (home / "dags" / f"{dag_id}.py").write_text(dedent(text), encoding="utf-8")
        (home / "passwords.json").write_text(json.dumps({name: name for name in USERS}), encoding="utf-8")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self._port}"
        self._environment = {**os.environ, **SURROUNDINGS, **self._settings()}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._tokens: dict[str, str] = {}

    # --- its processes ------------------------------------------------------------------------------------------------

    def start(self, *parts: str) -> None:
        """Start some of its parts, or all."""
        for part in parts or self._parts:
            with (self.home / f"{part}.log").open("ab") as log:
                # Executors and triggers have processes of their own: each part leads a group, and the group is ended.
                self._running[part] = subprocess.Popen(
                    [sys.executable, "-m", "airflow", *self._arguments(part)],
                    env=self._environment,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    cwd=self.home,
                )

    def kill(self, *parts: str) -> None:
        """Kill some of its parts, or all, with everything that they have started; they are told nothing before."""
        for part in parts or tuple(self._running):
            process = self._running.pop(part)
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def migrate(self) -> None:
        """Make its database."""
        subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            check=True,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def is_well(self) -> bool:
        """Say whether each part has given a sign of life."""
        try:
            told = httpx.get(f"{self.address}/api/v2/monitor/health", timeout=10).json()
        except (httpx.HTTPError, ValueError):
            return False
        return all(told[part]["status"] == "healthy" for part in ("scheduler", "triggerer", "dag_processor"))

    # --- its API ------------------------------------------------------------------------------------------------------

    def ask(self, user: str, method: str, path: str, **body: Any) -> httpx.Response:
        """Send a request as a user who signed in."""
        return httpx.request(
            method,
            f"{self.address}/api/v2/{path}",
            json=body or None,
            headers={"Authorization": f"Bearer {self._token(user)}"},
            timeout=60,
        )

    def knows(self, dag_id: str) -> bool:
        """Say whether a DAG was read."""
        return self.ask("alice", "GET", f"dags/{dag_id}").status_code == httpx.codes.OK

    def trigger(self, user: str, dag_id: str, **conf: Any) -> Run:
        """Trigger a run of a DAG with params."""
        self.until(lambda: self.knows(dag_id))
        told = self.ask(user, "POST", f"dags/{dag_id}/dagRuns", logical_date=None, conf=conf)
        assert told.status_code == httpx.codes.OK, told.text
        return Run(self, dag_id, told.json()["dag_run_id"])

    def until(self, what: Callable[[], object]) -> None:
        """Wait for something that happens elsewhere; long enough for a slow machine."""
        deadline = time.monotonic() + _LONGEST
        while not what():
            assert time.monotonic() < deadline, self._words()
            time.sleep(0.2)

    def _token(self, user: str) -> str:
        """Sign a user in, once."""
        if user not in self._tokens:
            told = httpx.post(f"{self.address}/auth/token", json={"username": user, "password": user}, timeout=60)
            assert told.status_code == httpx.codes.CREATED, told.text
            self._tokens[user] = told.json()["access_token"]
        return self._tokens[user]

    def _words(self) -> str:
        """Return the last words of each part."""
        logs = sorted(self.home.glob("*.log"))
        told = [f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:]) for log in logs]
        return "it did not happen\n" + "\n".join(told)

    def _arguments(self, part: str) -> tuple[str, ...]:
        """Return the arguments of a part."""
        listens = ("--port", str(self._port), "--workers", "1") if part == "api-server" else ()
        return (*self._parts[part], *listens)

    def _settings(self) -> dict[str, str]:
        """Return what is set for this one."""
        key = os.urandom(16).hex()
        return {
            # Its parts start each other by the name `airflow`.
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", ""))),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__BASE_URL": self.address,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__SECRET_KEY": key,
            "AIRFLOW__API_AUTH__JWT_SECRET": key * 2,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.home / "dags"),
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.address}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.home / "passwords.json"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in USERS.items()),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.home / "logs"),
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            # How soon another triggerer takes over what one that died has left.
            "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
            "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "5",
            **self._on_celery(),
        }

    def _on_celery(self) -> dict[str, str]:
        """Return what is set for tasks to run on Celery's workers."""
        if self._redis is None:
            return {}
        return {
            "AIRFLOW__CELERY__BROKER_URL": f"{self._redis}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"{self._redis}/1",
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        }


class Run:
    """A run of a DAG."""

    def __init__(self, airflow: Airflow, dag_id: str, run_id: str) -> None:
        """Take the Airflow, and the run's names."""
        self._airflow, self._path = airflow, f"dags/{dag_id}/dagRuns/{run_id}"

    def task(self, task_id: str) -> dict[str, Any]:
        """Return what Airflow says of a task."""
        return self._read(f"taskInstances/{task_id}")

    def mapped(self, task_id: str) -> list[dict[str, Any]]:
        """Return what Airflow says of each instance of a mapped task."""
        found: list[dict[str, Any]] = self._read(f"taskInstances/{task_id}/listMapped")["task_instances"]
        return found

    def wait(self, task_id: str, state: str) -> dict[str, Any]:
        """Wait until a task is in a state; return what Airflow says of it then."""
        ended = {"success", "failed", "skipped", "upstream_failed", "removed"} - {state}

        def arrived() -> bool:
            now = self.task(task_id)["state"]
            assert now not in ended, f"{task_id} is {now}\n{self.log(task_id)}"
            return bool(now == state)

        self._airflow.until(arrived)
        return self.task(task_id)

    def told(self, task_id: str) -> Any:
        """Return what a task handed over."""
        return self._read(f"taskInstances/{task_id}/xcomEntries/return_value?deserialize=true")["value"]

    def answer(self, user: str, task_id: str, option: str, **params: Any) -> httpx.Response:
        """Answer what a task asks people."""
        path = f"{self._path}/taskInstances/{task_id}/-1/hitlDetails"
        return self._airflow.ask(user, "PATCH", path, chosen_options=[option], params_input=params)

    def asked(self, task_id: str) -> dict[str, Any]:
        """Return what a task asks people."""
        return self._read(f"taskInstances/{task_id}/-1/hitlDetails")

    def log(self, task_id: str) -> str:
        """Return the log of the newest attempt at a task."""
        attempt = self.task(task_id)["try_number"]
        return self._airflow.ask("alice", "GET", f"{self._path}/taskInstances/{task_id}/logs/{attempt}").text

    def _read(self, path: str) -> dict[str, Any]:
        told = self._airflow.ask("alice", "GET", f"{self._path}/{path}")
        assert told.status_code == httpx.codes.OK, told.text
        found: dict[str, Any] = told.json()
        return found


@contextmanager
def an_airflow(home: Path, dags: Mapping[str, str], redis: str | None = None) -> Iterator[Airflow]:
    """Start an Airflow with some DAGs, and end it."""
    made = Airflow(home, dags, redis)
    made.migrate()
    try:
        made.start()
        made.until(made.is_well)
        yield made
    finally:
        made.kill()
