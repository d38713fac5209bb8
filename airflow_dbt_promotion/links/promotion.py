"""Links of tasks that promote: to the promotion, to its approval, to the run. Each is made from the task's own XCom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperatorLink

from airflow_dbt_promotion.hooks import acting

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


class RunLink(BaseOperatorLink):
    """The DAG run that did it."""

    name = "Run"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the `link` that the task told, empty where `[api] base_url` does not say where the UI is."""
        return str(_told(ti_key).get("link") or "")


class PromotionLink(BaseOperatorLink):
    """Where what the environment holds was promoted: this run, or the run or CI job that had done it before."""

    name = "Promotion"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the `promotion_link` that the task told, empty where nothing was promoted."""
        return str(_told(ti_key).get("promotion_link") or "")


class ApprovalLink(BaseOperatorLink):
    """The page of the run on which Airflow asks people, where an approval is what a plan waits for."""

    name = "Approval"

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's
        """Return the address, empty where no approval is asked for."""
        refusals = _told(ti_key).get("refusals") or []
        run = acting.run_address(ti_key.dag_id, ti_key.run_id)
        if run is None or not any(one.get("gate") == "approval" for one in refusals):
            return ""
        return f"{run}/required_actions"


def _told(ti_key: TaskInstanceKey) -> Mapping[str, Any]:
    """Return what a task told by XCom, nothing where it told nothing."""
    from airflow.sdk.execution_time.xcom import XCom  # noqa: PLC0415 - DAG files import this module

    told = XCom.get_value(ti_key=ti_key, key="return_value")
    return told if isinstance(told, Mapping) else {}
