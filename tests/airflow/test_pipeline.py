"""Promotions in a whole Airflow, driven through its REST API alone, while parts of it are killed.

Nobody's worker is held while a soak or people are waited for. Who may not answer is refused, and who asked does not
count. A promotion that is killed in the middle is carried on by its retry, and can be gone back from.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from airflow_dbt_promotion.core.approvals import Decision, Identity
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.wiring import Place, engine_for
from tests.airflow.spellings import PARKED
from tests.airflow.whole import Airflow, Run, an_airflow
from tests.integration.warehouse import DuckDb, Mill

pytestmark = [pytest.mark.airflow, pytest.mark.dbt, pytest.mark.slow]

PROMOTION_YML = """
version: 1
state: states
environments:
  staging: {target: staging}
  production:
    target: production
    promotes_from: staging
    min_days_in_staging: PT12S
    approval: APPROVAL
"""
NOBODY, FOUR_EYES = "false", "{four_eyes: true}"
PIPELINE = """
    import os, signal
    from datetime import timedelta
    from airflow.sdk import DAG, Param
    from airflow_dbt_promotion.failpoints import Failpoint, arm
    from airflow_dbt_promotion.operators.approval import PromotionApprovalOperator
    from airflow_dbt_promotion.operators.plan import PromotionPlanOperator
    from airflow_dbt_promotion.operators.promote import PromoteOperator
    from airflow_dbt_promotion.sensors.soak import StagingSoakSensor

    def die_once(context):
        def happen(reached):
            if reached is Failpoint.MODEL_PUBLISHED and context["ti"].try_number == 1:
                os.kill(os.getpid(), signal.SIGKILL)

        arm(happen)

    with DAG("pipeline", params={"models": Param([], type="array")}, default_args={"dbt_project_dir": PROJECT}):
        soaked = StagingSoakSensor(
            task_id="soaked",
            models="{{ params.models }}",
            recheck_interval=timedelta(seconds=10),
            timeout=timedelta(minutes=30),
        )
        plan = PromotionPlanOperator(
            task_id="plan", target_environment="production", models=soaked.output, strategy="build"
        )
        approved = PromotionApprovalOperator(
            task_id="approved",
            plan=plan.output,
            target_environment="production",
            approvers=["alice", "bob"],
            response_timeout=timedelta(minutes=30),
        )
        approved >> PromoteOperator(
            task_id="promote",
            target_environment="production",
            plan=plan.output,
            retries=1,
            retry_delay=timedelta(seconds=1),
            pre_execute=die_once,
        )
"""
GO_BACK = """
    from airflow.sdk import DAG, Param
    from airflow_dbt_promotion.operators.rollback import RollbackOperator

    with DAG("go_back", params={"reason": Param("", type="string")}, default_args={"dbt_project_dir": PROJECT}):
        RollbackOperator(task_id="roll_back", environment="production", reason="{{ params.reason }}")
