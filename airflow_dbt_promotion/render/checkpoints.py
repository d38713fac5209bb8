"""The checkpoints of an environment as people and machines read them."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.core.state import Checkpoint, EnvironmentState
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.remedies import moment
from airflow_dbt_promotion.render.table import Cell, Column, Page, Tone, table
from airflow_dbt_promotion.render.telling import listed

_TITLES = ("checkpoint", "until", "replaced by", "models", "relations kept", "")


class CheckpointDocument(Struct, frozen=True, kw_only=True):
    """What an environment held until the plan `by` replaced it; `whole`: it can be gone back to.

    `models` changed between this checkpoint and the next newer one, `kept` are those of them whose relations are kept.
    """

    id: str
    at: Instant
    by: str
    actor: str
    whole: bool
    models: tuple[str, ...]
    kept: tuple[str, ...]


class CheckpointsDocument(Struct, frozen=True, kw_only=True):
    """The checkpoints of an environment, newest first."""

    schema_version: int
    environment: str
    checkpoints: tuple[CheckpointDocument, ...]


def document(environment: str, state: EnvironmentState | None) -> dict[str, object]:
    """Return the checkpoints as JSON-able values."""
    return builtins(
        CheckpointsDocument(
            schema_version=SCHEMA_VERSION,
            environment=environment,
            checkpoints=tuple(
                CheckpointDocument(
                    id=one.id,
                    at=one.at,
                    by=one.by,
                    actor=one.actor,
                    whole=one.whole,
                    models=tuple(sorted(one.before)),
                    kept=tuple(sorted(one.kept)),
                )
                for one in _of(state)
            ),
        )
    )


def text(environment: str, state: EnvironmentState | None, page: Page) -> str:
    """Return the checkpoints as text."""
    if not (found := _of(state)):
        return "\n".join(page.paragraph(_nothing(environment))) + "\n"
    columns = [Column(title=name, least=16 if name == "models" else None) for name in _TITLES]
    rows = [[Cell(one.id, Tone.BOLD), *map(Cell, _told(one))] for one in found]
    return "\n".join([page.paint(_headline(environment), Tone.BOLD), *table(page, columns, rows)]) + "\n"


def as_markdown(environment: str, state: EnvironmentState | None) -> str:
    """Return the checkpoints as markdown."""
    if not (found := _of(state)):
        return markdown.escaped(_nothing(environment)) + "\n"
    rows = [(markdown.code(one.id), *map(markdown.escaped, _told(one))) for one in found]
    return f"## {markdown.escaped(_headline(environment))}\n\n{markdown.grid(_TITLES, rows)}\n"


def _of(state: EnvironmentState | None) -> tuple[Checkpoint, ...]:
    return state.checkpoints if state is not None else ()


def _headline(environment: str) -> str:
    return f"What {environment} can go back to, newest first"


def _nothing(environment: str) -> str:
    return f"{environment} has no checkpoint: a promotion that changes what it holds makes one."


def _told(one: Checkpoint) -> tuple[str, ...]:
    """Return the rest of a row."""
    return (
        moment(one.at),
        f"{short(one.by)} by {one.actor}",
        listed([bare_name(model) for model in sorted(one.before)]),
        str(len(one.kept)),
        "" if one.whole else "not whole",
    )
