"""Names beside that queries hold as texts, as dbt_utils' `union_relations` does: they would stand in rows for good."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.beside import Arrangement
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.dbt.publish.dialect import Dialect

_PIECES = re.compile(r"""--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|"(?:[^"]|"")*"|`[^`]*`""", re.DOTALL)
"""What may hold a quote: comments, texts, names in quotes."""

_SQL = "sql"


class _Result(Struct):
    unique_id: str
    compiled_code: str | None = None


class _Results(Struct):
    results: list[_Result]


def names_in_texts(
    target_path: Path, arrangement: Arrangement, definition: Definition, dialect: Dialect
) -> Iterator[str]:
    """Yield of each model whose query holds a name beside as a text why it is not published.

    Where a view is made again from its text at the swap, that text names what is in place.
    """
    found = msgspec.json.decode((target_path / "run_results.json").read_bytes(), type=_Results)
    built = {beside.model: beside for beside in arrangement.besides}
    names = sorted((beside.next.identifier for beside in arrangement.besides), key=len, reverse=True)
    for result in found.results:
        beside = built.get(result.unique_id)  # type: ignore[call-overload]
        node = definition.nodes.get(result.unique_id)
        if beside is None or node is None or node.language != _SQL:
            continue
        if beside.materialized == "view" and dialect.rewrites_views:
            continue
        pieces = _PIECES.findall(result.compiled_code or "")
        texts = [piece for piece in pieces if piece.startswith("'") and arrangement.token in piece]
        named = next((name for text in texts for name in names if name in text), None)
        if named is not None:
            yield (
                f"{beside.model} writes the name {named} into its rows, which a relation has only while it is built "
                f"beside; promote it with `strategy: build`"
            )
