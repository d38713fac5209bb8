"""The command line as it is written, and what is said of one that cannot be read."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import NoReturn

from airflow_dbt_promotion import __version__
from airflow_dbt_promotion.cli.options import COMMANDS, EXIT_CODES
from airflow_dbt_promotion.cli.shared_options import FORMATS, shared
from airflow_dbt_promotion.core.errors import InputError

_WIDTH = 100


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


def read(argv: Sequence[str]) -> argparse.Namespace:
    """Return the options of a command line; raise UsageError, or SystemExit after --help and --version."""
    parser = _parser()
    found, unknown = parser.parse_known_args(argv)
    if unknown:
        found.parser.error(f"unrecognized arguments: {' '.join(unknown)}")  # the command's own, which knows its options
    return found


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
        epilog=f"{EXIT_CODES}\n`dbt-promote COMMAND --help` tells of each command, with examples.",
        formatter_class=_formatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action="version", version=f"dbt-promote {__version__} (Python {sys.version.split()[0]})"
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, parser_class=_Parser)
    for name, told, examples, fill in COMMANDS:
        command = commands.add_parser(
            name,
            help=told,
            description=told[0].upper() + told[1:] + ".",
            epilog=f"{examples}\n{EXIT_CODES}",
            formatter_class=_formatter,
            allow_abbrev=False,
        )
        shared(command)
        fill(command)
        command.set_defaults(parser=command)
    return parser


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return what lays help out: examples as written, options in a column."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=34, width=_WIDTH)
