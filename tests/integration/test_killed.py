"""A process is killed at every place between two writes; a retry carries its promotion on; nothing is done twice."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import LockLostError
from airflow_dbt_promotion.core.orders import Mark
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest, RunOrder, RunOutcome
from airflow_dbt_promotion.engine.server import run_request
from airflow_dbt_promotion.failpoints import Failpoint
from tests.integration.warehouse import BOTH, FILES, DuckDb, Mill, a_postgres, a_warehouse

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

DAY = timedelta(days=1)
PATIENCE = 120.0
REPOSITORY = Path(__file__).parents[2]

_DIARY = """
            diary:
              +materialized: incremental
              +post-hook: "insert into {{ target.schema }}.built values ('{{ this.name }}')"
        on-run-start: "create table if not exists {{ target.schema }}.built (model varchar(50))"
    """
PROJECT = {
    **FILES,
    "promotion.yml": FILES["promotion.yml"].replace(
        "min_days_in_staging: 1", "min_days_in_staging: 1, strategy: build"
    ),
    "dbt_project.yml": FILES["dbt_project.yml"] + _DIARY,
    "models/diary/diary.sql": "select count(*) as sacks, sum(kilos) as kilos from {{ ref('stg_sacks') }}",
    "models/diary/after.sql": "select * from {{ ref('diary') }}",
}
"""A mill that is built in place and keeps a diary: each build adds a row to it, and a row to the table `built`."""

BESIDE = {**FILES, "models/heavy.sql": "{{ config(materialized='view') }}\nselect * from {{ ref('stg_sacks') }}"}
"""A mill that is built beside, and swapped."""

ELSEWHERE = {Failpoint.SOURCES_WRITTEN, Failpoint.PART_BUILT, Failpoint.TESTED}
"""Where a promotion that is built in place does not come by."""

PLACES = [
    *((point, 1) for point in Failpoint if point not in ELSEWHERE),
    *((point, nth) for point in (Failpoint.DOCUMENT_WRITTEN, Failpoint.DOCUMENT_REPLACED) for nth in (2, 3)),
]
"""Where a promotion dies, and when it comes by for which time: documents are written with the lock, the journal and the
end. Sources are not kept by this promotion, but before."""

EDITION = "select sack_id, kilos, NUMBER as edition from {{ ref('sacks') }}"

PLACES_BESIDE = (
    Failpoint.BEGUN,
    Failpoint.MODEL_PUBLISHED,
    Failpoint.TESTED,
    Failpoint.PUBLISHED,
    Failpoint.COMMITTED,
)

IN_THE_WAREHOUSE = (Failpoint.MODEL_PUBLISHED, Failpoint.PUBLISHED, Failpoint.COMMITTED)
"""Where it matters what kind of warehouse it is."""

CHILD = """
import os, signal, sys, time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.failpoints import Failpoint, arm
from airflow_dbt_promotion.wiring import Place, engine_for

folder, point, nth, what, verb = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4], sys.argv[5]
seen = []

def happen(reached):
    seen.append(reached.name)
    if reached.name == point and seen.count(point) == nth:
        if what != "kill":
            print("there", flush=True)
        if what == "sleep":
            time.sleep(600)
        os.kill(os.getpid(), signal.SIGKILL if what == "kill" else signal.SIGSTOP)

clock = lambda: datetime.now(tz=UTC) + timedelta(days=int(sys.argv[6]))
engine = engine_for(Place(project_dir=folder, clock=clock))
arm(happen)
try:
    if verb == "record":
        engine.record("staging", folder / "target")
    else:
        told = engine.promote(PromotionRequest(target="production", run=sys.argv[7], actor="the child", lock_timeout=0))
        print(told.outcome.value, flush=True)
except Exception as error:
    print(type(error).__name__, flush=True)
