"""What was imported of past promotions, as a document, text and markdown."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.engine.importer import Imported
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.table import Page
from airflow_dbt_promotion.render.telling import count


class ImportedDocument(Struct, frozen=True, kw_only=True):
    """Past promotions of a file, `imported_from`: how many were `added` to the history, and how many were `known`.

    `dropped` are those for which there was no room; `history` is how many are on record now, `keep_history` how many at
    most.
    """

    schema_version: int
    environment: str
    imported_from: str
    added: int
    known: int
    dropped: int
    history: int
    keep_history: int


def document(imported: Imported) -> dict[str, object]:
    """Return it as JSON-able values."""
    return builtins(
        ImportedDocument(
            schema_version=SCHEMA_VERSION,
            environment=imported.environment,
            imported_from=imported.where,
            added=imported.added,
            known=imported.known,
            dropped=imported.dropped,
            history=imported.history,
            keep_history=imported.keep,
        )
    )


def text(imported: Imported, page: Page) -> str:
    """Return it as text."""
    return "\n".join(line for told in _told(imported) for line in page.paragraph(told, "", "  ")) + "\n"


def as_markdown(imported: Imported) -> str:
    """Return it as markdown."""
    return "\n\n".join(markdown.escaped(told) for told in _told(imported)) + "\n"


def _told(imported: Imported) -> tuple[str, ...]:
    """Return what is to be known, one paragraph each."""
    environment, where = imported.environment, imported.where
    if not imported.added + imported.known + imported.dropped:
        return (f"Nothing to import: {where} tells of no promotion into {environment}.",)
    found = [f"Imported {count(imported.added, 'promotion')} from {where} into the history of {environment}."]
    if imported.known:
        found.append(f"On record already: {imported.known}.")
    if imported.dropped:
        found.append(
            f"Left out: {imported.dropped}, for the history of {environment} keeps {imported.keep} at most "
            f"(`keep_history` in promotion.yml), and what is on record stays."
        )
    if imported.added:
        found.append(
            "History is for people: nothing of it is evidence, and nothing became current. `dbt-promote record` "
            "records what is there."
        )
    return tuple(found)
