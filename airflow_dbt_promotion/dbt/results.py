"""run_results.json: one invocation, and whether it can prove anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import msgspec
import yaml

from airflow_dbt_promotion.core.errors import ArtifactError, RunRefusedError
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.dbt.artifact_file import Kind, check_schema, decode, read_bytes
from airflow_dbt_promotion.dbt.manifest import utc

FILE = "run_results.json"

_KIND = Kind("run-results", floor=4, since="1.6")
_COMMANDS = frozenset({"build", "run", "seed", "snapshot", "test"})
"""What may prove something. `dbt retry` writes the command that it repeats, with that command's arguments (seen)."""

_BUILT = frozenset({"model", "seed", "snapshot", "function"})
_TESTED = frozenset({"test", "unit_test"})
_BUILD_STATUS = {
    "success": ResultStatus.SUCCESS,
    "error": ResultStatus.FAILED,
    "fail": ResultStatus.FAILED,
    "runtime error": ResultStatus.FAILED,
    "partial success": ResultStatus.FAILED,
    "skipped": ResultStatus.SKIPPED,
}
_TEST_STATUS = {
    "pass": ResultStatus.PASS,
    "warn": ResultStatus.WARN,
    "fail": ResultStatus.FAIL,
    "error": ResultStatus.ERROR,
    "runtime error": ResultStatus.ERROR,
    "skipped": ResultStatus.SKIPPED,
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_MESSAGE = 500
"""Characters of dbt's message that are kept."""


class _Timing(msgspec.Struct, gc=False):
    """When one phase of a node began and ended."""

    name: str
    started_at: datetime | None = None
    completed_at: datetime | None = None


class _Batches(msgspec.Struct, gc=False):
    """Which batches of a microbatch model were built."""

    successful: tuple[tuple[datetime, datetime], ...] = ()


class _Result(msgspec.Struct, gc=False):
    """How one node ended."""

    unique_id: str
    status: str
    timing: tuple[_Timing, ...] = ()
    message: str | int | float | None = None
    relation_name: str | None = None
    batch_results: _Batches | None = None


class _Metadata(msgspec.Struct, gc=False):
    """What the file says of itself."""

    dbt_schema_version: str
    generated_at: datetime
    invocation_id: str | None = None
    dbt_version: str = ""
    invocation_started_at: datetime | None = None


class _RunResults(msgspec.Struct):
    """The part of run_results.json that is read."""

    metadata: _Metadata
    results: tuple[_Result, ...]
    args: dict[str, object] = {}


_decoder = msgspec.json.Decoder(_RunResults)


def read_run(target_path: Path) -> Run:
    """Return the run that a target folder's run_results.json tells of.

    Raises MissingArtifactError, ArtifactError or UnsupportedSchemaError; RunRefusedError where the run proves nothing.
    """
    path = target_path / FILE
    data = read_bytes(path, "run `dbt build` (or run, seed, snapshot, test) with this target path first")
    found = decode(path, _KIND, data, _decoder)
    check_schema(path, _KIND, found.metadata.dbt_schema_version, found.metadata.dbt_version)
    command = _command(path, found.args)
    if not found.metadata.invocation_id:
        raise ArtifactError(str(path), "names no invocation (metadata.invocation_id); run dbt again")
    results = tuple(_node_result(result) for result in found.results)
    finished = _instant(found.metadata.generated_at)
    begun = [result.started_at for result in results if result.started_at is not None]
    started = utc(found.metadata.invocation_started_at)
    return Run(
        invocation_id=found.metadata.invocation_id,
        command=command,
        where=str(path),
        started_at=min([*begun, finished] if started is None else [started]),
        finished_at=finished,
        results=results,
        target=_text(found.args.get("target")),
        vars=_vars(path, found.args.get("vars")),
        arguments=found.args,
        full_refresh=bool(found.args.get("full_refresh")),
        dbt_version=found.metadata.dbt_version,
    )


def _command(path: Path, args: Mapping[str, object]) -> str:
    """Return the command; raise RunRefusedError where it proves nothing."""
    command = _text(args.get("which"))
    if command not in _COMMANDS:
        named = f"`dbt {command}`" if command else "a command that it does not name"
        raise RunRefusedError(
            str(path), f"it was written by {named}; only {', '.join(sorted(_COMMANDS))} prove something"
        )
    if "__other__" in args:
        raise RunRefusedError(
            str(path), "it was written by dbt 2, which does not say with which target and vars it ran; run dbt 1.x"
        )
    return command


def _text(value: object) -> str | None:
    """Return an argument that is a text, None where it is empty or anything else."""
    return value if isinstance(value, str) and value else None


def _node_result(result: _Result) -> NodeResult:
    """Return one node's result in our words."""
    (began, ended), batches = _times(result.timing), result.batch_results
    return NodeResult(
        id=result.unique_id,
        status=_status(result.unique_id, result.status),
        started_at=began,
        completed_at=ended,
        message=_COLOUR.sub("", "" if result.message is None else str(result.message)).strip()[:_MESSAGE],
        relation=result.relation_name,
        slices=tuple((_instant(begin), _instant(end)) for begin, end in batches.successful) if batches else (),
    )


def _status(unique_id: str, status: str) -> ResultStatus:
    """Return what a status means for this kind of node; OTHER for whatever proves nothing."""
    kind = unique_id.partition(".")[0]
    if kind in _BUILT:
        return _BUILD_STATUS.get(status.lower(), ResultStatus.OTHER)
    if kind in _TESTED:
        return _TEST_STATUS.get(status.lower(), ResultStatus.OTHER)
    return ResultStatus.OTHER


def _times(timing: tuple[_Timing, ...]) -> tuple[datetime | None, datetime | None]:
    """Return when execution began and ended; of compilation, where dbt got no further."""
    phases = {phase.name: phase for phase in timing}
    phase = phases.get("execute") or phases.get("compile")
    return (utc(phase.started_at), utc(phase.completed_at)) if phase else (None, None)


def _instant(instant: datetime) -> datetime:
    """Return an instant that is there in UTC."""
    converted = utc(instant)
    assert converted is not None  # noqa: S101 - for the type checker: utc() answers None only to None
    return converted


def _vars(path: Path, given: object) -> dict[str, object]:
    """Return the vars of the command line; older releases of dbt keep them as the YAML text that was typed."""
    if isinstance(given, str):
        try:
            given = yaml.safe_load(given)
        except yaml.YAMLError as error:
            raise ArtifactError(str(path), f"args.vars is no YAML: {error}") from error
    return {str(name): value for name, value in given.items()} if isinstance(given, dict) else {}
