"""The commands that go back: to a checkpoint, and those that there are."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from airflow_dbt_promotion.cli.failures import EXIT_CODES, ExitCode
from airflow_dbt_promotion.cli.terminal import Terminal, Told
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.functions import rollback_of
from airflow_dbt_promotion.render.telling import count

if TYPE_CHECKING:
    from airflow_dbt_promotion.core.rolling_back import Return
    from airflow_dbt_promotion.functions import RollbackOptions


def rollback(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Go back to a checkpoint, and tell what that means and how it ended."""
    from airflow_dbt_promotion.render import rolling_back  # noqa: PLC0415 - each command reads only what it needs

    options = {**vars(args), "rebuild": not args.no_rebuild}
    request = rollback_of(args.environment, args.reason, cast("RollbackOptions", options))
    progress = terminal.progress()
    progress.show("planning: reading what is remembered, and what was kept")

    def on_return(back: Return) -> None:
        progress.clear()
        if terminal.reads_text and back.plan.allowed and back.plan.changes and not request.dry_run:
            number = count(len(back.plan.changes))
            terminal.say(f"Rolling {number} of {back.plan.target} back to checkpoint {back.goal.id} ...")

    try:
        done = engine.roll_back(request, progress, on_return)
    finally:
        progress.clear()
    done = replace(done, promotion=replace(done.promotion, warnings=tuple(dict.fromkeys(done.promotion.warnings))))
    for warning in done.promotion.warnings:
        terminal.say(f"warning: {warning}")
    terminal.answer(
        Told(
            text=lambda page: rolling_back.text(done, page),
            markdown=lambda: rolling_back.as_markdown(done),
            document=lambda: rolling_back.document(done),
        )
    )
    return EXIT_CODES[done.outcome]


def checkpoints(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """List what an environment can go back to."""
    from airflow_dbt_promotion.render import checkpoints as telling  # noqa: PLC0415 - as late

    name, state = engine.path.get(args.environment).name, engine.observer.state(args.environment)
    terminal.answer(
        Told(
            text=lambda page: telling.text(name, state, page),
            markdown=lambda: telling.as_markdown(name, state),
            document=lambda: telling.document(name, state),
        )
    )
    return ExitCode.DONE
