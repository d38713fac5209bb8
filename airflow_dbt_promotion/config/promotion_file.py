"""`promotion.yml`: what may be written there, and the environments that it stands for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, cast

from msgspec import UNSET, Meta, Struct, UnsetType

from airflow_dbt_promotion.config.approval_file import ApprovalEntry, approval_of
from airflow_dbt_promotion.config.rules_file import RuleEntry, Runs, rules_of
from airflow_dbt_promotion.config.typed import duration_at, kind_of, near, text_keyed, typed_fields
from airflow_dbt_promotion.config.windows_file import WindowsEntry, windows_of
from airflow_dbt_promotion.config.yaml_file import YamlFile, read_yaml
from airflow_dbt_promotion.core.environment import (
    MOST_CHECKPOINTS,
    MOST_HISTORY,
    BypassKind,
    Candidate,
    DeployedBy,
    Environment,
    IncrementalChange,
    Leniency,
    OnDrift,
    PromotionPath,
    SoakScope,
    Strategy,
)
from airflow_dbt_promotion.core.errors import ConfigError, InvalidNameError
from airflow_dbt_promotion.core.identity import EnvironmentName, environment_name

FILE_VERSION = 1
WORKING_NAMES = frozenset({"development", "dev"})

History = Annotated[int, Meta(ge=1, le=MOST_HISTORY)]
Checkpoints = Annotated[int, Meta(ge=0, le=MOST_CHECKPOINTS)]


class EnvironmentEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One environment as written. Every key may be left out.

    `target`: dbt's target (default: the environment's name). `promotes_from`: the environment before it on the path
    (default: the one written before it; null for none). `min_days_in_staging`: how long a version has to have stood
    there, in days or ISO 8601 (PT12H). `deployed_by`: whose runs move what is current (default: promotion for the end
    of a path, others elsewhere). `working`: people work here, and it needs no state (default: only where it is called
    development or dev). `vars`: given to dbt for every run of this environment. `run_vars`: vars that
    may have any value in a run. `accept_arguments`: arguments of dbt that a recorded run may have, beside those that
    are known to change nothing. `unverified_place`: what becomes of a run of which it cannot be told which warehouse
    it went to (pass, block). `record_within`: how long after its end a run may be recorded so that its own time counts
    towards soak, in days or ISO 8601 (default PT1H). `forbid`: bypasses that nobody may use.
    `candidate`: which version of the source goes (newest_soaked, or the one that is current there). `on_drift`: what
    becomes of a run of code that was never promoted (tell, block). `marks`: whether promotions and runs leave marks in
    the warehouse, which a retry asks. `keep_checkpoints`: before how many promotions it can be gone back. `verify`:
    whether a promotion's tests are run again in place once it is published. `rollback_on_failure`: whether it is taken
    back where they fail. `windows`: when something may be promoted into it (default: whenever). `approval`:
    what is asked of people before that (true for one yes; default: nothing). `rules`: what is asked of some models in
    place of the values above.
    """

    target: str | UnsetType = UNSET
    promotes_from: str | UnsetType | None = UNSET
    working: bool | UnsetType = UNSET
    deployed_by: DeployedBy | UnsetType = UNSET
    min_days_in_staging: int | float | str = 0
    min_successful_runs: Runs = 1
    soak_scope: SoakScope = SoakScope.LINEAGE
    zero_tests: Leniency = Leniency.PASS
    warnings: Leniency = Leniency.PASS
    strategy: Strategy | None = None
    on_incremental_change: IncrementalChange = IncrementalChange.BLOCK
    forbid: tuple[BypassKind, ...] = ()
    vars: dict[str, Any] = {}
    run_vars: tuple[str, ...] = ()
    accept_arguments: tuple[str, ...] = ()
    unverified_place: Leniency = Leniency.PASS
    record_within: int | float | str = "PT1H"
    keep_history: History = 10
    candidate: Candidate = Candidate.NEWEST_SOAKED
    on_drift: OnDrift = OnDrift.TELL
    marks: bool = True
    verify: bool = False
    rollback_on_failure: bool = False
    keep_checkpoints: Checkpoints = 3
    windows: WindowsEntry | UnsetType = UNSET
    approval: ApprovalEntry | bool | UnsetType | None = UNSET
    rules: tuple[RuleEntry, ...] = ()


class PromotionFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file as written: `version`, `state` (where it is kept), `environments` in the order of the path.

    `kept_paths` are patterns over paths in the project: which sources are kept at most (default: all that dbt reads).
    """

    version: int
    state: str | UnsetType = UNSET
    kept_paths: tuple[str, ...] | UnsetType = UNSET
    environments: dict[str, EnvironmentEntry | None] | UnsetType = UNSET


class Promotions(Struct, frozen=True, kw_only=True):
    """What the file says: None where it leaves something to be found out."""

    path: PromotionPath | None
    state: str | None
    where: Path
    kept_paths: tuple[str, ...] = ()


def find_promotion_file(project_dir: Path) -> Path | None:
    """Return the project's `promotion.yml` or `promotion.yaml`, if any; raise ConfigError where both are there."""
    found = [path for name in ("promotion.yml", "promotion.yaml") if (path := project_dir / name).exists()]
    if len(found) > 1:
        raise ConfigError(str(project_dir), "holds a promotion.yml and a promotion.yaml; delete one of them")
    return found[0] if found else None


def read_promotion_file(path: Path) -> Promotions:
    """Return what a promotion file says; raise ConfigError with file, line and key, or CyclicPathError."""
    return promotions_of(read_yaml(path))


def promotions_of(document: YamlFile) -> Promotions:
    """Return what a promotion file says that was read; raises as `read_promotion_file` does."""
    path = document.path
    if document.value is None:
        raise ConfigError(str(path), f"is empty; begin with `version: {FILE_VERSION}`")
    top = text_keyed(document, document.value, ())
    _check_version(document, top)
    said = typed_fields(document, top, (), PromotionFile, skip=("environments",))
    state = said.get("state")
    if isinstance(state, str) and not state.strip():
        raise ConfigError(document.place("state"), "is empty; leave it out for the default")
    environments = None
    if "environments" in top:
        environments = _path(document, text_keyed(document, top["environments"], ("environments",)))
    kept = cast("tuple[str, ...]", said.get("kept_paths", ()))
    for index, pattern in enumerate(kept):
        problem = _wrong_pattern(pattern)
        if problem is not None:
            raise ConfigError(document.place("kept_paths", index), f"{pattern!r} {problem}")
    if "kept_paths" in said and not kept:
        raise ConfigError(document.place("kept_paths"), "is empty; leave it out to keep all that dbt reads")
    return Promotions(path=environments, state=cast("str | None", state), where=path, kept_paths=kept)


def _wrong_pattern(pattern: str) -> str | None:
    """Return why a pattern of kept_paths would never match what it means, None where it could."""
    parts = pattern.strip().strip("/").split("/")
    if parts == [""]:
        return "matches nothing; name a folder or a file, or leave kept_paths out to keep all that dbt reads"
    if pattern.startswith("!"):
        return "begins with `!`, which is not known here; list what is kept, not what is left out"
    if "\\" in pattern:
        return "holds a backslash; write `/` between folders"
    if ".." in parts or "." in parts or "" in parts:
        return "has a part that is no name; write it as seen from the project: models/marts/**"
    return None


def _check_version(document: YamlFile, top: Mapping[str, object]) -> None:
    """Raise unless the file says that it is of a version that this release reads."""
    if "version" not in top:
        raise ConfigError(str(document.path), f"says no version; begin with `version: {FILE_VERSION}`")
    version = top["version"]
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ConfigError(document.place("version"), f"must be the number {FILE_VERSION}, not {version!r}")
    if version != FILE_VERSION:
        raise ConfigError(
            document.place("version"), f"{version} is newer than this release, which reads {FILE_VERSION}; upgrade"
        )


