"""Which dbt this package can run: dbt-core 1.10 to before 2."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from airflow_dbt_promotion.core.errors import UnsupportedDbtError

OLDEST = (1, 10)
NEXT_MAJOR = 2

_SECONDS = 60
_CORE = re.compile(r"\bdbt-core==(\d+)\.(\d+)\S*")
_OTHER = re.compile(r"\bdbt(?:-core|-fusion)?(?:==| )(\d+)\.(\d+)\S*")
"""dbt 2 as a package or as it names itself: `dbt==2.0.0`, `dbt-fusion 2.0.0-preview.196`, `dbt-core 2.0.0`."""


def check_supported(versions: str | None, where: str) -> None:
    """Raise UnsupportedDbtError where the versions of what is installed name a dbt that this package cannot run.

    Args:
        versions: What is installed of dbt, as `dbt-core==1.12.6 dbt-duckdb==1.11.1`, or what `dbt --version` prints.
        where: The executable or environment that was asked.
    """
    found = _CORE.search(versions or "") or _OTHER.search(versions or "")
    if found is None:
        return
    version = int(found[1]), int(found[2])
    if version < OLDEST or version[0] >= NEXT_MAJOR:
        raise UnsupportedDbtError(where, re.split("==| ", found[0])[-1])


def is_program(executable: Path) -> bool:
    """Say whether an executable is a program of its own and not a script: dbt 2 is, dbt 1 never."""
    try:
        with executable.open("rb") as file:
            return file.read(2) != b"#!"
    except OSError:
        return False


def version_said(executable: Path) -> str | None:
    """Return what an executable prints for `--version`, None where it does not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell; the executable is configuration
            [str(executable), "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except (OSError, UnicodeDecodeError, subprocess.SubprocessError):
        return None
    return f"{done.stdout} {done.stderr}"
