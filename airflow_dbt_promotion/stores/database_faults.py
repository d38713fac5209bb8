"""What a database refuses, told apart: what passes, what is missing, what is damaged, and what only people can mend."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from sqlalchemy.exc import DBAPIError


class Kind(Enum):
    """What a fault asks for."""

    PASSING = "passing"
    """It may be over the next time: a connection that was lost, a restart, a deadlock, a lock, a key that was taken."""

    ABSENT = "absent"
    """A table is not there."""

    DAMAGED = "damaged"
    """What is there is no database, or no table of ours."""

    FUTURE = "future"
    """A newer release made the tables."""

    FINAL = "final"
    """Somebody has to do something."""


class DatabaseFaultError(Exception):
    """A database that did not do what it was asked for; a store tells it as an error of its own family.

    `lost` says that there was no answer, so that what was asked for may have been done. `unsure` says that this was the
    commit of a change.
    """

    def __init__(self, kind: Kind, problem: str, *, lost: bool = False) -> None:
        """Take the kind, and the complaint, without any secret."""
        self.kind, self.problem, self.lost, self.unsure = kind, problem, lost, False
        super().__init__(problem)


_STATES = {
    "23505": Kind.PASSING,  # a key that is there already: whoever asks again sees it
    "40001": Kind.PASSING,  # could not be serialized
    "40P01": Kind.PASSING,  # deadlock
    "42P01": Kind.ABSENT,
    "42P07": Kind.PASSING,  # a table that is there already
    "53300": Kind.PASSING,  # too many connections
    "55P03": Kind.PASSING,  # a lock that was not had in time
    "57014": Kind.PASSING,  # a statement that took too long
    "57P01": Kind.PASSING,  # the server is being shut down
    "57P02": Kind.PASSING,
    "57P03": Kind.PASSING,  # the server is starting up
    "XX001": Kind.DAMAGED,
    "XX002": Kind.DAMAGED,
}
"""SQLSTATEs; of class 08 (connections) all pass, of anything else none does."""

_NAMES = {
    "SQLITE_BUSY": Kind.PASSING,
    "SQLITE_LOCKED": Kind.PASSING,
    "SQLITE_PROTOCOL": Kind.PASSING,
    "SQLITE_CONSTRAINT": Kind.PASSING,
    "SQLITE_NOTADB": Kind.DAMAGED,
    "SQLITE_CORRUPT": Kind.DAMAGED,
}
"""What SQLite calls its errors, by their first two words."""

_SAID = (
    ("no such table", Kind.ABSENT),
    ("already exists", Kind.PASSING),
    ("Could not decode", Kind.DAMAGED),
)
"""What SQLite has no name of its own for."""

_REFUSALS_THAT_PASS = ("starting up", "shutting down", "recovery", "too many", "slots", "terminating")
"""What a server says that refuses a connection now, and not for good; the others would lock an account in the end."""

_HINTS = {
    "25006": "; connect to the server that can be written",
    "42501": "; grant it to the role that connects",
    "53100": "; make room",
    "SQLITE_CANTOPEN": "; is the folder there, and may it be entered?",
    "SQLITE_FULL": "; make room",
    "SQLITE_NOTADB": "; name a file that SQLite made, or one that is not there yet",
    "SQLITE_READONLY": "; make the file and its folder writable",
}


def fault_of(error: DBAPIError, secrets: Iterable[str] = ()) -> DatabaseFaultError:
    """Return what an error of the driver means, in the database's own words, without the secrets."""
    words = " ".join(str(error.orig).split()) or type(error.orig).__name__
    for secret in secrets:
        words = words.replace(secret, "***")
    name = getattr(error.orig, "sqlite_errorname", None)
    state = getattr(error.orig, "pgcode", None)
    code = "_".join(name.split("_")[:2]) if name else state
    lost = code is None or code.startswith(("08", "57P", "SQLITE_IOERR"))
    return DatabaseFaultError(_kind(code, words), f"{words}{_HINTS.get(code or '', '')}", lost=lost)


def _kind(code: str | None, words: str) -> Kind:
    """Return the kind by an error's code, and by its words where it has none of its own."""
    if code is not None and (found := _NAMES.get(code) or _STATES.get(code)):
        return found
    if code is None and "Could not decode" not in words:
        return Kind.PASSING if _is_passing(words) else Kind.FINAL
    if code is None or code.startswith("SQLITE_"):
        return next((kind for said, kind in _SAID if said in words), Kind.FINAL)
    return Kind.PASSING if code.startswith("08") else Kind.FINAL


def _is_passing(words: str) -> bool:
    """Say whether a connection that was not had, or was lost, may be had the next time."""
    if "FATAL" in words or "no password supplied" in words:
        return any(said in words for said in _REFUSALS_THAT_PASS)
    return True
