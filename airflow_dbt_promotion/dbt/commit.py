"""The git commit of a project at hand, read without git."""

from __future__ import annotations

import re
from pathlib import Path

_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")


def commit_of(folder: Path) -> str | None:
    """Return the commit that is checked out where a folder lies, None where that cannot be told."""
    try:
        top = next((above for above in (folder, *folder.parents) if (above / ".git").exists()), None)
        return None if top is None else _head(_git_folder(top / ".git"))
    except (OSError, UnicodeDecodeError):
        return None


def _git_folder(path: Path) -> Path:
    """Return the folder that `.git` is, or names where it is a file, as in a worktree."""
    if path.is_dir():
        return path
    return (path.parent / path.read_text(encoding="utf-8").removeprefix("gitdir:").strip()).resolve()


def _head(git: Path) -> str | None:
    """Return what HEAD is, following one reference."""
    head = (git / "HEAD").read_text(encoding="utf-8").strip()
    if not head.startswith("ref:"):
        return head if _COMMIT.fullmatch(head) else None
    name = head.removeprefix("ref:").strip()
    shared = git / "commondir"
    common = (git / shared.read_text(encoding="utf-8").strip()).resolve() if shared.is_file() else git
    for place in (git, common):
        if (place / name).is_file():
            found = (place / name).read_text(encoding="utf-8").strip()
            return found if _COMMIT.fullmatch(found) else None
    packed = common / "packed-refs"
    lines = packed.read_text(encoding="utf-8").splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}") and line[0] not in "#^"), None)
