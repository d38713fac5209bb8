"""Where models stand: `status` and `validated`, as text and markdown, and `validated` as a document."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import groupby

from msgspec import Struct

from airflow_dbt_promotion.core import lock
from airflow_dbt_promotion.core.eligibility import Verdict
from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.core.instants import days
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.status import Drifted, ModelStatus, drifted
from airflow_dbt_promotion.core.turns import unbuilt
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.environments import checkpoints_told, stops_told
from airflow_dbt_promotion.render.remedies import moment, when
from airflow_dbt_promotion.render.table import Cell, Column, Page, Tone, table
from airflow_dbt_promotion.render.telling import count, listed
from airflow_dbt_promotion.render.text import STATUSES

_TITLES = ("model", "version", "since", "tests", "soak", "next", "notes")
_COLUMNS = (
    Column(title="model", least=14),
    Column(title="version"),
    Column(title="since", least=10),
    Column(title="tests", least=8),
    Column(title="soak", least=10),
    Column(title="next"),
    Column(title="notes", least=12),
)


class ValidatedModelDocument(Struct, frozen=True, kw_only=True):
    """One model that is validated and soaked. `pending`: the next environment lacks this version."""

    unique_id: str
    name: str
    version: str
    since: Instant
    pending: bool


class ValidatedDocument(Struct, frozen=True, kw_only=True):
    """The models of one environment that are validated and soaked, sorted by unique id.

    `min_days_in_staging` is what was asked for.
    """

    schema_version: int
    environment: str
    min_days_in_staging: float
    pending_only: bool
    models: tuple[ValidatedModelDocument, ...]


class Place(Struct, frozen=True, kw_only=True):
    """One environment of the path with its document, None where nothing was ever recorded.

    `working`: people work there, it needs no record. `promoted`: what it holds comes by promotion. `hours` say whether
    it is the time to promote into it.
    """

    name: str
    state: EnvironmentState | None
    working: bool = False
    promoted: bool = False
    hours: tuple[Verdict, ...] = ()


def validated_document(
    models: Sequence[ModelStatus], names: Sequence[str], environment: str, soak: timedelta, *, pending: bool
) -> dict[str, object]:
    """Return the validated models as JSON-able values; `names` are their shortest names, in the same order."""
    found = tuple(
        ValidatedModelDocument(
            unique_id=one.model, name=name, version=one.version, since=one.since, pending=one.pending
        )
        for one, name in zip(models, names, strict=True)
    )
    return builtins(
        ValidatedDocument(
            schema_version=SCHEMA_VERSION,
            environment=environment,
            min_days_in_staging=days(soak),
            pending_only=pending,
            models=found,
        )
    )


def validated_markdown(models: Sequence[ModelStatus], names: Sequence[str], environment: str) -> str:
    """Return the validated models as markdown."""
    rows = [
        (markdown.code(name), markdown.code(short(one.version)), moment(one.since), "yes" if one.pending else "no")
        for one, name in zip(models, names, strict=True)
    ]
    heading = f"## Validated in {markdown.escaped(environment)}: {count(len(models))}\n"
    return heading + (f"\n{markdown.grid(('model', 'version', 'since', 'pending'), rows)}\n" if rows else "")


def text(models: Sequence[ModelStatus], places: Sequence[Place], now: datetime, page: Page) -> str:
    """Return where models stand as text, one table an environment, in the order of the path."""
    by_place = _by_place(models)
    lines: list[str] = []
    for place in places:
        found = by_place.get(place.name, [])
        lines += [*([""] if lines else []), page.paint(_title(place, found), Tone.BOLD)]
        lines += [line for note in notes(place) for line in page.paragraph(note, "  ", "    ")]
        lines += table(page, _COLUMNS, [_row(one, now) for one in found])
    return "\n".join(lines) + "\n"


def as_markdown(models: Sequence[ModelStatus], places: Sequence[Place], now: datetime) -> str:
    """Return where models stand as markdown."""
    by_place = _by_place(models)
    blocks = []
    for place in places:
        found = by_place.get(place.name, [])
        blocks.append(f"## {markdown.escaped(_title(place, found))}")
        blocks += [markdown.escaped(note) for note in notes(place)]
        if found:
            rows = [_row(one, now) for one in found]
            blocks.append(markdown.grid(_TITLES, [_markdown_row(row) for row in rows]))
    return "\n\n".join(blocks) + "\n"


def notes(place: Place) -> tuple[str, ...]:
    """Return what is to be known of an environment as a whole."""
    state = place.state
    if place.working:
        return (
            "People work here: it holds the project as it is; evidence is made when something is promoted out of it.",
        )
    if state is None:
        return (_begin(place), *hours_told(place.hours))
    found = []
    if state.lock is not None:
        found.append(f"Locked by {lock.told(state.lock)}.")
    if state.journal is not None:
        began = f"A promotion by {state.journal.actor} began {moment(state.journal.started_at)}"
        resume = f"`dbt-promote resume --environment {place.name}` carries it on, the next one makes history of it"
        parts = state.journal.parts
        built = f" ({len(parts) - len(unbuilt(state.journal))} of {len(parts)} parts built)" if parts else ""
        goes_on = ": it goes on, or broke off" if state.lock is not None else " and broke off"
        found.append(f"{began}{built}{goes_on}; {resume}.")
    if state.unfinalized is not None:
        names = listed([bare_name(model) for model in state.unfinalized.models])
        found.append(f"Not whole since {moment(state.unfinalized.since)}: {state.unfinalized.why} ({names}).")
    if state.drift:
        found.append(drift_told(drifted(state)))
    return (*found, *stops_told(state), *hours_told(place.hours), *checkpoints_told(state))


def _begin(place: Place) -> str:
    """Return how an environment begins of which nothing is known."""
    record = f"`dbt-promote record --environment {place.name}"
    if not place.promoted:
        return f"Nothing was ever recorded. Run dbt there, then {record}`."
    return (
        f"Nothing was ever promoted. `dbt-promote promote --target-environment {place.name}` does; where it was built "
        f"before, {record} --baseline` adopts what stands in its warehouse."
    )


def hours_told(hours: Sequence[Verdict]) -> tuple[str, ...]:
    """Return why it is not the time to promote into an environment; nothing where it is."""
    return tuple(f"Not now: {one.reason}." for one in hours if not one.passed)


def drift_told(found: Sequence[Drifted]) -> str:
    """Return what drifted in one environment, and what can be done about it."""
    name, newest = found[0].environment, max(found, key=lambda one: one.seen_at)
    what = f"{count(len(found))} in {name} {'is' if len(found) == 1 else 'are'} not what was promoted"
    mends = any(one.promoted is not None for one in found)
    remedy = f"`dbt-promote run --environment {name}` builds what was promoted." if mends else "Promote it, or drop it."
    return (
        f"Drift: {what}: {listed([one.name for one in found])}; last built by run {short(newest.by)}, "
        f"{moment(newest.seen_at)}. {remedy}"
    )


def _by_place(models: Sequence[ModelStatus]) -> dict[str, list[ModelStatus]]:
    """Return the models of each environment."""
    return {name: list(found) for name, found in groupby(models, key=lambda one: str(one.environment))}


def _title(place: Place, found: Sequence[ModelStatus]) -> str:
    """Return an environment's heading."""
    return (
        f"{place.name}: {count(len(found))}" if found or (place.state is not None and not place.working) else place.name
    )


