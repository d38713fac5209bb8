"""What an exception means at the command line: its exit code, and how it is told."""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

from airflow_dbt_promotion.core.errors import InputError, PromotionError
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.render.documents import ErrorDocument

DISTRIBUTION = "airflow-dbt-promotion"


class ExitCode(IntEnum):
    """How `dbt-promote` ends. The last two are 128 and the signal's number, as shells expect."""

    DONE = 0
    FAILED = 1
    BAD_INPUT = 2
    REFUSED = 3
    ERRORED = 4
    INTERRUPTED = 130
    TERMINATED = 143


EXIT_CODES = {
    PromotionOutcome.PROMOTED: ExitCode.DONE,
    PromotionOutcome.NOTHING_TO_DO: ExitCode.DONE,
    PromotionOutcome.PLANNED: ExitCode.DONE,
    PromotionOutcome.REFUSED: ExitCode.REFUSED,
    PromotionOutcome.FAILED: ExitCode.FAILED,
    PromotionOutcome.ERRORED: ExitCode.ERRORED,
}


class Terminated(KeyboardInterrupt):
    """SIGTERM came; whatever cleans up after Ctrl-C cleans up after this."""


class Failure(Struct, frozen=True, kw_only=True):
    """An exception as it is told: its exit code, the document, and a hint where there is one."""

    exit_code: ExitCode
    document: ErrorDocument
    hint: str = ""


def failure_of(error: BaseException) -> Failure:
    """Return how an exception is told; what nobody expected is a defect of ours and says how to report it."""
    match error:
        case Terminated():
            return _interrupted(ExitCode.TERMINATED, "terminated by SIGTERM")
        case KeyboardInterrupt():
            return _interrupted(ExitCode.INTERRUPTED, "interrupted")
        case InputError():
            return Failure(
                exit_code=ExitCode.BAD_INPUT,
                document=ErrorDocument(kind="bad_input", code=error.code, message=str(error)),
            )
        case PromotionError():
            return Failure(
                exit_code=ExitCode.ERRORED, document=ErrorDocument(kind="machine", code=error.code, message=str(error))
            )
        case _:
            message = f"{type(error).__name__}: {error}"
            hint = f"This is a defect of dbt-promote. Run it again with --debug and report what it prints{_where()}."
            return Failure(
                exit_code=ExitCode.ERRORED,
                document=ErrorDocument(kind="unexpected", code="unexpected", message=message),
                hint=hint,
            )


def _interrupted(code: ExitCode, told: str) -> Failure:
    """Return how a signal is told."""
    message = (
        f"{told}; what was not finished does not count as promoted, `dbt-promote status` tells where everything stands"
    )
    return Failure(exit_code=code, document=ErrorDocument(kind="interrupted", code="interrupted", message=message))


def _where() -> str:
    """Return where defects are reported, as the installed package says."""
    from importlib.metadata import PackageNotFoundError, metadata  # noqa: PLC0415 - costs time, and only a defect needs it

    try:
        addresses = metadata(DISTRIBUTION).get_all("Project-URL") or []
    except PackageNotFoundError:
        addresses = []
    known = dict(address.split(", ", 1) for address in addresses if ", " in address)
    tracker = next(
        (url for label, url in known.items() if label.lower() in {"issues", "bug tracker", "tracker", "issue tracker"}),
        None,
    )
    return f" to {tracker}" if tracker else ""
