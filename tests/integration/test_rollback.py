"""Going back on real warehouses: old rows come back in one swap, and are then built anew from the old code."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.rolling_back import How
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest, RollbackRequest
from tests.integration.warehouse import BOTH, Mill, a_warehouse

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

DAY = timedelta(days=1)
WEIGHTS = "select kilos, sacks from production.weights order by kilos"
ASKED = RollbackRequest(environment="production", reason="it counts ten times", actor="tests")


@pytest.fixture(params=BOTH)
def mill(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mill]:
    """A mill whose production holds a second version of `weights`."""
    project = tmp_path / "mill"
    project.mkdir()
    with a_warehouse(request.param, tmp_path) as warehouse:
        yield opened(Mill(project, warehouse))


def opened(mill: Mill) -> Mill:
    release(mill)
    mill.edit("models/weights.sql", "count(*)", "count(*) * 10")
    mill.edit("models/lonely.sql", "1 as id", "2 as id")
    release(mill)
    assert mill.warehouse.rows(WEIGHTS) == [(25, 20), (50, 10)]
    return mill


def release(mill: Mill) -> None:
    """Let what is checked out soak, and promote it."""
    mill.ahead = timedelta(0)
    assert mill.build_staging()
    mill.ahead = DAY
    told = mill.engine.promote(PromotionRequest(target="production", actor="tests"))
    assert (told.outcome, told.plan.strategy) == (PromotionOutcome.PROMOTED, Strategy.BLUE_GREEN), told.message


def test_old_rows_come_back_and_are_built_anew(mill: Mill) -> None:
    before = {status.name: status.version for status in mill.engine.status("production")}
    told = mill.engine.roll_back(ASKED)
    assert told.outcome is PromotionOutcome.PROMOTED, told.promotion.message
    assert told.back is not None
    assert {way.how for way in told.back.ways} == {How.COMES_BACK}
    assert {change.name for change in told.promotion.plan.changes} == {"weights", "lonely"}
    assert told.rebuild is not None
    assert (told.rebuild.outcome, told.not_rebuilt) == (PromotionOutcome.PROMOTED, "")
    assert mill.warehouse.rows(WEIGHTS) == [(25, 2), (50, 1)]
    assert mill.warehouse.rows("select id from production.lonely") == [(1,)]
    after = {status.name: status.version for status in mill.engine.status("production")}
    assert {name for name in after if after[name] != before[name]} == {"weights", "lonely"}
    held = mill.engine.promote(PromotionRequest(target="production", actor="tests"))
    assert "held" in {verdict.code for _, verdict in held.plan.refusals}


def test_the_very_rows_come_back_where_nothing_is_built_anew(mill: Mill) -> None:
    state = mill.engine.observer.state("production")
    assert state is not None
    kept = state.checkpoints[0].kept
    (weights,) = (old.place for model, old in kept.items() if model.endswith("weights"))
    mill.warehouse.execute(f"update production.{weights.identifier} set sacks = 77 where kilos = 25")  # noqa: S608 - ours
    told = mill.engine.roll_back(RollbackRequest(environment="production", reason="look", rebuild=False))
    assert (told.outcome, told.rebuild) == (PromotionOutcome.PROMOTED, None)
    assert mill.warehouse.rows(WEIGHTS) == [(25, 77), (50, 1)]


def test_a_test_that_fails_on_the_old_rows_leaves_everything_as_it_was(mill: Mill) -> None:
    state = mill.engine.observer.state("production")
    assert state is not None
    (weights,) = (old.place for model, old in state.checkpoints[0].kept.items() if model.endswith("weights"))
    name = f"production.{weights.identifier}"
    mill.warehouse.execute(f"insert into {name} select * from {name}")  # noqa: S608 - ours
    told = mill.engine.roll_back(ASKED)
    assert told.outcome is PromotionOutcome.FAILED
    assert mill.warehouse.rows(WEIGHTS) == [(25, 20), (50, 10)]
    now = mill.engine.observer.state("production")
    assert now is not None
    assert (now.current, now.hold, now.checkpoints) == (state.current, None, state.checkpoints)
