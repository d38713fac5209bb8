"""Every place between two writes at which a process may die, by name, so that a test can kill one at each.

Nothing happens at any of them unless a test says so with `arm`. Whoever adds a write adds the place after it here; the
tests go through all that there are.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum


class Failpoint(Enum):
    """What was just done when the process dies."""

    LOCKED = "the lock is taken"
    BEGUN = "the journal says what is going to be done"
    SOURCES_WRITTEN = "the files of a release are kept, its tree is not"
    KEPT = "the sources are kept"
    PUBLISHING = "the warehouse is about to be changed"
    MODEL_PUBLISHED = "one model is published, others are not"
    PART_BUILT = "a part is built and tested beside what readers see, and the journal does not say so"
    TESTED = "everything is built and tested beside what readers see, and they see none of it"
    PUBLISHED = "everything is published, and the state does not say so"
    COMMITTED = "the state says what was published"
    DOCUMENT_WRITTEN = "a new document lies beside the old one"
    DOCUMENT_REPLACED = "a new document is in the place of the old one, and may not survive a loss of power"


_armed: list[Callable[[Failpoint], None]] = []


def reached(point: Failpoint) -> None:
    """Note that a place is reached; whatever is armed happens."""
    for happen in _armed:
        happen(point)


def arm(happen: Callable[[Failpoint], None] | None) -> None:
    """Let something happen at every place that is reached, or nothing any more. For tests."""
    _armed[:] = [happen] if happen is not None else []
