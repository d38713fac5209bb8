"""Released code at the command line: run it, tell of drift, keep what is not promoted out, clean up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import jsonschema
import pytest

from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.core.environment import OnDrift
from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.kept import Waste
from airflow_dbt_promotion.core.orders import RunCommand
from airflow_dbt_promotion.engine.server import NOTHING
from airflow_dbt_promotion.render.schemas import schema
from tests.fakes import id_of
from tests.locking import locked
from tests.scenarios import DAY, PARENTS, Shop, defined, model_id, path, test_id

ORDERS, REVENUE = map(model_id, ("orders", "revenue"))
MERGED = defined(code={"orders": "select 2"})


class Ran:
    """What one command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def document(self, name: str) -> dict:
        found = json.loads(self.out)
        jsonschema.validate(found, schema(name))
        return found


Run = Callable[..., Ran]


@pytest.fixture
def shop() -> Shop:
    """A shop whose production holds the first release, while the checkout has moved on."""
    made = Shop(defined(), path(timedelta(0)))
    made.baseline("production")
    made.clock.pass_by(DAY)
    made.change(MERGED)
    return made


@pytest.fixture
def run(shop: Shop, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def running(line: str, *more: str) -> Ran:
        code = main([*line.split(), *more], engine_for=lambda _: shop.engine)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return running


# --- run --------------------------------------------------------------------------------------------------------------


def test_a_run_that_passed_is_0(run: Run) -> None:
    done = run("run --environment production")
    assert (done.code, done.err) == (0, "")
    release = id_of(defined())[:8]
    assert done.out.splitlines() == [
        "Ran what was promoted to production: 4 success, 4 pass.",
        "  4 models passed all required tests.",
        f"  From 1 kept release ({release}), took 0 s.",
    ]


def test_a_run_that_failed_is_1_and_says_what_in_dbts_words(shop: Shop, run: Run) -> None:
    shop.workshop.failing = [test_id("orders")]
    done = run("run --environment production")
    assert done.code == 1
    assert "promoted to production did not go through: 4 success, 3 pass, 1 fail." in done.out
    assert "  not_null_orders_id (fail): it broke\n" in done.out
    assert "What was earned is void: orders." in done.out
    told = run("run --environment production --output-format json").document("run")
    assert (told["outcome"], told["failed_models"]) == ("failed", [ORDERS])
    assert [one["name"] for one in told["failed"]] == ["not_null_orders_id"]
    written = run("run --environment production --output-format markdown").out
    assert "## Run of production: failed" in written
    assert "| `not_null_orders_id` | fail | it broke |" in written


def test_every_option_reaches_the_run(shop: Shop, run: Run) -> None:
    more = ("--select", "orders stg_orders", "--exclude", "orders")
    told = run("run --environment production --command run --full-refresh --output-format json", *more).document("run")
    assert (told["nodes"], told["command"], told["full_refresh"]) == ([model_id("stg_orders")], "run", True)
    (request,) = shop.workshop.runs
    assert request.command is RunCommand.RUN
    who = run("run --environment production --actor ann --link https://ci --output-format json").document("run")
    assert (who["actor"], who["link"]) == ("ann", "https://ci")


def test_a_dry_run_lists_what_would_be_executed(shop: Shop, run: Run) -> None:
    done = run("run --environment production --select orders --dry-run")
    assert done.code == 0
    assert done.out.splitlines()[:3] == [
        "Dry run: `dbt build` of what was promoted to production would execute 2 nodes.",
        f"  {ORDERS}",
        f"  {test_id('orders')}",
    ]
    assert shop.workshop.runs == []
    assert f"| `{ORDERS}` |" in run("run --environment production --dry-run --output-format markdown").out


def test_bad_input_is_2_and_a_machine_that_breaks_is_4(shop: Shop, run: Run) -> None:
    assert run("run --environment moon").code == 2
    assert run("run --environment development").code == 2
    assert run("run --environment production --command compile").code == 2
    assert run("run --environment production --select unheard_of").code == 2
    assert "nothing is in it yet" in run("run --environment staging").err
    with locked(shop.store, "production", "somebody", shop.clock()):
        assert run("run --environment production --lock-timeout 0").code == 4
    shop.workshop.build_breaks = DbtError("it broke")
    told = run("run --environment production --output-format json")
    assert (told.code, told.document("failure")["error"]["code"]) == (4, "dbt_error")
    shop.workshop.build_breaks = KeyboardInterrupt()
    assert run("run --environment production").code == 130


# --- drift ------------------------------------------------------------------------------------------------------------


def drifted(shop: Shop) -> str:
    """Leave the run of others that drifts, and say how it is recorded."""
    folder = shop.leave_run("production")
    return f"record --environment production --target-path {folder}"


def test_drift_is_warned_of_and_shown_until_it_is_mended(shop: Shop, run: Run) -> None:
    done = run(drifted(shop))
    assert done.code == 0
    assert "warning: drift: versions that were never promoted were built in production (orders, revenue)" in done.err
    status = run("status --environment production")
    assert (
        "Drift: 2 models in production are not what was promoted: orders, revenue; last built by run run-1"
        in status.out
    )
    assert "`dbt-promote run --environment production` builds what was promoted." in status.out
    told = run("status --environment production --output-format json").document("status")["drift"]
    assert [(one["unique_id"], one["by"]) for one in told] == [(ORDERS, "run-1"), (REVENUE, "run-1")]
    assert "Drift: 2 models" in run("status --output-format markdown").out
    shop.clock.pass_by(DAY)
    run("run --environment production")
    assert "Drift" not in run("status --environment production").out


def test_drift_of_models_that_were_never_promoted_is_shown_too(shop: Shop, run: Run) -> None:
    shop.change(defined({"raw_orders": (), "more": ()}))
    run(drifted(shop))
    told = run("status --models more --output-format json").document("status")
    assert [(one["name"], one["promoted_version"]) for one in told["drift"]] == [("more", None)]
    assert "Drift: 1 model in production is not what was promoted: more" in run("status").out


def test_where_policy_blocks_it_recording_is_3(shop: Shop, run: Run) -> None:
    shop.engine.path = path(on_drift=OnDrift.BLOCK)
    shop.engine._recorder._memory.path = shop.engine.path
    line = drifted(shop)
    done = run(line)
    assert done.code == 3
    assert done.out.startswith("Refused: this run built in production what was never promoted.")
    again = run(f"{line} --output-format json")
    told = again.document("recording")
    assert (again.code, told["refused"], told["drifted"], told["run"]) == (3, True, [ORDERS, REVENUE], "run-1")
    assert "Drift:" in run("status --environment production").out


def test_a_run_whose_sources_moved_is_recorded_with_a_warning(shop: Shop, run: Run) -> None:
    folder = shop.leave_run("staging")
    shop.change(defined())
    done = run(f"record --environment staging --target-path {folder}")
    assert done.code == 0
    assert "warning: the sources were not kept (the sources at hand are not those of the run)" in done.err


def test_why_tells_of_drift_and_of_what_failed_in_the_target(shop: Shop, run: Run) -> None:
    shop.run("staging")
    shop.run("production")
    shop.clock.pass_by(DAY)
    shop.run("production", failing=[ORDERS, REVENUE])
    done = run("why orders --target-environment production")
    assert "drift" in done.out
    assert "was never promoted; `dbt-promote run" in " ".join(done.out.split())
    assert "failed in production" in done.out
    told = run("why orders --target-environment production --output-format json").document("why")
    assert told["failed_in_target"]["failure"] == "the build failed: boom"
    assert told["drift"]["by"] == "run-2"


def test_why_tells_of_drift_of_what_was_never_promoted(shop: Shop, run: Run) -> None:
    shop.change(defined({**PARENTS, "more": ()}))
    shop.run("staging")
    shop.run("production")
    told = run("why more --target-environment production").out
    assert "and was never promoted; promote it, or drop it" in " ".join(told.split())


# --- exclude ----------------------------------------------------------------------------------------------------------


def test_what_is_not_promoted_is_one_line_for_a_shell(shop: Shop, run: Run) -> None:
    done = run("exclude --environment production")
    assert (done.code, done.out, done.err) == (0, "fqn:shop.orders fqn:shop.revenue\n", "")
    told = run("exclude --environment production --output-format json").document("excluded")
    assert [one["name"] for one in told["models"]] == ["orders", "revenue"]
    assert "| `orders` | `" in run("exclude --environment production --output-format markdown").out
    shop.change(defined())
    assert run("exclude --environment production").out == f"{NOTHING}\n"
    assert run("exclude --environment development").code == 2


# --- clean ------------------------------------------------------------------------------------------------------------


def test_clean_says_what_it_deletes_and_a_dry_run_deletes_nothing(shop: Shop, run: Run) -> None:
    shop.releases.found = Waste(
        releases=(ReleaseId("0123456789"),), blobs=2, parses=1, bytes=2048, names=("blobs/a", "blobs/b", "trees/0123")
    )
    dry = run("clean --dry-run")
    assert (dry.code, shop.releases.removed) == (0, [])
    assert dry.out.splitlines() == [
        "Would delete 1 release, 2 files, 1 cached parse (2.0 KiB).",
        "  releases: 01234567",
        "  blobs/a",
        "  blobs/b",
        "  trees/0123",
    ]
    assert run("clean --dry-run --output-format json").document("cleaned")["deleted"] is False
    done = run("clean")
    assert done.err.startswith("Would delete 1 release")
    assert done.out.startswith("Deleted 1 release")
    assert len(shop.releases.removed) == 1
    assert run("clean").out.startswith("Nothing to clean")
    assert "Nothing to clean" in run("clean --output-format markdown").out
