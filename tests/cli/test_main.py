from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from airflow_dbt_promotion import __version__
from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.core.environment import BypassKind, Environment, IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import CorruptStateError, DbtProjectError, LockHeldError
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.render.schemas import schema
from airflow_dbt_promotion.wiring import Place
from tests.fakes import FakeWorkshop
from tests.scenarios import DAY, Shop, model_id, path, release, test_id

PROMOTE = "promote --target-environment production"


class Ran:
    """What one command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def document(self) -> dict:
        return json.loads(self.out)


Run = Callable[..., Ran]


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def run(shop: Shop, capsys: pytest.CaptureFixture[str]) -> Run:
    def running(line: str, *more: str) -> Ran:
        code = main([*line.split(), *more], engine_for=lambda _: shop.engine)
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return running


def soaked(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)


# --- exit codes and streams -------------------------------------------------------------------------------------------


def test_a_promotion_is_0_and_its_answer_alone_is_on_standard_output(shop: Shop, run: Run) -> None:
    soaked(shop)
    done = run(PROMOTE)
    assert done.code == 0
    assert done.out.startswith("Promoted 4 models from staging to production.\n")
    assert done.err == "Promoting 4 models from staging to production ...\n"
    assert shop.engine.observer.state("production").current.keys() == shop.project.models.keys()


def test_nothing_to_do_and_a_dry_run_of_what_may_go_are_0(shop: Shop, run: Run) -> None:
    soaked(shop)
    for flag in ("--dry-run", "--no-update-state"):
        assert run(f"{PROMOTE} {flag} --output-format json").document["outcome"] == "planned"
    assert shop.engine.observer.state("production") is None
    assert run(PROMOTE).code == 0
    again = run(PROMOTE)
    assert (again.code, again.out.splitlines()[0]) == (0, "Nothing to do: what was asked for is in production already.")


def test_failed_is_1(shop: Shop, run: Run) -> None:
    soaked(shop)
    shop.workshop.failing = [test_id("orders")]
    assert run(f"{PROMOTE} --output-format json").document["outcome"] == "failed"
    shop.workshop.failing = [model_id("orders")]
    done = run(PROMOTE)
    assert done.code == 1
    assert "model.shop.orders broke" in done.out


@pytest.mark.parametrize("flag", ["", "--dry-run", "--no-update-state"])
def test_refused_is_3(shop: Shop, run: Run, flag: str) -> None:
    shop.run("staging")
    done = run(f"{PROMOTE} --models raw_orders {flag}")
    assert done.code == 3
    assert done.out.startswith("Refused")
    assert done.err == ""


def test_a_source_that_was_never_recorded_is_3(run: Run) -> None:
    assert run(PROMOTE).code == 3
    assert run(f"{PROMOTE} --dry-run").code == 3


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"{PROMOTE} --models ordesr", "unknown_model"),
        (f"{PROMOTE} --models ../etc/passwd", "invalid_name"),
        (f"{PROMOTE} --models ,", "empty_selection"),
        (f"{PROMOTE} --models orders --select tag:x", "bad_configuration"),
        (f"{PROMOTE} --skip-tests", "reason_required"),
        (f"{PROMOTE} --min-days-in-staging 0", "reason_required"),
        (f"{PROMOTE} --min-days-in-staging soon", "bad_duration"),
        (f"{PROMOTE} --source-environment development", "environment_skipped"),
        ("promote --target-environment nowhere", "unknown_environment"),
        (f"{PROMOTE} --modles orders", "usage"),
        (f"{PROMOTE} --lock-timeout -1", "usage"),
        (f"{PROMOTE} --min-successful-runs 1.5", "usage"),
        (f"{PROMOTE} --min-succ 1", "usage"),
        ("promote", "usage"),
        ("promot", "usage"),
        ("status --environment nowhere", "unknown_environment"),
        ("status --models all-validated", "bad_configuration"),
        ("validated --min-days-in-staging -1", "bad_duration"),
        ("validated --environment production", "bad_configuration"),
        ("why orders,customers --target-environment production", "bad_configuration"),
        ("why ordesr --target-environment production", "unknown_model"),
        ("record --environment staging --target-path nowhere", "missing_artifact"),
        ("history --environment nowhere", "unknown_environment"),
    ],
)
def test_bad_input_is_2_with_a_document_and_a_sentence(shop: Shop, run: Run, line: str, code: str) -> None:
    shop.run("staging")
    before = shop.engine.observer.state("staging")
    done = run(f"{line} --output-format json")
    assert done.code == 2
    assert done.document["outcome"] == "errored"
    assert (done.document["error"]["kind"], done.document["error"]["code"]) == ("bad_input", code)
    assert done.err.startswith("error: ")
    jsonschema.validate(done.document, schema("promotion" if line.startswith("promote") else "failure"))
    assert shop.engine.observer.state("staging") == before
    assert shop.engine.observer.state("production") is None


def test_bad_input_in_text_leaves_standard_output_empty(run: Run) -> None:
    done = run("status --environment nowhere")
    assert (done.code, done.out) == (2, "")
    assert "there is no environment 'nowhere'; known: development, staging, production" in " ".join(done.err.split())


def test_bad_input_in_markdown_is_markdown(run: Run) -> None:
    assert run("status --environment nowhere --output-format=markdown").out.startswith("## Errored\n\nthere is no env")


def test_near_names_and_options_are_named(shop: Shop, run: Run) -> None:
    shop.run("staging")
    assert "did you mean orders" in run(f"{PROMOTE} --models ordesr").err
    assert "did you mean --models?" in run(f"{PROMOTE} --modles orders").err


def test_ten_thousand_names_are_too_many(shop: Shop, run: Run) -> None:
    shop.run("staging")
    done = run(f"{PROMOTE} --output-format json --models", *(f"model_{number}" for number in range(10_000)))
    assert (done.code, done.document["error"]["code"]) == (2, "too_many_names")


@pytest.mark.parametrize(
    ("error", "exit_code", "kind", "code"),
    [
        (CorruptStateError("staging.json", "is truncated"), 4, "machine", "corrupt_state"),
        (LockHeldError("production", "ann"), 4, "machine", "locked"),
        (DbtProjectError("shop", ["no such profile"]), 2, "bad_input", "dbt_project"),
        (RuntimeError("boom"), 4, "unexpected", "unexpected"),
        (RecursionError("deep"), 4, "unexpected", "unexpected"),
        (KeyboardInterrupt(), 130, "interrupted", "interrupted"),
    ],
)
def test_what_breaks_has_its_exit_code_and_document(
    shop: Shop, run: Run, error: BaseException, exit_code: int, kind: str, code: str
) -> None:
    soaked(shop)
    shop.workshop.breaks = error
    done = run(f"{PROMOTE} --output-format json")
    assert done.code == exit_code
    jsonschema.validate(done.document, schema("promotion"))
    assert (done.document["error"]["kind"], done.document["error"]["code"]) == (kind, code)
    assert done.document["target_environment"] == "production"
    assert "Traceback" not in done.err


def test_a_defect_says_how_to_report_it(shop: Shop, run: Run) -> None:
    soaked(shop)
    shop.workshop.breaks = ZeroDivisionError("oh")
    done = run(PROMOTE)
    assert "error: ZeroDivisionError: oh\n" in done.err
    assert "Run it again with --debug and report what it prints" in " ".join(done.err.split())


def test_tracebacks_are_shown_on_request_alone(shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    soaked(shop)
    shop.workshop.breaks = ZeroDivisionError("oh")
    assert "Traceback" in run(f"{PROMOTE} --debug").err
    monkeypatch.setenv("PROMOTION_DEBUG", "1")
    assert "Traceback" in run(PROMOTE).err


class TerminatedWorkshop(FakeWorkshop):
    """Is ended by SIGTERM while it builds."""

    def build(self, request, on_progress):  # noqa: ANN001, ANN201 - the port's
        os.kill(os.getpid(), signal.SIGTERM)
        return super().build(request, on_progress)


def test_sigterm_is_143_and_the_attempt_is_history(shop: Shop, run: Run) -> None:
    soaked(shop)
    shop.workshop.__class__ = TerminatedWorkshop
    before = signal.getsignal(signal.SIGTERM)
    done = run(f"{PROMOTE} --output-format json")
    assert (done.code, done.document["error"]["kind"]) == (143, "interrupted")
    assert signal.getsignal(signal.SIGTERM) == before
    ((_, record),) = shop.engine.history()
    assert record.outcome.value == "errored"


# --- what the options mean --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ["--models", "orders,revenue"],
        ["--models", "orders revenue"],
        ["--models", "orders", "revenue"],
        ["--models", "orders", "--models", "revenue"],
        ["--models=orders, revenue"],
    ],
)
def test_models_are_separated_by_commas_or_spaces_and_several_times_too(shop: Shop, run: Run, words: list[str]) -> None:
    soaked(shop)
    document = run(f"{PROMOTE} --dry-run --output-format json", *words).document
    assert [model["name"] for model in document["models"]] == ["orders", "revenue"]


def test_all_validated_is_what_naming_nothing_is(shop: Shop, run: Run) -> None:
    soaked(shop)
    named = run(f"{PROMOTE} --dry-run --output-format json --models all-validated").document
    assert named["plan_id"] == run(f"{PROMOTE} --dry-run --output-format json").document["plan_id"]
    assert len(named["models"]) == 4


def test_select_asks_dbt(shop: Shop, run: Run) -> None:
    soaked(shop)
    shop.workshop.selected = (model_id("raw_orders"),)
    document = run(f"{PROMOTE} --dry-run --output-format json --select tag:x").document
    assert [model["name"] for model in document["models"]] == ["raw_orders"]


def test_company_comes_along_where_it_is_asked_for(shop: Shop, run: Run) -> None:
    soaked(shop)
    document = run(f"{PROMOTE} --dry-run --output-format json --models orders --include-upstream").document
    assert [model["name"] for model in document["models"]] == ["orders", "stg_orders", "raw_orders"]


def test_every_option_of_a_promotion_arrives(run: Run, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def promote(request, on_progress, on_plan):  # noqa: ANN001, ANN202, ARG001 - the engine's
        asked.append(request)
        raise LockHeldError("production", "ann")

    monkeypatch.setattr(shop.engine, "promote", promote)
    run(
        f"{PROMOTE} --source-environment staging --models a --include-upstream --include-downstream "
        "--include-macro-users --allow-stale-downstream --allow-removals --force "
        "--min-days-in-staging PT12H --min-successful-runs 3 "
        "--run-tests --skip-tests --reason why --dry-run --no-update-state --strategy record "
        "--on-incremental-change full_refresh --lock-timeout 1.5 --actor ann --link https://example.com/1"
    )
    (request,) = asked
    assert (request.target, request.source, request.models, request.select) == ("production", "staging", ("a",), None)
    widened = ("include_upstream", "include_downstream", "include_macro_users")
    for name in (*widened, "allow_stale_downstream", "allow_removals", "force"):
        assert getattr(request, name) is True
    assert (request.soak, request.min_successful_runs) == (DAY / 2, 3)
    assert (request.run_tests, request.require_tests, request.reason) == (True, False, "why")
    assert (request.dry_run, request.update_state) == (True, False)
    assert (request.strategy, request.on_incremental_change) == (Strategy.RECORD, IncrementalChange.FULL_REFRESH)
    assert (request.lock_timeout, request.actor, request.link) == (1.5, "ann", "https://example.com/1")


def test_the_place_is_what_the_options_say(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    places: list[Place] = []

    def engine_for(place: Place):  # noqa: ANN202 - the shop's
        places.append(place)
        return shop.engine

    line = "status --dbt-project-dir /p --profiles-dir /q --profile z --state file:///s --dbt-executable-path /bin/dbt"
    assert main(line.split(), engine_for=engine_for) == 0
    assert main(["status"], engine_for=engine_for) == 0
    capsys.readouterr()
    assert places[0] == Place(
        project_dir=Path("/p"),
        profiles_dir=Path("/q"),
        profile="z",
        state="file:///s",
        dbt_executable_path=Path("/bin/dbt"),
    )
    assert places[1] == Place(project_dir=Path())


def test_a_bypass_that_policy_forbids_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    shop = Shop(environments=path(forbid=frozenset({BypassKind.SKIP_TESTS})))
    shop.run("staging")
    line = f"{PROMOTE} --models raw_orders --skip-tests --reason x"
    assert main(line.split(), engine_for=lambda _: shop.engine) == 3
    assert "change: bypass_forbidden" in capsys.readouterr().out


# --- the other commands -----------------------------------------------------------------------------------------------


def test_record_takes_a_run(shop: Shop, run: Run) -> None:
    folder = shop.leave_run("staging", failing=[test_id("orders")])
    done = run(f"record --environment staging --target-path {folder} --output-format json")
    assert done.code == 0
    jsonschema.validate(done.document, schema("recording"))
    assert done.document["failed"] == [model_id("orders")]
    assert done.document["serial"] == shop.engine.observer.state("staging").serial == 1


def test_record_looks_into_dbts_target_folder_where_none_is_named(
    shop: Shop, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n", encoding="utf-8")
    (tmp_path / "profiles.yml").write_text(
        "shop: {target: dev, outputs: {dev: {type: duckdb}, staging: {type: duckdb}}}\n", encoding="utf-8"
    )
    left = shop.leave_run("staging")
    for folder, environ in (("target", {}), ("elsewhere", {"DBT_TARGET_PATH": "elsewhere"})):
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        shop.reader.runs = {tmp_path / folder: shop.reader.runs.get(left) or next(iter(shop.reader.runs.values()))}
        assert run(f"record --environment staging --dbt-project-dir {tmp_path}").code == 0


def test_a_baseline_adopts_the_project_as_it_is(shop: Shop, run: Run) -> None:
    done = run("record --environment production --baseline --yes --output-format json")
    assert (done.code, done.document["baseline"], len(done.document["entered"])) == (0, True, 4)
    assert {entry.origin.value for entry in shop.engine.observer.state("production").current.values()} == {"baseline"}


def test_a_baseline_of_a_manifest(shop: Shop, run: Run) -> None:
    folder = shop.leave_run("production")
    shop.change(release({"other": ()}))
    entered = run(f"record --environment production --baseline --target-path {folder} --output-format json").document
    assert model_id("orders") in entered["entered"]


def test_status_of_some_models_in_one_environment(shop: Shop, run: Run) -> None:
    shop.run("staging")
    document = run("status --environment staging --models orders,revenue --output-format json").document
    jsonschema.validate(document, schema("status"))
    assert [one["name"] for one in document["models"]] == ["orders", "revenue"]
    assert "staging: 1 model\n" in run("status --environment staging --models orders").out


def test_validated_is_one_name_a_line(shop: Shop, run: Run) -> None:
    soaked(shop)
    assert run("validated --min-days-in-staging 1").out == "orders\nraw_orders\nrevenue\nstg_orders\n"
    run(f"{PROMOTE} --models raw_orders")
    assert run("validated --pending").out == "orders\nrevenue\nstg_orders\n"
    nothing = run("validated --min-days-in-staging 2")
    assert (nothing.code, nothing.out) == (0, "")
    assert "Nothing in staging is validated and soaked for that long" in nothing.err
    document = run("validated --min-days-in-staging 2 --output-format json").document
    assert (document["models"], document["min_days_in_staging"]) == ([], 2.0)


def test_what_validated_prints_can_be_handed_to_promote(shop: Shop, run: Run) -> None:
    soaked(shop)
    assert run(PROMOTE, "--models", *run("validated").out.split()).code == 0


def test_why_is_3_where_a_gate_is_shut_and_0_where_none_is(shop: Shop, run: Run) -> None:
    shop.run("staging")
    assert run("why raw_orders --target-environment production").code == 3
    shop.clock.pass_by(DAY)
    assert run("why raw_orders --target-environment production").code == 0
    run(PROMOTE)
    document = run("why raw_orders --target-environment production --output-format json").document
    jsonschema.validate(document, schema("why"))
    assert [verdict["gate"] for verdict in document["verdicts"]] == ["tests", "soak"]


def test_history_of_all_and_of_one_environment(shop: Shop, run: Run) -> None:
    soaked(shop)
    run(f"{PROMOTE} --actor ann")
    document = run("history --output-format json").document
    jsonschema.validate(document, schema("history"))
    (record,) = document["promotions"]
    assert (record["actor"], record["target_environment"], record["outcome"]) == ("ann", "production", "promoted")
    assert run("history --environment staging").out == "No promotion is on record.\n"


# --- help and looks ---------------------------------------------------------------------------------------------------


def test_help_teaches(run: Run) -> None:
    for command in ("promote", "status", "validated", "record", "why", "history"):
        done = run(f"{command} --help")
        assert done.code == 0
        assert f"  dbt-promote {command}" in done.out or command == "record"
        for shared in ("--dbt-project-dir", "--profiles-dir", "--state", "--output-format", "exit codes:"):
            assert shared in done.out
    assert "COMMAND" in run("--help").out


def test_version(run: Run) -> None:
    done = run("--version")
    assert (done.code, done.out.split()[:2]) == (0, ["dbt-promote", __version__])


def test_no_command_is_bad_input_and_shows_help(run: Run) -> None:
    done = run("")
    assert (done.code, done.out) == (2, "")
    assert "usage: dbt-promote" in done.err


def test_colours_are_for_terminals_and_no_color_forbids_them(
    shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.run("staging")
    assert "\x1b" not in run("status").out
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b[1m" in run("status").out
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in run("status").out


def test_columns_says_how_wide_the_page_is(shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.run("staging")
    for columns in ("60", "80", "140"):
        monkeypatch.setenv("COLUMNS", columns)
        assert max(map(len, run("why orders --target-environment production").out.splitlines())) <= int(columns)


class PrintingWorkshop(FakeWorkshop):
    """Prints, as adapters do."""

    def release(self, environment: Environment, *, dry: bool) -> Release:
        print("Opening a connection ...")  # noqa: T201 - the point of it
        return super().release(environment, dry=dry)


@pytest.mark.parametrize("output_format", ["json", "text", "markdown"])
def test_what_others_print_never_reaches_standard_output(shop: Shop, run: Run, output_format: str) -> None:
    soaked(shop)
    shop.workshop.__class__ = PrintingWorkshop
    done = run(f"{PROMOTE} --output-format {output_format}")
    assert "Opening a connection" not in done.out
    assert "Opening a connection" in done.err
    if output_format == "json":
        assert done.document["outcome"] == "promoted"
        assert re.sub(r"Opening a connection ...\n", "", done.err) == ""


def test_warnings_of_the_store_are_told_on_standard_error_and_in_the_document(
    shop: Shop, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    soaked(shop)
    monkeypatch.setattr(shop.store, "warnings", lambda: ("`dbt clean` deletes it",))
    done = run(f"{PROMOTE} --output-format json")
    assert done.document["warnings"] == ["`dbt clean` deletes it"]
    assert done.err == "warning: `dbt clean` deletes it\n"
