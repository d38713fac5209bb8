"""A plan in a task: what is handed on, what ends the task, and that just the plan that was handed on is applied."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.approvals import Approval, Decision, Identity, Person, Vote
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.failpoints import Failpoint
from airflow_dbt_promotion.operators.approval import PromotionApprovalOperator
from airflow_dbt_promotion.operators.plan import PromotionPlanOperator
from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.render import planned
from airflow_dbt_promotion.sensors.soak import StagingSoakSensor
from airflow_dbt_promotion.sensors.window import PromotionWindowSensor
from tests.airflow.spellings import AirflowFailException, AirflowSkipException, TaskDeferred
from tests.airflow.tasks import FakeTaskInstance, LogOfLines, a_context, shop
from tests.engine.test_resuming import die_in
from tests.scenarios import DAY, Shop, dashboard, model_id, release

__all__ = ["shop"]


def planning(**arguments: Any) -> PromotionPlanOperator:
    return PromotionPlanOperator(
        task_id="plan", dbt_project_dir="/shop", **{"target_environment": "production", **arguments}
    )


def promoting(**arguments: Any) -> PromoteOperator:
    return PromoteOperator(
        task_id="promote", dbt_project_dir="/shop", **{"target_environment": "production", **arguments}
    )


def plan(**arguments: Any) -> Any:
    return planning(**arguments).execute(a_context(user="ann"))


def soaked(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)


def asks_people(shop: Shop) -> None:
    target = replace(shop.engine.path.get("production"), approval=ApprovalPolicy())
    places = (*shop.engine.path.environments[:-1], target)
    made = Shop(environments=type(shop.engine.path)(places))
    shop.engine = made.engine
    shop.clock, shop.store, shop.reader, shop.workshop = made.clock, made.store, made.reader, made.workshop


def test_a_plan_is_handed_on_as_a_small_document(shop: Shop) -> None:
    shop.change(release(exposures=(dashboard("revenue"),)))
    soaked(shop)
    told = plan()
    assert json.loads(json.dumps(told)) == told
    assert (told["source_environment"], told["target_environment"]) == ("staging", "production")
    assert (told["allowed"], told["needs_approval"], told["refusals"], told["held"]) == (True, False, [], 0)
    versions = {model.id: model.version for model in shop.project.models.values()}
    assert {model["unique_id"]: model["to_version"] for model in told["models"]} == told["rests_on"] == versions
    assert [(one["name"], one["owner"]) for one in told["exposures"]] == [("Daily takings", "Finance")]
    assert told["markdown"].startswith("## Promotion to production")
    assert told["link"].startswith("https://airflow.example.com/dags/a%20dag/")
    assert shop.engine.observer.state("production") is None


def test_what_has_but_to_wait_goes_on_and_what_only_people_can_lift_does_not(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = LogOfLines()
    monkeypatch.setattr(PromotionPlanOperator, "log", log)
    monkeypatch.setattr(log, "info", lambda message, *more: log.lines.append(message % more if more else message))
    shop.run("staging")
    told = plan(models="orders", include_upstream=True)
    assert (told["allowed"], {one["code"] for one in told["refusals"]}) == (False, {"soaking"})
    assert told["eligible_at"] == "2026-07-25T12:00:00Z"
    assert "this plan goes on; it has yet to pass: soak" in log.lines

    ti = FakeTaskInstance()
    with pytest.raises(AirflowFailException, match=r"refused: it was validated on .*include_upstream adds them"):
        planning(models="orders").execute(a_context(ti))
    refused: Any = ti.pushed["return_value"]
    assert "needs_upstream" in {one["code"] for one in refused["refusals"]}
    with pytest.raises(AirflowSkipException, match="refused"):
        planning(models="orders", on_refused="skip").execute(a_context())
    with pytest.raises(AirflowFailException, match="unknown_model"):
        plan(models="order")


def test_a_plan_that_lacks_an_approval_goes_on(shop: Shop) -> None:
    asks_people(shop)
    soaked(shop)
    told = plan()
    assert (told["allowed"], told["needs_approval"], len(told["models"])) == (False, True, 4)
    assert plan(to_approve=False)["models"] == []


def test_a_backfill_plans_and_promotes_nothing_unless_it_is_told_to(shop: Shop) -> None:
    soaked(shop)
    context = a_context()
    context["dag_run"].run_type = SimpleNamespace(value="backfill")
    sensors = [
        sensor(task_id="wait", dbt_project_dir="/shop", in_backfills=False)
        for sensor in (StagingSoakSensor, PromotionWindowSensor)
    ]
    for task in (planning(), promoting(), *sensors):
        with pytest.raises(AirflowSkipException, match="a promotion is about now"):
            task.execute(context)
    assert shop.engine.observer.state("production") is None
    assert promoting(in_backfills=True).execute(context)["outcome"] == "promoted"


def test_a_plan_that_was_handed_on_is_applied_and_no_other(shop: Shop) -> None:
    soaked(shop)
    handed = plan(models=["orders"], include_upstream=True)
    shop.change(release(code={"orders": "select 2"}))
    soaked(shop)
    with pytest.raises(AirflowFailException, match="is another one by now: orders"):
        promoting(plan=handed).execute(a_context())
    fresh = plan(models=["orders"], include_upstream=True, since=handed)
    assert fresh["moved"][0].startswith("orders: added, - to ")
    for text in (fresh, json.dumps(fresh), repr(fresh)):
        told: Any = promoting(plan=text).execute(a_context())
        assert told["outcome"] in {"promoted", "nothing_to_do"}
    state = shop.engine.observer.state("production")
    assert state is not None
    assert state.current.keys() == {model_id(name) for name in ("raw_orders", "stg_orders", "orders")}
    assert [record.plan_id for record in state.history] == [fresh["plan_id"]]


def test_the_same_task_promotes_a_plan_once_and_another_plan_again(shop: Shop) -> None:
    soaked(shop)
    ti = FakeTaskInstance()
    first = plan()
    assert promoting(plan=first).execute(a_context(ti))["outcome"] == "promoted"
    shop.change(release(code={"orders": "select 2"}))
    soaked(shop)
    again: Any = promoting(plan=first).execute(a_context(ti))
    assert (again["outcome"], again["plan_id"]) == ("promoted", first["plan_id"])
    assert "nothing was done again" in again["message"]
    second = plan()
    assert promoting(plan=second).execute(a_context(ti))["plan_id"] == second["plan_id"]
    state = shop.engine.observer.state("production")
    assert state is not None
    assert [record.plan_id for record in state.history] == [second["plan_id"], first["plan_id"]]


def test_what_a_plan_was_asked_for_with_comes_along(shop: Shop) -> None:
    shop.run("staging")
    bypass = {"min_days_in_staging": "0", "require_tests": "False", "reason": "a hot fix"}
    told: Any = promoting(plan=plan(**bypass)).execute(a_context())
    assert told["outcome"] == "promoted"
    state = shop.engine.observer.state("production")
    assert state is not None
    assert {one.reason for one in state.bypasses} == {"a hot fix"}


def test_a_plan_comes_without_models_and_is_never_everything(shop: Shop) -> None:
    soaked(shop)
    for more in ({"models": ["orders"]}, {"select": "orders"}):
        with pytest.raises(ConfigError, match="the plan says which models go"):
            promoting(plan="{{ ti.xcom_pull(task_ids='plan') }}", **more)
    for nothing in ("None", "", "{}", "[1", {"models": []}):
        with pytest.raises(AirflowFailException, match="no plan as PromotionPlanOperator hands it over"):
            promoting(plan=nothing).execute(a_context())
    emptied = promoting(plan="{{ ti.xcom_pull(task_ids='plan') }}")
    emptied.plan = None
    with pytest.raises(AirflowFailException, match="no plan"):
        emptied.execute(a_context())


def test_an_approval_is_of_the_plan_that_is_applied(shop: Shop) -> None:
    asks_people(shop)
    soaked(shop)
    handed = plan()
    with pytest.raises(AirflowFailException, match="nobody was asked yet"):
        promoting(plan=handed).execute(a_context())
    say_yes(shop, handed)
    assert promoting(plan=handed).execute(a_context())["outcome"] == "promoted"


def test_the_sensor_waits_for_what_is_planned_under_the_conditions_of_the_plan(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY / 2)
    handed = plan(models=["orders"], include_upstream=True)
    with pytest.raises(TaskDeferred):
        StagingSoakSensor(task_id="soaked", plan=handed, dbt_project_dir="/shop").execute(a_context())
    half = plan(models="orders", include_upstream=True, min_days_in_staging="0.5", reason="a hot fix")
    for given in (half, repr(half)):
        told = StagingSoakSensor(task_id="soaked", plan=given, dbt_project_dir="/shop").execute(a_context())
        assert told == ["orders", "raw_orders", "stg_orders"]


def test_a_plan_of_a_thousand_models_has_markdown_that_is_cut_with_a_note(shop: Shop) -> None:
    shop.change(release({f"int_finance__a_name_as_long_as_teams_give_{number:_>40}": () for number in range(1_000)}))
    soaked(shop)
    told = plan()
    assert len(told["models"]) == 1_000
    assert len(told["markdown"]) <= planned.MOST_MARKDOWN + 100
    assert told["markdown"].endswith("the log of the task that planned has all of it._\n")
    assert len(json.dumps(told)) < 1_000_000
    assert promoting(plan=repr(told)).execute(a_context())["outcome"] == "promoted"


def test_a_plan_whose_promotion_was_killed_is_carried_on_by_the_retry(shop: Shop) -> None:
    soaked(shop)
    handed, ti = plan(), FakeTaskInstance()
    die_in(shop, Failpoint.MODEL_PUBLISHED, lambda: promoting(plan=handed).execute(a_context(ti)))
    told: Any = promoting(plan=handed).execute(a_context(ti))
    assert (told["outcome"], told["plan_id"]) == ("promoted", handed["plan_id"])
    state = shop.engine.observer.state("production")
    assert state is not None
    assert [(record.plan_id, record.attempts) for record in state.history] == [(handed["plan_id"], 2)]


def test_nobody_is_asked_again_about_a_plan_that_was_carried_out(shop: Shop) -> None:
    asks_people(shop)
    soaked(shop)
    handed = plan()
    approval = say_yes(shop, handed)
    assert promoting(plan=handed).execute(a_context())["outcome"] == "promoted"
    shop.clock.pass_by(10 * DAY)
    task = PromotionApprovalOperator(
        task_id="approve", target_environment="production", plan=handed, dbt_project_dir="/shop"
    )
    ti: Any = FakeTaskInstance()
    ti.try_number = 2
    told = task.execute(a_context(ti))
    assert (told["approved"], told["plan_id"]) == (True, approval.plan_id)


def say_yes(shop: Shop, handed: Any) -> Approval:
    """Let bob approve a plan that was handed on."""
    request = planned.request_for(PromotionRequest(target="production", actor="ann"), planned.read(handed))
    asked = shop.engine.approvals.ask(request, shop.engine.plan(request), Person(name="ann", identity=Identity.AIRFLOW))
    vote = Vote(decision=Decision.APPROVE, at=shop.clock(), actor="bob", identity=Identity.AIRFLOW)
    return shop.engine.approvals.vote("production", asked.plan_id, vote)
