"""What every store promises, as tests: a store's own tests subclass `StoreContract` and provide the fixture `store`.

A store that several processes can share subclasses `SharedStoreContract` and provides the fixture `address` too: what
`open_store` takes in another process to reach the same place.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec.structs import replace

from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.errors import InvalidNameError, StateConflictError
from airflow_dbt_promotion.core.identity import Digest, EnvironmentName, ModelId, Version
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.core.state import Entry, EntryOrigin, EnvironmentState, PromotionOutcome
from tests.core import strategies as our
from tests.stores.promoting import prepare, successes

STAGING = EnvironmentName("staging")
PRODUCTION = EnvironmentName("production")
REPOSITORY = Path(__file__).parents[2]
PATIENCE = 60.0
"""Seconds after which a test that waits for something gives up; nothing is measured with it."""

PROGRAMS = {
    "count": """
for _ in range(int(sys.argv[2])):
    while True:
        before = store.read("staging")
        try:
            store.write(before, before.serial)
            break
        except StateConflictError:
            pass
print("done", flush=True)
""",
    "grow": """
from msgspec.structs import replace
print("begun", flush=True)
while not sys.stdin.closed:
    before = store.read("staging")
    entry = next(iter(before.current.values()))
    current = {f"model.shop.m{number}": entry for number in range((before.serial + 1) % 50 + 1)}
    store.write(replace(before, current=current), before.serial)
