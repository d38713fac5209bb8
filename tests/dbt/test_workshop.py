"""What the workshop makes of how dbt ends."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError, InvalidNameError
from airflow_dbt_promotion.core.ports import OnProgress
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject
from airflow_dbt_promotion.dbt.workshop import DbtWorkshop

ENVIRONMENT = Environment(name="production", target="production")
HOW = "`dbt ls` ended with exit code 2"


class Ending:
    """A dbt that ends with an error."""

    def __init__(self, *words: str) -> None:
        """Take dbt's last words."""
        self.words = words

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: OnProgress | None = None) -> DbtOutcome:  # noqa: ARG002
        """End."""
        raise DbtError(HOW, self.words)


def workshop(folder: Path, *words: str) -> DbtWorkshop:
    return DbtWorkshop(DbtProject(project_dir=folder, target_path=folder / "target"), Ending(*words))


@pytest.mark.parametrize(
    "word", ["'nosuch' is not a valid method name", "Got a state selector method, but no manifest"]
)
def test_a_selector_that_dbt_refuses_is_bad_input(tmp_path: Path, word: str) -> None:
    with pytest.raises(InvalidNameError, match=word):
        workshop(tmp_path, f"Encountered an error:\nRuntime Error\n  {word}").select(ENVIRONMENT, "nosuch:thing")


@pytest.mark.parametrize("words", [(), ("Encountered an error:\n[Errno 28] No space left on device",)])
def test_a_dbt_that_breaks_down_over_a_selector_is_the_machines_fault(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(DbtError, match=HOW):
        workshop(tmp_path, *words).select(ENVIRONMENT, "tag:nightly")
