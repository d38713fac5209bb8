"""Hear what dbt says while it works, and judge how it ended."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import suppress

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.errors import DbtError, DbtProjectError
from airflow_dbt_promotion.core.orders import OnProgress, Progress
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtOutcome, DbtProject

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_MESSAGES_KEPT = 200
_USAGE = 2


class NodeEvent(Struct, frozen=True, kw_only=True):
    """The part of a dbt event that tells of one node; dbt calls the total `num_models` for tests."""

    unique_id: str
    status: str
    index: int = 0
    total: int = 0


class _Listed(Struct, frozen=True):
    unique_id: str


class Stamp(Struct, frozen=True):
    """What tells a file that dbt has just written from one that lay there before."""

    inode: int
    modified: int
    size: int


def stamp(project: DbtProject, invocation: DbtInvocation) -> Stamp | None:
    """Return the stamp of the run_results.json that is there; None where there is none or the command writes none."""
    if not DbtCommand(invocation.command).writes_results:
        return None
    try:
        found = (project.target_path / "run_results.json").stat()
    except FileNotFoundError:
        return None
    return Stamp(found.st_ino, found.st_mtime_ns, found.st_size)


class Listener:
    """Collects one invocation's events, from any thread.

    An exception of the caller's `on_event` is kept until dbt has ended: raised inside one of dbt's threads it would
    pass for a failure of the node, or hang the run.
    """

    def __init__(self, on_event: OnProgress | None) -> None:
        """Take whom to tell of progress."""
        self._on_event = on_event
        self._lock = threading.Lock()
        self._messages: list[str] = []
        self._printed: list[str] = []
        self._parsed = False
        self._raised: BaseException | None = None

    @property
    def heard_errors(self) -> bool:
        """Whether dbt has said of any error."""
        return bool(self._messages)

    def hear(self, *, name: str, level: str, message: str, node: NodeEvent | None) -> None:
        """Take one event: its name and level as dbt has them, its text, and the node where it is about one."""
        if name == "FoundStats":
            self._parsed = True
        if level == "error" and name != "MainStackTrace":  # the trace is in dbt.log
            self.complain(message)
        elif name == "PrintEvent":
            self._printed.append(message)
        if node is not None:
            self._tell(node)

    def complain(self, message: str) -> None:
        """Keep one error in dbt's words."""
        text = _COLOURS.sub("", message).strip()
        if text and len(self._messages) < _MESSAGES_KEPT:
            self._messages.append(text)

    def give_up(self, message: str) -> None:
        """Keep the error that ended dbt, unless dbt said it in an event already."""
        text = _COLOURS.sub("", message).strip()
        if not any(text in said for said in self._messages):
            self.complain(text)

    def conclude(
        self, project: DbtProject, invocation: DbtInvocation, exit_code: int, before: Stamp | None
    ) -> DbtOutcome:
        """Return the outcome of an invocation that ended, or raise what its exit code means.

        dbt ends with 0, with 1 where a node failed, and with 2 where it could not go on: the project's or the profile's
        fault as long as it had not read the whole project, the warehouse's or its own afterwards.
        """
        if self._raised is not None:
            raise self._raised
        command, words = DbtCommand(invocation.command), tuple(self._messages)
        if exit_code == _USAGE and not self._parsed:
            raise DbtProjectError(str(project.project_dir), words)
        if exit_code not in {0, 1}:
            how = f"was ended by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
            raise DbtError(f"`dbt {command.value}` {how}", words)
        if command.writes_results and stamp(project, invocation) in {None, before}:
            path = project.target_path / "run_results.json"
            raise DbtError(f"`dbt {command.value}` ended with exit code {exit_code} and did not write {path}", words)
        if command is DbtCommand.PARSE and exit_code:
            raise DbtProjectError(str(project.project_dir), words)
        return DbtOutcome(
            success=exit_code == 0,
            exit_code=exit_code,
            target_path=project.target_path,
            messages=words,
            listed=tuple(self._listed()) if command is DbtCommand.LS else (),
            printed=tuple(self._printed) if command is DbtCommand.RUN_OPERATION else (),
        )

    def _listed(self) -> Iterator[str]:
        for message in self._printed:
            with suppress(msgspec.DecodeError):  # a macro of the project printed something
                yield msgspec.json.decode(message, type=_Listed).unique_id

    def _tell(self, node: NodeEvent) -> None:
        with self._lock:
            if self._on_event is None or self._raised is not None:
                return
            try:
                self._on_event(Progress(node=node.unique_id, status=node.status, index=node.index, total=node.total))
            except BaseException as error:  # noqa: BLE001 - raised again in conclude()
                self._raised = error
