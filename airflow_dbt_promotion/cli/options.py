"""The options of each command, with examples to learn from."""

from __future__ import annotations

import argparse

from airflow_dbt_promotion.cli import promotion_options as promotion
from airflow_dbt_promotion.cli import recovery_options as recovery
from airflow_dbt_promotion.cli.shared_options import locking, models, run_id, run_vars
from airflow_dbt_promotion.core.orders import RunCommand

EXIT_CODES = """\
exit codes:
  0    done, or nothing to do
  1    failed: the data said no (a model or a test failed in the target)
  2    bad input: an unknown model, environment or option among it; nothing was written, nothing was run
  3    refused by a gate; a dry run of a refused plan, and `why` of a model that may not go, too
  4    errored: the machine, dbt or the stored state let us down
  130  interrupted by Ctrl-C; 143 by SIGTERM
"""

_STATUS = """\
examples:
  dbt-promote status
  dbt-promote status --environment staging --models orders,customers
"""
_VALIDATED = """\
examples:
  dbt-promote validated --min-days-in-staging 1             # one name a line
  dbt-promote validated --min-days-in-staging PT12H --pending
"""
_RECORD = """\
examples:
  dbt build --target staging && dbt-promote record --environment staging
  dbt-promote record --environment production --baseline --yes    # adopt what is there already
"""
_WHY = """\
examples:
  dbt-promote why orders --target-environment production
"""
_RUN = """\
examples:
  dbt-promote run --environment production                           # build and test all that was promoted
  dbt-promote run --environment production --select tag:nightly
  dbt-promote run --environment production --command test
  dbt-promote run --environment production --select +orders --dry-run
"""
_EXCLUDE = """\
examples:
  dbt build --target prod --exclude $(dbt-promote exclude --environment production)
"""
_CLEAN = """\
examples:
  dbt-promote clean --dry-run
  dbt-promote clean
"""
_STATE = """\
examples:
  dbt-promote state show
  dbt-promote state show --environment production --full
  dbt-promote state verify --deep
  dbt-promote state copy target/promotion_states s3://acme-dbt/promotion
  dbt-promote state import old_promotions.json --environment production
"""
_CONFIG = """\
examples:
  dbt-promote config check
  dbt-promote config show --environment production
  dbt-promote config show --models orders,customers
  dbt-promote config schema > promotion.schema.json
"""
_HISTORY = """\
examples:
  dbt-promote history --environment production
"""


def status(parser: argparse.ArgumentParser) -> None:
    """Add the options of `status`."""
    parser.add_argument("--environment", metavar="ENV", help="one environment (default: all)")
    models(parser, "these models (default: all)")


def validated(parser: argparse.ArgumentParser) -> None:
    """Add the options of `validated`."""
    parser.add_argument(
        "--min-days-in-staging",
        metavar="DAYS",
        default="1",
        help="soak, in days (1, 0.5) or ISO 8601 (PT12H); default: 1",
    )
    parser.add_argument(
        "--environment", metavar="ENV", help="where (default: the environment that the last of the path promotes from)"
    )
    parser.add_argument("--pending", action="store_true", help="only what the next environment lacks")


def record(parser: argparse.ArgumentParser) -> None:
    """Add the options of `record`."""
    parser.add_argument("--environment", metavar="ENV", required=True, help="the environment in which dbt ran")
    parser.add_argument(
        "--target-path",
        metavar="DIR",
        help="the folder with manifest.json and run_results.json, seen from the project (default: dbt's target folder)",
    )
    parser.add_argument(
        "--baseline",
        action="store_true",
        help="adopt an environment that existed before: enter every model that stands in its warehouse and is not on "
        "record; of the manifest in --target-path, else of the project as it is now; where it was promoted to or "
        "adopted before, with --reason",
    )
    parser.add_argument(
        "--yes", action="store_true", help="with --baseline: the checkout is what the environment was built from"
    )
    parser.add_argument(
        "--reason",
        metavar="TEXT",
        help="count the run towards soak by its own time, however long ago it ended (record_within); "
        "stays on record as the bypass old_evidence, with --baseline as the bypass baseline",
    )
    parser.add_argument(
        "--actor", metavar="NAME", help="who records it (default: the person behind the CI job, else user@host)"
    )


def why(parser: argparse.ArgumentParser) -> None:
    """Add the options of `why`."""
    parser.add_argument("model", metavar="MODEL", help="the model's name")
    parser.add_argument(
        "--target-environment", metavar="ENV", required=True, help="the environment that it would be promoted into"
    )


def history(parser: argparse.ArgumentParser) -> None:
    """Add the options of `history`."""
    parser.add_argument("--environment", metavar="ENV", help="one environment (default: all)")


