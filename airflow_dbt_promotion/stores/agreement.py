"""The one question of every conditional write: is what is there what was read?"""

from __future__ import annotations

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import StateConflictError
from airflow_dbt_promotion.core.state import EnvironmentState


def agree(there: bytes | None, state: EnvironmentState, expected_serial: int | None, where: str) -> None:
    """Return where a document may be replaced: it has the expected serial (None: it is not there) and our lineage.

    Raises StateConflictError where it has not, CorruptStateError and FutureSchemaError where it cannot be told.
    """
    found = None if there is None else codec.head(there, where, state.environment)
    serial = None if found is None else found.serial
    if serial != expected_serial or (found is not None and found.lineage != state.lineage):
        raise StateConflictError(where, expected_serial, serial)
