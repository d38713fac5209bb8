"""Release stores: in memory, and in files that can be damaged, full, or written by several at once."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import zstandard

from airflow_dbt_promotion.core.errors import (
    ConfigError,
    CorruptReleaseError,
    MissingReleaseError,
    ReleaseUnwritableError,
)
from airflow_dbt_promotion.core.kept import Waste
from airflow_dbt_promotion.core.ports import ReleaseStore
from airflow_dbt_promotion.stores import open_releases
from airflow_dbt_promotion.stores.blobs import FileBlobs
from airflow_dbt_promotion.stores.releases import BlobReleaseStore
from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand, ReleaseStoreContract, all_of, later


class TestMemory(ReleaseStoreContract):
    """The store in memory."""

    @pytest.fixture
    def store(self) -> ReleaseStore:
        """Return an empty store."""
        return open_releases("memory://here", Path())


class TestFiles(ReleaseStoreContract):
    """The store in files."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> ReleaseStore:
        """Return an empty store."""
        return open_releases("states", tmp_path)


def in_files(folder: Path) -> BlobReleaseStore:
    return BlobReleaseStore(FileBlobs(folder / "releases"))


def file_of(folder: Path, path: str) -> Path:
    """Return where one file of the project is kept."""
    digest = hashlib.sha256(PROJECT[path]).hexdigest()
    return folder / "releases" / "files" / digest[:2] / f"{digest[2:]}.zst"


def run_python(code: str, folder: Path) -> str:
    """Return what a program printed that was given a folder."""
    ran = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(ran, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True).stdout


def all_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_the_place_is_beside_the_state(tmp_path: Path) -> None:
    open_releases("states", tmp_path).keep(FilesAtHand(PROJECT), ABOUT)
    assert {path.name for path in (tmp_path / "states" / "releases").iterdir()} == {"trees", "folders", "files"}
    with pytest.raises(ConfigError, match="no store for 's4'"):
        open_releases("s4://bucket", tmp_path)


def test_reading_creates_nothing(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    assert not store.has(FilesAtHand(PROJECT).tree.id)
    assert store.parse(FilesAtHand(PROJECT).tree.id, "key") is None
    assert store.waste((), later()).names == ()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (lambda path: path.unlink(), MissingReleaseError, "are not there"),
        (lambda path: path.write_bytes(path.read_bytes()[:-8]), CorruptReleaseError, "damaged|changed"),
        (lambda path: path.write_bytes(b""), CorruptReleaseError, "damaged|changed"),
        (lambda path: path.write_bytes(b"select 2"), CorruptReleaseError, "damaged"),
        (lambda path: path.write_bytes(zstandard.compress(b"select 2")), CorruptReleaseError, "were changed"),
    ],
)
def test_a_file_that_is_missing_or_tampered_with_is_told_by_path(
    tmp_path: Path, damage: Callable[[Path], None], error: type[Exception], said: str
) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    damage(file_of(tmp_path, "dbt_project.yml"))
    with pytest.raises(error, match=rf"dbt_project\.yml.*({said})"):
        all_of(store, release)
    with pytest.raises(error, match="restore it from a backup"):
        all_of(store, release)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"format":2,"folder":"x","provenance":{"kept_at":"2026-01-01T00:00:00Z"}}']
)
def test_a_tree_that_is_damaged_is_told(tmp_path: Path, content: bytes) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    (tmp_path / "releases" / "trees" / f"{release}.json").write_bytes(content)
    with pytest.raises(CorruptReleaseError, match=release):
        store.tree(release)
    with pytest.raises(CorruptReleaseError, match=release):
        store.waste({release}, later())


