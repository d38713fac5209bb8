"""The commands about released code: run it, keep what is not released out of a run, clean up."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from airflow_dbt_promotion.cli.failures import ExitCode
from airflow_dbt_promotion.cli.terminal import Terminal, Told
from airflow_dbt_promotion.engine import Engine, RunOutcome
from airflow_dbt_promotion.functions import order_of
from airflow_dbt_promotion.wiring import actor_here

if TYPE_CHECKING:
    from airflow_dbt_promotion.functions import RunOptions

_PATIENCE = 60.0
"""Seconds that `clean` waits for each promotion or run that is going on."""

EXIT_CODES = {
    RunOutcome.PASSED: ExitCode.DONE,
    RunOutcome.LISTED: ExitCode.DONE,
    RunOutcome.FAILED: ExitCode.FAILED,
}


def run(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Run what was promoted to an environment, and tell how it ended."""
    from airflow_dbt_promotion.render import serving  # noqa: PLC0415 - each command reads only what it needs

    order = order_of(args.environment, cast("RunOptions", {**vars(args), "command": args.dbt_command}))
    progress = terminal.progress()
    progress.show("putting together what was promoted")
    try:
        done = engine.run(order, progress)
    finally:
        progress.clear()
    done = replace(done, warnings=tuple(dict.fromkeys(done.warnings)))
    for warning in done.warnings:
        terminal.say(f"warning: {warning}")
    terminal.answer(
        Told(
            text=lambda page: serving.text(done, page),
            markdown=lambda: serving.as_markdown(done),
            document=lambda: serving.document(done),
        )
    )
    return EXIT_CODES[done.outcome]


def exclude(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Print a dbt selector of what is checked out and was not promoted."""
    from airflow_dbt_promotion.render import exclusion  # noqa: PLC0415 - as late

    found = engine.exclusion(args.environment)
    terminal.answer(
        Told(
            text=lambda _: exclusion.text(found),
            markdown=lambda: exclusion.as_markdown(found),
            document=lambda: exclusion.document(found),
        )
    )
    return ExitCode.DONE


def clean(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Delete what nobody needs, after saying what that is."""
    from airflow_dbt_promotion.render import waste as telling  # noqa: PLC0415 - as late

    relations = () if args.leave_relations else engine.sweeper.found()
    found, deletes = telling.Rubbish(waste=engine.cleaner.waste(), relations=relations), not args.dry_run
    if deletes and (found.names or relations):
        if terminal.reads_text and found.names:
            terminal.say(telling.text(found, terminal.page(terminal.err), deleted=False).rstrip())
        owner = actor_here(os.environ)
        swept = engine.sweeper.sweep(relations, owner, _PATIENCE)
        engine.cleaner.remove(found.waste, owner, _PATIENCE)
        found = telling.Rubbish(waste=found.waste, relations=swept)
    terminal.answer(
        Told(
            text=lambda page: telling.text(found, page, deleted=deletes),
            markdown=lambda: telling.as_markdown(found, deleted=deletes),
            document=lambda: telling.document(found, deleted=deletes),
        )
    )
    return ExitCode.DONE
