"""One dbt invocation, as its run_results.json tells of it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum

from msgspec import Struct


class ResultStatus(Enum):
    """How dbt says that a node ended, over all kinds of nodes.

    SUCCESS: built. FAILED: a build that dbt tried and that broke. PASS, WARN, FAIL, ERROR: of tests. SKIPPED: never
    tried. OTHER: proves nothing (`no-op`, `reused`, whatever a later dbt adds).
    """

    SUCCESS = "success"
    FAILED = "failed"
    PASS = "pass"  # noqa: S105 - not a password
    WARN = "warn"
    FAIL = "fail"
    ERROR = "error"
    SKIPPED = "skipped"
    OTHER = "other"


class NodeResult(Struct, frozen=True, kw_only=True, gc=False):
    """The result of one node. Times are UTC, None where dbt did not get as far; `message` is dbt's own, shortened.

    `slices` are the batches of a microbatch model that were built, each from one instant to another.
    """

    id: str
    status: ResultStatus
    started_at: datetime | None = None
    completed_at: datetime | None = None
    message: str = ""
    relation: str | None = None
    slices: tuple[tuple[datetime, datetime], ...] = ()


class Run(Struct, frozen=True, kw_only=True):
    """One invocation that builds or tests. `target` is None where the arguments name none; `vars` are those of the
    command line, `arguments` all that dbt says of how it was called, by name.
    """

    invocation_id: str
    command: str
    where: str
    started_at: datetime
    finished_at: datetime
    results: tuple[NodeResult, ...]
    target: str | None = None
    vars: Mapping[str, object] = {}
    arguments: Mapping[str, object] = {}
    full_refresh: bool = False
    dbt_version: str = ""
