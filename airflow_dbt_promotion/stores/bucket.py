"""A prefix of a bucket: the one door to obstore, and what the services of object storage have in common."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple

from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.stores.blobs import Listed
from airflow_dbt_promotion.stores.object_access import Access, access_of
from airflow_dbt_promotion.stores.object_address import Address, Service
from airflow_dbt_promotion.stores.object_faults import Fault, Kind, fault_of

try:
    import obstore
    from obstore.exceptions import BaseError
    from obstore.store import AzureStore, GCSStore, S3Store
except ImportError as error:
    raise ConfigError(
        "state", f"object storage needs obstore: pip install 'airflow-dbt-promotion[object-store]' ({error})"
    ) from error

_WRITERS = "writers"
"""The name of the metadata that says who wrote an object, the last first: letters alone, as Azure wants them."""

_MOST_WRITERS = 16
"""So many are told of, far fewer than fit into what any service takes as metadata."""


class Patience(Struct, frozen=True, kw_only=True):
    """How long a service is waited for, and how often it is asked again.

    `again` are the pauses, in seconds, before a conditional write is tried once more; `retries` are obstore's own.
    """

    request: timedelta = timedelta(seconds=30)
    retries: int = 4
    first: timedelta = timedelta(milliseconds=100)
    again: tuple[float, ...] = (0.1, 0.4, 1.6)


class Found(NamedTuple):
    """An object: its bytes, what a conditional write refers to it by, and who wrote it, the last first."""

    data: bytes
    tag: Mapping[str, str]
    writers: tuple[str, ...]


class _FirstUse:
    """The process that used obstore first: its threads do not live on in a process that is forked from it."""

    pid: int | None = None


class Bucket:
    """Objects below the prefix of an address. What a service does not do is a Fault; opening asks nobody."""

    def __init__(self, address: Address, patience: Patience | None = None) -> None:
        """Take the address."""
        self.address, self.patience = address, patience or Patience()
        self._client: S3Store | GCSStore | AzureStore | None = None
        self._access: Access | None = None
        self._opening = threading.Lock()

    def get(self, key: str) -> Found | None:
        """Return an object, None where there is none in a bucket that is there."""
        try:
            with self._asking() as client:
                found = obstore.get(client, key)
                data = bytes(found.bytes())
                tag = {"e_tag": found.meta["e_tag"], "version": found.meta["version"]}
                known = {name: value for name, value in tag.items() if value is not None}
                return Found(data, known, tuple(found.attributes.get(_WRITERS, "").split()))
        except Fault as fault:
            if fault.kind is Kind.MISSING:
                return None
            raise

    def put(self, key: str, data: bytes) -> None:
        """Write an object, whatever was there."""
        with self._asking() as client:
            obstore.put(client, key, data)

    def put_if(self, key: str, data: bytes, there: Found | None, writer: str) -> None:
        """Write an object in place of the one that was found, or where there was none; CONFLICT otherwise.

        Where the answer to a write was lost, the conflict may be with that very write, or with one that came after it:
        the writers of what is there say so.
        """
        before = () if there is None else there.writers
        attributes = {"Content-Type": "application/json", _WRITERS: " ".join((writer, *before)[:_MOST_WRITERS])}
        mode: Any = "create" if there is None else dict(there.tag)
        with self._asking() as client:
            obstore.put(client, key, data, mode=mode, attributes=attributes)

    def head(self, key: str) -> Listed | None:
        """Return the size of an object and when it was written, None where there is none."""
        try:
            with self._asking() as client:
                found = obstore.head(client, key)
        except Fault as fault:
            if fault.kind is Kind.MISSING:
                return None
            raise
        return Listed(key, found["size"], found["last_modified"].timestamp())

    def names(self, folder: str) -> Iterator[Listed]:
        """Yield the objects below a folder, a page at a time."""
        with self._asking() as client:
            for page in obstore.list(client, folder, chunk_size=1000):
                yield from (Listed(one["path"], one["size"], one["last_modified"].timestamp()) for one in page)

    def top(self) -> tuple[str, ...]:
        """Return the names of the objects that are in no folder."""
        with self._asking() as client:
            return tuple(one["path"] for one in obstore.list_with_delimiter(client)["objects"])

    def delete(self, key: str) -> None:
        """Delete an object; one that is gone is no fault."""
        try:
            with self._asking() as client:
                obstore.delete(client, key)
        except Fault as fault:
            if fault.kind is not Kind.MISSING:
                raise

    @contextmanager
    def _asking(self) -> Iterator[S3Store | GCSStore | AzureStore]:
        """Hold a client; tell what obstore raises as a Fault."""
        try:
            yield self._opened()
        except (BaseError, OSError, ValueError) as error:
            fault = fault_of(error)
            if self._access is not None:
                fault = Fault(fault.kind, self._access.without_secrets(fault.said))
            raise fault from None

    def _opened(self) -> S3Store | GCSStore | AzureStore:
        """Return the client, made when it is first needed. Raises ConfigError."""
        with self._opening:
            if _FirstUse.pid not in {None, os.getpid()}:
                raise Fault(
                    Kind.FORKED, "this process was forked from one that had used object storage, whose threads it lacks"
                )
            _FirstUse.pid = os.getpid()
            if self._client is None:
                self._client = self._made()
            return self._client

    def _made(self) -> S3Store | GCSStore | AzureStore:
        """Make the client."""
        address = self.address
        try:
            self._access = access_of(address)
        except LookupError as error:
            raise Fault(Kind.DENIED, str(error)) from None
        options: dict[str, Any] = {"timeout": self.patience.request, "connect_timeout": timedelta(seconds=5)}
        if address.allow_http:
            options["allow_http"] = True
        backoff = {"init_backoff": self.patience.first, "max_backoff": timedelta(seconds=2), "base": 2}
        common: dict[str, Any] = {
            "prefix": address.prefix or None,
            "config": dict(self._access.config),
            "client_options": options,
            "retry_config": {
                "max_retries": self.patience.retries,
                "backoff": backoff,
                "retry_timeout": timedelta(seconds=60),
            },
        }
        if self._access.provider is not None:
            common["credential_provider"] = self._access.provider
        try:
            match address.service:
                case Service.S3:
                    return S3Store(address.bucket, **common)
                case Service.GS:
                    return GCSStore(address.bucket, **common)
                case Service.AZ:
                    return AzureStore(address.bucket, **common)
        except (BaseError, ValueError) as error:
            said = self._access.without_secrets(str(error).partition("\n")[0])
            raise ConfigError("state", f"{address.of('')}: {said}") from None
