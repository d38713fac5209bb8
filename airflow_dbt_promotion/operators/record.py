"""Take evidence from a dbt run that others made, in a task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.hooks import display
from airflow_dbt_promotion.hooks.assets import listed
from airflow_dbt_promotion.hooks.at_project import AtProject
from airflow_dbt_promotion.hooks.drift import drift_alias
from airflow_dbt_promotion.hooks.endings import airflow_errors, fail

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_dbt_promotion.core.recording import Recording
    from airflow_dbt_promotion.engine import Engine


class RecordRunOperator(AtProject):
    """Records the dbt run in a target folder for an environment, or adopts what is there (`baseline=True`).

    `target_path` is the folder with manifest.json and run_results.json (default: the project's own); a relative one
    begins at the project. Run it where that folder is, after dbt and before another dbt command writes there; with
    `trigger_rule="all_done"`, so that a failed run is recorded, too: it revokes. With a `reason` the run counts towards
    soak by its own time, however late it is recorded, on record as a bypass. A baseline
    of an environment that was promoted to or adopted before takes a reason, too. The XCom is the document of
    `dbt-promote record --output-format json`.

    A run of code that was never promoted, in an environment that only promotions may move, is drift: it is logged, and
    an event of the alias `dbt_promotion:<environment>:drift`, which is an outlet of this task (see `hooks/drift.py`).
    Where policy blocks it (`on_drift: block`), the task fails without a retry.
    """

    template_fields: Sequence[str] = (*AtProject.template_fields, "environment", "target_path", "baseline", "reason")
    ui_color = "#dbe8f5"

    def __init__(
        self,
        *,
        environment: str,
        target_path: str | Path | None = None,
        baseline: bool | str = False,
        reason: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - whatever Airflow takes
    ) -> None:
        outlets = listed(kwargs.pop("outlets", None))
        if "{" not in str(environment):  # what a template, or another task, makes of it is not known yet
            outlets.append(drift_alias(environment))
        words = "adopt {}" if baseline is True else "record {}"
        super().__init__(outlets=outlets, **display.named(kwargs, words, environment))
        self.environment, self.target_path, self.baseline = environment, target_path, baseline
        self.reason = reason

    def execute(self, context: Context) -> dict[str, object]:
        """Record, and tell what entered, passed and failed."""
        from airflow_dbt_promotion.hooks import drift, rendered  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.operators import telling  # noqa: PLC0415 - as late
        from airflow_dbt_promotion.render import recording, table  # noqa: PLC0415 - as late

        with airflow_errors(), self.hook.engine(self.environment) as engine:
            baseline = rendered.flag("baseline", self.baseline)
            done = self._adopt(engine, context) if baseline else self._recorded(engine, context)
            stored = engine.observer.state(self.environment)
            self.hook.warn(engine)
        telling.write(self.log, recording.text(done, table.Page(), baseline=baseline))
        for warning in recording.warnings(done):
            self.log.warning(warning)
        drift.emit(context, done)
        answer = recording.document(done, stored.serial if stored else done.state.serial, baseline=baseline)
        if done.refused:
            context["ti"].xcom_push(key="return_value", value=answer)
            raise fail(recording.headline(done, baseline=baseline))
        return answer

    def _recorded(self, engine: Engine, context: Context) -> Recording:
        """Record the run of the folder."""
        from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - as late

        return engine.record(self.environment, self._folder(), acting.actor(context), self.reason or None)

    def _adopt(self, engine: Engine, context: Context) -> Recording:
        """Adopt the release of the folder that was named, or of the project parsed now."""
        from airflow_dbt_promotion.engine import AdoptionRequest  # noqa: PLC0415 - DAG files import this module
        from airflow_dbt_promotion.hooks import acting  # noqa: PLC0415 - as late

        return engine.baseline(
            AdoptionRequest(
                environment=self.environment,
                target_path=None if self.target_path is None else self._folder(),
                actor=acting.actor(context),
                reason=self.reason or None,
                confirmed=True,
            )
        )

    def _folder(self) -> Path:
        """Return the folder in which dbt left its artifacts."""
        config = self.hook.config()
        return config.target_path if self.target_path is None else config.project_dir / self.target_path
