"""Macros of ours in the parse that dbt is handed, beside the project's own; the project is left as it is."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from airflow_dbt_promotion.core.errors import DbtError

_LIKE = "macro.dbt.run_query"
"""A macro of dbt's own, whose fields ours have too."""

_NODES = (
    "nodes",
    "sources",
    "exposures",
    "functions",
    "metrics",
    "semantic_models",
    "saved_queries",
    "unit_tests",
    "disabled",
    "files",
)
"""The sections that an operation of ours does not ask for."""

_Sections = dict[str, Raw]
_entries = msgspec.msgpack.Decoder(_Sections)
_any = msgspec.msgpack.Decoder(dict[str, object])
_encode = msgspec.msgpack.Encoder().encode


def with_macros(parse: bytes, project: str, texts: Mapping[str, str]) -> bytes:
    """Return a kept parse that has these macros, by name, in the root project, where every node finds them.

    Raises DbtError for what is no parse.
    """
    try:
        whole = _entries.decode(parse)
        return _encode({**whole, **_installed(whole, project, texts)})
    except (KeyError, msgspec.MsgspecError) as error:
        raise DbtError("the parse of the project cannot be read", [f"{type(error).__name__}: {error}"]) from error


def macros_alone(parse: bytes, project: str, texts: Mapping[str, str]) -> bytes:
    """Return a kept parse with its macros and these, and without a single node: all that an operation asks for.

    Raises DbtError for what is no parse.
    """
    try:
        whole = _entries.decode(parse)
        empty: dict[str, object] = {section: {} for section in _NODES if section in whole}
        return _encode({**whole, **empty, **_installed(whole, project, texts)})
    except (KeyError, msgspec.MsgspecError) as error:
        raise DbtError("the parse of the project cannot be read", [f"{type(error).__name__}: {error}"]) from error


def _installed(whole: Mapping[str, Raw], project: str, texts: Mapping[str, str]) -> dict[str, object]:
    """Return the sections of a parse that say which macros there are, with ours among them."""
    macros: dict[str, object] = dict(_entries.decode(whole["macros"]))
    like = _any.decode(macros[_LIKE])  # type: ignore[arg-type]
    macros |= {f"macro.{project}.{name}": _macro(like, project, name, texts) for name in texts}
    # What dbt has looked up before is looked up again, ours among it.
    return {"macros": macros, "_macros_by_name": None, "_macros_by_package": None}


def _macro(like: Mapping[str, object], project: str, name: str, texts: Mapping[str, str]) -> dict[str, object]:
    """Return one of our macros as dbt keeps macros."""
    used = [other for other in texts if other != name and f"{other}(" in texts[name]]
    where = "macros/dbt_promotion.sql"
    return {
        **like,
        "name": name,
        "package_name": project,
        "path": where,
        "original_file_path": where,
        "unique_id": f"macro.{project}.{name}",
        "macro_sql": texts[name],
        "depends_on": {"macros": [f"macro.{project}.{other}" for other in used]},
    }
