"""Places that other tools delete: what a store says whose state lies in one."""

from __future__ import annotations

from pathlib import Path


def warnings_of(place: Path, folders: tuple[Path, ...]) -> tuple[str, ...]:
    """Return what people should know where a place lies in one of the folders that `dbt clean` deletes."""
    try:
        there = place.resolve()
        around = [folder for folder in folders if there.is_relative_to(folder.resolve())]
    except (OSError, RuntimeError):  # a ring of symbolic links; reading and writing will say so
        return ()
    return tuple(
        f"the promotion state in {place} lies inside {folder}, which `dbt clean` deletes (clean-targets in "
        f"dbt_project.yml); set `state` in promotion.yml to a place outside of it"
        for folder in around[:1]
    )
