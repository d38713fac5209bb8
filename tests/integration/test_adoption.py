"""Adopting what real warehouses hold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from airflow_dbt_promotion.core.errors import AdoptionUnconfirmedError, NothingToAdoptError, ReasonRequiredError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.engine import AdoptionRequest, PromotionRequest
from tests.integration.warehouse import BOTH, Mill, a_warehouse

pytestmark = [pytest.mark.dbt, pytest.mark.slow]

ADOPTING = AdoptionRequest(environment="production", actor="tests", confirmed=True)


@pytest.fixture(params=BOTH)
def mill(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mill]:
    project = tmp_path / "mill"
    project.mkdir()
    with a_warehouse(request.param, tmp_path) as warehouse:
        yield Mill(project, warehouse)


def names(models: tuple[str, ...]) -> set[str]:
    return {model.rsplit(".", 1)[-1] for model in models}


def test_what_stands_is_adopted_and_after_promotions_it_takes_a_reason(mill: Mill) -> None:
    assert mill.build_staging()
    with pytest.raises(NothingToAdoptError):
        mill.engine.baseline(ADOPTING)
    with pytest.raises(NothingToAdoptError):  # staging's manifest says nothing of production
        mill.engine.baseline(AdoptionRequest(environment="production", target_path=mill.folder / "target"))
    assert mill.engine.observer.state("production") is None

    project = DbtProject(project_dir=mill.folder, target_path=mill.folder / "made", profiles_dir=mill.folder)
    invocation = DbtInvocation(command=DbtCommand.BUILD, target="production")
    assert InProcessRunner().invoke(project, invocation).success
    mill.warehouse.execute("drop table production.stg_sacks cascade")
    with pytest.raises(AdoptionUnconfirmedError):
        mill.engine.baseline(AdoptionRequest(environment="production"))
    told = mill.engine.baseline(AdoptionRequest(environment="production", target_path=mill.folder / "made"))
    assert (names(told.entered), names(told.left_out)) == ({"sacks", "lonely"}, {"stg_sacks", "weights"})

    mill.ahead = timedelta(days=1)
    assert mill.engine.promote(PromotionRequest(target="production")).outcome is PromotionOutcome.PROMOTED
    (mill.folder / "states" / "production.json").unlink()  # marks of ours are in the warehouse
    with pytest.raises(ReasonRequiredError):
        mill.engine.baseline(ADOPTING)
