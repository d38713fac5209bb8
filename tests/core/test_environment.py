"""The promotion path: names, targets, order."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_dbt_promotion.core.environment import Environment, PromotionPath
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    CyclicPathError,
    InvalidNameError,
    SkippedEnvironmentError,
    UnknownEnvironmentError,
)
from airflow_dbt_promotion.core.identity import EnvironmentName

DEVELOPMENT, STAGING, PRODUCTION = (EnvironmentName(name) for name in ("development", "staging", "production"))


def a_path() -> PromotionPath:
    return PromotionPath(
        (
            Environment(name=DEVELOPMENT, target="dev", working=True),
            Environment(name=STAGING, target="stg", promotes_from=DEVELOPMENT),
            Environment(name=PRODUCTION, target="prd", promotes_from=STAGING),
        )
    )


def test_an_environment_is_found_by_name_and_by_a_target_that_only_it_has() -> None:
    path = a_path()
    assert path.get("production").name == PRODUCTION
    assert path.get("prd").name == PRODUCTION


def test_a_name_wins_over_a_target_and_a_shared_target_names_nobody() -> None:
    path = PromotionPath(
        (
            Environment(name=STAGING, target="warehouse"),
            Environment(name=PRODUCTION, target="warehouse", promotes_from=STAGING),
            Environment(name=EnvironmentName("other"), target="staging"),
        )
    )
    assert path.get("staging").target == "warehouse"
    with pytest.raises(UnknownEnvironmentError, match="staging, production, other"):
        path.get("warehouse")


def test_an_unknown_environment_names_the_known_ones() -> None:
    with pytest.raises(UnknownEnvironmentError) as caught:
        a_path().get("prodction")
    assert caught.value.known == (DEVELOPMENT, STAGING, PRODUCTION)


def test_the_source_is_the_one_before_and_nothing_is_skipped() -> None:
    path = a_path()
    assert path.source_of(path.get("production")).name == STAGING
    assert path.source_of(path.get("production"), "stg").name == STAGING
    with pytest.raises(SkippedEnvironmentError, match="production promotes from staging"):
        path.source_of(path.get("production"), "development")
    with pytest.raises(UnknownEnvironmentError):
        path.source_of(path.get("production"), "nowhere")
    with pytest.raises(SkippedEnvironmentError, match="first of its path"):
        path.source_of(path.get("development"))


def test_the_last_environment_is_one_from_which_nothing_goes_on() -> None:
    assert a_path().last().name == PRODUCTION


@pytest.mark.parametrize("length", [1, 2, 3])
def test_a_ring_is_an_error_that_names_it(length: int) -> None:
    names = [EnvironmentName(name) for name in ("a", "b", "c")[:length]]
    ring = tuple(
        Environment(name=name, target=name, promotes_from=names[(index + 1) % length])
        for index, name in enumerate(names)
    )
    with pytest.raises(CyclicPathError) as caught:
        PromotionPath(ring)
    assert set(caught.value.ring) == set(names)


def test_names_are_unique_and_sources_are_known() -> None:
    twice = Environment(name=STAGING, target="stg")
    with pytest.raises(ConfigError, match="is there twice"):
        PromotionPath((twice, twice))
    with pytest.raises(UnknownEnvironmentError):
        PromotionPath((Environment(name=PRODUCTION, target="prd", promotes_from=STAGING),))


@pytest.mark.parametrize("name", ["", "..", "a/b", "a\0b", "-a", "a b", "a\nb", "x" * 64, "{{ a }}"])
def test_an_environment_has_a_name_that_can_name_a_file(name: str) -> None:
    with pytest.raises(InvalidNameError):
        Environment(name=EnvironmentName(name), target="t")


@pytest.mark.parametrize(
    "policy",
    [
        {"target": " "},
        {"soak": timedelta(seconds=-1)},
        {"min_successful_runs": -1},
        {"min_successful_runs": 1_001},
        {"keep_history": 0},
        {"keep_history": 1_001},
    ],
)
def test_a_policy_out_of_range_does_not_exist(policy: dict[str, object]) -> None:
    values: dict[str, object] = {"name": STAGING, "target": "stg", **policy}
    with pytest.raises(ConfigError):
        Environment(**values)  # type: ignore[arg-type] - one value of each case is wrong on purpose
