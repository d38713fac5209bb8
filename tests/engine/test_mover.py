"""Moving house: everything arrives, is read back, and nothing that is there is touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import MoveRefusedError, ReleaseUnwritableError, StateError
from airflow_dbt_promotion.core.identity import EnvironmentName, ReleaseId
from airflow_dbt_promotion.core.kept import Provenance, SourceTree
from airflow_dbt_promotion.core.lock import Holder, taken
from airflow_dbt_promotion.core.promotion import Attempt, begin
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.engine.mover import House, Mover
from airflow_dbt_promotion.stores import open_releases, open_store
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.core.test_promotion import planned, staged
from tests.scenarios import NOON, empty_state
from tests.stores.contract import entries

REPOSITORY = Path(__file__).parents[2]
STAGING, PRODUCTION = EnvironmentName("staging"), EnvironmentName("production")


class Files:
    """Sources of two files."""

    def __init__(self, text: str) -> None:
        import hashlib  # noqa: PLC0415 - for this alone

        self._data = {"dbt_project.yml": b"name: shop", "models/orders.sql": text.encode()}
        self.tree = SourceTree({path: hashlib.sha256(data).hexdigest() for path, data in self._data.items()})

    def read(self, path: str) -> bytes:
        return self._data[path]


def house(root: str, base: Path) -> House:
    return House(open_store(root, base), open_releases(root, base))


@pytest.fixture
def old(tmp_path: Path) -> House:
    """Return a state of two environments, with a release that both name and one that was lost."""
    found = house("old", tmp_path)
    kept = found.releases.keep(Files("select 1"), Provenance(kept_at=NOON))
    lost = ReleaseId("0" * 32)
    for name, release in ((STAGING, kept), (PRODUCTION, lost)):
        current = {model: replace(entry, release=release) for model, entry in entries(2).items()}
        state = replace(empty_state(name), lineage=f"of {name}", current=current, release=kept, epoch=4)
        written = found.states.write(state, None)
        found.states.write(written, written.serial)
    return found


def copy(old: House, new: House, now: datetime = NOON) -> object:
    return Mover(old, new, lambda: now).copy()


def held(one: House, name: EnvironmentName) -> EnvironmentState:
    found = one.states.read(name)
    assert found is not None
    return found


@pytest.mark.parametrize("root", ["new", "memory://", "sqlite:///new.db"])
def test_everything_arrives_and_the_old_place_is_as_it_was(old: House, tmp_path: Path, root: str) -> None:
    before = {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()}
    new = house(root, tmp_path)
    moved = Mover(old, new, lambda: NOON).copy()
    assert (moved.releases, moved.files) == (1, 2)
    assert moved.environments == {name: new.states.where(name) for name in (PRODUCTION, STAGING)}
    (why,) = moved.lost.values()
    assert "not kept" in why
    for name in (STAGING, PRODUCTION):
        assert held(new, name) == replace(held(old, name), serial=held(old, name).serial + 1)
    tree = new.releases.tree(Files("select 1").tree.id)
    assert new.releases.read(tree.files["models/orders.sql"], "models/orders.sql") == b"select 1"
    assert {path: path.read_bytes() for path in (tmp_path / "old").rglob("*") if path.is_file()} == before


def test_a_copy_that_is_there_already_is_no_hindrance(old: House, tmp_path: Path) -> None:
    new = house("new", tmp_path)
    copy(old, new)
    copy(old, new)
    assert held(new, STAGING).serial == held(old, STAGING).serial + 1


def test_a_place_that_somebody_begins_to_use_meanwhile_is_left_to_him(old: House, tmp_path: Path) -> None:
    real = house("new", tmp_path)

    class Meanwhile:
        def __getattr__(self, name: str) -> object:
            return getattr(real.releases, name)

        def keep(self, sources: object, provenance: object) -> ReleaseId:
            if not real.states.environments():
                real.states.write(replace(empty_state(STAGING), lineage="his", current=entries(7)), None)
            return real.releases.keep(sources, provenance)  # type: ignore[arg-type]  # as it came

    with pytest.raises(MoveRefusedError, match="begun to use it"):
        copy(old, House(real.states, Meanwhile()))  # type: ignore[arg-type]  # as much of a store as is asked for
    assert (held(real, STAGING).lineage, len(held(real, STAGING).current)) == ("his", 7)


def test_what_is_there_is_never_written_over(old: House, tmp_path: Path) -> None:
    new = house("new", tmp_path)
    other = new.states.write(replace(empty_state(STAGING), lineage="another"), None)
    with pytest.raises(MoveRefusedError, match="another state is there"):
        copy(old, new)
    assert held(new, STAGING) == other
    strange = house("strange", tmp_path)
    strange.states.write(empty_state("development"), None)
    with pytest.raises(MoveRefusedError, match="another state is there"):
        copy(old, strange)


def test_a_place_is_not_copied_onto_itself_however_it_is_called(old: House, tmp_path: Path) -> None:
    with pytest.raises(MoveRefusedError, match="the place that is copied"):
        copy(old, house(f"file://{tmp_path}/old", tmp_path))


def test_there_has_to_be_something(tmp_path: Path) -> None:
    with pytest.raises(MoveRefusedError, match="no state to copy"):
        copy(house("nothing", tmp_path), house("new", tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_copied_while_somebody_is_at_work(old: House, tmp_path: Path) -> None:
    state = held(old, PRODUCTION)
    locked = old.states.write(taken(state, Holder(owner="ann"), NOON), state.serial)
    with pytest.raises(MoveRefusedError, match="going on"):
        copy(old, house("new", tmp_path))
    assert not (tmp_path / "new").exists()
    copy(old, house("new", tmp_path), NOON + timedelta(minutes=5))  # its owner is dead
    begun = begin(replace(locked, lock=None), planned(staged()), Attempt(actor="ann"), NOON, 10)
    old.states.write(begun, locked.serial)
    with pytest.raises(MoveRefusedError, match="dbt-promote resume --environment production"):
        copy(old, house("other", tmp_path))


class Busy(MemoryStore):
    """A store into which somebody records whenever a document is read."""

    times = 0

    def read(self, environment: EnvironmentName) -> EnvironmentState | None:
        found = super().read(environment)
        if found is not None and self.times:
            self.times -= 1
            super().write(replace(found, epoch=found.epoch + 1), found.serial)
        return found


def busy(times: int) -> House:
    states = Busy()
    states.write(empty_state(STAGING), None)
    states.times = times
    return House(states, open_releases("memory://", Path()))


def test_what_is_recorded_meanwhile_comes_along(tmp_path: Path) -> None:
    one, new = busy(3), house("new", tmp_path)
    copy(one, new)
    assert held(new, STAGING).epoch == held(one, STAGING).epoch == 3


def test_somebody_who_never_stops_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="somebody wrote it whenever"):
        copy(busy(1000), house("new", tmp_path))


class Vanishing(MemoryStore):
    """A store that lists what is gone."""

    def environments(self) -> tuple[EnvironmentName, ...]:
        return (STAGING,)


def test_a_document_that_vanishes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="is gone"):
        copy(House(Vanishing(), open_releases("memory://", Path())), house("new", tmp_path))


def test_documents_come_after_all_sources(old: House, tmp_path: Path) -> None:
    """Where sources cannot be written, no document is."""

    class Full:
        def __getattr__(self, name: str) -> object:
            return getattr(real.releases, name)

        def keep(self, sources: object, provenance: object) -> ReleaseId:  # noqa: ARG002 - the port's
            raise ReleaseUnwritableError("there", "no room")

    real = house("new", tmp_path)
    new: House = House(real.states, Full())  # type: ignore[arg-type]  # as much of a store as is asked for
    with pytest.raises(ReleaseUnwritableError):
        copy(old, new)
    assert real.states.environments() == ()


def test_a_copy_that_was_killed_is_begun_again(old: House, tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from airflow_dbt_promotion.failpoints import Failpoint, arm
from airflow_dbt_promotion.functions import copy_state
seen = []
def happen(point):
    seen.append(point)
    if seen.count(Failpoint.DOCUMENT_REPLACED) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
arm(happen)
copy_state("old", "new", dbt_project_dir={str(tmp_path)!r})
"""
    child = subprocess.run(
        [sys.executable, "-c", script], check=False, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    assert child.returncode == -signal.SIGKILL
    new = house("new", tmp_path)
    assert len(new.states.environments()) == 1
    copy(old, new, datetime.now(tz=UTC))
    for name in (STAGING, PRODUCTION):
        assert held(new, name) == replace(held(old, name), serial=held(old, name).serial + 1)
