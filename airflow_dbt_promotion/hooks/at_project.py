"""What the operators and the sensor have in common: they stand at a dbt project."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow.sdk import Context
    from cosmos import ProfileConfig, ProjectConfig

    from airflow_dbt_promotion.core.orders import Progress
    from airflow_dbt_promotion.hooks.promotion import PromotionHook


class AtProject(BaseOperator):
    """A task at a dbt project.

    Names it by `dbt_project_dir`, by Cosmos' `project_config`, or by a connection of type `dbt_promotion`
    (`promotion_conn_id`); see `PromotionHook` for what wins. `state` overrides the root in promotion.yml; every worker
    has to reach it. `profile_config` is Cosmos' own. `dbt_executable_path` is a dbt executable or a Python that has
    dbt; without it dbt runs in the task's process. `env_vars` are set while dbt runs, `vars` are vars of this run,
    each one of the `run_vars` of the environment.
    """

    template_fields: Sequence[str] = (
        "dbt_project_dir",
        "profiles_dir",
        "profile",
        "state",
        "dbt_executable_path",
        "env_vars",
        "vars",
        "promotion_conn_id",
    )

    def __init__(  # noqa: PLR0913 - a task's arguments are its interface
        self,
        *,
        dbt_project_dir: str | Path | None = None,
        profiles_dir: str | Path | None = None,
        profile: str | None = None,
        state: str | None = None,
        dbt_executable_path: str | Path | None = None,
        env_vars: Mapping[str, str] | None = None,
        vars: Mapping[str, object] | None = None,  # noqa: A002 - dbt's word
        profile_config: ProfileConfig | None = None,
        project_config: ProjectConfig | None = None,
        promotion_conn_id: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        super().__init__(**kwargs)
        self.dbt_project_dir, self.profiles_dir, self.profile = dbt_project_dir, profiles_dir, profile
        self.state, self.dbt_executable_path, self.env_vars = state, dbt_executable_path, env_vars
        self.vars = vars
        self.profile_config, self.project_config = profile_config, project_config
        self.promotion_conn_id = promotion_conn_id

    @property
    def hook(self) -> PromotionHook:
        """The hook for this task's project."""
        from airflow_dbt_promotion.hooks.promotion import PromotionHook  # noqa: PLC0415 - DAG files import this module

        return PromotionHook(
            dbt_project_dir=self.dbt_project_dir,
            profiles_dir=self.profiles_dir,
            profile=self.profile,
            state=self.state,
            dbt_executable_path=self.dbt_executable_path,
            env_vars=self.env_vars,
            vars=self.vars,
            profile_config=self.profile_config,
            project_config=self.project_config,
            promotion_conn_id=self.promotion_conn_id,
        )

    def _hear(self, progress: Progress) -> None:
        """Log each node that ended; those that begin would double the log."""
        level = logging.DEBUG if progress.status == "started" else logging.INFO
        self.log.log(level, "%d of %d: %s %s", progress.index, progress.total, progress.node, progress.status)

    def _warn(self, warnings: Iterable[str]) -> None:
        """Log what people should know besides."""
        for warning in warnings:
            self.log.warning(warning)

    def _ended(self, context: Context, answer: dict[str, object], ending: Exception | None) -> dict[str, object]:
        """Return the answer of a task; where it does not end well, leave it as the XCom all the same, and raise.

        What it came to is left for the note of the run, which the scheduler writes (`plugin/notes.py`).
        """
        self._note(context, answer)
        if ending is not None:
            context["ti"].xcom_push(key="return_value", value=answer)
            raise ending
        return answer

    def _note(self, context: Context, answer: dict[str, object]) -> None:
        """Leave what a promotion came to for the note of the run."""
        from airflow_dbt_promotion.render import messaging  # noqa: PLC0415 - DAG files import this module

        if (told := messaging.summary_of(answer)) is not None:
            context["ti"].xcom_push(key="dbt_promotion_note", value=messaging.title(told))
