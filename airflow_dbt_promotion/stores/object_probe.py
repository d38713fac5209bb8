"""Whether a service does what compare-and-set needs, asked once: some that speak S3 ignore conditions on a write."""

from __future__ import annotations

import secrets
import threading

from airflow_dbt_promotion.core.errors import StateUnwritableError
from airflow_dbt_promotion.stores.bucket import Bucket, Found
from airflow_dbt_promotion.stores.object_address import Address
from airflow_dbt_promotion.stores.object_faults import Fault, Kind

PROBE = ".promotion_probe"
"""The object that is written for it. It stays, so that the next one who asks needs no permission to delete."""

_WRONG = Found(b"", {"e_tag": '"00000000000000000000000000000000"', "version": "1"}, ())
"""What no object has: an entity tag of zeros, and the generation of 1970."""

_DATA = b"Object storage is asked with this whether it refuses a write whose condition does not hold.\n"


class _Proven:
    """The addresses of which this process knows that their service does what is needed."""

    addresses: set[Address] = set()  # noqa: RUF012 - shared by all, on purpose
    asking = threading.Lock()


def insist_on_conditions(bucket: Bucket) -> None:
    """Return if a service refuses a write whose condition does not hold, and says who wrote an object.

    Asked once in a process for an address. Raises StateUnwritableError where it does not, Fault where it does not say.
    """
    with _Proven.asking:
        if bucket.address in _Proven.addresses:
            return
        missing = _missing(bucket)
        if missing:
            raise StateUnwritableError(
                bucket.address.of(PROBE),
                f"this service {missing}, so promotions at the same time could lose each other's records; nothing was "
                f"written. Keep state in another service, in a database, or in a folder",
            )
        _Proven.addresses.add(bucket.address)


def _missing(bucket: Bucket) -> str:
    """Return what a service does not do, nothing where it does all."""
    writer = secrets.token_hex(8)
    # The first may find the object of an earlier time, the second must find one.
    if not _refused(bucket, None, writer) and not _refused(bucket, None, writer):
        return "writes an object anew although it may only be created (it ignores If-None-Match)"
    if not _refused(bucket, _WRONG, writer):
        return "writes over an object although its tag is another (it ignores If-Match)"
    found = bucket.get(PROBE)
    if found is None or not found.tag or not found.writers:
        return "does not give back the entity tag and the metadata of an object"
    return ""


def _refused(bucket: Bucket, there: Found | None, writer: str) -> bool:
    """Say whether a conditional write was refused. Raises Fault for any other answer than yes and no."""
    try:
        bucket.put_if(PROBE, _DATA, there, writer)
    except Fault as fault:
        if fault.kind is Kind.CONFLICT:
            return True
        raise
    return False
