"""Documents of earlier releases of this package, brought to what the present one writes.

Nothing is guessed: what an earlier release did not keep is said to be unknown. A document is upgraded when it is read,
and stays as it is until the next write.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
from msgspec import Struct

from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.identity import EARLIER_FORMAT
from airflow_dbt_promotion.core.state import SCHEMA_VERSION

OLDEST = 1
"""The oldest schema that is read."""


class _SchemaOnly(Struct):
    """The one field that every schema version has."""

    schema_version: int


def schema_of(data: bytes) -> int | None:
    """Return the schema version that a document says it has, None where it says none."""
    try:
        return msgspec.json.decode(data, type=_SchemaOnly).schema_version
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def upgraded(data: bytes) -> bytes:
    """Return a document of an earlier schema as one of the present; anything else is returned as it is.

    One that is broken is left to whoever decodes it to complain of.
    """
    found = schema_of(data)
    if found is None or not OLDEST <= found < SCHEMA_VERSION:
        return data
    try:
        document: Any = json.loads(data, object_pairs_hook=_once)
        for step in _STEPS[found - OLDEST :]:
            step(document)
        document["schema_version"] = SCHEMA_VERSION
        return msgspec.json.encode(document)
    except (AttributeError, TypeError, ValueError, RecursionError):
        return data


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of which no key would be lost. Raises ValueError."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key is there twice")
    return found


def _keep_releases(document: dict[str, Any]) -> None:
    """Take schema 1 to 2: entries and stays say in which kept sources they are; before, none were kept."""
    for entry in document.get("current", {}).values():
        entry["release"] = None
    for stays in document.get("stays", {}).values():
        for stay in stays:
            stay |= {"tests": "", "meta": "", "parents": {}, "incremental": False, "release": None}
    document["release"] = None


def _lock(document: dict[str, Any]) -> None:
    """Take schema 2 to 3: the lock is in the document, and a journal says how its promotion is carried on.

    Nobody had a lock there, and what a journal does not say was not asked for.
    """
    for record in document.get("history", []):
        record |= {"run": None, "attempts": 1}
    if (journal := document.get("journal")) is not None:
        choices = msgspec.to_builtins(Choices()) | {"strategy": journal["strategy"]}
        journal |= {"run": None, "epochs": [], "choices": choices}
        journal |= {"soak": None, "runs": None, "rests_on": {}}
    document |= {"epoch": 0, "lock": None, "unlocks": []}


def _go_back(document: dict[str, Any]) -> None:
    """Take schema 3 to 4: checkpoints to go back to, and stops. There were none, and nobody had rolled back."""
    for record in document.get("history", []):
        record["rollback_to"] = None
    if (journal := document.get("journal")) is not None:
        journal |= {"beside": {}, "kept": {}, "aside": {}, "rollback_to": None}
    document |= {"checkpoints": [], "blocks": {}, "hold": None, "interventions": [], "leftovers": []}


def _approve(document: dict[str, Any]) -> None:
    """Take schema 4 to 5: approvals and freezes. Nobody had been asked, and nothing was frozen."""
    for record in document.get("history", []):
        record["approved_by"] = []
    if (journal := document.get("journal")) is not None:
        journal["approved_by"] = []
    for intervention in document.get("interventions", []):
        intervention["until"] = None
    document |= {"approvals": [], "freeze": None}


def _divide(document: dict[str, Any]) -> None:
    """Take schema 5 to 6: parts of promotions, and locks that are handed on, and what becomes of rows in what people
    were shown. Nothing was divided, and of rows nothing was agreed to.
    """
    if (journal := document.get("journal")) is not None:
        journal |= {"opened": False, "parts": {}, "rows": {}}
    if (lock := document.get("lock")) is not None:
        lock["patience"] = None
    for approval in document.get("approvals", []):
        approval["rows"] = {}


def _witness(document: dict[str, Any]) -> None:
    """Take schema 6 to 7: who recorded a run and when, and from when on it counts. Of earlier runs that is not known,
    and their own times count.
    """
    before = [entry for checkpoint in document.get("checkpoints", []) for entry in checkpoint["before"].values()]
    stays = [stay for several in document.get("stays", {}).values() for stay in several]
    for entry in (*document.get("current", {}).values(), *before, *stays):
        if entry is not None:
            entry["counts_from"] = None
    for ledgers in document.get("evidence", {}).values():
        for evidence in ledgers:
            evidence |= {"counts_from": None, "recorded_at": None, "recorded_by": None}
            evidence |= {"run_vars": {}, "unverified_place": False}


def _mark_versions(document: dict[str, Any]) -> None:
    """Take schema 7 to 8: versions were of format 1 until then, and are marked until they are recognised.

    Builds that prove nothing were not told apart. What is history stays as it was written: records, bypasses and
    interventions, what people were asked, and a promotion that broke off.
    """
    before = [entry for checkpoint in document.get("checkpoints", []) for entry in checkpoint["before"].values()]
    for entry in (*document.get("current", {}).values(), *filter(None, before)):
        _mark(entry)
        entry |= {"parents": _all_marked(entry["parents"]), "formerly": None}
    for stay in _several(document, "stays"):
        _mark(stay)
        stay["parents"] = _all_marked(stay["parents"])
    for evidence in _several(document, "evidence"):
        _mark(evidence)
        evidence["unproven"] = None
        for outcome in evidence["outcomes"].values():
            outcome[_OTHERS:] = map(_all_marked, outcome[_OTHERS:])
    for drift in document.get("drift", {}).values():
        _mark(drift)
    for block in _several(document, "blocks"):
        _mark(block)
        block["formerly"] = None


def _reject(document: dict[str, Any]) -> None:
    """Take schema 8 to 9: rejections of versions. A plan that people rejected stays rejected by its id."""
    document["rejections"] = {}


def _several(document: dict[str, Any], name: str) -> list[Any]:
    """Return what a document has several of for each model."""
    return [one for several in document.get(name, {}).values() for one in several]


def _mark(told: dict[str, Any]) -> None:
    told["version"] = EARLIER_FORMAT + told["version"]


def _all_marked(versions: dict[str, str]) -> dict[str, str]:
    return {model: EARLIER_FORMAT + version for model, version in versions.items()}


_OTHERS = 2
"""Where an outcome has the versions of other parents."""

_STEPS = (_keep_releases, _lock, _go_back, _approve, _divide, _witness, _mark_versions, _reject)
"""What takes each schema to the next, from the oldest on."""
