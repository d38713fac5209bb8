"""What a parse depends on beside the sources: the dbt at hand, the profile, the target, vars, the environment.

Jinja in a profile or a dbt_project.yml may ask for environment variables. Those that are named there are part of the
key of a cached parse; those that models and schema files ask for are in the parse itself, see `still_hold`. Secrets are
left out, as dbt leaves them out.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from airflow_dbt_promotion.core.identity import digest, digest_of
from airflow_dbt_promotion.dbt.invocation import DbtProject

KEY_FORMAT = 1
"""Raised where a parse that was cached before can no longer be used as it is."""

_PROFILES = "profiles.yml"
_SECRET = "DBT_ENV_SECRET"  # noqa: S105 - the prefix by which dbt knows them
_BY_DEFAULT = "DBT_DEFAULT_PLACEHOLDER"
"""What dbt writes down for a variable that was not set, where a default stood in."""

_ASKED = re.compile(r"\benv_var\s*\(")
# Within YAML's own quotes, those of Jinja are doubled or have a backslash.
_NAMED = re.compile(r"\benv_var\s*\(\s*(''|\\?['\"])([^'\"\\]+)\1\s*[,)]")


class Circumstances(Struct, frozen=True, kw_only=True):
    """What decides over the parse of given sources.

    `versions` are those of dbt and its adapters, None where they cannot be told. `environ` is the environment in which
    dbt runs.
    """

    versions: str | None
    target: str
    vars: Mapping[str, object]
    project: DbtProject
    environ: Mapping[str, str]

    def key(self, project_files: Iterable[str]) -> str | None:
        """Return the key of a cached parse; `project_files` are the texts of the dbt_project.yml of all packages.

        None where it cannot be told what the parse depends on: nothing is cached then.
        """
        profiles = self._profiles()
        if self.versions is None or profiles is None:
            return None
        texts = [profiles.decode("utf-8", errors="replace"), *project_files]
        if any(len(_ASKED.findall(text)) != len(_NAMED.findall(text)) for text in texts):
            return None
        names = {name for text in texts for _, name in _NAMED.findall(text) if not name.startswith(_SECRET)}
        return digest_of([*self._told(profiles), sorted((name, self.environ.get(name)) for name in names)])

    def key_here(self) -> str:
        """Return a key that holds for this process: it tells every environment variable apart."""
        known = sorted((name, value) for name, value in self.environ.items() if not name.startswith(_SECRET))
        return digest_of([*self._told(self._profiles() or b""), known])

    def still_hold(self, env_vars: Mapping[str, str]) -> bool:
        """Say whether the environment variables that a parse read would be read the same now."""
        return all(
            (name not in self.environ) if value == _BY_DEFAULT else self.environ.get(name) == value
            for name, value in env_vars.items()
        )

    def _told(self, profiles: bytes) -> list[object]:
        """Return what is the same for every release."""
        return [
            KEY_FORMAT,
            self.versions,
            self.target,
            self.profile_name(None),
            sorted(self.vars.items()),
            digest(profiles),
        ]

    def _profiles(self) -> bytes | None:
        """Return profiles.yml as dbt finds it, None where it does not."""
        file = self.profiles_file()
        return file.read_bytes() if file is not None else None

    def profiles_file(self) -> Path | None:
        """Return the profiles.yml that dbt finds, None where it finds none that can be read."""
        stands_in, told, home = self.project.stands_in, self._dbt("PROFILES_DIR"), self.environ.get("HOME")
        if self.project.profiles_dir is not None:
            folders = [self.project.profiles_dir]
        elif told is not None:
            folders = [stands_in / told]
        else:
            folders = [stands_in, *([Path(home) / ".dbt"] if home else [])]
        return next((folder / _PROFILES for folder in folders if os.access(folder / _PROFILES, os.R_OK)), None)

    def profile_name(self, default: str | None) -> str | None:
        """Return the profile that dbt uses: the one that is asked for, else the project's own."""
        return self.project.profile or self._dbt("PROFILE") or default

    def _dbt(self, name: str) -> str | None:
        """Return what the environment tells dbt, by the name that dbt prefers."""
        return self.environ.get(f"DBT_ENGINE_{name}") or self.environ.get(f"DBT_{name}")


def circumstances(project: DbtProject, versions: str | None, target: str, vars_: Mapping[str, object]) -> Circumstances:
    """Return the circumstances of a parse now, in this process's environment with what the project adds to it."""
    return Circumstances(
        versions=versions, target=target, vars=vars_, project=project, environ={**os.environ, **project.env}
    )
