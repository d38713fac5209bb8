"""The same promotion without Airflow: functions, importable from the package root."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TypedDict, TypeVar, Unpack

from airflow_dbt_promotion.answers import PromotionResult, PromotionStatus, RollbackResult, RunResult
from airflow_dbt_promotion.config.typed import near
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.instants import duration
from airflow_dbt_promotion.core.names import split
from airflow_dbt_promotion.core.orders import OnProgress, RunCommand
from airflow_dbt_promotion.core.ports import StateStore
from airflow_dbt_promotion.engine import PromotionRequest, RollbackRequest, RunOrder, quiet
from airflow_dbt_promotion.engine.mover import Moved, Mover
from airflow_dbt_promotion.engine.request import Verify
from airflow_dbt_promotion.wiring import Place, actor_here, engine_for, house_at, link_here, now

PromotionStateStore = StateStore
"""What keeps the promotion state, by the name that does not collide with Airflow's own `state_store`."""

Choice = TypeVar("Choice", bound=Enum)


class PlaceOptions(TypedDict, total=False):
    """Where the project is: `dbt_project_dir` (default: here), `profiles_dir`, `profile`, `state`,
    `dbt_executable_path`.
    """

    dbt_project_dir: str | Path
    profiles_dir: str | Path | None
    profile: str | None
    state: str | None
    dbt_executable_path: str | Path | None


class PromotionOptions(PlaceOptions, total=False):
    """Everything else that can be chosen for a promotion; what is left out is the target environment's policy.

    `vars` are vars of this run, each one of the `run_vars` of the environment.

    `min_days_in_staging` takes days or ISO 8601. `reason` is required for a bypass: `require_tests=False`, or a soak
    under the policy's. `run_id` is what this call has in common with a retry of it, after its process died: the retry
    carries on what was begun, and tells what was ended already. `version` is the version to promote of the one model
    that is named, or `model=version` for several, separated by commas.
    """

    select: str | None
    version: str | None
    source_environment: str | None
    min_days_in_staging: float | str | None
    min_successful_runs: int | None
    reason: str | None
    strategy: str | None
    on_incremental_change: str | None
    dry_run: bool
    run_tests: bool
    include_upstream: bool
    include_downstream: bool
    include_macro_users: bool
    allow_stale_downstream: bool
    allow_removals: bool
    overrule_rejection: bool
    force: bool
    verify: bool | Verify | None
    rollback_on_failure: bool | None
    lock_timeout: float
    actor: str | None
    link: str | None
    run_id: str | None
    vars: Mapping[str, object] | None
    on_progress: OnProgress | None


class RunOptions(PlaceOptions, total=False):
    """What can be chosen for a run of what was promoted.

    `select` and `exclude` are dbt's own selectors; `run_id` and `vars` are as in a promotion.
    """

    select: str | None
    exclude: str | None
    command: str
    full_refresh: bool
    dry_run: bool
    lock_timeout: float
    actor: str | None
    link: str | None
    run_id: str | None
    vars: Mapping[str, object] | None
    on_progress: OnProgress | None


class RollbackOptions(PlaceOptions, total=False):
    """What can be chosen for a rollback.

    `to` is a checkpoint (default: the newest that is whole). `rebuild` builds anew what came back with old rows.
    `run_id` is as in a promotion: a retry never goes back one further.
    """

    to: str | None
    dry_run: bool
    rebuild: bool
    lock_timeout: float
    actor: str | None
    link: str | None
    run_id: str | None
    on_progress: OnProgress | None


def promote_to_environment(
    target_environment: str,
    models: str | Sequence[str] | None = None,
    *,
    require_tests: bool = True,
    update_state: bool = True,
    **options: Unpack[PromotionOptions],
) -> PromotionResult:
    """Promote models into an environment from the one before it on the path; return the plan with its outcome.

    `models` are names (a list, or text separated by commas or spaces); None or `all-validated` means all that may go.
    `update_state=False` plans and validates, and changes nothing. Refused and failed are outcomes. Raises InputError
    for what cannot be used and MachineError where the surroundings failed (both in
    `airflow_dbt_promotion.core.errors`).
    """
    _check_names(options, PromotionOptions.__optional_keys__)
    request = request_of(
        target_environment, models, require_tests=require_tests, update_state=update_state, options=options
    )
    place = place_of(options, target_environment, options.get("vars"))
    return PromotionResult(engine_for(place).promote(request, options.get("on_progress") or quiet))


def rollback_environment(environment: str, *, reason: str, **options: Unpack[RollbackOptions]) -> RollbackResult:
    """Take an environment back to a checkpoint: what it held before one of its last promotions.

    The versions that are left are blocked, and the environment is held until `dbt-promote release`. Refused and failed
    are outcomes. Raises InputError for what cannot be used (a missing reason, a checkpoint that there is not), and
    MachineError where the surroundings failed.
    """
    _check_names(options, RollbackOptions.__optional_keys__)
    engine = engine_for(place_of(options))
    request = rollback_of(environment, reason, options)
    return RollbackResult(engine.roll_back(request, options.get("on_progress") or quiet))


def run_environment(environment: str, **options: Unpack[RunOptions]) -> RunResult:
    """Run what was promoted to an environment, whatever is checked out, and record what that proves.

    `command` is `build` (the default), `run`, `test`, `seed` or `snapshot`. A model or test that fails is an outcome.
    `dry_run` lists what would be executed. Raises InputError for what cannot be used, and MachineError where promoted
    code cannot be had or the surroundings failed.
    """
    _check_names(options, RunOptions.__optional_keys__)
    engine = engine_for(place_of(options, environment, options.get("vars")))
    return RunResult(engine.run(order_of(environment, options), options.get("on_progress") or quiet))


