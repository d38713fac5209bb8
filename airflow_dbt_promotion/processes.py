"""Processes of this machine: telling them apart for good, and ending what is left of an attempt that goes on beside its
retry.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import psutil

from airflow_dbt_promotion.core.state import Process

_PATIENCE = 10.0
"""Seconds in which a process may end by itself before it is killed."""

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class LocalProcesses:
    """The port `Processes` for the machine at hand."""

    def here(self) -> Process:
        """Return this process."""
        return Process(host=socket.gethostname(), boot=_boot(), pid=os.getpid(), started=_started(psutil.Process()))

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
        try:
            found = psutil.Process(process.pid)
            if _started(found) != process.started:
                return True
            if found.pid in {here.pid, *(parent.pid for parent in psutil.Process().parents())}:
                return False
            return _end([*found.children(recursive=True), found])
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


def _end(processes: list[psutil.Process]) -> bool:
    """Ask processes to end, then kill those that have not; say whether all are gone."""
    for one in processes:
        _signal(one, kill=False)
    _, left = psutil.wait_procs(processes, timeout=_PATIENCE)
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
    return round(float(process.create_time()), 2)


def _boot() -> str:
    """Return what tells this start of the machine from others."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return str(int(psutil.boot_time()))
