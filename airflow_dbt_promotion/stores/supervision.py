"""Whether this process is a task's, with a supervisor to ask, or one that has Airflow's database at hand.

Airflow's own functions for tasks know no database outside of a task, and its models know nothing else.
"""

from __future__ import annotations

import sys

_RUNNER = "airflow.sdk.execution_time.task_runner"


def supervised() -> bool:
    """Say whether there is a supervisor, as Airflow itself asks: in a task, and while `dag.test` runs one."""
    return getattr(sys.modules.get(_RUNNER), "SUPERVISOR_COMMS", None) is not None
