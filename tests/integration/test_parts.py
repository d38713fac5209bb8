"""Parts of a promotion, built at once by processes of their own on a real warehouse, and seen together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import PartsMissingError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest, quiet
from tests.integration.warehouse import FILES, DuckDb, Mill, a_postgres

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

REPOSITORY = Path(__file__).parents[2]
DAY = timedelta(days=1)

PROJECT = {
    **FILES,
    "models/ledger.sql": """
        {{ config(materialized='incremental') }}
        select 1 as edition {% if is_incremental() %} where false {% endif %}
    """,
    "models/tally.sql": "select count(*) as editions from {{ ref('ledger') }}",
    "models/shown.sql": "{{ config(materialized='view') }}\nselect * from {{ ref('weights') }}",
}
"""Three lineages: the sacks with a view on their weights, a ledger that keeps its rows, and one model alone."""

OPENS = PromotionRequest(target="production", actor="ann", run="run 1", on_incremental_change=None)

CHILD = """
import os, signal, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from airflow_dbt_promotion.engine import quiet
from airflow_dbt_promotion.engine.parts import PartOrder
from airflow_dbt_promotion.failpoints import Failpoint, arm
from airflow_dbt_promotion.wiring import Place, engine_for

folder, part, dies = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "dies"
ahead = timedelta(seconds=float(sys.argv[4]))

def happen(reached):
    if dies and reached is Failpoint.PART_BUILT:
        os.kill(os.getpid(), signal.SIGKILL)

engine = engine_for(Place(project_dir=folder, clock=lambda: datetime.now(tz=UTC) + ahead))
arm(happen)
order = PartOrder(target="production", opened_as="run 1", part=part, run=f"part {part}", actor="the child")
end = engine.parts.build(order, quiet)
print("well" if end.well else end.words[0], flush=True)
"""


@pytest.fixture
def mill(tmp_path: Path) -> Iterator[Mill]:
    """Return a mill on PostgreSQL whose staging has soaked."""
    project = tmp_path / "mill"
    project.mkdir()
    with a_postgres(tmp_path / "pg") as postgres:
        yield soaked(Mill(project, postgres, PROJECT))


def soaked(mill: Mill) -> Mill:
    assert mill.build_staging()
    mill.ahead = DAY
    return mill


def started(mill: Mill, part: str, *, dies: bool = False) -> subprocess.Popen[str]:
    """Build a part in a process of its own."""
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            CHILD,
            str(mill.folder),
            part,
            "dies" if dies else "lives",
            str(mill.ahead.total_seconds()),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def seen(mill: Mill) -> set[str]:
    """Return what readers of production see, and what else lies there, by name."""
    sql = "select table_name from information_schema.tables where table_schema = 'production'"
    return {str(name) for (name,) in mill.warehouse.rows(sql) if not str(name).startswith("dbt_promotion")}


@pytest.mark.postgres
def test_parts_are_built_at_once_one_dies_and_readers_see_all_of_it_together(mill: Mill) -> None:
    opened = mill.engine.parts.open(OPENS, 3, quiet)
    assert sorted(len(models) for models in opened.parts.values()) == [1, 2, 4]
    building = [started(mill, "1", dies=True), started(mill, "2"), started(mill, "3")]
    told = [process.communicate()[0].strip() for process in building]
    assert told == ["", "well", "well"]
    assert building[0].returncode == -signal.SIGKILL
    assert all("__next_" in name for name in seen(mill))
    assert started(mill, "1").communicate()[0].strip() == "well"
    finished = mill.engine.promote(PromotionRequest(target="production", actor="ann", run="run 1", finishes=True))
    assert finished.outcome is PromotionOutcome.PROMOTED, finished.words
    assert seen(mill) == {"sacks", "stg_sacks", "weights", "shown", "ledger", "tally", "lonely"}
    assert mill.warehouse.rows("select sacks from production.shown order by kilos") == [(2,), (1,)]
    state = mill.engine.observer.state("production")
    assert state is not None
    assert (state.journal, state.lock, state.leftovers, state.history[0].attempts) == (None, None, (), 1)
    manifest = next((mill.folder / "states").rglob("*manifest*"))
    text = manifest.read_text(encoding="utf-8")
    assert "__next_" not in text
    assert '"model.mill.shown"' in text


@pytest.mark.postgres
def test_a_second_round_keeps_rows_and_what_failed_in_one_part_is_seen_nowhere(mill: Mill) -> None:
    assert mill.engine.promote(PromotionRequest(target="production", actor="ann")).outcome is PromotionOutcome.PROMOTED
    mill.warehouse.execute("insert into production.ledger values (7)")
    mill.write("models/tally.sql", "select sum(edition) as editions from {{ ref('ledger') }}")
    mill.write("models/lonely.sql", "select 2 as id")
    mill.write("models/stg_sacks.sql", "select sack_id, kilos * 2 as kilos from {{ ref('sacks') }}")
    assert mill.build_staging()
    mill.ahead = 2 * DAY
    opened = mill.engine.parts.open(OPENS, 3, quiet)
    assert sorted(len(models) for models in opened.parts.values()) == [1, 1, 3]
    mill.warehouse.execute("insert into production.sacks values (1, 99)")
    told = [process.communicate()[0].strip() for process in [started(mill, part) for part in opened.parts]]
    assert sorted(one == "well" for one in told) == [False, True, True]
    finishes = PromotionRequest(target="production", actor="ann", run="run 1", finishes=True)
    assert mill.engine.promote(finishes).outcome is PromotionOutcome.FAILED
    assert mill.warehouse.rows("select id from production.lonely") == [(1,)]
    mill.warehouse.execute("delete from production.sacks where kilos = 99")
    again = PromotionRequest(target="production", actor="ann", run="run 2")
    opened = mill.engine.parts.open(again, 3, quiet)
    with pytest.raises(PartsMissingError):
        mill.engine.promote(PromotionRequest(target="production", actor="ann", run="run 2", finishes=True))
    assert mill.engine.promote(PromotionRequest(target="production", actor="ann")).outcome is PromotionOutcome.PROMOTED
    assert mill.warehouse.rows("select editions from production.tally") == [(8,)]


def test_duckdb_has_one_writer_and_what_is_opened_there_is_built_at_the_end(tmp_path: Path) -> None:
    project = tmp_path / "mill"
    project.mkdir()
    mill = soaked(Mill(project, DuckDb(tmp_path), PROJECT))
    opened = mill.engine.parts.open(OPENS, 3, quiet)
    assert (opened.is_open, opened.parts) == (True, {})
    finished = mill.engine.promote(PromotionRequest(target="production", actor="ann", run="run 1", finishes=True))
    assert finished.outcome is PromotionOutcome.PROMOTED, finished.words
