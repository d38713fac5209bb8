"""The commands by which plans are put before people, and by which these say yes or no."""

from __future__ import annotations

import os
from argparse import Namespace
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from airflow_dbt_promotion.cli.failures import EXIT_CODES, ExitCode
from airflow_dbt_promotion.cli.terminal import Terminal, Told
from airflow_dbt_promotion.core.approval_gate import unapproved
from airflow_dbt_promotion.core.approvals import Approval, Decision, Identity, Person, Vote
from airflow_dbt_promotion.core.eligibility import GateName, Verdict
from airflow_dbt_promotion.core.names import split
from airflow_dbt_promotion.engine import Engine, Promotion
from airflow_dbt_promotion.functions import request_of
from airflow_dbt_promotion.wiring import actor_here, link_here

if TYPE_CHECKING:
    from airflow_dbt_promotion.functions import PromotionOptions


def ask(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Put a plan before people; one that could not go with their approval, or needs none, is only told."""
    options = cast("PromotionOptions", vars(args))
    request = request_of(
        args.target_environment, args.models, require_tests=not args.skip_tests, update_state=True, options=options
    )
    request = replace(request, to_approve=True)
    progress = terminal.progress()
    progress.show("planning: reading what is remembered, and the project")
    try:
        done = engine.promote(replace(request, dry_run=True))
    finally:
        progress.clear()
    plan = done.plan
    if not unapproved([verdict for _, verdict in plan.refusals]):
        return _only_tell(done, terminal)
    if terminal.reads_text and (before := engine.approvals.moved(plan)) is not None:
        terminal.say(f"what moved since people had a word on plan {before[0].plan_id[:8]}: {'; '.join(before[1])}")
    requester = Person(name=request.actor, identity=Identity.CLAIMED)
    approval = engine.approvals.ask(request, plan, requester, request.link)
    return _tell(plan.target, approval, engine.approvals.standing(plan, request), terminal)


def approve(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Say yes to a plan."""
    return _word(args, engine, terminal, Decision.APPROVE)


def reject(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """Say no to a plan."""
    return _word(args, engine, terminal, Decision.REJECT)


def approvals(args: Namespace, engine: Engine, terminal: Terminal) -> ExitCode:
    """List the plans that people were asked about."""
    from airflow_dbt_promotion.render import approvals as telling  # noqa: PLC0415 - each command reads only what it needs

    name, found = engine.path.get(args.environment).name, engine.approvals.of(args.environment)
    terminal.answer(
        Told(
            text=lambda page: telling.text(name, found, page),
            markdown=lambda: telling.as_markdown(name, found),
            document=lambda: telling.document(name, found),
        )
    )
    return ExitCode.DONE


def _word(args: Namespace, engine: Engine, terminal: Terminal, decision: Decision) -> ExitCode:
    """Write down what somebody says, and tell how the plan stands now."""
    vote = Vote(
        decision=decision,
        at=engine.clock(),
        actor=args.actor or actor_here(os.environ),
        identity=Identity.CLAIMED,
        comment=args.comment.strip(),
        link=args.link or link_here(os.environ),
    )
    models = split(args.models) if decision is Decision.REJECT else None
    approval = engine.approvals.vote(args.environment, args.plan, vote, models=models)
    verdict = engine.approvals.verdict(args.environment, approval.plan_id)
    return _tell(engine.path.get(args.environment).name, approval, verdict, terminal)


def _tell(environment: str, approval: Approval, verdict: Verdict, terminal: Terminal) -> ExitCode:
    """Tell how a plan stands."""
    from airflow_dbt_promotion.render import approvals as telling  # noqa: PLC0415 - as late
    from airflow_dbt_promotion.render import markdown  # noqa: PLC0415 - as late

    told = telling.answer(environment, approval, verdict)
    terminal.answer(
        Told(
            text=lambda page: (
                telling.text(environment, (approval,), page) + "\n" + "\n".join(page.paragraph(told)) + "\n"
            ),
            markdown=lambda: f"{telling.as_markdown(environment, (approval,))}\n{markdown.escaped(told)}\n",
            document=lambda: telling.document(environment, (approval,), verdict),
        )
    )
    return ExitCode.DONE


def _only_tell(done: Promotion, terminal: Terminal) -> ExitCode:
    """Tell of a plan about which nobody has to be asked, or that could not go if people said yes."""
    from airflow_dbt_promotion.render import approvals as telling  # noqa: PLC0415 - as late
    from airflow_dbt_promotion.render import markdown, text  # noqa: PLC0415 - as late

    plan = done.plan
    if plan.allowed:
        terminal.say("nobody was asked: this plan may go without anybody's approval")
    else:
        terminal.say("nobody was asked: more than an approval is missing")
    refusal = next((verdict for _, verdict in plan.refusals if verdict.gate is not GateName.APPROVAL), None)
    terminal.answer(
        Told(
            text=lambda page: text.promotion(done, page),
            markdown=lambda: markdown.promotion(done),
            document=lambda: telling.document(plan.target, (), refusal),
        )
    )
    return EXIT_CODES[done.outcome]
