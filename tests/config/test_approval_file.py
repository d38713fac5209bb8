"""What promotion.yml asks of people."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest

from airflow_dbt_promotion.config import config_schema
from airflow_dbt_promotion.config.promotion_file import read_promotion_file
from airflow_dbt_promotion.core.approval_policy import ApprovalPolicy
from airflow_dbt_promotion.core.errors import ConfigError

HEAD = "version: 1\nenvironments:\n  staging: {}\n  production:\n    approval: "


def policy(tmp_path: Path, written: str) -> ApprovalPolicy | None:
    file = tmp_path / "promotion.yml"
    file.write_text(HEAD + written + "\n", encoding="utf-8")
    path = read_promotion_file(file).path
    assert path is not None
    return path.get("production").approval


def test_a_yes_is_asked_for_by_one_word(tmp_path: Path) -> None:
    assert policy(tmp_path, "true") == ApprovalPolicy()
    assert policy(tmp_path, "false") is None
    assert policy(tmp_path, "") is None


def test_each_key_is_read(tmp_path: Path) -> None:
    written = "{min_approvals: 2, four_eyes: true, expires_after: PT12H, trust_claimed: true, approvers: [ann, bob]}"
    assert policy(tmp_path, written) == ApprovalPolicy(
        min_approvals=2,
        four_eyes=True,
        expires_after=timedelta(hours=12),
        trust_claimed=True,
        approvers=("ann", "bob"),
    )
    assert policy(tmp_path, "{expires_after: 0.5}") == ApprovalPolicy(expires_after=timedelta(hours=12))
    environments = {"production": {"approval": {"min_approvals": 2, "expires_after": 3}}, "staging": {"approval": True}}
    jsonschema.Draft202012Validator(config_schema()).validate({"version": 1, "environments": environments})


@pytest.mark.parametrize(
    ("written", "key", "problem"),
    [
        ("maybe", "approval", "must be true, false or a mapping, not text"),
        ("{min_aprovals: 2}", "min_aprovals", "did you mean min_approvals"),
        ("{min_approvals: 0}", "min_approvals", ">= 1"),
        ("{expires_after: soon}", "expires_after", "soon"),
        ("{expires_after: 0}", "expires_after", "has to count for some time"),
        ("{min_approvals: 2, approvers: [ann]}", "approvers", "2 people have to approve, and 1 may"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(tmp_path: Path, written: str, key: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        policy(tmp_path, written)
    assert "promotion.yml:5" in caught.value.where
    assert caught.value.where.endswith(key)
    assert problem in caught.value.problem
