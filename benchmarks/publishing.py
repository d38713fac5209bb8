"""Publishing, in a process of its own: `python -m benchmarks.publishing times|rounds ...` prints a line of JSON.

Everything runs in this one process, with dbt imported and started once before. Seconds are those on the wall, since a
warehouse may be another process.
"""

from __future__ import annotations

import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from airflow_dbt_promotion.core.environment import Strategy
from benchmarks.promoted import Promoted
from benchmarks.rounds import told
from benchmarks.spans import watched
from benchmarks.warehouses import warehouse

Times = Mapping[str, float]


def times(kind: str, size: int, counts: Sequence[int], rounds: int) -> Mapping[str, Times]:
    """Publish so many models of a project in every way; return the median seconds of each way, by number of models.

    What takes minutes is done once.
    """
    found: dict[str, Times] = {}
    with tempfile.TemporaryDirectory() as name, warehouse(kind, Path(name)) as place:
        project = Promoted(Path(name, "yard"), place, size)
        _warm(project)
        for count in counts:
            often = rounds if count < 100 else 1  # noqa: PLR2004 - from here on it is minutes
            each = [_round(project, project.chosen(count)) for _ in range(often)]
            found[str(count)] = {what: statistics.median(one[what] for one in each) for what in each[0]}
            print(f"{kind}, {count} of {size}: {found[str(count)]}", file=sys.stderr, flush=True)
    return found


def _round(project: Promoted, names: Sequence[str]) -> Times:
    """Publish models in every way, one after the other."""
    project.changed(names)
    planned = _seconds(project.plan)
    with watched() as spans:
        project.promote(Strategy.BLUE_GREEN)
    swapped = spans.told()
    with watched() as spans:
        project.roll_back()
    back = spans.told()
    project.release()
    project.forget()
    parsed = _seconds(lambda: project.parse("production"))
    built = _seconds(lambda: project.build(names))
    project.changed(names)
    project.plan()
    with watched() as spans:
        project.promote(Strategy.BUILD)
    project.parse("cloned")
    cloned = _seconds(lambda: project.clone(names))
    bare = project.swap(names)
    project.forget()
    return {
        **swapped,
        "planned": planned,
        "rollback whole": back["whole"],
        "rollback publish": back["swapped"] + back["state"],
        "rollback transaction": back["transaction"],
        "build whole": spans.told()["whole"],
        "build visible": spans.told()["visible"],
        "dbt parse": parsed,
        "dbt build": built,
        "dbt clone": cloned,
        "bare": bare,
    }


def _warm(project: Promoted) -> None:
    """Publish one model, so that nothing is measured that happens once in a process."""
    project.changed(project.chosen(1))
    with watched():
        project.promote(Strategy.BLUE_GREEN)
    project.forget()


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def main(arguments: Sequence[str]) -> None:
    """Do what is asked; dbt's own output goes to standard error."""
    found: object
    with contextlib.redirect_stdout(sys.stderr):
        match arguments:
            case ["times", kind, size, counts, rounds]:
                found = times(kind, int(size), [int(count) for count in counts.split(",")], int(rounds))
            case ["rounds", size, rounds]:
                found = told(int(size), int(rounds))
            case _:
                raise SystemExit(f"no such work: {' '.join(arguments)}")
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
