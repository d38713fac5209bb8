"""YAML files as plain values that still know their lines.

Only scalars, lists and mappings come out; tags that make objects are refused. A file is small (1 MiB), shallow, and
does not grow when its aliases are followed, or it is an error: a few lines of YAML can stand for gigabytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml
from yaml.constructor import SafeConstructor

from airflow_dbt_promotion.core.errors import ConfigError

MOST_BYTES = 1 << 20
MOST_NODES = 50_000
MOST_DEPTH = 40

_MERGE = "tag:yaml.org,2002:merge"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

Keys = tuple[object, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class YamlFile:
    """The content of one file, and the line of every key, counted from 1."""

    path: Path
    value: object
    lines: Mapping[Keys, int]

    def place(self, *keys: object) -> str:
        """Return where a key is, for an error: `promotion.yml:7: environments.staging.target`."""
        known = next((keys[:end] for end in range(len(keys), -1, -1) if keys[:end] in self.lines), ())
        line = f":{self.lines[known]}" if known in self.lines else ""
        return f"{self.path}{line}" + (f": {'.'.join(map(str, keys))}" if keys else "")


def read_yaml(path: Path, *, unique: bool = True) -> YamlFile:
    """Return what a YAML file says; `unique` makes a key that is there twice an error (dbt takes the last).

    Raises ConfigError with the line.
    """
    text = _text(path)
    try:
        _check_events(path, text)
        root = yaml.compose(text, Loader=_LOADER)
        if root is None:
            return YamlFile(path=path, value=None, lines={})
        _Measure(path).of(root)
        builder = _Builder(path, unique=unique)
        return YamlFile(path=path, value=builder.build(root, ()), lines=builder.lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        where = str(path) if mark is None else f"{path}:{mark.line + 1}"
        raise ConfigError(where, f"is not YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(str(path), f"is not YAML: {' '.join(str(error).split())}") from None


def _text(path: Path) -> str:
    """Return the text of a file."""
    try:
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}") from None
    if len(data) > MOST_BYTES:
        raise ConfigError(str(path), f"is larger than {MOST_BYTES >> 20} MiB, which no configuration is")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}", "is not UTF-8; save it in that encoding") from None


def _check_events(path: Path, text: str) -> None:
    """Refuse what is too deep or too long before a tree is made of it, since libyaml's own composer recurses."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MOST_DEPTH:
            line = 1 if event.start_mark is None else event.start_mark.line + 1
            raise ConfigError(f"{path}:{line}", f"is nested deeper than {MOST_DEPTH} levels")
        if count > MOST_NODES:
            raise ConfigError(str(path), f"holds more than {MOST_NODES} values")


class _Measure:
    """How large a tree is once its aliases are followed."""

    def __init__(self, path: Path) -> None:
        """Begin with nothing known."""
        self._path = path
        self._known: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def of(self, node: yaml.Node) -> tuple[int, int]:
        """Return size and depth of a node; raise ConfigError where either is too much, or where it holds itself."""
        if id(node) in self._known:
            return self._known[id(node)]
        where = f"{self._path}:{node.start_mark.line + 1}"
        if id(node) in self._open:
            raise ConfigError(where, "an alias holds itself")
        self._open.add(id(node))
        inner = [self.of(child) for child in _children(node)]
        self._open.discard(id(node))
        size = 1 + sum(size for size, _ in inner)
        depth = 1 + max((depth for _, depth in inner), default=0)
        if size > MOST_NODES or depth > MOST_DEPTH:
            raise ConfigError(where, "grows out of all bounds when its aliases are followed")
        self._known[id(node)] = (size, depth)
        return size, depth


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    """Yield the nodes directly within a node."""
    match node:
        case yaml.MappingNode():
            for key, value in node.value:
                yield key
                yield value
        case yaml.SequenceNode():
            yield from node.value
        case _:
            return


class _Builder:
    """Makes plain values and remembers lines."""

    def __init__(self, path: Path, *, unique: bool) -> None:
        """Take the file's name for errors."""
        self.lines: dict[Keys, int] = {}
        self._path, self._unique = path, unique
        self._constructor = SafeConstructor()

    def build(self, node: yaml.Node, keys: Keys) -> object:
        """Return the value of a node."""
        self.lines.setdefault(keys, node.start_mark.line + 1)
        match node:
            case yaml.MappingNode():
                return self._mapping(node, keys)
            case yaml.SequenceNode():
                return [self.build(child, (*keys, index)) for index, child in enumerate(node.value)]
            case _:
                return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> object:
        """Return the value of a leaf; what is no date or number though it looks like one stays text."""
        try:
            value: object = self._constructor.construct_object(node)
        except ValueError:
            return node.value
        return value

    def _mapping(self, node: yaml.MappingNode, keys: Keys) -> dict[object, object]:
        """Return a mapping; what it merges (`<<`) comes first and gives way."""
        found: dict[object, object] = {}
        merged: dict[object, object] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE:
                merged = self._merged(value_node, keys) | merged
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                raise ConfigError(
                    f"{self._path}:{line}", "a list or a mapping cannot be a key; is Jinja without quotes there?"
                )
            key = self._scalar(key_node)
            if key in found and self._unique:
                first = self.lines[(*keys, key)]
                raise ConfigError(f"{self._path}:{line}", f"the key {key!r} is there twice, first in line {first}")
            self.lines[(*keys, key)] = line
            found[key] = self.build(value_node, (*keys, key))
        return merged | found

    def _merged(self, node: yaml.Node, keys: Keys) -> dict[object, object]:
        """Return what a merge key brings: of a mapping, or of several, the first of which wins."""
        found: dict[object, object] = {}
        for one in node.value if isinstance(node, yaml.SequenceNode) else [node]:
            if not isinstance(one, yaml.MappingNode):
                raise ConfigError(f"{self._path}:{one.start_mark.line + 1}", "`<<` merges mappings only")
            found = self._mapping(one, keys) | found
        return found
