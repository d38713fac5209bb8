"""Names: from what people type to the one model that it means."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence

from airflow_dbt_promotion.core.errors import (
    AmbiguousModelError,
    EmptySelectionError,
    TooManyNamesError,
    UnknownModelError,
)
from airflow_dbt_promotion.core.identity import ModelId, bare_name, model_name

MOST_NAMES = 1_000
ALL_VALIDATED = "all-validated"
_BETWEEN = re.compile(r"[, \t]+")
"""A newline parts no names: it is among what no name has, like any other control character."""


def means_all(models: object) -> bool:
    """Say whether models, as somebody wrote them and before any template is rendered, mean all that may go."""
    return models is None or models in (ALL_VALIDATED, [ALL_VALIDATED])


def split(names: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return names from text (separated by commas or spaces) or a list; None, and the word `all-validated` alone, mean
    all that may go.

    Raises EmptySelectionError, TooManyNamesError, InvalidNameError.
    """
    if names is None:
        return None
    parts = [names] if isinstance(names, str) else list(names)
    found = tuple(dict.fromkeys(name for part in parts for name in _BETWEEN.split(part) if name))
    if found == (ALL_VALIDATED,):
        return None
    if not found:
        raise EmptySelectionError
    if len(found) > MOST_NAMES:
        raise TooManyNamesError(len(found), MOST_NAMES)
    return tuple(model_name(name) for name in found)


class Names:
    """Every model that is known, under every name that can mean it."""

    def __init__(self, known: Iterable[ModelId]) -> None:
        """Index unique ids, `package.name` and bare names."""
        self._known = sorted(set(known))
        self._meanings: dict[str, list[ModelId]] = {}
        for model in self._known:
            package = model.split(".", 2)[1]
            for name in {model, bare_name(model), f"{package}.{bare_name(model)}"}:
                self._meanings.setdefault(name, []).append(model)

    def resolve(self, name: str) -> ModelId:
        """Return the model that a name means; raise UnknownModelError with the near ones, or AmbiguousModelError."""
        meanings = self._meanings.get(name, [])
        if not meanings:
            raise UnknownModelError(
                name, difflib.get_close_matches(name, [bare_name(model) for model in self._known], n=3)
            )
        if len(meanings) > 1:
            raise AmbiguousModelError(name, meanings)
        return meanings[0]

    def knows(self, name: str) -> bool:
        """Say whether a name means anything."""
        return name in self._meanings

    def shortest(self, model: ModelId) -> str:
        """Return the bare name where it is unambiguous, else `package.name`, else the unique id."""
        package = model.split(".", 2)[1]
        for name in (bare_name(model), f"{package}.{bare_name(model)}"):
            if self._meanings.get(name) == [model]:
                return name
        return model
