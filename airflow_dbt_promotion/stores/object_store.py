"""State in object storage: `<prefix>/<environment>.json`, one object a document, replaced by conditional writes.

A write says which object it replaces: by its entity tag (S3, Azure), by its generation (Google), or that there is none.
The service compares and sets in one step, so there is no lock of writers. What is not known is who wrote what is there
where the answer to a write got lost: so each write has a writer, a random word in the metadata of the object, before
those of the writes that it builds on, and whoever is refused looks for its own among them.
"""

from __future__ import annotations

import random
import secrets
import time
from pathlib import Path
from typing import Self

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import StateError, StateUnwritableError
from airflow_dbt_promotion.core.identity import EnvironmentName, environment_name, is_environment_name
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores.agreement import agree, risen
from airflow_dbt_promotion.stores.bucket import Bucket, Found
from airflow_dbt_promotion.stores.object_address import address_of
from airflow_dbt_promotion.stores.object_faults import Fault, Kind
from airflow_dbt_promotion.stores.object_probe import insist_on_conditions

_SUFFIX = ".json"


class ObjectStore:
    """Keeps documents below one prefix of a bucket. Reading writes nothing, and needs no permission to write."""

    def __init__(self, bucket: Bucket) -> None:
        """Take the prefix."""
        self._bucket = bucket

    @classmethod
    def open(cls, root: str, base: Path, endangered: tuple[Path, ...]) -> Self:  # noqa: ARG003 - no folder
        """Return the store at an address in object storage; nobody is asked anything yet."""
        return cls(Bucket(address_of(root)))

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        """Return the newest document, None where the service says that there is none; StateError for anything else."""
        where = self.where(environment)
        try:
            found = self._bucket.get(_key(environment))
        except Fault as fault:
            raise StateError(where, f"cannot be read: {fault}") from None
        return None if found is None else codec.decode(found.data, where, environment)

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        """Replace a document that has the expected serial, and our lineage; raise StateConflictError if it has not.

        Tried again a few times where the service is busy or the answer got lost, always on the condition that nobody
        else wrote. Raises StateUnwritableError where it was refused, StateError where nobody knows.
        """
        written = risen(state, expected_serial)
        attempt = _Attempt(self._bucket, state, expected_serial, codec.encode(written))
        refused: Fault | None = None
        for pause in (0.0, *self._bucket.patience.again):
            time.sleep(pause * (0.5 + random.random()))  # noqa: S311 - so that writers do not come back all at once
            if attempt.arrived(refused):
                return written
            refused = attempt.put()
            if refused is None:
                return written
            if not refused.may_pass:
                break
        if attempt.arrived(refused):
            return written
        raise attempt.failed(refused)

    def where(self, environment: EnvironmentName) -> str:
        """Return the address of a document, without options."""
        return self._bucket.address.of(_key(environment))

    def environments(self) -> tuple[EnvironmentName, ...]:
        """Return the environments of which there is an object; StateError where the prefix cannot be listed."""
        try:
            names = self._bucket.top()
        except Fault as fault:
            raise StateError(self._bucket.address.of(""), f"cannot be listed: {fault}") from None
        found = (name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))
        return tuple(EnvironmentName(name) for name in sorted(found) if is_environment_name(name))

    def warnings(self) -> tuple[str, ...]:
        """Return nothing: dbt deletes nothing there."""
        return ()


class _Attempt:
    """One write: the document, its writer, and the object that was there when it was looked at last."""

    def __init__(self, bucket: Bucket, state: EnvironmentState, expected: int | None, data: bytes) -> None:
        """Take what is to be written in place of what."""
        self._bucket, self._state, self._expected, self._data = bucket, state, expected, data
        self._key = _key(state.environment)
        self._where = bucket.address.of(self._key)
        self._writer = secrets.token_hex(8)
        self._there: Found | None = None

    def arrived(self, refused: Fault | None) -> bool:
        """Look at what is there, and say whether it is this very write, or builds on it.

        Returns no where the document that is there may be replaced; raises as `agree` does where it may not.
        """
        try:
            self._there = self._bucket.get(self._key)
        except Fault as fault:
            if refused is None:
                raise StateError(self._where, f"cannot be read: {fault}") from None
            raise StateError(
                self._where, f"whether it was written is not known ({refused.said}): it cannot be read back: {fault}"
            ) from None
        if self._there is not None and self._writer in self._there.writers:
            return True
        agree(self._there and self._there.data, self._state, self._expected, self._where)
        return False

    def put(self) -> Fault | None:
        """Write it in place of what was looked at; return why it was refused, None where it was not."""
        try:
            insist_on_conditions(self._bucket)
            self._bucket.put_if(self._key, self._data, self._there, self._writer)
        except Fault as fault:
            return fault
        return None

    def failed(self, refused: Fault | None) -> StateError:
        """Return the error of a write that was given up, and that was not there when it was looked for."""
        if refused is not None and refused.kind is Kind.PASSING:
            problem = f"was not written: {refused}. What was sent may still arrive, if nobody writes before"
            return StateError(self._where, problem)
        return StateUnwritableError(self._where, f"cannot be written: {refused}")


def _key(environment: EnvironmentName) -> str:
    """Return the name of a document below the prefix. Raises InvalidNameError."""
    return f"{environment_name(environment)}{_SUFFIX}"
