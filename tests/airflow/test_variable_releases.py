"""Kept sources in the Variables of a real Airflow."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import (
    CorruptReleaseError,
    MissingReleaseError,
    ReleaseError,
    ReleaseUnwritableError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.ports import ReleaseStore
from airflow_dbt_promotion.stores import open_releases
from airflow_dbt_promotion.stores.airflow_variables import at_hand, keys_of
from airflow_dbt_promotion.stores.blobs import MemoryBlobs
from airflow_dbt_promotion.stores.releases import BlobReleaseStore
from airflow_dbt_promotion.stores.variable_releases import MOST_TEXT, VariableReleases
from tests.airflow.variables import Interfered, a_prefix, in_a_task
from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand, ReleaseStoreContract, all_of, later

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("migrated")]


@pytest.fixture
def prefix() -> str:
    return a_prefix()


@pytest.fixture
def store(prefix: str, tmp_path: Path) -> ReleaseStore:
    return open_releases(f"airflow-variable://{prefix}", tmp_path)


class TestContract(ReleaseStoreContract):
    """From the command line, where Airflow's database is."""

    @pytest.fixture
    def store(self, prefix: str, tmp_path: Path) -> ReleaseStore:
        return open_releases(f"airflow-variable://{prefix}", tmp_path)


class TestContractInATask(ReleaseStoreContract):
    """What a task can do: all but deleting."""

    @pytest.fixture
    def store(self, prefix: str, tmp_path: Path) -> Iterator[ReleaseStore]:
        with in_a_task():
            yield open_releases(f"airflow-variable://{prefix}", tmp_path)

    def _deletes_nothing(self, store: ReleaseStore) -> None:
        release = store.keep(FilesAtHand(PROJECT), ABOUT)
        found = store.waste((), later())
        assert found.releases == (release,)
        with pytest.raises(ReleaseUnwritableError, match="a task cannot delete Variables safely"):
            store.remove(found)
        assert all_of(store, release) == PROJECT

    test_waste_is_what_no_needed_release_refers_to = _deletes_nothing
    test_files_that_only_waste_had_go_and_shared_ones_stay = _deletes_nothing
    test_a_new_release_holds_on_to_old_files_that_it_shares = _deletes_nothing


def text_of(prefix: str) -> tuple[str, str]:
    """Return the key and the value of the one release that is kept."""
    (key,) = keys_of(at_hand(), f"{prefix}:release:")
    value = at_hand().get(key)
    assert value is not None
    return key, value


def anew(prefix: str, tmp_path: Path) -> ReleaseStore:
    """Return the store as another process has it, which remembers nothing."""
    return open_releases(f"airflow-variable://{prefix}", tmp_path / "elsewhere")


def test_a_task_reads_what_the_command_line_kept_and_the_other_way(
    store: ReleaseStore, prefix: str, tmp_path: Path
) -> None:
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    with in_a_task():
        assert all_of(anew(prefix, tmp_path), release) == PROJECT
        second = anew(prefix, tmp_path).keep(FilesAtHand({**PROJECT, "a.sql": b"1"}), ABOUT)
    assert anew(prefix, tmp_path).has(second)


def test_a_file_is_found_by_whoever_did_not_ask_for_the_tree(store: ReleaseStore, prefix: str, tmp_path: Path) -> None:
    sources = FilesAtHand(PROJECT)
    store.keep(sources, ABOUT)
    store.keep(FilesAtHand({"a.sql": b"1"}), ABOUT)
    found = anew(prefix, tmp_path).read(sources.tree.files["models/orders.sql"], "models/orders.sql")
    assert found == b"select 1"


def test_a_person_sees_where_a_release_comes_from(store: ReleaseStore, prefix: str) -> None:
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    key, value = text_of(prefix)
    assert key == f"{prefix}:release:{release}"
    first = value.splitlines()[0]
    assert first.startswith("# airflow-dbt-promotion keeps sources here, do not edit it; {")
    assert '"commit":"c0ffee"' in first


def nothing_cached() -> ReleaseStore:
    return BlobReleaseStore(MemoryBlobs())


def flipped(value: str) -> str:
    """Return a value with the last bytes of its files changed."""
    head, _, packed = value.partition("\n")
    data = bytearray(base64.b64decode(packed))
    data[-8:] = bytes(8)
    return f"{head}\n{base64.b64encode(data).decode()}"


