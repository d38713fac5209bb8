"""What was imported, in every form, and how history and status tell of it."""

from __future__ import annotations

import json

import jsonschema
import pytest

from airflow_dbt_promotion.core.identity import EnvironmentName
from airflow_dbt_promotion.engine.importer import Imported, Importer
from airflow_dbt_promotion.engine.memory import Memory
from airflow_dbt_promotion.render import history, importing, standing
from airflow_dbt_promotion.render.schemas import schema
from airflow_dbt_promotion.render.table import Page, columns_of
from tests.scenarios import PACKAGE, Shop, model_id

NO_ROOM = (
    "Left out: 3, for the history of production keeps 10 at most (`keep_history` in promotion.yml), and what is on "
    "record stays."
)
FOR_PEOPLE = (
    "History is for people: nothing of it is evidence, and nothing became current. `dbt-promote record` records what "
    "is there."
)


def imported(added: int = 0, known: int = 0, dropped: int = 0) -> Imported:
    """Return what became of some promotions."""
    return Imported(
        environment=EnvironmentName("production"),
        where="old_state.json",
        added=added,
        known=known,
        dropped=dropped,
        history=added + known,
        keep=10,
    )


def test_the_document_says_how_many() -> None:
    document = importing.document(imported(3, 2, 1))
    jsonschema.validate(document, schema("imported"))
    assert document == {
        "schema_version": 1,
        "environment": "production",
        "imported_from": "old_state.json",
        "added": 3,
        "known": 2,
        "dropped": 1,
        "history": 5,
        "keep_history": 10,
    }


@pytest.mark.parametrize(
    ("found", "lines"),
    [
        (imported(), ["Nothing to import: old_state.json tells of no promotion into production."]),
        (
            imported(known=2),
            ["Imported 0 promotions from old_state.json into the history of production.", "On record already: 2."],
        ),
        (
            imported(1, 0, 3),
            [
                "Imported 1 promotion from old_state.json into the history of production.",
                NO_ROOM,
                FOR_PEOPLE,
            ],
        ),
    ],
)
def test_text_and_markdown_say_what_became_of_all(found: Imported, lines: list[str]) -> None:
    assert importing.text(found, Page()).splitlines() == lines
    assert importing.as_markdown(found).replace("\\", "").strip().split("\n\n") == lines
    assert max(columns_of(line) for line in importing.text(found, Page(width=60)).splitlines()) <= 60


def old(shop: Shop, environment: str, **more: object) -> None:
    """Import one promotion of orders."""
    told = [{"models": [model_id("orders"), "customers"], "at": "2025-01-31T10:00:00Z", **more}]
    memory = Memory(shop.engine.path, shop.store, PACKAGE)
    Importer(memory, shop.clock).take(environment, json.dumps(told).encode(), "old.json", None)


def test_history_tells_of_imported_promotions_what_is_known() -> None:
    shop = Shop()
    old(shop, "production", status="failed", user="ann")
    records = shop.engine.history()
    assert history.text(records, Page()).splitlines() == [
        "2025-01-31 10:00 UTC  production  failed",
        "  by ann",
        "  failed: customers, orders",
        "  imported from old.json",
    ]
    row = history.as_markdown(records).splitlines()[-1].replace("\\", "").split(" | ")
    assert row[1:] == ["production", "failed", "-", "ann", "failed: customers, orders", "imported from old.json |"]
    document = history.document(records)
    jsonschema.validate(document, schema("history"))
    (one,) = document["promotions"]  # type: ignore[misc]  # a document is of plain values
    assert (one["strategy"], one["source_environment"], one["run_id"]) == ("imported", "unknown", None)
    assert {model["to_version"] for model in one["models"]} == {None}


def test_status_tells_of_an_imported_promotion_beside_what_is_current() -> None:
    shop = Shop()
    old(shop, "staging")
    assert not shop.engine.status()
    shop.run("staging")
    places = tuple(
        standing.Place(name=one.name, state=shop.engine.observer.state(one.name), working=one.working)
        for one in shop.engine.path.environments
    )
    written = standing.text(shop.engine.status(), places, shop.clock(), Page())
    assert written.count("advanced 2025-01-31 10:00 by unknown") == 1
