"""`dbt-promote`: the same engine, without Airflow."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, cast

from airflow_dbt_promotion.cli.arguments import format_of, help_text, read
from airflow_dbt_promotion.cli.failures import ExitCode, Failure, Terminated, failure_of
from airflow_dbt_promotion.cli.terminal import Terminal, Told

if TYPE_CHECKING:
    from types import FrameType

    from airflow_dbt_promotion.engine import Engine
    from airflow_dbt_promotion.functions import PlaceOptions
    from airflow_dbt_promotion.wiring import Place

    EngineFor = Callable[[Place], Engine]

__all__ = ["ExitCode", "main"]


def main(argv: Sequence[str] | None = None, *, engine_for: EngineFor | None = None) -> int:
    """Run one command and return its exit code.

    `argv` are the words after the program's name (default: those of the process), `engine_for` makes the engine of a
    place (default: the wiring's).
    """
    words = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal(format_of(words), os.environ)
    args: Namespace | None = None
    try:
        with _terminable():
            if not words:
                terminal.err.write(help_text())
                return ExitCode.BAD_INPUT
            args = read(words)
            return _carry_out(args, terminal, engine_for)
    except (SystemExit, BrokenPipeError):  # after --help and --version, which somebody may have stopped to read
        terminal.close()
        return ExitCode.DONE
    except BaseException as error:  # noqa: BLE001 - the last resort: whatever it is, it is told and has an exit code
        return _fail(error, args, terminal, words)


def _carry_out(args: Namespace, terminal: Terminal, engine_for: EngineFor | None) -> int:
    """Make the engine and run the command; whatever prints meanwhile prints to standard error."""
    from airflow_dbt_promotion.cli.commands import COMMANDS  # noqa: PLC0415 - `--help` needs none of it
    from airflow_dbt_promotion.cli.configuration import configuration  # noqa: PLC0415
    from airflow_dbt_promotion.functions import place_of  # noqa: PLC0415
    from airflow_dbt_promotion.wiring import engine_for as wired  # noqa: PLC0415

    given = vars(args)
    environment = given.get("target_environment") or given.get("environment") or ""
    place = place_of(cast("PlaceOptions", given), environment, given.get("vars"))
    with redirect_stdout(terminal.err):
        make = engine_for or wired
        if args.command == "config":
            return configuration(args, lambda: make(place), terminal)
        return COMMANDS[args.command](args, make(place), terminal)


def _fail(error: BaseException, args: Namespace | None, terminal: Terminal, words: Sequence[str]) -> int:
    """Tell what went wrong: to people on standard error, and to machines on standard output."""
    failure = failure_of(error)
    if (args is not None and args.debug) or "--debug" in words or os.environ.get("PROMOTION_DEBUG"):
        terminal.err.write("".join(traceback.format_exception(error)))
    terminal.say(f"error: {failure.document.message}")
    if failure.hint:
        terminal.say(failure.hint)
    if not terminal.reads_text:
        terminal.answer(_told(failure, args, promoting=words[:1] == ["promote"]))
    return failure.exit_code


def _told(failure: Failure, args: Namespace | None, *, promoting: bool) -> Told:
    """Return a failure in its forms; that of a promotion has every field that a promotion has."""
    from airflow_dbt_promotion.render import documents, markdown  # noqa: PLC0415 - only what fails needs it

    def document() -> dict[str, object]:
        if not promoting:
            return documents.failure_document(failure.document)
        target = args.target_environment if args is not None else None
        dry_run = args is not None and (args.dry_run or args.no_update_state)
        return documents.failed_promotion_document(failure.document, target, dry_run=dry_run)

    return Told(
        text=lambda _: "",
        markdown=lambda: f"## Errored\n\n{markdown.escaped(failure.document.message)}\n",
        document=document,
    )


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end what is going on as Ctrl-C does, so that it is cleaned up and told; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(_signal: int, _frame: FrameType | None) -> None:
        raise Terminated("by SIGTERM")

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
