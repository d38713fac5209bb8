"""A state that was copied to another place, as people and machines read it."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.identity import short
from airflow_dbt_promotion.engine.mover import Moved
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.table import Page, Tone
from airflow_dbt_promotion.render.telling import count


class MovedDocument(Struct, frozen=True, kw_only=True):
    """A state that was copied and read back. `environments` says where each document is now; `lost` are releases that
    could not be read where they were, each with the reason.
    """

    schema_version: int
    state: str
    environments: dict[str, str]
    releases: int
    files: int
    lost: dict[str, str]


def document(moved: Moved, root: str) -> dict[str, object]:
    """Return it as JSON-able values."""
    return builtins(
        MovedDocument(
            schema_version=SCHEMA_VERSION,
            state=root,
            environments=moved.environments,
            releases=moved.releases,
            files=moved.files,
            lost={str(release): why for release, why in moved.lost.items()},
        )
    )


def text(moved: Moved, root: str, page: Page) -> str:
    """Return it as text."""
    first, *rest = _told(moved, root)
    lines = [page.paint(line, Tone.BOLD) for line in page.paragraph(first)]
    lines += [line for told in rest for line in page.paragraph(told, "  ", "    ")]
    return "\n".join(lines) + "\n"


def as_markdown(moved: Moved, root: str) -> str:
    """Return it as markdown."""
    first, *rest = _told(moved, root)
    return f"## {markdown.escaped(first)}\n\n" + "\n".join(f"- {markdown.escaped(told)}" for told in rest) + "\n"


def _told(moved: Moved, root: str) -> list[str]:
    """Return what is to be known: what was done, what was lost, what to do next."""
    kept = f"{count(moved.releases, 'release')} with {count(moved.files, 'file')}"
    found = [f"Copied {count(len(moved.environments), 'environment')} and {kept}; all of it was read back."]
    found += [f"{name}: {where}" for name, where in moved.environments.items()]
    found += [f"release {short(release)} could not be read where it was: {why}" for release, why in moved.lost.items()]
    found.append(f"Now write `state: {root}` into promotion.yml, on every machine; the old place is as it was.")
    return found
