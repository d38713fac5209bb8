from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from cosmos import ProfileConfig, ProjectConfig
from cosmos.profiles import PostgresUserPasswordProfileMapping

from airflow_dbt_promotion import PromotionStateStore
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.hooks.promotion import PromotionHook
from airflow_dbt_promotion.hooks.settings import ProjectOptions
from airflow_dbt_promotion.wiring import Place, engine_for

FILES = {
    "dbt_project.yml": "name: shop\nprofile: shop\n",
    "models/orders.sql": "select 1 as id",
    "profiles.yml": (
        "shop:\n  target: dev\n  outputs:\n" + "".join(f"    {t}: {{type: duckdb}}\n" for t in ("dev", "stage", "prod"))
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in FILES.items():
        path = tmp_path / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "shop"


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> list[Place]:
    """The places for which an engine was made."""
    made: list[Place] = []

    def keep(place: Place) -> Any:
        made.append(place)
        return engine_for(place)

    monkeypatch.setattr("airflow_dbt_promotion.wiring.engine_for", keep)
    return made


def a_mapping(monkeypatch: pytest.MonkeyPatch, target: str) -> ProfileConfig:
    connection = {"conn_type": "postgres", "host": "db", "login": "ada", "password": "secret", "schema": "shop"}
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps(connection))
    mapping = PostgresUserPasswordProfileMapping(conn_id="warehouse", profile_args={"schema": "live"})
    return ProfileConfig(profile_name="made", target_name=target, profile_mapping=mapping)


def test_arguments_win_over_cosmos_over_the_connection_over_the_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__DBT_PROMOTION__STATE", "/from/configuration")
    monkeypatch.setenv("AIRFLOW__DBT_PROMOTION__PROFILE", "configured")
    extra = {"state": "/from/connection", "dbt_project_dir": "/connected", "profiles_dir": "/connected/profiles"}
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "dbt_promotion", "extra": extra}))
    cosmos = ProjectConfig("/cosmos")

    def found(**options: Any) -> tuple[str | None, ...]:
        said = PromotionHook(**options).settings()
        return said.dbt_project_dir, said.profiles_dir, said.profile, said.state

    assert found() == (None, None, "configured", "/from/configuration")
    connected = ("/connected", "/connected/profiles", "configured", "/from/connection")
    assert found(promotion_conn_id="shop") == connected
    assert found(promotion_conn_id="shop", project_config=cosmos) == ("/cosmos", *connected[1:])
    told: ProjectOptions = {"dbt_project_dir": Path("/told"), "state": "/told/state", "profile": "told"}
    assert found(promotion_conn_id="shop", project_config=cosmos, **told) == (
        "/told", "/connected/profiles", "told", "/told/state",
    )  # fmt: skip


def test_a_project_that_nobody_named_and_an_extra_that_is_no_text_are_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="no dbt project was named"), PromotionHook().engine():
        pass
    monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps({"conn_type": "dbt_promotion", "extra": {"state": ["/s"]}}))
    with pytest.raises(ConfigError, match="connection shop: state"):
        PromotionHook(promotion_conn_id="shop").settings()


def test_environment_variables_are_those_of_cosmos_and_our_own(project: Path, places: list[Place]) -> None:
    config = ProjectConfig(project, env_vars={"A": "theirs", "B": "theirs"})
    with PromotionHook(project_config=config, env_vars={"B": "ours"}).engine() as engine:
        assert [environment.name for environment in engine.path.environments] == [
            "development",
            "staging",
            "production",
        ]
    assert places[0].project_dir == project
    assert places[0].env == {"A": "theirs", "B": "ours"}


def test_a_profiles_yml_serves_every_environment(project: Path, places: list[Place], tmp_path: Path) -> None:
    elsewhere = tmp_path / "profiles" / "profiles.yml"
    elsewhere.parent.mkdir()
    elsewhere.write_text(FILES["profiles.yml"])
    config = ProfileConfig(profile_name="shop", target_name="stage", profiles_yml_filepath=elsewhere)
    with PromotionHook(dbt_project_dir=project, profile_config=config).engine("production") as engine:
        assert engine.path.last().target == "prod"
    assert (places[0].profiles_dir, places[0].profile, dict(places[0].targets)) == (elsewhere.parent, "shop", {})


def test_a_profile_file_of_another_name_is_an_error(project: Path, tmp_path: Path) -> None:
    other = tmp_path / "prod.yml"
    other.write_text(FILES["profiles.yml"])
    config = ProfileConfig(profile_name="shop", target_name="prod", profiles_yml_filepath=other)
    hook = PromotionHook(dbt_project_dir=project, profile_config=config)
    with pytest.raises(ConfigError, match="dbt reads files called profiles"), hook.engine("production"):
        pass


def test_a_mapping_makes_a_profile_for_the_environment_that_is_promoted_to(
    project: Path, places: list[Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_mapping(monkeypatch, "live")
    with PromotionHook(dbt_project_dir=project, profile_config=config).engine("prod") as engine:
        place = places[0]
        assert place.profiles_dir is not None
        assert "live" in (place.profiles_dir / "profiles.yml").read_text()
        assert "secret" not in (place.profiles_dir / "profiles.yml").read_text()
        assert [environment.target for environment in engine.path.environments] == ["dev", "stage", "prod"]
    assert place.profile == "made"
    assert dict(place.targets) == {"production": "live"}
    assert "secret" in place.env.values()


@pytest.mark.parametrize("target", ["stage", "staging", "dev"])
def test_the_profile_of_another_environment_is_refused(
    project: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = a_mapping(monkeypatch, target)
    hook = PromotionHook(dbt_project_dir=project, profile_config=config)
    with pytest.raises(ConfigError, match="give the profile of production"), hook.engine("production"):
        pass


def test_vars_that_the_environment_does_not_declare_are_refused_where_dbt_may_build(project: Path) -> None:
    hook = PromotionHook(project_config=ProjectConfig(project, dbt_vars={"region": "eu"}))
    with pytest.raises(ConfigError, match=r"environments\.production\.vars"), hook.engine("production", builds=True):
        pass
    with hook.engine("production"):
        pass
    (project / "promotion.yml").write_text(
        "version: 1\nenvironments:\n  staging: {target: stage}\n"
        "  production: {target: prod, promotes_from: staging, vars: {region: eu}}\n"
    )
    with hook.engine("production", builds=True) as engine:
        assert engine.path.last().vars == {"region": "eu"}


def test_vars_of_a_run_arrive_where_the_environment_names_them(project: Path) -> None:
    (project / "promotion.yml").write_text(
        "version: 1\nenvironments:\n  staging: {target: stage}\n"
        "  production: {target: prod, promotes_from: staging, run_vars: [run_date, batch]}\n"
    )
    cosmos = ProjectConfig(project, dbt_vars={"run_date": "2026-11-30", "batch": 7})
    hook = PromotionHook(project_config=cosmos, vars={"run_date": "2026-12-01"})
    with hook.engine("production", builds=True) as engine:
        assert engine.path.last().vars == {"run_date": "2026-12-01", "batch": 7}
    refused = PromotionHook(dbt_project_dir=project, vars={"limit": 1})
    with pytest.raises(ConfigError, match="run_vars"), refused.engine("production", builds=True):
        pass


def test_the_store_of_the_state_is_had_without_touching_it(project: Path, tmp_path: Path) -> None:
    store: PromotionStateStore = PromotionHook(dbt_project_dir=project, state=str(tmp_path / "states")).state_store()
    assert store.environments() == ()
    assert store.where(EnvironmentName("staging")) == str(tmp_path / "states" / "staging.json")
    assert not (tmp_path / "states").exists()
