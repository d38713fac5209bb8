"""Where the values of an environment come from: the line that says them, what was inferred, or the default."""

from __future__ import annotations

from pathlib import Path

from airflow_dbt_promotion.config.promotion_file import find_promotion_file
from airflow_dbt_promotion.config.yaml_file import Keys, read_yaml

_INFERRED = frozenset({"target", "promotes_from", "working", "deployed_by"})
"""What depends on how the path is made, where no line says it."""


class Origins:
    """The lines of a project's promotion file, where it has one."""

    def __init__(self, project_dir: Path) -> None:
        """Read it once. Raises ConfigError."""
        file = find_promotion_file(project_dir)
        document = None if file is None else read_yaml(file)
        self._name = "" if file is None else file.name
        self._lines = {} if document is None else document.lines

    def of(self, *keys: object) -> str:
        """Return where the value at some keys comes from, in words: `promotion.yml:7`, `inferred` or `default`."""
        found: Keys = keys
        if found in self._lines:
            return f"{self._name}:{self._lines[found]}"
        return "inferred" if keys[-1] in _INFERRED else "default"
