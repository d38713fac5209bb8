"""How tasks are called where nobody gave them a name."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.operators.record import RecordRunOperator
from airflow_dbt_promotion.operators.rollback import RollbackOperator
from airflow_dbt_promotion.operators.run import PromotedBuildOperator
from airflow_dbt_promotion.sensors.soak import StagingSoakSensor

TO = {"target_environment": "production"}
OF = {"environment": "production"}
LONG = "+".join(["selected"] * 20)


@pytest.mark.parametrize(
    ("operator", "arguments", "name"),
    [
        (PromoteOperator, TO, "promote to production"),
        (PromoteOperator, {**TO, "models": "all-validated"}, "promote to production"),
        (PromoteOperator, {**TO, "models": ["orders", "customers"]}, "promote orders, customers to production"),
        (PromoteOperator, {**TO, "models": list("abcd")}, "promote 4 models to production"),
        (PromoteOperator, {**TO, "models": LONG}, "promote some models to production"),
        (PromoteOperator, {**TO, "select": "tag:nightly"}, "promote tag:nightly to production"),
        (PromoteOperator, {**TO, "dry_run": True}, "plan for production"),
        (PromoteOperator, {**TO, "models": "{{ params.models }}"}, "a_task"),
        (PromoteOperator, {"target_environment": "{{ params.to }}"}, "a_task"),
        (PromoteOperator, {**TO, "task_display_name": "go"}, "go"),
        (RollbackOperator, {**OF, "reason": "wrong"}, "roll back production"),
        (PromotedBuildOperator, OF, "build in production"),
        (PromotedBuildOperator, {**OF, "command": "test", "select": LONG}, "test some models in production"),
        (RecordRunOperator, OF, "record production"),
        (RecordRunOperator, {**OF, "baseline": True}, "adopt production"),
        (StagingSoakSensor, {}, "soak"),
        (StagingSoakSensor, {**TO, "models": ["orders"]}, "soak orders for production"),
    ],
)
def test_a_task_is_called_by_what_it_does(operator: Any, arguments: dict[str, Any], name: str) -> None:
    task = operator(task_id="a_task", dbt_project_dir="/shop", **arguments)
    assert (task.task_display_name, task.task_id) == (name, "a_task")


def test_what_another_task_will_tell_and_mapped_tasks_keep_their_ids() -> None:
    with DAG("a_dag", schedule=None) as dag:
        before = BaseOperator(task_id="before")
        after = PromoteOperator(task_id="after", models=before.output, **TO)
        mapped = PromoteOperator.partial(task_id="mapped", dbt_project_dir="/shop").expand(
            target_environment=["staging", "production"]
        )
    assert (after.task_display_name, mapped.task_display_name) == ("after", "mapped")
    assert set(dag.task_dict) == {"before", "after", "mapped"}
