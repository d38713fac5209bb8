"""The form: what it offers, what it refuses, and that what it offers is what the engine says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from airflow.sdk import DAG
from jinja2 import Environment
from msgspec.structs import replace

import airflow_dbt_promotion
from airflow_dbt_promotion.core.environment import BypassKind, PromotionPath
from airflow_dbt_promotion.hooks import params
from airflow_dbt_promotion.operators.promote import PromoteOperator
from tests.airflow.spellings import AirflowFailException
from tests.airflow.tasks import a_context, shop
from tests.scenarios import DAY, Shop, defined, model_id

__all__ = ["shop"]

ALL = "all-validated"


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    params._read.clear()
    yield
    params._read.clear()


def form(target: str | None = "production", **more: Any) -> dict[str, Any]:
    return airflow_dbt_promotion.promotion_params(target, dbt_project_dir="/shop", **more)


def offered(param: Any) -> Any:
    return param.schema["items"].get("enum")


def test_it_shows_what_can_go_with_version_and_since_when(shop: Shop) -> None:
    shop.run("staging")
    assert offered(form()["models"]) == [ALL]
    params._read.clear()
    shop.clock.pass_by(DAY)
    models = form()["models"]
    version = shop.project.models[model_id("orders")].version[:8]
    assert offered(models) == [ALL, "orders", "raw_orders", "revenue", "stg_orders"] == models.schema["examples"]
    labels = models.schema["values_display"]
    assert labels[ALL] == "everything that may go"
    assert labels["orders"] == f"orders {version}, in staging since 2026-07-24 12:00"
    before = str(models.schema)
    params._read.clear()
    shop.clock.pass_by(DAY)
    assert str(form()["models"].schema) == before  # a DAG that says the same is no new version of it


def test_airflow_refuses_what_is_not_offered(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    found = form()
    for name, wrong in (("models", ["moon"]), ("models", []), ("target_environment", "moon"), ("reason", "")):
        with pytest.raises(Exception, match=r"is not one of|too short|non-empty|was expected|is not valid"):
            found[name].resolve(wrong)
    found["models"].resolve(["orders"])
    with DAG("a_form", schedule=None, params=found) as dag:
        PromoteOperator(task_id="promote", dbt_project_dir="/shop", **airflow_dbt_promotion.promotion_arguments())
    assert dag.params["dry_run"] is True


@pytest.mark.parametrize(
    ("chosen", "asked"), [([ALL], [ALL]), ([ALL, "orders"], ["orders"]), (["orders", "revenue"], ["orders", "revenue"])]
)
def test_a_model_that_is_chosen_stands_in_place_of_everything(chosen: list[str], asked: list[str]) -> None:
    written = Environment(autoescape=False).from_string(  # noqa: S701 - Airflow escapes nothing either
        airflow_dbt_promotion.promotion_arguments()["models"]
    )
    assert json.loads(written.render(params={"models": chosen})) == asked


def test_what_is_read_is_shared_for_a_while(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    first = offered(form()["models"])
    shop.change(defined(code={"revenue": "select 2"}))
    shop.run("staging")
    assert offered(form()["models"]) == first
    monkeypatch.setattr(params, "CACHED_FOR", 0.0)
    assert "revenue" not in offered(form()["models"])


def test_where_state_cannot_be_read_names_can_be_typed_and_the_log_says_why(
    shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise OSError("no such bucket")

    monkeypatch.setattr(shop.engine.observer, "validated", broken)
    shop.run("staging")
    found = form(None)
    assert "no such bucket" in caplog.text
    assert found["models"].schema["items"] == {"type": "string", "pattern": r"^[\w.\- ]+$"}
    assert "skip_tests" in found
    found["models"].resolve(["orders", "orders.v2"])
    with pytest.raises(Exception, match="does not match"):
        found["models"].resolve(["tag:nightly"])


def test_names_that_the_author_adds_are_offered_without_a_label(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)
    models = form(also=["another", "orders"])["models"]
    assert offered(models) == [ALL, "another", "orders", "raw_orders", "revenue", "stg_orders"]
    assert models.schema["values_display"]["another"] == "another"
    assert "in staging since" in models.schema["values_display"]["orders"]


def test_every_environment_that_is_promoted_to_is_offered_unless_one_is_named(shop: Shop) -> None:
    path = shop.engine.path
    every = [one.name for one in path.environments if one.promotes_from is not None]
    target = form(None)["target_environment"]
    assert (target.schema["enum"], target.value) == (every, every[-1])
    assert form("production")["target_environment"].schema["enum"] == ["production"]


def test_what_policy_forbids_is_not_offered_and_refused_all_the_same(shop: Shop) -> None:
    assert "skip_tests" in form()
    assert form()["min_days_in_staging"].schema["minimum"] == 0
    memory = shop.engine.observer._memory
    memory.path = PromotionPath(
        tuple(
            replace(one, forbid=frozenset(BypassKind)) if one.name == "production" else one
            for one in memory.path.environments
        )
    )
    shop.engine.path = memory.path
    params._read.clear()
    found = form()
    assert "skip_tests" not in found
    assert found["min_days_in_staging"].schema["minimum"] == 1.0
    shop.run("staging")
    shop.clock.pass_by(DAY)
    task = PromoteOperator(
        task_id="promote", target_environment="production", require_tests="False", reason="x", dbt_project_dir="/shop"
    )
    with pytest.raises(AirflowFailException, match="forbid"):
        task.execute(a_context())
