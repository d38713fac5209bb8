"""Folders: where dbt's artifacts of our own runs lie, and the parse of the project at hand for each environment."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtOutcome, DbtProject, DbtRunner

WORK_FOLDER = "promotion_runs"
"""Where dbt's artifacts of our own runs lie, below the project's target folder: one folder for each environment."""

PARSED = "partial_parse.msgpack"


class Folders:
    """The target folders of one project: one for each environment, and one for each part that is built by itself."""

    def __init__(self, project: DbtProject, runner: DbtRunner, targets: Mapping[str, str]) -> None:
        """Take the project, how dbt is run, and the dbt targets that have not the name of their environment."""
        self._project, self._runner, self._targets = project, runner, dict(targets)

    @contextmanager
    def parsed(self, environment: Environment, *, dry: bool) -> Iterator[DbtProject]:
        """Yield the project at hand with the target folder that holds its parse, made now."""
        with self.folder(environment, dry=dry) as project:
            target = self.target(environment)
            self.invoke(project, DbtInvocation(command=DbtCommand.PARSE, target=target, vars=environment.vars))
            yield project

    def invoke(self, project: DbtProject, invocation: DbtInvocation) -> DbtOutcome:
        """Run a command that executes no node; anything but success is an error."""
        return done(self._runner.invoke(project, invocation, None), str(project.project_dir), invocation.command)

    def target(self, environment: Environment) -> str:
        """Return the dbt target of an environment."""
        return self._targets.get(environment.name, environment.target)

    def kept(self, environment: Environment, part: str | None = None) -> DbtProject:
        """Return the project with the environment's own target folder, or that of a part that is built by itself."""
        folder = self._project.target_path / WORK_FOLDER / environment.name
        return replace(self._project, target_path=folder if part is None else folder / f"part-{part}")

    @contextmanager
    def folder(self, environment: Environment, *, dry: bool) -> Iterator[DbtProject]:
        """Yield the project with a target folder: the environment's own, or a temporary one."""
        kept = self.kept(environment)
        if not dry:
            yield kept
            return
        with tempfile.TemporaryDirectory(prefix="dbt-promote-") as folder:
            yield replace(kept, target_path=Path(folder))


def done(outcome: DbtOutcome, where: str, command: DbtCommand = DbtCommand.LS) -> DbtOutcome:
    """Return the outcome of a command that executes no node; anything but success is an error."""
    if not outcome.success:
        raise DbtError(f"`dbt {command.value}` failed in {where}", outcome.messages)
    return outcome
