"""Projects that dbt has parsed twice, before and after an edit, kept in a folder since dbt takes minutes for it."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

import msgspec

from benchmarks.measure import spent
from benchmarks.project import FORMAT, edit, write_project
from benchmarks.theirs import dbt

_SHARE = 100
"""One model in so many is edited."""


class Prepared(msgspec.Struct, frozen=True, kw_only=True):
    """One project on disk, parsed before and after an edit, and what dbt's two parses cost in CPU seconds."""

    size: int
    folder: str
    edited: tuple[str, ...]
    first_parse: float
    second_parse: float

    @property
    def project(self) -> Path:
        """The sources, as edited."""
        return Path(self.folder, "project")

    @property
    def before(self) -> Path:
        """The target folder of the first parse."""
        return Path(self.folder, "before")

    @property
    def after(self) -> Path:
        """The target folder of the parse after the edit."""
        return Path(self.folder, "after")


def prepared(root: Path, size: int) -> Prepared:
    """Return the project of a size, from the cache where the same generator and dbt made it."""
    folder = root.absolute() / f"{size}-{FORMAT}-{version('dbt-core')}-{version('dbt-duckdb')}"
    told = folder / "prepared.json"
    if not told.is_file():
        shutil.rmtree(folder, ignore_errors=True)
        told.parent.mkdir(parents=True)
        told.write_bytes(msgspec.json.encode(_made(folder, size)))
    return msgspec.json.decode(told.read_bytes(), type=Prepared)


def _made(folder: Path, size: int) -> Prepared:
    """Write a project, parse it, edit it, parse it again from what dbt kept of the first parse."""
    project, before, after = folder / "project", folder / "before", folder / "after"
    layered = write_project(project, size, folder / "warehouse.duckdb")
    first = _parse(project, before)
    edited = edit(project, layered, max(1, size // _SHARE))
    shutil.copytree(before, after)
    second = _parse(project, after)
    return Prepared(size=size, folder=str(folder), edited=edited, first_parse=first, second_parse=second)


def _parse(project: Path, target: Path) -> float:
    """Let dbt parse a project into a target folder; return the CPU seconds."""
    place = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    return spent(dbt("--quiet", "--log-path", str(target), "parse", *place)).cpu
