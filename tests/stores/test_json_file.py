"""The store of JSON files passes the contract, and stands what real disks and real people do to it."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from filelock import FileLock
from msgspec.structs import replace

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.errors import (
    CorruptStateError,
    FutureSchemaError,
    StateError,
    StateUnwritableError,
)
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.stores import durable, json_file
from airflow_dbt_promotion.stores.agreement import risen
from airflow_dbt_promotion.stores.json_file import JsonFileStore
from tests.stores.contract import PATIENCE, PRODUCTION, REPOSITORY, STAGING, SharedStoreContract, entries, fresh
from tests.stores.promoting import prepare, successes


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "project" / "target" / "promotion_states"


@pytest.fixture
def store(root: Path) -> JsonFileStore:
    return JsonFileStore(root)


class TestJsonFileStore(SharedStoreContract):
    @pytest.fixture
    def address(self, root: Path) -> str:
        return str(root)


# --- what lies on the disk --------------------------------------------------------------------------------------------


def test_reading_makes_nothing(store: JsonFileStore, tmp_path: Path) -> None:
    assert store.read(STAGING) is None
    assert store.warnings() == ()
    assert list(tmp_path.iterdir()) == []


def test_a_refused_first_write_makes_no_document(store: JsonFileStore, root: Path) -> None:
    with pytest.raises(StateError):
        store.write(fresh(), 3)
    assert not list(root.glob("*.json"))


def test_one_document_an_environment(store: JsonFileStore, root: Path) -> None:
    store.write(fresh(), None)
    store.write(fresh(PRODUCTION), None)
    assert sorted(path.name for path in root.glob("*.json")) == ["production.json", "staging.json"]
    assert all(path.name.startswith(".") for path in root.iterdir() if path.suffix != ".json")
    assert not list(root.glob(".*.tmp"))
    assert not list(root.glob(".*.owner"))
    assert json.loads((root / "staging.json").read_text(encoding="utf-8"))["serial"] == 1


def test_what_the_dead_left_behind_is_cleared_away(store: JsonFileStore, root: Path) -> None:
    written = store.write(fresh(), None)
    leftover, of_another = root / ".staging.json.0badf00d.tmp", root / ".production.json.0badf00d.tmp"
    leftover.write_bytes(b"half a docu")
    of_another.write_bytes(b"somebody may be writing this")
    store.write(written, written.serial)
    assert not leftover.exists()
    assert of_another.exists()


def test_the_mode_follows_the_umask_and_then_the_file(store: JsonFileStore, root: Path) -> None:
    before = os.umask(0o027)
    try:
        written = store.write(fresh(), None)
        path = root / "staging.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
        path.chmod(0o664)
        store.write(written, written.serial)
        assert stat.S_IMODE(path.stat().st_mode) == 0o664
    finally:
        os.umask(before)


def test_a_root_behind_a_link(tmp_path: Path, root: Path) -> None:
    link = tmp_path / "link"
    root.mkdir(parents=True)
    link.symlink_to(root)
    written = JsonFileStore(link).write(fresh(), None)
    assert JsonFileStore(root).read(STAGING) == written
    assert JsonFileStore(root).write(written, 1) == JsonFileStore(link).read(STAGING)


def test_a_document_behind_a_link_stays_there(store: JsonFileStore, root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "the [real] one.json"
    elsewhere.parent.mkdir()
    written = store.write(fresh(), None)
    (root / "staging.json").rename(elsewhere)
    (root / "staging.json").symlink_to(elsewhere)
    again = store.write(written, written.serial)
    assert (root / "staging.json").is_symlink()
    assert store.read(STAGING) == again
    assert json.loads(elsewhere.read_bytes())["serial"] == 2


def test_a_link_to_nothing_is_not_an_empty_state(store: JsonFileStore, root: Path, tmp_path: Path) -> None:
    root.mkdir(parents=True)
    (root / "staging.json").symlink_to(tmp_path / "not mounted" / "staging.json")
    with pytest.raises(StateError, match="not there"):
        store.read(STAGING)
    with pytest.raises(StateError, match="not there"):
        store.write(fresh(), None)


def test_a_ring_of_links_is_an_error(root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.symlink_to(root)
    store = JsonFileStore(root, (root.parent,))
    with pytest.raises(StateError):
        store.read(STAGING)
    with pytest.raises(StateError):
        store.write(fresh(), None)
    assert isinstance(store.warnings(), tuple)


# --- what cannot be read ----------------------------------------------------------------------------------------------

Damage = Callable[[Path], object]


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda path: path.write_bytes(b""), CorruptStateError),
        (lambda path: path.write_bytes(path.read_bytes()[:-40]), CorruptStateError),
        (lambda path: os.truncate(path, 1), CorruptStateError),
        (lambda path: path.write_bytes(bytes(4096)), CorruptStateError),
        (lambda path: path.write_text("not: json"), CorruptStateError),
        (lambda path: path.write_bytes(path.read_bytes().replace(b"staging", b"production")), CorruptStateError),
        (
            lambda path: path.write_bytes(path.read_bytes().replace(b'"schema_version": ', b'"schema_version": 9')),
            FutureSchemaError,
        ),
        (lambda path: (path.unlink(), path.mkdir()), StateError),
    ],
)
@pytest.mark.parametrize("expected", [None, 1])
def test_what_is_damaged_is_an_error_and_is_never_overwritten(
    store: JsonFileStore, root: Path, damage: Damage, error: type[StateError], expected: int | None
) -> None:
    written = store.write(fresh(current=entries(2)), None)
    path = root / "staging.json"
    damage(path)
    left = path.read_bytes() if path.is_file() else None
    with pytest.raises(error, match=r"staging\.json"):
        store.read(STAGING)
    with pytest.raises(error, match=r"staging\.json"):
        store.write(written, expected)
    assert (path.read_bytes() if path.is_file() else None) == left
    assert not list(root.glob(".*.tmp"))


def test_a_document_put_under_another_name_is_an_error(store: JsonFileStore, root: Path) -> None:
    store.write(fresh(), None)
    shutil.copy(root / "staging.json", root / "production.json")
    with pytest.raises(CorruptStateError, match="'staging', not of 'production'"):
        store.read(PRODUCTION)


# --- what cannot be written -------------------------------------------------------------------------------------------


def test_a_root_that_is_a_file(root: Path) -> None:
    root.parent.mkdir(parents=True)
    root.write_text("mine", encoding="utf-8")
    store = JsonFileStore(root)
    with pytest.raises(StateError, match="Not a directory"):
        store.read(STAGING)
    with pytest.raises(StateUnwritableError, match="File exists"):
        store.write(fresh(), None)
    assert root.read_text(encoding="utf-8") == "mine"


def test_a_root_below_a_file(root: Path) -> None:
    root.parent.parent.mkdir(parents=True)
    root.parent.write_text("mine", encoding="utf-8")
    with pytest.raises(StateUnwritableError):
        JsonFileStore(root).write(fresh(), None)


@pytest.mark.parametrize("root", [Path("/proc/promotion_states"), Path("/dev/full")])
def test_a_root_where_nothing_can_be_made(root: Path) -> None:
    """Even root cannot make a folder in /proc."""
    store = JsonFileStore(root)
    with pytest.raises(StateUnwritableError, match=r"staging\.json"):
        store.write(fresh(), None)


def test_a_lock_file_that_is_a_folder(store: JsonFileStore, root: Path) -> None:
    (root / ".staging.json.lock").mkdir(parents=True)
    with pytest.raises(StateUnwritableError, match="Is a directory"):
        store.write(fresh(), None)
    assert store.read(STAGING) is None


def run(program: str, root: Path) -> str:
    """Run a program on a folder in a process of its own and return what it said."""
    done = subprocess.run(
        [sys.executable, "-c", program, str(root)],
        check=True,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    return done.stdout


_FULL = """
import resource, signal, sys
from pathlib import Path
from airflow_dbt_promotion.core.errors import StateUnwritableError
from airflow_dbt_promotion.stores.json_file import JsonFileStore
from msgspec.structs import replace
store = JsonFileStore(Path(sys.argv[1]))
state = store.read("staging")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    store.write(state, state.serial)
except StateUnwritableError as error:
    print(error)
