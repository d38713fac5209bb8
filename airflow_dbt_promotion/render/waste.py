"""What nothing refers to any more in the release store, as a document, text and markdown."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.identity import short
from airflow_dbt_promotion.core.kept import Waste
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.table import Page, Tone
from airflow_dbt_promotion.render.telling import count, listed

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


class WasteDocument(Struct, frozen=True, kw_only=True):
    """Kept releases, files and cached parses that nothing refers to; `deleted` is false for a dry run.

    `releases` are ids of kept sources, `files` how many files no other release has, `parses` how many cached parses;
    `bytes` is what all of it takes, `names` where it lies in the store.
    """

    schema_version: int
    deleted: bool
    releases: tuple[str, ...]
    files: int
    parses: int
    bytes: int
    names: tuple[str, ...]


def document(waste: Waste, *, deleted: bool) -> dict[str, object]:
    """Return the waste as JSON-able values."""
    return builtins(
        WasteDocument(
            schema_version=SCHEMA_VERSION,
            deleted=deleted,
            releases=waste.releases,
            files=waste.blobs,
            parses=waste.parses,
            bytes=waste.bytes,
            names=waste.names,
        )
    )


def text(waste: Waste, page: Page, *, deleted: bool) -> str:
    """Return the waste as text: how much it is, then each name."""
    lines = [page.paint(line, Tone.BOLD) for line in page.paragraph(_headline(waste, deleted=deleted))]
    if waste.releases:
        lines += page.paragraph(f"releases: {listed([short(one) for one in waste.releases], most=50)}", "  ", "    ")
    lines += [line for name in waste.names for line in page.paragraph(name, "  ")]
    return "\n".join(lines) + "\n"


def as_markdown(waste: Waste, *, deleted: bool) -> str:
    """Return the waste as markdown."""
    heading = f"## {markdown.escaped(_headline(waste, deleted=deleted))}\n"
    rows = [(markdown.code(name),) for name in waste.names]
    return heading + (f"\n{markdown.grid(('in the release store',), rows)}\n" if rows else "")


def _headline(waste: Waste, *, deleted: bool) -> str:
    """Return in one sentence what is waste."""
    if not waste.names:
        return "Nothing to clean: everything that is kept is needed still, or was touched within the last hour."
    parts = (
        count(len(waste.releases), "release"),
        count(waste.blobs, "file"),
        count(waste.parses, "cached parse"),
    )
    return f"{'Deleted' if deleted else 'Would delete'} {', '.join(parts)}: {_size(waste.bytes)}."


def _size(number: int) -> str:
    """Return a size as people read it."""
    size, unit = float(number), 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{number} bytes" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
