"""What recording a run changed, as a document, text and markdown."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.identity import ModelId, bare_name
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.table import Page, Tone
from airflow_dbt_promotion.render.telling import count, listed


class RecordingDocument(Struct, frozen=True, kw_only=True):
    """What a run, or a baseline, changed in an environment; models by unique id.

    `entered` are current now at a version that they were not before, `passed` have complete passing evidence, `failed`
    lost theirs, `incomplete` lack tests. `ended` stand on a parent that moved, `gone` are not in the project any more,
    `drifted` were built at a version that was never promoted, `unmatched` were tested at another version than the
    environment holds, or where it, or a parent, drifted. `skipped` were not tried, since a parent or a test of one
    failed in the same run. `sourced` stood already, and their sources are kept from now on. `left_out` were not
    adopted: they, or a parent, do not stand in the warehouse, or it would take a reason. `serial` is its serial now.
    `refused`: policy takes no evidence from a run that drifted (`on_drift: block`). `run` is its invocation id,
    `release` its kept sources; `not_kept` says why there are none, and is empty where nothing was to be kept.
    """

    schema_version: int
    environment: str
    baseline: bool
    serial: int
    entered: tuple[str, ...]
    passed: tuple[str, ...]
    failed: tuple[str, ...]
    incomplete: tuple[str, ...]
    ended: tuple[str, ...]
    gone: tuple[str, ...]
    drifted: tuple[str, ...]
    unmatched: tuple[str, ...]
    skipped: tuple[str, ...]
    sourced: tuple[str, ...]
    left_out: tuple[str, ...]
    refused: bool
    run: str | None
    release: str | None
    not_kept: str


def document(recording: Recording, serial: int, *, baseline: bool) -> dict[str, object]:
    """Return a recording as JSON-able values."""
    return builtins(
        RecordingDocument(
            schema_version=SCHEMA_VERSION,
            environment=recording.state.environment,
            baseline=baseline,
            serial=serial,
            entered=recording.entered,
            passed=recording.passed,
            failed=recording.failed,
            incomplete=recording.incomplete,
            ended=recording.ended,
            gone=recording.gone,
            drifted=recording.drifted,
            unmatched=recording.unmatched,
            skipped=recording.skipped,
            sourced=recording.sourced,
            left_out=recording.left_out,
            refused=recording.refused,
            run=recording.run or None,
            release=recording.release,
            not_kept=recording.not_kept,
        )
    )


def text(recording: Recording, page: Page, *, baseline: bool) -> str:
    """Return a recording as text."""
    lines = [page.paint(headline(recording, baseline=baseline), Tone.BOLD)]
    for told, models, tone in _parts(recording):
        if models:
            sentence = page.paragraph(f"{count(len(models))} {told}: {_names(models)}", "  ", "    ")
            lines += [page.paint(line, tone) for line in sentence]
    return "\n".join(lines) + "\n"


def as_markdown(recording: Recording, *, baseline: bool) -> str:
    """Return a recording as markdown."""
    heading = f"## {markdown.escaped(headline(recording, baseline=baseline))}\n"
    parts = [
        f"- {count(len(models))} {told}: {markdown.escaped(_names(models))}"
        for told, models, _ in _parts(recording)
        if models
    ]
    return "\n".join([heading, *parts]) + "\n" if parts else heading


def headline(recording: Recording, *, baseline: bool) -> str:
    """Return in one sentence what was done."""
    name = recording.state.environment
    if baseline:
        return f"Adopted {name}: {count(len(recording.entered))} taken over as they are."
    if recording.refused:
        return f"Refused: this run built in {name} what was never promoted. Its drift is noted, and nothing else."
    changed = any(models for _, models, _ in _parts(recording))
    return f"Recorded a run in {name}." if changed else f"The run says nothing of the models of {name}."


def _parts(recording: Recording) -> tuple[tuple[str, tuple[ModelId, ...], Tone], ...]:
    """Return what became of which models, what needs attention last."""
    name = recording.state.environment
    return (
        (f"entered {name}", recording.entered, Tone.PLAIN),
        ("stood already; their sources are kept now", recording.sourced, Tone.PLAIN),
        ("not adopted", recording.left_out, Tone.WAIT),
        ("passed all required tests", recording.passed, Tone.GOOD),
        ("left, gone from the project", recording.gone, Tone.PLAIN),
        ("without results of all required tests", recording.incomplete, Tone.WAIT),
        ("on a parent that moved; the stay ended", recording.ended, Tone.WAIT),
        (
            f"tested at another version than {name} holds, or over drift, which proves nothing",
            recording.unmatched,
            Tone.WAIT,
        ),
        ("skipped, since a parent or a test of one failed in this run", recording.skipped, Tone.WAIT),
        ("built at a version that was never promoted (drift)", recording.drifted, Tone.BAD),
        ("failed; what was earned is void", recording.failed, Tone.BAD),
    )


def warnings(recording: Recording) -> tuple[str, ...]:
    """Return what people should know beside what changed."""
    found = []
    if recording.not_kept:
        found.append(
            f"the sources were not kept ({recording.not_kept}); what entered cannot be promoted, or run, from released "
            f"code until a run of it is recorded whose sources are at hand"
        )
    if recording.drifted:
        name = recording.state.environment
        found.append(
            f"drift: versions that were never promoted were built in {name} ({_names(recording.drifted)}); "
            f"`dbt-promote run --environment {name}` builds what was promoted"
        )
    return tuple(found)


def _names(models: tuple[ModelId, ...]) -> str:
    """Return the names of some models."""
    return listed([bare_name(model) for model in models], most=20)
