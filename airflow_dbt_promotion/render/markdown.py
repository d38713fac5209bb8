"""Markdown: what one would paste into a pull request or a job summary.

Names and messages come from outside, so they are escaped: names stand in code spans, sentences have their markup and
HTML made harmless, and no cell of a table can end it. Long lists are cut, since a comment on a pull request holds
65,536 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from airflow_dbt_promotion.core.change import Change
from airflow_dbt_promotion.core.eligibility import Status, Verdict
from airflow_dbt_promotion.core.identity import short
from airflow_dbt_promotion.core.state import PromotionOutcome
from airflow_dbt_promotion.engine import Promotion
from airflow_dbt_promotion.render.remedies import Ends, moment, when
from airflow_dbt_promotion.render.table import clean
from airflow_dbt_promotion.render.telling import (
    answers,
    count,
    eligible,
    ends_of,
    gates_of,
    headline,
    notes,
    owner_of,
    put_before_people,
    refusals,
    shut,
    versions,
)

MOST_ROWS = 150
MOST_WORDS = 20

_MARKUP = re.compile(r"([\\`*\[\]~#|!])|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
_BULLET = re.compile(r"^(\s*)([-+=]|\d+[.)])(?=\s|$|-|=)")
_BACKTICKS = re.compile(r"`+")
_MARKS = {Status.PASSED: "", Status.WAITING: ":hourglass: ", Status.BLOCKED: ":no_entry: "}


def promotion(told: Promotion) -> str:
    """Return a promotion as markdown, a newline at its end."""
    plan, ends = told.plan, ends_of(told)
    what = "Promotion to" if plan.rollback_to is None else "Rollback of"
    blocks = [
        f"## {what} {escaped(plan.target)}: {told.outcome.value.replace('_', ' ')}",
        escaped(headline(told)),
    ]
    if told.outcome is PromotionOutcome.REFUSED:
        blocks += _refused(told, ends)
    if told.outcome is PromotionOutcome.PROMOTED and told.message:
        blocks.append(f"{escaped(told.message[0].upper() + told.message[1:])}.")
    if told.outcome is PromotionOutcome.FAILED:
        blocks += [escaped(told.message), *_words(told.words)]
    if plan.changes:
        blocks.append(_changes(told))
    if plan.held:
        blocks.append(_held(plan.held, ends))
    if plan.exposures:
        rows = [(code(one.label or one.name), escaped(owner_of(one)), _link(one.url)) for one in plan.exposures]
        blocks.append("**Exposures reached**\n\n" + grid(("exposure", "owner", "where"), rows))
    if others := notes(told):
        blocks.append("\n".join(f"- {escaped(note)}" for note in others))
    blocks.append(
        f"<sub>Plan {code(short(plan.plan_id), cell=False)}, strategy {plan.strategy.value}, "
        f"{moment(told.finished_at)}</sub>"
    )
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """Return a sentence on one line in which nothing is markup, HTML, or the end of a table's cell."""
    line = " ".join(clean(text).split())
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKUP.sub(lambda found: "\\" + found[0], line)
    return _BULLET.sub(lambda found: f"{found[1]}{found[2][:-1]}\\{found[2][-1]}", line)


def code(text: str, *, cell: bool = True) -> str:
    """Return a name as a code span; in a table's cell its pipes are escaped, which a span elsewhere would show.

    A backslash before a pipe could escape that escape, as readers differ on: such a name is a sentence.
    """
    line = " ".join(clean(text).split()) or "-"
    if cell and "\\|" in line:
        return escaped(line)
    if cell:
        line = line.replace("|", "\\|")
    fence = "`" * (max((len(run) for run in _BACKTICKS.findall(line)), default=0) + 1)
    space = " " if "`" in line else ""
    return f"{fence}{space}{line}{space}{fence}"


def grid(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are escaped already, cut after `MOST_ROWS`."""
    found = list(rows)
    lines = [
        f"| {' | '.join(titles)} |",
        f"|{' --- |' * len(titles)}",
        *(f"| {' | '.join(row)} |" for row in found[:MOST_ROWS]),
    ]
    if len(found) > MOST_ROWS:
        lines.append(f"| and {len(found) - MOST_ROWS} more |{' |' * (len(titles) - 1)}")
    return "\n".join(lines)


def gate(verdicts: Sequence[Verdict]) -> str:
    """Return what a gate says, by its codes."""
    return "" if not verdicts else _MARKS[verdicts[0].status] + escaped(", ".join(verdict.code for verdict in verdicts))


def _refused(told: Promotion, ends: Ends) -> list[str]:
    """Return what holds the plan up, and what would change it."""
    lines: list[str] = []
    for refusal in refusals(told.plan, ends):
        told_of = [
            f"{code(name, cell=False)}: {escaped(reason)}" if name is not None else escaped(reason)
            for name, reason in refusal.told
        ]
        shown = told_of[:10]
        if len(told_of) > len(shown):
            shown.append(f"and {len(told_of) - len(shown)} more")
        lines.append(f"- **{refusal.gate.value}** ({escaped(refusal.code)})")
        lines += [f"  - {one}" for one in shown]
        if refusal.remedy is not None:
            lines.append(f"  - _What would change it:_ {escaped(refusal.remedy)}")
    soonest = eligible(told.plan, ends)
    return ["\n".join(lines), *([escaped(soonest)] if soonest else [])]


def _words(words: Sequence[str]) -> list[str]:
    """Return dbt's own words, folded away."""
    if not words:
        return []
    lines = "\n".join(f"- {escaped(word)}" for word in words[:MOST_WORDS])
    more = f"\n- and {len(words) - MOST_WORDS} more" if len(words) > MOST_WORDS else ""
    return [f"<details><summary>What dbt said</summary>\n\n{lines}{more}\n\n</details>"]


def _changes(told: Promotion) -> str:
    """Return the table of what goes together."""
    gates = gates_of(told.plan.changes)
    results = ("result",) if told.models else ()
    rows = [_row(told, change) for change in told.plan.changes]
    return grid(("model", "change", "version", *(one.value for one in gates), *results), rows)


def _row(told: Promotion, change: Change) -> list[str]:
    """Return one row of that table."""
    result = [told.models[change.model].result] if change.model in told.models else [""] * bool(told.models)
    gates = [gate(answers(change, one)) for one in gates_of(told.plan.changes)]
    return [code(change.name), change.kind.value, code(versions(change)), *gates, *result]


def _held(held: Sequence[Change], ends: Ends) -> str:
    """Return what stays behind and why, folded away."""
    rows = []
    for change in held:
        verdict = shut(change)
        may_go = when(verdict.eligible_at, ends.now) if verdict is not None and verdict.eligible_at is not None else ""
        rows.append(
            (code(change.name), change.kind.value, escaped(verdict.reason if verdict is not None else ""), may_go)
        )
    table = grid(("model", "change", "why", "may go"), rows)
    remedies = "".join(f"\n\n_What would change it:_ {escaped(one)}" for one in put_before_people(held, ends))
    return f"<details><summary>Held back: {count(len(held))}</summary>\n\n{table}{remedies}\n\n</details>"


def _link(url: str | None) -> str:
    """Return an address as a link, where it is one that a browser opens; else as code."""
    if not url:
        return ""
    safe = re.fullmatch(r"https?://[^\s<>()|`\\\"']+", url)
    return f"<{url}>" if safe else code(url)
