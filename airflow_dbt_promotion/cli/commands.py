"""The commands: each asks the engine and tells what it answered."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from airflow_dbt_promotion.cli import approvals, brakes, going_back, recovery, released, state
from airflow_dbt_promotion.cli.failures import EXIT_CODES, ExitCode
from airflow_dbt_promotion.cli.terminal import Terminal, Told
from airflow_dbt_promotion.core.environment import DeployedBy
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.instants import duration
from airflow_dbt_promotion.core.names import split
from airflow_dbt_promotion.core.plan import Plan
from airflow_dbt_promotion.engine import AdoptionRequest, Engine, PromotionRequest
from airflow_dbt_promotion.engine.approvals import agreed_request
from airflow_dbt_promotion.functions import request_of
from airflow_dbt_promotion.render import documents, markdown, text
from airflow_dbt_promotion.render.telling import count
from airflow_dbt_promotion.wiring import actor_here

if TYPE_CHECKING:
    from airflow_dbt_promotion.functions import PromotionOptions

Command = Callable[[Namespace, Engine, Terminal], ExitCode]


def promote(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Promote, and tell how it ended."""
    options = cast("PromotionOptions", vars(args))
    request = request_of(
        args.target_environment,
        args.models,
        require_tests=not args.skip_tests,
        update_state=not args.no_update_state,
        options=options,
    )
    if args.plan is not None:
        request = agreed_request(request, engine.approvals.named(args.target_environment, args.plan))
    progress = terminal.progress()
    progress.show("planning: reading what is remembered, and the project")

    def on_plan(plan: Plan) -> None:
        progress.clear()
        if terminal.reads_text and plan.allowed and plan.changes and not (request.dry_run or not request.update_state):
            terminal.say(f"Promoting {count(len(plan.changes))} from {plan.source} to {plan.target} ...")

    try:
        done = engine.promote(request, progress, on_plan)
    finally:
        progress.clear()
    warnings = tuple(dict.fromkeys((*done.warnings, *engine.store.warnings())))
    done = replace(done, warnings=warnings)
    _warn(engine, terminal)
    terminal.answer(
        Told(
            text=lambda page: text.promotion(done, page),
            markdown=lambda: markdown.promotion(done),
            document=lambda: documents.promotion_document(done),
        )
    )
    return EXIT_CODES[done.outcome]


