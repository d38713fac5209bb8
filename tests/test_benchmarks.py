"""Benchmarks are run by hand; that they can be is tested."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__main__")


@pytest.mark.parametrize("module", MODULES)
def test_every_module_of_theirs_finds_what_it_measures(module: str) -> None:
    assert import_module(f"benchmarks.{module}").__doc__
