"""Where state is kept: one store a kind of place, found by the scheme of its root.

A root is a folder (`target/promotion_states`, relative to the dbt project) or an address with a scheme
(`file:///srv/states`, `s3://bucket/prefix`, `postgresql://host/database`). The registry names classes by dotted path,
so that a store is imported only where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from airflow_dbt_promotion.core.errors import ConfigError
from airflow_dbt_promotion.core.ports import ReleaseStore, StateStore

STORES: Mapping[str, str] = MappingProxyType(
    {
        "airflow-connection": "airflow_dbt_promotion.stores.database.DatabaseStore",
        "airflow-variable": "airflow_dbt_promotion.stores.variable.VariableStore",
        "az": "airflow_dbt_promotion.stores.object_store.ObjectStore",
        "file": "airflow_dbt_promotion.stores.json_file.JsonFileStore",
        "gs": "airflow_dbt_promotion.stores.object_store.ObjectStore",
        "memory": "airflow_dbt_promotion.stores.memory.MemoryStore",
        "postgresql": "airflow_dbt_promotion.stores.database.DatabaseStore",
        "postgresql+psycopg2": "airflow_dbt_promotion.stores.database.DatabaseStore",
        "s3": "airflow_dbt_promotion.stores.object_store.ObjectStore",
        "sqlite": "airflow_dbt_promotion.stores.database.DatabaseStore",
    }
)

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):")
"""At least two characters, so that a Windows drive is no scheme."""

_PASSWORD = re.compile(r"(//[^/:@]*:).*(?=@)|([?&]\w*(?:password|secret|key|token)\w*=)[^&]*", re.IGNORECASE)


RELEASES: Mapping[str, str] = MappingProxyType(
    {
        "airflow-connection": "airflow_dbt_promotion.stores.database_blobs.open_in_database",
        "airflow-variable": "airflow_dbt_promotion.stores.variable_releases.open_in_variables",
        "az": "airflow_dbt_promotion.stores.object_blobs.open_in_bucket",
        "file": "airflow_dbt_promotion.stores.release_files.open_in_files",
        "gs": "airflow_dbt_promotion.stores.object_blobs.open_in_bucket",
        "memory": "airflow_dbt_promotion.stores.release_files.open_in_memory",
        "postgresql": "airflow_dbt_promotion.stores.database_blobs.open_in_database",
        "postgresql+psycopg2": "airflow_dbt_promotion.stores.database_blobs.open_in_database",
        "s3": "airflow_dbt_promotion.stores.object_blobs.open_in_bucket",
        "sqlite": "airflow_dbt_promotion.stores.database_blobs.open_in_database",
    }
)
"""What opens the release store of each kind of place."""


class OpenableStore(Protocol):
    """What a class in the registry offers."""

    @classmethod
    def open(cls, root: str, base: Path, endangered: tuple[Path, ...]) -> StateStore:
        """Return the store at a root, touching nothing there; raise ConfigError where the root cannot be one."""


def open_store(root: str, base: Path, endangered: tuple[Path, ...] = ()) -> StateStore:
    """Return the store at a root; nothing is created or read yet.

    A relative folder is relative to `base`, the folder of the dbt project. `endangered` are folders that other tools
    delete (dbt's clean-targets); a store in one of them says so in its `warnings`. Raises ConfigError.
    """
    scheme = _scheme(root)
    module, _, name = STORES[scheme].rpartition(".")
    store = cast("type[OpenableStore]", getattr(import_module(module), name))
    return store.open(root, base, endangered)


def open_releases(root: str, base: Path) -> ReleaseStore:
    """Return the store of kept sources that lies beside the state at a root; raises as `open_store` does."""
    module, _, name = RELEASES[_scheme(root)].rpartition(".")
    return cast("Callable[[str, Path], ReleaseStore]", getattr(import_module(module), name))(root, base)


def _scheme(root: str) -> str:
    """Return the scheme of a root. Raises ConfigError where it is no place, or of a kind that is not known."""
    if not root.strip() or "\0" in root:
        raise ConfigError("state", f"{root!r} is no place; give a folder, or an address ({_known()})")
    if "{{" in root or "{%" in root:
        raise ConfigError("state", f"{_shown(root)!r} holds Jinja, which is not rendered here; write the place itself")
    found = _SCHEME.match(root)
    scheme = found[1].lower() if found else "file"
    if scheme not in STORES:
        raise ConfigError(
            "state",
            f"{_shown(root)!r}: there is no store for {scheme!r}; known: {_known()}. A folder of that name is "
            f"`./{_shown(root)}`",
        )
    return scheme


def _shown(root: str) -> str:
    """Return a root as an error may repeat it: without what may be a password in it."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", root)


def _known() -> str:
    """Return the schemes for a sentence."""
    return ", ".join(f"{scheme}://" for scheme in sorted(STORES))
