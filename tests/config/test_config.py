"""Configuration as a whole: arguments before promotion.yml before what the dbt project lets one infer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from airflow_dbt_promotion.config import DEFAULT_STATE, Config, load_config
from airflow_dbt_promotion.core.environment import DeployedBy
from airflow_dbt_promotion.core.errors import ConfigError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n", encoding="utf-8")
    return folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def profiles(folder: Path, *targets: str, name: str = "shop") -> None:
    """Write a profiles.yml with these targets."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = [f"{name}:", f"  target: {targets[0]}", "  outputs:"]
    lines += [f"    {target}: {{type: duckdb, password: \"{{{{ env_var('SECRET') }}}}\"}}" for target in targets]
    (folder / "profiles.yml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def steps(config: Config) -> list[tuple[str, str, str | None]]:
    """Return the path as names, targets and sources."""
    return [(one.name, one.target, one.promotes_from) for one in config.path.environments]


# --- inference --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        (
            ["dev", "staging", "prod"],
            [("development", "dev", None), ("staging", "staging", "development"), ("production", "prod", "staging")],
        ),
        (
            ["production", "stage", "development", "ci"],
            [
                ("development", "development", None),
                ("staging", "stage", "development"),
                ("production", "production", "staging"),
            ],
        ),
        (["dev", "prod"], [("development", "dev", None), ("production", "prod", "development")]),
        (["staging", "production"], [("staging", "staging", None), ("production", "production", "staging")]),
        (["dev"], [("development", "dev", None)]),
    ],
)
def test_the_path_follows_from_the_names_of_the_targets(
    project: Path, targets: list[str], expected: list[tuple[str, str, str | None]]
) -> None:
    profiles(project, *targets)
    config = load_config(project, environ={})
    assert steps(config) == expected
    assert [one.working for one in config.path.environments] == [name == "development" for name, _, _ in expected]
    last = config.path.environments[-1]
    assert last.deployed_by is (DeployedBy.PROMOTION if len(expected) > 1 else DeployedBy.OTHERS)
    assert all(one.deployed_by is DeployedBy.OTHERS for one in config.path.environments[:-1])
    assert str(project / "profiles.yml") in config.origin


@pytest.mark.parametrize("twice", [("dev", "development"), ("stage", "staging"), ("prod", "production")])
def test_two_targets_for_one_environment_are_ambiguous(project: Path, twice: tuple[str, str]) -> None:
    profiles(project, *twice)
    with pytest.raises(ConfigError, match=rf"{twice[1]} and {twice[0]}.*promotion\.yml"):
        load_config(project, environ={})


def test_targets_that_say_nothing_are_an_error(project: Path) -> None:
    profiles(project, "blue", "green")
    with pytest.raises(ConfigError, match=r"blue, green; none is called .* write a promotion\.yml"):
        load_config(project, environ={})


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{% if true %}\nshop: {}\n",
        "- a\n",
        "shop:\n  target: dev\n",
        "shop: {outputs: [a]}\n",
        "other: {outputs: {blue: {}}}\n",
        "x: " + "[" * 10_000,
    ],
)
def test_without_a_usable_profile_the_path_is_the_convention(project: Path, text: str | None) -> None:
    """As in Airflow, where the profile comes from a connection."""
    if text is not None:
        (project / "profiles.yml").write_text(text, encoding="utf-8")
    config = load_config(project, environ={})
    assert steps(config) == [
        ("development", "dev", None),
        ("staging", "staging", "development"),
        ("production", "production", "staging"),
    ]
    assert "convention" in config.origin


def test_targets_that_the_caller_knows(project: Path) -> None:
    profiles(project, "blue")
    config = load_config(project, environ={}, targets=("stage", "prod"))
    assert steps(config) == [("staging", "stage", None), ("production", "prod", "staging")]


def test_where_profiles_are_looked_for(project: Path, home: Path, tmp_path: Path) -> None:
    """As told, else in the project, else at home; the first that is there counts."""
    environ = {"HOME": str(home)}
    profiles(home / ".dbt", "dev")
    found = load_config(project, environ=environ)
    assert (found.profiles_dir, len(found.path.environments)) == (home / ".dbt", 1)
    profiles(project, "dev", "prod")
    found = load_config(project, environ=environ)
    assert (found.profiles_dir, len(found.path.environments)) == (project, 2)
    told = tmp_path / "told"
    profiles(told, "staging", "prod")
    environ["DBT_PROFILES_DIR"] = str(told)
    found = load_config(project, environ=environ)
    assert (found.profiles_dir, steps(found)[0][0]) == (told, "staging")
    given = tmp_path / "given"
    profiles(given, "stage")
    found = load_config(project, environ=environ, profiles_dir=given)
    assert (found.profiles_dir, steps(found)) == (given, [("staging", "stage", None)])
    assert load_config(project, environ={"HOME": ""}, profiles_dir=tmp_path).profiles_dir == tmp_path


def test_nowhere_is_no_folder(project: Path, home: Path) -> None:
    assert load_config(project, environ={"HOME": str(home)}).profiles_dir is None


def test_which_profile(project: Path) -> None:
    (project / "profiles.yml").write_text(
        "config: {}\nshop: {outputs: {dev: {}}}\nother: {outputs: {prod: {}}}\nthird: {outputs: {stage: {}}}\n",
        encoding="utf-8",
    )
    assert steps(load_config(project, environ={})) == [("development", "dev", None)]
    environ = {"DBT_PROFILE": "other"}
    assert steps(load_config(project, environ=environ)) == [("production", "prod", None)]
    assert steps(load_config(project, environ=environ, profile="third")) == [("staging", "stage", None)]


