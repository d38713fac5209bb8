"""A row of the table: what was measured on our side, against what, and the goal for the ratio of both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import Enum

import msgspec


class Unit(Enum):
    """What a number counts."""

    SECONDS = "s"
    BYTES = "B"


class Rule(Enum):
    """How a ratio is read: AT_MOST so many times the other, or so many times FASTER than it."""

    AT_MOST = "at most"
    FASTER = "faster"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One comparison at one size (0: of no project); `goal` is None for what is only worth knowing."""

    models: int
    what: str
    ours: float
    against: str = ""
    theirs: float | None = None
    rule: Rule = Rule.AT_MOST
    goal: float | None = None
    unit: Unit = Unit.SECONDS

    @property
    def ratio(self) -> float | None:
        """The ratio as the rule reads it, None where there is nothing to compare with."""
        if self.theirs is None:
            return None
        return self.ours / self.theirs if self.rule is Rule.AT_MOST else self.theirs / self.ours

    @property
    def met(self) -> bool | None:
        """Whether the goal is met, None where there is none."""
        if self.goal is None or self.ratio is None:
            return None
        return self.ratio <= self.goal if self.rule is Rule.AT_MOST else self.ratio >= self.goal


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All rows of one run, with what is worth saying beside them."""

    machine: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...]

    @property
    def missed(self) -> int:
        """How many goals were missed."""
        return sum(row.met is False for row in self.rows)


def growth(rows: Sequence[Row]) -> tuple[str, ...]:
    """Return a note of the exponents with which grows what was measured at several sizes."""
    told = []
    for what in dict.fromkeys(row.what for row in rows if row.unit is Unit.SECONDS):
        same = {row.models: row.ours for row in rows if row.what == what}
        least, most = min(same), max(same)
        if least < most:
            told.append(f"{what} {math.log(same[most] / same[least]) / math.log(most / least):.2f}")
    return (f"grows with the number of models to the power of: {', '.join(told)}",) if told else ()


def table(report: Report) -> str:
    """Return the report as a table for people."""
    head = ("models", "what", "ours", "against", "takes", "ratio", "goal", "")
    lines = [head, *(_cells(row) for row in report.rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    right = {0, 2, 4, 5, 6}
    text = [
        "  ".join(
            cell.rjust(width) if at in right else cell.ljust(width)
            for at, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    text.insert(1, "  ".join("-" * width for width in widths))
    goals = sum(row.met is not None for row in report.rows)
    return "\n".join(
        [report.machine, "", *text, "", *report.notes, "", f"{goals - report.missed} of {goals} goals met"]
    )


def document(report: Report) -> bytes:
    """Return the report as JSON, each row with its ratio and whether the goal is met."""
    rows = [{**msgspec.to_builtins(row), "ratio": row.ratio, "met": row.met} for row in report.rows]
    told = {"machine": report.machine, "rows": rows, "notes": report.notes, "missed": report.missed}
    return msgspec.json.format(msgspec.json.encode(told), indent=2)


def _cells(row: Row) -> tuple[str, ...]:
    """Return a row as texts."""
    ratio, goal = row.ratio, row.goal
    sign = "<=" if row.rule is Rule.AT_MOST else ">="
    return (
        f"{row.models:,}" if row.models else "",
        row.what,
        _amount(row.ours, row.unit),
        row.against,
        "" if row.theirs is None else _amount(row.theirs, row.unit),
        "" if ratio is None else f"{ratio:.1f}x" if ratio >= 0.1 else f"{ratio:.2f}x",  # noqa: PLR2004 - one digit would say 0.0
        "" if goal is None else f"{sign} {goal:g}x",
        {True: "met", False: "MISSED", None: ""}[row.met],
    )


def _amount(number: float, unit: Unit) -> str:
    """Return seconds or bytes as people read them."""
    match unit:
        case Unit.BYTES:
            return f"{number / 1e6:,.1f} MB"
        case Unit.SECONDS if number < 10:  # noqa: PLR2004 - ten seconds need no thousandths
            return f"{number * 1e3:,.1f} ms"
        case Unit.SECONDS:
            return f"{number:,.1f} s"
