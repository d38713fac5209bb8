"""What is asked of dbt, and what came of it: the same for every way of running it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from msgspec import Struct, field, structs

from airflow_dbt_promotion.core.errors import ConfigError, EmptySelectionError
from airflow_dbt_promotion.core.orders import OnProgress


class DbtCommand(StrEnum):
    """The commands of dbt that we run."""

    BUILD = "build"
    RUN = "run"
    TEST = "test"
    SEED = "seed"
    SNAPSHOT = "snapshot"
    COMPILE = "compile"
    PARSE = "parse"
    LS = "ls"
    RUN_OPERATION = "run-operation"

    @property
    def writes_results(self) -> bool:
        """Whether dbt leaves a run_results.json after it."""
        return self not in {DbtCommand.PARSE, DbtCommand.LS, DbtCommand.RUN_OPERATION}


class IndirectSelection(StrEnum):
    """Which tests come along with the models that are selected; `empty`: none but those selected themselves."""

    EAGER = "eager"
    CAUTIOUS = "cautious"
    BUILDABLE = "buildable"
    EMPTY = "empty"


class Operation(Struct, frozen=True, kw_only=True):
    """A macro that is run by itself, with its arguments."""

    name: str
    arguments: Mapping[str, object]


class DbtInvocation(Struct, frozen=True, kw_only=True):
    """One command for one target.

    `select` None means all that there is; `select` and `exclude` hold exact selectors (see `selection.selectors_for`),
    or what somebody typed, split at spaces. A unit test runs with `build` only beside its model; alone it needs `test`.
    `vars` go to dbt as JSON. `manifest` is a kept parse (partial_parse.msgpack) that dbt takes as it is, instead of
    parsing the project folder. `operation` is what `run-operation` runs.
    """

    command: DbtCommand
    target: str | None = None
    select: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    indirect_selection: IndirectSelection | None = None
    full_refresh: bool = False
    vars: Mapping[str, object] = field(default_factory=dict)
    threads: int | None = None
    manifest: Path | None = None
    operation: Operation | None = None

    def __post_init__(self) -> None:
        """Raise EmptySelectionError where nothing is selected, which dbt would take for everything."""
        if self.select == ():
            raise EmptySelectionError("select")


class DbtProject(Struct, frozen=True, kw_only=True):
    """Where dbt reads, and where it writes.

    `target_path` is the folder of one target alone: dbt parses all anew where two share one. dbt's log goes there, too.
    `profiles_dir` None leaves the search to dbt (the working folder, then ~/.dbt). `env` is added to the environment
    for the run. `working_dir` is where dbt stands, the project folder where it is None: profiles hold relative paths.
    """

    project_dir: Path
    target_path: Path
    profiles_dir: Path | None = None
    profile: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: Path | None = None

    @property
    def stands_in(self) -> Path:
        """The folder in which dbt stands while it runs."""
        return self.working_dir or self.project_dir


class DbtOutcome(Struct, frozen=True, kw_only=True):
    """What came of a command that dbt carried out.

    `success` is False where a node failed (`exit_code` 1); what could not even begin is an error, not an outcome.
    `messages` are the errors in dbt's words, without colours. `listed` holds the unique ids that `ls` found,
    `printed` what an operation printed.
    manifest.json, run_results.json and partial_parse.msgpack lie in `target_path`.
    """

    success: bool
    exit_code: int
    target_path: Path
    messages: tuple[str, ...] = ()
    listed: tuple[str, ...] = ()
    printed: tuple[str, ...] = ()


class DbtRunner(Protocol):
    """Runs dbt, one way or another."""

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: OnProgress | None = None) -> DbtOutcome:
        """Run one command to its end.

        Nothing of dbt's reaches standard output. No connection and no process of dbt's is left behind, also where an
        exception ends the call. `on_event` may be called from another thread; what it raises is raised here once dbt
        has ended.

        Raises DbtProjectError where dbt refuses project, profile or target, ConfigError where there is no such dbt, and
        DbtError where it broke down, cannot read the parse that it is handed, or ended without its artifacts.
        """

    def versions(self) -> str | None:
        """Return the versions of dbt and its adapters in one line, None where they cannot be told; starts no dbt."""

    def defaults(self, command: str) -> Mapping[str, object]:
        """Return the defaults of a command's arguments, empty where they cannot be told."""


def arguments(project: DbtProject, invocation: DbtInvocation, *, log_level: str, log_format: str) -> list[str]:
    """Return dbt's arguments, one list element each; no shell ever sees them.

    What a project's `flags:` or DBT_* variables could change about where and how dbt speaks and writes is said
    outright.
    """
    command = DbtCommand(invocation.command)
    target_path = str(project.target_path)
    said = ["--log-level", log_level, "--log-format", log_format, "--log-path", target_path]
    said += ["--log-level-file", "debug", "--no-quiet", "--no-use-colors", "--no-use-colors-file"]
    said += ["--no-send-anonymous-usage-stats", "--write-json"]
    said += [command.value, "--project-dir", str(project.project_dir), "--target-path", target_path]
    for option, value in (
        ("--profiles-dir", project.profiles_dir),
        ("--profile", project.profile),
        ("--target", invocation.target),
        ("--threads", invocation.threads),
        ("--indirect-selection", invocation.indirect_selection),
    ):
        if value is not None:
            said += [option, str(value)]
    if invocation.vars:
        said += ["--vars", json.dumps(dict(invocation.vars), ensure_ascii=False)]
    if invocation.operation is not None:
        said += [invocation.operation.name, "--args", json.dumps(dict(invocation.operation.arguments))]
    if invocation.full_refresh:
        said.append("--full-refresh")
    said += _reading(command, invocation)
    if invocation.select is not None:
        said += ["--select", *invocation.select]
    if invocation.exclude:
        said += ["--exclude", *invocation.exclude]
    return said


def _reading(command: DbtCommand, invocation: DbtInvocation) -> list[str]:
    """Return the arguments of commands that read the project and execute nothing.

    dbt's partial parsing goes by times, and by digests that leave out white space. What we parse is parsed whole.
    """
    said = ["--output", "json", "--output-keys", "unique_id"] if command is DbtCommand.LS else []
    if command in {DbtCommand.PARSE, DbtCommand.LS} and invocation.manifest is None:
        said.append("--no-partial-parse")
    return said


def absolute(project: DbtProject) -> DbtProject:
    """Return the project with paths that hold from any working folder; relative ones begin at the present one.

    Raises ConfigError where the project folder is not there.
    """
    if not project.project_dir.is_dir():
        raise ConfigError(
            str(project.project_dir), "there is no such folder; name the folder that holds dbt_project.yml"
        )
    return structs.replace(
        project,
        project_dir=project.project_dir.absolute(),
        target_path=project.target_path.absolute(),
        profiles_dir=project.profiles_dir and project.profiles_dir.absolute(),
        working_dir=project.working_dir and project.working_dir.absolute(),
    )
