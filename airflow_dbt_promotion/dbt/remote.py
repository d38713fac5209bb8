"""Run dbt as a process of its own: another environment's dbt, or another Python's."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.errors import ConfigError, DbtError
from airflow_dbt_promotion.dbt import handing
from airflow_dbt_promotion.dbt.interpreter import interpreter_of, is_interpreter, versions_in
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject, absolute, arguments
from airflow_dbt_promotion.dbt.listener import Listener, NodeEvent, stamp
from airflow_dbt_promotion.dbt.supported import check_supported, is_program, version_said
from airflow_dbt_promotion.processes import owned

if TYPE_CHECKING:
    from types import FrameType

    from airflow_dbt_promotion.core.orders import OnProgress

_FROM_PYTHON = "from dbt.cli.main import cli; cli(prog_name='dbt')"
_GRACE_SECONDS = 10.0
_PLAIN_LINES_KEPT = 20
_USAGE_EXIT = 2
_WHERE = "dbt_executable_path"


class _Info(Struct, frozen=True):
    name: str
    level: str
    msg: str = ""


class _Line(Struct, frozen=True):
    info: _Info
    data: msgspec.Raw


class _NodeInfo(Struct, frozen=True):
    unique_id: str
    node_status: str


class _NodeData(Struct, frozen=True):
    node_info: _NodeInfo
    index: int
    total: int = 0
    num_models: int = 0


_LINES = msgspec.json.Decoder(_Line)
_NODES = msgspec.json.Decoder(_NodeData)


class SubprocessRunner:
    """Runs a dbt executable, or the dbt of a Python interpreter (a name that begins with `python` or `pypy`).

    dbt gets a process group of its own, which is ended with whatever ends the call: an exception, Ctrl-C, SIGTERM.
    """

    def __init__(self, executable: Path) -> None:
        """Take the executable: a path, or a bare name to be found on PATH."""
        self._executable = executable
        self._versions: str | None = None
        self._is_supported = False

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: OnProgress | None = None) -> DbtOutcome:
        """Run one command to its end; see DbtRunner for the promises."""
        listener, project = Listener(on_event), absolute(project)
        self._check_supported()
        command = [*self._begin(invocation), *arguments(project, invocation, log_level="info", log_format="json")]
        before = stamp(project, invocation)
        plain: list[str] = []
        with _termination_raises(), self._started(command, project) as process:
            spoken = _listen(process, listener, plain)
            exit_code = process.wait()
        if invocation.manifest is not None and exit_code == handing.UNREADABLE:
            raise DbtError(f"{self._executable} cannot read the parse that it was handed", plain[-3:])
        if exit_code and not listener.heard_errors:
            for line in plain:
                listener.complain(line)
        if not spoken and not _is_usage(exit_code, plain):
            said = " | ".join(plain[-3:]) or "nothing"
            raise ConfigError(_WHERE, f"{self._executable} is not dbt: it ended with {exit_code} and said: {said}")
        return listener.conclude(project, invocation, exit_code, before)

    def versions(self) -> str | None:
        """Return the versions of dbt and its adapters; see DbtRunner. The interpreter is asked once."""
        if self._versions is None:
            python = interpreter_of(self._found())
            self._versions = versions_in(python) if python is not None else None
        return self._versions

    def defaults(self, command: str) -> Mapping[str, object]:  # noqa: ARG002 - the protocol's
        """Return nothing: another environment's dbt is not asked."""
        return {}

    def _check_supported(self) -> None:
        """Raise UnsupportedDbtError for a dbt that cannot be run; asked once."""
        if self._is_supported:
            return
        found = self._found()
        check_supported(version_said(found) if is_program(found) else self.versions(), str(self._executable))
        self._is_supported = True

    def _begin(self, invocation: DbtInvocation) -> list[str]:
        """Return how the command line begins."""
        found = self._found()
        if invocation.manifest is not None:
            python = interpreter_of(found)
            if python is None:
                raise ConfigError(
                    _WHERE,
                    f"{self._executable} does not say which Python it runs in, and only that can run code that was "
                    f"kept; name that Python instead",
                )
            return [str(python), handing.__file__, str(invocation.manifest.absolute())]
        return [str(found), "-c", _FROM_PYTHON] if is_interpreter(found) else [str(found)]

    def _found(self) -> Path:
        """Return the executable's path. Raises ConfigError where it is not there."""
        found = shutil.which(self._executable)
        if found is None:
            raise ConfigError(
                _WHERE,
                f"{self._executable} is not there or cannot be executed; name a dbt, or a Python that has dbt",
            )
        return Path(os.path.abspath(found))  # noqa: PTH100 - a virtualenv's python is a link that must not be resolved

    @contextlib.contextmanager
    def _started(self, command: list[str], project: DbtProject) -> Iterator[subprocess.Popen[bytes]]:
        """Start dbt, and see to it that its process group is gone at the end."""
        try:
            process = subprocess.Popen(  # noqa: S603 - a list, no shell; the executable is configuration
                command,
                cwd=project.stands_in,
                env={**os.environ, **project.env, **owned(), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        except OSError as error:
            raise _unstartable(command[0], error) from error
        try:
            yield process
        except BaseException:
            _end_group(process)
            raise
        finally:
            if process.stdout is not None:
                process.stdout.close()


def _unstartable(executable: str, error: OSError) -> ConfigError | DbtError:
    if isinstance(error, FileNotFoundError | PermissionError) or error.strerror == "Exec format error":
        return ConfigError(_WHERE, f"{executable} cannot be started: {error.strerror}")
    return DbtError(f"{executable} could not be started: {error.strerror}")


def _listen(process: subprocess.Popen[bytes], listener: Listener, plain: list[str]) -> bool:
    """Hear every line until dbt closes its output; keep the last lines that are no events.

    Return whether any event came.
    """
    spoken = False
    for raw in process.stdout or ():
        try:
            line = _LINES.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError):
            plain.append(raw.decode(errors="replace").rstrip())
            del plain[:-_PLAIN_LINES_KEPT]
            continue
        spoken = True
        listener.hear(name=line.info.name, level=line.info.level, message=line.info.msg, node=_node(line.data))
    return spoken


def _node(data: msgspec.Raw) -> NodeEvent | None:
    """Return what the event tells of a node; those that count nodes are the ones that start or end one."""
    try:
        told = _NODES.decode(data)
    except msgspec.DecodeError:
        return None
    node = told.node_info
    return NodeEvent(
        unique_id=node.unique_id, status=node.node_status, index=told.index, total=told.total or told.num_models
    )


def _is_usage(exit_code: int, plain: list[str]) -> bool:
    """Whether dbt did not know an option of ours, of which it complains before its first event."""
    return exit_code == _USAGE_EXIT and any(line.startswith("Usage: ") and "[OPTIONS]" in line for line in plain)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Ask dbt's process group to end, and kill what is left of it after a grace period."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)


@contextlib.contextmanager
def _termination_raises() -> Iterator[None]:
    """Make a SIGTERM that would end this process on the spot an exception, so that dbt does not outlive us.

    Where somebody handles SIGTERM already (Airflow does), or in another thread than the main one, all stays as it is.
    """
    default = (
        threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    )
    if default:
        signal.signal(signal.SIGTERM, _terminate)
    try:
        yield
    finally:
        if default:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
