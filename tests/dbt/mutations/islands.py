"""Islands: each edit has a little project part of its own, so that one parse of dbt shows what every edit moves.

`@` in a path or a text stands for the name of the island, `~shop` for the project's. What an edit needs beside the
models `a` and `b`, of which `b` is built of `a`, it brings along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

import yaml

Text = str | None
"""The text of a file; None where there is none."""

KIT: Mapping[str, Text] = {
    "models/@/@_a.sql": "select 1 as id, 2 as amount",
    "models/@/@_b.sql": "select * from {{ ref('@_a') }}",
}

PROJECT = {
    "name": "shop",
    "version": "1.0",
    "profile": "shop",
    "flags": {"send_anonymous_usage_stats": False, "require_generic_test_arguments_property": True},
}

PROFILES = {"shop": {"target": "dev", "outputs": {"dev": {"type": "duckdb", "path": "dev.duckdb", "schema": "dev"}}}}


@dataclass(frozen=True, kw_only=True)
class Edit:
    """One edit: the files before and after it, and dbt_project.yml's keys before and after it.

    `moves` says what has to move: `a:modified b:indirect c:tests d:meta e:tests+meta f:added g:removed`, or nothing.
    `beyond` is why we say more than `state:modified+`, `short` why we say less. A `wide` edit would move other islands,
    too, since what it edits is taken in wherever it could be meant.
    """

    what: str
    moves: str
    files: Mapping[str, Text | tuple[Text, Text]] = field(default_factory=dict)
    project: Mapping[str, Any] | tuple[Mapping[str, Any], Mapping[str, Any]] = field(default_factory=dict)
    beyond: str = ""
    short: str = ""
    wide: bool = False

    @property
    def moved(self) -> dict[str, str]:
        """What has to move, by the name of the model."""
        return dict(one.split(":") for one in self.moves.split())

    def written(self, island: str, *, after: bool) -> dict[str, str]:
        """Return the files of the island before or after the edit."""
        at = int(after)
        texts = {**KIT, **self.files}
        both = {path: text if isinstance(text, tuple) else (text, text) for path, text in texts.items()}
        return {
            path.replace("@", island): _plain(text).replace("@", island)
            for path, pair in both.items()
            if (text := pair[at]) is not None
        }

    def settings(self, island: str, *, after: bool) -> Any:
        """Return the island's keys of dbt_project.yml before or after the edit."""
        keys = self.project[int(after)] if isinstance(self.project, tuple) else self.project
        return _named(keys, island)


def write(root: Path, edits: Mapping[str, Edit], *, after: bool, name: str = "shop") -> None:
    """Write the project that holds the islands of some edits, before or after them."""
    settings: dict[str, Any] = {**PROJECT, "name": name}
    files: dict[str, str] = {}
    for island, edit in edits.items():
        files |= edit.written(island, after=after)
        settings = merged(settings, edit.settings(island, after=after))
    files["dbt_project.yml"] = yaml.safe_dump(settings, sort_keys=False).replace("~shop", name)
    files["profiles.yml"] = yaml.safe_dump(PROFILES)
    for path, text in files.items():
        at = root / path
        at.parent.mkdir(parents=True, exist_ok=True)
        at.write_bytes(text.replace("~shop", name).encode())


def merged(first: dict[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Return two settings as one."""
    out = dict(first)
    for key, value in second.items():
        there = out.get(key)
        out[key] = merged(there, value) if isinstance(there, dict) and isinstance(value, Mapping) else value
    return out


def _plain(text: str) -> str:
    return dedent(text).lstrip("\n") if text.startswith("\n") else text


def _named(value: Any, island: str) -> Any:
    """Put the name of an island into settings."""
    match value:
        case str():
            return value.replace("@", island)
        case Mapping():
            return {_named(key, island): _named(inner, island) for key, inner in value.items()}
        case list():
            return [_named(inner, island) for inner in value]
        case _:
            return value
