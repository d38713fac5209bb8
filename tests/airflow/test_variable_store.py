"""State in the Variables of a real Airflow: what is promised, and that a loss is seen."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import (
    ConfigError,
    CorruptStateError,
    InvalidNameError,
    StateConflictError,
    StateError,
    StateUnwritableError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.stores import open_store
from airflow_dbt_promotion.stores.airflow_variables import at_hand
from airflow_dbt_promotion.stores.variable import PAUSE, REMEMBERED, VariableStore
from tests.airflow.conftest import SURROUNDINGS
from tests.airflow.variables import Interfered, a_prefix, in_a_task
from tests.stores.contract import PRODUCTION, REPOSITORY, STAGING, StoreContract, entries, fresh

pytestmark = [pytest.mark.airflow, pytest.mark.usefixtures("migrated")]


def at_once(seconds: float) -> None:
    """Wait no longer for others: nobody else is there."""
    assert seconds >= PAUSE


@pytest.fixture
def prefix() -> str:
    return a_prefix()


@pytest.fixture
def store(prefix: str) -> VariableStore:
    return VariableStore(prefix, wait=at_once)


class TestContract(StoreContract):
    """From the command line, and in a task."""

    @pytest.fixture(params=["command line", "task"])
    def store(self, request: pytest.FixtureRequest, prefix: str) -> Iterator[StateStore]:
        with in_a_task() if request.param == "task" else nullcontext():
            yield VariableStore(prefix, wait=at_once)

    def test_there_is_nothing_to_warn_of(self, store: StateStore) -> None:
        """There is."""
        (warning,) = store.warnings()
        assert "of two who write at the same instant one may lose what it wrote" in warning
        assert "a database or a bucket" in warning


def bump(store: StateStore) -> None:
    """Write the document again, as it is."""
    before = store.read(STAGING)
    assert before is not None
    store.write(before, before.serial)


def raw(prefix: str) -> str:
    value = at_hand().get(f"{prefix}:staging")
    assert value is not None
    return value


def overwrite(prefix: str, value: str) -> None:
    at_hand().set(f"{prefix}:staging", value, "")


def test_a_person_finds_the_document_as_it_is_everywhere(store: VariableStore, prefix: str) -> None:
    written = store.write(fresh(current=entries(1)), None)
    from airflow_dbt_promotion.core import codec  # noqa: PLC0415 - beside its use

    line, _, document = raw(prefix).partition("\n")
    assert line.startswith("# airflow-dbt-promotion keeps this, do not edit it; writes: ")
    assert document.encode() == codec.encode(written)
    assert store.where(STAGING) == f"Airflow Variable {prefix}:staging"


def test_a_task_and_the_command_line_share_one_document(store: VariableStore) -> None:
    there = store.write(fresh(), None)
    with in_a_task():
        assert store.read(STAGING) == there
        there = store.write(replace(there, current=entries(2)), there.serial)
        assert store.environments() == (STAGING,)
    assert store.read(STAGING) == there


def test_prefixes_are_apart_and_other_variables_are_no_environments(store: VariableStore, prefix: str) -> None:
    store.write(fresh(), None)
    longer = VariableStore(f"{prefix}-2")
    assert longer.read(STAGING) is None
    longer.write(fresh(PRODUCTION), None)
    for key in (f"{prefix}:release:0f", f"{prefix}:", f"{prefix}", f"{prefix.upper()}:staging2"):
        at_hand().set(key, "x", "")
    assert store.environments() == (STAGING,)
    assert longer.environments() == (PRODUCTION,)


# --- two at the same instant ------------------------------------------------------------------------------------------


def test_a_write_that_is_overwritten_before_it_is_read_back_is_a_conflict(store: VariableStore, prefix: str) -> None:
    """Another read what we read, and wrote after us: theirs is there, nothing of ours is."""
    there = store.write(fresh(), None)
    before = raw(prefix)
    VariableStore(prefix, wait=at_once).write(replace(there, current=entries(5)), 1)
    theirs = raw(prefix)
    overwrite(prefix, before)
    hasty = VariableStore(prefix, wait=at_once, reach=Interfered(lambda: overwrite(prefix, theirs)))
    with pytest.raises(StateConflictError, match="changed: serial 2 is there, serial 1 was read"):
        hasty.write(replace(there, current=entries(1)), 1)
    found = hasty.read(STAGING)
    assert found is not None
    assert len(found.current) == 5
    assert hasty.write(found, 2).serial == 3


def test_a_write_that_another_built_on_is_no_loss(store: VariableStore, prefix: str) -> None:
    there = store.write(fresh(), None)
    quick = VariableStore(prefix, wait=at_once, reach=Interfered(lambda: bump(VariableStore(prefix, wait=at_once))))
    assert quick.write(replace(there, current=entries(1)), there.serial).serial == 2
    found = store.read(STAGING)
    assert found is not None
    assert (found.serial, len(found.current)) == (3, 1)
    assert quick.read(STAGING) == found


def test_so_many_writes_meanwhile_that_nobody_can_tell(store: VariableStore, prefix: str) -> None:
    there = store.write(fresh(), None)
    busy = VariableStore(prefix, wait=at_once, reach=Interfered(lambda: [bump(store) for _ in range(REMEMBERED)]))
    with pytest.raises(StateError, match="nobody can tell whether serial 2 was lost"):
        busy.write(there, there.serial)


def test_a_loss_after_reading_back_is_seen_at_every_later_look(store: VariableStore, prefix: str) -> None:
    """The other wrote so late that ours had been read back already: what Variables cannot prevent."""
    there = store.write(fresh(), None)
    before = raw(prefix)
    VariableStore(prefix, wait=at_once).write(replace(there, current=entries(5)), 1)
    late = raw(prefix)
    overwrite(prefix, before)
    store.write(replace(there, current=entries(1)), 1)
    overwrite(prefix, late)
    for ask in (lambda: store.read(STAGING), lambda: store.write(replace(there, serial=2), 2)):
        with pytest.raises(StateError, match=r"serial 2, which was written from here, is lost.*dbt-promote status"):
            ask()
    found = VariableStore(prefix, wait=at_once).read(STAGING)
    assert found is not None
    assert len(found.current) == 5


def test_what_was_made_anew_or_written_often_since_is_no_loss(store: VariableStore, prefix: str) -> None:
    store.write(fresh(), None)
    other = VariableStore(prefix, wait=at_once)
    for _ in range(REMEMBERED + 1):
        bump(other)
    assert store.read(STAGING) is not None
    at_hand().delete(f"{prefix}:staging", raw(prefix))
    assert store.read(STAGING) is None
    anew = VariableStore(prefix, wait=at_once).write(fresh(), None)
    assert store.read(STAGING) == anew


def test_whoever_had_read_before_and_writes_while_we_wait_is_seen(store: VariableStore, prefix: str) -> None:
    there = store.write(fresh(), None)
    before = raw(prefix)
    VariableStore(prefix, wait=at_once).write(replace(there, current=entries(5)), 1)
    theirs = raw(prefix)
    overwrite(prefix, before)
    patient = VariableStore(prefix, wait=lambda _: overwrite(prefix, theirs))
    with pytest.raises(StateConflictError, match="changed: serial 2 is there, serial 1 was read"):
        patient.write(replace(there, current=entries(1)), 1)


# --- what stands in the way -------------------------------------------------------------------------------------------


def test_a_variable_that_an_environment_variable_shadows_is_told(
    store: VariableStore, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = store.write(fresh(), None)
    monkeypatch.setenv(f"AIRFLOW_VAR_{prefix}:staging".upper(), raw(prefix))
    with pytest.raises(StateUnwritableError, match="what was there before is read back: a secrets backend or an env"):
        store.write(there, there.serial)


def test_a_loss_is_told_where_nothing_is_read_back(store: VariableStore, prefix: str) -> None:
    def forget() -> None:
        at_hand().delete(f"{prefix}:staging", raw(prefix))

    with pytest.raises(StateUnwritableError, match="nothing is read back"):
        VariableStore(prefix, wait=at_once, reach=Interfered(forget)).write(fresh(), None)
    assert store.read(STAGING) is None


class Refusing(Interfered):
    """Variables that say no: before the write reaches Airflow, or after."""

    def __init__(self, *, after: bool) -> None:
        super().__init__(self._refuse)
        self._after = after

    def set(self, key: str, value: str, description: str) -> None:
        if not self._after:
            self._refuse()
        super().set(key, value, description)

    def _refuse(self) -> None:
        raise ConnectionError("connection reset\nwith a long tail")


def test_a_write_that_is_refused_changes_nothing(store: VariableStore, prefix: str) -> None:
    there = store.write(fresh(), None)
    with pytest.raises(StateUnwritableError, match=r"cannot be written: connection reset$"):
        VariableStore(prefix, wait=at_once, reach=Refusing(after=False)).write(there, there.serial)
    assert store.read(STAGING) == there


def test_a_write_whose_answer_is_lost_is_read_back_and_good(store: VariableStore, prefix: str) -> None:
    there = store.write(fresh(), None)
    written = VariableStore(prefix, wait=at_once, reach=Refusing(after=True)).write(
        replace(there, current=entries(1)), there.serial
    )
    assert store.read(STAGING) == written


class Dumb(Interfered):
    """Variables that Airflow says are not there although they are, as where it could not ask its database."""

    def __init__(self, *, since: int = 0) -> None:
        super().__init__(lambda: None)
        self._left = since

    def get(self, key: str) -> str | None:
        self._left -= 1
        return super().get(key) if self._left >= 0 else None


def test_what_airflow_could_not_read_is_never_taken_for_nothing(store: VariableStore, prefix: str) -> None:
    store.write(fresh(), None)
    with pytest.raises(StateError, match="cannot be read: it is there, and Airflow does not give its value"):
        VariableStore(prefix, wait=at_once, reach=Dumb()).read(STAGING)
    with pytest.raises(StateError, match="cannot be read"):
        VariableStore(prefix, wait=at_once, reach=Dumb()).write(fresh(), None)
    there = store.read(STAGING)
    assert there is not None
    with pytest.raises(StateError, match="whether serial 2 was written is not known; look at what is there"):
        VariableStore(prefix, wait=at_once, reach=Dumb(since=1)).write(there, there.serial)


@pytest.mark.parametrize(
    "value", ["", "{}", "# airflow-dbt-promotion keeps this, do not edit it; writes: \n{}", "\n{}"]
)
def test_what_is_not_ours_is_an_error_and_is_left_alone(store: VariableStore, prefix: str, value: str) -> None:
    overwrite(prefix, value)
    with pytest.raises(CorruptStateError, match=f"Airflow Variable {prefix}:staging: its first line is not ours"):
        store.read(STAGING)
    with pytest.raises(CorruptStateError):
        store.write(fresh(), None)
    assert raw(prefix) == value


def test_a_document_of_another_environment_or_damaged_is_an_error(store: VariableStore, prefix: str) -> None:
    store.write(fresh(), None)
    value = raw(prefix)
    overwrite(prefix, value[:-20])
    with pytest.raises(CorruptStateError, match="staging"):
        store.read(STAGING)
    overwrite(prefix, value.replace('"staging"', '"production"'))
    with pytest.raises(CorruptStateError, match="production"):
        store.read(STAGING)


def test_a_machine_without_the_key_is_told(store: VariableStore, prefix: str) -> None:
    from airflow.models.crypto import get_fernet  # noqa: PLC0415 - Airflow needs the home of the fixture first

    store.write(fresh(), None)
    overwrite(prefix, get_fernet().encrypt(raw(prefix).encode()).decode())
    for ask in (lambda: store.read(STAGING), lambda: store.write(fresh(), None)):
        with pytest.raises(StateError, match=r"is encrypted; set the same \[core\] fernet_key here"):
            ask()


def test_a_large_document_comes_back(store: VariableStore) -> None:
    with in_a_task():
        written = store.write(fresh(current=entries(10_000)), None)
        assert store.read(STAGING) == written


# --- where it cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "root",
    [
        "airflow-variable:",
        "airflow-variable://",
        "airflow-variable:shop",
        "airflow-variable://a/b",
        "airflow-variable://a:b",
        "airflow-variable://ä",
        "airflow-variable://a?b=c",
        "airflow-variable://a?releases=",
        "airflow-variable://a#b",
        "airflow-variable://-a",
        "airflow-variable://a?releases=x&b=c",
        "airflow-variable://a b?releases=postgresql://ada:hush@db/states",
    ],
)
def test_what_names_no_variables_is_an_error(root: str) -> None:
    with pytest.raises(ConfigError, match="write airflow-variable://prefix") as caught:
        open_store(root, Path())
    assert "hush" not in str(caught.value)


def test_a_prefix_whose_variables_airflow_hides_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"'secret' in their name.*choose another prefix"):
        open_store("airflow-variable://Secret-shop", Path())


def test_opening_imports_no_airflow_and_a_place_without_its_database_is_told() -> None:
    code = """
