"""The published JSON Schemas of every document, generated from the structs that write them.

`python -m airflow_dbt_promotion.render.schemas` writes them into the package's `schemas` folder; a test holds both to
each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.config import config_schema
from airflow_dbt_promotion.render.approvals import ApprovalsDocument
from airflow_dbt_promotion.render.braking import InterventionDocument
from airflow_dbt_promotion.render.checked import CheckedDocument
from airflow_dbt_promotion.render.checkpoints import CheckpointsDocument
from airflow_dbt_promotion.render.configuration import ConfigurationDocument
from airflow_dbt_promotion.render.documents import FailureDocument, PromotionDocument, StatusDocument
from airflow_dbt_promotion.render.exclusion import ExclusionDocument
from airflow_dbt_promotion.render.history import HistoryDocument
from airflow_dbt_promotion.render.importing import ImportedDocument
from airflow_dbt_promotion.render.moving import MovedDocument
from airflow_dbt_promotion.render.recording import RecordingDocument
from airflow_dbt_promotion.render.rolling_back import RollbackDocument
from airflow_dbt_promotion.render.serving import RunDocument
from airflow_dbt_promotion.render.standing import ValidatedDocument
from airflow_dbt_promotion.render.stored import StoredDocument
from airflow_dbt_promotion.render.unlocking import UnlockedDocument
from airflow_dbt_promotion.render.verifying import VerifiedDocument
from airflow_dbt_promotion.render.waste import WasteDocument
from airflow_dbt_promotion.render.why import WhyDocument

FOLDER = Path(__file__).parent.parent / "schemas"
PROMOTION_FILE = "promotion_file.json"

DOCUMENTS: Mapping[str, type[Struct]] = MappingProxyType(
    {
        "promotion": PromotionDocument,
        "status": StatusDocument,
        "validated": ValidatedDocument,
        "recording": RecordingDocument,
        "why": WhyDocument,
        "history": HistoryDocument,
        "run": RunDocument,
        "excluded": ExclusionDocument,
        "cleaned": WasteDocument,
        "unlocked": UnlockedDocument,
        "intervened": InterventionDocument,
        "rollback": RollbackDocument,
        "approvals": ApprovalsDocument,
        "checkpoints": CheckpointsDocument,
        "stored": StoredDocument,
        "moved": MovedDocument,
        "verified": VerifiedDocument,
        "imported": ImportedDocument,
        "checked": CheckedDocument,
        "configuration": ConfigurationDocument,
        "failure": FailureDocument,
    }
)


def schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a document by its name."""
    found = {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(DOCUMENTS[name])}
    for told in found["$defs"].values():
        # Python 3.13 takes the indentation out of docstrings, earlier ones leave it in.
        told["description"] = " ".join(told.get("description", "").split())
    return found


def rendered(name: str) -> str:
    """Return the JSON Schema of a document as it is published."""
    return json.dumps(schema(name), indent=2, sort_keys=True) + "\n"


def rendered_file_schema() -> str:
    """Return the JSON Schema of `promotion.yml` as it is published."""
    return json.dumps(config_schema(), indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Write every schema."""
    FOLDER.mkdir(exist_ok=True)
    for name in DOCUMENTS:
        (FOLDER / f"{name}.json").write_text(rendered(name), encoding="utf-8")
    (FOLDER / PROMOTION_FILE).write_text(rendered_file_schema(), encoding="utf-8")


if __name__ == "__main__":
    main()
