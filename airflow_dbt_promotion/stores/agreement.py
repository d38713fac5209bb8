"""The one question of every conditional write: is what is there what was read?"""

from __future__ import annotations

from msgspec.structs import replace

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import StateConflictError
from airflow_dbt_promotion.core.state import EnvironmentState


def risen(state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
    """Return a document as it is written: its serial is one higher than the expected, or where none may be there, than
    its own, which is that of another place if it comes from there.
    """
    return replace(state, serial=(state.serial if expected_serial is None else expected_serial) + 1)


def agree(there: bytes | None, state: EnvironmentState, expected_serial: int | None, where: str) -> None:
    """Return where a document may be replaced: it has the expected serial (None: it is not there) and our lineage.

    Raises StateConflictError where it has not, CorruptStateError and FutureSchemaError where it cannot be told.
    """
    found = None if there is None else codec.head(there, where, state.environment)
    serial = None if found is None else found.serial
    if serial != expected_serial or (found is not None and found.lineage != state.lineage):
        raise StateConflictError(where, expected_serial, serial)