def run(parser: argparse.ArgumentParser) -> None:
    """Add the options of `run`."""
    parser.add_argument("--environment", metavar="ENV", required=True, help="the environment to run")
    parser.add_argument("--select", metavar="SELECTOR", help="what to run of it, as dbt selects (default: everything)")
    parser.add_argument("--exclude", metavar="SELECTOR", help="what to leave out, as dbt selects")
    parser.add_argument(
        "--command",
        dest="dbt_command",
        choices=[one.value for one in RunCommand],
        default=RunCommand.BUILD.value,
        help="the command of dbt (default: build)",
    )
    parser.add_argument("--full-refresh", action="store_true", help="build incremental models and seeds anew")
    parser.add_argument(
        "--dry-run", action="store_true", help="list what would be executed; write nothing, run nothing"
    )
    run_vars(parser)
    locking(parser, "a promotion, or another run", "who runs it")
    run_id(parser)


def state(parser: argparse.ArgumentParser) -> None:
    """Add the options of `state`."""
    parser.add_argument("verb", choices=("show", "verify", "copy", "import"), help="what to do with it")
    parser.add_argument(
        "places", metavar="PLACE", nargs="*", help="copy: the roots FROM and TO; import: the file of past promotions"
    )
    parser.add_argument("--environment", metavar="ENV", help="show: this one alone; import: whose past it is")
    parser.add_argument("--full", action="store_true", help="show: print the document of --environment as it is")
    parser.add_argument("--deep", action="store_true", help="verify: read every file of every kept release, too")
    parser.add_argument(
        "--timezone", metavar="ZONE", help="import: the zone of instants that name none, such as Europe/Lisbon"
    )


def config(parser: argparse.ArgumentParser) -> None:
    """Add the options of `config`."""
    parser.add_argument("verb", choices=("check", "show", "schema"), help="what to do with it")
    parser.add_argument("--environment", metavar="ENV", help="show: this one alone; whose policy, with --models")
    models(parser, "show: what is asked of these models, by the end of the path or --environment")


def exclude(parser: argparse.ArgumentParser) -> None:
    """Add the options of `exclude`."""
    parser.add_argument(
        "--environment", metavar="ENV", required=True, help="the environment whose promoted versions are to stay"
    )


def clean(parser: argparse.ArgumentParser) -> None:
    """Add the options of `clean`."""
    parser.add_argument("--dry-run", action="store_true", help="list what would be deleted, and delete nothing")
    parser.add_argument(
        "--leave-relations", action="store_true", help="leave warehouses alone; none is asked for what is in it"
    )


COMMANDS = (
    ("promote", "promote models into an environment from the one before it", promotion.PROMOTE, promotion.promote),
    ("ask", "put a plan before people who are to approve it", promotion.ASK, promotion.ask),
    ("approve", "say yes to a plan that people were asked about", promotion.APPROVE, promotion.approve),
    ("reject", "say no to a plan that people were asked about", promotion.REJECT, promotion.reject),
    (
        "approvals",
        "list the plans that people were asked about, and what they said",
        promotion.APPROVALS,
        promotion.approvals,
    ),
    ("status", "tell where every model stands", _STATUS, status),
    ("validated", "list the models that are validated and soaked", _VALIDATED, validated),
    ("record", "take evidence from a dbt run that others made", _RECORD, record),
    ("why", "tell what every gate says of one model, and what would change it", _WHY, why),
    ("history", "list the promotions on record", _HISTORY, history),
    ("run", "run what was promoted to an environment, whatever is checked out", _RUN, run),
    ("exclude", "print a dbt selector of what is checked out and was not promoted", _EXCLUDE, exclude),
    ("resume", "carry on a promotion that broke off", recovery.RESUME, recovery.resume),
    ("unlock", "open the lock of an environment by force, on record", recovery.UNLOCK, recovery.unlock),
    ("rollback", "take an environment back to a checkpoint", recovery.ROLLBACK, recovery.rollback),
    ("checkpoints", "list what an environment can go back to", recovery.CHECKPOINTS, recovery.checkpoints),
    ("hold", "let nothing be promoted into an environment until it is released", recovery.HOLD, recovery.hold),
    ("release", "lift the hold of an environment", recovery.RELEASE, recovery.release),
    ("freeze", "let nothing be promoted into an environment for a time", recovery.FREEZE, recovery.freeze),
    ("thaw", "lift the freeze of an environment", recovery.THAW, recovery.thaw),
    ("unblock", "let versions go again that were blocked", recovery.UNBLOCK, recovery.unblock),
    ("state", "show, verify or copy the state itself, or import what was before it", _STATE, state),
    ("config", "check promotion.yml, show what holds and why, or print its schema", _CONFIG, config),
    ("clean", "delete kept releases, and drop relations of ours, that nobody needs any more", _CLEAN, clean),
)
"""Name, what it does, examples, and what adds its options."""
