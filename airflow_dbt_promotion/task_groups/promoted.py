"""What an environment runs, drawn in Airflow: one task a model, each built from the code that was promoted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from airflow.sdk import DAG, TaskGroup

from airflow_dbt_promotion.hooks.settings import ProjectOptions

if TYPE_CHECKING:
    from airflow_dbt_promotion.task_groups.drawing import Drawing

_HOUR = 3600.0
_OPTIONS = frozenset(ProjectOptions.__optional_keys__)

log = logging.getLogger(__name__)


class DbtPromotedTaskGroup(TaskGroup):
    """One `PromotedBuildOperator` for each model that an environment holds, in the order of the graph.

    It draws the manifest that the last promotion or run left beside the state; what is run is asked anew in each task.
    A task builds its model and runs the tests that read it alone; all other tests run in a task of their own at the
    end. Before anything was promoted, and where the manifest cannot be reached, one task runs everything.

    `select` and `exclude` are lists of selectors as Cosmos understands them (tags, paths, graph operators). Tasks of
    one environment take turns: each waits for its lock, for at most `lock_timeout` seconds. The project is named as for
    any operator; `operator_args` go to every task.
    """

    def __init__(  # noqa: PLR0913 - a group's arguments are its interface
        self,
        group_id: str = "promoted",
        *,
        environment: str,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        full_refresh: bool = False,
        lock_timeout: float = _HOUR,
        operator_args: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - where the project is, and whatever Airflow takes
    ) -> None:
        project = {name: kwargs.pop(name) for name in list(kwargs) if name in _OPTIONS}
        super().__init__(group_id, **kwargs)
        self.environment = environment
        self._task_args = {
            **project,
            "environment": environment,
            "full_refresh": full_refresh,
            "lock_timeout": lock_timeout,
            **(operator_args or {}),
        }
        with self:
            drawing = _drawing(environment, tuple(select), tuple(exclude), **project)
            if drawing is None:
                self._whole(select, exclude)
            else:
                self._draw(drawing)

    def _whole(self, select: Sequence[str], exclude: Sequence[str]) -> None:
        """Add the one task that runs everything."""
        from airflow_dbt_promotion.operators.run import PromotedBuildOperator  # noqa: PLC0415 - only where a group is made

        log.info("nothing is drawn of %s yet: one task runs all of it", self.environment)
        PromotedBuildOperator(
            task_id="build",
            select=" ".join(select) or None,
            exclude=" ".join(exclude) or None,
            **self._task_args,
        )

    def _draw(self, drawing: Drawing) -> None:
        """Add a task for each part, and one for the tests between models."""
        from airflow_dbt_promotion.operators.run import PromotedBuildOperator  # noqa: PLC0415 - only where a group is made

        tasks: dict[str, Any] = {}
        names = [part.name for part in drawing.parts]
        for part in drawing.parts:
            alone = names.count(part.name) == 1
            tasks[part.unique_id] = PromotedBuildOperator(
                task_id=part.name if alone else part.unique_id.replace(".", "__"),
                task_display_name=part.name,
                select=part.select,
                exclude=part.exclude,
                **self._task_args,
            )
            for above in part.above:
                tasks[above] >> tasks[part.unique_id]
        if drawing.between is not None:
            between = PromotedBuildOperator(
                task_id="tests_between_models",
                select=drawing.between,
                **{**self._task_args, "command": "test", "full_refresh": False},
            )
            list(tasks.values()) >> between


class DbtPromotedDag(DAG):
    """A DAG that is one `DbtPromotedTaskGroup`; arguments that are not the group's are the DAG's."""

    def __init__(  # noqa: PLR0913 - as the group's
        self,
        dag_id: str,
        *,
        environment: str,
        select: Sequence[str] = (),
        exclude: Sequence[str] = (),
        full_refresh: bool = False,
        lock_timeout: float = _HOUR,
        operator_args: Mapping[str, Any] | None = None,
        **kwargs: Any,  # noqa: ANN401 - where the project is, and whatever Airflow takes
    ) -> None:
        project = {name: kwargs.pop(name) for name in list(kwargs) if name in _OPTIONS}
        super().__init__(dag_id, **{"max_active_tasks": 1, "max_active_runs": 1, "catchup": False, **kwargs})
        with self:
            DbtPromotedTaskGroup(
                environment,
                environment=environment,
                select=select,
                exclude=exclude,
                full_refresh=full_refresh,
                lock_timeout=lock_timeout,
                operator_args=operator_args,
                **project,
            )


def _drawing(
    environment: str, select: tuple[str, ...], exclude: tuple[str, ...], **project: Unpack[ProjectOptions]
) -> Drawing | None:
    """Return what is drawn of an environment, None where no manifest of it can be read."""
    from airflow_dbt_promotion.core.errors import PromotionError  # noqa: PLC0415 - only where a group is made
    from airflow_dbt_promotion.core.identity import environment_name  # noqa: PLC0415 - as late
    from airflow_dbt_promotion.hooks.promotion import PromotionHook  # noqa: PLC0415 - as late
    from airflow_dbt_promotion.stores import open_releases  # noqa: PLC0415 - as late
    from airflow_dbt_promotion.task_groups.drawing import drawing_of  # noqa: PLC0415 - as late

    hook = PromotionHook(**project)
    config = hook.config()
    releases = open_releases(hook.settings().state or config.state, base=config.project_dir)
    where = releases.manifest(environment_name(config.path.get(environment).name))
    if where is None:
        return None
    try:
        return drawing_of(Path(where), _chosen(Path(where), config.project_dir, select, exclude))
    except PromotionError as error:
        log.warning("the manifest of what %s runs cannot be drawn, one task runs all of it: %s", environment, error)
        return None


def _chosen(
    manifest: Path, project_dir: Path, select: tuple[str, ...], exclude: tuple[str, ...]
) -> frozenset[str] | None:
    """Return the unique ids that Cosmos selects of a manifest, None for all."""
    if not select and not exclude:
        return None
    from cosmos import ExecutionConfig, LoadMode, ProjectConfig, RenderConfig  # noqa: PLC0415 - a third of a second
    from cosmos.dbt.graph import DbtGraph  # noqa: PLC0415 - as late

    graph = DbtGraph(
        project=ProjectConfig(manifest_path=manifest, project_name="promoted"),
        render_config=RenderConfig(select=list(select), exclude=list(exclude), load_method=LoadMode.DBT_MANIFEST),
        execution_config=ExecutionConfig(dbt_project_path=project_dir),
    )
    graph.load(method=LoadMode.DBT_MANIFEST)
    return frozenset(graph.filtered_nodes)
