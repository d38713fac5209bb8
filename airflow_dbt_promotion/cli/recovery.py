"""The commands for what broke off: carry it on, or open its lock."""

from __future__ import annotations

import os
from argparse import Namespace

from msgspec.structs import replace

from airflow_dbt_promotion.cli.failures import EXIT_CODES, ExitCode
from airflow_dbt_promotion.cli.terminal import Terminal, Told
from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.engine import Engine, PromotionRequest
from airflow_dbt_promotion.render import documents, markdown, text
from airflow_dbt_promotion.wiring import actor_here, link_here


def resume(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Carry on the promotion that broke off, and tell how it ended."""
    request = PromotionRequest(
        target=args.environment,
        lock_timeout=args.lock_timeout,
        actor=args.actor or actor_here(os.environ),
        link=args.link or link_here(os.environ),
    )
    progress = terminal.progress()
    progress.show("reading what was begun")
    try:
        done = engine.resume(request, progress)
    finally:
        progress.clear()
    done = replace(done, warnings=tuple(dict.fromkeys(done.warnings)))
    for warning in done.warnings:
        terminal.say(f"warning: {warning}")
    terminal.answer(
        Told(
            text=lambda page: text.promotion(done, page),
            markdown=lambda: markdown.promotion(done),
            document=lambda: documents.promotion_document(done),
        )
    )
    return EXIT_CODES[done.outcome]


def unlock(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Open the lock of an environment by force, on record, and tell whose it was."""
    from airflow_dbt_promotion.render import unlocking  # noqa: PLC0415 - each command reads only what it needs

    if not args.force:
        raise ConfigError(
            "--force",
            "say it, if whoever has the lock is surely dead; it is then shut out for good, and who opened it and why "
            "stays on record",
        )
    opened = engine.unlock(args.environment, args.actor or actor_here(os.environ), args.reason)
    state = engine.observer.state(args.environment)
    found = unlocking.Unlocked(environment=args.environment, opened=opened, state=state)
    terminal.answer(
        Told(
            text=lambda page: unlocking.text(found, page),
            markdown=lambda: unlocking.as_markdown(found),
            document=lambda: unlocking.document(found),
        )
    )
    return ExitCode.DONE
