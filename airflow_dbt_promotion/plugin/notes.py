"""The note of a DAG run: the outcome of its promotions, beside what people wrote there.

A task cannot write it: its supervisor knows no such message in Airflow 3.1 to 3.3. The scheduler can, and asks this
listener when a run has ended; what the note says comes from the XComs that our tasks push for it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun

KEY = "dbt_promotion_note"
"""The XCom by which a task says what is to be noted."""

_MARK = "dbt promotion: "
_LONGEST = 1000  # the width of Airflow's column

log = logging.getLogger(__name__)


@hookimpl
def on_dag_run_success(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001 - Airflow's
    """Note what a run that succeeded came to."""
    _note(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: DagRun, msg: str) -> None:  # noqa: ARG001 - Airflow's
    """Note what a run that failed came to."""
    _note(dag_run)


def _note(dag_run: DagRun) -> None:
    """Write the lines of a run into its note; lines that it has from before it was cleared are replaced.

    The scheduler calls this within its own transaction, and writes the note with the run's state. Nothing that goes
    wrong here may keep it from that.
    """
    try:
        if said := _said(dag_run):
            theirs = [line for line in (dag_run.note or "").splitlines() if not line.startswith(_MARK)]
            dag_run.note = "\n".join([*theirs, *said])[:_LONGEST]
    except Exception:
        log.exception("the note of %s could not be written", dag_run.run_id)


def _said(dag_run: DagRun) -> list[str]:
    """Return what the tasks of a run want to have noted, in the order in which they said it."""
    from airflow.models.xcom import XComModel  # noqa: PLC0415 - every process of Airflow imports this module
    from sqlalchemy import select  # noqa: PLC0415 - as late
    from sqlalchemy.orm import object_session  # noqa: PLC0415 - as late

    session = object_session(dag_run)
    if session is None:
        return []
    asked = select(XComModel).where(
        XComModel.key == KEY, XComModel.dag_id == dag_run.dag_id, XComModel.run_id == dag_run.run_id
    )
    found = [XComModel.deserialize_value(row) for row in session.scalars(asked.order_by(XComModel.timestamp))]
    return [f"{_MARK}{line.removeprefix(_MARK)}" for line in found if isinstance(line, str)]
