"""A service that is busy, gone, slow, forbidding or wrong: an answer that is right, and the state that was there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import (
    CorruptStateError,
    FutureSchemaError,
    StateConflictError,
    StateError,
    StateUnwritableError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores import open_store
from airflow_dbt_promotion.stores.bucket import Bucket, Patience
from airflow_dbt_promotion.stores.object_address import address_of
from airflow_dbt_promotion.stores.object_store import ObjectStore
from tests.stores.contract import STAGING, entries, fresh
from tests.stores.s3 import BUSY, CONCURRENT, DENIED, DROPPED, LOST, Deed, Gate, Served
from tests.stores.test_object_store import address_in

pytestmark = pytest.mark.usefixtures("ambient")

QUICK = Patience(retries=1, first=timedelta(milliseconds=1), again=(0.001, 0.001, 0.001))
HASTY = replace(QUICK, request=timedelta(milliseconds=400), again=(0.001,))
"""So little that a test need not wait."""

LATE = 0.9
"""Seconds for which nobody waits who is hasty."""

TRIES = 1 + len(QUICK.again)
NAME = "/staging.json"


class Place:
    """A store behind the gate, and another one without it in mind: what is said of one address."""

    def __init__(self, served: Served) -> None:
        """Begin with a document that was written."""
        self.address = address_in(served)
        self.gate: Gate = served.gate
        self.store = self.opened()
        self.there = self.store.write(fresh(), None)
        self.gate.clear()

    def opened(self, patience: Patience = QUICK) -> ObjectStore:
        """Return a store of the address."""
        return ObjectStore(Bucket(address_of(self.address), patience))

    def be_hasty(self) -> None:
        """Wait for nothing from now on."""
        self.store = self.opened(HASTY)

    def write(self) -> EnvironmentState:
        """Write what was not there before."""
        return self.store.write(replace(self.there, current=entries(2)), self.there.serial)

    def is_unchanged(self) -> bool:
        """Say whether the document is the one that was there."""
        self.gate.clear()
        return self.store.read(STAGING) == self.there


@pytest.fixture
def place(s3_service: Served) -> Iterator[Place]:
    s3_service.gate.clear()
    yield Place(s3_service)
    s3_service.gate.clear()


# --- whose write it was ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", [LOST, DROPPED])
def test_a_write_whose_answer_was_lost_is_found_to_be_ours(place: Place, deed: Deed) -> None:
    place.gate.meet("PUT", NAME, deed)
    written = place.write()
    assert place.gate.count("PUT", NAME) == 2  # the client sent it again, and was refused
    assert place.store.read(STAGING) == written


@pytest.mark.parametrize("deed", [LOST, DROPPED])
def test_a_first_write_whose_answer_was_lost_is_found_to_be_ours(place: Place, deed: Deed) -> None:
    place.gate.meet("PUT", "/production.json", deed)
    written = place.store.write(fresh(EnvironmentName("production")), None)
    assert place.store.read(EnvironmentName("production")) == written
    assert place.gate.count("PUT", "/production.json") == 2


def test_a_write_that_took_too_long_to_answer_is_found_to_be_ours(place: Place) -> None:
    place.be_hasty()
    place.gate.meet("PUT", NAME, Deed("200 OK", done=True, late=LATE))
    written = place.write()
    assert place.gate.count("PUT", NAME) == 1
    assert place.store.read(STAGING) == written


def test_a_write_of_others_in_between_is_a_conflict(place: Place) -> None:
    place.gate.meet("PUT", NAME, lambda: place.opened().write(place.there, place.there.serial))
    with pytest.raises(StateConflictError) as caught:
        place.write()
    assert (caught.value.expected, caught.value.found) == (1, 2)


def test_the_same_bytes_by_another_writer_are_a_conflict(place: Place) -> None:
    """Both promote the same models in the same second: one has done it, the other has not."""
    place.gate.meet("PUT", NAME, place.write)
    with pytest.raises(StateConflictError):
        place.write()
    assert place.gate.count("PUT", NAME) == 2


def test_the_same_first_bytes_by_another_writer_are_a_conflict(place: Place) -> None:
    first = fresh(EnvironmentName("production"))
    place.gate.meet("PUT", "/production.json", lambda: place.opened().write(first, None))
    with pytest.raises(StateConflictError):
        place.store.write(first, None)


def test_a_write_on_which_others_built_before_it_was_missed_is_found_to_be_ours(place: Place) -> None:
    def build_on_it() -> None:
        for _ in range(3):
            there = place.opened().read(STAGING)
            assert there is not None
            place.opened().write(there, there.serial)

    place.gate.meet("PUT", NAME, LOST, build_on_it)
    written = place.write()
    found = place.store.read(STAGING)
    assert found == replace(written, serial=5)


def test_who_wrote_long_ago_is_forgotten(place: Place) -> None:
    state = place.there
    for _ in range(20):
        state = place.store.write(state, state.serial)
    found = Bucket(address_of(place.address)).get("staging.json")
    assert found is not None
    assert len(found.writers) == 16


def test_a_document_that_is_deleted_in_between_is_a_conflict(place: Place) -> None:
    bucket = Bucket(address_of(place.address))
    place.gate.meet("PUT", NAME, lambda: bucket.delete("staging.json"))
    with pytest.raises(StateConflictError, match="nothing is there"):
        place.write()
    assert place.store.read(STAGING) is None


# --- what passes, and what does not ----------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", [BUSY, CONCURRENT, Deed(None), Deed("429 Too Many Requests"), Deed("500 Oh")])
def test_what_passes_is_waited_for(place: Place, deed: Deed) -> None:
    place.gate.meet("PUT", NAME, *[deed] * 3)
    written = place.write()
    assert place.store.read(STAGING) == written
    assert place.gate.count("PUT", NAME) == 4


def test_what_passes_is_waited_for_where_nothing_was(place: Place) -> None:
    place.gate.meet("PUT", "/production.json", CONCURRENT, CONCURRENT)
    assert place.store.write(fresh(EnvironmentName("production")), None).serial == 1


def test_a_conflict_without_anybody_ends(place: Place) -> None:
    place.gate.meet("PUT", NAME, CONCURRENT, always=True)
    expected = r"staging.json: cannot be written: the service says 409 Conflict ConditionalRequestConflict.*try again"
    with pytest.raises(StateUnwritableError, match=expected):
        place.write()
    assert place.gate.count("PUT", NAME) == TRIES * (1 + QUICK.retries)
    assert place.is_unchanged()


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (BUSY, "the service says 503 Service Unavailable SlowDown: the gate & its keeper; try again"),
        (Deed(None), "HTTP error"),
        (Deed("200 OK", late=LATE), "timeout"),
    ],
)
def test_what_does_not_pass_ends(place: Place, deed: Deed, said: str) -> None:
    place.be_hasty()
    place.gate.meet("PUT", NAME, deed, always=True)
    with pytest.raises(StateError, match=r"was not written: .*What was sent may still arrive") as caught:
        place.write()
    assert said in str(caught.value)
    assert str(caught.value).startswith("s3://states/teams/")
    assert "127.0.0.1" not in str(caught.value)
    assert place.is_unchanged()


def test_a_write_that_cannot_be_read_back_is_not_known(place: Place) -> None:
    place.gate.meet("PUT", NAME, LOST, DROPPED)
    place.gate.meet("GET", NAME, lambda: place.gate.meet("GET", NAME, BUSY, always=True))
    with pytest.raises(StateError, match=r"whether it was written is not known \(.*\): it cannot be read back: .*503"):
        place.write()
    place.gate.clear()
    found = place.store.read(STAGING)
    assert found is not None
    assert found.serial == 2


@pytest.mark.parametrize("deed", [BUSY, Deed(None), Deed("200 OK", late=LATE)])
def test_a_reader_waits_a_little_and_says_what_is_wrong(place: Place, deed: Deed) -> None:
    place.be_hasty()
    place.gate.meet("GET", NAME, deed)
    assert place.store.read(STAGING) == place.there
    place.gate.meet("GET", NAME, deed, always=True)
    with pytest.raises(StateError, match=r"staging.json: cannot be read: .*; try again"):
        place.store.read(STAGING)
    place.gate.meet("GET", "/states", deed, always=True)
    with pytest.raises(StateError, match=r"cannot be listed: .*; try again"):
        place.store.environments()
    assert place.is_unchanged()


def test_who_may_not_write_reads_and_never_probes(s3_service: Served) -> None:
    s3_service.gate.clear()
    place = Place(s3_service)
    s3_service.gate.meet("PUT", "", DENIED, always=True)
    reader = place.opened()
    assert reader.read(STAGING) == place.there
    assert reader.environments() == (STAGING,)
    assert place.gate.count("PUT") == 0
    with pytest.raises(StateUnwritableError, match=r"cannot be written: the service says 403 .*check the credentials"):
        place.write()
    assert place.gate.count("PUT") == 1
    assert place.is_unchanged()


def test_who_may_not_read_is_told_so_at_once(place: Place) -> None:
    place.gate.meet("GET", "", DENIED, always=True)
    for act in (lambda: place.store.read(STAGING), place.store.environments, place.write):
        with pytest.raises(StateError, match="the service says 403 Forbidden AccessDenied"):
            act()
    assert place.gate.count("GET") == 3
    assert place.gate.count("PUT") == 0


def test_a_session_that_has_expired_is_said(place: Place) -> None:
    place.gate.meet("GET", NAME, Deed("400 Bad Request", code="ExpiredToken"))
    with pytest.raises(StateError, match=r"400 Bad Request ExpiredToken.*check the credentials"):
        place.store.read(STAGING)


def test_a_bucket_that_is_not_there_is_no_empty_store(place: Place) -> None:
    store = open_store(place.address.replace("//states/", "//elsewhere/"), Path("/project"))
    for act in (lambda: store.read(STAGING), store.environments, lambda: store.write(fresh(), None)):
        with pytest.raises(StateError, match=r"NoSuchBucket.*create it, or correct `state`"):
            act()


def test_another_server_that_has_nothing_is_no_empty_store(place: Place) -> None:
    place.gate.meet("GET", NAME, Deed("404 Not Found", code="Oops"))
    with pytest.raises(StateError, match=r"404 Not Found Oops.*check the address and its options"):
        place.store.read(STAGING)


def test_a_service_that_nobody_reaches(place: Place) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    store = ObjectStore(Bucket(address_of(f"s3://states/x?endpoint=http://127.0.0.1:{port}&allow_http=true"), QUICK))
    with pytest.raises(StateError, match=r"s3://states/x/staging.json: cannot be read: HTTP error: .*\(connect\)"):
        store.read(STAGING)
    assert place.gate.asked == []


# --- what is there and cannot be used --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", CorruptStateError),
        (b'{"schema_version": 1, "environm', CorruptStateError),
        (b"[]", CorruptStateError),
        (b"\xff\xfe", CorruptStateError),
        (b'{"schema_version": 999}', FutureSchemaError),
    ],
)
def test_what_cannot_be_read_is_never_empty_and_never_replaced(
    place: Place, data: bytes, expected: type[StateError]
) -> None:
    bucket = Bucket(address_of(place.address))
    bucket.put("staging.json", data)
    for serial in (None, 1):
        with pytest.raises(expected, match=r"s3://states/teams/.*/staging.json"):
            place.store.write(place.there, serial)
    with pytest.raises(expected):
        place.store.read(STAGING)
    found = bucket.get("staging.json")
    assert found is not None
    assert found.data == data


def test_another_environments_document_is_refused(place: Place) -> None:
    bucket = Bucket(address_of(place.address))
    found = bucket.get("staging.json")
    assert found is not None
    bucket.put("production.json", found.data)
    for act in (
        lambda: place.store.read(EnvironmentName("production")),
        lambda: place.store.write(fresh(EnvironmentName("production")), 1),
    ):
        with pytest.raises(CorruptStateError, match="it is the state of environment 'staging'"):
            act()
