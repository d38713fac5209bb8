"""For how much a sensor waits."""

from __future__ import annotations

from enum import Enum


class Waiting(Enum):
    """For all of the models, or for any one of them."""

    ALL = "all"
    ANY = "any"
