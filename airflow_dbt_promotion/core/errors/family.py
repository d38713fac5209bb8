"""The family: one root, two branches."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable


class PromotionError(Exception):
    """The root of every error that this package raises on purpose.

    `code` is stable and meant for machines; the message is meant for people.
    """

    code: ClassVar[str] = "error"


class InputError(PromotionError):
    """Something that was handed in cannot be used; trying again without a change is pointless."""

    code = "bad_input"


class MachineError(PromotionError):
    """The surroundings failed: a file, a lock, dbt itself, stored state; trying again may help."""

    code = "errored"


def listed(names: Iterable[str], limit: int = 8) -> str:
    """Join names for a sentence, and say how many were left out."""
    shown = list(names)
    more = f" and {len(shown) - limit} more" if len(shown) > limit else ""
    return ", ".join(shown[:limit]) + more
