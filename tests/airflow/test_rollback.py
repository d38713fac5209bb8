from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_dbt_promotion.core.errors import DbtError, LockHeldError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.operators.rollback import RollbackOperator
from tests.airflow.conftest import HOME
from tests.airflow.spellings import AirflowFailException, AirflowSkipException, dag_bag
from tests.airflow.tasks import FakeTaskInstance, a_context, shop
from tests.locking import locked
from tests.scenarios import DAY, Shop, defined, test_id

__all__ = ["shop"]

PRODUCTION = EnvironmentName("production")
DAG = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_dbt_promotion.operators.rollback import RollbackOperator

with DAG("going_back", start_date=datetime(2026, 1, 1), schedule=None):
    RollbackOperator(
        task_id="back",
        environment="production",
        reason="{{ dag_run.conf['reason'] }}",
        dbt_project_dir="/shop",
    )
"""


@pytest.fixture
def opened(shop: Shop) -> Shop:
    """A shop of which production holds a second version of `orders`."""
    shop.workshop.swaps = True
    for text in ("select 1", "select 2"):
        shop.change(defined(code={"orders": text}))
        shop.run("staging")
        shop.clock.pass_by(DAY)
        shop.engine.promote(PromotionRequest(target="production"))
        shop.clock.pass_by(timedelta(hours=1))
    return shop


def a_task(**arguments: Any) -> RollbackOperator:
    asked = {"environment": "production", "reason": "it doubles rows", **arguments}
    return RollbackOperator(task_id="back", dbt_project_dir="/shop", **asked)


def test_a_rollback_is_told_as_a_small_document_and_clearing_the_task_does_not_go_back_further(opened: Shop) -> None:
    state = opened.store.read(PRODUCTION)
    assert state is not None
    ti = FakeTaskInstance()
    told: Any = a_task().execute(a_context(ti, user="ada"))
    assert (told["outcome"], told["environment"], told["rebuilt"]) == ("promoted", "production", True)
    assert told["checkpoint"] == state.checkpoints[0].id
    assert [(one["name"], one["result"]) for one in told["models"]] == [("orders", "advanced"), ("revenue", "advanced")]
    assert json.loads(json.dumps(told)) == told
    after = opened.store.read(PRODUCTION)
    assert after is not None
    assert after.hold is not None
    assert after.hold.actor == "ada"
    again: Any = a_task().execute(a_context(ti, user="ada"))
    assert (again["outcome"], again["checkpoint"]) == ("promoted", told["checkpoint"])
    assert opened.store.read(PRODUCTION) == after


@pytest.mark.usefixtures("opened")
def test_every_argument_comes_out_of_templates() -> None:
    task = a_task(to="None", rebuild="False", dry_run="true", lock_timeout="5")
    told: Any = task.execute(a_context())
    assert (told["outcome"], told["dry_run"], told["rebuilt"]) == ("planned", True, None)
    assert set(RollbackOperator.template_fields) >= {"environment", "reason", "to", "rebuild", "plan_only"}
    with pytest.raises(AirflowFailException, match="say why"):
        a_task(reason="").execute(a_context())
    with pytest.raises(AirflowFailException, match="nonsense"):
        a_task(to="nonsense").execute(a_context())


def test_a_refused_rollback_fails_or_skips_and_tells_all_the_same(opened: Shop) -> None:
    state = opened.store.read(PRODUCTION)
    assert state is not None
    oldest = state.checkpoints[-1].id
    ti = FakeTaskInstance()
    with pytest.raises(AirflowFailException, match="nothing to go back to"):
        a_task(to=oldest).execute(a_context(ti))
    told: Any = ti.pushed["return_value"]
    assert [one["code"] for one in told["refusals"]] == ["checkpoint_not_whole"]
    with pytest.raises(AirflowSkipException):
        a_task(to=oldest, on_refused="skip").execute(a_context())


def test_failed_is_not_retried_and_errored_is(opened: Shop) -> None:
    opened.workshop.failing = {test_id("orders")}
    with pytest.raises(AirflowFailException, match="failed"):
        a_task().execute(a_context())
    opened.workshop.failing = ()
    opened.workshop.build_breaks = DbtError("it broke")
    with pytest.raises(DbtError):
        a_task().execute(a_context())
    with locked(opened.store, "production", "somebody"), pytest.raises(LockHeldError):
        a_task(lock_timeout=0).execute(a_context())


def test_rows_that_could_not_be_built_anew_are_a_warning(opened: Shop) -> None:
    opened.workshop.meanwhile = lambda: setattr(opened.workshop, "build_breaks", DbtError("it broke"))
    told: Any = a_task().execute(a_context())
    assert (told["outcome"], told["rebuilt"]) == ("promoted", False)
    assert "it broke" in told["not_rebuilt"]


@pytest.mark.airflow
@pytest.mark.slow
def test_airflow_takes_production_back(opened: Shop, migrated: Path) -> None:  # noqa: ARG001 - an Airflow home
    file = HOME / "dags" / "going_back.py"
    file.write_text(DAG, encoding="utf-8")
    bag = dag_bag(file)
    assert bag.import_errors == {}
    ended = bag.dags["going_back"].test(run_conf={"reason": "INC-42"})
    file.unlink()
    assert str(ended.state) == "success"
    state = opened.store.read(PRODUCTION)
    assert state is not None
    assert state.hold is not None
    assert state.hold.reason == "INC-42"
    assert (state.history[0].rollback_to, state.history[1].rollback_to is None) == (None, False)
    assert {change.partition(":")[0] for change in (state.history[1].run or "").split()} == {"airflow"}