"""


@pytest.fixture(params=BOTH)
def mill(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mill]:
    """Return a mill whose staging has soaked."""
    project = tmp_path / "mill"
    project.mkdir()
    with a_warehouse(request.param, tmp_path) as warehouse:
        yield soaked(Mill(project, warehouse, PROJECT))


def soaked(mill: Mill) -> Mill:
    assert mill.build_staging()
    mill.ahead = DAY
    return mill


def start(
    mill: Mill,
    point: Failpoint,
    what: str = "kill",
    nth: int = 1,
    verb: str = "promote",
    run: str = "task 1",
) -> subprocess.Popen[str]:
    """Promote in another process, and let something happen to it when it comes by a place for the nth time."""
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(mill.folder), point.name, str(nth), what, verb, str(mill.ahead.days), run],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def retry(mill: Mill, run: str = "task 1") -> PromotionOutcome:
    request = PromotionRequest(target="production", run=run, actor="the retry", lock_timeout=0)
    return mill.engine.promote(request).outcome


def built(mill: Mill) -> list[str]:
    """Return which models of the diary were built in production, once for each time."""
    return sorted(str(name) for (name,) in mill.warehouse.rows("select model from production.built"))


def reset(mill: Mill) -> None:
    """Let production be as if nothing was ever promoted to it."""
    mill.warehouse.execute("drop schema if exists production cascade")
    (mill.folder / "states" / "production.json").unlink(missing_ok=True)


def test_a_kill_at_every_place_and_one_retry_is_one_promotion(mill: Mill) -> None:
    places = PLACES if isinstance(mill.warehouse, DuckDb) else [(point, 1) for point in IN_THE_WAREHOUSE]
    for point, nth in places:
        reset(mill)
        child = start(mill, point, nth=nth)
        child.communicate(timeout=PATIENCE)
        assert child.returncode == -signal.SIGKILL, point
        assert retry(mill) is PromotionOutcome.PROMOTED, point
        state = mill.engine.observer.state("production")
        assert state is not None
        assert [record.outcome for record in state.history] == [PromotionOutcome.PROMOTED], point
        assert (state.lock, state.journal, state.unfinalized) == (None, None, None), point
        assert built(mill) == ["after", "diary"], point
        assert mill.warehouse.rows("select sacks, kilos from production.diary") == [(3, 100)], point


@pytest.fixture(params=BOTH)
def swapping(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mill]:
    """Return a mill of which a second edition has soaked, and whose first is in production."""
    project = tmp_path / "mill"
    project.mkdir()
    with a_warehouse(request.param, tmp_path) as warehouse:
        yield second_edition(soaked(Mill(project, warehouse, BESIDE)))


def second_edition(mill: Mill) -> Mill:
    done = mill.engine.promote(PromotionRequest(target="production"))
    assert done.outcome is PromotionOutcome.PROMOTED
    return edition(mill, 2)


def edition(mill: Mill, number: int) -> Mill:
    """Let another edition of the mill soak in staging."""
    mill.write("models/stg_sacks.sql", EDITION.replace("NUMBER", str(number)))
    assert mill.build_staging()
    mill.ahead += 2 * DAY
    return mill


def test_a_kill_at_every_step_of_a_swap_and_one_retry_is_one_promotion_and_one_swap(swapping: Mill) -> None:
    mill = swapping
    for number, point in enumerate(PLACES_BESIDE, start=2):
        before = mill.engine.observer.state("production")
        child = start(mill, point, run=point.name)
        child.communicate(timeout=PATIENCE)
        assert child.returncode == -signal.SIGKILL, point
        seen = mill.warehouse.rows("select distinct edition from production.heavy") if number > 2 else []
        swapped = point in {Failpoint.PUBLISHED, Failpoint.COMMITTED}
        assert seen in ([], [(number if swapped else number - 1,)]), point
        assert retry(mill, point.name) is PromotionOutcome.PROMOTED, point
        state = mill.engine.observer.state("production")
        assert before is not None
        assert state is not None
        assert [record.outcome for record in state.history[: -len(before.history)]] == [PromotionOutcome.PROMOTED]
        assert (state.lock, state.journal, state.unfinalized) == (None, None, None), point
        assert mill.warehouse.rows("select distinct edition from production.stg_sacks") == [(number,)], point
        assert mill.warehouse.rows("select distinct edition from production.heavy") == [(number,)], point
        marked = "select node, count(*) from production.dbt_promotion_marks where node <> '' group by node"
        assert set(dict(mill.warehouse.rows(marked)).values()) == {1}, point
        names = mill.warehouse.rows(
            "select table_name from information_schema.tables where table_name like '%__next_%'"
        )
        assert names == [], point
        edition(mill, number + 1)
    mill.engine.sweeper.sweep(mill.engine.sweeper.found(), "the janitor", 0)
    state = mill.engine.observer.state("production")
    assert state is not None
    assert state.leftovers == ()
    kept = {old.place.identifier for checkpoint in state.checkpoints for old in checkpoint.kept.values()}
    there = mill.warehouse.rows("select table_name from information_schema.tables where table_schema = 'production'")
    models = {"sacks", "stg_sacks", "weights", "lonely", "heavy", "dbt_promotion_marks"}
    assert {name for (name,) in there} == models | kept


def test_a_kill_while_sources_are_kept_leaves_waste_and_no_more(tmp_path: Path) -> None:
    project = tmp_path / "mill"
    project.mkdir()
    mill = Mill(project, DuckDb(tmp_path), PROJECT)
    assert mill.build_staging()
    for kept in ("releases", "staging.json"):
        path = mill.folder / "states" / kept
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    child = start(mill, Failpoint.SOURCES_WRITTEN, verb="record")
    child.communicate(timeout=PATIENCE)
    assert child.returncode == -signal.SIGKILL
    assert list((mill.folder / "states" / "releases" / "files").rglob("*.zst"))
    assert not (mill.folder / "states" / "releases" / "trees").exists()
    mill.engine.record("staging", mill.folder / "target")
    mill.ahead = DAY
    assert retry(mill) is PromotionOutcome.PROMOTED


def test_an_attempt_that_runs_on_beside_its_retry_is_ended_and_writes_nothing(mill: Mill) -> None:
    child = start(mill, Failpoint.BEGUN, "sleep")
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "there"
    assert retry(mill) is PromotionOutcome.PROMOTED
    out, _ = child.communicate(timeout=PATIENCE)
    assert out == ""
    assert built(mill) == ["after", "diary"]
    state = mill.engine.observer.state("production")
    assert state is not None
    assert [record.attempts for record in state.history] == [2]


def test_an_orphan_that_cannot_be_ended_is_shut_out_of_state_and_warehouse(mill: Mill) -> None:
    """Its lock is opened while it stands still, somebody else promotes, and then it runs on."""
    child = start(mill, Failpoint.BEGUN, "stop")
    assert child.stdout is not None
    assert child.stdout.readline().strip() == "there"
    mill.engine.unlock("production", "eve", "its machine is gone")
    done = mill.engine.promote(PromotionRequest(target="production", actor="eve", lock_timeout=0))
    assert done.outcome is PromotionOutcome.PROMOTED
    before = mill.engine.observer.state("production")
    child.send_signal(signal.SIGCONT)
    out, _ = child.communicate(timeout=PATIENCE)
    assert out.strip() == "LockLostError"
    assert mill.engine.observer.state("production") == before
    assert built(mill) == ["after", "diary"]


def test_the_warehouse_itself_shuts_out_an_older_epoch(mill: Mill) -> None:
    """An orphan that was past every question when it was overtaken: dbt runs already, and its next model breaks."""
    engine, order = mill.engine, RunOrder(environment="production", actor="nightly")
    assert retry(mill) is PromotionOutcome.PROMOTED
    assert engine.run(order).outcome is RunOutcome.PASSED
    state = engine.observer.state("production")
    assert state is not None
    environment = engine.path.get("production")
    composition = engine.server.composition(environment, dry=False)
    workshop = engine.server._workshop
    mark = Mark(lineage=state.lineage, epoch=state.epoch + 5)
    assert workshop.published(environment, mark, composition) == {}
    with pytest.raises(LockLostError, match="newer attempt"):
        workshop.published(environment, replace(mark, epoch=state.epoch + 4), composition)
    before = built(mill)
    late = run_request(order, environment, composition, replace(mark, epoch=state.epoch))
    report = workshop.run(late, lambda _: None)
    assert not report.success
    assert any("a newer attempt has the lock" in word for word in report.words)
    assert built(mill) == before


@pytest.mark.postgres
def test_a_new_holder_waits_for_an_orphan_in_the_middle_of_a_model(tmp_path: Path) -> None:
    project = tmp_path / "mill"
    project.mkdir()
    with a_postgres(tmp_path / "pg") as postgres:
        mill = soaked(Mill(project, postgres, {**PROJECT, "models/lonely.sql": "select 1 as id from pg_sleep(3)"}))
        child = start(mill, Failpoint.COMMITTED)
        wait_for(mill, "select 1 from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and granted")
        state = mill.engine.observer.state("production")
        assert state is not None
        environment = mill.engine.path.get("production")
        composition = mill.engine.server._workshop
        planned = mill.engine._planner.plan(PromotionRequest(target="production"), dry=False).composition
        composition.published(environment, Mark(lineage=state.lineage, epoch=state.epoch + 1), planned)
        between = mill.warehouse.rows("select node from production.dbt_promotion_marks where node <> ''")
        child.communicate(timeout=PATIENCE)
        after = mill.warehouse.rows("select node from production.dbt_promotion_marks where node <> ''")
        assert sorted(between) == sorted(after)


def wait_for(mill: Mill, sql: str) -> None:
    """Wait until a query has rows."""
    deadline = time.monotonic() + PATIENCE
    while not mill.warehouse.rows(sql):
        assert time.monotonic() < deadline
        time.sleep(0.02)
