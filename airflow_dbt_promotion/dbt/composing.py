"""A composition as dbt takes it: one kept parse, made of the raw pieces of several.

dbt's kept parse is a mapping of sections, most of them by unique id. Only the sections are taken apart; an entry stays
the bytes that dbt wrote, but for the few that have to say something else in their new company.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import msgspec
from msgspec import Raw

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.errors import ReleaseError
from airflow_dbt_promotion.core.identity import ReleaseId, short

_TAKEN = (
    "nodes",
    "macros",
    "sources",
    "exposures",
    "functions",
    "metrics",
    "semantic_models",
    "saved_queries",
    "unit_tests",
)
"""The sections that hold exactly what a composition names."""

_SHARED = ("docs", "groups", "fixtures")
"""The sections whose entries do no harm where nobody asks for them."""

_PRIVATE, _PROTECTED = "private", "protected"

_Sections = dict[str, Raw]
_entries = msgspec.msgpack.Decoder(_Sections)
_encode = msgspec.msgpack.Encoder().encode


def composed(
    composition: Composition, parses: Mapping[ReleaseId, bytes], changes: Mapping[str, Mapping[str, object]]
) -> bytes:
    """Return the kept parse of a composition, made of those of its releases.

    `changes` are fields that nodes have to have besides, by unique id. A composition that is one release as it was
    parsed comes out as that release's very bytes, but for changes. Raises ReleaseError where something is not in its
    release.
    """
    changes = _merged([changes, _latest(composition), _opened(composition)])
    order = [composition.base, *sorted(set(composition.origins.values()) - {composition.base})]
    parts = {release: _sections(release, parses[release]) for release in order}
    whole: dict[str, object] = dict(parts[composition.base])
    if _is_whole(composition, parts[composition.base]):
        if not changes:
            return parses[composition.base]
        whole["nodes"] = _with(changes, _entries_of("nodes", parts[composition.base]))
        return _encode(whole)
    found: set[str] = set()
    for section in _TAKEN:
        taken = _taken(section, composition.origins, parts)
        found |= taken.keys()
        whole[section] = _with(changes, taken)
    missing = sorted(composition.origins.keys() - found)
    if missing:
        raise ReleaseError(
            f"release {short(composition.origins[missing[0]])}", f"has no {missing[0]} in the parse that is kept of it"
        )
    for section in _SHARED:
        whole[section] = _joined(section, parts.values())
    whole["disabled"] = _without(_entries_of("disabled", parts[composition.base]), found)
    # What dbt would compare with the project folder before it goes on from a parse; it is handed this one.
    whole["files"] = {}
    return _encode(whole)


def _sections(release: ReleaseId, data: bytes) -> _Sections:
    """Return a kept parse taken apart. Raises ReleaseError."""
    try:
        return _entries.decode(data)
    except msgspec.MsgspecError as error:
        raise ReleaseError(f"release {short(release)}", f"has a parse that cannot be read: {error}") from error


def _entries_of(section: str, part: _Sections) -> _Sections:
    """Return the entries of one section, none where a dbt does not have it."""
    return _entries.decode(part[section]) if section in part else {}


def _is_whole(composition: Composition, base: _Sections) -> bool:
    """Say whether a composition is one release, all of it."""
    if set(composition.origins.values()) != {composition.base}:
        return False
    return composition.origins.keys() == {id_ for section in _TAKEN for id_ in _entries_of(section, base)}


def _taken(section: str, origins: Mapping[str, ReleaseId], parts: Mapping[ReleaseId, _Sections]) -> _Sections:
    """Return the entries of one section, each from its release; the base's come first, in the base's order."""
    return {
        id_: raw
        for release, part in parts.items()
        for id_, raw in _entries_of(section, part).items()
        if origins.get(id_) == release
    }


def _joined(section: str, parts: Iterable[_Sections]) -> _Sections:
    """Return the entries of one section of all releases; where several have one, the first does."""
    joined: _Sections = {}
    for part in parts:
        joined = {**_entries_of(section, part), **joined}
    return joined


def _without(entries: _Sections, ids: Collection[str]) -> _Sections:
    """Return the entries that are not among these."""
    return {id_: raw for id_, raw in entries.items() if id_ not in ids}


def _with(changes: Mapping[str, Mapping[str, object]], entries: _Sections) -> dict[str, object]:
    """Return entries with other values for some of their fields."""
    return {id_: {**_entries.decode(raw), **changes[id_]} if id_ in changes else raw for id_, raw in entries.items()}


def _latest(composition: Composition) -> Mapping[str, Mapping[str, object]]:
    """Return what versioned models have to say of their latest version."""
    return {id_: {"latest_version": latest} for id_, latest in composition.latest.items()}


def _opened(composition: Composition) -> Mapping[str, Mapping[str, object]]:
    """Return the private models that something of another release reads, as protected ones.

    dbt has checked who may read what in each release. That a model became private since is no reason for it to refuse
    those that were promoted before.
    """
    nodes, origins = composition.definition.nodes, composition.origins
    private = {id_: node for id_, node in nodes.items() if node.access == _PRIVATE}
    if not private:
        return {}
    return {
        parent: {"access": _PROTECTED}
        for id_, node in nodes.items()
        for parent in node.depends_on.nodes
        if parent in private
        and origins.get(parent) != origins.get(id_)
        and (not node.group or node.group != private[parent].group)
    }


def _merged(changes: Iterable[Mapping[str, Mapping[str, object]]]) -> Mapping[str, Mapping[str, object]]:
    """Return changes of several kinds as one."""
    merged: dict[str, dict[str, object]] = {}
    for kind in changes:
        for id_, fields in kind.items():
            merged.setdefault(id_, {}).update(fields)
    return merged
