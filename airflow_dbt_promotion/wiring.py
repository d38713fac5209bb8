"""The composition root: from a place and its configuration to an engine. Everything that reads the surroundings is read
here.

Neither dbt nor Airflow is imported before something is parsed or run.
"""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from airflow_dbt_promotion.config import load_config
from airflow_dbt_promotion.core.kept import Provenance
from airflow_dbt_promotion.core.orders import Kept
from airflow_dbt_promotion.core.ports import Clock
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.engine.mover import House
from airflow_dbt_promotion.processes import LocalProcesses
from airflow_dbt_promotion.stores import open_releases, open_store

if TYPE_CHECKING:
    from airflow_dbt_promotion.dbt.invocation import DbtRunner


class Place(Struct, frozen=True, kw_only=True):
    """Where a dbt project is, and how dbt is run there.

    `state` overrides the root in promotion.yml; a relative one begins at the project. `dbt_executable_path` is a dbt
    executable or a Python that has dbt; without it dbt runs in this process. `env` is set while dbt runs. `targets`
    says which dbt target stands for an environment, such as the one of a profile that was made on the spot. `vars` are
    vars of this run of the environment `vars_of`, each one of its `run_vars`.
    """

    project_dir: Path = Path()
    profiles_dir: Path | None = None
    profile: str | None = None
    state: str | None = None
    dbt_executable_path: Path | None = None
    env: Mapping[str, str] = {}
    targets: Mapping[str, str] = {}
    vars: Mapping[str, object] = {}
    vars_of: str = ""
    clock: Clock | None = None


def engine_for(place: Place, environ: Mapping[str, str] | None = None) -> Engine:
    """Return the engine of a project.

    Raises ConfigError and its kin for configuration that cannot be used; touches no state and runs nothing.
    """
    from airflow_dbt_promotion.calendars import WallCalendar  # noqa: PLC0415
    from airflow_dbt_promotion.dbt.artifacts import DbtArtifacts  # noqa: PLC0415
    from airflow_dbt_promotion.dbt.commit import commit_of  # noqa: PLC0415
    from airflow_dbt_promotion.dbt.invocation import DbtProject  # noqa: PLC0415
    from airflow_dbt_promotion.dbt.keeper import Keeper  # noqa: PLC0415
    from airflow_dbt_promotion.dbt.source_tree import sources_of  # noqa: PLC0415
    from airflow_dbt_promotion.dbt.verification import keep_run  # noqa: PLC0415
    from airflow_dbt_promotion.dbt.workshop import DbtWorkshop  # noqa: PLC0415

    surroundings = {**(os.environ if environ is None else environ), **place.env}
    project_dir = place.project_dir.expanduser().absolute()
    # A profile that was made on the spot has one target; the path is then what the project's own profile says.
    made = bool(place.targets)
    config = load_config(
        project_dir,
        profiles_dir=None if made else place.profiles_dir,
        profile=None if made else place.profile,
        environ=surroundings,
    )
    releases = open_releases(place.state or config.state, base=project_dir)
    clock = place.clock or now

    def keep(target_path: Path, release: Release) -> Kept:
        provenance = Provenance(
            kept_at=clock(),
            dbt_version=release.dbt_version,
            adapter_type=release.adapter_type,
            commit=commit_of(project_dir),
        )
        return keep_run(releases, target_path, project_dir, release, provenance, config.kept_paths)

    keeper = Keeper(
        store=releases,
        sources=lambda: sources_of(project_dir, config.kept_paths),
        clock=clock,
        commit=lambda: commit_of(project_dir),
        run=keep,
    )
    project = DbtProject(
        project_dir=project_dir,
        target_path=config.target_path,
        profiles_dir=place.profiles_dir or config.profiles_dir,
        profile=place.profile,
        env=place.env,
    )
    return Engine(
        path=config.path.with_run_vars(place.vars_of, place.vars) if place.vars else config.path,
        store=open_store(place.state or config.state, base=project_dir, endangered=config.clean_targets),
        releases=releases,
        workshop=DbtWorkshop(project, runner_for(place), keeper, place.targets),
        reader=DbtArtifacts(project_dir),
        processes=LocalProcesses(),
        clock=clock,
        calendar=WallCalendar(),
        project=config.project_name,
    )


def house_at(root: str, base: Path) -> House:
    """Return what is kept at a root: documents, and sources beside them. Raises ConfigError; touches nothing."""
    folder = base.expanduser().absolute()
    return House(open_store(root, base=folder), open_releases(root, base=folder))


def runner_for(place: Place) -> DbtRunner:
    """Return the way in which dbt is run: another executable's where one is named, else in this process."""
    if place.dbt_executable_path is not None:
        from airflow_dbt_promotion.dbt.remote import SubprocessRunner  # noqa: PLC0415

        return SubprocessRunner(place.dbt_executable_path)
    from airflow_dbt_promotion.dbt.runner import InProcessRunner  # noqa: PLC0415

    return InProcessRunner()


def now() -> datetime:
    """Return the present instant in UTC."""
    return datetime.now(tz=UTC)


def actor_here(environ: Mapping[str, str]) -> str:
    """Return who is acting, as the surroundings tell: the person behind a CI job, else user@host."""
    for name in (
        "DBT_PROMOTE_ACTOR",
        "GITHUB_ACTOR",
        "GITLAB_USER_LOGIN",
        "BUILDKITE_BUILD_CREATOR",
        "CIRCLE_USERNAME",
    ):
        if environ.get(name):
            return environ[name]
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def link_here(environ: Mapping[str, str]) -> str | None:
    """Return where a person can look at the CI job that is acting, None elsewhere."""
    server, repository, run = (environ.get(f"GITHUB_{part}") for part in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    if server and repository and run:
        return f"{server}/{repository}/actions/runs/{run}"
    return environ.get("CI_JOB_URL") or environ.get("BUILD_URL")
