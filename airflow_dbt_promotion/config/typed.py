"""Mappings of a YAML file as typed values, with errors that name file, line and key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from difflib import get_close_matches
from enum import Enum
from typing import cast, get_args

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.config.yaml_file import YamlFile
from airflow_dbt_promotion.core.errors import ConfigError, InvalidDurationError
from airflow_dbt_promotion.core.instants import duration


def text_keyed(document: YamlFile, value: object, keys: tuple[object, ...]) -> dict[str, object]:
    """Return a mapping whose keys are all text; raise ConfigError for anything else."""
    if not isinstance(value, dict):
        raise ConfigError(document.place(*keys), f"must be a mapping of keys to values, not {kind_of(value)}")
    for key in value:
        if not isinstance(key, str):
            raise ConfigError(document.place(*keys, key), f"YAML reads this key as {kind_of(key)}; put it in quotes")
    return value


def typed_fields(
    document: YamlFile,
    found: Mapping[str, object],
    keys: tuple[object, ...],
    shape: type[Struct],
    skip: Collection[str] = (),
) -> dict[str, object]:
    """Return the values of a mapping, each converted to the type that its key has in a shape, less those to be skipped.

    Keys that are not there are not in the result. Raises ConfigError for one that the shape does not have.
    """
    known = {field.encode_name: field.type for field in msgspec.structs.fields(shape)}
    values: dict[str, object] = {}
    for key, value in found.items():
        if key not in known:
            problem = f"there is no such key{near(key, known)}"
            raise ConfigError(document.place(*keys, key), problem)
        if key not in skip:
            values[key] = _converted(document.place(*keys, key), value, known[key])
    return values


def duration_at(document: YamlFile, value: object, keys: tuple[object, ...]) -> timedelta:
    """Return the duration that stands at some keys, in days or ISO 8601; raise ConfigError for anything else."""
    try:
        return duration(cast("float | str", value))
    except InvalidDurationError as error:
        raise ConfigError(document.place(*keys), str(error)) from None


def _converted(place: str, value: object, kind: object) -> object:
    """Return a value as what its key takes."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        choices = _choices(kind)
        if choices and not isinstance(value, bool):
            problem = f"{value!r} must be one of {', '.join(choices)}" + near(str(value), choices, known=False)
            if isinstance(value, list) or "array" in str(error):
                problem = f"must be a list of {', '.join(choices)}, not {value!r}"
        else:
            problem = str(error).replace("`", "").replace(" - at $", " at ")
            if isinstance(value, bool):
                problem += "; YAML reads yes, no, on and off as true and false, so put a word in quotes"
        raise ConfigError(place, problem) from None


def _choices(kind: object) -> list[str]:
    """Return the words that a closed set takes; none for any other type."""
    if isinstance(kind, type) and issubclass(kind, Enum):
        return sorted(str(member.value) for member in kind)
    return next((found for inner in get_args(kind) if (found := _choices(inner))), [])


def near(name: str, names: Collection[str], *, known: bool = True) -> str:
    """Return a hint at what was meant."""
    close = get_close_matches(name, list(names), n=1, cutoff=0.6)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known: {', '.join(names)}" if known else ""


def kind_of(value: object) -> str:
    """Return how YAML's users call a kind of value."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return f"a {type(value).__name__}"
