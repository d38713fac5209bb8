"""Kept sources: a tree has one id, and no path leads out of it."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.errors import SourcesError
from airflow_dbt_promotion.core.kept import SourceTree

FILES = {"dbt_project.yml": "a" * 64, "models/ä b.sql": "b" * 64}


def test_the_same_files_have_the_same_id_in_any_order() -> None:
    assert SourceTree(FILES).id == SourceTree(dict(reversed(FILES.items()))).id
    assert len(SourceTree(FILES).id) == 32


@pytest.mark.parametrize(
    "path", ["", "/etc/passwd", "../up.sql", "models/../../up.sql", "models//a.sql", "a\\b", "./a", "a/"]
)
def test_a_path_that_leads_out_is_refused(path: str) -> None:
    with pytest.raises(SourcesError, match="no path inside a project"):
        SourceTree({path: "a" * 64})


@pytest.mark.parametrize("change", [{"models/ä b.sql": "c" * 64}, {"models/c.sql": "b" * 64}, {}])
def test_another_file_makes_another_id(change: dict[str, str]) -> None:
    other = {**FILES, **change} if change else {"dbt_project.yml": "a" * 64}
    assert SourceTree(other).id != SourceTree(FILES).id
