from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import InvalidNameError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject
from airflow_dbt_promotion.dbt.workshop import DbtWorkshop
from tests.dbt.shops import keeper
from tests.fakes import FakeReleases


class NeverRun:
    """A dbt that must not be run."""

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: object = None) -> DbtOutcome:
        raise AssertionError((project, invocation, on_event))

    def versions(self) -> str | None:
        raise AssertionError


@pytest.mark.parametrize("selector", ["", "  ", "--target production", "tag:a --profiles-dir /tmp/x", "a -t prod"])
def test_a_selector_out_of_a_form_smuggles_no_options_into_dbt(selector: str, tmp_path: Path) -> None:
    workshop = DbtWorkshop(
        DbtProject(project_dir=tmp_path, target_path=tmp_path / "target"), NeverRun(), keeper(tmp_path, FakeReleases())
    )
    with pytest.raises(InvalidNameError):
        workshop.select(Environment(name=EnvironmentName("staging"), target="stg"), selector)
