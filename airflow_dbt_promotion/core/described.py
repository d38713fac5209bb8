"""What nodes are said to be: their attributes, as far as the code of a node reads them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import msgspec
from msgspec import Raw

from airflow_dbt_promotion.core.attributes import Attribute, read_by_jinja
from airflow_dbt_promotion.core.definition import Column, Definition, Node
from airflow_dbt_promotion.core.identity import Digest, digest_of

Values = Callable[[Node], Mapping[str, object]]
"""Gives the config of a node that people know it by (meta, tags, group ...), as written."""

Codes = Callable[[Node], object]
"""Gives the config of a node that is code, as written."""

_decode = msgspec.json.Decoder().decode


def unix(text: str) -> str:
    """Return a text with the line endings of Unix: others are no difference between versions."""
    return text.replace("\r\n", "\n") if "\r" in text else text


def value_of(raw: Raw) -> object:
    """Return the value of some JSON, so that the order of its keys is no change; None where it is empty."""
    return _decode(raw) or None


def read_in(value: object) -> frozenset[Attribute]:
    """Return what Jinja in any text of some config reads."""
    match value:
        case str():
            return read_by_jinja(value)
        case dict():
            return frozenset(one for inner in value.values() for one in read_in(inner))
        case list() | tuple():
            return frozenset(one for inner in value for one in read_in(inner))
        case _:
            return frozenset()


def attributes_of(node: Node, known: Mapping[str, object], read: Collection[Attribute]) -> dict[str, object]:
    """Return the attributes of a node that its code reads, as they are written where that is known.

    Args:
        node: The node.
        known: Its config that people know it by, as written.
        read: The attributes that are read; GRAPH is not of one node.
    """
    return {one.value: _attribute(node, known, one) for one in read if one is not Attribute.GRAPH}


def graph_of(definition: Definition, known: Values, code: Codes) -> Digest:
    """Return the digest of what code finds in `graph`: every node with its attributes, sources and exposures.

    Places are left out: they differ between environments.
    """
    nodes = [
        [
            id_,
            unix(node.raw_code),
            code(node),
            known(node),
            [unix(node.description), columns_of(node.columns), node.fqn, _path(node), node.group, node.access],
            sorted(node.depends_on.nodes),
        ]
        for id_, node in sorted(definition.nodes.items())
    ]
    others = [
        [id_, unix(one.description), columns_of(one.columns), value_of(one.meta), value_of(one.tags)]
        for id_, one in sorted(definition.others.items())
    ]
    exposures = [[id_, one.name, one.label, one.url] for id_, one in sorted(definition.exposures.items())]
    return digest_of([nodes, others, exposures])


def columns_of(columns: Mapping[str, Column]) -> object:
    """Return everything that is declared of columns, in their order."""
    return [
        [
            name,
            column.data_type,
            unix(column.description),
            column.quote,
            value_of(column.constraints),
            value_of(column.meta),
            value_of(column.tags),
        ]
        for name, column in columns.items()
    ]


def _attribute(node: Node, known: Mapping[str, object], attribute: Attribute) -> object:
    """Return one attribute of a node."""
    match attribute:
        case Attribute.DESCRIPTION:
            return unix(node.description)
        case Attribute.COLUMNS:
            return columns_of(node.columns)
        case Attribute.PATH:
            return [node.fqn, _path(node)]
        case Attribute.GROUP:
            return known.get("group", node.group)
        case Attribute.ACCESS:
            return known.get("access", node.access)
        case _:
            return known.get(attribute.value)


def _path(node: Node) -> str:
    """Return where the file of a node lies in its package."""
    return node.original_file_path.replace("\\", "/")