def get_promotion_status(
    environment: str | None = None, models: str | Sequence[str] | None = None, **place: Unpack[PlaceOptions]
) -> PromotionStatus:
    """Return, for each environment (or one) and model: its version, since when, whether it is tested and soaked, its
    last promotion.

    Raises UnknownEnvironmentError and UnknownModelError.
    """
    _check_names(place, PlaceOptions.__optional_keys__)
    engine, names = engine_for(place_of(place)), split(models)
    observer = engine.observer
    return PromotionStatus(
        engine.status(environment, names), observer.drift(environment, names), observer.states(environment)
    )


def get_staging_validated_models(
    min_days_in_staging: float | str = 1,
    *,
    environment: str | None = None,
    pending: bool = False,
    **place: Unpack[PlaceOptions],
) -> list[str]:
    """Return the names of the models, seeds and snapshots whose staging version is validated and has soaked that long,
    sorted.

    Names are bare where that is unambiguous. Staging is the environment that the last of the path promotes from, or
    `environment`. `pending` leaves out what the next environment holds already.
    """
    _check_names(place, PlaceOptions.__optional_keys__)
    engine = engine_for(place_of(place))
    return engine.observer.names(engine.validated(duration(min_days_in_staging), environment, pending=pending))


def copy_state(old: str, new: str, *, dbt_project_dir: str | Path = ".") -> Moved:
    """Copy a promotion state, documents and kept sources, from one root to another, and read all of it back.

    Roots are what `state` in promotion.yml takes; a relative folder begins at the project. The old place is not
    changed, the new one has to be empty. Raises ConfigError, MoveRefusedError, and StateError or ReleaseError.
    """
    base = Path(dbt_project_dir)
    return Mover(house_at(old, base), house_at(new, base), now).copy()


def place_of(options: PlaceOptions, environment: str = "", given: Mapping[str, object] | None = None) -> Place:
    """Return the place that some options name; `given` are vars of one run of an environment."""
    return Place(
        project_dir=Path(options.get("dbt_project_dir") or "."),
        profiles_dir=_path(options.get("profiles_dir")),
        profile=options.get("profile"),
        state=options.get("state"),
        dbt_executable_path=_path(options.get("dbt_executable_path")),
        vars=given or {},
        vars_of=environment,
    )


def request_of(
    target_environment: str,
    models: str | Sequence[str] | None,
    *,
    require_tests: bool,
    update_state: bool,
    options: PromotionOptions,
) -> PromotionRequest:
    """Return the request that some arguments make; raise InputError for values that no promotion takes."""
    soak = options.get("min_days_in_staging")
    return PromotionRequest(
        target=target_environment,
        source=options.get("source_environment"),
        models=split(models),
        select=options.get("select"),
        version=options.get("version"),
        soak=None if soak is None else duration(soak),
        min_successful_runs=options.get("min_successful_runs"),
        require_tests=require_tests,
        reason=options.get("reason"),
        update_state=update_state,
        dry_run=options.get("dry_run", False),
        run_tests=options.get("run_tests", False),
        include_upstream=options.get("include_upstream", False),
        include_downstream=options.get("include_downstream", False),
        include_macro_users=options.get("include_macro_users", False),
        allow_stale_downstream=options.get("allow_stale_downstream", False),
        allow_removals=options.get("allow_removals", False),
        overrule_rejection=options.get("overrule_rejection", False),
        force=options.get("force", False),
        verify=options.get("verify"),
        rollback_on_failure=options.get("rollback_on_failure"),
        strategy=_one_of(Strategy, "strategy", options.get("strategy")),
        on_incremental_change=_one_of(IncrementalChange, "on_incremental_change", options.get("on_incremental_change")),
        lock_timeout=options.get("lock_timeout", 60.0),
        actor=options.get("actor") or actor_here(os.environ),
        link=options.get("link") or link_here(os.environ),
        run=options.get("run_id"),
    )


def rollback_of(environment: str, reason: str, options: RollbackOptions) -> RollbackRequest:
    """Return the rollback that some arguments ask for."""
    return RollbackRequest(
        environment=environment,
        to=options.get("to"),
        reason=reason,
        dry_run=options.get("dry_run", False),
        rebuild=options.get("rebuild", True),
        lock_timeout=options.get("lock_timeout", 60.0),
        actor=options.get("actor") or actor_here(os.environ),
        link=options.get("link") or link_here(os.environ),
        run=options.get("run_id"),
    )


def order_of(environment: str, options: RunOptions) -> RunOrder:
    """Return the run that some arguments order; raise InputError for a command that there is not."""
    return RunOrder(
        environment=environment,
        command=_one_of(RunCommand, "command", options.get("command")) or RunCommand.BUILD,
        select=options.get("select"),
        exclude=options.get("exclude"),
        full_refresh=options.get("full_refresh", False),
        dry_run=options.get("dry_run", False),
        lock_timeout=options.get("lock_timeout", 60.0),
        actor=options.get("actor") or actor_here(os.environ),
        link=options.get("link") or link_here(os.environ),
        run=options.get("run_id"),
    )


def _check_names(options: Iterable[str], known: frozenset[str]) -> None:
    """Raise ConfigError for an argument that there is not: `dry_rum=True` must not promote."""
    for unknown in sorted(set(options) - known):
        raise ConfigError(unknown, f"there is no such argument{near(unknown, sorted(known))}")


def _path(value: str | Path | None) -> Path | None:
    """Return a path where one was given."""
    return None if value is None else Path(value)


def _one_of(kind: type[Choice], name: str, value: str | None) -> Choice | None:
    """Return a choice by the name that people write; raise ConfigError with the known ones."""
    if value is None:
        return None
    try:
        return kind(value)
    except ValueError:
        raise ConfigError(name, f"{value!r} is none of {', '.join(one.value for one in kind)}") from None
