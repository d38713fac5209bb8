"""The one place where a connection, Airflow's configuration and arguments become an engine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from airflow.sdk import BaseHook
from msgspec.structs import replace

from airflow_dbt_promotion.hooks import cosmos
from airflow_dbt_promotion.hooks.settings import ProjectOptions, Settings, project_dir, settings

if TYPE_CHECKING:
    from airflow_dbt_promotion.config import Config
    from airflow_dbt_promotion.engine import Engine
    from airflow_dbt_promotion.functions import PromotionStateStore
    from airflow_dbt_promotion.wiring import Place


class PromotionHook(BaseHook):
    """Makes the engine of a dbt project.

    Each setting comes from the arguments, else from Cosmos' ProjectConfig, else from the extra of the connection, else
    from `[dbt_promotion]` of Airflow's configuration, else from promotion.yml and the project. No connection is asked
    for unless `promotion_conn_id` names one.
    """

    conn_name_attr = "promotion_conn_id"
    default_conn_name = "dbt_promotion_default"
    conn_type = "dbt_promotion"
    hook_name = "dbt promotion"

    def __init__(self, **options: Unpack[ProjectOptions]) -> None:
        """Take where the project is; see `ProjectOptions`. Nothing is read yet."""
        super().__init__()
        self.promotion_conn_id = options.get("promotion_conn_id")
        self._options = options

    def settings(self) -> Settings:
        """Return what holds. Raises ConfigError, and what Airflow raises for a connection that is not there."""
        return settings(self._options, self._extra())

    def environ(self) -> dict[str, str]:
        """Return the environment variables that are set for dbt: those of a ProjectConfig, then our own."""
        project = self._options.get("project_config")
        theirs = (project.env_vars or {}) if project is not None else {}
        return {**theirs, **(self._options.get("env_vars") or {})}

    def config(self) -> Config:
        """Return the project's configuration. Raises ConfigError."""
        from airflow_dbt_promotion.config import load_config  # noqa: PLC0415 - DAG files import this module to parse

        found = self.settings()
        return load_config(
            project_dir(found).expanduser().absolute(),
            environ={**os.environ, **self.environ()},
            profiles_dir=_path(found.profiles_dir),
            profile=found.profile,
        )

    def place(self) -> Place:
        """Return where the project is and how dbt is run there, a ProfileConfig left aside."""
        from airflow_dbt_promotion.wiring import Place  # noqa: PLC0415 - as late

        found = self.settings()
        return Place(
            project_dir=project_dir(found),
            profiles_dir=_path(found.profiles_dir),
            profile=found.profile,
            state=found.state,
            dbt_executable_path=_path(found.dbt_executable_path),
            env=self.environ(),
        )

    @contextmanager
    def engine(self, environment: str | None = None, *, builds: bool = False) -> Iterator[Engine]:
        """Yield the engine; what was made for it, such as a profile from a connection, is gone afterwards.

        `environment` is the one that a ProfileConfig with a mapping is for (None: the last of the path). `builds` says
        that dbt may build there, so that vars that nobody declared are refused.
        """
        from airflow_dbt_promotion.wiring import engine_for  # noqa: PLC0415 - as late

        profile, project = self._options.get("profile_config"), self._options.get("project_config")
        place, given = self.place(), dict(self._options.get("vars") or {})
        if builds and environment is not None:
            if project is not None:
                given = {**cosmos.vars_of_run(project, self.config().path.get(environment)), **given}
            place = replace(place, vars=given, vars_of=environment)
        if profile is None:
            yield engine_for(place)
            return
        with cosmos.with_profile(place, profile, self.config().path, environment) as at_hand:
            yield engine_for(at_hand)

    def state_store(self) -> PromotionStateStore:
        """Return the store of the promotion state, wherever it is; nothing is read or made yet. Raises ConfigError."""
        from airflow_dbt_promotion.wiring import engine_for  # noqa: PLC0415 - as late

        return engine_for(self.place()).store

    def warn(self, engine: Engine) -> None:
        """Log what people should know of the place where state is kept."""
        for warning in engine.store.warnings():
            self.log.warning(warning)

    def _extra(self) -> Mapping[str, object]:
        """Return what the connection says."""
        if self.promotion_conn_id is None:
            return {}
        extra: Mapping[str, object] = self.get_connection(self.promotion_conn_id).extra_dejson
        return extra


def _path(text: str | None) -> Path | None:
    """Return a path where one was given."""
    return None if text is None else Path(text).expanduser()
