"""Checking `promotion.yml`: every mistake in it, not the first alone.

Reading stops at the first mistake. So what is wrong is taken out, and the rest is read again, until nothing is wrong
any more. A complaint about something out of which a mistake was taken before is our own doing, and is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from airflow_dbt_promotion.config.promotion_file import FILE_VERSION, promotions_of
from airflow_dbt_promotion.config.yaml_file import Keys, YamlFile, read_yaml
from airflow_dbt_promotion.core.errors import ConfigError, InputError

_MOST = 100
_STAND_INS: Mapping[object, object] = {"version": FILE_VERSION, "select": "*"}
"""What is written in place of a key that has to be there."""


class Problem(Struct, frozen=True, kw_only=True):
    """One mistake: file, line and key, and what is wrong."""

    where: str
    problem: str


def problems_of(path: Path) -> tuple[Problem, ...]:
    """Return every mistake in a promotion file, at most a hundred; nothing where it can be used."""
    try:
        document = read_yaml(path)
    except ConfigError as error:
        return (Problem(where=error.where, problem=error.problem),)
    whole, names = document, {keys: keys for keys in document.lines}
    found: dict[Keys, Problem] = {}
    for _ in range(_MOST):
        try:
            promotions_of(document)
        except ConfigError as error:
            keys = _keys_of(error.where, document)
            here = names.get(keys, ())
            if not any(other[: len(here)] == here for other in found):
                told = whole.place(*here) if here and _is_at(error.where, keys) else error.where
                found[here] = Problem(where=told, problem=error.problem)
            if not keys:
                break
            document, names = _without(document, names, keys)
        except InputError as error:
            found[()] = Problem(where=str(path), problem=str(error))
            break
        else:
            break
    return tuple(found[keys] for keys in sorted(found, key=lambda keys: whole.lines.get(keys, 0)))


def _is_at(where: str, keys: Keys) -> bool:
    """Say whether a complaint is about these very keys, not about one below them that is not there."""
    return where.endswith(f": {'.'.join(map(str, keys))}")


def _keys_of(where: str, document: YamlFile) -> Keys:
    """Return the keys in a file that a complaint is about, as far as they are there."""
    told = where.removeprefix(str(document.path)).partition(": ")[2]
    fitting = [
        keys
        for keys in document.lines
        if (name := ".".join(map(str, keys))) and (told == name or told.startswith(f"{name}."))
    ]
    return max(fitting, key=len, default=())


def _without(document: YamlFile, names: Mapping[Keys, Keys], keys: Keys) -> tuple[YamlFile, dict[Keys, Keys]]:
    """Return a file without what is at some keys, and what its keys were called before."""
    value, depth = _cut(document.value, keys), len(keys) - 1
    if keys[-1] in _STAND_INS:
        kept = {other: other for other in document.lines}
    else:
        kept = {_moved(other, keys, depth): other for other in document.lines if other[: depth + 1] != keys}
    lines = {now: document.lines[before] for now, before in kept.items()}
    return YamlFile(path=document.path, value=value, lines=lines), {now: names[was] for now, was in kept.items()}


def _moved(other: Keys, keys: Keys, depth: int) -> Keys:
    """Return what some keys are called once others are gone: what comes later in a list moves up."""
    gone, index = keys[-1], other[depth] if len(other) > depth else None
    if other[:depth] != keys[:depth] or not isinstance(gone, int) or not isinstance(index, int) or index < gone:
        return other
    return (*other[:depth], index - 1, *other[depth + 1 :])


def _cut(value: object, keys: Keys) -> object:
    """Return a value without what is at some keys, or with what stands in for it."""
    key, rest = keys[0], keys[1:]
    if isinstance(value, list) and isinstance(key, int):
        return [_cut(one, rest) if index == key else one for index, one in enumerate(value) if rest or index != key]
    if not isinstance(value, dict):
        return value
    if rest:
        return {name: _cut(one, rest) if name == key else one for name, one in value.items()}
    if key in _STAND_INS:
        return {**value, key: _STAND_INS[key]}
    return {name: one for name, one in value.items() if name != key}
