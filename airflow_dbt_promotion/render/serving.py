"""A run of what was promoted to an environment, as a document, text and markdown."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.core.instants import readable
from airflow_dbt_promotion.core.orders import RunCommand
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.engine import RunOutcome, ServedRun
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, Instant, builtins
from airflow_dbt_promotion.render.table import Page, Tone
from airflow_dbt_promotion.render.telling import count, listed

MOST_NODES = 200
"""How many nodes a dry run lists as text."""

_HEADLINES = {RunOutcome.PASSED: Tone.GOOD_BOLD, RunOutcome.FAILED: Tone.BAD_BOLD, RunOutcome.LISTED: Tone.BOLD}


class FailedNodeDocument(Struct, frozen=True, kw_only=True):
    """A model or a test that failed; `message` is dbt's own."""

    unique_id: str
    name: str
    status: ResultStatus
    message: str


class RunDocument(Struct, frozen=True, kw_only=True):
    """A run of what was promoted to an environment, by unique id.

    `outcome` is `passed`, `failed`, or `listed` for a dry run. `nodes` were executed, or would be; `counts` says how
    many ended in which way. `passed_models` have complete passing evidence by it, `failed_models` lost theirs,
    `incomplete_models` lack tests. `releases` are the kept sources that all of it was put together from. `words` are
    dbt's own where something failed.
    """

    schema_version: int
    outcome: RunOutcome
    environment: str
    command: RunCommand
    select: str | None
    exclude: str | None
    full_refresh: bool
    dry_run: bool
    actor: str
    link: str | None
    started_at: Instant
    finished_at: Instant
    releases: tuple[str, ...]
    nodes: tuple[str, ...]
    counts: dict[str, int]
    failed: tuple[FailedNodeDocument, ...]
    passed_models: tuple[str, ...]
    failed_models: tuple[str, ...]
    incomplete_models: tuple[str, ...]
    words: tuple[str, ...]
    warnings: tuple[str, ...]


def document(told: ServedRun) -> dict[str, object]:
    """Return a run as JSON-able values."""
    order, recording = told.order, told.recording
    return builtins(
        RunDocument(
            schema_version=SCHEMA_VERSION,
            outcome=told.outcome,
            environment=told.environment,
            command=order.command,
            select=order.select,
            exclude=order.exclude,
            full_refresh=order.full_refresh,
            dry_run=order.dry_run,
            actor=order.actor,
            link=order.link,
            started_at=told.started_at,
            finished_at=told.finished_at,
            releases=told.releases,
            nodes=told.nodes,
            counts=counts(told),
            failed=tuple(
                FailedNodeDocument(unique_id=one.id, name=one.name, status=one.status, message=one.message)
                for one in told.failed
            ),
            passed_models=recording.passed if recording is not None else (),
            failed_models=recording.failed if recording is not None else (),
            incomplete_models=recording.incomplete if recording is not None else (),
            words=told.words,
            warnings=told.warnings,
        )
    )


def text(told: ServedRun, page: Page) -> str:
    """Return a run as text: how it ended, what failed, and of which releases it was made."""
    lines = [page.paint(line, _HEADLINES[told.outcome]) for line in page.paragraph(headline(told))]
    if told.outcome is RunOutcome.LISTED:
        lines += [line for node in told.nodes[:MOST_NODES] for line in page.paragraph(node, "  ")]
        if len(told.nodes) > MOST_NODES:
            lines.append(f"  and {len(told.nodes) - MOST_NODES} more: json lists all")
    for one in told.failed:
        sentence = page.paragraph(f"{one.name} ({one.status.value}): {one.message}", "  ", "    ")
        lines += [page.paint(line, Tone.BAD) for line in sentence]
    if not told.failed:
        lines += [line for word in told.words for line in page.paragraph(word, "  dbt: ", "       ")]
    lines += [page.paint(line, Tone.DIM) for note in notes(told) for line in page.paragraph(note, "  ", "    ")]
    return "\n".join(lines) + "\n"


def as_markdown(told: ServedRun) -> str:
    """Return a run as markdown."""
    blocks = [
        f"## Run of {markdown.escaped(told.environment)}: {told.outcome.value}",
        markdown.escaped(headline(told)),
    ]
    if told.outcome is RunOutcome.LISTED and told.nodes:
        blocks.append(markdown.grid(("node",), [(markdown.code(node),) for node in told.nodes]))
    if told.failed:
        rows = [(markdown.code(one.name), one.status.value, markdown.escaped(one.message)) for one in told.failed]
        blocks.append(markdown.grid(("failed", "how", "dbt says"), rows))
    blocks.append("\n".join(f"- {markdown.escaped(note)}" for note in (*notes(told), *told.warnings)))
    return "\n\n".join(blocks) + "\n"


def headline(told: ServedRun) -> str:
    """Return in one sentence how a run ended."""
    name, command = told.environment, told.order.command.value
    match told.outcome:
        case RunOutcome.LISTED:
            number = count(len(told.nodes), "node")
            return f"Dry run: `dbt {command}` of what was promoted to {name} would execute {number}."
        case RunOutcome.PASSED:
            return f"Ran what was promoted to {name}: {_counted(told)}."
        case RunOutcome.FAILED:
            return f"Failed: the run of what was promoted to {name} did not go through: {_counted(told)}."


def notes(told: ServedRun) -> tuple[str, ...]:
    """Return what else is to be known: what it proved, and of what it was made."""
    found = []
    if told.recording is not None:
        if told.recording.failed:
            found.append(f"What was earned is void: {listed([bare_name(m) for m in told.recording.failed])}.")
        if told.recording.passed:
            found.append(f"{count(len(told.recording.passed))} passed all required tests.")
        if told.recording.unmatched:
            names = listed([bare_name(m) for m in told.recording.unmatched])
            found.append(f"Without evidence, since they stand on an older parent, or on drift: {names}.")
    releases = listed([short(release) for release in told.releases])
    took = readable(told.finished_at - told.started_at)
    found.append(f"From {count(len(told.releases), 'kept release')} ({releases}), took {took}.")
    return tuple(found)


def counts(told: ServedRun) -> dict[str, int]:
    """Return how many nodes ended in which way."""
    found: Mapping[ResultStatus, int] = told.counts
    return {status.value: found[status] for status in ResultStatus if found.get(status)}


def _counted(told: ServedRun) -> str:
    """Return how many nodes ended in which way, as people say it."""
    return ", ".join(f"{number} {status}" for status, number in counts(told).items()) or "nothing was executed"
