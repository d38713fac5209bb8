"""Which asset Cosmos gives a model: the mapping from what was promoted to what Cosmos emits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cosmos import ProfileConfig


def cosmos_asset_uri(profile_config: ProfileConfig, relation: str) -> str:
    """Return the URI of the asset that Cosmos emits for a model that it builds with a profile.

    `relation` is where dbt builds the model, `database.schema.name`, as in `relation_name` of its manifest; quotes are
    left out. Cosmos names assets by warehouse and relation, ours are named by environment and model: the one says that
    a table was built, the other that a version was promoted. Raises ValueError where Cosmos emits no asset.
    """
    from cosmos.dataset import construct_dataset_uri, get_dataset_namespace  # noqa: PLC0415 - a third of a second

    namespace = get_dataset_namespace(profile_config)
    parts = [part.strip('"`[]') for part in relation.split(".")]
    if namespace is None or not all(parts) or len(parts) != 3:  # noqa: PLR2004 - database, schema, name
        raise ValueError(f"Cosmos emits no asset for {relation!r} with this profile: it needs database.schema.name")
    return str(construct_dataset_uri(namespace, ".".join(parts), warn_uri_migration=False))
