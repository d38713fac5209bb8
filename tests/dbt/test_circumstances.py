"""What a cached parse may be used for."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.dbt.circumstances import Circumstances
from airflow_dbt_promotion.dbt.invocation import DbtProject

PROFILES = "shop: {outputs: {prod: {schema: \"{{ env_var('SCHEMA', 'main') }}\"}}}"
PROJECT = 'models: {+tags: "{{ env_var( \\"TAG\\" ) }}"}'


@pytest.fixture
def now(tmp_path: Path) -> Circumstances:
    (tmp_path / "profiles.yml").write_text(PROFILES)
    return Circumstances(
        versions="dbt-core==1.11.0",
        target="prod",
        vars={"a": 1},
        project=DbtProject(project_dir=tmp_path, target_path=tmp_path / "target"),
        environ={"SCHEMA": "live", "OTHER": "1"},
    )


def test_what_decides_over_a_parse_is_in_its_key(now: Circumstances) -> None:
    key = now.key([])
    assert key is not None
    others = [
        replace(now, versions="dbt-core==1.12.0"),
        replace(now, target="staging"),
        replace(now, vars={"a": 2}),
        replace(now, environ={"SCHEMA": "other"}),
        replace(now, environ={}),
        replace(now, environ={**now.environ, "DBT_PROFILE": "told"}),
        replace(now, project=replace(now.project, profile="other")),
    ]
    assert len({key, *(other.key([]) for other in others)}) == len(others) + 1
    (now.project.project_dir / "profiles.yml").write_text(PROFILES + "\n")
    assert now.key([]) != key


def test_what_does_not_decide_is_not(now: Circumstances) -> None:
    moved = replace(now, project=replace(now.project, target_path=Path("/elsewhere")))
    assert now.key([]) == replace(now, environ={"SCHEMA": "live", "OTHER": "2"}).key([]) == moved.key([])
    assert now.key_here() != replace(now, environ={"SCHEMA": "live", "OTHER": "2"}).key_here()


@pytest.mark.parametrize("text", [PROJECT, "{{ env_var('TAG') }}", "'{{ env_var(''TAG'', ''x'') }}'"])
def test_variables_that_a_project_file_names_count(now: Circumstances, text: str) -> None:
    tagged = replace(now, environ={**now.environ, "TAG": "x"})
    assert now.key([text]) is not None
    assert now.key([text]) != tagged.key([text])
    assert now.key([]) == tagged.key([])


@pytest.mark.parametrize(
    "text", ["{{ env_var(name) }}", "{{ env_var('A' ~ 'B') }}", "{{ env_var('OK') ~ env_var(x) }}"]
)
def test_nothing_is_cached_where_names_are_made_up(now: Circumstances, text: str) -> None:
    assert now.key([text]) is None


def test_nothing_is_cached_where_dbt_or_the_profile_are_not_known(now: Circumstances) -> None:
    assert replace(now, versions=None).key([]) is None
    (now.project.project_dir / "profiles.yml").unlink()
    assert now.key([]) is None
    assert now.key_here()


def test_secrets_are_left_out(now: Circumstances) -> None:
    text = "{{ env_var('DBT_ENV_SECRET_TOKEN') }}"
    changed = replace(now, environ={**now.environ, "DBT_ENV_SECRET_TOKEN": "new"})
    assert now.key([text]) == changed.key([text])
    assert now.key_here() == changed.key_here()


def test_profiles_are_looked_for_as_dbt_does(now: Circumstances, tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("named", "told", "standing", "home/.dbt")}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        (folder / "profiles.yml").write_text(f"# {name}")
    (tmp_path / "profiles.yml").unlink()
    keys = {}
    where = replace(now, environ={"HOME": str(tmp_path / "home")})
    keys["home/.dbt"] = where.key([])
    where = replace(where, project=replace(where.project, working_dir=folders["standing"]))
    keys["standing"] = where.key([])
    where = replace(where, environ={**where.environ, "DBT_PROFILES_DIR": "../told"})
    keys["told"] = where.key([])
    where = replace(where, project=replace(where.project, profiles_dir=folders["named"]))
    keys["named"] = where.key([])
    assert None not in keys.values()
    assert len(set(keys.values())) == len(folders)
    for name, folder in folders.items():
        (folder / "profiles.yml").write_text(f"# {name}, changed")
        if name == "named":
            assert where.key([]) != keys["named"]


@pytest.mark.parametrize(
    ("environ", "holds"),
    [
        ({"COLOUR": "red"}, True),
        ({"COLOUR": "blue"}, False),
        ({}, False),
        ({"COLOUR": "red", "SIZE": "DBT_DEFAULT_PLACEHOLDER"}, False),
        ({"COLOUR": "red", "OTHER": "1"}, True),
    ],
)
def test_variables_that_a_parse_read(now: Circumstances, environ: dict[str, str], holds: object) -> None:
    read = {"COLOUR": "red", "SIZE": "DBT_DEFAULT_PLACEHOLDER"}
    assert replace(now, environ=environ).still_hold(read) is holds
