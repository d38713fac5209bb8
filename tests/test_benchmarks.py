"""Benchmarks are run by hand; that they can be is tested."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from benchmarks import publish, publishing, rounds
from benchmarks.__main__ import chosen

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__main__")
KINDS = ["duckdb", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.mark.parametrize("module", MODULES)
def test_every_module_of_theirs_finds_what_it_measures(module: str) -> None:
    assert import_module(f"benchmarks.{module}").__doc__


def test_what_takes_hours_is_measured_where_it_is_asked_for_alone() -> None:
    assert "publish" not in chosen(None, everything=False)
    assert {"load", "imports"} < set(chosen(None, everything=False))
    assert chosen(None, everything=True) == (*chosen(None, everything=False), "publish", "waiting")
    assert chosen(["publish"], everything=False) == ("publish",)


@pytest.mark.dbt
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_publishing_is_measured_in_every_way(kind: str) -> None:
    found = publishing.times(kind, 5, [1, 5], 1)
    assert found.keys() == {"1", "5"}
    rows = list(publish.Publishing([], quick=True).rows(kind, 5, 5, dict(found["5"])))
    assert all(row.ours > 0 for row in rows)
    assert all(row.theirs is not None and row.theirs > 0 for row in rows)
    parts = sum(seconds for name, seconds in found["5"].items() if name.startswith("part "))
    assert parts == pytest.approx(found["5"]["swapped"] + found["5"]["state"], rel=0.05)
    assert found["5"]["starts"] == 2


@pytest.mark.dbt
@pytest.mark.slow
@pytest.mark.postgres
def test_what_is_lost_of_production_is_counted() -> None:
    ours, back, theirs = rounds.told(5, 1)
    assert "5->5; lost 0, left over 0, kept `__was_` 1" in ours
    assert "5->5; lost 0, left over 0" in back
    assert "5->4; lost 1, left over 0, kept `__was_` 0" in theirs
