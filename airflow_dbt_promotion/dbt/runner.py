"""Run dbt inside this process. The only module that imports dbt, and only while it runs it."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import TYPE_CHECKING, Any

from airflow_dbt_promotion.core.errors import ConfigError, DbtError
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject, absolute, arguments
from airflow_dbt_promotion.dbt.listener import Listener, NodeEvent, stamp
from airflow_dbt_promotion.dbt.supported import check_supported

if TYPE_CHECKING:
    from pathlib import Path

    from dbt_common.events.base_types import EventMsg

    from airflow_dbt_promotion.core.orders import OnProgress

_ONE_AT_A_TIME = threading.Lock()
_SUCCESS, _NODE_FAILED, _GAVE_UP = 0, 1, 2


class InProcessRunner:
    """Runs the dbt that is installed beside this package.

    dbt keeps flags, adapters and the event manager in module globals, so a second run waits for the first. The working
    folder is the project (or what it names) while dbt runs, as for somebody who types `dbt build` there.
    """

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: OnProgress | None = None) -> DbtOutcome:
        """Run one command to its end; see DbtRunner for the promises."""
        listener, project = Listener(on_event), absolute(project)
        check_supported(_versions(), "the environment of this package")
        with _ONE_AT_A_TIME, _surroundings(project):
            before = stamp(project, invocation)
            try:
                said = arguments(project, invocation, log_level="none", log_format="default")
                exit_code = _run(said, listener, invocation.manifest)
            finally:
                _let_go()
            return listener.conclude(project, invocation, exit_code, before)

    def versions(self) -> str | None:
        """Return the versions of dbt and its adapters; see DbtRunner."""
        return _versions() or None

    def defaults(self, command: str) -> Mapping[str, object]:
        """Return the defaults of a command's arguments; see DbtRunner."""
        from dbt.cli.main import cli  # noqa: PLC0415 - costs two seconds

        found = cli.commands.get(command)
        return {one.name: one.default for one in (*cli.params, *(found.params if found else ())) if one.name}


@functools.cache
def _versions() -> str:
    """Return what is installed of dbt; asked once, since every package that is installed has to be looked at."""
    found = {(one.metadata["Name"] or "", one.version) for one in metadata.distributions()}
    return " ".join(sorted(f"{name}=={version}" for name, version in found if name.lower().startswith("dbt")))


def _run(said: list[str], listener: Listener, manifest: Path | None) -> int:
    """Run dbt and return the exit code that its command line would have had."""
    try:
        from dbt.cli.main import dbtRunner  # noqa: PLC0415 - costs two seconds
    except ModuleNotFoundError as error:
        advice = "install dbt-core and an adapter, or name a dbt_executable_path"
        raise ConfigError("dbt", f"dbt is not installed beside this package; {advice}") from error

    def hear(event: EventMsg) -> None:
        info: Any = event.info
        listener.hear(name=info.name, level=info.level, message=info.msg, node=_node(event.data))

    handed = _handed(manifest) if manifest is not None else None
    result = dbtRunner(manifest=handed, callbacks=[hear]).invoke(said)
    ended_by = result.exception
    if ended_by is None:
        return _SUCCESS if result.success else _NODE_FAILED
    if not isinstance(ended_by, Exception):
        raise ended_by  # an interrupt, a task that was told to end: dbt catches these, too
    listener.give_up(str(ended_by))
    return _GAVE_UP


def _handed(path: Path) -> Any:  # noqa: ANN401 - dbt's own Manifest
    """Return a kept parse as dbt itself reads it, with what macros see as `graph`."""
    from dbt.contracts.graph.manifest import Manifest  # noqa: PLC0415
    from dbt.parser import manifest as parser  # noqa: PLC0415

    try:
        # The name is misspelt in dbt.
        manifest = Manifest.from_msgpack(path.read_bytes(), decoder=parser.extended_mashumuro_decoder)
        manifest.build_flat_graph()
    except Exception as error:
        raise DbtError("dbt cannot read the parse that it was handed", [f"{type(error).__name__}: {error}"]) from error
    return manifest


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
    """Stand where dbt has to, with its environment and with standard output turned to standard error, until the end."""
    before = {name: os.environ.get(name) for name in project.env}
    with contextlib.redirect_stdout(sys.stderr), contextlib.chdir(project.stands_in):
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