def status(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Tell where models stand."""
    from airflow_dbt_promotion.render import standing  # noqa: PLC0415 - each command reads only what it needs

    names = split(args.models)
    if args.models is not None and names is None:
        raise ConfigError("--models", "all-validated is for `promote`; `dbt-promote validated` lists these models")
    found = engine.status(args.environment, names)
    chosen = engine.path.environments if args.environment is None else (engine.path.get(args.environment),)

    def places() -> tuple[standing.Place, ...]:
        return tuple(
            standing.Place(
                name=place.name,
                state=engine.observer.state(place.name),
                working=place.working,
                promoted=place.deployed_by is DeployedBy.PROMOTION,
                hours=engine.observer.hours(place.name),
            )
            for place in chosen
        )

    terminal.answer(
        Told(
            text=lambda page: standing.text(found, places(), engine.clock(), page),
            markdown=lambda: standing.as_markdown(found, places(), engine.clock()),
            document=lambda: documents.status_document(
                found, engine.observer.drift(args.environment, names), engine.observer.states(args.environment)
            ),
        )
    )
    return ExitCode.DONE


def validated(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """List what is validated and soaked: one name a line as text."""
    from airflow_dbt_promotion.render import standing  # noqa: PLC0415

    soak = duration(args.min_days_in_staging)
    place = engine.observer.source(args.environment)
    found = engine.validated(soak, place.name, pending=args.pending)
    called = engine.observer.called(found)
    names = [called[one.model] for one in found]
    if not found and terminal.reads_text:
        terminal.say(f"Nothing in {place.name} is validated and soaked for that long; `dbt-promote status` tells more.")
    terminal.answer(
        Told(
            text=lambda _: "".join(f"{name}\n" for name in sorted(names)),
            markdown=lambda: standing.validated_markdown(found, names, place.name),
            document=lambda: standing.validated_document(found, names, place.name, soak, pending=args.pending),
        )
    )
    return ExitCode.DONE


def record(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Take evidence from a run, or adopt an environment."""
    from airflow_dbt_promotion.render import recording as telling  # noqa: PLC0415

    project_dir = Path(args.dbt_project_dir).expanduser().absolute()
    if args.baseline:
        done = engine.baseline(
            AdoptionRequest(
                environment=args.environment,
                target_path=None if args.target_path is None else project_dir / args.target_path,
                actor=args.actor or actor_here(os.environ),
                reason=args.reason,
                confirmed=args.yes,
            )
        )
    else:
        done = engine.record(
            args.environment,
            project_dir / args.target_path if args.target_path is not None else _target_folder(args, project_dir),
            args.actor or actor_here(os.environ),
            args.reason,
        )
    _warn(engine, terminal)
    for warning in telling.warnings(done):
        terminal.say(f"warning: {warning}")
    stored = engine.observer.state(args.environment)
    serial = stored.serial if stored is not None else done.state.serial
    terminal.answer(
        Told(
            text=lambda page: telling.text(done, page, baseline=args.baseline),
            markdown=lambda: telling.as_markdown(done, baseline=args.baseline),
            document=lambda: telling.document(done, serial, baseline=args.baseline),
        )
    )
    return ExitCode.REFUSED if done.refused else ExitCode.DONE


def why(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Tell what every gate says of one model."""
    from airflow_dbt_promotion.render import why as telling  # noqa: PLC0415

    progress = terminal.progress()
    progress.show("reading what is remembered, and the project")
    try:
        plan = engine.plan(PromotionRequest(target=args.target_environment, models=(_one(args.model),)))
    finally:
        progress.clear()
    standing = engine.status(plan.source, list(plan.already_current)) if plan.already_current else ()
    verdicts = tuple(verdict for one in standing for verdict in one.verdicts if verdict not in plan.verdicts)
    found = telling.Why(
        asked=args.model,
        plan=plan,
        source=engine.observer.state(plan.source),
        target=engine.observer.state(plan.target),
        standing=verdicts,
    )
    terminal.answer(
        Told(
            text=lambda page: telling.text(found, page),
            markdown=lambda: telling.as_markdown(found),
            document=lambda: telling.document(found),
        )
    )
    return ExitCode.DONE if plan.allowed else ExitCode.REFUSED


def history(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """List the promotions on record."""
    from airflow_dbt_promotion.render import history as telling  # noqa: PLC0415

    found = engine.history(args.environment)
    terminal.answer(
        Told(
            text=lambda page: telling.text(found, page),
            markdown=lambda: telling.as_markdown(found),
            document=lambda: telling.document(found),
        )
    )
    return ExitCode.DONE


COMMANDS: Mapping[str, Command] = {
    "promote": promote,
    "ask": approvals.ask,
    "approve": approvals.approve,
    "reject": approvals.reject,
    "approvals": approvals.approvals,
    "status": status,
    "validated": validated,
    "record": record,
    "why": why,
    "history": history,
    "run": released.run,
    "exclude": released.exclude,
    "clean": released.clean,
    "resume": recovery.resume,
    "unlock": recovery.unlock,
    "rollback": going_back.rollback,
    "checkpoints": going_back.checkpoints,
    "hold": brakes.hold,
    "release": brakes.release,
    "freeze": brakes.freeze,
    "thaw": brakes.thaw,
    "unblock": brakes.unblock,
    "state": state.state,
}


def _one(name: str) -> str:
    """Return the one model that was named; raise what `split` raises, and ConfigError for several names."""
    names = split(name)
    if names is None or len(names) != 1:
        raise ConfigError("MODEL", f"{name!r} is not one model; `dbt-promote promote --dry-run` tells of several")
    return names[0]


def _target_folder(args: Namespace, project_dir: Path) -> Path:
    """Return the folder into which dbt writes for this project."""
    from airflow_dbt_promotion.config import load_config  # noqa: PLC0415

    profiles = Path(args.profiles_dir) if args.profiles_dir is not None else None
    return load_config(project_dir, profiles_dir=profiles, profile=args.profile, environ=os.environ).target_path


def _warn(engine: Engine, terminal: Terminal) -> None:
    """Tell what people should know of the place where state is kept."""
    for warning in engine.store.warnings():
        terminal.say(f"warning: {warning}")
