"""What people are told of a promotion in a chat or a mail, made from what its task left behind in XCom."""

from __future__ import annotations

import html
from collections.abc import Mapping

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.identity import short
from airflow_dbt_promotion.render.markdown import code, escaped, grid

MOST_MODELS = 20
MOST_REFUSALS = 10

_VERBS = {
    "promoted": "promoted to",
    "planned": "planned for",
    "nothing_to_do": "nothing to do in",
    "refused": "refused for",
    "failed": "failed in",
    "errored": "errored on the way to",
}


class ToldModel(Struct, frozen=True, kw_only=True):
    """One model of the plan."""

    name: str
    change: str
    from_version: str | None = None
    to_version: str | None = None
    result: str | None = None

    @property
    def versions(self) -> str:
        """From which version to which."""
        return f"{short(self.from_version)} -> {short(self.to_version)}"


class ToldRefusal(Struct, frozen=True, kw_only=True):
    """A gate that is shut."""

    unique_id: str | None = None
    gate: str = ""
    code: str = ""
    reason: str = ""


class ToldSummary(Struct, frozen=True, kw_only=True):
    """The XCom of a task that promotes or rolls back, as far as a message needs it; fields that it lacks are empty."""

    outcome: str
    plan_id: str = ""
    source_environment: str = ""
    target_environment: str = ""
    environment: str = ""
    checkpoint: str | None = None
    message: str = ""
    models: tuple[ToldModel, ...] = ()
    refusals: tuple[ToldRefusal, ...] = ()
    held: int = 0
    link: str | None = None


class PromotionMessage(Struct, frozen=True, kw_only=True):
    """A message in four forms: one line, plain text, markdown, and HTML for mail."""

    title: str
    text: str
    markdown: str
    html: str


def summary_of(told: object) -> ToldSummary | None:
    """Return what a task left behind, None where that is nothing of a promotion."""
    if not isinstance(told, Mapping) or "plan_id" not in told:
        return None
    try:
        return msgspec.convert(told, ToldSummary)
    except msgspec.ValidationError:
        return None


def message(told: ToldSummary, actor: str) -> PromotionMessage:
    """Return the message of a promotion or a rollback that ended, however it did."""
    said = title(told)
    shown = [one for one in told.models if one.result != "skipped"][:MOST_MODELS]
    more = len(told.models) - len(shown)
    lines = [f"{one.name}  {one.change}  {one.versions}  {one.result or ''}".rstrip() for one in shown]
    rows = [(code(one.name), one.change, code(one.versions), one.result or "") for one in shown]
    why = [f"{one.gate}: {one.reason}" for one in told.refusals[:MOST_REFUSALS]]
    hidden = len(told.refusals) - len(why)
    facts = [f"by {actor}", *([f"plan {short(told.plan_id)}"] if told.plan_id else [])]
    facts += [f"{told.held} held back"] if told.held else []
    rest = [f"and {more} more models"] if more > 0 else []
    unsaid = [f"and {hidden} more reasons"] if hidden > 0 else []
    explained = [told.message] if told.message and not why else []
    text = [said, *explained, *why, *unsaid, *lines, *rest, ", ".join(facts), *([told.link] if told.link else [])]
    marked = [f"**{escaped(said)}**", *map(escaped, explained)]
    marked += ["\n".join(f"- {escaped(line)}" for line in (*why, *unsaid))] if why else []
    marked += [grid(("model", "change", "versions", "result"), rows).rstrip()] if rows else []
    marked += [*rest, escaped(", ".join(facts)), *([f"<{told.link}>"] if told.link else [])]
    body = "\n".join(text) + "\n"
    return PromotionMessage(
        title=said, text=body, markdown="\n\n".join(marked) + "\n", html=f"<pre>{html.escape(body)}</pre>"
    )


def untold(ended: str, why: str, actor: str, link: str | None) -> PromotionMessage:
    """Return the message of a task, or a DAG, that told nothing of a promotion: how it ended, and why."""
    title = f"dbt promotion: {ended}"
    said = [*([why] if why else []), f"by {actor}"]
    body = "\n".join([title, *said, *([link] if link else [])]) + "\n"
    marked = [f"**{escaped(title)}**", *map(escaped, said), *([f"<{link}>"] if link else [])]
    return PromotionMessage(
        title=title, text=body, markdown="\n\n".join(marked) + "\n", html=f"<pre>{html.escape(body)}</pre>"
    )


def title(told: ToldSummary) -> str:
    """Return the message in one line."""
    place = told.target_environment or told.environment
    if told.environment and not told.target_environment:
        went = "rolled back" if told.outcome == "promoted" else f"rollback {told.outcome.replace('_', ' ')}"
        return f"dbt promotion: {place} {went}" + (f" to {told.checkpoint}" if told.checkpoint else "")
    count = len([one for one in told.models if told.outcome != "promoted" or one.result in {"advanced", "removed"}])
    what = f"{count} model{'' if count == 1 else 's'} " if count else ""
    verb = _VERBS.get(told.outcome, f"{told.outcome}:")
    return f"dbt promotion: {what}{verb} {place}"
