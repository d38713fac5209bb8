"""A verified state, as people and machines read it."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.engine.verifier import Verification
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.table import Page, Tone
from airflow_dbt_promotion.render.telling import count


class FindingDocument(Struct, frozen=True, kw_only=True):
    """Something that is wrong: `place` is a path in the document, or the release."""

    code: str
    environment: str
    place: str
    problem: str
    remedy: str


class VerifiedDocument(Struct, frozen=True, kw_only=True):
    """What was looked at, and what is wrong. `deep`: every file of every kept release was read."""

    schema_version: int
    environments: tuple[str, ...]
    releases: int
    deep: bool
    findings: tuple[FindingDocument, ...]


def document(found: Verification) -> dict[str, object]:
    """Return it as JSON-able values."""
    return builtins(
        VerifiedDocument(
            schema_version=SCHEMA_VERSION,
            environments=found.environments,
            releases=found.releases,
            deep=found.deep,
            findings=tuple(
                FindingDocument(
                    code=one.code,
                    environment=one.environment,
                    place=one.place,
                    problem=one.problem,
                    remedy=one.remedy,
                )
                for one in found.findings
            ),
        )
    )


def text(found: Verification, page: Page) -> str:
    """Return it as text."""
    tone = Tone.BAD_BOLD if found.findings else Tone.GOOD_BOLD
    lines = [page.paint(line, tone) for line in page.paragraph(_headline(found))]
    for one in found.findings:
        lines += ["", page.paint(f"  {one.environment}: {one.code}", Tone.BOLD)]
        lines += page.paragraph(f"{one.place}: {one.problem}", "    ", "      ")
        lines += page.paragraph(one.remedy, "    ", "      ")
    return "\n".join(lines) + "\n"


def as_markdown(found: Verification) -> str:
    """Return it as markdown."""
    rows = [
        (
            markdown.code(one.environment),
            markdown.code(one.code),
            markdown.escaped(one.place),
            markdown.escaped(one.problem),
            markdown.escaped(one.remedy),
        )
        for one in found.findings
    ]
    heading = f"## {markdown.escaped(_headline(found))}\n"
    return heading + (
        f"\n{markdown.grid(('environment', 'code', 'where', 'problem', 'what to do'), rows)}\n" if rows else ""
    )


def _headline(found: Verification) -> str:
    """Return in one sentence how it is."""
    files = ", every file of them read" if found.deep else ""
    what = f"{count(len(found.environments), 'document')} and {count(found.releases, 'kept release')}{files}"
    if not found.findings:
        return f"All is well: {what}."
    return f"{count(len(found.findings), 'thing')} wrong in {what}. Nothing was changed."
