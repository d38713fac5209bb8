"""Environments and the path between them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dbt_promotion.core.environment import Environment, PromotionPath
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    CyclicPathError,
    InvalidNameError,
    SkippedEnvironmentError,
    UnknownEnvironmentError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName


def environment(name: str, source: str | None = None, **more: Any) -> Environment:
    """Return an environment whose target has its name."""
    fields = {"target": name, **more}
    return Environment(
        name=EnvironmentName(name), promotes_from=EnvironmentName(source) if source is not None else None, **fields
    )


DEVELOPMENT, STAGING, PRODUCTION = (
    environment("development"),
    environment("staging", "development"),
    environment("production", "staging"),
)
PATH = PromotionPath((DEVELOPMENT, STAGING, PRODUCTION))


@pytest.mark.parametrize(
    ("field", "value", "where"),
    [
        ("target", " ", "target"),
        ("soak", timedelta(seconds=-1), "min_days_in_staging"),
        ("record_within", timedelta(seconds=-1), "record_within"),
        ("min_successful_runs", -1, "min_successful_runs"),
        ("min_successful_runs", 1_001, "min_successful_runs"),
        ("keep_history", 0, "keep_history"),
        ("keep_history", 1_001, "keep_history"),
        ("keep_checkpoints", -1, "keep_checkpoints"),
        ("keep_checkpoints", 101, "keep_checkpoints"),
    ],
)
def test_an_invalid_environment_cannot_exist(field: str, value: object, where: str) -> None:
    changed: dict[str, Any] = {field: value}
    with pytest.raises(ConfigError) as caught:
        environment("staging", **changed)
    assert caught.value.where == f"environments.staging.{where}"


@pytest.mark.parametrize(
    ("field", "value"),
    [("min_successful_runs", 0), ("min_successful_runs", 1_000), ("keep_history", 1), ("keep_history", 1_000)],
)
def test_the_ends_of_a_range_belong_to_it(field: str, value: int) -> None:
    changed: dict[str, Any] = {field: value}
    assert getattr(environment("staging", **changed), field) == value


def test_an_environment_has_a_usable_name() -> None:
    with pytest.raises(InvalidNameError):
        environment("../staging", target="staging")


def test_a_path_has_environments() -> None:
    with pytest.raises(ConfigError, match="at least one"):
        PromotionPath(())


def test_a_name_is_there_once() -> None:
    with pytest.raises(ConfigError, match="twice"):
        PromotionPath((DEVELOPMENT, STAGING, DEVELOPMENT))


def test_a_source_must_be_there() -> None:
    with pytest.raises(UnknownEnvironmentError, match="staging"):
        PromotionPath((DEVELOPMENT, PRODUCTION))


@pytest.mark.parametrize(
    ("environments", "ring"),
    [
        ([("a", "a")], ("a", "a")),
        ([("a", "b"), ("b", "a")], ("a", "b", "a")),
        ([("x", "a"), ("a", "b"), ("b", "c"), ("c", "a")], ("a", "b", "c", "a")),
    ],
)
def test_a_ring_is_an_error_that_names_it(environments: list[tuple[str, str]], ring: tuple[str, ...]) -> None:
    with pytest.raises(CyclicPathError, match=" <- ") as caught:
        PromotionPath(tuple(environment(name, source) for name, source in environments))
    assert caught.value.ring == ring


def test_an_environment_is_found_by_its_name_or_by_a_target_that_only_it_has() -> None:
    shared = [environment(name, target="shared") for name in ("one", "two")]
    path = PromotionPath((environment("staging", target="prd"), environment("prd", target="stg"), *shared))
    assert [path.get(name).name for name in ("staging", "prd", "stg")] == ["staging", "prd", "prd"]
    for name in ("shared", "production"):
        with pytest.raises(UnknownEnvironmentError) as caught:
            path.get(name)
        assert caught.value.known == ("staging", "prd", "one", "two")


def test_a_target_promotes_from_its_source() -> None:
    assert PATH.source_of(PRODUCTION) == PATH.source_of(PRODUCTION, "staging") == STAGING
    path = PromotionPath((environment("staging", target="stg"), PRODUCTION))
    assert path.source_of(PRODUCTION, "stg").name == "staging"


@pytest.mark.parametrize(
    ("target", "asked", "sentence"),
    [
        (PRODUCTION, "development", "production promotes from staging"),
        (PRODUCTION, "production", "production promotes from staging"),
        (DEVELOPMENT, None, "takes no promotion"),
        (DEVELOPMENT, "staging", "takes no promotion"),
    ],
)
def test_an_environment_cannot_be_skipped(target: Environment, asked: str | None, sentence: str) -> None:
    with pytest.raises(SkippedEnvironmentError, match=sentence):
        PATH.source_of(target, asked)


def test_a_source_that_is_not_there_is_unknown_not_skipped() -> None:
    with pytest.raises(UnknownEnvironmentError):
        PATH.source_of(PRODUCTION, "nowhere")


def test_vars_of_a_run_are_those_that_an_environment_names() -> None:
    path = PromotionPath(
        (
            environment("staging", run_vars=frozenset({"run_date"}), vars={"run_date": "none", "limit": 1}),
            environment("production", "staging", run_vars=frozenset({"run_date", "batch"}), vars={"limit": 1}),
        )
    )
    found = path.with_run_vars("production", {"run_date": "2026-12-01", "batch": 7})
    assert [dict(one.vars) for one in found.environments] == [
        {"run_date": "2026-12-01", "limit": 1},
        {"run_date": "2026-12-01", "batch": 7, "limit": 1},
    ]
    with pytest.raises(ConfigError, match=r"add `run_vars: \[limit\]` to environments.production"):
        path.with_run_vars("production", {"limit": 2, "batch": 7})
    with pytest.raises(ConfigError, match=r"environments\.staging"):
        path.with_run_vars("staging", {"batch": 7})


def test_the_last_environment_is_one_from_which_nothing_goes_on() -> None:
    assert PATH.last() == PRODUCTION
    assert PromotionPath((environment("qa", "development"), DEVELOPMENT, STAGING)).last() == STAGING
    assert PromotionPath((DEVELOPMENT,)).last() == DEVELOPMENT


@given(st.permutations(range(6)), st.lists(st.integers(0, 5), min_size=6, max_size=6))
def test_every_forest_is_a_path(order: list[int], sources: list[int]) -> None:
    made = {
        number: environment(f"e{number}", f"e{sources[number] % number}" if number and sources[number] else None)
        for number in range(6)
    }
    path = PromotionPath(tuple(made[number] for number in order))
    assert path.last().name not in {one.promotes_from for one in path.environments}
    for one in path.environments:
        if one.promotes_from is not None:
            assert path.source_of(one).name == one.promotes_from
