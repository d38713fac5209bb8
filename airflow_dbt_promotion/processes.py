"""Processes of this machine: telling them apart for good, and ending what is left of an attempt that goes on beside its
retry.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import psutil

from airflow_dbt_promotion.core.state import Process

_PATIENCE = 10.0
"""Seconds in which a process may end by itself before it is killed."""

OWNER = "DBT_PROMOTION_OWNER"
"""The environment variable by which a process that was started says for whom it works: it may outlive him."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")
_NAMESPACE = Path("/proc/self/ns/pid")


class LocalProcesses:
    """The port `Processes` for the machine at hand."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        """Take the seconds in which a process may end by itself."""
        self._patience = patience

    def here(self) -> Process:
        """Return this process."""
        return Process(host=_machine(), boot=_boot(), pid=os.getpid(), started=_started(psutil.Process()))

    def ended(self, process: Process) -> bool:
        """End a process with all that it started, and say whether it is surely gone.

        False for one of another machine, one that may not be ended, this process, and those that it descends from: they
        cannot be told.
        """
        here = self.here()
        if process.host != here.host:
            return False
        if process.boot != here.boot:
            return True
        found = _alive(process)
        if found is not None and found.pid in {here.pid, *(parent.pid for parent in psutil.Process().parents())}:
            return False
        try:
            children = found.children(recursive=True) if found is not None else []
            return _end([*children, *([found] if found is not None else []), *_working_for(process)], self._patience)
        except psutil.NoSuchProcess:
            return self.ended(process)
        except psutil.AccessDenied:
            return False


def owned() -> dict[str, str]:
    """Return what the environment of a process has to say that we start: for whom it works."""
    return {OWNER: _key(LocalProcesses().here())}


def _key(process: Process) -> str:
    return f"{process.boot}:{process.pid}:{process.started}"


def _alive(process: Process) -> psutil.Process | None:
    """Return a process of this machine that runs still."""
    try:
        found = psutil.Process(process.pid)
        return found if _started(found) == process.started else None
    except psutil.NoSuchProcess:
        return None


def _working_for(process: Process) -> Iterator[psutil.Process]:
    """Yield what was started for a process, and may have outlived it."""
    key = _key(process)
    for one in psutil.process_iter(["environ"]):
        if (one.info["environ"] or {}).get(OWNER) == key:
            yield one


def _end(processes: list[psutil.Process], patience: float) -> bool:
    """Ask processes to end, then kill those that have not; say whether all are gone."""
    for one in processes:
        _signal(one, kill=False)
    _, left = psutil.wait_procs(processes, timeout=patience)
    for one in left:
        _signal(one, kill=True)
    _, left = psutil.wait_procs(left, timeout=_PATIENCE)
    return all(_is_dead(one) for one in left)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


def _is_dead(process: psutil.Process) -> bool:
    """Say whether nothing of a process runs any more; one that nobody has waited for is dead, too."""
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def _started(process: psutil.Process) -> float:
    """Return when a process was started: in ticks since the machine was, which no step of the wall clock moves.

    Where the system does not tell, it is the time of day.
    """
    try:
        told = Path(f"/proc/{process.pid}/stat").read_text()
    except OSError:
        return round(float(process.create_time()), 2)
    # The name of the program is in brackets, and may hold anything; the field is the 20th behind it.
    return float(told.rpartition(")")[2].split()[19])


def _machine() -> str:
    """Return what tells this machine from others, and a container from its neighbours: they do not see each other's
    processes, and may have one name.
    """
    try:
        return f"{socket.gethostname()} {_NAMESPACE.readlink()}"
    except OSError:
        return socket.gethostname()


def _boot() -> str:
    """Return what tells this start of the machine from others."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))
