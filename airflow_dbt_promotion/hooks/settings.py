"""Where a project is, as an operator's arguments, a connection and Airflow's configuration say; the first that speaks
wins.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError

if TYPE_CHECKING:
    from cosmos import ProfileConfig, ProjectConfig

SECTION = "dbt_promotion"
"""The section of airflow.cfg."""


class ProjectOptions(TypedDict, total=False):
    """Where a project is, and how dbt is run there.

    `env_vars` are set while dbt runs, `vars` are vars of this run, each one of the `run_vars` of the environment.
    `profile_config` and `project_config` are Cosmos' own. `promotion_conn_id` names a connection of type
    `dbt_promotion` whose extra holds the other settings.
    """

    dbt_project_dir: str | Path | None
    profiles_dir: str | Path | None
    profile: str | None
    state: str | None
    dbt_executable_path: str | Path | None
    env_vars: Mapping[str, str] | None
    vars: Mapping[str, object] | None
    profile_config: ProfileConfig | None
    project_config: ProjectConfig | None
    promotion_conn_id: str | None


class Settings(Struct, frozen=True, kw_only=True):
    """What came out; None where nobody said anything. In all three places a setting has the same name."""

    dbt_project_dir: str | None
    profiles_dir: str | None
    profile: str | None
    state: str | None
    dbt_executable_path: str | None


def settings(options: ProjectOptions, extra: Mapping[str, object]) -> Settings:
    """Return what holds: arguments, then Cosmos' ProjectConfig, then the connection's extra, then Airflow's
    configuration.

    Raises ConfigError for a value in the connection that is no text.
    """
    return Settings(
        dbt_project_dir=_first("dbt_project_dir", options, extra),
        profiles_dir=_first("profiles_dir", options, extra),
        profile=_first("profile", options, extra),
        state=_first("state", options, extra),
        dbt_executable_path=_first("dbt_executable_path", options, extra),
    )


def project_dir(found: Settings) -> Path:
    """Return the folder of the dbt project; raise ConfigError where nobody named one."""
    folder = found.dbt_project_dir
    if folder is None:
        raise ConfigError(
            "dbt_project_dir",
            "no dbt project was named; give dbt_project_dir, a Cosmos project_config, a connection (promotion_conn_id) "
            f"or [{SECTION}] dbt_project_dir in Airflow's configuration",
        )
    return Path(folder)


def _first(name: str, options: ProjectOptions, extra: Mapping[str, object]) -> str | None:
    """Return the first answer for one setting."""
    said = options.get(name)
    if said is None and name == "dbt_project_dir" and (project := options.get("project_config")) is not None:
        said = project.dbt_project_path
    if said is None:
        said = extra.get(name)
        if said is not None and not isinstance(said, str):
            raise ConfigError(f"connection {options.get('promotion_conn_id')}: {name}", f"{said!r} is no text")
    return str(said) if said else airflow_setting(SECTION, name)


def airflow_setting(section: str, name: str) -> str | None:
    """Return what Airflow's configuration says, None where it says nothing."""
    try:
        from airflow.sdk import conf  # noqa: PLC0415 - imports of Airflow wait until they are needed
    except ImportError:  # Airflow 3.1
        from airflow.configuration import conf  # type: ignore[assignment] # noqa: PLC0415
    found: str | None = conf.get(section, name, fallback=None)
    return found or None