import sys
from pathlib import Path
from airflow_dbt_promotion.stores import open_releases, open_store
store, releases = (open_("airflow-variable://shop", Path.cwd()) for open_ in (open_store, open_releases))
print("airflow" in sys.modules, store.warnings() != ())
for ask in (lambda: store.read("staging"), store.environments, lambda: releases.has("0")):
    try:
        ask()
    except Exception as error:
        print(type(error).__name__, error)
"""
    environ = {**os.environ, **SURROUNDINGS, "PYTHONPATH": str(REPOSITORY)}
    # What Airflow sets for the processes that a task starts.
    environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = "airflow-db-not-allowed:///"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, env=environ)
    first, *rest = done.stdout.splitlines()
    assert first == "False True"
    assert [line.split()[0] for line in rest] == ["StateError", "StateError", "ReleaseError"]
    assert all("sql_alchemy_conn" in line for line in rest)


def test_where_variables_are_parted_among_teams_nothing_is_done(
    store: VariableStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "True")
    for ask in (store.environments, lambda: store.read(STAGING), lambda: store.write(fresh(), None)):
        with pytest.raises(ConfigError, match="multi_team"):
            ask()


def test_a_name_that_is_none_is_nowhere(store: VariableStore) -> None:
    with pytest.raises(InvalidNameError):
        store.where(EnvironmentName("release:x"))
