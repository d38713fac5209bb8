"""What checking the configuration came to, as people and machines read it."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from airflow_dbt_promotion.config.checking import Problem
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.table import Page, Tone
from airflow_dbt_promotion.render.telling import count


class ProblemDocument(Struct, frozen=True, kw_only=True):
    """One mistake, or one warning: file, line and key, and what is wrong."""

    where: str
    problem: str


class CheckedDocument(Struct, frozen=True, kw_only=True):
    """Whether a configuration can be used; `checked` is what was looked at."""

    schema_version: int
    checked: str
    usable: bool
    problems: tuple[ProblemDocument, ...]
    warnings: tuple[ProblemDocument, ...]


class Checked(Struct, frozen=True, kw_only=True):
    """What was looked at, and what was found."""

    checked: str
    problems: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()


def document(found: Checked) -> dict[str, object]:
    """Return it as JSON-able values."""
    return builtins(
        CheckedDocument(
            schema_version=SCHEMA_VERSION,
            checked=found.checked,
            usable=not found.problems,
            problems=tuple(ProblemDocument(where=one.where, problem=one.problem) for one in found.problems),
            warnings=tuple(ProblemDocument(where=one.where, problem=one.problem) for one in found.warnings),
        )
    )


def text(found: Checked, page: Page) -> str:
    """Return it as text: a line each, as compilers write it, so that editors find the place."""
    lines = [f"{one.where}: {one.problem}" for one in found.problems]
    lines += [f"{one.where}: warning: {one.problem}" for one in found.warnings]
    return "\n".join([*lines, page.paint(_ended(found), Tone.BOLD)]) + "\n"


def as_markdown(found: Checked) -> str:
    """Return it as markdown."""
    lines = [f"- {markdown.escaped(f'{one.where}: {one.problem}')}" for one in found.problems]
    lines += [f"- warning: {markdown.escaped(f'{one.where}: {one.problem}')}" for one in found.warnings]
    return "\n".join([f"## {markdown.escaped(_ended(found))}", *([""] if lines else []), *lines]) + "\n"


def _ended(found: Checked) -> str:
    """Return what it came to."""
    if found.problems:
        return f"{count(len(found.problems), 'problem')} in {found.checked}."
    warned = f", with {count(len(found.warnings), 'warning')}" if found.warnings else ""
    return f"{found.checked} can be used{warned}."
