"""What tests need of Airflow, by whichever name this version has for it."""

from __future__ import annotations

from typing import Any

from airflow_dbt_promotion.hooks.endings import exceptions

AirflowFailException: type[Exception] = exceptions().AirflowFailException
AirflowRescheduleException: type[Exception] = exceptions().AirflowRescheduleException
AirflowSensorTimeout: type[Exception] = exceptions().AirflowSensorTimeout
AirflowSkipException: type[Exception] = exceptions().AirflowSkipException
TaskDeferred: type[BaseException] = exceptions().TaskDeferred


def dag_bag(file: object) -> Any:
    """Return the DAGs of a file."""
    try:
        from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 - needs the home of the fixtures
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag  # noqa: PLC0415 - as late
    return DagBag(file)
