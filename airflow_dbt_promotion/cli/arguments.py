"""The command line as it is written: commands, options, help."""

from __future__ import annotations

import argparse
import difflib
import math
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from airflow_dbt_promotion import __version__
from airflow_dbt_promotion.core.environment import IncrementalChange, Strategy
from airflow_dbt_promotion.core.errors import InputError

FORMATS = ("text", "json", "markdown")
_WIDTH = 100

_EXIT_CODES = """\
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
_HISTORY = """\
examples:
  dbt-promote history --environment production
"""


class UsageError(InputError):
    """A command line that cannot be read."""

    code = "usage"


class _Parser(argparse.ArgumentParser):
    """Raises what argparse would print and exit with."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint with a near option, where an option is unknown, and with where help is."""
        near = [
            found
            for word in message.split()
            if word.startswith("--") and message.startswith("unrecognized")
            for found in difflib.get_close_matches(word.partition("=")[0], list(self._option_string_actions), n=1)
        ]
        hint = f"; did you mean {' '.join(near)}?" if near else ""
        raise UsageError(f"{message}{hint} (`{self.prog} --help` tells more)")

    def parse_args(self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None) -> argparse.Namespace:  # type: ignore[override]
        """Read a command line; hand what no command knows to the command's own parser, which knows its options."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parser: argparse.ArgumentParser = getattr(found, "parser", self)
            parser.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found


def read(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line; raise UsageError, or SystemExit after --help and --version."""
    return _parser().parse_args(argv)


def help_text() -> str:
    """Return the help of the program as a whole."""
    return _parser().format_help()


def format_of(argv: Sequence[str]) -> str:
    """Return the output format of a command line that could not be read; text where it names none that is known."""
    for before, word in zip(["", *argv], argv, strict=False):
        name, _, value = word.partition("=")
        found = value if name == "--output-format" and value else word if before == "--output-format" else ""
        if found in FORMATS:
            return found
    return "text"


def _parser() -> _Parser:
    """Return the whole command line."""
    parser = _Parser(
        prog="dbt-promote",
        description="Promote dbt models from one environment to the next, with tests, soak and history.",
        epilog=f"{_EXIT_CODES}\n`dbt-promote COMMAND --help` tells of each command, with examples.",
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"dbt-promote {__version__} (Python {sys.version.split()[0]})")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    shared = _shared()
    for name, told, epilog, fill in (
        ("promote", "promote models into an environment from the one before it", _PROMOTE, _promote),
        ("status", "tell where every model stands", _STATUS, _status),
        ("validated", "list the models that are validated and soaked", _VALIDATED, _validated),
        ("record", "take evidence from a dbt run that others made", _RECORD, _record),
        ("why", "tell what every gate says of one model, and what would change it", _WHY, _why),
        ("history", "list the promotions on record", _HISTORY, _history),
    ):
        command = commands.add_parser(
            name,
            help=told,
            description=told[0].upper() + told[1:] + ".",
            epilog=f"{epilog}\n{_EXIT_CODES}",
            parents=[shared],
            formatter_class=_formatter,
            allow_abbrev=False,
        )
        fill(command)
        command.set_defaults(parser=command)
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return what lays help out: examples as written, options in a column."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=34, width=_WIDTH)


