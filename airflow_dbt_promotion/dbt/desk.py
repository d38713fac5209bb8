"""A desk: where operations of ours are carried out by dbt, beside a parse of the project whose macros they use."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject, DbtRunner

_MANIFEST = "operation.msgpack"


class Desk(Struct, frozen=True, kw_only=True):
    """A parse of a project, and how dbt is run beside it for `target`.

    `folder` is there for as long as the desk is; `project` writes below it.
    """

    runner: DbtRunner
    project: DbtProject
    folder: Path
    parse: bytes
    target: str

    def lay(self, parse: bytes) -> Path:
        """Put a parse into the folder, in place of the last, and return where it lies."""
        manifest = self.folder / _MANIFEST
        manifest.write_bytes(parse)
        return manifest

    def operate(self, parse: bytes, invocation: DbtInvocation) -> DbtOutcome:
        """Run an operation on a parse of its own; raises as `DbtRunner.invoke` does."""
        return self.runner.invoke(self.project, replace(invocation, manifest=self.lay(parse)), None)
