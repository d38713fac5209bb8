"""Configuration: what arguments, `promotion.yml` and the dbt project say, as one value.

Arguments win over `promotion.yml`, that over what can be inferred. Nothing is rendered, and dbt is not asked.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.config.inference import Targets, infer_path, profiles_folder, targets_of
from airflow_dbt_promotion.config.project_file import read_project_file
from airflow_dbt_promotion.config.promotion_file import (
    FILE_VERSION,
    PromotionFile,
    find_promotion_file,
    read_promotion_file,
)
from airflow_dbt_promotion.core.environment import PromotionPath

DEFAULT_STATE = "target/promotion_states"

__all__ = ["DEFAULT_STATE", "Config", "config_schema", "load_config"]


class Config(Struct, frozen=True, kw_only=True):
    """What a promotion needs to know of a project.

    `state` is the root as written, relative to `project_dir`. `target_path` is dbt's target folder, `clean_targets` are
    the folders that `dbt clean` deletes. `origin` says, for people, where the path comes from. `profiles_dir` is where
    profiles.yml is, None where it was not found. `kept_paths` are the patterns of the sources that are kept (none: all
    that dbt reads).
    """

    project_dir: Path
    path: PromotionPath
    state: str
    origin: str
    target_path: Path
    project_name: str | None = None
    profile: str | None = None
    profiles_dir: Path | None = None
    clean_targets: tuple[Path, ...] = ()
    kept_paths: tuple[str, ...] = ()


def load_config(
    project_dir: Path,
    *,
    environ: Mapping[str, str],
    profiles_dir: Path | None = None,
    profile: str | None = None,
    targets: Collection[str] | None = None,
) -> Config:
    """Return the configuration of the dbt project in a folder.

    `environ` is asked for what dbt takes from it: DBT_PROFILE, DBT_PROFILES_DIR, DBT_TARGET_PATH, HOME; arguments win.
    `targets` are the names of dbt's targets, where the caller knows them. A folder with a promotion.yml need not hold
    the project: what was kept can be promoted and run without a checkout. Raises ConfigError with file, line and key,
    or CyclicPathError. Writes nothing.
    """
    file = find_promotion_file(project_dir)
    project = read_project_file(project_dir, required=file is None)
    profile = profile or _told(environ, "PROFILE") or project.profile
    told = _told(environ, "PROFILES_DIR")
    home = Path(environ["HOME"]) if environ.get("HOME") else None
    folder = profiles_folder(profiles_dir or (Path(told) if told else None), project_dir, home)
    said = read_promotion_file(file) if file is not None else None
    if said is not None and said.path is not None:
        path, origin = said.path, str(said.where)
    else:
        path, origin = _inferred(targets_of(folder, profile), targets)
    target_path = project_dir / (_told(environ, "TARGET_PATH") or project.target_path or "target")
    return Config(
        project_dir=project_dir,
        path=path,
        state=(said.state if said is not None else None) or DEFAULT_STATE,
        origin=origin,
        target_path=target_path,
        project_name=project.name,
        profile=profile,
        profiles_dir=folder,
        clean_targets=project.endangered(project_dir, target_path),
        kept_paths=said.kept_paths if said is not None else (),
    )


def _inferred(found: Targets, given: Collection[str] | None) -> tuple[PromotionPath, str]:
    """Return the path that the names of the targets make, and how it came about."""
    if given is not None:
        return infer_path(given, "the profile at hand"), "the names of the targets of the profile at hand"
    told = "the names of the targets" if found.names is not None else "the convention"
    return infer_path(found.names, found.where), f"{told}: {found.where}"


def config_schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of `promotion.yml`, for editors."""
    made: dict[str, object] = json.loads(msgspec.json.encode(msgspec.json.schema(PromotionFile)))
    definitions = made["$defs"]
    assert isinstance(definitions, dict)  # noqa: S101 - for the type checker; msgspec documents it
    definitions["PromotionFile"]["properties"]["version"] = {"const": FILE_VERSION}
    for told in definitions.values():
        # Python 3.13 takes the indentation out of docstrings, earlier ones leave it in.
        told["description"] = " ".join(told.get("description", "").split())
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _told(environ: Mapping[str, str], name: str) -> str | None:
    """Return what the environment tells dbt, by the name that dbt prefers."""
    return environ.get(f"DBT_ENGINE_{name}") or environ.get(f"DBT_{name}")
