"""Kept sources in object storage: the contract, few requests, and what somebody holds stays."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from airflow_dbt_promotion.core.errors import CorruptReleaseError, ReleaseError, ReleaseUnwritableError
from airflow_dbt_promotion.core.identity import EnvironmentName, ReleaseId
from airflow_dbt_promotion.core.ports import ReleaseStore
from airflow_dbt_promotion.stores import object_blobs, open_releases, open_store
from airflow_dbt_promotion.stores.bucket import Bucket
from airflow_dbt_promotion.stores.object_address import address_of
from airflow_dbt_promotion.stores.object_blobs import ObjectBlobs
from airflow_dbt_promotion.stores.releases import BlobReleaseStore
from tests.stores.contract import STAGING, fresh
from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand, ReleaseStoreContract, all_of, later
from tests.stores.s3 import BUSY, DENIED, Deed, Served
from tests.stores.test_object_faults import QUICK
from tests.stores.test_object_store import address_in

pytestmark = pytest.mark.usefixtures("ambient")

MANY = {f"models/area_{number % 7}/m{number}.sql": f"select {number}".encode() for number in range(120)}


@pytest.fixture
def address(s3_service: Served) -> str:
    s3_service.gate.clear()
    return address_in(s3_service)


@pytest.fixture
def store(address: str) -> ReleaseStore:
    return open_releases(address, Path("/project"))


@pytest.fixture
def bucket(address: str) -> Bucket:
    return Bucket(address_of(address), QUICK)


class TestReleasesInS3(ReleaseStoreContract):
    @pytest.fixture
    def store(self, address: str) -> ReleaseStore:
        return open_releases(address, Path("/project"))


def test_sources_lie_beside_the_state_and_are_no_environment(address: str, store: ReleaseStore, bucket: Bucket) -> None:
    states = open_store(address, Path("/project"))
    states.write(fresh(), None)
    store.keep(FilesAtHand(PROJECT), ABOUT)
    assert states.environments() == (STAGING,)
    assert {one.name.split("/")[1] for one in bucket.names("releases")} == {"trees", "folders", "files", "holds"}


def test_a_manifest_in_a_bucket_is_no_file_and_asks_nobody(store: ReleaseStore, s3_service: Served) -> None:
    store.keep_manifest(EnvironmentName("staging"), b"{}")
    s3_service.gate.clear()
    assert store.manifest(EnvironmentName("staging")) is None
    assert s3_service.gate.asked == []


def test_a_manifest_is_replaced(store: ReleaseStore, bucket: Bucket) -> None:
    for manifest in (b"{}", b'{"nodes": {}}'):
        store.keep_manifest(EnvironmentName("staging"), manifest)
    found = bucket.get("releases/served/staging/manifest.json")
    assert found is not None
    assert found.data == b'{"nodes": {}}'


def test_many_files_that_are_there_cost_a_few_requests(store: ReleaseStore, s3_service: Served) -> None:
    release = store.keep(FilesAtHand(MANY), ABOUT)
    assert s3_service.gate.count("PUT") > len(MANY)
    s3_service.gate.clear()
    assert store.keep(FilesAtHand(MANY), ABOUT) == release
    assert len(s3_service.gate.asked) < 10
    assert s3_service.gate.count("PUT") == 1
    s3_service.gate.clear()
    edited = FilesAtHand({**MANY, "models/area_1/m1.sql": b"select 'edited'"})
    assert all_of(store, store.keep(edited, ABOUT)) == edited.files
    assert s3_service.gate.count("PUT") == 1 + 1 + 3 + 1  # the hold, the file, the folders above it, the tree


def test_several_are_written_at_once_and_never_all(bucket: Bucket, s3_service: Served) -> None:
    """Blobs are made one by one as they can be written, so that they need not fit into memory."""
    made, written, ahead = 0, 0, list[int]()
    most = threading.Lock()

    def count() -> None:
        nonlocal written
        with most:
            written += 1

    for _ in range(100):
        s3_service.gate.meet("PUT", ".zst", count)

    def make() -> object:
        nonlocal made
        for number in range(100):
            made += 1
            ahead.append(made - written)
            yield f"files/ab/{number}.zst", b"x"

    ObjectBlobs(bucket).write(make())  # type: ignore[arg-type] # a generator, as an object
    assert len(list(bucket.names("releases/files"))) == 100
    assert max(ahead) <= 2 * 16 + 1


def test_a_hold_of_others_is_seen_by_whoever_deletes(bucket: Bucket, address: str) -> None:
    ours, theirs = ObjectBlobs(bucket), ObjectBlobs(Bucket(address_of(address)))
    names = [f"files/ab/{number}.zst" for number in range(100)]
    ours.write((name, b"x") for name in names)
    time.sleep(0.05)
    before = time.time()
    assert theirs.hold([*names[:70], "files/cd/new.zst"]) == set(names[:70])
    assert theirs.hold(names[70:80]) == set(names[70:80])
    ours.delete_all(names, before)
    assert {one.name for one in ours.names("files")} == set(names[:80])
    assert not ours.delete(names[0], before)
    assert ours.delete(names[0], time.time() + 2)
    assert ours.delete(names[0], time.time() + 2)
    assert {one.name for one in theirs.names("files")} == set(names[1:80])


def test_what_is_held_has_been_touched(bucket: Bucket) -> None:
    blobs = ObjectBlobs(bucket)
    blobs.write([("files/ab/x.zst", b"x"), ("files/ab/y.zst", b"y")])
    while time.time() % 1 < 0.5:  # the service tells the second, and no more
        time.sleep(0.01)
    held_at = time.time()
    blobs.hold(["files/ab/x.zst"])
    touched = {one.name[-5]: one.touched for one in blobs.names("files")}
    assert touched["x"] >= held_at - 0.001
    assert touched["y"] <= held_at


def test_a_clock_that_is_ahead_holds_for_no_longer(bucket: Bucket) -> None:
    blobs = ObjectBlobs(bucket)
    blobs.write([("files/ab/x.zst", b"x")])
    bucket.put("releases/holds/4070908800000-ab", zstandard.compress(b"files/ab/x.zst"))  # by a clock of 2099
    (found,) = blobs.names("files")
    assert found.touched < time.time() + 2


def test_old_holds_are_swept_away(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    blobs = ObjectBlobs(bucket)
    blobs.hold(["files/ab/x.zst"])
    blobs.hold(["files/ab/y.zst"])
    assert len(list(bucket.names("releases/holds"))) == 2
    monkeypatch.setattr(object_blobs, "_HELD", -2.0)
    blobs.hold(["files/ab/z.zst"])
    assert list(bucket.names("releases/holds")) == []


def test_a_damaged_hold_stops_who_deletes(bucket: Bucket) -> None:
    blobs = ObjectBlobs(bucket)
    blobs.write([("files/ab/x.zst", b"x")])
    bucket.put("releases/holds/1-ab", b"damaged")
    with pytest.raises(ReleaseError, match=r"holds/1-ab: is damaged.*delete it"):
        blobs.delete("files/ab/x.zst", time.time() + 2)
    assert blobs.read("files/ab/x.zst") == b"x"


def test_a_cache_is_written_anew_once_a_day(
    bucket: Bucket, s3_service: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    blobs = ObjectBlobs(bucket)
    blobs.write([("parses/ab/k.zst", b"x")])
    s3_service.gate.clear()
    assert blobs.touch("parses/ab/k.zst")
    assert s3_service.gate.count("PUT") == 0
    monkeypatch.setattr(object_blobs, "_FRESH", -2.0)
    assert blobs.touch("parses/ab/k.zst")
    assert s3_service.gate.count("PUT", "k.zst") == 1
    assert not blobs.touch("parses/ab/gone.zst")
    s3_service.gate.meet("PUT", "", DENIED, always=True)
    assert blobs.touch("parses/ab/k.zst")


# --- what services say ------------------------------------------------------------------------------------------------


def test_who_may_only_read_keeps_what_is_there_and_nothing_else(store: ReleaseStore, s3_service: Served) -> None:
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    s3_service.gate.meet("PUT", "", DENIED, always=True)
    assert store.keep(FilesAtHand(PROJECT), ABOUT) == release
    with pytest.raises(ReleaseUnwritableError, match=r"releases: kept sources cannot be written there: .*403"):
        store.keep(FilesAtHand({**PROJECT, "a.sql": b"new"}), ABOUT)
    store.keep_parse(release, "key", {"manifest.json": b"{}"})
    store.keep_manifest(EnvironmentName("staging"), b"{}")
    assert store.parse(release, "key") is None
    assert all_of(store, release) == PROJECT


@pytest.mark.parametrize("deed", [BUSY, Deed(None)])
def test_what_passes_is_waited_for(bucket: Bucket, s3_service: Served, deed: Deed) -> None:
    store = BlobReleaseStore(ObjectBlobs(bucket))
    for method in ("PUT", "GET", "HEAD"):
        s3_service.gate.meet(method, "", deed)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    assert all_of(store, release) == PROJECT


def test_a_write_that_fails_leaves_no_tree(bucket: Bucket, s3_service: Served) -> None:
    store = BlobReleaseStore(ObjectBlobs(bucket))
    s3_service.gate.meet("PUT", ".zst", *[lambda: None] * 3, *[BUSY] * 100)
    with pytest.raises(ReleaseUnwritableError, match=r"503 .*try again, when the service"):
        store.keep(FilesAtHand(MANY), ABOUT)
    assert list(bucket.names("releases/trees")) == []
    s3_service.gate.clear()
    assert all_of(store, store.keep(FilesAtHand(MANY), ABOUT)) == MANY


def test_what_cannot_be_looked_at_is_an_error_and_not_gone(bucket: Bucket, s3_service: Served) -> None:
    store = BlobReleaseStore(ObjectBlobs(bucket))
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    s3_service.gate.meet("GET", "", BUSY, always=True)
    s3_service.gate.meet("HEAD", "", BUSY, always=True)
    for act in (
        lambda: store.has(release),
        lambda: store.tree(release),
        lambda: store.keep(FilesAtHand(PROJECT), ABOUT),
        lambda: store.waste((), later()),
    ):
        with pytest.raises(ReleaseError, match="503"):
            act()
    assert store.parse(release, "key") is None
    s3_service.gate.clear()
    found = store.waste((), later())
    s3_service.gate.meet("HEAD", "", BUSY, always=True)
    with pytest.raises(ReleaseUnwritableError, match="503"):
        store.remove(found)
    s3_service.gate.clear()
    assert all_of(store, release) == PROJECT


def test_a_bucket_that_is_not_there(address: str) -> None:
    store = open_releases(address.replace("//states/", "//elsewhere/"), Path("/project"))
    with pytest.raises(ReleaseError, match="NoSuchBucket"):
        store.has(ReleaseId("0" * 32))
    with pytest.raises(ReleaseUnwritableError, match="NoSuchBucket"):
        store.keep(FilesAtHand(PROJECT), ABOUT)


def test_what_was_changed_in_the_bucket_is_not_given_out(store: ReleaseStore, bucket: Bucket) -> None:
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    for one in list(bucket.names("releases/files")):
        bucket.put(one.name, b"changed")
    with pytest.raises(CorruptReleaseError, match=r"s3://states/teams/.*/releases/files/.*damaged"):
        all_of(store, release)


def test_cleaning_lets_go_of_much_and_of_nothing_else(store: ReleaseStore, bucket: Bucket) -> None:
    wasted = store.keep(FilesAtHand(MANY), ABOUT)
    needed = store.keep(FilesAtHand(PROJECT), ABOUT)
    found = store.waste({needed}, datetime.now(tz=UTC) + timedelta(seconds=5))
    assert found.releases == (wasted,)
    store.remove(found)
    assert not store.has(wasted)
    assert all_of(store, needed) == PROJECT
    assert len(list(bucket.names("releases/files"))) == len(set(PROJECT.values()))
