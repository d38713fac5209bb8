"""The document of an environment: versioned JSON to core values and back, without losing anything on the way.

Written: UTF-8, sorted keys, RFC 3339 instants in UTC, one space of indentation a level, a newline at the end, every
field. Read: only what would come out the same when it is written again. So every field must be there (one that is
missing would quietly become "nothing is current", or "no test is missing"), and one that this release does not know is
an error (it would be gone after the next write; a release that adds a field raises `schema_version`, and `migrations`
says what that field is in older documents). What cannot be read is an error that names file and place; it is never
taken for an empty document. Large documents are packed (see `core/packing.py`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NoReturn

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from airflow_dbt_promotion.core.dates import in_utc
from airflow_dbt_promotion.core.errors import CorruptStateError, FutureSchemaError, InvalidNameError
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, environment_name
from airflow_dbt_promotion.core.migrations import OLDEST, schema_of, upgraded
from airflow_dbt_promotion.core.packing import LARGE, Packed, pack, unpack
from airflow_dbt_promotion.core.state import SCHEMA_VERSION, EnvironmentState, Evidence

_HINT = "it is left as it is; restore it from a backup, or move it away and record anew"

_encoder = msgspec.json.Encoder(order="sorted")
_decoder = msgspec.json.Decoder(EnvironmentState)


class Head(Struct, frozen=True, kw_only=True):
    """The few fields that compare-and-set asks for, none with a default: a document that lacks one is no document."""

    schema_version: int
    environment: EnvironmentName
    lineage: str
    serial: int


_head_decoder = msgspec.json.Decoder(Head)


def encode(state: EnvironmentState, *, plain: bool = False) -> bytes:
    """Return the document as bytes; instants of any time zone are written in UTC. A `plain` one is never packed.

    Raises CorruptStateError rather than making a document that `decode` would refuse.
    """
    where = f"state of {state.environment}, not written"
    try:
        state = in_utc(state)
        if (contradiction := next(_contradictions(state), None)) is not None:
            raise CorruptStateError(where, contradiction)
        document = _encoder.encode(state)
        if len(document) > LARGE and not plain:
            return pack(_head_of(state), document)
        return msgspec.json.format(document, indent=1) + b"\n"
    except (UnicodeEncodeError, ValueError, OverflowError) as error:
        raise CorruptStateError(where, f"a value cannot be written: {error}") from error


def decode(data: bytes, where: str, environment: EnvironmentName) -> EnvironmentState:
    """Return the state of an environment from its document; `where` names the file or address in errors.

    Raises FutureSchemaError where a newer release wrote it, CorruptStateError for anything else that is not a document
    of this environment. A document of an earlier release comes out as the present one would have written it.
    """
    data, plain = _opened(data, where)
    data = upgraded(data)
    try:
        state = _decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse(data, where, error)
    _check_schema(state.schema_version, where)
    _check_environment(state.environment, environment, where)
    try:
        state = in_utc(state)
        again = _encoder.encode(state)
        again = msgspec.json.format(again, indent=1) if plain is None else again
    except OverflowError as error:
        raise CorruptStateError(where, f"an instant is out of range ({error}); {_HINT}") from None
    if again != data.rstrip():
        _check_lossless(data, state, where)
    if plain is not None and plain != _head_of(state):
        raise CorruptStateError(where, f"its head is of another document than what is packed; {_HINT}")
    if (contradiction := next(_contradictions(state), None)) is not None:
        raise CorruptStateError(where, f"{contradiction}; {_HINT}")
    return state


def _head_of(state: EnvironmentState) -> Packed:
    """Return what a packed document says of itself."""
    return Packed(
        environment=state.environment,
        lineage=state.lineage,
        packed="",
        schema_version=state.schema_version,
        serial=state.serial,
    )


def _opened(data: bytes, where: str) -> tuple[bytes, Packed | None]:
    """Return a document unpacked, with the head that it lay under; None where it was not packed."""
    try:
        found = unpack(data)
    except ValueError as error:
        raise CorruptStateError(where, f"{error}; {_HINT}") from None
    return (data, None) if found is None else (found[1], replace(found[0], packed=""))


def head(data: bytes, where: str, environment: EnvironmentName) -> Head:
    """Return the head of a document, faster than the whole; the rest is checked to be JSON and no further.

    Raises as `decode` does.
    """
    try:
        found = _head_decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _refuse(data, where, error)
    _check_schema(found.schema_version, where)
    _check_environment(found.environment, environment, where)
    return found


def schema() -> dict[str, object]:
    """Return the JSON Schema (draft 2020-12) of the document: every field is required, and no other is taken."""
    made: dict[str, object] = json.loads(msgspec.json.encode(msgspec.json.schema(EnvironmentState)))
    definitions = made["$defs"]
    assert isinstance(definitions, dict)  # noqa: S101 - for the type checker; msgspec documents it
    for definition in definitions.values():
        if "properties" in definition:
            definition["required"] = sorted(definition["properties"])
            definition["additionalProperties"] = False
            for field in definition["properties"].values():
                field.pop("default", None)
        if "prefixItems" in definition:
            definition["minItems"] = definition["maxItems"] = len(definition["prefixItems"])
    definitions["EnvironmentState"]["properties"]["schema_version"] = {"const": SCHEMA_VERSION}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _refuse(data: bytes, where: str, error: Exception) -> NoReturn:
    """Raise what fits a document that could not be decoded: one of a later schema may look like anything."""
    if not data.strip():
        raise CorruptStateError(where, f"the file is empty; {_HINT}") from None
    if (version := schema_of(data)) is not None:
        _check_schema(version, where)
    problem = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
    raise CorruptStateError(where, f"{problem}; {_HINT}") from None


def _check_schema(version: int, where: str) -> None:
    """Raise unless this release reads such documents."""
    if version > SCHEMA_VERSION:
        raise FutureSchemaError(
            where,
            f"a newer release wrote it (schema_version {version}, this one reads {SCHEMA_VERSION}); "
            f"upgrade airflow-dbt-promotion",
        )
    if not OLDEST <= version <= SCHEMA_VERSION:
        problem = f"no release ever wrote schema_version {version} - at `$.schema_version`"
        raise CorruptStateError(where, f"{problem}; {_HINT}")


def _check_environment(found: str, expected: EnvironmentName, where: str) -> None:
    """Raise unless the document is the expected environment's."""
    if found != expected:
        raise CorruptStateError(
            where, f"it is the state of environment {found!r}, not of {expected!r} - at `$.environment`; {_HINT}"
        )


