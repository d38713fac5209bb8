"""Real processes: told apart for good, and ended with all that works for them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.state import Process
from airflow_dbt_promotion.processes import LocalProcesses, _started, owned

PROCESSES = LocalProcesses()
PATIENCE = 60.0

TELLS = """
import subprocess, sys, time
from airflow_dbt_promotion.processes import LocalProcesses, owned
import os, json, msgspec
worker = subprocess.Popen(
    [sys.executable, "-c", "import time; time.sleep(600)"], env={**os.environ, **owned()}, start_new_session=True
)
print(json.dumps([msgspec.to_builtins(LocalProcesses().here()), worker.pid]), flush=True)
time.sleep(600)
"""


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], Process, int]]:
    """Return another process, as it tells of itself, and one that works for it in a session of its own."""
    import msgspec  # noqa: PLC0415 - for this alone

    child = subprocess.Popen([sys.executable, "-c", TELLS], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    process, worker = msgspec.json.decode(child.stdout.readline(), type=tuple[Process, int])
    yield child, process, worker
    for pid in (child.pid, worker):
        if psutil.pid_exists(pid):
            psutil.Process(pid).kill()
    child.communicate(timeout=PATIENCE)


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_a_process_is_ended_with_what_works_for_it(other: tuple[subprocess.Popen[str], Process, int]) -> None:
    _, process, worker = other
    assert PROCESSES.ended(process)
    assert (runs(process.pid), runs(worker)) == (False, False)
    assert PROCESSES.ended(process)


def test_what_outlived_its_owner_is_ended(other: tuple[subprocess.Popen[str], Process, int]) -> None:
    child, process, worker = other
    child.send_signal(signal.SIGKILL)
    child.wait(PATIENCE)
    assert runs(worker)
    assert PROCESSES.ended(process)
    assert not runs(worker)


def test_one_that_does_not_listen_is_killed() -> None:
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", deaf], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    child.stdout.readline()
    started = _started(psutil.Process(child.pid))
    assert LocalProcesses(patience=0.2).ended(replace(PROCESSES.here(), pid=child.pid, started=started))
    assert not runs(child.pid)
    child.communicate(timeout=PATIENCE)


def test_a_later_process_with_its_number_is_left_alone(other: tuple[subprocess.Popen[str], Process, int]) -> None:
    _, process, _ = other
    assert PROCESSES.ended(replace(process, started=process.started - 100))
    assert runs(process.pid)


def test_those_of_another_machine_cannot_be_told_and_those_before_it_was_started_are_gone() -> None:
    here = PROCESSES.here()
    assert not PROCESSES.ended(replace(here, host="another"))
    assert PROCESSES.ended(replace(here, boot="yesterday"))


def test_nobody_ends_himself_or_where_he_comes_from() -> None:
    here = PROCESSES.here()
    assert here == PROCESSES.here()
    assert not PROCESSES.ended(here)
    parent = psutil.Process(os.getppid())
    assert not PROCESSES.ended(replace(here, pid=parent.pid, started=_started(parent)))


def test_what_is_started_says_for_whom() -> None:
    (told,) = owned().values()
    assert str(os.getpid()) in told