def test_a_profile_whose_name_is_jinja_is_the_only_one(project: Path) -> None:
    (project / "dbt_project.yml").write_text("name: shop\nprofile: \"{{ env_var('P') }}\"\n", encoding="utf-8")
    profiles(project, "stage", "prod", name="whatever")
    config = load_config(project, environ={})
    assert config.profile is None
    assert [name for name, _, _ in steps(config)] == ["staging", "production"]


# --- precedence -------------------------------------------------------------------------------------------------------


def test_the_file_wins_over_the_profile(project: Path) -> None:
    profiles(project, "dev", "development")
    (project / "promotion.yml").write_text(
        "version: 1\nstate: /srv/states\nenvironments: {blue: , green: }\n", encoding="utf-8"
    )
    config = load_config(project, environ={})
    assert steps(config) == [("blue", "blue", None), ("green", "green", "blue")]
    assert config.state == "/srv/states"
    assert config.origin == str(project / "promotion.yml")


def test_a_file_without_environments_leaves_them_to_the_profile(project: Path) -> None:
    profiles(project, "stage", "prod")
    (project / "promotion.yaml").write_text("version: 1\nstate: elsewhere\n", encoding="utf-8")
    config = load_config(project, environ={})
    assert [name for name, _, _ in steps(config)] == ["staging", "production"]
    assert config.state == "elsewhere"


def test_the_default_state(project: Path) -> None:
    assert load_config(project, environ={}).state == DEFAULT_STATE == "target/promotion_states"


def test_which_sources_are_kept(project: Path) -> None:
    assert load_config(project, environ={}).kept_paths == ()
    (project / "promotion.yml").write_text("version: 1\nkept_paths: [models, macros]\n", encoding="utf-8")
    assert load_config(project, environ={}).kept_paths == ("models", "macros")


def test_nothing_is_written(project: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    load_config(project, environ={"HOME": str(tmp_path)})
    assert sorted(tmp_path.rglob("*")) == before


# --- dbt_project.yml --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["empty", "nowhere"])
def test_a_folder_without_a_project(tmp_path: Path, folder: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"no dbt_project\.yml in .*; pass --dbt-project-dir"):
        load_config(tmp_path / folder, environ={})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: [", "is not YAML"),
        ("", "must be a mapping"),
        ("- name: shop\n", "must be a mapping"),
        ("name: *x\n", "undefined alias"),
    ],
)
def test_a_project_that_is_none(project: Path, text: str, words: str) -> None:
    (project / "dbt_project.yml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=words) as caught:
        load_config(project, environ={})
    assert caught.value.where.startswith(str(project / "dbt_project.yml"))


def test_what_the_project_says(project: Path) -> None:
    (project / "dbt_project.yml").write_text(
        "name: shop\nname: store\nprofile: p\nversion: 1.0\nmodels: {1: {+enabled: true}}\n", encoding="utf-8"
    )
    config = load_config(project, environ={})
    assert (config.project_name, config.profile) == ("store", "p")


@pytest.mark.parametrize("text", ["version: 1\n", "name: 5\n", "name: ''\n", 'name: "{{ x }}"\n', 'name: "a\\0b"\n'])
def test_a_name_that_says_nothing(project: Path, text: str) -> None:
    (project / "dbt_project.yml").write_text(text, encoding="utf-8")
    assert load_config(project, environ={}).project_name is None


@pytest.mark.parametrize(
    ("lines", "environ", "target", "endangered"),
    [
        ("", {}, "target", ["target"]),
        ("target-path: out\n", {}, "out", ["out"]),
        ("target-path: out\n", {"DBT_TARGET_PATH": "env"}, "env", ["env"]),
        ("target-path: out\n", {"DBT_TARGET_PATH": "old", "DBT_ENGINE_TARGET_PATH": "new"}, "new", ["new"]),
        ("target-path: /srv/out\n", {}, "/srv/out", ["/srv/out"]),
        ("target-path: \"{{ env_var('T') }}\"\n", {}, "target", ["target"]),
        ("clean-targets: [target, dbt_packages]\n", {}, "target", ["target", "dbt_packages"]),
        ("clean-targets: [logs, \"{{ env_var('T') }}\", 5]\n", {}, "target", ["logs"]),
        ("clean-targets: []\n", {}, "target", []),
        ("clean-targets:\n", {}, "target", ["target"]),
    ],
)
def test_what_dbt_clean_would_delete(
    project: Path, lines: str, environ: dict[str, str], target: str, endangered: list[str]
) -> None:
    (project / "dbt_project.yml").write_text("name: shop\n" + lines, encoding="utf-8")
    config = load_config(project, environ=environ)
    assert config.target_path == project / target
    assert config.clean_targets == tuple(project / folder for folder in endangered)


def test_a_project_that_cannot_be_read(project: Path) -> None:
    (project / "dbt_project.yml").unlink()
    os.mkfifo(project / "dbt_project.yml")
    with pytest.raises(ConfigError, match=r"no dbt_project\.yml"):
        load_config(project, environ={})


def test_a_folder_with_a_promotion_file_need_not_hold_the_project(tmp_path: Path) -> None:
    (tmp_path / "promotion.yml").write_text("version: 1\nstate: /srv/states\nenvironments: {staging: , production: }\n")
    found = load_config(tmp_path, environ={})
    assert (found.project_name, found.profile, found.state) == (None, None, "/srv/states")
    assert [environment.name for environment in found.path.environments] == ["staging", "production"]
    assert found.target_path == tmp_path / "target"
