"""What every release store promises, as tests that each of them passes."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import CorruptReleaseError, MissingReleaseError, SourcesError
from airflow_dbt_promotion.core.identity import EnvironmentName, ReleaseId
from airflow_dbt_promotion.core.kept import Provenance, SourceTree
from airflow_dbt_promotion.core.ports import ReleaseStore

NOON = datetime(2026, 7, 24, 12, tzinfo=UTC)
ABOUT = Provenance(kept_at=NOON, dbt_version="1.11.16", adapter_type="duckdb", commit="c0ffee")
PROJECT: Mapping[str, bytes] = {
    "dbt_project.yml": b"name: shop\n",
    "models/orders.sql": b"select 1",
    "models/marts/ä b.sql": "select 'ü'".encode(),
    "models/empty.sql": b"",
    "seeds/big.csv": bytes(range(256)) * 20_000,
    "dbt_packages/tools/macros/same.sql": b"select 1",
}


def later() -> datetime:
    """Return an instant by which everything that was written is old."""
    return datetime.now(tz=UTC) + timedelta(hours=1)


class FilesAtHand:
    """Sources in memory; `reads` are the paths that were asked for, what is in `gone` cannot be read."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """Take the files."""
        self.files, self.reads = dict(files), list[str]()
        self.tree = SourceTree({path: hashlib.sha256(data).hexdigest() for path, data in files.items()})
        self.broken: str | None = None

    def read(self, path: str) -> bytes:
        """Return a file."""
        self.reads.append(path)
        if path == self.broken:
            raise SourcesError(path, "is gone")
        return self.files[path]


def all_of(store: ReleaseStore, release: ReleaseId) -> dict[str, bytes]:
    """Return every file of a release."""
    return {path: store.read(digest, path) for path, digest in store.tree(release).files.items()}


class ReleaseStoreContract:
    """Every release store passes these; `store` is empty."""

    @pytest.fixture
    def store(self) -> ReleaseStore:
        """Return the store."""
        raise NotImplementedError

    def test_what_is_kept_comes_back_byte_by_byte(self, store: ReleaseStore) -> None:
        sources = FilesAtHand(PROJECT)
        release = store.keep(sources, ABOUT)
        assert release == sources.tree.id
        assert store.has(release)
        assert store.tree(release) == sources.tree
        assert all_of(store, release) == PROJECT
        assert store.provenance(release) == ABOUT

    def test_keeping_again_reads_nothing_and_changes_nothing(self, store: ReleaseStore) -> None:
        store.keep(FilesAtHand(PROJECT), ABOUT)
        again = FilesAtHand(PROJECT)
        release = store.keep(again, Provenance(kept_at=NOON + timedelta(days=1)))
        assert again.reads == []
        assert store.provenance(release) == ABOUT

    def test_an_edit_reads_the_edited_file_alone(self, store: ReleaseStore) -> None:
        first = store.keep(FilesAtHand(PROJECT), ABOUT)
        edited = FilesAtHand({**PROJECT, "models/orders.sql": b"select 2"})
        second = store.keep(edited, ABOUT)
        assert edited.reads == ["models/orders.sql"]
        assert all_of(store, first) == PROJECT
        assert all_of(store, second) == edited.files

    def test_nothing_is_there_before_it_is_kept(self, store: ReleaseStore) -> None:
        release = FilesAtHand(PROJECT).tree.id
        assert not store.has(release)
        for asked in (store.tree, store.provenance):
            with pytest.raises(MissingReleaseError, match=f"release {release[:8]} is not kept"):
                asked(release)
        with pytest.raises(MissingReleaseError, match=r"models/orders\.sql"):
            store.read("0" * 64, "models/orders.sql")
        assert store.parse(release, "key") is None

    @pytest.mark.parametrize(
        "change",
        [lambda s: setattr(s, "broken", "seeds/big.csv"), lambda s: s.files.update({"dbt_project.yml": b"x"})],
    )
    def test_what_cannot_be_kept_whole_is_not_kept(
        self, store: ReleaseStore, change: Callable[[FilesAtHand], None]
    ) -> None:
        sources = FilesAtHand(PROJECT)
        change(sources)
        with pytest.raises(SourcesError):
            store.keep(sources, ABOUT)
        assert not store.has(sources.tree.id)
        assert all_of(store, store.keep(FilesAtHand(PROJECT), ABOUT)) == PROJECT

    def test_a_parse_is_cached_by_release_and_key(self, store: ReleaseStore) -> None:
        release = store.keep(FilesAtHand(PROJECT), ABOUT)
        files = {"manifest.json": b"{}", "partial_parse.msgpack": bytes(range(256))}
        store.keep_parse(release, "production-1", files)
        assert store.parse(release, "production-1") == files
        assert store.parse(release, "staging-1") is None
        store.keep_parse(release, "production-1", {"manifest.json": b"[]"})
        assert store.parse(release, "production-1") == {"manifest.json": b"[]"}

    def test_the_manifest_of_what_an_environment_runs_is_no_waste(self, store: ReleaseStore) -> None:
        production = EnvironmentName("production")
        assert store.manifest(production) is None
        for content in (b"{}", b"[]"):
            store.keep_manifest(production, content)
        where = store.manifest(production)
        assert where is None or Path(where).read_bytes() == b"[]"
        assert store.waste((), later()).names == ()

    def test_waste_is_what_no_needed_release_refers_to(self, store: ReleaseStore) -> None:
        first = store.keep(FilesAtHand(PROJECT), ABOUT)
        edited = {**PROJECT, "models/orders.sql": b"select 2"}
        second = store.keep(FilesAtHand(edited), ABOUT)
        for release in (first, second):
            store.keep_parse(release, "key", {"manifest.json": b"{}"})
        assert store.waste({first, second}, later()).names == ()
        found = store.waste({second}, later())
        assert (found.releases, found.blobs, found.parses) == ((first,), 0, 1)
        assert found.bytes > 0
        store.remove(found)
        assert not store.has(first)
        assert store.parse(first, "key") is None
        assert all_of(store, second) == edited
        assert store.waste({second}, later()).names == ()
        store.remove(found)

    def test_files_that_only_waste_had_go_and_shared_ones_stay(self, store: ReleaseStore) -> None:
        first = store.keep(FilesAtHand(PROJECT), ABOUT)
        other = {"dbt_project.yml": b"name: shop\n", "models/a.sql": b"only here"}
        second = store.keep(FilesAtHand(other), ABOUT)
        found = store.waste({first}, later())
        assert (found.releases, found.blobs) == ((second,), 1)
        store.remove(found)
        assert all_of(store, first) == PROJECT

    def test_what_was_just_written_or_touched_is_no_waste(self, store: ReleaseStore) -> None:
        store.keep(FilesAtHand(PROJECT), ABOUT)
        assert store.waste((), datetime.now(tz=UTC) - timedelta(hours=1)).names == ()

    def test_what_somebody_keeps_again_meanwhile_stays_whole(self, store: ReleaseStore) -> None:
        store.keep(FilesAtHand(PROJECT), ABOUT)
        # The clock of a file system may lag by some milliseconds.
        time.sleep(0.05)
        found = store.waste((), datetime.now(tz=UTC))
        assert found.names != ()
        time.sleep(0.05)
        release = store.keep(FilesAtHand(PROJECT), ABOUT)
        store.remove(found)
        assert all_of(store, release) == PROJECT

    def test_what_was_kept_again_before_the_question_stays_whole(self, store: ReleaseStore) -> None:
        # Somebody keeps once more what was waste, and has not told any document yet.
        store.keep(FilesAtHand(PROJECT), ABOUT)
        time.sleep(0.05)
        before = datetime.now(tz=UTC)
        time.sleep(0.05)
        release = store.keep(FilesAtHand(PROJECT), ABOUT)
        store.remove(store.waste((), before))
        assert all_of(store, release) == PROJECT

    def test_a_new_release_holds_on_to_old_files_that_it_shares(self, store: ReleaseStore) -> None:
        store.keep(FilesAtHand(PROJECT), ABOUT)
        time.sleep(0.05)
        found = store.waste((), datetime.now(tz=UTC))
        time.sleep(0.05)
        edited = {**PROJECT, "models/orders.sql": b"select 2"}
        release = store.keep(FilesAtHand(edited), ABOUT)
        store.remove(found)
        assert all_of(store, release) == edited

    def test_a_release_that_is_needed_but_gone_hides_no_waste(self, store: ReleaseStore) -> None:
        release = store.keep(FilesAtHand(PROJECT), ABOUT)
        assert store.waste({ReleaseId("f" * 32)}, later()).releases == (release,)

    def test_a_file_is_not_taken_for_another(self, store: ReleaseStore) -> None:
        store.keep(FilesAtHand(PROJECT), ABOUT)
        with pytest.raises((MissingReleaseError, CorruptReleaseError)):
            store.read(hashlib.sha256(b"select 3").hexdigest(), "models/orders.sql")
