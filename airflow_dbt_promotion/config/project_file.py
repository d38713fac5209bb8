"""`dbt_project.yml`, as far as a promotion needs it before dbt is asked: as written, nothing rendered."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from airflow_dbt_promotion.config.yaml_file import read_yaml
from airflow_dbt_promotion.core.errors import ConfigError


class ProjectFile(Struct, frozen=True, kw_only=True):
    """What a project says of itself. Values with Jinja are None, or left out of `clean_targets`: only dbt can tell."""

    name: str | None
    profile: str | None
    target_path: str | None
    clean_targets: tuple[str, ...] | None

    def endangered(self, project_dir: Path, target_path: Path) -> tuple[Path, ...]:
        """Return the folders that `dbt clean` deletes: those listed, or the target folder where there is no list."""
        if self.clean_targets is None:
            return (target_path,)
        return tuple(project_dir / folder for folder in self.clean_targets)


def read_project_file(project_dir: Path, *, required: bool = True) -> ProjectFile:
    """Return what dbt_project.yml says; raise ConfigError where it is missing or not a mapping in YAML.

    Where it is not required, one that is missing says nothing: what was kept is promoted and run without a checkout.
    """
    path = project_dir / "dbt_project.yml"
    if not path.is_file() and not required:
        return ProjectFile(name=None, profile=None, target_path=None, clean_targets=None)
    if not path.is_file():
        raise ConfigError(str(project_dir), f"no dbt_project.yml in {project_dir}; pass --dbt-project-dir")
    found = read_yaml(path, unique=False).value
    if not isinstance(found, dict):
        raise ConfigError(str(path), "must be a mapping, as every dbt_project.yml is")
    clean = found.get("clean-targets")
    return ProjectFile(
        name=_plain(found.get("name")),
        profile=_plain(found.get("profile")),
        target_path=_plain(found.get("target-path")),
        clean_targets=tuple(text for one in clean if (text := _plain(one))) if isinstance(clean, list) else None,
    )


def _plain(value: object) -> str | None:
    """Return a text that means what it says."""
    return (
        value
        if isinstance(value, str) and value and "{{" not in value and "{%" not in value and "\0" not in value
        else None
    )
