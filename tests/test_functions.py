"""The three functions: what they refuse before anything is read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_dbt_promotion import get_promotion_status, get_staging_validated_models, promote_to_environment
from airflow_dbt_promotion.core.errors import ConfigError


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: promote_to_environment("production", dry_rum=True), "dry_rum: .*did you mean dry_run?"),  # type: ignore[call-arg]
        (lambda: get_promotion_status(project_dir="."), "project_dir: .*did you mean dbt_project_dir?"),  # type: ignore[call-arg]
        (lambda: get_staging_validated_models(1, profile_dir="."), "profile_dir: .*did you mean profiles_dir?"),  # type: ignore[call-arg]
    ],
)
def test_an_argument_that_there_is_not_is_an_error(call: Callable[[], object], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        call()
