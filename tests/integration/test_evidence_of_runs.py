"""What a real run of dbt has to be to count as evidence, and what a normal team does that has to count."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from airflow_dbt_promotion.cli import ExitCode, main
from airflow_dbt_promotion.core.eligibility import Requirement, judge
from airflow_dbt_promotion.core.errors import (
    InputError,
    OverriddenVarsError,
    PlaceMismatchError,
    RunRefusedError,
    TargetMismatchError,
    UnknownArgumentError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.engine import Engine, RunOutcome
from airflow_dbt_promotion.functions import run_environment
from airflow_dbt_promotion.wiring import Place, engine_for

pytestmark = pytest.mark.dbt

STAGING, ORDERS = EnvironmentName("staging"), ModelId("model.shop.orders")
ONE = timedelta(days=1)
PROMOTION = """version: 1
state: states
environments:
  staging: {target: staging, vars: {limit: 100}, run_vars: [run_date]}
  production: {target: production, promotes_from: staging, vars: {limit: 100}, run_vars: [run_date]}
"""
PROJECT = """name: shop
version: '1.0'
profile: shop
vars: {limit: 100, colour: red}
data_tests: {shop: {+enabled: "{{ var('run_tests', true) }}"}}
"""
OUTPUT = "{{type: duckdb, path: '{path}', schema: {schema}, threads: {threads}}}"
ORDERS_SQL = "select i // 2 as id, '{{ var('run_date', 'none') }}' as day from range({{ var('limit') }}) t(i)"
FILES = {
    "dbt_project.yml": PROJECT,
    "promotion.yml": PROMOTION,
    "models/orders.sql": ORDERS_SQL,
    "models/schema.yml": "models: [{name: orders, columns: [{name: id, data_tests: [not_null]}]}]\n",
}


def profiles(**outputs: str) -> str:
    """Return a profiles.yml with these outputs in the profile `shop`."""
    lines = [f"    {name}: {output}" for name, output in outputs.items()]
    return "\n".join(["shop:", "  target: staging", "  outputs:", *lines]) + "\n"


class Shop:
    """One project on one DuckDB file."""

    def __init__(self, folder: Path) -> None:
        """Write the project."""
        self.folder = folder
        for path, text in FILES.items():
            self.write(path, text)
        self.write("profiles.yml", self.profile())

    def profile(self, path: str = "wh.duckdb", schema: str = "staging", threads: int = 1) -> str:
        """Return a profile whose staging lies there."""
        return profiles(
            staging=OUTPUT.format(path=path, schema=schema, threads=threads),
            production=OUTPUT.format(path="wh.duckdb", schema="production", threads=1),
        )

    def write(self, path: str, text: str) -> None:
        """Write a file of the project."""
        (self.folder / path).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / path).write_text(text)

    def dbt(self, *words: str, fails: bool = False, **environ: str) -> None:
        """Run dbt in the project."""
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - as late as it can be
        from dbt.deprecations import reset_deprecations  # noqa: PLC0415 - as late

        with contextlib.chdir(self.folder), pytest.MonkeyPatch.context() as patch:
            for name, value in environ.items():
                patch.setenv(name, value)
            reset_deprecations()  # dbt remembers those of other invocations, and --warn-error makes them errors
            done = dbtRunner().invoke(["--quiet", *words])
        assert done.success is not fails, done.exception

    @property
    def engine(self) -> Engine:
        """Return an engine as a new process would have it."""
        return engine_for(Place(project_dir=self.folder), environ={**os.environ})

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the warehouse."""
        with duckdb.connect(str(self.folder / "wh.duckdb")) as connection:
            return connection.execute(query).fetchall()

    def record(self) -> Recording:
        """Record the run for staging."""
        return self.engine.record("staging", self.folder / "target", "ann")

    def build(self, *words: str, **environ: str) -> Recording:
        """Build for staging with its vars, and record that."""
        said = words if any(word.startswith("{") for word in words) else (*words, "--vars", "{limit: 100}")
        self.dbt("build", "--target", "staging", *said, **environ)
        return self.record()

    def refuses(self, error: type[InputError], *words: str) -> str:
        """Run dbt; assert that recording it is refused, and return the words."""
        self.dbt("build", *words)
        with pytest.raises(error) as caught:
            self.record()
        assert self.engine.store.read(STAGING) is None
        return str(caught.value)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shop(folder)


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("{limit: 1}", "limit was 1, staging has 100"),
        ("{limit: 100, run_tests: false}", "run_tests was False, staging has the project's own value"),
        ("{limit: 100, colour: blue}", None),
    ],
)
def test_vars_that_something_reads_have_to_be_the_environments(shop: Shop, given: str, told: str | None) -> None:
    if told is None:
        assert shop.build("--vars", given).passed == (ORDERS,)
    else:
        assert told in shop.refuses(OverriddenVarsError, "--target", "staging", "--vars", given)