@pytest.mark.parametrize(
    "damage",
    [
        lambda value: value[:-40],
        lambda _: "",
        lambda _: "{}",
        lambda value: value.splitlines()[0],
        lambda value: value.replace('"format":1', '"format":2'),
        lambda value: value.replace("+00:00", "").replace("Z", ""),
        flipped,
    ],
)
def test_a_damaged_release_is_told_and_mended_by_keeping_it_again(
    store: ReleaseStore, prefix: str, tmp_path: Path, damage: Callable[[str], str]
) -> None:
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    key, value = text_of(prefix)
    at_hand().set(key, damage(value), "")
    other = anew(prefix, tmp_path)
    with pytest.raises(CorruptReleaseError, match=f"Airflow Variable {key}"):
        other.tree(release)
    assert other.waste((), later()).names == ()
    other.keep(FilesAtHand(PROJECT), ABOUT)
    assert all_of(anew(prefix, tmp_path), release) == PROJECT


def test_the_variable_of_another_release_is_told(store: ReleaseStore, prefix: str, tmp_path: Path) -> None:
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    key, value = text_of(prefix)
    wrong = f"{prefix}:release:{'0' * len(release)}"
    at_hand().set(wrong, value, "")
    with pytest.raises(CorruptReleaseError, match="is not what was kept"):
        anew(prefix, tmp_path).tree(type(release)("0" * len(release)))
    assert key != wrong


def test_what_is_kept_again_at_the_instant_of_its_deletion_stays(
    store: ReleaseStore, prefix: str, tmp_path: Path
) -> None:
    """The cleaner has looked at its age already; the Variable that it would delete is no longer the one it saw."""
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    found = store.waste((), later())

    class Late(Interfered):
        def delete(self, key: str, value: str) -> bool:
            anew(prefix, tmp_path).keep(FilesAtHand(PROJECT), ABOUT)
            return super().delete(key, value)

    VariableReleases(prefix, nothing_cached(), Late(lambda: None)).remove(found)
    assert all_of(anew(prefix, tmp_path), release) == PROJECT


def test_two_who_keep_the_same_at_the_same_instant_both_keep_it(prefix: str, tmp_path: Path) -> None:
    also = Interfered(lambda: anew(prefix, tmp_path).keep(FilesAtHand(PROJECT), ABOUT))
    release = VariableReleases(prefix, nothing_cached(), also).keep(FilesAtHand(PROJECT), ABOUT)
    assert all_of(anew(prefix, tmp_path), release) == PROJECT


def test_what_is_shadowed_is_not_kept(prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"AIRFLOW_VAR_{prefix}:release:{FilesAtHand(PROJECT).tree.id}".upper(), "mine")
    with pytest.raises(ReleaseUnwritableError, match="is not there when read back: a secrets backend"):
        anew(prefix, tmp_path).keep(FilesAtHand(PROJECT), ABOUT)


def test_what_airflow_could_not_read_is_not_taken_for_missing(store: ReleaseStore, prefix: str) -> None:
    release = store.keep(FilesAtHand(PROJECT), ABOUT)

    class Dumb(Interfered):
        def get(self, key: str) -> str | None:  # noqa: ARG002 - the port's
            return None

    with pytest.raises(ReleaseError, match="it is there, and Airflow does not give its value") as caught:
        VariableReleases(prefix, nothing_cached(), Dumb(lambda: None)).has(release)
    assert not isinstance(caught.value, MissingReleaseError)


def test_what_is_too_large_for_a_variable_goes_elsewhere(store: ReleaseStore, prefix: str, tmp_path: Path) -> None:
    large = FilesAtHand({**PROJECT, "seeds/noise.csv": os.urandom(MOST_TEXT * 3 // 4)})
    with pytest.raises(ReleaseUnwritableError, match=r"kept_paths in promotion\.yml, or keep sources elsewhere"):
        store.keep(large, ABOUT)
    elsewhere = open_releases(f"airflow-variable://{prefix}?releases=file%3A%2F%2F{tmp_path}/there", Path("/nowhere"))
    release = elsewhere.keep(large, ABOUT)
    assert (tmp_path / "there" / "releases" / "trees" / f"{release}.json").is_file()
    assert keys_of(at_hand(), prefix) == ()
    beside = open_releases(f"airflow-variable://{prefix}?releases=states", tmp_path)
    beside.keep(FilesAtHand(PROJECT), ABOUT)
    assert (tmp_path / "states" / "releases").is_dir()


def test_parses_lie_in_the_project(store: ReleaseStore, tmp_path: Path) -> None:
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    assert list(tmp_path.iterdir()) == []
    store.keep_parse(release, "key", {"manifest.json": b"{}"})
    store.keep_manifest(EnvironmentName("production"), b"{}")
    where = store.manifest(EnvironmentName("production"))
    assert where is not None
    assert Path(where).is_relative_to(tmp_path / "target" / "promotion_cache")
    found = store.waste((), datetime.now(tz=UTC))
    assert (found.releases, found.parses) == ((release,), 1)