def _shared() -> argparse.ArgumentParser:
    """Return the options that every command has."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    place = parser.add_argument_group("where the project is")
    place.add_argument("--dbt-project-dir", metavar="DIR", default=".", help="the dbt project's folder (default: here)")
    place.add_argument("--profiles-dir", metavar="DIR", help="the folder of profiles.yml (default: where dbt finds it)")
    place.add_argument("--profile", metavar="NAME", help="the dbt profile (default: the one in dbt_project.yml)")
    place.add_argument("--state", metavar="ROOT", help="the root of the promotion state (default: `state` in promotion.yml)")
    place.add_argument("--dbt-executable-path", metavar="FILE", help="another dbt, or a Python that has dbt (default: the one installed here)")
    output = parser.add_argument_group("output")
    output.add_argument("--output-format", choices=FORMATS, default="text", help="text (default), json or markdown; json goes to standard output alone")
    output.add_argument("--debug", action="store_true", help="show tracebacks (also: PROMOTION_DEBUG=1)")
    return parser


def _models(parser: argparse._ActionsContainer, told: str) -> None:
    """Add `--models`."""
    parser.add_argument("--models", metavar="NAME", nargs="+", action="extend", help=f"{told}; names separated by commas or spaces, several times too")


def _promote(parser: argparse.ArgumentParser) -> None:
    """Add the options of `promote`."""
    what = parser.add_argument_group("what")
    what.add_argument("--target-environment", metavar="ENV", required=True, help="the environment to promote into")
    what.add_argument("--source-environment", metavar="ENV", help="where from; has to be the one before it on the path (default: that)")
    _models(what, "the models, or all-validated (default): all that may go")
    what.add_argument("--select", metavar="SELECTOR", help="a dbt selector in place of --models, such as tag:nightly or +orders")
    what.add_argument("--include-upstream", action="store_true", help="add the parents that must come along")
    what.add_argument("--include-downstream", action="store_true", help="add the children that would be left on an older parent")
    what.add_argument("--allow-stale-downstream", action="store_true", help="leave these children; the target is marked as not whole until they follow")
    what.add_argument("--allow-removals", action="store_true", help="let go of models that the project does not have any more; nothing is dropped")
    what.add_argument("--force", action="store_true", help="build again what the target holds already")
    asked = parser.add_argument_group("what is asked of them")
    asked.add_argument("--min-days-in-staging", metavar="DAYS", help="soak, in days (1, 0.5) or ISO 8601 (PT12H); less than policy asks is a bypass and needs --reason")
    asked.add_argument("--min-successful-runs", metavar="N", type=_natural, help="at least that many passing runs since a version entered")
    asked.add_argument("--run-tests", action="store_true", help="run in the source what evidence lacks, now")
    asked.add_argument("--skip-tests", action="store_true", help="ask for no tests: a bypass, on record for good; needs --reason")
    asked.add_argument("--reason", metavar="TEXT", help="why a gate is gone around")
    how = parser.add_argument_group("how")
    how.add_argument("--dry-run", action="store_true", help="tell what would happen; write nothing, run nothing")
    how.add_argument("--no-update-state", action="store_true", help="plan and validate only; change nothing")
    how.add_argument("--strategy", choices=[one.value for one in Strategy], help="build: dbt builds exactly the plan (default); record: write state only")
    how.add_argument("--on-incremental-change", choices=[one.value for one in IncrementalChange], help="what becomes of the rows of an incremental model whose code changed")
    how.add_argument("--lock-timeout", metavar="SECONDS", type=_seconds, default=60.0, help="how long to wait for another promotion (default: 60)")
    how.add_argument("--actor", metavar="NAME", help="who promotes (default: the person behind the CI job, else user@host)")
    how.add_argument("--link", metavar="URL", help="where a person can look at this run (default: the CI job)")


def _status(parser: argparse.ArgumentParser) -> None:
    """Add the options of `status`."""
    parser.add_argument("--environment", metavar="ENV", help="one environment (default: all)")
    _models(parser, "these models (default: all)")


def _validated(parser: argparse.ArgumentParser) -> None:
    """Add the options of `validated`."""
    parser.add_argument("--min-days-in-staging", metavar="DAYS", default="1", help="soak, in days (1, 0.5) or ISO 8601 (PT12H); default: 1")
    parser.add_argument("--environment", metavar="ENV", help="where (default: the environment that the last of the path promotes from)")
    parser.add_argument("--pending", action="store_true", help="only what the next environment lacks")


def _record(parser: argparse.ArgumentParser) -> None:
    """Add the options of `record`."""
    parser.add_argument("--environment", metavar="ENV", required=True, help="the environment in which dbt ran")
    parser.add_argument("--target-path", metavar="DIR", help="the folder with manifest.json and run_results.json, seen from the project (default: dbt's target folder)")
    parser.add_argument("--baseline", action="store_true", help="adopt an environment that existed before: enter every model that is not on record; "
                        "of the manifest in --target-path, else of the project as it is now")


def _why(parser: argparse.ArgumentParser) -> None:
    """Add the options of `why`."""
    parser.add_argument("model", metavar="MODEL", help="the model's name")
    parser.add_argument("--target-environment", metavar="ENV", required=True, help="the environment that it would be promoted into")


def _history(parser: argparse.ArgumentParser) -> None:
    """Add the options of `history`."""
    parser.add_argument("--environment", metavar="ENV", help="one environment (default: all)")


def _number(what: str, read_number: Callable[[str], float]) -> Callable[[str], float]:
    """Return what reads a finite number of 0 or more."""

    def reads(text: str) -> float:
        try:
            found = read_number(text)
        except ValueError:
            found = -1
        if found < 0 or not math.isfinite(found):
            raise argparse.ArgumentTypeError(f"{text!r} is not {what} of 0 or more")
        return found

    return reads


_natural = _number("a whole number", int)
_seconds = _number("a number of seconds", float)
