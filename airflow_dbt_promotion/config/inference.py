"""The promotion path where no `promotion.yml` says it: from what the dbt targets are called.

`development`/`dev`, `staging`/`stage` and `production`/`prod` make the path development <- staging <- production over
those that the project's profile has; other targets have no part in it. Of a profile only the names of its outputs are
looked at, so nothing in it is rendered, and no secret is touched. Where no profile can be found or read (in Airflow a
profile is often made from a connection), the path is the convention: targets `dev`, `staging` and `production`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from msgspec import Struct

from airflow_dbt_promotion.config.promotion_file import WORKING_NAMES
from airflow_dbt_promotion.config.yaml_file import read_yaml
from airflow_dbt_promotion.core.environment import DeployedBy, Environment, PromotionPath
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import EnvironmentName

SPELLINGS: Mapping[EnvironmentName, tuple[str, str]] = {
    EnvironmentName("development"): ("development", "dev"),
    EnvironmentName("staging"): ("staging", "stage"),
    EnvironmentName("production"): ("production", "prod"),
}
CONVENTION = ("dev", "staging", "production")


class Targets(Struct, frozen=True, kw_only=True):
    """The targets of a profile, None where they are not known, and how that came about."""

    names: tuple[str, ...] | None
    where: str


def profiles_folder(told: Path | None, project_dir: Path, home: Path | None) -> Path | None:
    """Return where profiles.yml is: where somebody told, there or not; else in the project, else in `~/.dbt`."""
    if told is not None:
        return told
    places = [project_dir, *([home / ".dbt"] if home is not None else [])]
    return next((place for place in places if (place / "profiles.yml").is_file()), None)


def targets_of(folder: Path | None, profile: str | None) -> Targets:
    """Return the targets of a profile. A name that is not known will do where the file holds one profile only."""
    path = folder / "profiles.yml" if folder is not None else None
    if path is None or not path.is_file():
        return Targets(names=None, where=f"there is no {path or 'profiles.yml'}")
    try:
        found = read_yaml(path, unique=False).value
    except ConfigError as error:
        return Targets(names=None, where=str(error))
    profiles = {name: value for name, value in found.items() if name != "config"} if isinstance(found, dict) else {}
    if profile is None and len(profiles) == 1:
        profile = next(iter(profiles))
    chosen = profiles.get(profile)
    outputs = chosen.get("outputs") if isinstance(chosen, dict) else None
    if not isinstance(outputs, dict):
        return Targets(names=None, where=f"{path} has no outputs for profile {profile!r}")
    return Targets(names=tuple(str(name) for name in outputs), where=f"profile {profile!r} in {path}")


def infer_path(targets: Collection[str] | None, where: str) -> PromotionPath:
    """Return the path over the targets with a name that says what they are.

    Raises ConfigError where none has one, or where two names mean one environment; `where` is where they are listed.
    """
    environments: list[Environment] = []
    names = CONVENTION if targets is None else targets
    for name, spellings in SPELLINGS.items():
        present = [spelling for spelling in spellings if spelling in names]
        if len(present) > 1:
            problem = f"has the targets {' and '.join(present)}, and either could be {name}; say which in promotion.yml"
            raise ConfigError(where, problem)
        if present:
            source = environments[-1].name if environments else None
            made = Environment(name=name, target=present[0], promotes_from=source, working=name in WORKING_NAMES)
            environments.append(made)
    if not environments:
        raise ConfigError(
            where,
            f"has the targets {', '.join(sorted(names)) or 'none'}; none is called development, dev, staging, stage, "
            f"production or prod, so write a promotion.yml that says which is what",
        )
    return PromotionPath(_ended(environments))


def _ended(environments: list[Environment]) -> tuple[Environment, ...]:
    """Return the environments with the last deployed by promotions, where there is something to promote from."""
    *others, last = environments
    by = DeployedBy.PROMOTION if last.promotes_from is not None else DeployedBy.OTHERS
    end = Environment(
        name=last.name, target=last.target, promotes_from=last.promotes_from, working=last.working, deployed_by=by
    )
    return (*others, end)