def test_a_profile_of_the_same_target_elsewhere_is_refused(shop: Shop) -> None:
    shop.write("elsewhere/profiles.yml", shop.profile(path="other/wh.duckdb"))
    (shop.folder / "other").mkdir()
    said = shop.refuses(TargetMismatchError, "--target", "staging", "--profiles-dir", "elsewhere")
    assert "another connection" in said


def test_another_profile_with_another_schema_is_refused(shop: Shop) -> None:
    text = shop.profile().replace("shop:", "sandbox:").replace("schema: staging", "schema: scratch")
    shop.write("profiles.yml", shop.profile() + text)
    shop.refuses(TargetMismatchError, "--target", "staging", "--profile", "sandbox")


def test_a_model_that_was_built_elsewhere_is_refused_by_name(shop: Shop) -> None:
    macro = (
        "{% macro generate_alias_name(custom=none, node=none) %}{{ node.name ~ env_var('SUFFIX', '') }}{% endmacro %}"
    )
    shop.write("macros/alias.sql", macro)
    shop.dbt("build", "--target", "staging", "--vars", "{limit: 100}", SUFFIX="_try")
    with pytest.raises(PlaceMismatchError, match=r"model\.shop\.orders at .*orders_try.*staging has it at .*orders"):
        shop.record()


def test_narrowed_runs_and_unknown_arguments_are_refused(shop: Shop) -> None:
    assert "--empty" in shop.refuses(RunRefusedError, "--target", "staging", "--empty", "--vars", "{limit: 100}")
    results = shop.folder / "target" / "run_results.json"
    shop.dbt("build", "--target", "staging", "--vars", "{limit: 100}")
    results.write_text(results.read_text().replace('"which":', '"invented": 7, "which":'))
    with pytest.raises(UnknownArgumentError, match=r"invented=7.*accept_arguments: \[invented\]"):
        shop.record()


# --- what a normal team does ------------------------------------------------------------------------------------------

NORMAL: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "one build": (("build",),),
    "run, then test": (("run",), ("test",)),
    "flags": (("build", "--fail-fast", "--warn-error", "--full-refresh", "--threads", "2", "--no-version-check"),),
    "excluded": (("build", "--exclude", "resource_type:seed"),),
    "options of warnings": (("build", "--warn-error-options", '{"error": ["NoNodesForSelectionCriteria"]}'),),
    "one a model": (("run", "--select", "orders"), ("test", "--select", "orders")),
}


@pytest.mark.parametrize("way", NORMAL)
def test_ways_of_running_dbt_count(shop: Shop, way: str) -> None:
    for words in NORMAL[way]:
        shop.dbt(*words, "--target", "staging", "--vars", "{limit: 100}")
        told = shop.record()
    assert told.passed == (ORDERS,)


def test_another_folder_for_profiles_other_threads_and_another_target_path_count(shop: Shop) -> None:
    shop.write("elsewhere/profiles.yml", shop.profile(threads=4))
    shop.dbt("build", "--target", "staging", "--profiles-dir", "elsewhere", "--vars", "{limit: 100}")
    assert shop.record().passed == (ORDERS,)
    assert shop.engine.store.read(STAGING).evidence[ORDERS][0].unverified_place is False  # type: ignore[union-attr]


def test_a_var_that_differs_from_run_to_run_is_kept_and_goes_on(shop: Shop) -> None:
    first = shop.build("--vars", "{limit: 100, run_date: '2026-01-01'}")
    again = shop.build("--vars", "{limit: 100, run_date: '2026-01-02'}")
    assert (first.entered, again.entered, again.passed) == ((ORDERS,), (), (ORDERS,))
    state = shop.engine.store.read(STAGING)
    assert state is not None
    assert state.evidence[ORDERS][0].run_vars == {"run_date": '"2026-01-02"'}


