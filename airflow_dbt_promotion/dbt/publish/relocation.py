"""Relocation: the parse that dbt is handed, in which planned nodes lie beside where they lie else.

Nothing of the project changes, and nothing that asks for the target: a node's schema, name and the relation name made
of them are all that says where it is built, and where a `ref` of it leads.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Raw, Struct, field

from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.aliases import aliased
from airflow_dbt_promotion.dbt.publish.dialect import Dialect, Located, place_in

_Sections = dict[str, Raw]
_entries = msgspec.msgpack.Decoder(_Sections)
_encode = msgspec.msgpack.Encoder().encode


class _Constraint(Struct):
    type: str = ""


class _Column(Struct):
    constraints: list[_Constraint] = []


class _Config(Struct):
    materialized: str | None = None
    full_refresh: bool | None = None
    bind: bool | None = None
    table_format: Any = None
    file_format: Any = None
    location_root: Any = None
    grants: Any = None
    contract: dict[str, Any] = {}


class _Node(Struct):
    resource_type: str
    schema: str
    alias: str
    database: str | None = None
    relation_name: str | None = None
    config: _Config = field(default_factory=_Config)
    constraints: list[_Constraint] = []
    columns: dict[str, _Column] = {}


class _DependsOn(Struct):
    nodes: list[ModelId] = []


class _Reading(Struct):
    raw_code: str = ""
    language: str = "sql"
    depends_on: _DependsOn = field(default_factory=_DependsOn)


TAG = "dbt_promotion_chosen"
CHOSEN = f"tag:{TAG}"
"""A selector of what has our tag."""

_nodes = msgspec.msgpack.Decoder(_Node)
_tags = msgspec.msgpack.Decoder(list[str])
_readings = msgspec.msgpack.Decoder(_Reading)


class Unlocatable(Struct, frozen=True):
    """A node whose relation name is not made of its database, schema and alias in any way that is known."""

    model: ModelId
    relation_name: str | None


def located(parse: bytes, models: Iterable[ModelId], dialect: Dialect) -> list[Located | Unlocatable]:
    """Return where nodes of a kept parse lie, in their order. Raises DbtError for what is no parse."""
    found: list[Located | Unlocatable] = []
    try:
        nodes = _entries.decode(_entries.decode(parse)["nodes"])
        for model in models:
            node = _nodes.decode(nodes[model])
            place = place_in(node.relation_name or "", node.database, node.schema, node.alias, dialect.quote)
            found.append(Unlocatable(model, node.relation_name) if place is None else _located(model, node, place))
    except (KeyError, msgspec.MsgspecError) as error:
        raise DbtError("the parse of the project cannot be read", [f"{type(error).__name__}: {error}"]) from error
    return found


def relocated(parse: bytes, places: Mapping[ModelId, Place], dialect: Dialect) -> bytes:
    """Return a kept parse in which nodes lie elsewhere, and are called by what reads them as they were.

    Raises DbtError for what is no parse.
    """
    try:
        whole: dict[str, object] = dict(_entries.decode(parse))
        before = _entries.decode(whole["nodes"])  # type: ignore[arg-type]
        nodes: dict[str, object] = dict(before)
        names = {model: _called(_nodes.decode(before[model]), place, dialect) for model, place in places.items()}
        for id_, node in before.items():
            reading = _readings.decode(node)
            if reading.language == "sql" and not names.keys().isdisjoint(reading.depends_on.nodes):
                code = aliased(reading.raw_code, reading.depends_on.nodes, names)
                if code != reading.raw_code:
                    nodes[id_] = {**_entries.decode(node), "raw_code": code}
        for model, place in places.items():
            moved = {"schema": place.schema, "alias": place.identifier, "relation_name": dialect.sql(place)}
            known = nodes[model]
            nodes[model] = {**(known if isinstance(known, dict) else _entries.decode(before[model])), **moved}
    except (KeyError, msgspec.MsgspecError) as error:
        raise DbtError("the parse of the project cannot be read", [f"{type(error).__name__}: {error}"]) from error
    return _encode({**whole, "nodes": nodes})


def chosen(parse: bytes, ids: Iterable[str]) -> bytes:
    """Return a kept parse in which some nodes have a tag of ours, before their own: `CHOSEN` selects them and no other.

    dbt compares every selector with every node. One for each of a thousand nodes costs it more than to build them.
    Raises DbtError for what is no parse, or not in it.
    """
    try:
        whole: dict[str, object] = dict(_entries.decode(parse))
        nodes: dict[str, object] = dict(_entries.decode(whole["nodes"]))  # type: ignore[arg-type]
        for id_ in ids:
            fields = _entries.decode(nodes[id_])  # type: ignore[arg-type]
            nodes[id_] = {**fields, "tags": [TAG, *_tags.decode(fields["tags"])]}
    except (KeyError, msgspec.MsgspecError) as error:
        raise DbtError("the parse of the project cannot be read", [f"{type(error).__name__}: {error}"]) from error
    return _encode({**whole, "nodes": nodes})


def _called(node: _Node, place: Place, dialect: Dialect) -> tuple[str, str]:
    """Return what a relation is called in place, bare and as SQL has it."""
    quote = dialect.quote if place.quoted[2] else ""
    return node.alias, f"{quote}{node.alias}{quote}"


def _located(model: ModelId, node: _Node, place: Place) -> Located:
    """Return what is known of a node."""
    constraints = [*node.constraints, *(one for column in node.columns.values() for one in column.constraints)]
    return Located(
        model=model,
        resource_type=node.resource_type,
        place=place,
        materialized=node.config.materialized or "",
        full_refresh=node.config.full_refresh,
        foreign_keys=bool(node.config.contract.get("enforced")) and any(c.type == "foreign_key" for c in constraints),
        late_binding=node.config.bind is False,
        table_format=str(node.config.table_format or "").lower(),
        file_format=str(node.config.file_format or "").lower(),
        grants=tuple(sorted(node.config.grants or ())),
        located=bool(node.config.location_root),
    )
