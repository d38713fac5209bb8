"""What a team's Cosmos objects say, in our words; and the callback by which Cosmos' runs become evidence."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack, cast

from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.hooks.settings import ProjectOptions

if TYPE_CHECKING:
    from airflow.sdk import Context
    from cosmos import ProfileConfig, ProjectConfig

    from airflow_dbt_promotion.core.environment import Environment, PromotionPath
    from airflow_dbt_promotion.wiring import Place

_PROFILES = "profiles.yml"

log = logging.getLogger(__name__)


@contextmanager
def with_profile(place: Place, config: ProfileConfig, path: PromotionPath, environment: str | None) -> Iterator[Place]:
    """Yield a place where dbt finds the profile of a ProfileConfig; what was made for it is gone afterwards.

    A profiles.yml holds every target, so the environments say which they are. A mapping makes a profile with one target
    out of an Airflow connection; it serves `environment` (the last of the path, where None). Raises ConfigError where
    that target is another environment's.
    """
    if config.profiles_yml_filepath is not None:
        file = Path(config.profiles_yml_filepath)
        if file.name != _PROFILES:
            raise ConfigError("profile_config.profiles_yml_filepath", f"{file}: dbt reads files called {_PROFILES}")
        yield replace(place, profiles_dir=file.parent, profile=config.profile_name)
        return
    served = path.get(environment) if environment is not None else path.last()
    _check_target(config, path, served)
    with config.ensure_profile() as (file, secrets):
        yield replace(
            place,
            profiles_dir=Path(file).parent,
            profile=config.profile_name,
            env={**place.env, **secrets},
            targets={served.name: config.target_name},
        )


def _check_target(config: ProfileConfig, path: PromotionPath, served: Environment) -> None:
    """Refuse the profile of another environment: what is promoted would be built there."""
    for other in path.environments:
        if other.name != served.name and config.target_name in {other.name, other.target}:
            raise ConfigError(
                "profile_config.target_name",
                f"{config.target_name!r} is the target of {other.name}; give the profile of {served.name}",
            )


def vars_of_run(config: ProjectConfig, environment: Environment) -> dict[str, object]:
    """Return the dbt_vars that may differ from run to run.

    Raises ConfigError for others that the environment does not declare: a version must not depend on who builds it.
    """
    given = dict(config.dbt_vars or {})
    for name, value in given.items():
        if name in environment.run_vars:
            continue
        if name not in environment.vars or environment.vars[name] != value:
            raise ConfigError(
                f"project_config.dbt_vars.{name}",
                f"a promotion takes vars from environments.{environment.name}.vars in promotion.yml, which does not "
                f"say this; declare it there, or give dbt_project_dir in place of project_config",
            )
    return {name: value for name, value in given.items() if name in environment.run_vars}


def record_run(environment: str, **project: Unpack[ProjectOptions]) -> Callable[..., None]:
    """A callback for Cosmos operators that records each dbt run for an environment.

    Use it as `operator_args={"callback": record_run("staging", dbt_project_dir="/srv/shop")}`.
    Cosmos runs dbt in a copy that it deletes, so name the real project (`dbt_project_dir` or `project_config`); state
    lies there, or where promotion.yml or `state` say. A failed run is recorded, too: it revokes. Drift is an event
    where the operators have the outlet `drift_alias(environment)` of `hooks/drift.py`.
    """
    return RunRecorder(environment, project)


class RunRecorder:
    """The callback; see `record_run`."""

    def __init__(self, environment: str, project: ProjectOptions) -> None:
        """Take the environment, and where the real project is."""
        self.environment, self.project = environment, project

    def __call__(self, project_dir: str, context: Mapping[str, Any] | None = None, **_: object) -> None:
        """Record the run that Cosmos left in its copy of the project.

        Raises AirflowFailException for a run that is no evidence, or that policy refuses since it drifted;
        MachineError where state cannot be written.
        """
        from airflow_dbt_promotion.hooks import drift  # noqa: PLC0415 - Airflow, once it is needed
        from airflow_dbt_promotion.hooks.endings import airflow_errors, fail  # noqa: PLC0415 - Airflow, once it is needed
        from airflow_dbt_promotion.hooks.promotion import PromotionHook  # noqa: PLC0415 - it imports this module
        from airflow_dbt_promotion.render import recording, table  # noqa: PLC0415 - as late

        hook = PromotionHook(**self.project)
        target_path = _target_path(Path(project_dir), hook.environ())
        if not (target_path / "run_results.json").is_file():
            log.warning("dbt left no run_results.json in %s: there is nothing to record", target_path)
            return
        with airflow_errors(), hook.engine(self.environment) as engine:
            done = engine.record(self.environment, target_path, _actor(context or {}))
            hook.warn(engine)
        for line in recording.text(done, table.Page(), baseline=False).splitlines():
            log.info(line)
        for warning in recording.warnings(done):
            log.warning(warning)
        drift.emit(context or {}, done)
        if done.refused:
            raise fail(recording.headline(done, baseline=False))


def _actor(context: Mapping[str, Any]) -> str:
    """Return who runs the DAG, as far as Cosmos hands in the task's context."""
    from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - as late

    return acting.actor(cast("Context", context)) if "dag_run" in context else "airflow"


def _target_path(copy: Path, environ: dict[str, str]) -> Path:
    """Return the folder into which dbt wrote when it ran in a copy of a project."""
    from airflow_dbt_promotion.config import load_config  # noqa: PLC0415 - Cosmos' DAGs import this module to parse

    return load_config(copy, environ={**os.environ, **environ}).target_path
