"""The checkpoints of an environment as people and machines read them."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.checkpoints import Turn, turns
from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.remedies import moment
from airflow_dbt_promotion.render.table import Cell, Column, Page, Tone, table
from airflow_dbt_promotion.render.telling import listed

_TITLES = ("checkpoint", "until", "replaced by", "models that changed", "relations kept", "")


class CheckpointDocument(Struct, frozen=True, kw_only=True):
    """What an environment held until the plan `by` replaced it; `whole`: it can be gone back to.

    Between this checkpoint and the next newer one `models` came, went or got another version, and of `metadata` only
    tests or descriptions changed. `kept` are the models whose relations are kept.
    """

    id: str
    at: Instant
    by: str
    actor: str
    whole: bool
    models: tuple[str, ...]
    metadata: tuple[str, ...]
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
                    id=one.checkpoint.id,
                    at=one.checkpoint.at,
                    by=one.checkpoint.by,
                    actor=one.checkpoint.actor,
                    whole=one.checkpoint.whole,
                    models=one.models,
                    metadata=one.metadata,
                    kept=tuple(sorted(one.checkpoint.kept)),
                )
                for one in _of(state)
            ),
        )
    )


def text(environment: str, state: EnvironmentState | None, page: Page) -> str:
    """Return the checkpoints as text."""
    if not (found := _of(state)):
        return "\n".join(page.paragraph(_nothing(environment))) + "\n"
    columns = [Column(title=name, least=16 if name == _TITLES[3] else None) for name in _TITLES]
    rows = [[Cell(one.checkpoint.id, Tone.BOLD), *map(Cell, _told(one))] for one in found]
    return "\n".join([page.paint(_headline(environment), Tone.BOLD), *table(page, columns, rows)]) + "\n"


def as_markdown(environment: str, state: EnvironmentState | None) -> str:
    """Return the checkpoints as markdown."""
    if not (found := _of(state)):
        return markdown.escaped(_nothing(environment)) + "\n"
    rows = [(markdown.code(one.checkpoint.id), *map(markdown.escaped, _told(one))) for one in found]
    return f"## {markdown.escaped(_headline(environment))}\n\n{markdown.grid(_TITLES, rows)}\n"


def _of(state: EnvironmentState | None) -> tuple[Turn, ...]:
    return tuple(turns(state)) if state is not None else ()


def _headline(environment: str) -> str:
    return f"What {environment} can go back to, newest first"


def _nothing(environment: str) -> str:
    return f"{environment} has no checkpoint: a promotion that changes what it holds makes one."


def _told(turn: Turn) -> tuple[str, ...]:
    """Return the rest of a row."""
    one = turn.checkpoint
    return (
        moment(one.at),
        f"{short(one.by)} by {one.actor}",
        _changed(turn),
        str(len(one.kept)),
        "" if one.whole else "not whole",
    )


def _changed(turn: Turn) -> str:
    """Return which models changed, those apart whose relations have nothing to do with it."""
    models, metadata = ([bare_name(model) for model in found] for found in (turn.models, turn.metadata))
    apart = f"tests or descriptions alone: {listed(metadata)}" if metadata else ""
    return "; ".join(part for part in (listed(models), apart) if part) or "none"
