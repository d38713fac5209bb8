"""A whole state is read, and what is wrong is told; nothing is changed, and nothing hides the rest."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.kept import Provenance
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.engine.verifier import Verifier
from airflow_dbt_promotion.stores import open_releases, open_store
from airflow_dbt_promotion.stores.blobs import FileBlobs
from airflow_dbt_promotion.stores.releases import BlobReleaseStore
from tests.engine.test_mover import PRODUCTION, STAGING, Files
from tests.scenarios import NOON, empty_state, path
from tests.stores.contract import entries
from tests.stores.release_contract import PROJECT, FilesAtHand


@pytest.fixture
def verifier(tmp_path: Path) -> Verifier:
    """Return a state of two environments, one of which the path does not have, over one kept release."""
    states, releases = open_store("states", tmp_path), open_releases("states", tmp_path)
    kept = releases.keep(Files("select 1"), Provenance(kept_at=NOON))
    for name in (PRODUCTION, "forgotten"):
        current = {model: replace(entry, release=kept) for model, entry in entries(2).items()}
        states.write(replace(empty_state(name), lineage=f"of {name}", current=current), None)
    return Verifier(Memory(path(), states, "shop"), releases)


def files(folder: Path) -> dict[Path, bytes]:
    return {one: one.read_bytes() for one in sorted(folder.rglob("*")) if one.is_file()}


@pytest.mark.parametrize("deep", [False, True])
def test_all_is_well_and_nothing_is_touched(verifier: Verifier, tmp_path: Path, deep: bool) -> None:
    before = files(tmp_path)
    found = verifier.verify(deep=deep)
    assert (found.environments, found.releases, found.findings) == (("forgotten", "production"), 1, ())
    assert files(tmp_path) == before


def test_a_document_that_cannot_be_read_does_not_hide_the_others(verifier: Verifier, tmp_path: Path) -> None:
    (tmp_path / "states" / "production.json").write_text("{", encoding="utf-8")
    verifier._memory.store.write(replace(empty_state(STAGING), lineage="of forgotten"), None)
    found = verifier.verify(deep=False)
    assert [(one.environment, one.code) for one in found.findings] == [
        ("production", "corrupt_state"),
        ("forgotten", "lineage_twice"),
        ("staging", "lineage_twice"),
    ]
    assert "production.json" in found.findings[0].problem


def test_sources_that_are_lost_or_damaged_are_told(verifier: Verifier, tmp_path: Path) -> None:
    releases = tmp_path / "states" / "releases"
    (file, *_) = sorted((releases / "files").rglob("*.zst"))
    file.write_bytes(b"something else")
    assert verifier.verify(deep=False).findings == ()
    (told,) = verifier.verify(deep=True).findings
    assert (told.code, told.environment) == ("release_corrupt", "forgotten")
    (tree,) = (releases / "trees").iterdir()
    tree.unlink()
    (told,) = verifier.verify(deep=True).findings
    assert (told.code, told.place) == ("release_missing", f"release {tree.stem}")


def test_a_file_of_many_releases_is_read_once(tmp_path: Path) -> None:
    class Counting(BlobReleaseStore):
        def read(self, digest: str, path: str) -> bytes:
            reads.append(digest)
            return super().read(digest, path)

    reads: list[str] = []
    states, releases = open_store("states", tmp_path), Counting(FileBlobs(tmp_path / "releases"))
    for number in range(3):
        tree = FilesAtHand({**PROJECT, "models/more.sql": str(number).encode()})
        kept = releases.keep(tree, Provenance(kept_at=NOON))
        states.write(replace(empty_state(f"place_{number}"), release=kept), None)
    found = Verifier(Memory(path(), states, "shop"), releases).verify(deep=True)
    assert (found.releases, found.findings) == (3, ())
    assert len(reads) == len(set(reads)) == len(set(PROJECT.values())) + 3


def test_documents_of_another_project_are_told_even_where_all_are(verifier: Verifier) -> None:
    verifier._memory.project = "mill"
    found = verifier.verify(deep=False).findings
    assert [(one.environment, one.code) for one in found] == [
        ("forgotten", "foreign_project"),
        ("production", "foreign_project"),
    ]
    assert "'mill'" in found[0].problem


def test_what_vanishes_while_it_is_read_is_passed_over(tmp_path: Path) -> None:
    class Vanishing:
        def environments(self) -> tuple[str, ...]:
            return ("staging",)

        def read(self, environment: str) -> None:
            assert environment == "staging"

    found = Verifier(Memory(path(), Vanishing(), None), open_releases("memory://", tmp_path)).verify(deep=True)  # type: ignore[arg-type]  # as much of a store as is asked for
    assert (found.environments, found.findings) == (("staging",), ())
