"""Where the state is and what is in it, as people and machines read it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from airflow_dbt_promotion.core import codec, lock
from airflow_dbt_promotion.core.identity import short
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.table import Page, Tone
from airflow_dbt_promotion.render.telling import count


class StoredEnvironmentDocument(Struct, frozen=True, kw_only=True):
    """What is remembered of one environment, in numbers. `bytes` is the document as it is kept."""

    environment: str
    where: str
    project: str
    schema_version: int
    lineage: str
    serial: int
    epoch: int
    bytes: int
    current: int
    stays: int
    evidence: int
    history: int
    bypasses: int
    locked_by: str | None
    open_promotion: str | None
    whole: bool


class StoredDocument(Struct, frozen=True, kw_only=True):
    """Everything that is remembered, in numbers."""

    schema_version: int
    environments: tuple[StoredEnvironmentDocument, ...]


Stored = Sequence[tuple[str, EnvironmentState]]
"""Where each document is, and the document."""


def document(stored: Stored) -> dict[str, object]:
    """Return it as JSON-able values."""
    return builtins(
        StoredDocument(schema_version=SCHEMA_VERSION, environments=tuple(_environment(*one) for one in stored))
    )


def text(stored: Stored, page: Page) -> str:
    """Return it as text."""
    if not stored:
        return "Nothing is remembered there.\n"
    lines: list[str] = []
    for where, state in stored:
        found = _environment(where, state)
        lines += [*([""] if lines else []), page.paint(f"{found.environment}: {where}", Tone.BOLD)]
        lines += [line for told in _told(found, state) for line in page.paragraph(told, "  ", "    ")]
    return "\n".join(lines) + "\n"


def as_markdown(stored: Stored) -> str:
    """Return it as markdown."""
    rows = [
        (
            markdown.code(one.environment),
            markdown.escaped(one.where),
            str(one.serial),
            str(one.current),
            str(one.history),
            markdown.escaped(one.locked_by or ""),
        )
        for one in (_environment(*told) for told in stored)
    ]
    heading = f"## {count(len(stored), 'environment')} remembered\n"
    titles = ("environment", "where", "serial", "models", "history", "locked by")
    return heading + (f"\n{markdown.grid(titles, rows)}\n" if rows else "")


def whole(state: EnvironmentState) -> str:
    """Return a document as it is, never packed."""
    return codec.encode(state, plain=True).decode("utf-8")


def _environment(where: str, state: EnvironmentState) -> StoredEnvironmentDocument:
    return StoredEnvironmentDocument(
        environment=state.environment,
        where=where,
        project=state.project.name,
        schema_version=state.schema_version,
        lineage=state.lineage,
        serial=state.serial,
        epoch=state.epoch,
        bytes=len(codec.encode(state)),
        current=len(state.current),
        stays=sum(len(stays) for stays in state.stays.values()),
        evidence=sum(len(ledgers) for ledgers in state.evidence.values()),
        history=len(state.history),
        bypasses=len(state.bypasses),
        locked_by=lock.told(state.lock) if state.lock is not None else None,
        open_promotion=state.journal.plan_id if state.journal is not None else None,
        whole=state.unfinalized is None,
    )


def _told(found: StoredEnvironmentDocument, state: EnvironmentState) -> list[str]:
    """Return what is to be known of one document, a line each."""
    what = f"project {found.project}, schema {found.schema_version}, serial {found.serial}, lineage {found.lineage}"
    held = f"{count(found.current)} current, {count(found.stays, 'completed stay')}"
    proven = f"evidence for {count(found.evidence, 'version')}, {count(found.history, 'promotion')} in history"
    told = [f"{what}, {found.bytes:,} bytes", f"{held}, {proven}"]
    if found.bypasses:
        told.append(f"{found.bypasses} times somebody went around a gate, on record")
    if found.locked_by is not None:
        told.append(f"locked by {found.locked_by}")
    if state.journal is not None:
        told.append(f"promotion {short(state.journal.plan_id)} by {state.journal.actor} is open")
    if state.unfinalized is not None:
        told.append(f"not whole: {state.unfinalized.why}")
    return told
