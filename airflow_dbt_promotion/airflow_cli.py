"""`airflow dbt-promotion ...`: the commands of `dbt-promote`, for those who have `airflow` at hand (Airflow 3.2).

Airflow imports this module at each of its commands, so it loads nothing of ours; the words go to the one parser of
`dbt-promote` as they are, so there is nothing here that could say otherwise.
"""

from __future__ import annotations

import argparse
import sys

from airflow.cli.cli_config import ActionCommand, Arg, CLICommand, lazy_load_command

NAME = "dbt-promotion"
CONNECTION = "--promotion-conn-id"

# No word of a command line can hold it, so that every word, `--help` too, is taken as it stands.
_NO_PREFIX = "\0"


class Words(Arg):
    """All words that follow, options among them."""

    def __init__(self) -> None:
        super().__init__(flags=("words",))  # type: ignore[no-untyped-call]

    def add_to_parser(self, parser: argparse.ArgumentParser) -> None:
        """Let a parser of Airflow's hand on what it is given."""
        parser.prefix_chars = _NO_PREFIX
        parser.add_argument(*self.flags, nargs=argparse.REMAINDER)


def get_commands() -> list[CLICommand]:
    """Return what Airflow adds to its own commands."""
    return [
        ActionCommand(
            name=NAME,
            help="Promote dbt models from one environment to the next (dbt-promote)",
            func=lazy_load_command(f"{__name__}.run"),
            args=(Words(),),
        )
    ]


def run(args: argparse.Namespace) -> None:
    """Run a command of `dbt-promote` with what Airflow's configuration, or a connection, says of the project.

    Ends the process with its exit code. `--promotion-conn-id` names a connection of type `dbt_promotion`.
    """
    from airflow_dbt_promotion.cli import main  # noqa: PLC0415 - only who asks for it pays

    sys.exit(main(_settled(list(args.words))))


def _settled(words: list[str]) -> list[str]:
    """Return the words with the settings that they leave open, as far as Airflow knows them."""
    from airflow_dbt_promotion.hooks.promotion import PromotionHook  # noqa: PLC0415 - as late

    if not words or words[0].startswith("-"):
        return words
    chosen = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    chosen.add_argument(CONNECTION, dest="connection")
    said, rest = chosen.parse_known_args(words[1:])
    found = PromotionHook(promotion_conn_id=said.connection).settings()
    options = {
        "--dbt-project-dir": found.dbt_project_dir,
        "--profiles-dir": found.profiles_dir,
        "--profile": found.profile,
        "--state": found.state,
        "--dbt-executable-path": found.dbt_executable_path,
    }
    given = {word.partition("=")[0] for word in rest}
    known = [f"{name}={value}" for name, value in options.items() if value is not None and name not in given]
    return [words[0], *known, *rest]
