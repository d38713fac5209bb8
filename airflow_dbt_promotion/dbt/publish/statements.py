"""Statements as a catalog tells them, with other names in them; what is in quotes is told from what is not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_PIECES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[^'"]+""")
_WORDS = re.compile(r"[^\W\d][\w$]*")


def renamed(statement: str, names: Mapping[str, str]) -> str:
    """Return a statement in which names are others, in texts, too; a name that stood without quotes gets some.

    What is named is unlike anything else that may stand there, so a part of a longer name is met as well.
    """
    for name in sorted(names, key=len, reverse=True):
        if name in statement.replace("''", "'").replace('""', '"'):
            statement = "".join(_renamed(piece, name, names[name]) for piece in _PIECES.findall(statement))
    return statement


def index_parts(statement: str) -> tuple[str, str]:
    """Return the two parts of a statement that makes an index: what is before `on`, and the columns in parentheses."""
    head, rest = _cut(statement, lambda piece: piece.upper().find(" ON "))
    _table, columns = _cut(rest, lambda piece: piece.find("("))
    return head, columns


def _renamed(piece: str, name: str, new: str) -> str:
    """Return one piece of a statement in which a name is another."""
    if piece[0] in "'\"":
        return piece.replace(name.replace(piece[0], 2 * piece[0]), new.replace(piece[0], 2 * piece[0]))

    def word(found: re.Match[str]) -> str:
        text = found.group()
        return '"{}"'.format(text.replace(name, new).replace('"', '""')) if name in text else text

    return _WORDS.sub(word, piece)


def _cut(statement: str, where: Callable[[str], int]) -> tuple[str, str]:
    """Return a statement in two, cut where something begins that does not stand in quotes."""
    done = 0
    for piece in _PIECES.findall(statement):
        at = -1 if piece[0] in "'\"" else where(piece)
        if at >= 0:
            return statement[: done + at], statement[done + at :]
        done += len(piece)
    raise ValueError(f"no such part: {statement}")
