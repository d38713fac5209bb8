"""What dbt does, in a process of its own: `python -m benchmarks.theirs manifest|preloaded` prints a line of JSON."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import medians

KINDS = ("model", "seed", "snapshot")


def dbt(*arguments: str) -> list[str]:
    """Return the command line of the dbt that is installed beside this Python."""
    return [sys.executable, "-c", "from dbt.cli.main import cli; cli(prog_name='dbt')", *arguments]


def listing(project: Path, target: Path, before: Path) -> list[str]:
    """Return the arguments that ask dbt for what changed since the manifest in `before`, and all that stands on it."""
    kinds = [word for kind in KINDS for word in ("--resource-type", kind)]
    place = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    chosen = ["--select", "state:modified+", "--state", str(before)]
    return [
        "--quiet",
        "ls",
        *place,
        *chosen,
        *kinds,
        "--output",
        "json",
        "--output-keys",
        "unique_id config.materialized",
    ]


def listed(text: str) -> dict[str, str]:
    """Return the unique ids that dbt listed, each with its materialization."""
    found = (json.loads(line) for line in text.splitlines() if line.startswith("{"))
    return {one["unique_id"]: one["config.materialized"] for one in found}


def _manifest(path: Path, rounds: int) -> dict[str, float]:
    """Read a manifest as dbt does: its own reader into its own Manifest."""
    from dbt.cli import main  # noqa: F401, PLC0415 - without it dbt cannot read what dbt wrote
    from dbt.contracts.graph.manifest import Manifest, WritableManifest  # noqa: PLC0415

    def read() -> object:
        return Manifest.from_writable_manifest(WritableManifest.read_and_check_versions(str(path)))

    return medians({"manifest": read}, rounds)


def _preloaded(project: Path, target: Path, before: Path, rounds: int) -> dict[str, float]:
    """Ask a dbtRunner that has the manifest already for what changed."""
    from dbt.cli.main import dbtRunner  # noqa: PLC0415 - costs two seconds

    place = ["--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(target)]
    parsed = dbtRunner().invoke(["--quiet", "parse", *place])
    if not parsed.success:
        raise SystemExit(f"dbt cannot parse: {parsed.exception}")
    runner = dbtRunner(manifest=parsed.result)

    def ask() -> object:
        found = runner.invoke(listing(project, target, before))
        if not found.success:
            raise SystemExit(f"dbt cannot list: {found.exception}")
        return found

    return medians({"preloaded": ask}, rounds)


def main(arguments: Sequence[str]) -> None:
    """Do what is asked; dbt's own output goes to standard error."""
    with contextlib.redirect_stdout(sys.stderr):
        match arguments:
            case ["manifest", path, rounds]:
                found = _manifest(Path(path), int(rounds))
            case ["preloaded", project, target, before, rounds]:
                found = _preloaded(Path(project), Path(target), Path(before), int(rounds))
            case _:
                raise SystemExit(f"no such work: {' '.join(arguments)}")
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
