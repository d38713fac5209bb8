"""Did a run go to the warehouse that an environment connects to?

dbt notes a digest of its connection in each parse. Where the run's and the environment's agree, it was the same one.
Where they differ, it may be another user alone. So dbt parses an empty project by each of the two profiles, with users,
roles, passwords and threads made equal: what still differs is another warehouse. Nothing connects for this.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.errors import ArtifactError, PromotionError
from airflow_dbt_promotion.core.run import Run
from airflow_dbt_promotion.core.run_conditions import Connection
from airflow_dbt_promotion.dbt.invocation import DbtCommand, DbtInvocation, DbtProject, DbtRunner
from airflow_dbt_promotion.dbt.kept_parse import read_kept_parse
from airflow_dbt_promotion.dbt.project_file import FILE, load_plain_yaml

PROFILES = "profiles.yml"

_PERSONAL = frozenset({"user", "username", "role", "password", "pass", "threads"})
"""Keys of a profile's output that say who connects, or how often, and not where to."""

_NEEDED = frozenset({"user", "username", "password", "pass"})
"""Those of them that an adapter may insist on."""

_STUB = "connection"


class Profile(Struct, frozen=True, kw_only=True):
    """One output of a profiles.yml: the file, the profile's name, the target (None for the profile's own default), and
    the vars that Jinja in it may read.
    """

    file: Path
    name: str
    target: str | None
    vars: Mapping[str, object] = {}


def profile_of_run(run: Run, environment: Profile, project_dir: Path) -> Profile | None:
    """Return the profile that a run was made with, None where its profiles.yml is not on this machine.

    What the run does not name is the environment's.
    """
    told = run.arguments.get("profiles_dir")
    file = project_dir / told / PROFILES if isinstance(told, str) and told else environment.file
    name = run.arguments.get("profile")
    if not file.is_file():
        return None
    return Profile(
        file=file,
        name=name if isinstance(name, str) and name else environment.name,
        target=run.target,
        vars=run.vars,
    )


def compared(runner: DbtRunner, project: DbtProject, run: Profile | None, environment: Profile) -> Connection:
    """Return whether two profiles connect to one warehouse, whoever connects."""
    if run is None:
        return Connection.UNKNOWN
    try:
        one, other = (_digest(runner, project, profile) for profile in (run, environment))
    except (OSError, PromotionError):
        return Connection.UNKNOWN
    if one is None or other is None:
        return Connection.UNKNOWN
    return Connection.SAME if one == other else Connection.OTHER


def _digest(runner: DbtRunner, project: DbtProject, profile: Profile) -> str | None:
    """Return dbt's digest of a profile's connection, less who connects. Raises OSError, PromotionError."""
    target, output = _output(profile)
    with tempfile.TemporaryDirectory(prefix="dbt-promote-") as made:
        folder = Path(made)
        (folder / FILE).write_text(f"name: {_STUB}\nversion: '1.0'\nprofile: {_STUB}\n", encoding="utf-8")
        outputs = {_STUB: {"target": target, "outputs": {target: output}}}
        (folder / PROFILES).write_text(yaml.safe_dump(outputs), encoding="utf-8")
        stub = replace(
            project,
            project_dir=folder,
            target_path=folder / "target",
            profiles_dir=folder,
            profile=None,
            working_dir=project.stands_in,
        )
        runner.invoke(stub, DbtInvocation(command=DbtCommand.PARSE, target=target, vars=profile.vars))
        kept = read_kept_parse(folder / "target")
    return kept.connection if kept is not None else None


def _output(profile: Profile) -> tuple[str, dict[str, Any]]:
    """Return the target of a profile and its output, with who connects made the same for all.

    Raises OSError, ArtifactError.
    """
    found = load_plain_yaml(str(profile.file), profile.file.read_bytes()).get(profile.name)
    outputs = found.get("outputs") if isinstance(found, dict) else None
    target = profile.target or (found.get("target", "default") if isinstance(found, dict) else None)
    output = outputs.get(target) if isinstance(outputs, dict) else None
    if not isinstance(output, dict):
        raise ArtifactError(str(profile.file), f"has no target {target!r} in a profile {profile.name!r}")
    plain = {key: value for key, value in output.items() if key not in _PERSONAL}
    return str(target), plain | dict.fromkeys(output.keys() & _NEEDED, "same")
