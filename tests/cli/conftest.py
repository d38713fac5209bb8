"""What holds for every command line: nobody says how wide the page is, whatever another test's library said."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _as_wide_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
