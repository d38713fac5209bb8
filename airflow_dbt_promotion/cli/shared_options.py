"""The options that several commands have."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable

FORMATS = ("text", "json", "markdown")


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


natural = _number("a whole number", int)
seconds = _number("a number of seconds", float)


def shared(parser: argparse.ArgumentParser) -> None:
    """Add the options that every command has."""
    place = parser.add_argument_group("where the project is")
    place.add_argument("--dbt-project-dir", metavar="DIR", default=".", help="the dbt project's folder (default: here)")
    place.add_argument("--profiles-dir", metavar="DIR", help="the folder of profiles.yml (default: where dbt finds it)")
    place.add_argument("--profile", metavar="NAME", help="the dbt profile (default: the one in dbt_project.yml)")
    place.add_argument(
        "--state", metavar="ROOT", help="the root of the promotion state (default: `state` in promotion.yml)"
    )
    place.add_argument(
        "--dbt-executable-path",
        metavar="FILE",
        help="another dbt, or a Python that has dbt (default: the one installed here)",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--output-format",
        choices=FORMATS,
        default="text",
        help="text (default), json or markdown; json goes to standard output alone",
    )
    output.add_argument("--debug", action="store_true", help="show tracebacks (also: PROMOTION_DEBUG=1)")


def models(parser: argparse._ActionsContainer, told: str) -> None:
    """Add `--models`."""
    parser.add_argument(
        "--models",
        metavar="NAME",
        nargs="+",
        action="extend",
        help=f"{told}; names separated by commas or spaces, several times too",
    )


def locking(parser: argparse._ActionsContainer, others: str, who: str) -> None:
    """Add what every command has that holds the lock of an environment."""
    parser.add_argument(
        "--lock-timeout",
        metavar="SECONDS",
        type=seconds,
        default=60.0,
        help=f"how long to wait for {others} (default: 60)",
    )
    parser.add_argument(
        "--actor", metavar="NAME", help=f"{who} (default: the person behind the CI job, else user@host)"
    )
    parser.add_argument("--link", metavar="URL", help="where a person can look at this run (default: the CI job)")


def _run_vars(text: str) -> dict[str, object]:
    """Return vars as dbt takes them: a YAML mapping, dates as they are written."""
    import yaml  # noqa: PLC0415 - `--help` needs none of it

    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, dict):
        raise argparse.ArgumentTypeError(f"{text!r} is not a YAML mapping, such as '{{run_date: 2026-12-01}}'")
    given: dict[str, object] = json.loads(json.dumps({str(name): value for name, value in found.items()}, default=str))
    return given


def run_vars(parser: argparse._ActionsContainer) -> None:
    """Add `--vars`."""
    parser.add_argument(
        "--vars",
        metavar="YAML",
        type=_run_vars,
        help="vars of this run, as dbt takes them; each has to be one of the environment's run_vars",
    )


def run_id(parser: argparse._ActionsContainer) -> None:
    """Add `--run-id`."""
    parser.add_argument(
        "--run-id",
        metavar="TEXT",
        help="what a retry of this very command has in common with it, after its process died: it then carries on",
    )
