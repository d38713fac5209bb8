"""What nodes are said to be: their attributes, as far as the code of a node reads them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import msgspec
from msgspec import Raw

from airflow_dbt_promotion.core.attributes import Attribute, read_by_jinja
from airflow_dbt_promotion.core.definition import AsWritten, Column, Definition, Node
from airflow_dbt_promotion.core.identity import Digest, digest_of

_SPELLINGS = {
    Attribute.SCHEMA: ("schema", "dataset"),
    Attribute.DATABASE: ("database", "project", "catalog", "data_space"),
}
"""How config spells where a node goes: adapters have words of their own."""

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


def attributes_of(
    node: Node, known: Mapping[str, object], written: AsWritten | None, read: Collection[Attribute]
) -> dict[str, object]:
    """Return the attributes of a node that its code reads, as they are written where that is known.

    Args:
        node: The node.
        known: Its config that people know it by, as written.
        written: Everything that is written of it, None where only the manifest is known.
        read: The attributes that are read; GRAPH is not of one node.
    """
    return {one.value: _attribute(node, known, written, one) for one in read if one is not Attribute.GRAPH}


def graph_of(definition: Definition) -> Digest:
    """Return the digest of what code finds in `graph`: every node with its attributes, sources and exposures.

    Places are left out, and what depends on what, which the code says: both may differ between environments.
    """
    nodes = [_in_graph(definition, id_, node) for id_, node in sorted(definition.nodes.items())]
    others = [
        [id_, unix(one.description or ""), one.label, columns_of(one.columns), value_of(one.meta), value_of(one.tags)]
        for id_, one in sorted(definition.others.items())
    ]
    exposures = [
        [id_, one.name, one.label, one.url, unix(one.description), value_of(one.meta), value_of(one.tags)]
        for id_, one in sorted(definition.exposures.items())
    ]
    return digest_of([nodes, others, exposures])


def columns_of(columns: Mapping[str, Column], written: AsWritten | None = None) -> object:
    """Return everything that is declared of columns, in their order; as written where Jinja stands in it."""
    if written is not None and written.talk is not None:
        raw = _described_in(written.talk)
        return [written.talk, [(name, unix(one.description)) for name, one in columns.items() if name not in raw]]
    return [
        [
            name,
            column.data_type,
            unix(column.description),
            column.quote,
            value_of(column.constraints),
            _merged(column, "meta", column.meta),
            _merged(column, "tags", column.tags),
        ]
        for name, column in columns.items()
    ]


def said_of(columns: Mapping[str, Column]) -> object:
    """Return what people know columns by, whatever their order: descriptions, meta and tags."""
    said = [
        [name, unix(one.description), _merged(one, "meta", one.meta), _merged(one, "tags", one.tags)]
        for name, one in sorted(columns.items())
    ]
    return [one for one in said if any(one[1:])]


def _in_graph(definition: Definition, id_: str, node: Node) -> list[object]:
    """Return what `graph` holds of one node."""
    written = definition.written.get(id_) if definition.written is not None else None
    config = value_of(node.unrendered_config) if definition.written is None else written and written.config
    test = value_of(node.test_metadata.kwargs) if node.test_metadata is not None else None
    content = node.checksum.checksum if node.resource_type == "seed" else unix(node.raw_code)
    if node.test_metadata is not None:
        content = ""  # dbt renders the config of a generic test into its code
    described = [_description(node, written), columns_of(node.columns, written), node.fqn, _path(node)]
    return [id_, content, config, described, test]


def _attribute(node: Node, known: Mapping[str, object], written: AsWritten | None, attribute: Attribute) -> object:
    """Return one attribute of a node."""
    match attribute:
        case Attribute.DESCRIPTION:
            return _description(node, written)
        case Attribute.COLUMNS:
            return columns_of(node.columns, written)
        case Attribute.PATH:
            return [node.fqn, _path(node)]
        case Attribute.GROUP:
            return known.get("group", node.group)
        case Attribute.ACCESS:
            return known.get("access", node.access)
        case Attribute.SCHEMA | Attribute.DATABASE:
            return [known.get(key) for key in _SPELLINGS[attribute]]
        case _:
            return known.get(attribute.value)


def _description(node: Node, written: AsWritten | None) -> str:
    """Return the description of a node; as written where dbt renders it for a target."""
    told = written.description if written is not None else None
    return unix(node.description if told is None else told)


def _described_in(talk: object) -> frozenset[str]:
    """Return the columns whose descriptions are in what is written of them."""
    columns = talk if isinstance(talk, list) else []
    return frozenset(str(one.get("name")) for one in columns if isinstance(one, dict) and "description" in one)


def _merged(column: Column, key: str, beside: Raw) -> object:
    """Return what dbt says of a column in its config, else beside it: which of both it fills depends on its release."""
    config = value_of(column.config)
    return (config.get(key) if isinstance(config, dict) else None) or value_of(beside)


def _path(node: Node) -> str:
    """Return where the file of a node lies in its package."""
    return node.original_file_path.replace("\\", "/")
