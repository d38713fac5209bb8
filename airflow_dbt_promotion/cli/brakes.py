"""The commands that stop what goes into an environment, and let it go again."""

from __future__ import annotations

import os
from argparse import Namespace

from airflow_dbt_promotion.cli.failures import ExitCode
from airflow_dbt_promotion.cli.terminal import Terminal, Told
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.instants import coming
from airflow_dbt_promotion.core.names import split
from airflow_dbt_promotion.core.stops import Intervention
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.wiring import actor_here


def hold(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Let nothing be promoted into an environment."""
    return _tell(args, engine.hold(args.environment, _actor(args), args.reason), terminal)


def release(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Lift the hold of an environment."""
    return _tell(args, engine.release(args.environment, _actor(args), args.reason), terminal)


def freeze(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Let nothing be promoted into an environment for a time."""
    until = None if args.until is None else coming(args.until, engine.clock())
    return _tell(args, engine.freeze(args.environment, _actor(args), args.reason, until), terminal)


def thaw(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Lift the freeze of an environment."""
    return _tell(args, engine.thaw(args.environment, _actor(args), args.reason), terminal)


def unblock(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Lift blocks of versions."""
    names = split(args.models)
    if args.models is not None and names is None:
        raise ConfigError(
            "--models", "all-validated is for `promote`; leave --models out to unblock all that is blocked"
        )
    return _tell(args, engine.unblock(args.environment, _actor(args), args.reason, names), terminal)


def _actor(args: Namespace) -> str:
    """Return who steps in."""
    return args.actor or actor_here(os.environ)


def _tell(args: Namespace, done: Intervention, terminal: Terminal) -> ExitCode:
    """Tell what was done."""
    from airflow_dbt_promotion.render import braking  # noqa: PLC0415 - each command reads only what it needs

    found = braking.Intervened(environment=args.environment, done=done)
    terminal.answer(
        Told(
            text=lambda page: braking.text(found, page),
            markdown=lambda: braking.as_markdown(found),
            document=lambda: braking.document(found),
        )
    )
    return ExitCode.DONE
