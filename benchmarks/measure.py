"""How time and memory are taken: CPU time, since it holds on a machine that is busy, and the median of several runs."""

from __future__ import annotations

import gc
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

ROOT = Path(__file__).resolve().parent.parent

T = TypeVar("T")

_KIBI = 1024
_STATUS = Path("/proc/self/status")


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a process cost: CPU seconds of it and its children, and seconds on the wall."""

    cpu: float
    wall: float
    output: str


def spent(command: Sequence[str], folder: Path | None = None) -> Spent:
    """Run a command to its end and return what it cost. Raises SystemExit with its last words where it fails."""
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as words:
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder or ROOT, stdout=output, stderr=words)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode()
        if process.returncode != 0:
            words.seek(0)
            raise SystemExit(f"{' '.join(command)}\nfailed:\n{text[-2000:]}\n{words.read().decode()[-4000:]}")
        return Spent(cpu=usage.ru_utime + usage.ru_stime, wall=wall, output=text)


def child(module: str, *arguments: object) -> Spent:
    """Run one of our modules in a process of its own; the last line of its output is the answer, as JSON."""
    return spent([sys.executable, "-m", f"benchmarks.{module}", *map(str, arguments)])


def answer(found: Spent, type_: type[T]) -> T:
    """Return what a child told."""
    return msgspec.json.decode(found.output.rstrip().rsplit("\n", 1)[-1], type=type_)


def medians(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median CPU seconds of each piece of work; the pieces take turns, so that noise meets all alike.

    What a piece returns is freed before the next one begins, outside of the time.
    """
    found: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            gc.collect()
            start = time.process_time()
            result = work()
            found[name].append(time.process_time() - start)
            del result
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def peak() -> int:
    """Return the most memory that this process has held so far, in bytes.

    Linux carries `ru_maxrss` over from the process that started this one; `VmHWM` is this one's own.
    """
    if _STATUS.is_file():
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * _KIBI
    unit = 1 if sys.platform == "darwin" else _KIBI
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
