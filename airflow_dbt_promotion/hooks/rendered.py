"""Arguments as they come out of Airflow's templates: values, or the text of values."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Sequence
from contextlib import suppress

from airflow_dbt_promotion.core.errors import ConfigError, EmptySelectionError

_NOTHING = frozenset({"", "none", "null"})
_TRUTHS = {"true": True, "1": True, "yes": True, "on": True, "false": False, "0": False, "no": False, "off": False}


def text(value: object) -> str | None:
    """Return text, None where a template came out empty."""
    return None if value is None or str(value).strip().lower() in _NOTHING else str(value)


def flag(name: str, value: object) -> bool:
    """Return a yes or no; raise ConfigError for what is neither."""
    if isinstance(value, bool):
        return value
    found = _TRUTHS.get(str(value).strip().lower())
    if found is None:
        raise ConfigError(name, f"{value!r} is neither true nor false")
    return found


def choice(name: str, value: object) -> bool | None:
    """Return a yes or no, None where nothing was said or a template came out empty; raise ConfigError for another."""
    return None if text(value) is None else flag(name, value)


def number(name: str, value: object) -> float | None:
    """Return a finite number, None where a template came out empty; raise ConfigError for what is none."""
    told = text(value)
    if told is None:
        return None
    try:
        found = math.nan if isinstance(value, bool) else float(told)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise ConfigError(name, f"{value!r} is no number")
    return found


def whole(name: str, value: object) -> int | None:
    """Return a whole number, None where a template came out empty; raise ConfigError for what is none."""
    found = number(name, value)
    if found is not None and not found.is_integer():
        raise ConfigError(name, f"{value!r} is no whole number")
    return None if found is None else int(found)


def names(value: object) -> str | list[str] | None:
    """Return model names: None as it is, a list, the text of a list (as JSON or as Python writes it), or plain text.

    A template that came out empty is an error, for it would mean everything. Raises EmptySelectionError, ConfigError.
    """
    if value is None:
        return None
    if isinstance(value, str):
        told = value.strip()
        if told.lower() in _NOTHING:
            raise EmptySelectionError
        return _listed(listed("models", told)) if told.startswith("[") else told
    return _listed(value)


def listed(name: str, told: str) -> object:
    """Read the text of a list, as JSON or as Python writes it; raise ConfigError for what is none."""
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return read(told)
    raise ConfigError(name, f"{told[:80]!r} is no list of names")


def _listed(value: object) -> list[str]:
    """Return a list of names; raise ConfigError for anything else."""
    if not isinstance(value, Sequence) or not all(isinstance(name, str) for name in value):
        raise ConfigError("models", f"{str(value)[:80]!r} is no list of names")
    return list(value)
