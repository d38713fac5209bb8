"""The command about the state itself: show it, verify it, copy it, import what was before it."""

from __future__ import annotations

import datetime as dt
import zoneinfo
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path

from airflow_dbt_promotion.cli.failures import ExitCode
from airflow_dbt_promotion.cli.terminal import Terminal, Told
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.identity import environment_name
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.functions import copy_state

_TWO = 2


def state(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Do what the verb says. Raises ConfigError where places are missing, or too many."""
    return VERBS[args.verb](args, engine, terminal)


def _show(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Tell where the state is and what is in it, or print one document as it is."""
    from airflow_dbt_promotion.render import stored  # noqa: PLC0415 - each command reads only what it needs

    _check_places(args, 0)
    named = args.environment
    names = engine.store.environments() if named is None else (environment_name(named),)
    read = [(engine.store.where(name), engine.store.read(name)) for name in names]
    found = [(where, document) for where, document in read if document is not None]
    if args.full:
        if named is None or not found:
            raise ConfigError("--full", "prints one document; name an --environment of which there is one")
        terminal.out.write(stored.whole(found[0][1]))
        return ExitCode.DONE
    terminal.answer(
        Told(
            text=lambda page: stored.text(found, page),
            markdown=lambda: stored.as_markdown(found),
            document=lambda: stored.document(found),
        )
    )
    return ExitCode.DONE


def _verify(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Check every document, and the sources that it names; change nothing."""
    from airflow_dbt_promotion.render import verifying  # noqa: PLC0415 - as late

    _check_places(args, 0)
    found = engine.verifier.verify(deep=args.deep)
    terminal.answer(
        Told(
            text=lambda page: verifying.text(found, page),
            markdown=lambda: verifying.as_markdown(found),
            document=lambda: verifying.document(found),
        )
    )
    return ExitCode.ERRORED if found.findings else ExitCode.DONE


def _copy(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:  # noqa: ARG001 - it opens both places itself
    """Copy everything to another place, verified."""
    from airflow_dbt_promotion.render import moving  # noqa: PLC0415 - as late

    _check_places(args, _TWO)
    old, new = args.places
    progress = terminal.progress()
    progress.show(f"copying {old} to {new}, and reading it back")
    try:
        moved = copy_state(old, new, dbt_project_dir=args.dbt_project_dir)
    finally:
        progress.clear()
    terminal.answer(
        Told(
            text=lambda page: moving.text(moved, new, page),
            markdown=lambda: moving.as_markdown(moved, new),
            document=lambda: moving.document(moved, new),
        )
    )
    return ExitCode.DONE


def _import(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Take past promotions from a file as history."""
    from airflow_dbt_promotion.render import importing  # noqa: PLC0415 - as late

    _check_places(args, 1)
    if args.environment is None:
        raise ConfigError("--environment", "name the environment whose past this is")
    path = Path(args.places[0]).expanduser()
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from error
    done = engine.importer.take(args.environment, data, args.places[0], _zone(args.timezone))
    terminal.answer(
        Told(
            text=lambda page: importing.text(done, page),
            markdown=lambda: importing.as_markdown(done),
            document=lambda: importing.document(done),
        )
    )
    return ExitCode.DONE


VERBS: Mapping[str, Callable[[Namespace, Engine, Terminal], ExitCode]] = {
    "show": _show,
    "verify": _verify,
    "copy": _copy,
    "import": _import,
}


def _check_places(args: Namespace, wanted: int) -> None:
    """Raise ConfigError unless so many places were named."""
    told = {0: "takes no place", 1: "takes one file", _TWO: "takes two places, FROM and TO"}[wanted]
    if len(args.places) != wanted:
        raise ConfigError(f"state {args.verb}", f"{told}; {len(args.places)} were named")


def _zone(name: str | None) -> dt.tzinfo | None:
    """Return a time zone by its name. Raises ConfigError."""
    if name is None:
        return None
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigError("--timezone", f"{name!r} is no time zone; write one as Europe/Lisbon, or UTC") from error
