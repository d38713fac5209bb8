"""The rules of an environment: what holds for some of its models."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from airflow_dbt_promotion.config import config_schema
from airflow_dbt_promotion.config.promotion_file import read_promotion_file
from airflow_dbt_promotion.config.yaml_file import read_yaml
from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.environment import IncrementalChange, Leniency, Rule, SoakScope
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.selector import selector

HEAD = "version: 1\nenvironments:\n  staging: {}\n  production:\n    rules:"
EVERY_KEY = """
      - select: tag:critical path:models/marts
        exclude: orders
        name: critical
        min_days_in_staging: P14D
        min_successful_runs: 5
        soak_scope: self
        zero_tests: block
        warnings: block
        on_incremental_change: forward_only
        approval: {min_approvals: 2}
      - {select: "config.meta.tier:low", min_days_in_staging: 0.5, approval: false}
"""


def written(tmp_path: Path, rules: str) -> Path:
    file = tmp_path / "promotion.yml"
    file.write_text(HEAD + rules, encoding="utf-8")
    return file


def test_each_key_is_read(tmp_path: Path) -> None:
    file = written(tmp_path, EVERY_KEY)
    path = read_promotion_file(file).path
    assert path is not None

    assert path.get("production").rules == (
        Rule(
            select=selector("tag:critical path:models/marts"),
            exclude=selector("orders"),
            name="critical",
            soak=timedelta(days=14),
            min_successful_runs=5,
            soak_scope=SoakScope.SELF,
            zero_tests=Leniency.BLOCK,
            warnings=Leniency.BLOCK,
            on_incremental_change=IncrementalChange.FORWARD_ONLY,
            approvals=(ApprovalPolicy(min_approvals=2),),
        ),
        Rule(select=selector("config.meta.tier:low"), soak=timedelta(hours=12), approvals=()),
    )
    assert path.get("staging").rules == ()
    jsonschema.Draft202012Validator(config_schema()).validate(read_yaml(file).value)


@pytest.mark.parametrize(
    ("rules", "line", "key", "problem"),
    [
        (" {select: tag:a}", 5, "rules", "must be a list of rules"),
        (" []", 5, "rules", "is empty"),
        ("\n      - tag:a", 6, "rules.0", "must be a mapping"),
        ("\n      - warnings: block", 6, "rules.0", "says not which models are meant"),
        ("\n      - select: tag:a", 6, "rules.0", "asks for nothing"),
        ("\n      - select: +a\n        warnings: block", 6, "rules.0.select", "follows the graph"),
        ("\n      - select: a\n        exclude: state:new\n        warnings: block", 7, "rules.0.exclude", "'state'"),
        ("\n      - select: a\n        warnings: blok", 7, "rules.0.warnings", "did you mean block"),
        ("\n      - select: a\n        warning: block", 7, "rules.0.warning", "did you mean warnings"),
        ("\n      - select: a\n        name: ''\n        warnings: block", 7, "rules.0.name", "is empty"),
        ("\n      - select: a\n        min_days_in_staging: soon", 7, "rules.0.min_days_in_staging", "soon"),
        ("\n      - select: a\n        min_successful_runs: -1", 7, "rules.0.min_successful_runs", ">= 0"),
        ("\n      - select: a\n        approval: {min_approvals: 0}", 7, "rules.0.approval.min_approvals", ">= 1"),
        ("\n      - {select: a, warnings: block}\n      - {select: a, zero_tests: block}", 7, "rules.1", "two rules"),
    ],
)
def test_a_mistake_is_told_with_line_and_key(tmp_path: Path, rules: str, line: int, key: str, problem: str) -> None:
    file = written(tmp_path, rules)

    with pytest.raises(ConfigError, match=problem) as caught:
        read_promotion_file(file)

    assert caught.value.where == f"{file}:{line}: environments.production.{key}"
