"""`dbt-promote config`: checked, shown, and its schema."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import duckdb
import jsonschema
import pytest

from airflow_dbt_promotion.cli import main
from airflow_dbt_promotion.config import config_schema
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId
from airflow_dbt_promotion.core.labels import labels_of
from airflow_dbt_promotion.core.selector import selector
from airflow_dbt_promotion.dbt.artifacts import read_definition
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.render.schemas import schema
from airflow_dbt_promotion.stores import open_store

Run = Callable[..., tuple[int, str, str]]

RULES = """\
version: 1
environments:
  staging: {target: dev}
  production:
    target: dev
    min_days_in_staging: 3
    approval: true
    rules:
      - select: tag:critical
        min_days_in_staging: 14
        approval: {min_approvals: 2, four_eyes: true, approvers: [ann, bob], trust_claimed: true}
      - {select: "tag:nothing", exclude: orders, name: nobody's, warnings: block}
"""
PROJECT = {
    "dbt_project.yml": "{name: shop, version: '1.0', profile: shop}",
    "profiles.yml": "shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb}}}",
    "models/orders.sql": "{{ config(tags=['critical']) }} select 1 as id",
    "models/lines.sql": "select 1 as id",
    "promotion.yml": RULES,
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name, text in PROJECT.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def build(home: Path, *tables: str) -> None:
    """Make tables in the warehouse, as dbt would."""
    with duckdb.connect(str(home / "shop.duckdb")) as warehouse:
        for table in tables:
            warehouse.execute(f"create table {table} as select 1 as id")


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "200")

    def running(*words: str) -> tuple[int, str, str]:
        code = main(["config", *words, "--dbt-project-dir", str(home)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return running


def test_every_mistake_is_told_and_ends_with_2(run: Run, home: Path) -> None:
    file = home / "promotion.yml"
    file.write_text(RULES.replace("warnings: block", "warnings: blok").replace("true\n", "7\n"), encoding="utf-8")

    code, out, _ = run("check")
    _, printed, _ = run("check", "--output-format", "json")
    _, marked, _ = run("check", "--output-format", "markdown")

    assert code == 2
    assert out.splitlines()[:2] == [
        f"{file}:7: environments.production.approval: must be true, false or a mapping, not a number",
        f"{file}:12: environments.production.rules.1.warnings: 'blok' must be one of block, pass; did you mean block?",
    ]
    assert "2 problems" in out
    document = json.loads(printed)
    jsonschema.validate(document, schema("checked"))
    assert (document["usable"], len(document["problems"])) == (False, 2)
    assert "2 problems" in marked


def test_what_is_no_mistake_in_the_file_is_told_too(run: Run, home: Path) -> None:
    (home / "promotion.yml").write_text(RULES.replace("version: 1", "version: 1\nstate: ftp://x"), encoding="utf-8")
    code, out, _ = run("check")
    (home / "promotion.yaml").write_text(RULES, encoding="utf-8")
    twice, both, _ = run("check")

    assert (code, twice) == (2, 2)
    assert "ftp" in out
    assert "promotion.yaml" in both


def test_rules_that_mean_nothing_are_warned_of_where_dbt_parsed(run: Run, home: Path) -> None:
    project = DbtProject(project_dir=home, target_path=home / "target", profiles_dir=home)
    unparsed = run("check")
    InProcessRunner().invoke(project, DbtInvocation(command=DbtCommand.PARSE))
    code, out, _ = run("check")
    _, marked, _ = run("check", "--output-format", "markdown")

    assert (unparsed[0], unparsed[1]) == (0, f"{home / 'promotion.yml'} can be used.\n")
    assert code == 0
    assert 'promotion.yml:12: warning: the rule "nobody\'s" means no model' in out
    assert "1 warning" in marked
    parsed = read_definition(home / "target", home)
    labels = labels_of(parsed, ModelId("model.shop.orders"))
    assert labels is not None
    assert selector("tag:critical").selects(labels)


def test_a_rule_that_nobody_asks_is_warned_of(run: Run, home: Path) -> None:
    text = RULES.replace("staging: {target: dev}", "staging: {target: dev, rules: [{select: a, warnings: block}]}")
    (home / "promotion.yml").write_text(text, encoding="utf-8")

    code, out, _ = run("check")

    assert code == 0
    assert "promotion.yml:3: warning: nothing is promoted into staging" in out


def test_what_holds_is_shown_with_where_it_comes_from(run: Run) -> None:
    code, out, _ = run("show", "--environment", "production")
    _, printed, _ = run("show", "--output-format", "json")
    _, marked, _ = run("show", "--output-format", "markdown")

    assert code == 0
    told = {line.split()[0]: " ".join(line.split()[1:]) for line in out.splitlines() if line.startswith("  ")}
    assert told["min_days_in_staging"] == "3 days promotion.yml:6"
    assert told["approval"] == "1 approval, for 7 days promotion.yml:7"
    assert told["promotes_from"] == "staging inferred"
    assert told["zero_tests"] == "pass default"
    assert told["forbid"] == "none default"
    assert 'rule "nobody\'s" (promotion.yml:12): tag:nothing, without orders' in out
    document = json.loads(printed)
    jsonschema.validate(document, schema("configuration"))
    assert [place["environment"] for place in document["environments"]] == ["staging", "production"]
    assert "| `min_days_in_staging` | 3 days | promotion.yml:6 |" in marked


def test_what_is_asked_of_a_model_is_shown_with_the_rule_that_asks(run: Run, home: Path) -> None:
    build(home, "orders", "lines")
    assert main(["record", "--environment", "staging", "--baseline", "--yes", "--dbt-project-dir", str(home)]) == 0
    assert open_store("target/promotion_states", base=home).read(EnvironmentName("staging")) is not None
    run("schema")

    code, printed, _ = run("show", "--models", "orders,lines", "--output-format", "json")
    _, out, _ = run("show", "--models", "lines")

    assert code == 0
    document = json.loads(printed)
    jsonschema.validate(document, schema("configuration"))
    lines, orders = document["models"]
    held = {value["key"]: (value["value"], value["origin"]) for value in orders["values"]}
    assert orders["rules"] == ["tag:critical"]
    assert held["min_days_in_staging"] == ("14 days", "rule 'tag:critical'")
    assert held["approval"][0] == "2 approvals, for 7 days, four eyes, claimed names count by ann or bob"
    assert held["min_successful_runs"] == ("1", "default")
    assert (lines["rules"], lines["known"]) == ([], True)
    assert "no rule means it" in out


def test_a_gate_says_which_rule_asked_by_the_code_that_was_kept(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    at = ("--dbt-project-dir", str(home))
    build(home, "orders", "lines")
    assert main(["record", "--environment", "staging", "--baseline", "--yes", *at]) == 0
    (home / "models" / "orders.sql").write_text("select 1 as id", encoding="utf-8")  # a checkout opens no gate
    capsys.readouterr()

    main(["why", "orders", "--target-environment", "production", *at])

    assert "more (since" in (out := capsys.readouterr().out)
    assert "(asked for by the rule 'tag:critical')" in out


def test_models_have_to_be_named(run: Run) -> None:
    code, _, err = run("show", "--models", "all-validated")

    assert code == 2
    assert "name the models" in err


def test_the_schema_is_printed_as_it_is(run: Run) -> None:
    code, out, _ = run("schema")

    assert code == 0
    assert json.loads(out) == config_schema()