def test_what_is_promoted_and_run_is_given_vars_of_the_run(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.build()
    promotes = ["promote", "--target-environment", "production", "--min-days-in-staging", "0", "--reason", "a test"]
    here = ["--dbt-project-dir", str(shop.folder)]
    assert main([*promotes, *here, "--vars", "{limit: 1}"]) == ExitCode.BAD_INPUT
    assert "run_vars: [limit]" in capsys.readouterr().err
    assert main([*promotes, *here, "--vars", "{run_date: 2026-12-01}"]) == ExitCode.DONE
    assert shop.rows("select distinct day from production.orders") == [("2026-12-01",)]
    assert main(["run", "--environment", "production", *here, "--vars", "{run_date: '2026-12-02'}"]) == ExitCode.DONE
    assert shop.rows("select distinct day from production.orders") == [("2026-12-02",)]
    told = run_environment("production", dbt_project_dir=shop.folder, vars={"run_date": "2026-12-03"})
    assert told.outcome is RunOutcome.PASSED
    assert shop.rows("select distinct day from production.orders") == [("2026-12-03",)]


def test_a_machine_without_a_profile_records_and_says_that_the_place_is_unverified(shop: Shop) -> None:
    shop.dbt("build", "--target", "staging", "--vars", "{limit: 100}")
    (shop.folder / "profiles.yml").unlink()
    engine = engine_for(
        Place(project_dir=shop.folder), environ={"HOME": str(shop.folder / "nobody"), **_without_home()}
    )
    assert engine.record("staging", shop.folder / "target", "ci").passed == (ORDERS,)
    state = engine.store.read(STAGING)
    assert state is not None
    assert state.evidence[ORDERS][0].unverified_place is True


def test_recording_what_is_kept_already_starts_no_dbt(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.build()
    shop.record()
    engine = shop.engine
    shop.dbt("build", "--target", "staging", "--vars", "{limit: 100}")

    def never(*_: object, **__: object) -> None:
        raise AssertionError("dbt was started")

    monkeypatch.setattr("airflow_dbt_promotion.dbt.runner.InProcessRunner.invoke", never)
    assert engine.record("staging", shop.folder / "target", "ann").passed == (ORDERS,)


def proof(shop: Shop, model: ModelId) -> str:
    """Return what the tests gate says of what staging holds of a model."""
    state = shop.engine.store.read(STAGING)
    assert state is not None
    return judge(model, state, Requirement(), datetime.now(tz=UTC))[0].code


def test_a_seed_that_dbt_did_not_read_counts_where_it_was_not_changed_since(shop: Shop) -> None:
    seed, rows = ModelId("seed.shop.lands"), "".join(f"{i},{'x' * 90}\n" for i in range(12_000))
    shop.write("seeds/lands.csv", f"code,name\n{rows}")
    shop.build()
    assert proof(shop, seed) == "no_tests"
    shop.write("seeds/lands.csv", f"code,name\n{rows}99998,y\n")
    shop.dbt("seed", "--target", "staging", "--vars", "{limit: 100}")
    shop.write("seeds/lands.csv", f"code,name\n{rows}99999,z\n")
    shop.record()
    assert proof(shop, seed) == "unknown_bytes"
    shop.build("--select", "lands")
    assert proof(shop, seed) == "no_tests"


MICROBATCH = """{{ config(materialized='incremental', incremental_strategy='microbatch', event_time='day',
    batch_size='day', begin='BEGIN') }}
select 1 as id, day from {{ ref('days') }}"""


def test_a_microbatch_model_counts_once_its_batches_reach_from_begin_to_now(shop: Shop) -> None:
    model, today = ModelId("model.shop.daily"), datetime.now(tz=UTC).date()
    days = "select d::timestamp as day from range(date 'FIRST', date 'LAST', interval 1 day) t(d)"
    shop.write("models/days.sql", days.replace("FIRST", str(today - 3 * ONE)).replace("LAST", str(today + ONE)))
    shop.write("models/daily.sql", MICROBATCH.replace("BEGIN", str(today - 3 * ONE)))
    shop.write("models/daily.yml", "models: [{name: days, config: {event_time: day}}]\n")
    window = ("--event-time-start", str(today - ONE), "--event-time-end", str(today + ONE))
    shop.build(*window)
    assert proof(shop, model) == "slices_missing"
    shop.build("--select", "daily", "--event-time-start", str(today - 3 * ONE), "--event-time-end", str(today - ONE))
    assert proof(shop, model) == "no_tests"
    shop.build("--select", "daily", *window)
    assert proof(shop, model) == "no_tests", "a window on a table that holds everything adds to it"
    shop.build("--select", "daily", "--full-refresh", *window)
    assert proof(shop, model) == "slices_missing"
    shop.build("--select", "daily", "--full-refresh")
    assert proof(shop, model) == "no_tests"


def _without_home() -> dict[str, str]:
    """Return the environment without what could lead to a profile."""
    return {name: value for name, value in os.environ.items() if name not in {"HOME", "DBT_PROFILES_DIR"}}
