"""Stores, in a process of its own: what one write of a whole document costs, and what many writers at once get done."""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import msgspec
from msgspec.structs import replace

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import StateConflictError
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts
from airflow_dbt_promotion.stores import open_store
from benchmarks.measure import medians
from benchmarks.remembered import Remembered

_WRITERS, _TIMES = 8, 50


class _Rewriting:
    """Writes one document again and again."""

    def __init__(self, store: StateStore, state: EnvironmentState) -> None:
        self._store, self._state = store, store.write(state, None)

    def write(self) -> None:
        """Put the document in place of the one before."""
        self._state = self._store.write(self._state, self._state.serial)

    def read(self) -> EnvironmentState | None:
        """Read it."""
        return self._store.read(self._state.environment)


def _writing(before: Path, after: Path, project: Path, rounds: int) -> Mapping[str, float]:
    """Tell the CPU seconds of one write (in place of the document before, durable) and of one read, and the bytes of
    the document with and without being packed.
    """
    artifacts = DbtArtifacts(project)
    state = Remembered.of(artifacts.release(before), artifacts.release(after)).staging
    with tempfile.TemporaryDirectory() as folder:
        works: dict[str, Callable[[], object]] = {}
        for kind, root in _roots(Path(folder)).items():
            rewriting = _Rewriting(open_store(root, Path(folder)), state)
            works |= {f"{kind} write": rewriting.write, f"{kind} read": rewriting.read}
        found = medians(works, rounds)
        size = Path(folder, "files", f"{state.environment}.json").stat().st_size
    return {**found, "bytes": size, "plain": len(msgspec.json.encode(state))}


def _racing(before: Path, after: Path, project: Path) -> Mapping[str, float]:
    """Tell the seconds in which eight processes change one small document 50 times each, and how many changes were
    lost; beside the same number of bytes under SQLite's bare lock.
    """
    artifacts = DbtArtifacts(project)
    whole = Remembered.of(artifacts.release(before), artifacts.release(after)).staging
    few = sorted(whole.current)[:50]
    state = replace(whole, current={model: whole.current[model] for model in few}, evidence={}, stays={})
    found: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for kind, root in _roots(Path(folder)).items():
            first = open_store(root, Path(folder)).write(state, None)
            found[kind] = _raced(partial(_change, root, Path(folder), first))
            last = open_store(root, Path(folder)).read(state.environment)
            found[f"{kind} lost"] = first.serial + _WRITERS * _TIMES - (last.serial if last is not None else 0)
        bare = Path(folder, "bare.db")
        _create(bare, codec.encode(state))
        found["bare"] = _raced(partial(_change_bare, bare))
    return found


def _roots(folder: Path) -> Mapping[str, str]:
    """Return the stores that need no server."""
    return {"files": str(folder / "files"), "sqlite": f"sqlite:///{folder}/states.db"}


def _raced(change: Callable[[], None]) -> float:
    """Return the seconds that forked processes take to change something as often as each has to."""
    start, children = time.perf_counter(), []
    for _ in range(_WRITERS):
        if (pid := os.fork()) == 0:
            change()
            os._exit(0)
        children.append(pid)
    if any(os.waitpid(pid, 0)[1] for pid in children):
        raise SystemExit("a writer broke")
    return time.perf_counter() - start


def _change(root: str, folder: Path, state: EnvironmentState) -> None:
    """Read and write, and begin anew at each conflict."""
    store = open_store(root, folder)
    for _ in range(_TIMES):
        while True:
            there = store.read(state.environment)
            if there is None:
                raise SystemExit("the document is gone")
            try:
                store.write(there, there.serial)
                break
            except StateConflictError:
                continue


def _create(path: Path, data: bytes) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("create table states (name text primary key, serial integer, document blob)")
        connection.execute("insert into states values ('staging', 1, ?)", (data,))


def _change_bare(path: Path) -> None:
    """Do the same under a lock, without asking what the document says."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=60)
    for _ in range(_TIMES):
        connection.execute("begin immediate")
        serial, document = connection.execute("select serial, document from states").fetchone()
        connection.execute("update states set serial = ?, document = ?", (serial + 1, document))
        connection.execute("commit")
    connection.close()


def main(arguments: Sequence[str]) -> None:
    """Do what is asked, and print the answer as JSON."""
    match arguments:
        case ["writing", before, after, project, rounds]:
            found = _writing(Path(before), Path(after), Path(project), int(rounds))
        case ["racing", before, after, project]:
            found = _racing(Path(before), Path(after), Path(project))
        case _:
            raise SystemExit(f"unknown: {arguments}")
    print(msgspec.json.encode(found).decode())


if __name__ == "__main__":
    main(sys.argv[1:])
