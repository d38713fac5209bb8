"""Labels: what dbt's node selection could know a model by."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.definition import Definition, Node
from airflow_dbt_promotion.core.identity import ModelId


class Labels(Struct, frozen=True, kw_only=True):
    """What one model can be selected by, as dbt parsed it.

    `path` is its file and `patch_path` the YAML file that tells of it, both as seen from its own project. `fqn` begins
    with its package, and ends with its version where it is `versioned`. `in_root` says that it is the project's own,
    not an installed package's.
    """

    unique_id: ModelId
    name: str
    package: str
    resource_type: str
    path: str
    fqn: tuple[str, ...]
    tags: tuple[str, ...] = ()
    meta: Mapping[str, object] = {}
    materialized: str | None = None
    group: str | None = None
    patch_path: str | None = None
    versioned: bool = False
    in_root: bool = True


def labels_of(definition: Definition, model: ModelId) -> Labels | None:
    """Return the labels of a model as one parse has it, None where it does not."""
    node = definition.nodes.get(model)
    return None if node is None else _labels(node, definition.project.name)


def _labels(node: Node, project: str) -> Labels:
    """Return the labels of a node. A patch path is written `package://path` in a manifest."""
    return Labels(
        unique_id=ModelId(node.unique_id),
        name=node.name,
        package=node.package_name,
        resource_type=node.resource_type,
        path=node.original_file_path,
        fqn=node.fqn,
        tags=tuple(str(tag) for tag in msgspec.json.decode(node.tags, type=list[object] | None) or ()),
        meta=msgspec.json.decode(node.config.meta, type=dict[str, object] | None) or {},
        materialized=node.config.materialized,
        group=node.group,
        patch_path=None if node.patch_path is None else node.patch_path.partition("://")[2],
        versioned=node.resource_type == "model" and node.version is not None,
        in_root=node.package_name == project,
    )