"""
MODELS = ["late", "later"]


@pytest.fixture(scope="module")
def mill(tmp_path_factory: pytest.TempPathFactory) -> Mill:
    """A project that is in production, and then has two new models that nobody built yet."""
    folder = tmp_path_factory.mktemp("mill")
    made = Mill(folder, DuckDb(folder))
    made.write("promotion.yml", PROMOTION_YML.replace("APPROVAL", NOBODY))
    made.engine = engine_for(Place(project_dir=folder))
    assert made.build_staging()
    first = PromotionRequest(target="production", soak=timedelta(0), reason="the first one", actor="alice")
    assert made.engine.promote(first).outcome is PromotionOutcome.PROMOTED
    made.write("models/late.sql", "select 1 as id")
    made.write("models/later.sql", "select id from {{ ref('late') }}")
    made.write("promotion.yml", PROMOTION_YML.replace("APPROVAL", FOUR_EYES))
    made.engine = engine_for(Place(project_dir=folder))
    return made


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory, mill: Mill) -> Iterator[Airflow]:
    project = repr(str(mill.folder))
    dags = {"pipeline": PIPELINE.replace("PROJECT", project), "go_back": GO_BACK.replace("PROJECT", project)}
    with an_airflow(tmp_path_factory.mktemp("home"), dags) as running:
        yield running


def production(mill: Mill) -> EnvironmentState:
    state = mill.engine.observer.state("production")
    assert state is not None
    return state


def names(models: Any) -> list[str]:
    return sorted(model.rsplit(".", 1)[-1] for model in models)


def test_a_promotion_goes_its_way_though_everything_is_killed_on_it(airflow: Airflow, mill: Mill) -> None:
    run = airflow.trigger("alice", "pipeline", models=MODELS)
    soaking = run.wait("soaked", "deferred")
    assert soaking["trigger"]["classpath"] == "airflow_dbt_promotion.triggers.soak.SoakTrigger"
    airflow.kill("triggerer", "scheduler")
    airflow.start("triggerer", "scheduler")
    assert mill.build_staging()
    built = {status.name: status for status in mill.engine.status("staging")}["late"]
    assert built.since is not None

    run.wait("approved", PARKED)
    assert run.task("soaked")["try_number"] == 1
    asked_and_answered(airflow, run, mill)
    run.wait("promote", "success")

    assert run.told("promote")["outcome"] == "promoted"
    assert run.task("promote")["try_number"] == 2
    state = production(mill)
    entered = {model.rsplit(".", 1)[-1]: entry for model, entry in state.current.items()}["late"]
    assert (entered.version, entered.since >= built.since) == (built.version, True)
    assert mill.warehouse.rows("select id from production.later") == [(1,)]

    told = state.history[0]
    assert (told.outcome, told.attempts, told.actor) == (PromotionOutcome.PROMOTED, 2, "alice")
    assert (names(told.models), told.approved_by) == (MODELS, ("bob",))
    assert told.started_at - built.since >= mill.engine.path.last().soak
    marks = mill.warehouse.rows("select node, epoch from production.dbt_promotion_marks where node <> ''")
    assert {names([node])[0]: epoch for node, epoch in marks if names([node])[0] in MODELS} == {"late": 2, "later": 3}


def asked_and_answered(airflow: Airflow, run: Run, mill: Mill) -> None:
    """Let people answer, some of whom may not: the task asks until somebody else than who asked has said yes."""
    asked = run.asked("approved")
    assert asked["subject"].startswith("Promote 2 models from staging to production?")
    assert "`late`" in asked["body"]
    assert run.answer("dave", "approved", "Approve").status_code == httpx.codes.FORBIDDEN
    refused = run.answer("carol", "approved", "Approve")
    assert (refused.status_code, "not a respondent" in refused.text) == (httpx.codes.FORBIDDEN, True)

    assert run.answer("alice", "approved", "Approve", comment="mine").status_code == httpx.codes.OK
    airflow.until(lambda: not run.asked("approved")["response_received"])
    run.wait("approved", PARKED)
    assert run.answer("bob", "approved", "Approve", comment="fine").status_code == httpx.codes.OK
    run.wait("approved", "success")
    assert (run.told("approved")["approved"], run.told("approved")["by"]) == (True, ["bob"])

    (approval,) = mill.engine.approvals.of("production")
    assert (approval.requested_by, approval.identity) == ("alice", Identity.AIRFLOW)
    said = [(vote.actor, vote.decision, vote.identity, vote.comment) for vote in approval.votes]
    assert said == [
        ("alice", Decision.APPROVE, Identity.AIRFLOW, "mine"),
        ("bob", Decision.APPROVE, Identity.AIRFLOW, "fine"),
    ]


def test_what_was_promoted_is_gone_back_from(airflow: Airflow, mill: Mill) -> None:
    run = airflow.trigger("bob", "go_back", reason="late has wrong rows")
    run.wait("roll_back", "success")
    assert run.told("roll_back")["outcome"] == "promoted"
    state = production(mill)
    assert set(MODELS).isdisjoint(names(state.current))
    assert (state.hold is not None, names(state.blocks)) == (True, MODELS)
    assert (state.history[0].actor, names(state.history[0].models)) == ("bob", MODELS)
