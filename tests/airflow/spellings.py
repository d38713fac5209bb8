"""What tests need of Airflow, by whichever name this version has for it."""

from __future__ import annotations

from typing import Any

import airflow.sdk.exceptions
import pytest

from airflow_dbt_promotion.hooks.endings import exceptions

AirflowFailException: type[Exception] = exceptions().AirflowFailException
AirflowRescheduleException: type[Exception] = exceptions().AirflowRescheduleException
AirflowSensorTimeout: type[Exception] = exceptions().AirflowSensorTimeout
AirflowSkipException: type[Exception] = exceptions().AirflowSkipException
TaskDeferred: type[BaseException] = exceptions().TaskDeferred

OLDEST = not hasattr(airflow.sdk.exceptions, "AirflowFailException")
"""Whether this is Airflow 3.1."""

newer_than_3_1 = pytest.mark.skipif(OLDEST, reason="Airflow 3.1 does not have it")
PARKED = "awaiting_input" if hasattr(airflow.sdk.exceptions, "TaskAwaitingInput") else "deferred"
"""The state of a task that waits for people."""


def dag_bag(file: object) -> Any:
    """Return the DAGs of a file."""
    try:
        from airflow.dag_processing.dagbag import DagBag  # noqa: PLC0415 - needs the home of the fixtures
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag  # noqa: PLC0415 - as late
    return DagBag(file)


def reserialized(dag: object) -> Any:
    """Return a DAG as the scheduler reads it."""
    try:
        from airflow.serialization.serialized_objects import DagSerialization  # noqa: PLC0415 - needs the home, too
    except ImportError:  # Airflow 3.1
        from airflow.serialization.serialized_objects import SerializedDAG as DagSerialization  # noqa: PLC0415 - as late
    return DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
