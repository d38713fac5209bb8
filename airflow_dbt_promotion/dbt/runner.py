"""Run dbt inside this process. The only module that imports dbt, and only while it runs it."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject, absolute, arguments
from airflow_dbt_promotion.dbt.listener import Listener, NodeEvent, stamp

if TYPE_CHECKING:
    from dbt_common.events.base_types import EventMsg

    from airflow_dbt_promotion.core.ports import OnProgress

_ONE_AT_A_TIME = threading.Lock()
_SUCCESS, _NODE_FAILED, _GAVE_UP = 0, 1, 2


class InProcessRunner:
    """Runs the dbt that is installed beside this package.

    dbt keeps flags, adapters and the event manager in module globals, so a second run waits for the first. The working
    folder is the project while dbt runs, as for somebody who types `dbt build` there: profiles hold relative paths.
    """

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: OnProgress | None = None) -> DbtOutcome:
        """Run one command to its end; see DbtRunner for the promises."""
        listener, project = Listener(on_event), absolute(project)
        with _ONE_AT_A_TIME, _surroundings(project):
            before = stamp(project, invocation)
            try:
                exit_code = _run(arguments(project, invocation, log_level="none", log_format="default"), listener)
            finally:
                _let_go()
            return listener.conclude(project, invocation, exit_code, before)


def _run(said: list[str], listener: Listener) -> int:
    """Run dbt and return the exit code that its command line would have had."""
    try:
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - costs two seconds
    except ModuleNotFoundError as error:
        advice = "install dbt-core and an adapter, or name a dbt_executable_path"
        raise ConfigError("dbt", f"dbt is not installed beside this package; {advice}") from error

    def hear(event: EventMsg) -> None:
        info: Any = event.info
        listener.hear(name=info.name, level=info.level, message=info.msg, node=_node(event.data))

    result = dbtRunner(callbacks=[hear]).invoke(said)
    ended_by = result.exception
    if ended_by is None:
        return _SUCCESS if result.success else _NODE_FAILED
    if not isinstance(ended_by, Exception):
        raise ended_by  # an interrupt, a task that was told to end: dbt catches these, too
    listener.give_up(str(ended_by))
    return _GAVE_UP


def _node(data: Any) -> NodeEvent | None:  # noqa: ANN401 - a protobuf message
    """Return what the event tells of a node; those that count nodes are the ones that start or end one."""
    if not hasattr(data, "index") or not hasattr(data, "node_info"):
        return None
    total = getattr(data, "total", 0) or getattr(data, "num_models", 0)
    return NodeEvent(
        unique_id=data.node_info.unique_id, status=data.node_info.node_status, index=data.index, total=total
    )


@contextlib.contextmanager
def _surroundings(project: DbtProject) -> Iterator[None]:
    """Stand in the project, with its environment and with standard output turned to standard error, until the end."""
    before = {name: os.environ.get(name) for name in project.env}
    with contextlib.redirect_stdout(sys.stderr), contextlib.chdir(project.project_dir):
        os.environ.update(project.env)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _let_go() -> None:
    """Close what dbt keeps for a next run: its adapters and, for DuckDB, the database itself with its file lock."""
    factory = sys.modules.get("dbt.adapters.factory")
    if factory is not None:
        factory.reset_adapters()
    duckdb = sys.modules.get("dbt.adapters.duckdb.connections")
    if duckdb is not None:
        manager = duckdb.DuckDBConnectionManager
        kept = getattr(manager, "_ENV", None)
        if kept is not None and hasattr(kept, "close"):
            kept.close()
        manager.close_all_connections()