def _path(document: YamlFile, entries: Mapping[str, object]) -> PromotionPath:
    """Return the environments in the order in which they are written."""
    if not entries:
        raise ConfigError(document.place("environments"), "is empty; name one, or leave the key out")
    written: dict[EnvironmentName, dict[str, object]] = {}
    for name, entry in entries.items():
        keys = ("environments", name)
        try:
            environment = environment_name(name)
        except InvalidNameError as error:
            raise ConfigError(document.place(*keys), str(error)) from None
        entered = text_keyed(document, {} if entry is None else entry, keys)
        apart = ("windows", "approval", "rules")
        written[environment] = typed_fields(document, entered, keys, EnvironmentEntry, skip=apart)
        if "windows" in entered:
            written[environment]["windows"] = windows_of(document, entered["windows"], (*keys, "windows"))
        if "approval" in entered:
            written[environment]["approval"] = approval_of(document, entered["approval"], (*keys, "approval"))
        if "rules" in entered:
            written[environment]["rules"] = rules_of(document, entered["rules"], (*keys, "rules"))
    sources = _sources(document, written)
    made = [_environment(document, name, fields, sources) for name, fields in written.items()]
    return PromotionPath(tuple(made))


def _sources(
    document: YamlFile, written: Mapping[EnvironmentName, Mapping[str, object]]
) -> dict[EnvironmentName, EnvironmentName | None]:
    """Return where each environment promotes from: as it says, else from the one written before it.

    One that the environment before it promotes from, by one step or several, begins the path: it may be written after.
    """
    said = {name: fields["promotes_from"] for name, fields in written.items() if "promotes_from" in fields}
    for name, source in said.items():
        if source is not None and source not in written:
            problem = f"there is no environment {source!r}{near(str(source), written)}"
            raise ConfigError(document.place("environments", name, "promotes_from"), problem)
    sources = cast("dict[EnvironmentName, EnvironmentName | None]", said)
    before: EnvironmentName | None = None
    for name in written:
        if name not in sources:
            sources[name] = None if name in _followed(sources, before) else before
        before = name
    return sources


def _followed(
    sources: Mapping[EnvironmentName, EnvironmentName | None], start: EnvironmentName | None
) -> set[EnvironmentName]:
    """Return an environment and all that it promotes from, as far as that is known."""
    seen: set[EnvironmentName] = set()
    while start is not None and start not in seen:
        seen.add(start)
        start = sources.get(start)
    return seen


def _environment(
    document: YamlFile,
    name: EnvironmentName,
    fields: Mapping[str, object],
    sources: Mapping[EnvironmentName, EnvironmentName | None],
) -> Environment:
    """Return one environment with its defaults."""
    ends = sources[name] is not None and name not in sources.values()
    values = dict(fields)
    keys = ("environments", name)
    soak = duration_at(document, values.pop("min_days_in_staging", 0), (*keys, "min_days_in_staging"))
    if "record_within" in values:
        values["record_within"] = duration_at(document, values["record_within"], (*keys, "record_within"))
    for at, problem in _unsendable(values.get("vars", {}), ()):
        raise ConfigError(document.place(*keys, "vars", *at), problem)
    values["promotes_from"] = sources[name]
    for key in ("run_vars", "accept_arguments"):
        values[key] = frozenset(cast("tuple[str, ...]", values.get(key, ())))
    values["forbid"] = frozenset(cast("tuple[BypassKind, ...]", values.get("forbid", ())))
    values.setdefault("target", name)
    values.setdefault("working", name in WORKING_NAMES)
    values.setdefault("deployed_by", DeployedBy.PROMOTION if ends else DeployedBy.OTHERS)
    try:
        return Environment(name=name, soak=soak, **values)  # type: ignore[arg-type]  # each was converted to its type
    except ConfigError as error:
        raise ConfigError(document.place(*error.where.split(".")), error.problem) from None


def _unsendable(value: object, keys: tuple[object, ...]) -> list[tuple[tuple[object, ...], str]]:
    """Return where something in `vars` is not what can be handed to dbt as JSON, and what to do."""
    match value:
        case None | bool() | int() | str():
            return []
        case float():
            return [] if math.isfinite(value) else [(keys, f"{value!r} is no number that dbt could take")]
        case list():
            return [wrong for index, inner in enumerate(value) for wrong in _unsendable(inner, (*keys, index))]
        case dict():
            odd = [
                ((*keys, key), f"YAML reads this key as {kind_of(key)}; put it in quotes")
                for key in value
                if type(key) is not str
            ]
            return odd + [wrong for key, inner in value.items() for wrong in _unsendable(inner, (*keys, key))]
        case _:
            return [(keys, f"YAML reads this as {kind_of(value)}; put it in quotes")]