def test_the_tree_of_another_release_is_told(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    other = store.keep(FilesAtHand({"dbt_project.yml": b"name: other\n"}), ABOUT)
    trees = tmp_path / "releases" / "trees"
    (trees / f"{release}.json").write_bytes((trees / f"{other}.json").read_bytes())
    with pytest.raises(CorruptReleaseError, match="is not what was kept"):
        store.tree(release)


def test_a_damaged_parse_is_none(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    store.keep_parse(release, "key", {"manifest.json": b"{}"})
    (path,) = (tmp_path / "releases" / "parses").rglob("*.zst")
    path.write_bytes(path.read_bytes()[:-2] + b"xx")
    assert store.parse(release, "key") is None


def test_parses_that_nobody_reads_go(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    for key in ("read", "idle"):
        store.keep_parse(release, key, {"manifest.json": b"{}"})
    for path in (tmp_path / "releases" / "parses").rglob("*.zst"):
        os.utime(path, (0, 0))
    store.parse(release, "read")
    found = store.waste({release}, datetime.now(tz=UTC))
    assert found.names == (f"parses/{release}/idle.zst",)


def test_what_an_interrupted_write_left_goes(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    (tmp_path / "releases" / "files" / ".x.zst.1234.tmp").write_bytes(b"half")
    (tmp_path / "releases" / "trees" / ".y.json.1234.tmp").write_bytes(b"half")
    found = store.waste({release}, later())
    assert sorted(found.names) == ["files/.x.zst.1234.tmp", "trees/.y.json.1234.tmp"]
    store.remove(found)
    assert all_of(store, release) == PROJECT


def test_nothing_but_what_was_found_is_deleted(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    strangers = [tmp_path / "staging.json", tmp_path / "releases" / "README.txt"]
    for stranger in strangers:
        stranger.write_text("mine")
    store.remove(store.waste((), later()))
    assert not store.has(release)
    assert all(stranger.read_text() == "mine" for stranger in strangers)


def test_a_place_that_is_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "releases").write_text("not a folder")
    with pytest.raises(ReleaseUnwritableError, match="cannot be written"):
        in_files(tmp_path).keep(FilesAtHand(PROJECT), ABOUT)
    in_files(tmp_path).keep_parse(FilesAtHand(PROJECT).tree.id, "key", {"manifest.json": b"{}"})
    assert (tmp_path / "releases").read_text() == "not a folder"


def test_many_processes_keep_the_same_and_others_at_once(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from tests.stores.test_releases import in_files
        from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand

        store = in_files(Path(sys.argv[1]))
        for round_ in range(5):
            store.keep(FilesAtHand({**PROJECT, "models/r.sql": str(round_).encode()}), ABOUT)
            store.keep(FilesAtHand({**PROJECT, "models/me.sql": sys.argv[2].encode() * round_}), ABOUT)
        """
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path), str(index)], cwd=Path(__file__).parents[2])
        for index in range(4)
    ]
    assert [process.wait() for process in running] == [0] * 4
    store = in_files(tmp_path)
    for round_ in range(5):
        files = {**PROJECT, "models/r.sql": str(round_).encode()}
        assert all_of(store, FilesAtHand(files).tree.id) == files
    assert not list(tmp_path.rglob("*.tmp"))


def test_a_process_that_dies_in_the_middle_leaves_waste_and_no_more(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import os, signal, sys
        from pathlib import Path
        from tests.stores.test_releases import in_files
        from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand

        class Dies(FilesAtHand):
            def read(self, path):
                if len(self.reads) == 3:
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().read(path)

        in_files(Path(sys.argv[1])).keep(Dies(PROJECT), ABOUT)
        """
    )
    died = subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=Path(__file__).parents[2], check=False)
    assert died.returncode == -signal.SIGKILL
    store = in_files(tmp_path)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert left
    assert all(path.suffix == ".tmp" for path in left)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    assert all_of(store, release) == PROJECT
    store.remove(store.waste({release}, later()))
    assert all_of(store, release) == PROJECT
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("folders", [1, 80])
def test_a_hundred_small_edits_cost_little_more_than_one_release(tmp_path: Path, folders: int) -> None:
    def text(name: object) -> bytes:
        return f"{hashlib.sha512(str(name).encode()).hexdigest()} {{{{ ref('m_{name}') }}}}".encode()

    files = {f"models/area_{index % folders}/m_{index}.sql": text(index) for index in range(2_000)}
    store = in_files(tmp_path)
    first = store.keep(FilesAtHand(files), ABOUT)
    one = all_bytes(tmp_path)
    before = dict(files)
    for edit in range(99):
        files[f"models/area_{edit % folders}/m_{edit}.sql"] = text(f"edit {edit}")
        store.keep(FilesAtHand(files), ABOUT)
    assert all_bytes(tmp_path) < 3 * one
    assert store.tree(first) == FilesAtHand(before).tree
    assert store.tree(FilesAtHand(files).tree.id).files.keys() == files.keys()


def test_a_folder_of_many_names_is_kept_and_collected_in_parts(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    files = {f"m_{index}.sql": b"select 1" for index in range(500)} | {f"d_{index}/a.sql": b"" for index in range(300)}
    first = store.keep(FilesAtHand(files), ABOUT)
    assert all_of(store, first) == files
    second = store.keep(FilesAtHand({**files, "m_1.sql": b"select 2"}), ABOUT)
    store.remove(store.waste({second}, later()))
    assert not store.has(first)
    assert all_of(store, second) == {**files, "m_1.sql": b"select 2"}
    assert store.waste({second}, later()).names == ()


def test_the_age_guard_is_of_each_file(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    fresh = file_of(tmp_path, "dbt_project.yml")
    for path in (tmp_path / "releases").rglob("*"):
        if path.is_file() and path != fresh:
            os.utime(path, (0, 0))
    found = store.waste((), datetime.now(tz=UTC) - timedelta(hours=1))
    assert found.releases == (release,)
    store.remove(found)
    assert fresh.exists()


def test_a_file_that_was_lost_comes_back_when_the_same_sources_are_kept_again(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    file_of(tmp_path, "models/orders.sql").unlink()
    for folder in (tmp_path / "releases" / "folders").rglob("*.zst"):
        folder.unlink()
    again = FilesAtHand(PROJECT)
    assert store.keep(again, ABOUT) == release
    assert all_of(store, release) == PROJECT
    assert len(again.reads) == 1


def test_a_young_tree_alone_holds_all_of_its_release(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    for path in (tmp_path / "releases").rglob("*.zst"):
        os.utime(path, (0, 0))
    store.remove(store.waste((), datetime.now(tz=UTC) - timedelta(hours=1)))
    assert all_of(store, release) == PROJECT


def test_files_of_others_in_its_folders_are_left_alone(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    store.keep(FilesAtHand(PROJECT), ABOUT)
    root = tmp_path / "releases"
    strangers = [root / "files" / "README.txt", root / "trees" / "notes.json", root / "files" / "ab" / "x.zst"]
    for stranger in strangers:
        stranger.parent.mkdir(exist_ok=True)
        stranger.write_text("mine")
    found = store.waste((), later())
    store.remove(found)
    assert not set(found.names) & {stranger.relative_to(root).as_posix() for stranger in strangers}
    assert all(stranger.read_text() == "mine" for stranger in strangers)


@pytest.mark.parametrize("name", ["../staging.json", "/etc/passwd", "trees/../../staging.json", "parses/../../x.zst"])
def test_waste_that_names_another_place_deletes_nothing_there(tmp_path: Path, name: str) -> None:
    store = in_files(tmp_path)
    store.keep(FilesAtHand(PROJECT), ABOUT)
    for stranger in ("staging.json", "x.zst"):
        (tmp_path / stranger).write_text("mine")
    store.remove(Waste(names=(name,)))
    assert (tmp_path / "staging.json").exists()
    assert (tmp_path / "x.zst").exists()


def test_what_is_touched_while_it_is_deleted_is_put_back(tmp_path: Path) -> None:
    blobs = FileBlobs(tmp_path)
    blobs.write([("files/ab/c.zst", b"x")])
    before = (tmp_path / "files/ab/c.zst").stat().st_mtime
    assert not blobs.delete("files/ab/c.zst", before)
    assert blobs.read("files/ab/c.zst") == b"x"
    assert blobs.delete("files/ab/c.zst", before + 1)
    assert blobs.delete("files/ab/c.zst", before + 1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_disk_without_room_keeps_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import os, resource, signal, sys
        from pathlib import Path
        from airflow_dbt_promotion.core.errors import ReleaseUnwritableError
        from tests.stores.test_releases import in_files
        from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        noise = os.urandom(200_000)
        store = in_files(Path(sys.argv[1]))
        try:
            store.keep(FilesAtHand({**PROJECT, "seeds/noise.csv": noise}), ABOUT)
        except ReleaseUnwritableError as error:
            print(error)
        store.keep_parse(FilesAtHand(PROJECT).tree.id, "key", {"manifest.json": noise})
        """
    )
    assert "cannot be written there: File too large" in run_python(code, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_that_may_only_be_read_serves_and_takes_nothing() -> None:
    code = textwrap.dedent(
        """
        import os, sys
        from pathlib import Path
        from airflow_dbt_promotion.core.errors import ReleaseUnwritableError
        from tests.stores.test_releases import in_files
        from tests.stores.release_contract import ABOUT, PROJECT, FilesAtHand, all_of, later

        root = Path(sys.argv[1])
        if os.geteuid() == 0:  # nothing is forbidden to root
            os.setgid(65534)
            os.setuid(65534)
        store = in_files(root)
        assert all_of(store, store.keep(FilesAtHand(PROJECT), ABOUT)) == PROJECT
        for act in (
            lambda: store.keep(FilesAtHand({**PROJECT, "a.sql": b"new"}), ABOUT),
            lambda: store.remove(store.waste((), later())),
        ):
            try:
                act()
            except ReleaseUnwritableError as error:
                print(error)
        """
    )
    with TemporaryDirectory() as folder:  # pytest's own is closed to everybody else
        root = Path(folder)
        release = in_files(root).keep(FilesAtHand(PROJECT), ABOUT)
        for one in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            one.chmod(0o555)
        told = run_python(code, root)
        assert told.count("cannot be written there: Permission denied") == 2
        assert all_of(in_files(root), release) == PROJECT


def test_a_file_that_claims_to_be_huge_asks_for_no_memory(tmp_path: Path) -> None:
    store = in_files(tmp_path)
    release = store.keep(FilesAtHand(PROJECT), ABOUT)
    bomb = zstandard.ZstdCompressor(level=19).compressobj()
    zeros = bytes(1 << 24)
    packed = b"".join(bomb.compress(zeros) for _ in range(66)) + bomb.flush()
    file_of(tmp_path, "models/orders.sql").write_bytes(packed)
    with pytest.raises(CorruptReleaseError, match="more than was ever kept"):
        all_of(store, release)
