"""What record, status and why say where a real build or test failed: who failed, who was skipped, what is missing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from airflow_dbt_promotion.cli import main
from tests.integration.test_evidence_of_runs import Shop

pytestmark = pytest.mark.dbt


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    folder = tmp_path / "shop"
    folder.mkdir()
    found = Shop(folder)
    found.write("models/revenue.sql", "select count(*) as n from {{ ref('orders') }}")
    found.write("promotion.yml", "version: 1\nstate: states\nenvironments: {staging: {}, production: {}}\n")
    found.write("models/orders.sql", "select 1 as id")
    monkeypatch.chdir(folder)
    return found


def told(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run the command line; return what it prints, in one line."""
    capsys.readouterr()
    main(list(words))
    return " ".join(capsys.readouterr().out.split())


def test_a_first_build_that_fails_is_told_everywhere(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.write("models/orders.sql", "select nothing_there as id")
    shop.dbt("build", "--target", "staging", fails=True)
    said = told(capsys, "record", "--environment", "staging")
    assert "1 model failed; what was earned is void: orders" in said
    assert "1 model skipped, since a parent or a test of one failed in this run: revenue" in said
    assert "another version" not in said
    assert "orders" in told(capsys, "status", "--environment", "staging")
    document = json.loads(told(capsys, "status", "--environment", "staging", "--output-format", "json"))
    (found,) = document["models"]
    assert (found["name"], found["origin"], found["tested"]) == ("orders", "failed", False)
    shop.write("models/orders.sql", "select 1 as id")
    shop.dbt("build", "--target", "staging")
    assert "entered staging: orders, revenue" in told(capsys, "record", "--environment", "staging")


def test_why_names_the_failed_parent_and_the_failed_test(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop.dbt("build", "--target", "staging")
    told(capsys, "record", "--environment", "staging")
    shop.write("tests/orders_fail.sql", "select * from {{ ref('orders') }}")
    shop.dbt("build", "--target", "staging", fails=True)
    said = told(capsys, "record", "--environment", "staging")
    assert "1 model skipped, since a parent or a test of one failed in this run: revenue" in said
    why = told(capsys, "why", "orders", "--target-environment", "production")
    assert "failed tests test.shop.orders_fail" in why
    assert "missing tests" not in why
    assert "failed parents orders (test test.shop.orders_fail failed)" in told(
        capsys, "why", "revenue", "--target-environment", "production"
    )


def test_a_target_that_the_profile_lacks_and_a_date_that_is_none_are_told_beside_each_other(
    shop: Shop, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.write("promotion.yml", "version: 1\nenvironments: {staging: {target: stg}, production: {}}\n")
    said = told(capsys, "config", "check")
    assert "environments.staging.target is 'stg', and profile 'shop'" in said
    assert "has no such target; its targets are staging, production" in said
    shop.write(
        "promotion.yml",
        "version: 1\nenvironments:\n  staging: {forbid: [nothing]}\n"
        "  production: {windows: {deny: [{from: 2026-13-45, until: 2026-12-01}]}}\n",
    )
    said = told(capsys, "config", "check")
    assert "environments.staging.forbid" in said
    assert "environments.production.windows" in said
    assert "2 problems" in said
