"""Drift as a document: what others built at a version that was never promoted."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.instants import Instant
from airflow_dbt_promotion.core.status import Drifted


class DriftDocument(Struct, frozen=True, kw_only=True):
    """A model that others built in an environment at a version that was never promoted to it.

    `promoted_version` is null where no version of it was ever promoted; `by` is the invocation id of the run.
    """

    environment: str
    unique_id: str
    name: str
    drifted_version: str
    promoted_version: str | None
    seen_at: Instant
    by: str


def drift_document(drift: Drifted) -> DriftDocument:
    """Return the drift of one model."""
    return DriftDocument(
        environment=drift.environment,
        unique_id=drift.model,
        name=drift.name,
        drifted_version=drift.version,
        promoted_version=drift.promoted,
        seen_at=drift.seen_at,
        by=drift.by,
    )
