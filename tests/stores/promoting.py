"""Many processes that promote at once into one environment, each a model of its own: real engine, real locks, no dbt.

`python -m tests.stores.promoting ADDRESS PROCESSES TIMES` forks them, so that none has to import anything.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome
from airflow_dbt_promotion.engine import Engine, PromotionRequest
from airflow_dbt_promotion.processes import LocalProcesses
from airflow_dbt_promotion.stores import open_store
from tests.core.definitions import definition, generic_test, node
from tests.fakes import FakeCalendar, FakeReader, FakeReleases, FakeWorkshop
from tests.scenarios import DAY, NOON, dbt_run, empty_state, path, recorded

PRODUCTION = EnvironmentName("production")
PATIENCE = 600.0


def project(models: int) -> Release:
    """Return a release of independent models, each with a test."""
    nodes = [node(f"m{number}") for number in range(models)]
    tests = [generic_test(f"not_null_m{number}", "not_null", f"model.shop.m{number}") for number in range(models)]
    return release_of(definition([*nodes, *tests]))


def prepare(store: StateStore, models: int) -> None:
    """Let both environments hold every model, staging for long enough."""
    made = project(models)
    for name in ("staging", "production"):
        state = recorded(made, dbt_run(made, NOON), state=empty_state(name))
        store.write(replace(state, serial=0), None)


def successes(state: EnvironmentState) -> dict[ModelId, int]:
    """Return how often each model was built with success and passed, the one time of `prepare` aside."""
    return {model: ledgers[-1].runs - 1 for model, ledgers in state.evidence.items()}


def engine(store: StateStore, models: int) -> Engine:
    """Return an engine over a store, as one process has it."""

    def clock() -> datetime:
        return datetime.now(tz=UTC)

    return Engine(
        path=path(DAY),
        store=store,
        releases=FakeReleases(),
        workshop=FakeWorkshop(project(models), clock),  # type: ignore[arg-type]  # any clock
        reader=FakeReader(),
        processes=LocalProcesses(),
        clock=clock,
        calendar=FakeCalendar(),
        lease=timedelta(minutes=10),
    )


def promote(store: StateStore, number: int, models: int, times: int) -> None:
    """Promote one model that many times, whether that is needed or not."""
    mine = engine(store, models)
    request = PromotionRequest(
        target="production", models=(f"m{number}",), force=True, actor=f"process {number}", lock_timeout=PATIENCE
    )
    for _ in range(times):
        told = mine.promote(request)
        if told.outcome is not PromotionOutcome.PROMOTED:
            raise AssertionError(f"{told.outcome}: {told.message}")


def fork(open_it: object, processes: int, times: int) -> list[int]:
    """Fork processes that promote, and return with what they ended."""
    children = []
    for number in range(processes):
        if (pid := os.fork()) == 0:
            try:
                promote(open_it(), number, processes, times)  # type: ignore[operator]
            except BaseException:  # noqa: BLE001 - a forked process must not go on
                traceback.print_exc()
                os._exit(1)
            os._exit(0)
        children.append(pid)
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]


def main(arguments: Sequence[str]) -> None:
    """Fork, wait, and say how it went."""
    address, processes, times = arguments[0], int(arguments[1]), int(arguments[2])
    ends = fork(lambda: open_store(address, Path.cwd()), processes, times)
    print("done" if not any(ends) else f"broke: {ends}", flush=True)  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(sys.argv[1:])
