"""The options of the commands for what went wrong: a promotion that broke off, a lock, a version, an environment."""

from __future__ import annotations

import argparse

from airflow_dbt_promotion.cli.shared_options import locking, models, run_id, run_vars

RESUME = """\
examples:
  dbt-promote resume --environment production
"""
UNLOCK = """\
examples:
  dbt-promote unlock --environment production --force --reason "the runner was shut down, INC-42"
"""
ROLLBACK = """\
examples:
  dbt-promote rollback --environment production --reason "orders doubles rows, INC-42" --dry-run
  dbt-promote rollback --environment production --reason "orders doubles rows, INC-42"
  dbt-promote rollback --environment production --to 3f9c2a10 --reason "INC-42" --no-rebuild
"""
CHECKPOINTS = """\
examples:
  dbt-promote checkpoints --environment production
"""
HOLD = """\
examples:
  dbt-promote hold --environment production --reason "the books are closed until Monday"
"""
RELEASE = """\
examples:
  dbt-promote release --environment production --reason "INC-42 is understood"
"""
FREEZE = """\
examples:
  dbt-promote freeze --environment production --reason "year end" --until 2027-01-04T08:00+01:00
  dbt-promote freeze --environment production --reason "the board looks at it" --until PT4H
  dbt-promote freeze --environment production --reason "INC-42"
"""
THAW = """\
examples:
  dbt-promote thaw --environment production --reason "the books are closed"
"""
UNBLOCK = """\
examples:
  dbt-promote unblock --environment production --models orders --reason "the source was at fault, not the model"
"""


def resume(parser: argparse.ArgumentParser) -> None:
    """Add the options of `resume`."""
    parser.add_argument(
        "--environment", metavar="ENV", required=True, help="the environment into which a promotion broke off"
    )
    run_vars(parser)
    locking(parser, "whoever has the lock", "who resumes it")


def unlock(parser: argparse.ArgumentParser) -> None:
    """Add the options of `unlock`."""
    parser.add_argument("--environment", metavar="ENV", required=True, help="the environment whose lock is opened")
    parser.add_argument("--force", action="store_true", help="open it, whoever has it; required")
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; stays on record")
    parser.add_argument(
        "--actor", metavar="NAME", help="who opens it (default: the person behind the CI job, else user@host)"
    )


def rollback(parser: argparse.ArgumentParser) -> None:
    """Add the options of `rollback`."""
    parser.add_argument("--environment", metavar="ENV", required=True, help="the environment to take back")
    parser.add_argument(
        "--to", metavar="CHECKPOINT", help="the checkpoint to go back to (default: the newest that is whole)"
    )
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; stays on record")
    parser.add_argument("--dry-run", action="store_true", help="tell what would happen; write nothing, run nothing")
    parser.add_argument(
        "--no-rebuild", action="store_true", help="leave what comes back with its old rows; do not build it anew"
    )
    locking(parser, "a promotion, or a run", "who takes it back")
    run_id(parser)


def checkpoints(parser: argparse.ArgumentParser) -> None:
    """Add the options of `checkpoints`."""
    parser.add_argument("--environment", metavar="ENV", required=True, help="the environment")


def hold(parser: argparse.ArgumentParser) -> None:
    """Add the options of `hold`."""
    _braking(parser, "the environment into which nothing is to be promoted", "who holds it")


def release(parser: argparse.ArgumentParser) -> None:
    """Add the options of `release`."""
    _braking(parser, "the environment whose hold is lifted", "who lifts it")


def freeze(parser: argparse.ArgumentParser) -> None:
    """Add the options of `freeze`."""
    _braking(parser, "the environment into which nothing is to be promoted", "who freezes it")
    parser.add_argument(
        "--until",
        metavar="INSTANT",
        help="when it ends by itself: an instant with its zone, or how long (PT4H, P2D); default: by `thaw` alone",
    )


def thaw(parser: argparse.ArgumentParser) -> None:
    """Add the options of `thaw`."""
    _braking(parser, "the environment whose freeze is lifted", "who lifts it")


def unblock(parser: argparse.ArgumentParser) -> None:
    """Add the options of `unblock`."""
    _braking(parser, "the environment in which versions are blocked", "who lifts it")
    models(parser, "whose versions are unblocked (default: all that are blocked)")


def _braking(parser: argparse.ArgumentParser, what: str, who: str) -> None:
    """Add what every command has that stops something, or lets it go again."""
    parser.add_argument("--environment", metavar="ENV", required=True, help=what)
    parser.add_argument("--reason", metavar="TEXT", required=True, help="why; stays on record")
    parser.add_argument(
        "--actor", metavar="NAME", help=f"{who} (default: the person behind the CI job, else user@host)"
    )
