"""Every mistake in promotion.yml is told at once, each at its place."""

from __future__ import annotations

from pathlib import Path

from airflow_dbt_promotion.config.checking import problems_of

WRONG = """\
version: 2
stat: here
environments:
  staging:
    target: 7
  production:
    min_days_in_staging: soon
    warnings: blok
    rules:
      - select: +orders
        warnings: blok
      - select: tag:a
        zero_tests: blok
      - warnings: block
      - select: tag:b
        approval: {min_approvals: 0, four_eyes: 3}
    approval:
      expires_after: never
  q/a: {}
"""


def written(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "promotion.yml"
    file.write_text(text, encoding="utf-8")
    return file


def test_every_mistake_is_told_with_its_line_and_nothing_that_follows_from_one(tmp_path: Path) -> None:
    file = written(tmp_path, WRONG)

    found = {problem.where.removeprefix(f"{file}:"): problem.problem for problem in problems_of(file)}

    assert sorted(found) == sorted(
        [
            "1: version",
            "2: stat",
            "5: environments.staging.target",
            "7: environments.production.min_days_in_staging",
            "8: environments.production.warnings",
            "10: environments.production.rules.0.select",
            "11: environments.production.rules.0.warnings",
            "13: environments.production.rules.1.zero_tests",
            "14: environments.production.rules.2",
            "16: environments.production.rules.3.approval.min_approvals",
            "16: environments.production.rules.3.approval.four_eyes",
            "18: environments.production.approval.expires_after",
            "19: environments.q/a",
        ]
    )
    assert "upgrade" in found["1: version"]
    assert "did you mean state" in found["2: stat"]
    assert "says not which models" in found["14: environments.production.rules.2"]


def test_what_can_be_used_has_no_mistake(tmp_path: Path) -> None:
    assert problems_of(written(tmp_path, "version: 1\nenvironments: {staging: {}, production: {}}\n")) == ()


def test_what_is_no_yaml_or_empty_is_one_mistake(tmp_path: Path) -> None:
    (one,) = problems_of(written(tmp_path, "version: [1\n"))
    (two,) = problems_of(written(tmp_path, ""))

    assert "is not YAML" in one.problem
    assert "is empty" in two.problem
    assert two.where == str(tmp_path / "promotion.yml")


def test_a_ring_is_told(tmp_path: Path) -> None:
    ring = "version: 1\nenvironments: {a: {promotes_from: b, keep_history: 0}, b: {promotes_from: a}}\n"

    first, second = problems_of(written(tmp_path, ring))

    assert second.where.endswith(":2: environments.a.keep_history")
    assert "goes round in a circle" in first.problem
    assert first.where == str(tmp_path / "promotion.yml")


def test_a_line_of_a_key_that_is_missing_is_that_of_what_lacks_it(tmp_path: Path) -> None:
    text = "version: 1\nenvironments:\n  production:\n    windows: {allow: [{opens: '9'}]}\n"

    found = problems_of(written(tmp_path, text))

    assert found
    assert all(problem.where.startswith(f"{tmp_path / 'promotion.yml'}:4: ") for problem in found)
