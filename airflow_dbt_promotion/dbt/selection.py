"""Selectors that dbt understands as exactly the nodes that were planned.

dbt 1.x cannot select by unique id. `fqn:shop.orders` is a prefix (it takes the folder `orders`, too), elements are
split at spaces and commas, and `+`, `@`, `*` widen. But a wildcard anywhere in the value makes dbt compare the whole
name, so `fqn:shop.order[s]` means one fully qualified name. Two nodes that share it, or that look alike after escaping,
are told apart by type, package, file and parent.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase

from msgspec import Struct

from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.errors import ExecutedElseError, InputError


class SelectableNode(Struct, frozen=True, kw_only=True):
    """A node as far as dbt's selection knows it.

    `unique_id`, `resource_type`, `package`, `fqn`, `file` (`original_file_path`) and `parents` (`depends_on.nodes`) are
    as the manifest has them. The fqn of a versioned model ends with its version. Parents are asked for where two tests
    share a name and a file.
    """

    unique_id: str
    resource_type: str
    package: str
    fqn: tuple[str, ...]
    file: str
    parents: tuple[str, ...] = ()

    @property
    def path(self) -> str:
        """The fqn as dbt compares it: dots in names part it like folders do."""
        return ".".join(self.fqn)

    @property
    def file_name(self) -> str:
        """The last part of the file's path."""
        return self.file.replace("\\", "/").rsplit("/", 1)[-1]


class UnselectableError(InputError):
    """A planned node that dbt cannot select without another one that is not planned."""

    code = "unselectable"

    def __init__(self, node: str, others: Iterable[str]) -> None:
        """Take the planned unique id and those that would come along."""
        self.node, self.others = node, tuple(others)
        super().__init__(
            f"dbt cannot select {node} without {', '.join(self.others)}, which has the same name in the same place; "
            f"give one of them another name, or take both"
        )


# What dbt's command line or fnmatch reads as syntax, as a character class that matches the character itself.
_CLASSES = {"*": "[*]", "?": "[?]", "[": "[[]", "+": "[+]"}
# Spaces, commas and what does not print cannot be written at all: any character but `-` to `~`, of which names are
# made, stands in.
_STAND_IN = "[!--~]"
_ORDINARY = re.compile(r"[0-9A-Za-z_]")


def selectors_for(nodes: Iterable[SelectableNode], among: Iterable[SelectableNode] = ()) -> tuple[str, ...]:
    """Return one selector for each node, in the nodes' order.

    They are to be passed as separate arguments, with `empty` indirect selection.
    `among` holds every enabled node of the manifest that can be selected (the planned ones may be left out of it): only
    with it can nodes be told apart that share a name, and only then is the promise of exactness kept. Raises
    UnselectableError.
    """
    planned = {node.unique_id: node for node in nodes}
    every = {**{node.unique_id: node for node in among}, **planned}
    selection = _Selection(planned=planned, every=every, alike=_by_look(every.values()))
    return tuple(_selector(node, selection) for node in planned.values())


def selectors_alone(nodes: Iterable[SelectableNode]) -> dict[str, str]:
    """Return for each node, by unique id, the selector that takes it and no other. Raises UnselectableError."""
    every = {node.unique_id: node for node in nodes}
    alike = _by_look(every.values())
    return {
        id_: _selector(node, _Selection(planned={id_: node}, every=every, alike=alike)) for id_, node in every.items()
    }