def _check_lossless(data: bytes, state: EnvironmentState, where: str) -> None:
    """Raise where a document holds a key twice, lacks a field, or holds one that would be lost."""

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise CorruptStateError(where, f"the key {twice!r} is there twice in one object; {_HINT}")
        return found

    raw = json.loads(data, object_pairs_hook=unique)
    difference = next(_differences(raw, msgspec.to_builtins(state), "$"), None)
    if difference is not None:
        raise CorruptStateError(where, f"{difference}; {_HINT}")


def _differences(raw: object, kept: object, place: str) -> Iterator[str]:
    """Yield what is in only one of a document and what was understood of it."""
    match raw, kept:
        case dict(), dict():
            for key in sorted(raw.keys() | kept.keys()):
                inner = f"{place}.{key}" if key.isidentifier() else f"{place}[{json.dumps(key)}]"
                if key not in kept:
                    yield f"this release knows no such field, and would lose it - at `{inner}`"
                elif key not in raw:
                    yield f"a field is missing - at `{inner}`"
                else:
                    yield from _differences(raw[key], kept[key], inner)
        case list(), list() | tuple():
            if len(raw) != len(kept):
                yield f"has {len(raw)} items where {len(kept)} are known - at `{place}`"
            for index, (one, other) in enumerate(zip(raw, kept, strict=False)):
                yield from _differences(one, other, f"{place}[{index}]")
        case _:
            return


def _misnamed(state: EnvironmentState) -> Iterator[str]:
    """Yield what is wrong with the head of a document."""
    try:
        environment_name(state.environment)
    except InvalidNameError as error:
        yield f"{error} - at `$.environment`"
    if not state.lineage.strip():
        yield "a lineage cannot be empty - at `$.lineage`"
    if state.schema_version != SCHEMA_VERSION:
        yield f"schema_version must be {SCHEMA_VERSION} - at `$.schema_version`"
    if state.serial < 0:
        yield "a serial cannot be negative - at `$.serial`"
    if state.epoch < (state.lock.epoch if state.lock is not None else 0):
        yield "the lock is of a later epoch than the document - at `$.lock.epoch`"


def _contradictions(state: EnvironmentState) -> Iterator[str]:
    """Yield what cannot be true of any environment, with its place."""
    yield from _misnamed(state)
    for model, entry in state.current.items():
        if entry.stale_since is not None and entry.stale_since < entry.since:
            yield f'it was stale before it was there - at `$.current["{model}"].stale_since`'
    for model, stays in state.stays.items():
        for index, stay in enumerate(stays):
            if stay.left_at < stay.entered_at:
                yield f'a stay ends before it begins - at `$.stays["{model}"][{index}].left_at`'
    for model, ledgers in state.evidence.items():
        yield from _miscounted(model, ledgers)
    for model, blocks in state.blocks.items():
        if len({block.version for block in blocks}) != len(blocks):
            yield f'one version is blocked twice - at `$.blocks["{model}"]`'
    if len({approval.plan_id for approval in state.approvals}) != len(state.approvals):
        yield "people were asked about one plan twice - at `$.approvals`"
    yield from _unkept(state)


def _unkept(state: EnvironmentState) -> Iterator[str]:
    """Yield what cannot be true of checkpoints and leftovers: what `clean` drops must be needed by nobody."""
    ids = [checkpoint.id for checkpoint in state.checkpoints]
    kept = {relation.place for checkpoint in state.checkpoints for relation in checkpoint.kept.values()}
    for index, checkpoint in enumerate(state.checkpoints):
        if ids.index(checkpoint.id) != index:
            yield f"two checkpoints have one id - at `$.checkpoints[{index}].id`"
        if not checkpoint.kept.keys() <= checkpoint.before.keys():
            yield f"a relation is kept of what did not change - at `$.checkpoints[{index}].kept`"
    for index, leftover in enumerate(state.leftovers):
        if leftover.place in kept:
            yield f"a checkpoint keeps this relation - at `$.leftovers[{index}].place`"


def _miscounted(model: ModelId, ledgers: tuple[Evidence, ...]) -> Iterator[str]:
    """Yield what cannot be true of the evidence for one model."""
    if len(ledgers) > 1 and len({evidence.version for evidence in ledgers}) != len(ledgers):
        yield f'one version has two ledgers - at `$.evidence["{model}"]`'
    for index, evidence in enumerate(ledgers):
        if (complaint := _weigh(evidence)) is not None:
            yield f'{complaint} - at `$.evidence["{model}"][{index}]`'


def _weigh(evidence: Evidence) -> str | None:
    """Return what is impossible in one ledger."""
    first, last = evidence.first_pass, evidence.last_pass
    if (first is None) != (last is None):
        return "first_pass and last_pass come together"
    if first is not None and last is not None and last < first:
        return "the last pass is before the first"
    return "runs cannot be negative" if evidence.runs < 0 else None
