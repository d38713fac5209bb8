"""The options of each command, with examples to learn from."""

from __future__ import annotations

import argparse

from airflow_dbt_promotion.cli import recovery_options as recovery
from airflow_dbt_promotion.cli.shared_options import locking, models, natural, run_id
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
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

_PROMOTE = """\
examples:
  dbt-promote promote --target-environment production                          # all that may go now
  dbt-promote promote --target-environment production --dry-run                # what would go, what not, and why
  dbt-promote promote --target-environment production --models customers,orders
  dbt-promote promote --target-environment production --models orders --include-upstream --include-downstream
  dbt-promote promote --target-environment production --select tag:nightly --output-format json
  dbt-promote promote --target-environment production --models orders --skip-tests --reason "hotfix, INC-42"
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
  dbt-promote record --environment production --baseline    # adopt what is there already
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
_HISTORY = """\
examples:
  dbt-promote history --environment production
"""


def promote(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promote`."""
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
    asked.add_argument("--reason", metavar="TEXT", help="why a gate is gone around")
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="tell what would happen; write nothing, run nothing")
    how.add_argument("--no-update-state", action="store_true", help="plan and validate only; change nothing")
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
    locking(how, "another promotion", "who promotes")
    run_id(how)


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
        help="adopt an environment that existed before: enter every model that is not on record; "
        "of the manifest in --target-path, else of the project as it is now",
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
    ("promote", "promote models into an environment from the one before it", _PROMOTE, promote),
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
    ("clean", "delete kept releases, and drop relations of ours, that nobody needs any more", _CLEAN, clean),
)
"""Name, what it does, examples, and what adds its options."""
