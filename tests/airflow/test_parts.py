"""The tasks that open a promotion and build its parts, and the one that finishes it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from airflow_dbt_promotion.core.errors import ConfigError, DbtError
from airflow_dbt_promotion.operators.parts import PromotionOpenOperator, PromotionPartOperator
from airflow_dbt_promotion.operators.plan import PromotionPlanOperator
from airflow_dbt_promotion.operators.promote import PromoteOperator
from tests.airflow.spellings import AirflowFailException, AirflowSkipException
from tests.airflow.tasks import FakeTaskInstance, LogOfLines, a_context, lead_to
from tests.kept_shop import KeptShop
from tests.scenarios import DAY, PARENTS, defined, path, test_id

AT: dict[str, Any] = {"dbt_project_dir": "/shop", "target_environment": "production"}


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> KeptShop:
    """A shop of two lineages in memory that every hook leads to; staging has soaked."""
    made = KeptShop(defined(parents={**PARENTS, "mills": (), "plants": ("mills",)}), path())
    made.workshop.swaps = True
    made.run("staging")
    made.clock.pass_by(DAY)
    lead_to(made, monkeypatch)
    return made


class Instance(FakeTaskInstance):
    """A task of one run of a DAG."""

    def __init__(self, task_id: str, map_index: int = -1) -> None:
        super().__init__()
        self.task_id, self.map_index, self.run_id = task_id, map_index, "the run"


def opened(**arguments: Any) -> list[dict[str, Any]]:
    task = PromotionOpenOperator(task_id="open", **{**AT, **arguments})
    return task.execute(a_context(Instance("open")))


def built(part: dict[str, Any], number: int = 0) -> Any:
    task = PromotionPartOperator(task_id="build_part", part=part, **AT)
    return task.execute(a_context(Instance("build_part", number)))


def finished(opened: list[dict[str, Any]], **arguments: Any) -> Any:
    task = PromoteOperator(task_id="promote", opened=opened, **{**AT, **arguments})
    return task.execute(a_context(Instance("promote")))


def test_a_promotion_goes_through_its_tasks(shop: KeptShop) -> None:
    parts = opened()
    assert [(part["part"], sorted(part["models"])) for part in parts] == [
        ("1", ["orders", "raw_orders", "revenue", "stg_orders"]),
        ("2", ["mills", "plants"]),
    ]
    assert [built(part, number)["well"] for number, part in enumerate(parts)] == [True, True]
    assert finished(parts)["outcome"] == "promoted"
    assert len(shop.workshop.swapped) == 1
    assert (finished(parts)["outcome"], len(shop.workshop.swapped)) == ("promoted", 1)
    assert opened() == [{"opened_as": parts[0]["opened_as"], "part": None, "models": []}]
    assert finished(parts)["outcome"] == "promoted"


def test_a_plan_that_was_handed_on_is_opened_and_finished(shop: KeptShop) -> None:
    told = PromotionPlanOperator(task_id="plan", models=["plants"], include_upstream=True, **AT)
    plan = told.execute(a_context(Instance("plan")))
    (part,) = opened(plan=plan)
    assert part["part"] is None
    assert built(part) == {"well": True, "models": []}
    assert part["opened_as"].endswith(f":open:-1:{plan['plan_id']}")
    assert {model["name"] for model in finished([part])["models"]} == {"mills", "plants"}
    assert shop.state().history[0].plan_id == plan["plan_id"]


def test_a_part_that_fails_is_not_retried_and_the_last_task_says_what_came_of_it(shop: KeptShop) -> None:
    parts = opened(parts="2")
    built(parts[1], 1)
    shop.workshop.failing = (test_id("orders"),)
    with pytest.raises(AirflowFailException, match=r"failed: .* broke"):
        built(parts[0])
    with pytest.raises(AirflowFailException, match="failed: 6 of 6 did not advance"):
        finished(parts)
    assert shop.state().lock is None


def test_what_breaks_is_retried_and_a_part_that_is_missing_is_told(shop: KeptShop) -> None:
    parts = opened()
    shop.workshop.build_breaks = DbtError("the warehouse is away")
    with pytest.raises(DbtError):
        built(parts[0])
    with pytest.raises(AirflowFailException, match="parts_missing: parts 1, 2 were not built"):
        finished(parts)
    with pytest.raises(AirflowFailException, match=r"not_open: .* has ended: errored"):
        built(parts[1])


def test_what_is_refused_fails_or_is_skipped_as_anywhere_and_nothing_to_do_is_skipped(shop: KeptShop) -> None:
    assert shop.engine.validated()
    ti = Instance("open")
    task = PromotionOpenOperator(task_id="open", models=["orders"], **AT)
    with pytest.raises(AirflowFailException, match="refused"):
        task.execute(a_context(ti))
    assert list(ti.pushed) == ["dbt_promotion_note"]
    assert str(ti.pushed["dbt_promotion_note"]) == "dbt promotion: 1 model refused for production"
    with pytest.raises(AirflowSkipException, match="refused"):
        opened(models=["orders"], on_refused="skip")
    parts = opened()
    for number, part in enumerate(parts):
        built(part, number)
    finished(parts)
    other = PromotionOpenOperator(task_id="another", **AT)
    with pytest.raises(AirflowSkipException, match="nothing to do"):
        other.execute(a_context(Instance("another")))


def test_a_promotion_waits_as_long_as_it_is_told_to(shop: KeptShop) -> None:
    opened(handover_timeout=timedelta(hours=5))
    lock = shop.state().lock
    assert lock is not None
    assert lock.expires_at - shop.clock() == timedelta(hours=5)


def test_what_was_opened_is_finished_as_it_was_opened(shop: KeptShop) -> None:
    assert shop.engine.validated()
    with pytest.raises(ConfigError, match="leave out dry_run"):
        PromoteOperator(task_id="promote", opened=[], dry_run=True, **AT)
    with pytest.raises(ConfigError, match="leave out plan, models and select"):
        PromoteOperator(task_id="promote", opened=[], models=["orders"], **AT)
    with pytest.raises(AirflowFailException, match="is not what a PromotionOpenOperator hands on"):
        finished([])
    with pytest.raises(AirflowFailException, match="not_open: no such promotion"):
        finished([{"opened_as": "another run", "part": None, "models": []}])


def test_the_log_says_what_is_built_where(shop: KeptShop, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    log = LogOfLines()
    monkeypatch.setattr(PromotionOpenOperator, "log", log)
    opened()
    assert log.lines[-1].startswith("to be built in 2 parts: ")
    assert any("6 models" in line for line in log.lines)
