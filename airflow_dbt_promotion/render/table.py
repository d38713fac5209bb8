"""Tables and colours for terminals, without a library: a status of a thousand models costs a few milliseconds.

Text that comes from outside (names, dbt's words) is stripped of control characters, so that it cannot steer the
terminal.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from enum import Enum

from msgspec import Struct

_STEERING = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b.?|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_GAP = "  "


class Tone(Enum):
    """What a piece of text means, as its colour code."""

    PLAIN = ""
    BOLD = "1"
    DIM = "2"
    GOOD = "32"
    WAIT = "33"
    BAD = "31"
    GOOD_BOLD = "1;32"
    WAIT_BOLD = "1;33"
    BAD_BOLD = "1;31"


class Page(Struct, frozen=True, kw_only=True):
    """What is written on: how wide it is in columns (None: as wide as it takes), and whether it shows colours."""

    width: int | None = None
    colours: bool = False

    def paint(self, text: str, tone: Tone) -> str:
        """Return text in its colour, where there are colours."""
        return f"\x1b[{tone.value}m{text}\x1b[0m" if self.colours and tone is not Tone.PLAIN and text else text

    def paragraph(self, text: str, indent: str = "", hanging: str | None = None) -> list[str]:
        """Return text as lines that fit, the first with `indent`, the others with `hanging`."""
        hanging = indent if hanging is None else hanging
        lines: list[str] = []
        for part in clean(text).splitlines() or [""]:
            first = indent if not lines else hanging
            lines.extend(_wrapped(part, self.width, first, hanging))
        return lines


class Column(Struct, frozen=True, kw_only=True):
    """A column's title, and how narrow it may become; None: never narrower than its text."""

    title: str
    least: int | None = None


class Cell(Struct, frozen=True):
    """Text in a tone."""

    text: str
    tone: Tone = Tone.PLAIN


def clean(text: str) -> str:
    """Return text without anything that steers a terminal."""
    return _STEERING.sub("", text.replace("\t", " "))


def columns_of(text: str) -> int:
    """Return how many columns some text takes on a terminal."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in {"W", "F"} else 1
        for char in text
    )


def table(page: Page, columns: Sequence[Column], rows: Sequence[Sequence[Cell | str]], indent: str = "  ") -> list[str]:
    """Return a table as lines; columns that may become narrower wrap, and columns that are empty throughout are left
    out.
    """
    cells = [[_cell(cell) for cell in row] for row in rows]
    shown = [index for index in range(len(columns)) if any(row[index].text for row in cells)]
    columns = [columns[index] for index in shown]
    cells = [[row[index] for index in shown] for row in cells]
    widths = _widths(page, columns, cells, indent)
    lines = [_line(page, [Cell(column.title, Tone.DIM) for column in columns], widths, indent)] if cells else []
    for row in cells:
        pieces = [_pieces(cell.text, width) for cell, width in zip(row, widths, strict=True)]
        for number in range(max(len(piece) for piece in pieces)):
            part = [
                Cell(piece[number] if number < len(piece) else "", cell.tone)
                for piece, cell in zip(pieces, row, strict=True)
            ]
            lines.append(_line(page, part, widths, indent))
    return lines


def _cell(cell: Cell | str) -> Cell:
    """Return a cell with text that cannot steer, on one line."""
    found = cell if isinstance(cell, Cell) else Cell(cell)
    if found.text.isprintable():
        return found
    return Cell(" ".join(clean(found.text).split()), found.tone)


def _widths(page: Page, columns: Sequence[Column], cells: Sequence[Sequence[Cell]], indent: str) -> list[int]:
    """Return the width of each column: its text's, less where the page is narrower, taken from the widest first."""
    widths = [
        max([columns_of(column.title), *(columns_of(row[i].text) for row in cells)]) for i, column in enumerate(columns)
    ]
    if page.width is None:
        return widths
    least = [
        width if column.least is None else min(width, max(column.least, columns_of(column.title)))
        for column, width in zip(columns, widths, strict=True)
    ]
    over = sum(widths) + len(_GAP) * (len(widths) - 1) + len(indent) - page.width
    while over > 0:
        widest = max(range(len(widths)), key=lambda i: widths[i] - least[i], default=None)
        if widest is None or widths[widest] <= least[widest]:
            break
        widths[widest] -= 1
        over -= 1
    return widths


def _line(page: Page, cells: Sequence[Cell], widths: Sequence[int], indent: str) -> str:
    """Return one line of a table, without spaces at its end."""
    padded = [
        page.paint(cell.text, cell.tone) + " " * (width - columns_of(cell.text))
        for cell, width in zip(cells, widths, strict=True)
    ]
    return (indent + _GAP.join(padded)).rstrip()


def _pieces(text: str, width: int) -> list[str]:
    """Return text in pieces of a width; words and names are broken where they must be, at `_` and `.` where that is
    near.
    """
    if columns_of(text) <= width:
        return [text]
    pieces: list[str] = []
    rest = text
    while columns_of(rest) > width:
        end = _fitting(rest, width)
        breaks = [at for at in range(max(1, end // 2), end) if rest[at - 1] in " _.,-"]
        at = end if rest[end] == " " else (breaks[-1] if breaks else end)
        pieces.append(rest[:at].rstrip())
        rest = rest[at:].lstrip()
    return [*pieces, rest] if rest else pieces


def _fitting(text: str, width: int) -> int:
    """Return how many characters of a text that is too long fit into a width; one at least."""
    taken = 0
    for index, char in enumerate(text):
        taken += columns_of(char)
        if taken > width:
            return max(1, index)
    return len(text)


def _wrapped(text: str, width: int | None, first: str, hanging: str) -> list[str]:
    """Return one paragraph as lines."""
    if width is None:
        return [first + text]
    room = max(width, len(hanging) + 20)
    return textwrap.wrap(text, room, initial_indent=first, subsequent_indent=hanging, break_on_hyphens=False) or [
        first.rstrip()
    ]