def selectors_in(definition: Definition, wanted: Iterable[str]) -> tuple[str, ...]:
    """Return selectors that dbt understands as exactly these nodes and tests of a definition, by unique id.

    Raises ExecutedElseError where one is not in it, and UnselectableError.
    """
    every = {
        node.unique_id: SelectableNode(
            unique_id=node.unique_id,
            resource_type=node.resource_type,
            package=node.package_name,
            fqn=node.fqn,
            file=node.original_file_path,
            parents=node.depends_on.nodes,
        )
        for node in definition.nodes.values()
    }
    for kind, others in (("unit_test", definition.unit_tests), ("exposure", definition.exposures)):
        every.update(
            (
                id_,
                SelectableNode(
                    unique_id=id_,
                    resource_type=kind,
                    package=other.package_name,
                    fqn=other.fqn,
                    file=other.original_file_path,
                    parents=other.depends_on.nodes,
                ),
            )
            for id_, other in others.items()
            if other.fqn
        )
    wanted = tuple(wanted)
    missing = [id_ for id_ in wanted if id_ not in every]
    if missing:
        raise ExecutedElseError(missing, ())
    return selectors_for((every[id_] for id_ in wanted), every.values())


class _Selection(Struct, frozen=True, kw_only=True):
    """What is planned, all that there is, and all that there is by its look."""

    planned: Mapping[str, SelectableNode]
    every: Mapping[str, SelectableNode]
    alike: Mapping[str, list[SelectableNode]]

    def taken(self, node: SelectableNode) -> list[SelectableNode]:
        """Return the other nodes that the pattern of a node takes."""
        pattern = _anchored(node.path)
        return [other for other in self.alike[_look(node.path)] if other is not node and _takes(pattern, other)]


def _selector(node: SelectableNode, selection: _Selection) -> str:
    """Return the shortest selector that takes no unplanned node."""
    selector = f"fqn:{_anchored(node.path)}"
    strangers = [other for other in selection.taken(node) if other.unique_id not in selection.planned]
    if not strangers:
        return selector
    file = _escaped(node.file_name)
    selector += f",resource_type:{node.resource_type},package:{node.package},file:{file}"
    kind = (node.resource_type, node.package)
    strangers = [one for one in strangers if (one.resource_type, one.package) == kind and _is_file(file, one.file_name)]
    if not strangers:
        return selector
    parent = _own_parent(node, strangers, selection)
    if parent is None:
        raise UnselectableError(node.unique_id, [one.unique_id for one in strangers])
    return f"{selector},fqn:{_anchored(parent.path)}+1"


def _own_parent(
    node: SelectableNode, strangers: Iterable[SelectableNode], selection: _Selection
) -> SelectableNode | None:
    """Return a parent whose selector takes no parent of a stranger: two tests of one name differ in what they test."""
    theirs = {parent for one in strangers for parent in one.parents}
    candidates = (selection.every.get(parent) for parent in node.parents if parent not in theirs)
    known = (parent for parent in candidates if parent is not None)
    return next((one for one in known if theirs.isdisjoint(it.unique_id for it in selection.taken(one))), None)


def _by_look(nodes: Iterable[SelectableNode]) -> Mapping[str, list[SelectableNode]]:
    """Group nodes by what their patterns could confuse; dbt compares an fqn with its package and without."""
    groups: defaultdict[str, list[SelectableNode]] = defaultdict(list)
    for node in nodes:
        for name in {node.path, ".".join(node.fqn[1:])}:
            groups[_look(name)].append(node)
    return groups


def _look(name: str) -> str:
    """Return the name with every character that a stand-in could match made the same."""
    return re.sub(r"[^0-9A-Za-z_]", "?", name)


def _takes(pattern: str, node: SelectableNode) -> bool:
    return any(fnmatchcase(name, pattern) for name in (node.path, ".".join(node.fqn[1:])))


def _is_file(pattern: str, name: str) -> bool:
    """Whether dbt's `file:` takes a file: it compares the name and the name without its ending."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.rsplit(".", 1)[0], pattern)


def _escaped(name: str) -> str:
    return "".join(_CLASSES.get(one, one if one.isprintable() and one not in " ," else _STAND_IN) for one in name)


def _anchored(path: str) -> str:
    """Return a pattern that matches the fqn alone: it has a wildcard, even where the name asks for none."""
    pattern = _escaped(path)
    if "[" in pattern:
        return pattern
    last = max(match.start() for match in _ORDINARY.finditer(path))
    return f"{path[:last]}[{path[last]}]{path[last + 1 :]}"
