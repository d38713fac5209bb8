from __future__ import annotations

import json

import jsonschema
import pytest

from airflow_dbt_promotion.render.schemas import DOCUMENTS, FOLDER, PROMOTION_FILE, rendered, rendered_file_schema


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_published_schema_is_what_the_code_writes(name: str) -> None:
    path = FOLDER / f"{name}.json"
    assert path.read_text(encoding="utf-8") == rendered(name), "run python -m airflow_dbt_promotion.render.schemas"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_schema_is_one_and_asks_for_every_field(name: str) -> None:
    schema = json.loads(rendered(name))
    jsonschema.Draft202012Validator.check_schema(schema)
    for told in schema["$defs"].values():
        if told.get("type") == "object":
            assert sorted(told["required"]) == sorted(told["properties"])


def test_the_published_schema_of_the_file_is_what_the_code_reads() -> None:
    path = FOLDER / PROMOTION_FILE
    jsonschema.Draft202012Validator.check_schema(json.loads(rendered_file_schema()))
    assert path.read_text(encoding="utf-8") == rendered_file_schema(), (
        "run python -m airflow_dbt_promotion.render.schemas"
    )


def test_no_other_schema_lies_about() -> None:
    generated = {f"{name}.json" for name in DOCUMENTS}
    others = {path.name for path in FOLDER.glob("*.json")} - generated
    assert not {name for name in others if "Document" in (FOLDER / name).read_text(encoding="utf-8")}
