"""Which Python an executable of dbt runs in, and what of dbt is installed there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

_NAMES = ("python", "pypy")
_LONGEST_HEAD = 4096
_SECONDS = 60
_QUOTED = re.compile(r"""exec['"]* +["']?([^"'\n]+?)["']? +["']?\$0""")
"""How installers write an interpreter whose path is too long for a first line, or has spaces: there is /bin/sh then."""

_ASK = (
    "import importlib.metadata as m; "
    "print(' '.join(sorted({d.metadata['Name']+'=='+d.version for d in m.distributions() "
    "if (d.metadata['Name'] or '').lower().startswith('dbt')})))"
)


def is_interpreter(executable: Path) -> bool:
    """Say whether an executable is a Python, as its name tells."""
    return executable.name.startswith(_NAMES)


def interpreter_of(executable: Path) -> Path | None:
    """Return the Python that an executable of dbt runs in: itself, the one it names, or one beside it; None if none."""
    if is_interpreter(executable):
        return executable
    named = _named_in(executable)
    if named is not None:
        return named
    beside = (executable.parent / name for name in ("python3", "python", "python.exe"))
    return next((one for one in beside if os.access(one, os.X_OK)), None)


def versions_in(python: Path) -> str | None:
    """Return the names and versions of what is dbt's in an interpreter, None where it does not answer."""
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell; the executable is configuration
            [str(python), "-c", _ASK], capture_output=True, text=True, timeout=_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip() or None


def _named_in(script: Path) -> Path | None:
    """Return the interpreter that a script's first lines name, where it is a Python that is there."""
    try:
        with script.open("rb") as file:
            head = file.read(_LONGEST_HEAD).decode("utf-8", errors="replace")
    except OSError:
        return None
    if not head.startswith("#!"):
        return None
    words = head.partition("\n")[0][2:].split()
    quoted = _QUOTED.search(head)
    if quoted is not None:
        words = [quoted[1]]
    elif words and Path(words[0]).name == "env":
        words = words[1:]
    found = shutil.which(words[0]) if words else None
    return Path(found) if found and is_interpreter(Path(found)) else None