assert store.read("staging") == state
"""


def test_a_disk_that_is_full_leaves_what_was_there(store: JsonFileStore, root: Path) -> None:
    """The kernel refuses to write on after 4 KiB, as it does on a full disk."""
    written = store.write(fresh(current=entries(100)), None)
    assert "cannot be written: File too large" in run(_FULL, root)
    assert store.read(STAGING) == written
    assert not list(root.glob(".*.tmp"))
    assert store.write(written, written.serial).serial == 2


_NOBODY = """
import os, sys
from pathlib import Path
from airflow_dbt_promotion.core.errors import StateUnwritableError
from airflow_dbt_promotion.stores.json_file import JsonFileStore
store = JsonFileStore(Path(sys.argv[1]))
if os.geteuid() == 0:  # nothing is forbidden to root
    os.setuid(65534)
state = store.read("staging")
try:
    store.write(state, state.serial)
except StateUnwritableError as error:
    print(error)
assert store.read("staging") == state
"""


def test_a_root_that_is_read_only() -> None:
    with TemporaryDirectory() as folder:  # pytest's own is closed to everybody else
        root = Path(folder)
        store = JsonFileStore(root)
        written = store.write(fresh(), None)
        root.chmod(0o555)
        told = run(_NOBODY, root)
        assert told.count("Permission denied") == 1
        assert store.read(STAGING) == written


def test_what_cannot_be_written_down_leaves_what_was_there(store: JsonFileStore) -> None:
    written = store.write(fresh(), None)
    with pytest.raises(CorruptStateError, match="not written"):
        store.write(replace(written, lineage=""), written.serial)
    assert store.read(STAGING) == written


def test_folders_deleted_meanwhile_are_made_again(store: JsonFileStore, root: Path) -> None:
    """`dbt clean` between two writes: the second is a conflict, a first one makes all anew."""
    written: EnvironmentState = store.write(fresh(), None)
    shutil.rmtree(root.parent)
    with pytest.raises(StateError, match="nothing is there"):
        store.write(written, written.serial)
    assert store.write(written, None).serial == written.serial + 1


def test_a_writer_that_never_ends(store: JsonFileStore, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_file, "WRITE_TIMEOUT", 0.1)
    written = store.write(fresh(), None)
    with FileLock(root / ".staging.json.lock"):
        with pytest.raises(StateUnwritableError, match="held this lock"):
            store.write(written, written.serial)
        assert store.read(STAGING) == written


def test_a_place_that_is_taken_keeps_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "taken" / "by").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        durable.replace_file(tmp_path / "taken", b"data")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


# --- warnings ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endangered", "warned"),
    [
        (["target"], True),
        (["target/promotion_states"], True),
        (["."], True),
        (["logs", "target"], True),
        (["logs"], False),
        (["targe"], False),
        (["target/promotion_states/deeper"], False),
        ([], False),
    ],
)
def test_a_root_that_dbt_clean_would_delete(root: Path, endangered: list[str], warned: bool) -> None:
    project = root.parent.parent
    store = JsonFileStore(root, tuple(project / name for name in endangered))
    found = store.warnings()
    assert bool(found) is warned
    assert all("dbt clean" in warning and str(root) in warning for warning in found)


def test_a_root_that_leads_into_an_endangered_folder(tmp_path: Path, root: Path) -> None:
    root.mkdir(parents=True)
    link = tmp_path / "states"
    link.symlink_to(root)
    assert JsonFileStore(link, (root.parent,)).warnings()


def test_what_is_no_document_of_an_environment_is_not_listed(tmp_path: Path) -> None:
    for name in ("no name.json", ".hidden.json", "staging.json.lock", "README.md"):
        (tmp_path / name).write_text("{}")
    assert JsonFileStore(tmp_path).environments() == ()
    assert JsonFileStore(tmp_path / "nowhere").environments() == ()


# --- a store that can lose --------------------------------------------------------------------------------------------


class NaiveStore(JsonFileStore):
    """A store that reads, and then writes, as scripts do: whole documents, but nobody asks what is there meanwhile."""

    def write(self, state: EnvironmentState, expected_serial: int | None) -> EnvironmentState:
        written = risen(state, expected_serial)
        time.sleep(0.001)
        durable.replace_file(self.root / f"{state.environment}.json", codec.encode(written))
        return written


def test_a_store_without_compare_and_set_loses_promotions_and_the_count_sees_it(root: Path) -> None:
    """What the contract's test of many processes counts is something that can be lost."""
    prepare(JsonFileStore(root), 4)
    script = f"""
from pathlib import Path
from tests.stores.promoting import fork
from tests.stores.test_json_file import NaiveStore
fork(lambda: NaiveStore(Path({str(root)!r})), 4, 20)
"""
    subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    state = JsonFileStore(root).read(PRODUCTION)
    assert state is not None
    assert sum(successes(state).values()) < 4 * 20
