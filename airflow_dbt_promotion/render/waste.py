"""What nobody needs any more, in the release store and in warehouses, as a document, text and markdown."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from airflow_dbt_promotion.core.identity import short
from airflow_dbt_promotion.core.kept import Waste
from airflow_dbt_promotion.core.relations import LeftoverRole
from airflow_dbt_promotion.engine.sweeper import Swept
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.remedies import moment
from airflow_dbt_promotion.render.table import Page, Tone
from airflow_dbt_promotion.render.telling import count, listed

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")
_STEP = 1024


class Rubbish(Struct, frozen=True, kw_only=True):
    """What nobody needs any more: in the release store, and relations that this package made."""

    waste: Waste
    relations: tuple[Swept, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything by name; what is gone already is not named."""
        return (*self.waste.names, *(swept.leftover.place.told for swept in self.there))

    @property
    def there(self) -> tuple[Swept, ...]:
        """The relations that are there."""
        return tuple(swept for swept in self.relations if swept.kind is not None)


class RelationDocument(Struct, frozen=True, kw_only=True):
    """A relation that nobody needs: `role` is shadow (built and never published) or superseded (replaced since).

    `stays` is why it could not be dropped, null where it was, or would be.
    """

    environment: str
    database: str | None
    schema: str
    identifier: str
    kind: str
    model: str
    role: str
    since: datetime
    stays: str | None


class WasteDocument(Struct, frozen=True, kw_only=True):
    """Kept releases, files and cached parses that nothing refers to; `deleted` is false for a dry run.

    `relations` are those of warehouses that this package made and nobody needs. `releases` are ids of kept sources,
    `files` how many files no other release has, `parses` how many cached parses; `bytes` is what all of these take,
    `names` where they lie in the store.
    """

    schema_version: int
    deleted: bool
    releases: tuple[str, ...]
    files: int
    parses: int
    bytes: int
    names: tuple[str, ...]
    relations: tuple[RelationDocument, ...]


def document(rubbish: Rubbish, *, deleted: bool) -> dict[str, object]:
    """Return it as JSON-able values."""
    waste = rubbish.waste
    return builtins(
        WasteDocument(
            schema_version=SCHEMA_VERSION,
            deleted=deleted,
            releases=waste.releases,
            files=waste.blobs,
            parses=waste.parses,
            bytes=waste.bytes,
            names=waste.names,
            relations=tuple(_relation(swept) for swept in rubbish.there),
        )
    )


def text(rubbish: Rubbish, page: Page, *, deleted: bool) -> str:
    """Return it as text: how much it is, then each name."""
    waste = rubbish.waste
    lines = [page.paint(line, Tone.BOLD) for line in page.paragraph(_headline(rubbish, deleted=deleted))]
    if waste.releases:
        lines += page.paragraph(f"releases: {listed([short(one) for one in waste.releases], most=50)}", "  ", "    ")
    lines += [line for name in waste.names for line in page.paragraph(name, "  ")]
    lines += [line for swept in rubbish.there for line in page.paragraph(_told(swept, deleted=deleted), "  ", "    ")]
    return "\n".join(lines) + "\n"


def as_markdown(rubbish: Rubbish, *, deleted: bool) -> str:
    """Return it as markdown."""
    heading = f"## {markdown.escaped(_headline(rubbish, deleted=deleted))}\n"
    rows = [(markdown.code(name),) for name in rubbish.waste.names]
    stored = f"\n{markdown.grid(('in the release store',), rows)}\n" if rows else ""
    cells = [
        (markdown.code(swept.leftover.place.told), swept.kind or "", _why(swept), swept.stays or "")
        for swept in rubbish.there
    ]
    head = ("in the warehouse", "kind", "what it was", "stays, since")
    return heading + stored + (f"\n{markdown.grid(head, cells)}\n" if cells else "")


def _relation(swept: Swept) -> RelationDocument:
    """Return a relation as a document has it."""
    place, leftover = swept.leftover.place, swept.leftover
    return RelationDocument(
        environment=swept.environment,
        database=place.database,
        schema=place.schema,
        identifier=place.identifier,
        kind=swept.kind or "",
        model=leftover.model,
        role=leftover.role.value,
        since=leftover.since,
        stays=swept.stays,
    )


def _told(swept: Swept, *, deleted: bool) -> str:
    """Return in one line what a relation was, and what became of it."""
    told = f"{swept.environment}: {swept.kind} {swept.leftover.place.told}, {_why(swept)}"
    return f"{told}; stays, since {swept.stays}" if deleted and swept.stays is not None else told


def _why(swept: Swept) -> str:
    """Say why nobody needs a relation."""
    since = moment(swept.leftover.since)
    if swept.leftover.role is LeftoverRole.SHADOW:
        return f"built and not published, since {since}"
    return f"replaced, and needed for no way back since {since}"


def _headline(rubbish: Rubbish, *, deleted: bool) -> str:
    """Return in one sentence what nobody needs."""
    if not rubbish.names:
        return "Nothing to clean: everything that is kept is needed still, or was touched within the last hour."
    waste, parts = rubbish.waste, []
    if waste.names:
        parts += [count(len(waste.releases), "release"), count(waste.blobs, "file")]
        parts += [f"{count(waste.parses, 'cached parse')} ({_size(waste.bytes)})"]
    gone = [swept for swept in rubbish.there if not (deleted and swept.stays is not None)]
    if gone:
        parts.append(count(len(gone), "relation"))
    if not parts:
        return "Nothing was deleted: what nobody needs could not be dropped."
    return f"{'Deleted' if deleted else 'Would delete'} {', '.join(parts)}."


def _size(number: int) -> str:
    """Return a size as people read it."""
    size, unit = float(number), 0
    while size >= _STEP and unit < len(_UNITS) - 1:
        size, unit = size / _STEP, unit + 1
    return f"{number} bytes" if unit == 0 else f"{size:.1f} {_UNITS[unit]}"
