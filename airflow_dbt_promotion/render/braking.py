"""A hold or a freeze that was set or lifted, and blocks that were lifted, as people and machines read it."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.core.stops import Intervention, InterventionKind
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.remedies import moment
from airflow_dbt_promotion.render.table import Page
from airflow_dbt_promotion.render.telling import listed


class UnblockedDocument(Struct, frozen=True, kw_only=True):
    """A model with the versions of it that were blocked."""

    unique_id: str
    versions: tuple[str, ...]


class InterventionDocument(Struct, frozen=True, kw_only=True):
    """One time that somebody stepped in: `kind` is `hold`, `release`, `unblock`, `freeze` or `thaw`. `models` are what
    was unblocked, `until` is when a freeze ends by itself.
    """

    schema_version: int
    environment: str
    kind: InterventionKind
    at: Instant
    actor: str
    reason: str
    models: tuple[UnblockedDocument, ...]
    until: Instant | None


class Intervened(Struct, frozen=True, kw_only=True):
    """What was done, and where."""

    environment: str
    done: Intervention


def document(found: Intervened) -> dict[str, object]:
    """Return it as JSON-able values."""
    done = found.done
    return builtins(
        InterventionDocument(
            schema_version=SCHEMA_VERSION,
            environment=found.environment,
            kind=done.kind,
            at=done.at,
            actor=done.actor,
            reason=done.reason,
            models=tuple(
                UnblockedDocument(unique_id=model, versions=versions) for model, versions in sorted(done.models.items())
            ),
            until=done.until,
        )
    )


def text(found: Intervened, page: Page) -> str:
    """Return it as text."""
    return "\n".join(page.paragraph(_told(found), "", "  ")) + "\n"


def as_markdown(found: Intervened) -> str:
    """Return it as markdown."""
    return markdown.escaped(_told(found)) + "\n"


def _told(found: Intervened) -> str:
    """Return what holds from now on."""
    name, done = found.environment, found.done
    on_record = "Who did it and why is on record."
    match done.kind:
        case InterventionKind.HOLD:
            lift = f"`dbt-promote release --environment {name} --reason TEXT`"
            return f"Nothing is promoted into {name} until {lift}. {on_record}"
        case InterventionKind.RELEASE:
            return f"{name} is held no more: what may go can be promoted again. {on_record}"
        case InterventionKind.FREEZE:
            lift = f"`dbt-promote thaw --environment {name} --reason TEXT`"
            ends = f"{moment(done.until)}, or {lift}" if done.until is not None else lift
            return f"Nothing is promoted into {name} until {ends}. {on_record}"
        case InterventionKind.THAW:
            return f"{name} is frozen no more: what may go can be promoted again. {on_record}"
        case _:
            told = [
                f"{bare_name(model)} {short(version)}"
                for model, versions in sorted(done.models.items())
                for version in versions
            ]
            return f"Blocked in {name} no more: {listed(told)}. {on_record}"
