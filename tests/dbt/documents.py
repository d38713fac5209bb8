"""Artifacts as dbt writes them, as far as they are read, for tests that need no dbt."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]


def node(unique_id: str, **fields: object) -> Json:
    """Return a node as dbt writes it, as far as it is read."""
    kind, package, name = unique_id.split(".", 2)
    return {
        "unique_id": unique_id,
        "name": name,
        "resource_type": kind,
        "package_name": package,
        "fqn": [package, name],
        "original_file_path": f"models/{name}.sql",
        "raw_code": "select 1",
        "checksum": {"name": "sha256", "checksum": "00"},
        "config": {"materialized": "view", "enabled": True},
        "unrendered_config": {"materialized": "view"},
        "depends_on": {"macros": [], "nodes": []},
        **fields,
    }


def manifest(version: int = 12, invocation: str = "run-1", **sections: object) -> Json:
    """Return a manifest of one model."""
    return {
        "metadata": {
            "dbt_schema_version": f"https://schemas.getdbt.com/dbt/manifest/v{version}.json",
            "dbt_version": "1.11.16",
            "generated_at": "2026-01-02T03:04:05.678901Z",
            "invocation_id": invocation,
            "project_name": "shop",
            "project_id": "0f0f",
            "adapter_type": "duckdb",
        },
        "nodes": {"model.shop.orders": node("model.shop.orders")},
        "macros": {},
        "sources": {},
        **sections,
    }


def results(*entries: Json, invocation: str = "run-1", **args: object) -> Json:
    """Return the run_results.json of a build."""
    return {
        "metadata": {
            "dbt_schema_version": "https://schemas.getdbt.com/dbt/run-results/v6.json",
            "dbt_version": "1.11.16",
            "generated_at": "2026-01-02T03:10:00Z",
            "invocation_id": invocation,
        },
        "results": list(entries),
        "args": {"which": "build", "vars": {}, "defer": False, "empty": False, **args},
        "elapsed_time": 1.0,
    }


def result(unique_id: str, status: str, **fields: object) -> Json:
    """Return one entry of run_results.json."""
    return {
        "unique_id": unique_id,
        "status": status,
        "timing": [],
        "message": None,
        "relation_name": None,
        "failures": None,
        **fields,
    }


def written(folder: Path, name: str, document: object) -> Path:
    """Write an artifact and return its folder."""
    (folder / name).write_text(json.dumps(document), encoding="utf-8")
    return folder
