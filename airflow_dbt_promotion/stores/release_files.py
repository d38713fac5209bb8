"""Where kept sources lie: in a folder beside the state, or in memory."""

from __future__ import annotations

from pathlib import Path

from airflow_dbt_promotion.stores.blobs import FileBlobs, MemoryBlobs
from airflow_dbt_promotion.stores.json_file import JsonFileStore
from airflow_dbt_promotion.stores.releases import BlobReleaseStore

FOLDER = "releases"
"""The folder below the root of the state."""


def open_in_files(root: str, base: Path) -> BlobReleaseStore:
    """Return the store in the folder beside the state; nothing is created before something is kept."""
    return BlobReleaseStore(FileBlobs(JsonFileStore.open(root, base, ()).root / FOLDER))


def open_in_memory(root: str, base: Path) -> BlobReleaseStore:  # noqa: ARG001 - no place
    """Return a new and empty store, whatever the root."""
    return BlobReleaseStore(MemoryBlobs())
