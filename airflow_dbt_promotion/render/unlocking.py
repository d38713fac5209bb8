"""A lock that was opened by force, as people and machines read it."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.state import EnvironmentState, Unlocking
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.table import Page


class UnlockedDocument(Struct, frozen=True, kw_only=True):
    """A lock that was opened by force. `open_promotion` is the plan id of the promotion that was left open, or null."""

    schema_version: int
    environment: str
    opened_at: Instant
    actor: str
    reason: str
    owner: str
    open_promotion: str | None


class Unlocked(Struct, frozen=True, kw_only=True):
    """What was opened, and what the environment is since."""

    environment: str
    opened: Unlocking
    state: EnvironmentState | None


def document(found: Unlocked) -> dict[str, object]:
    """Return it as JSON-able values."""
    journal = found.state.journal if found.state is not None else None
    return builtins(
        UnlockedDocument(
            schema_version=SCHEMA_VERSION,
            environment=found.environment,
            opened_at=found.opened.at,
            actor=found.opened.actor,
            reason=found.opened.reason,
            owner=found.opened.owner,
            open_promotion=journal.plan_id if journal is not None else None,
        )
    )


def text(found: Unlocked, page: Page) -> str:
    """Return it as text."""
    return "\n".join(line for told in _told(found) for line in page.paragraph(told, "", "  ")) + "\n"


def as_markdown(found: Unlocked) -> str:
    """Return it as markdown."""
    return "\n\n".join(markdown.escaped(told) for told in _told(found)) + "\n"


def _told(found: Unlocked) -> tuple[str, ...]:
    """Return what is to be known, one paragraph each."""
    owner = " ".join(found.opened.owner.split()) or "an unknown owner"
    first = f"The lock of {found.environment}, held by {owner}, is open. Who opened it and why is on record."
    if found.state is None or found.state.journal is None:
        return (first,)
    resume = f"`dbt-promote resume --environment {found.environment}` carries it on"
    return first, f"Its promotion is open still: {resume}; the next promotion makes history of it."
