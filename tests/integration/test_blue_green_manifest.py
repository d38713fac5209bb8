"""The manifest that is kept for whoever draws an environment says where readers see each relation."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest
from tests.integration.warehouse import FILES, DuckDb, Mill
from tests.integration.yard import MADE

pytestmark = [pytest.mark.dbt, pytest.mark.slow]


def test_no_relation_that_a_swap_made_is_in_the_manifest_that_is_kept(tmp_path: Path) -> None:
    project = tmp_path / "mill"
    project.mkdir()
    files = {**FILES, "models/lonely.sql": "{{ config(alias='größte Säcke') }} select 1 as id"}
    mill = Mill(project, DuckDb(tmp_path), files)
    assert mill.build_staging()
    mill.ahead = timedelta(days=1)
    promoted = mill.engine.promote(PromotionRequest(target="production", actor="tests"))
    assert promoted.outcome is PromotionOutcome.PROMOTED, promoted.words
    kept = [path for path in (project / "states").rglob("*") if path.is_file() and "manifest" in str(path)]
    assert kept
    texts = [path.read_bytes() for path in kept]
    assert [re.findall(MADE.encode(), text) for text in texts] == [[]] * len(texts)