""",
}
"""What other processes do, by name."""

_PREAMBLE = """
import sys
from pathlib import Path
from airflow_dbt_promotion.core.errors import StateConflictError
from airflow_dbt_promotion.stores import open_store
store = open_store(sys.argv[1], Path.cwd())
"""


def fresh(environment: EnvironmentName = STAGING, **changes: Any) -> EnvironmentState:
    """Return a document that was never written."""
    made = EnvironmentState(project=ProjectIdentity(name="shop"), environment=environment, lineage=str(uuid.uuid4()))
    return replace(made, **changes)


def entries(count: int, letter: str = "a") -> dict[ModelId, Entry]:
    """Return that many entries."""
    entry = Entry(
        version=Version(letter * 32),
        code=Digest(letter * 32),
        tests=Digest(letter * 32),
        meta=Digest(letter * 32),
        parents={},
        since=datetime(2026, 3, 1, 12, tzinfo=UTC),
        origin=EntryOrigin.RUN,
        by="a run",
    )
    return {ModelId(f"model.shop.m{number}"): entry for number in range(count)}


class StoreContract:
    """One process, several threads."""

    def test_every_environment_with_a_document_is_listed(self, store: StateStore) -> None:
        assert store.environments() == ()
        for name in (STAGING, PRODUCTION):
            store.write(EnvironmentState(project=ProjectIdentity("shop"), environment=name, lineage="one"), None)
        assert store.environments() == (PRODUCTION, STAGING)

    def test_a_document_can_be_found(self, store: StateStore) -> None:
        assert "staging" in store.where(STAGING)

    def test_what_was_never_written_is_none(self, store: StateStore) -> None:
        assert store.read(STAGING) is None

    def test_what_was_written_is_read(self, store: StateStore) -> None:
        written = store.write(fresh(current=entries(3)), None)
        assert store.read(STAGING) == written

    @given(state=our.states)
    @settings(
        max_examples=20,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    def test_any_document_comes_back(self, store: StateStore, state: EnvironmentState) -> None:
        there = store.read(state.environment)
        state = replace(state, lineage=there.lineage if there else state.lineage)
        written = store.write(state, there.serial if there else None)
        assert store.read(state.environment) == written
        assert written == replace(state, serial=written.serial)

    def test_the_serial_rises_by_one_and_nothing_else_changes(self, store: StateStore) -> None:
        first = store.write(fresh(current=entries(1)), None)
        assert first.serial == 1
        second = store.write(replace(first, serial=0), first.serial)
        assert second == replace(first, serial=2)
        assert store.read(STAGING) == second

    def test_a_document_from_another_place_goes_on_counting(self, store: StateStore) -> None:
        """So nobody who read it there can be taken for having read what is here."""
        assert store.write(fresh(serial=77), None).serial == 78

    def test_environments_are_apart(self, store: StateStore) -> None:
        staging = store.write(fresh(), None)
        production = store.write(fresh(PRODUCTION, current=entries(1)), None)
        assert store.read(STAGING) == staging
        assert store.read(PRODUCTION) == production

    def test_creating_what_is_there_is_a_conflict(self, store: StateStore) -> None:
        there = store.write(fresh(), None)
        with pytest.raises(StateConflictError) as caught:
            store.write(fresh(), None)
        assert (caught.value.expected, caught.value.found) == (None, 1)
        assert store.read(STAGING) == there

    def test_changing_what_is_not_there_is_a_conflict(self, store: StateStore) -> None:
        with pytest.raises(StateConflictError, match="nothing is there, serial 1 was read"):
            store.write(fresh(serial=1), 1)
        assert store.read(STAGING) is None

    @pytest.mark.parametrize("expected", [0, 1, 3])
    def test_another_serial_is_a_conflict(self, store: StateStore, expected: int) -> None:
        first = store.write(fresh(), None)
        there = store.write(first, first.serial)
        with pytest.raises(StateConflictError) as caught:
            store.write(replace(first, current=entries(1)), expected)
        assert (caught.value.expected, caught.value.found) == (expected, 2)
        assert store.read(STAGING) == there

    def test_another_lineage_is_a_conflict(self, store: StateStore) -> None:
        """Deleted and begun anew, it may have come to the serial that was read."""
        there = store.write(fresh(), None)
        with pytest.raises(StateConflictError, match="made anew"):
            store.write(fresh(), there.serial)
        assert store.read(STAGING) == there

    @pytest.mark.parametrize(
        "name",
        [
            "",
            "..",
            ".",
            "../staging",
            "a/b",
            "/etc/passwd",
            "a\0b",
            "a\nb",
            "a b",
            "-a",
            "{{ a }}",
            "$(a)",
            "ä",
            "a" * 64,
        ],
    )
    def test_a_name_that_is_no_name_reaches_no_place(self, store: StateStore, name: str) -> None:
        environment = EnvironmentName(name)
        with pytest.raises(InvalidNameError):
            store.read(environment)
        with pytest.raises(Exception, match="environment"):
            store.write(fresh(environment), None)

    def test_threads_lose_no_write(self, store: StateStore) -> None:
        store.write(fresh(), None)
        threads = [threading.Thread(target=_count, args=(store, 25)) for _ in range(4)]
        _run(threads)
        found = store.read(STAGING)
        assert found is not None
        assert found.serial == 1 + 4 * 25

    def test_a_reader_sees_whole_documents_only(self, store: StateStore) -> None:
        """Each document holds as many entries as its serial says; a mixture would not."""
        store.write(fresh(), None)
        enough = threading.Event()

        def write() -> None:
            state = store.read(STAGING)
            while state is not None and not enough.is_set():
                state = store.write(replace(state, current=entries((state.serial + 1) % 50)), state.serial)

        writer = threading.Thread(target=write)
        writer.start()
        seen: set[int] = set()
        deadline = time.monotonic() + PATIENCE
        try:
            while len(seen) < 50 and time.monotonic() < deadline:
                found = store.read(STAGING)
                assert found is not None
                assert len(found.current) == (found.serial % 50 if found.serial > 1 else 0)
                seen.add(found.serial)
        finally:
            enough.set()
            writer.join()
        assert len(seen) == 50

    def test_there_is_nothing_to_warn_of(self, store: StateStore) -> None:
        assert store.warnings() == ()


class SharedStoreContract(StoreContract):
    """Several processes."""

    promotions = 50
    """How many each of many processes carries out; fewer where one slow server stands in for a service."""

    def test_processes_lose_no_write(self, store: StateStore, address: str) -> None:
        store.write(fresh(current=entries(5)), None)
        children = [start("count", address, "25") for _ in range(8)]
        for child in children:
            assert ended(child) == "done"
        found = store.read(STAGING)
        assert found is not None
        assert found.serial == 1 + 8 * 25

    def test_a_reader_sees_whole_documents_of_another_process_only(self, store: StateStore, address: str) -> None:
        store.write(fresh(current=entries(1)), None)
        child = start("grow", address)
        try:
            assert said(child) == "begun"
            seen: set[int] = set()
            deadline = time.monotonic() + PATIENCE
            while len(seen) < 100 and time.monotonic() < deadline:
                found = store.read(STAGING)
                assert found is not None
                assert len(found.current) == (found.serial % 50 + 1 if found.serial > 1 else 1)
                seen.add(found.serial)
            assert len(seen) == 100
        finally:
            kill(child)

    def test_a_reader_survives_the_death_of_the_writer(self, store: StateStore, address: str) -> None:
        """Killed in the middle of its work, again and again; the document is whole and can be written."""
        store.write(fresh(current=entries(1)), None)
        for _ in range(5):
            child = start("grow", address)
            assert said(child) == "begun"
            time.sleep(0.05)
            kill(child)
            _count(store, 1)  # begins anew where the last that the dead had sent to a service arrives only now

    def test_promotions_of_many_processes_are_all_on_record(self, store: StateStore, address: str) -> None:
        """16 processes, many promotions each, into one environment; a reader looks on and sees whole documents."""
        processes, times = 16, self.promotions
        prepare(store, processes)
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.stores.promoting", address, str(processes), str(times)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            cwd=REPOSITORY,
        )
        serials = [0]
        seen = 0
        while child.poll() is None:
            found = store.read(PRODUCTION)
            assert found is not None
            assert found.serial >= serials[-1]
            assert sum(successes(found).values()) >= seen
            seen = sum(successes(found).values())
            serials.append(found.serial)
            time.sleep(0.02)  # it is the writers who have work to do
        out, _ = child.communicate(timeout=PATIENCE)
        assert out.strip() == "done"
        state = store.read(PRODUCTION)
        assert state is not None
        assert sorted(successes(state).values()) == [times] * processes
        assert {record.outcome for record in state.history} == {PromotionOutcome.PROMOTED}
        assert (state.epoch, state.lock, state.journal) == (processes * times, None, None)
        assert state.serial == 1 + 3 * processes * times


def start(program: str, address: str, *arguments: str) -> subprocess.Popen[str]:
    """Start one of PROGRAMS on a store in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", _PREAMBLE + PROGRAMS[program], address, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )


def said(child: subprocess.Popen[str]) -> str:
    """Return the next line of a process."""
    assert child.stdout is not None
    return child.stdout.readline().strip()


def ended(child: subprocess.Popen[str]) -> str:
    """Wait for the good end of a process and return what it said."""
    out, _ = child.communicate(timeout=PATIENCE)
    assert child.returncode == 0
    return out.strip()


def kill(child: subprocess.Popen[str]) -> None:
    """End a process as the kernel would, and see it gone."""
    child.send_signal(signal.SIGKILL)
    child.communicate(timeout=PATIENCE)


def _count(store: StateStore, times: int) -> None:
    """Write that many times, beginning anew at each conflict."""
    for _ in range(times):
        while True:
            before = store.read(STAGING)
            assert before is not None
            try:
                store.write(before, before.serial)
                break
            except StateConflictError:
                continue


def _run(threads: list[threading.Thread]) -> None:
    """Run threads to their end."""
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
