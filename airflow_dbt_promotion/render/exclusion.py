"""What of the checkout is not what was promoted, as dbt's selectors, a document and markdown."""

from __future__ import annotations

from msgspec import Struct

from airflow_dbt_promotion.core.identity import bare_name, short
from airflow_dbt_promotion.engine import Exclusion
from airflow_dbt_promotion.render import markdown
from airflow_dbt_promotion.render.documents import SCHEMA_VERSION, builtins
from airflow_dbt_promotion.render.telling import count


class ExcludedModelDocument(Struct, frozen=True, kw_only=True):
    """A model of the checkout that is not what was promoted; `promoted_version` is null where no version ever was."""

    unique_id: str
    name: str
    promoted_version: str | None


class ExclusionDocument(Struct, frozen=True, kw_only=True):
    """The models of the checkout that are not at the versions that were promoted to an environment, by unique id.

    `selectors` are dbt's, for `--exclude`; there is always one, which takes nothing where everything is promoted.
    """

    schema_version: int
    environment: str
    selectors: tuple[str, ...]
    models: tuple[ExcludedModelDocument, ...]


def document(found: Exclusion) -> dict[str, object]:
    """Return what is excluded as JSON-able values."""
    return builtins(
        ExclusionDocument(
            schema_version=SCHEMA_VERSION,
            environment=found.environment,
            selectors=found.selectors,
            models=tuple(
                ExcludedModelDocument(unique_id=model, name=bare_name(model), promoted_version=version)
                for model, version in found.unpromoted.items()
            ),
        )
    )


def text(found: Exclusion) -> str:
    """Return the selectors on one line, for a shell."""
    return " ".join(found.selectors) + "\n"


def as_markdown(found: Exclusion) -> str:
    """Return what is excluded as markdown."""
    heading = f"## Not promoted to {markdown.escaped(found.environment)}: {count(len(found.unpromoted))}\n"
    rows = [
        (markdown.code(bare_name(model)), markdown.code(short(version))) for model, version in found.unpromoted.items()
    ]
    return heading + (f"\n{markdown.grid(('model', 'promoted version'), rows)}\n" if rows else "")
