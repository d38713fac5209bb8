"""The functions: what they refuse before anything is read, and what they answer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from airflow_dbt_promotion import (
    RunResult,
    get_promotion_status,
    get_staging_validated_models,
    promote_to_environment,
    run_environment,
)
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.engine import RunOrder, RunOutcome
from airflow_dbt_promotion.functions import order_of
from tests.scenarios import Shop, defined


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda: promote_to_environment("production", dry_rum=True), "dry_rum: .*did you mean dry_run?"),  # type: ignore[call-arg]
        (lambda: get_promotion_status(project_dir="."), "project_dir: .*did you mean dbt_project_dir?"),  # type: ignore[call-arg]
        (lambda: run_environment("production", selct="orders"), "selct: .*did you mean select?"),  # type: ignore[call-arg]
        (lambda: get_staging_validated_models(1, profile_dir="."), "profile_dir: .*did you mean profiles_dir?"),  # type: ignore[call-arg]
    ],
)
def test_an_argument_that_there_is_not_is_an_error(call: Callable[[], object], hint: str) -> None:
    with pytest.raises(ConfigError, match=hint):
        call()


def test_a_command_that_there_is_not_is_an_error() -> None:
    with pytest.raises(ConfigError, match="'compile' is none of build, run, test, seed, snapshot"):
        order_of("production", {"command": "compile"})


def test_an_order_has_the_defaults_of_the_command_line() -> None:
    order = order_of("production", {"actor": "ann"})
    assert order == RunOrder(environment="production", actor="ann", link=order.link)


def test_a_run_tells_itself_in_every_form() -> None:
    shop = Shop(defined())
    shop.baseline("production")
    told = RunResult(shop.engine.run(order_of("production", {"actor": "ann"})))
    assert told.outcome is RunOutcome.PASSED
    assert (told.to_dict()["outcome"], told.to_dict()["actor"]) == ("passed", "ann")
    assert told.to_text().startswith("Ran what was promoted to production: 4 success, 4 pass.")
    assert told.to_markdown().startswith("## Run of production: passed")