def _row(one: ModelStatus, now: datetime) -> list[Cell]:
    """Return one model as a row."""
    return [
        Cell(one.name, Tone.BOLD),
        Cell(short(one.version)),
        Cell(f"{one.since:%Y-%m-%d %H:%M}"),
        Cell(one.tests.code, STATUSES[one.tests.status]),
        _soak(one, now),
        _next(one),
        Cell("; ".join(_remarks(one))),
    ]


def _markdown_row(row: Sequence[Cell]) -> list[str]:
    """Return a row for a table in markdown: name and version are code, the rest is sentences."""
    return [markdown.code(row[0].text), markdown.code(row[1].text), *(markdown.escaped(cell.text) for cell in row[2:])]


def _soak(one: ModelStatus, now: datetime) -> Cell:
    """Return how the soak stands."""
    if one.soak is None:
        return Cell("")
    if one.soak.eligible_at is not None:
        return Cell(when(one.soak.eligible_at, now).partition(" (")[2].rstrip(")"), STATUSES[one.soak.status])
    return Cell(one.soak.code, STATUSES[one.soak.status])


def _next(one: ModelStatus) -> Cell:
    """Return how a model stands towards the next environment."""
    if one.soak is None:
        return Cell("")
    if not one.pending:
        return Cell("there", Tone.DIM)
    if one.stops:
        return Cell(one.stops[0].code, STATUSES[one.stops[0].status])
    if one.validated and (shut := next((hour for hour in one.hours if not hour.passed), None)) is not None:
        return Cell(shut.code, STATUSES[shut.status])
    return Cell("may go", Tone.GOOD_BOLD) if one.validated else Cell("waits", Tone.WAIT)


def _remarks(one: ModelStatus) -> list[str]:
    """Return what is unusual of a model, and its last promotion."""
    found = []
    if one.stale:
        found.append("stands on an older parent")
    if one.drifted is not None:
        found.append(f"drifted to {short(one.drifted)}")
    if one.bypassed:
        found.append(f"bypassed: {', '.join(one.bypassed)}")
    if one.origin == "baseline":
        found.append("baseline")
    if (last := one.last_promotion) is not None:
        found.append(f"{last.result} {last.finished_at:%Y-%m-%d %H:%M} by {last.actor}")
    return found
