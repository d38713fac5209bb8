"""`python -m benchmarks`: generate projects, let dbt parse them, measure, print one table."""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path

from benchmarks import beside
from benchmarks.cache import prepared
from benchmarks.goals import Bench
from benchmarks.measure import ROOT
from benchmarks.publish import Publishing
from benchmarks.rows import Report, Row, document, growth, table

_ROUNDS = 5
_QUICK_ROUNDS = 3
_UNPREPARED = {"imports", "dag", "publish", "waiting"}
"""Parts that ask for no project of those that are kept in the cache."""

_PARTS = ("load", "changes", "plan", "released", "stores", "status", "imports", "dag", "publish", "waiting")
_LONG = {"publish", "waiting"}
"""Parts that take half an hour and more: they are measured where they are named, or where all is asked for."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure at each size and print the report; with `--strict` return 1 where a goal was missed."""
    said = _parser().parse_args(arguments)
    sizes = [1000] if said.quick else said.sizes
    only = chosen(said.only, everything=said.all)
    rounds = _QUICK_ROUNDS if said.quick else _ROUNDS
    rows: list[Row] = []
    notes: list[str] = []
    for size in sizes if set(only) - _UNPREPARED else []:
        _say(f"{size:,} models: parsing with dbt where the cache in {said.cache} lacks it")
        made = prepared(said.cache, size)
        bench = Bench(made, rounds)
        parts = {
            "load": bench.loading,
            "changes": bench.changes,
            "plan": bench.plan,
            "released": bench.released,
            "stores": bench.stores,
        }
        for name, part in parts.items():
            if name in only:
                rows += _told(part())
        if "status" in only:
            rows += _told(beside.status(made, rounds))
        notes += [
            *bench.notes,
            f"{size:,} models: dbt's own parses took {made.first_parse:,.0f} s of CPU, then {made.second_parse:,.0f} s",
        ]
    if "imports" in only:
        rows += _told(beside.imports(rounds))
    if "dag" in only:
        rows += _told(beside.dag(rounds))
    notes += growth(rows)
    if "waiting" in only:
        from benchmarks.waiting import waiting  # noqa: PLC0415 - it sets Airflow's surroundings

        notes.append(waiting())
    if "publish" in only:
        publishing = Publishing(sizes, quick=said.quick)
        rows += _told(publishing.times())
        publishing.lost()
        notes += publishing.notes
    report = Report(machine=_machine(), rows=tuple(rows), notes=tuple(notes))
    print(document(report).decode() if said.json else table(report))
    return 1 if said.strict and report.missed else 0


def chosen(only: Sequence[str] | None, *, everything: bool) -> tuple[str, ...]:
    """Return the parts that are measured: those named, else all; the long ones only where everything is asked for."""
    if only is not None:
        return tuple(only)
    return tuple(part for part in _PARTS if everything or part not in _LONG)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--sizes", type=_sizes, default=[1000, 10000], help="models, separated by commas (1000,10000)")
    parser.add_argument("--quick", action="store_true", help="1,000 models, three rounds")
    parts = parser.add_mutually_exclusive_group()
    parts.add_argument("--only", type=_parts, help=f"of {','.join(_PARTS)}; all but the last two where none is named")
    parts.add_argument("--all", action="store_true", help="publish and waiting, too: hours; half an hour with --quick")
    parser.add_argument(
        "--cache", type=Path, default=ROOT / ".bench", help="where generated projects are kept (.bench)"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a goal is missed")
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    return parser


def _sizes(text: str) -> list[int]:
    """Return sizes from text; argparse turns a ValueError into its own message."""
    found = [int(size) for size in text.split(",")]
    if any(size < 100 for size in found):  # noqa: PLR2004 - fewer do not fill the layers
        raise argparse.ArgumentTypeError("a project has at least 100 models")
    return found


def _parts(text: str) -> tuple[str, ...]:
    """Return names of parts from text."""
    found = tuple(text.split(","))
    if unknown := [name for name in found if name not in _PARTS]:
        raise argparse.ArgumentTypeError(f"unknown: {', '.join(unknown)}")
    return found


def _told(rows: Iterator[Row]) -> list[Row]:
    """Return the rows, with a sign of life for each part on standard error."""
    start, found = time.perf_counter(), list(rows)
    if found:
        _say(f"  {found[0].what}, {len(found)} rows: {time.perf_counter() - start:,.0f} s")
    return found


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _machine() -> str:
    tools = ", ".join(f"{name} {version(name)}" for name in ("dbt-core", "dbt-duckdb", "dbt-postgres", "msgspec"))
    return (
        f"Python {platform.python_version()} on {platform.system()}, {os.cpu_count()} cores, {tools}; CPU time "
        f"(publishing and races: the clock), medians"
    )


if __name__ == "__main__":
    sys.exit(main())
