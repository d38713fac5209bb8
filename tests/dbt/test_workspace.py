"""The folder that dbt reads beside a parse, without dbt."""

from __future__ import annotations

import datetime as dt
import hashlib
from pathlib import Path

import pytest
import yaml
from msgspec.structs import replace

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.errors import CorruptReleaseError, MissingReleaseError
from airflow_dbt_promotion.core.identity import ReleaseId
from airflow_dbt_promotion.core.kept import SourceTree
from airflow_dbt_promotion.dbt.layout import Layout
from airflow_dbt_promotion.dbt.workspace import Workspace
from tests.core.definitions import definition, node

OLD, NEW = ReleaseId("old"), ReleaseId("new")
ROOT = "name: shop\n"
TOOLS = "dbt_packages/tools/dbt_project.yml"


def layout(files: dict[str, str]) -> Layout:
    blobs = {hashlib.sha256(text.encode()).hexdigest(): text.encode() for text in files.values()}

    def read(digest: str, path: str) -> bytes:
        if digest not in blobs:
            raise MissingReleaseError(path, "is gone")
        return blobs[digest]

    return Layout(SourceTree({path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.items()}), read)


def workspace(new: dict[str, str], old: dict[str, str], vars_: dict[str, ReleaseId]) -> Workspace:
    composition = Composition(definition=definition([]), base=NEW, origins={}, vars=vars_)
    return Workspace("production", composition, {NEW: layout(new), OLD: layout(old)})


def declared(made: Workspace, path: str = "dbt_project.yml") -> object:
    return yaml.safe_load(made.files[path]).get("vars")


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ("{a: 1, b: 2}", "{a: 9}", {"a": 9, "b": 2}),
        ("{b: 2}", "{a: 9}", {"b": 2, "a": 9}),
        ("{a: 1, b: 2}", "{}", {"b": 2}),
        ("{a: 1}", "{}", {}),
        ("{a: 1}", "{a: 2024-01-02}", {"a": dt.date(2024, 1, 2)}),
        ("{a: 1, shop: {a: 2, b: 3}}", "{shop: {a: 8}}", {"shop": {"b": 3, "a": 8}}),
        ("{shop: {b: 3}}", "{a: 9, shop: {b: 4}}", {"shop": {"b": 3}, "a": 9}),
        ("{tools: {a: 2}}", "{}", {"tools": {}}),
        ("{b: 1}", "{tools: {a: 7}}", {"b": 1, "tools": {"a": 7}}),
    ],
)
def test_vars_are_those_of_their_release(new: str, old: str, expected: object) -> None:
    tools = {TOOLS: "name: tools\n"}
    made = workspace(
        {"dbt_project.yml": f"{ROOT}vars: {new}\n", **tools},
        {"dbt_project.yml": f"{ROOT}vars: {old}\n", **tools},
        {"a": OLD},
    )
    assert declared(made) == expected


def test_a_package_declares_as_in_the_release_too() -> None:
    made = workspace(
        {"dbt_project.yml": ROOT, TOOLS: "name: tools\nvars: {a: 1, b: 1}\n"},
        {"dbt_project.yml": ROOT, "deps/t/dbt_project.yml": "name: tools\nvars: {a: 5, b: 5}\n"},
        {"a": OLD},
    )
    assert declared(made, TOOLS) == {"a": 5, "b": 1}


def test_files_stay_as_they_are_where_no_var_differs() -> None:
    text = f"{ROOT}# a comment\nvars: {{a: 1}}\n"
    files = {"dbt_project.yml": text, TOOLS: "name: tools # here\n"}
    made = workspace(files, {"dbt_project.yml": f"{ROOT}vars: {{a: 1, b: 2}}\n"}, {"a": OLD})
    assert {path: data.decode() for path, data in made.files.items()} == files


def test_dates_and_jinja_survive_being_written_again() -> None:
    text = f"{ROOT}vars: {{a: 1, day: 2024-01-02}}\nmodels: {{+enabled: \"{{{{ target.name == 'prod' }}}}\"}}\n"
    made = workspace({"dbt_project.yml": text}, {"dbt_project.yml": ROOT}, {"a": OLD})
    assert yaml.safe_load(made.files["dbt_project.yml"]) == {
        "name": "shop",
        "vars": {"day": dt.date(2024, 1, 2)},
        "models": {"+enabled": "{{ target.name == 'prod' }}"},
    }


def test_only_what_dbt_reads_is_laid_out(tmp_path: Path) -> None:
    files = {
        "dbt_project.yml": ROOT,
        "packages.yml": "packages: []\n",
        "selectors.yml": "selectors: []\n",
        "models/a.sql": "select 1",
        "models/a.yml": "models: []\n",
        "seeds/rows.csv": "a\n",
        TOOLS: "name: tools\n",
    }
    workspace(files, {"dbt_project.yml": ROOT}, {}).write(tmp_path / "made")
    made = {str(path.relative_to(tmp_path / "made")) for path in (tmp_path / "made").rglob("*") if path.is_file()}
    assert made == {"dbt_project.yml", "packages.yml", "selectors.yml", TOOLS}


def test_a_package_that_the_base_has_no_more_is_laid_out_for_what_needs_it() -> None:
    day = replace(node("day"), unique_id="model.tools.day", package_name="tools")
    composition = Composition(definition=definition([day]), base=NEW, origins={"model.tools.day": OLD})
    layouts = {NEW: layout({"dbt_project.yml": ROOT}), OLD: layout({"dbt_project.yml": ROOT, TOOLS: "name: tools\n"})}
    assert set(Workspace("production", composition, layouts).files) == {"dbt_project.yml", TOOLS}


def test_a_local_package_is_where_it_is_installed() -> None:
    found = layout({"dbt_project.yml": ROOT, "a/tools/dbt_project.yml": "name: tools\n", TOOLS: "name: tools\n"})
    assert found.folders == {"shop": "", "tools": "dbt_packages/tools"}
    assert found.file_of("tools", "dbt_project.yml") == TOOLS
    assert found.file_of("tools", "seeds/none.csv") is None
    assert found.file_of("nothing", "seeds/none.csv") is None


def test_a_project_file_that_is_no_yaml() -> None:
    with pytest.raises(CorruptReleaseError, match=r"dbt_project\.yml: is no YAML"):
        _ = layout({"dbt_project.yml": "name: [shop"}).folders
