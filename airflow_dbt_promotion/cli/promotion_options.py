"""The options of promoting, and of asking people about it."""

from __future__ import annotations

import argparse

from airflow_dbt_promotion.cli.shared_options import locking, models, natural, run_id, run_vars
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy

PROMOTE = """\
examples:
  dbt-promote promote --target-environment production                          # all that may go now
  dbt-promote promote --target-environment production --dry-run                # what would go, what not, and why
  dbt-promote promote --target-environment production --models customers,orders
  dbt-promote promote --target-environment production --models orders --include-upstream --include-downstream
  dbt-promote promote --target-environment production --select tag:nightly --output-format json
  dbt-promote promote --target-environment production --models orders --skip-tests --reason "hotfix, INC-42"
  dbt-promote promote --target-environment production --plan 3f9c2a10          # what people approved, nothing else
"""
ASK = """\
examples:
  dbt-promote ask --target-environment production                    # all that may go, but for their approval
  dbt-promote ask --target-environment production --models orders
"""
APPROVE = """\
examples:
  dbt-promote approve --environment production --plan 3f9c2a10 --comment "numbers checked with finance"
"""
REJECT = """\
examples:
  dbt-promote reject --environment production --plan 3f9c2a10 --comment "not before the audit"
  dbt-promote reject --environment production --plan 3f9c2a10 --models orders,customers
"""
APPROVALS = """\
examples:
  dbt-promote approvals --environment production
"""


def promote(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promote`."""
    how = _plan(parser)
    how.add_argument(
        "--plan",
        metavar="PLAN",
        help="promote this very plan, which people were asked about; --models and --select are left out",
    )
    how.add_argument("--dry-run", action="store_true", help="tell what would happen; write nothing, run nothing")
    how.add_argument("--no-update-state", action="store_true", help="plan and validate only; change nothing")
    after = parser.add_argument_group("once it is published")
    after.add_argument(
        "--verify", action="store_true", default=None, help="run the tests again in place (default: policy says)"
    )
    after.add_argument(
        "--rollback-on-failure",
        action="store_true",
        default=None,
        help="go back where they fail; verifies for that (default: policy says)",
    )
    run_vars(how)
    locking(how, "another promotion", "who promotes")
    run_id(how)


def ask(parser: argparse.ArgumentParser) -> None:
    """Add the options of `ask`."""
    how = _plan(parser)
    how.add_argument("--actor", metavar="NAME", help="who asks (default: the person behind the CI job, else user@host)")
    how.add_argument("--link", metavar="URL", help="where a person can look at this run (default: the CI job)")


def approve(parser: argparse.ArgumentParser) -> None:
    """Add the options of `approve`."""
    _word(parser, "who approves")


def reject(parser: argparse.ArgumentParser) -> None:
    """Add the options of `reject`."""
    _word(parser, "who rejects")
    models(parser, "the models whose versions are rejected (default: those of the plan with changes of their own)")


def approvals(parser: argparse.ArgumentParser) -> None:
    """Add the options of `approvals`."""
    parser.add_argument("--environment", metavar="ENV", required=True, help="the environment")


def _word(parser: argparse.ArgumentParser, who: str) -> None:
    """Add what every command has that says a word on a plan."""
    parser.add_argument("--environment", metavar="ENV", required=True, help="the environment it would be promoted into")
    parser.add_argument("--plan", metavar="PLAN", required=True, help="the plan's id, or the beginning of it")
    parser.add_argument("--comment", metavar="TEXT", default="", help="why; stays on record")
    parser.add_argument(
        "--actor",
        metavar="NAME",
        help=f"{who} (default: the person behind the CI job, else user@host): a name that is only claimed",
    )
    parser.add_argument("--link", metavar="URL", help="where a person can look at this (default: the CI job)")


def _plan(parser: argparse.ArgumentParser) -> argparse._ArgumentGroup:
    """Add what is planned, and what is asked of it; return the group of how it is done."""
    what = parser.add_argument_group("what")
    what.add_argument("--target-environment", metavar="ENV", required=True, help="the environment to promote into")
    what.add_argument(
        "--source-environment",
        metavar="ENV",
        help="where from; has to be the one before it on the path (default: that)",
    )
    models(what, "the models, or all-validated (default): all that may go")
    what.add_argument(
        "--select", metavar="SELECTOR", help="a dbt selector in place of --models, such as tag:nightly or +orders"
    )
    what.add_argument(
        "--version",
        metavar="VERSION",
        help="the version to promote of the one model that is named, or MODEL=VERSION, separated by commas; one "
        "that is older than what the target holds or held is a bypass and needs --reason",
    )
    what.add_argument("--include-upstream", action="store_true", help="add the parents that must come along")
    what.add_argument(
        "--include-downstream", action="store_true", help="add the children that would be left on an older parent"
    )
    what.add_argument(
        "--include-macro-users",
        action="store_true",
        help="add the models in the target that rely on another text of a macro, or another value of a var",
    )
    what.add_argument(
        "--allow-stale-downstream",
        action="store_true",
        help="leave these children; the target is marked as not whole until they follow",
    )
    what.add_argument(
        "--allow-removals",
        action="store_true",
        help="let go of models that the project does not have any more; nothing is dropped",
    )
    what.add_argument("--force", action="store_true", help="build again what the target holds already")
    asked = parser.add_argument_group("what is asked of them")
    asked.add_argument(
        "--min-days-in-staging",
        metavar="DAYS",
        help="soak, in days (1, 0.5) or ISO 8601 (PT12H); less than policy asks is a bypass and needs --reason",
    )
    asked.add_argument(
        "--min-successful-runs",
        metavar="N",
        type=natural,
        help="at least that many passing runs since a version entered",
    )
    asked.add_argument("--run-tests", action="store_true", help="run in the source what evidence lacks, now")
    asked.add_argument(
        "--skip-tests", action="store_true", help="ask for no tests: a bypass, on record for good; needs --reason"
    )
    asked.add_argument(
        "--overrule-rejection",
        action="store_true",
        help="promote the named models though people rejected their versions: a bypass, needs --reason",
    )
    asked.add_argument("--reason", metavar="TEXT", help="why a gate is gone around")
    how = parser.add_argument_group("how")
    how.add_argument(
        "--strategy",
        choices=[one.value for one in Strategy],
        help="blue_green: build and test beside, swap at once (default where that is known); build: in place; clone: "
        "swap in clones of the source; record: write state only",
    )
    how.add_argument(
        "--on-incremental-change",
        choices=[one.value for one in IncrementalChange],
        help="what becomes of the rows of an incremental model whose code changed",
    )
    return how
