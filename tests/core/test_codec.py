"""The codec: nothing is lost on the way, and what is no document is an error that says where."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pendulum
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from airflow_dbt_promotion.core import codec
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.dates import instants
from airflow_dbt_promotion.core.definition import ProjectIdentity
from airflow_dbt_promotion.core.environment import Strategy
from airflow_dbt_promotion.core.errors import CorruptStateError, FutureSchemaError, StateError
from airflow_dbt_promotion.core.identity import Digest, EnvironmentName, ModelId, PlanId, TestId, Version
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.core.relations import KeptRelation, Leftover, LeftoverRole
from airflow_dbt_promotion.core.state import (
    SCHEMA_VERSION,
    Checkpoint,
    Drift,
    Entry,
    EntryOrigin,
    EnvironmentState,
    Evidence,
    Journal,
    Lock,
    Outcome,
    PromotionOutcome,
    PromotionRecord,
    Stay,
    Unfinalized,
)
from airflow_dbt_promotion.core.state import TestStatus as Status  # pytest would take it for a class of tests
from airflow_dbt_promotion.core.stops import Block
from tests.core import strategies as our

STAGING = EnvironmentName("staging")
ORDERS = ModelId("model.shop.orders")
UNIQUE = TestId("test.shop.unique.0123456789")
BEFORE = "2026-03-01T11:59:59Z"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WHERE = "states/staging.json"


PLACE = Place(database="shop", schema="analytics", identifier="orders__kept")
LEFTOVER = Leftover(place=PLACE, model=ORDERS, since=NOON, plan_id=PlanId("p"), role=LeftoverRole.SUPERSEDED)
BLOCK = Block(version=Version("a" * 32), at=NOON, actor="me", reason="it doubles rows")
CHECKPOINT = Checkpoint(
    id="0123abcd",
    at=NOON,
    by=PlanId("p"),
    actor="me",
    before={ORDERS: None},
    kept={ORDERS: KeptRelation(place=PLACE, rows_at=NOON)},
    whole=True,
)


def version(letter: str) -> Version:
    return Version(letter * 32)


def entry(**changes: Any) -> Entry:
    made = Entry(
        version=version("a"),
        code=Digest("b" * 32),
        tests=Digest("c" * 32),
        meta=Digest("d" * 32),
        parents={},
        since=NOON,
        origin=EntryOrigin.RUN,
        by="an-invocation",
    )
    return replace(made, **changes)


def evidence(**changes: Any) -> Evidence:
    made = Evidence(
        version=version("a"),
        tests=Digest("c" * 32),
        built_at=NOON,
        outcomes={UNIQUE: Outcome(Status.PASS, NOON)},
        first_pass=NOON,
        last_pass=NOON,
        runs=1,
    )
    return replace(made, **changes)


def stay(**changes: Any) -> Stay:
    made = Stay(
        version=version("e"),
        code=Digest("f" * 32),
        entered_at=NOON,
        left_at=NOON,
        tests=Digest("a" * 32),
        meta=Digest("b" * 32),
    )
    return replace(made, **changes)


def state(**changes: Any) -> EnvironmentState:
    made = EnvironmentState(
        project=ProjectIdentity(name="shop"),
        environment=STAGING,
        lineage="7d9c3a52-8d4e-4b0e-9a55-5f0f5a3b8f10",
        serial=4,
        current={ORDERS: entry()},
        stays={ORDERS: (stay(),)},
        evidence={ORDERS: (evidence(),)},
    )
    return replace(made, **changes)


def tree() -> dict[str, Any]:
    """Return a valid document as plain values, to be broken."""
    found: dict[str, Any] = json.loads(codec.encode(state()))
    return found


def decode(document: object) -> EnvironmentState:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return codec.decode(data, WHERE, STAGING)


# --- nothing is lost --------------------------------------------------------------------------------------------------


@given(our.states)
@settings(max_examples=50)
def test_what_was_written_is_read_back(written: EnvironmentState) -> None:
    assert codec.decode(codec.encode(written), WHERE, written.environment) == written


@given(our.states)
@settings(max_examples=50)
def test_writing_what_was_read_gives_the_same_bytes(written: EnvironmentState) -> None:
    data = codec.encode(written)
    assert codec.encode(codec.decode(data, WHERE, written.environment)) == data


@given(our.states)
@settings(max_examples=50)
def test_a_document_in_another_layout_says_the_same(written: EnvironmentState) -> None:
    """An editor may turn keys and spaces around; only what is said counts."""
    document = json.loads(codec.encode(written))
    data = json.dumps(dict(reversed(document.items())), indent=4).encode()
    assert codec.decode(data, WHERE, written.environment) == written


@given(our.states)
@settings(max_examples=50)
def test_a_document_fits_the_published_schema(written: EnvironmentState) -> None:
    jsonschema.Draft202012Validator(codec.schema()).validate(json.loads(codec.encode(written)))


@given(our.states)
@settings(max_examples=50)
def test_the_head_says_what_the_document_says(written: EnvironmentState) -> None:
    head = codec.head(codec.encode(written), WHERE, written.environment)
    assert (head.serial, head.lineage) == (written.serial, written.lineage)


def test_the_layout() -> None:
    data = codec.encode(state())
    text = data.decode("utf-8")
    assert text.endswith("}\n")
    assert '"since": "2026-03-01T12:00:00Z"' in text
    assert "\n" in text.strip()
    keys = list(json.loads(text))
    assert keys == sorted(keys)
    assert json.loads(text)["schema_version"] == SCHEMA_VERSION


def test_text_is_written_as_it_is() -> None:
    assert "Grüße, 日本".encode() in codec.encode(state(current={ORDERS: entry(by="Grüße, 日本")}))


# --- instants ---------------------------------------------------------------------------------------------------------


def _all_instants(value: object) -> Iterator[datetime]:
    match value:
        case datetime():
            yield value
        case msgspec.Struct():
            for name in value.__struct_fields__:
                yield from _all_instants(getattr(value, name))
        case dict():
            for inner in value.values():
                yield from _all_instants(inner)
        case tuple():
            for inner in value:
                yield from _all_instants(inner)
        case _:
            return


@given(our.states)
@settings(max_examples=50)
def test_every_instant_is_looked_at(written: EnvironmentState) -> None:
    """A field for an instant that is added to the state and forgotten in the codec fails here."""
    looked_at = [instant for instant in instants(written) if instant is not None]
    assert sorted(looked_at) == sorted(_all_instants(written))


@given(our.states, st.integers(-14 * 60, 14 * 60))
@settings(max_examples=50)
def test_instants_of_any_zone_are_written_in_utc(written: EnvironmentState, minutes: int) -> None:
    there = timezone(timedelta(minutes=minutes))

    def moved(value: Any) -> Any:
        match value:
            case datetime():
                return value.astimezone(there)
            case msgspec.Struct():
                return type(value)(**{name: moved(getattr(value, name)) for name in value.__struct_fields__})
            case dict():
                return {key: moved(inner) for key, inner in value.items()}
            case tuple():
                return tuple(moved(inner) for inner in value)
            case _:
                return value

    assert codec.encode(moved(written)) == codec.encode(written)


def test_instants_of_pendulum_are_written_as_plain_ones() -> None:
    since = pendulum.datetime(2026, 3, 1, 13, tz="Europe/Berlin")
    assert codec.encode(state(current={ORDERS: entry(since=since)})) == codec.encode(state())


def test_an_instant_with_an_offset_is_read_in_utc() -> None:
    document = tree()
    document["current"][ORDERS]["since"] = "2026-03-01T14:00:00+02:00"
    found = decode(document).current[ORDERS].since
    assert found == NOON
    assert found.tzinfo is UTC


def test_a_naive_instant_is_not_written() -> None:
    with pytest.raises(CorruptStateError, match="no time zone"):
        codec.encode(state(current={ORDERS: entry(since=NOON.replace(tzinfo=None))}))


# --- what is no document ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b" \n", b"\x00" * 4096])
def test_an_empty_file_is_not_an_empty_state(data: bytes) -> None:
    with pytest.raises(CorruptStateError, match=r"staging\.json"):
        decode(data)


@given(st.data())
def test_a_truncated_document_is_an_error(data: st.DataObject) -> None:
    whole = codec.encode(state())
    cut = data.draw(st.integers(0, len(whole.rstrip()) - 1))
    with pytest.raises(CorruptStateError):
        decode(whole[:cut])
    with pytest.raises(CorruptStateError):
        codec.head(whole[:cut], WHERE, STAGING)


@given(st.binary(max_size=200))
def test_rubbish_is_an_error(data: bytes) -> None:
    with pytest.raises(StateError):
        decode(data)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)


@given(_JSON)
def test_other_json_is_an_error(document: object) -> None:
    with pytest.raises(StateError):
        decode(document)


@pytest.mark.parametrize(
    "data",
    [
        b'{"schema_version": 1, "environment": "\xff"}',
        codec.encode(state()).replace(b"an-invocation", b"\xff\xfe"),
        codec.encode(state()).replace(b"an-invocation", b"\\ud800"),
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"\xef\xbb\xbf" + codec.encode(state()),
        codec.encode(state()) + codec.encode(state()),
        codec.encode(state()).replace(b'"serial": 4', b'"serial": NaN'),
        codec.encode(state()).replace(b'"serial": 4', b'"serial": 4e999'),
    ],
)
def test_bytes_that_are_no_json_are_an_error(data: bytes) -> None:
    with pytest.raises(CorruptStateError, match=r"staging\.json"):
        decode(data)


Break = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize(
    ("break_it", "place"),
    [
        (lambda d: d.update(serial=-1), "$.serial"),
        (lambda d: d.update(serial="4"), "$.serial"),
        (lambda d: d.update(serial=True), "$.serial"),
        (lambda d: d.update(serial=None), "$.serial"),
        (lambda d: d.update(serial=4.5), "$.serial"),
        (lambda d: d.update(schema_version=0), "$.schema_version"),
        (lambda d: d.update(schema_version=-1), "$.schema_version"),
        (lambda d: d.update(schema_version="1"), "$.schema_version"),
        (lambda d: d.update(current=[]), "$.current"),
        (lambda d: d.update(current=None), "$.current"),
        (lambda d: d.update(lineage=" "), "$.lineage"),
        (lambda d: d.update(environment="production"), "$.environment"),
        (lambda d: d.update(project="shop"), "$.project"),
        (lambda d: d.update(journal={}), "$.journal"),
        (lambda d: d["current"].update({ORDERS: 1}), "$.current[...]"),
        (lambda d: d["current"][ORDERS].update(since="2026-03-01T12:00:00"), "$.current[...].since"),
        (lambda d: d["current"][ORDERS].update(since="yesterday"), "$.current[...].since"),
        (lambda d: d["current"][ORDERS].update(since=1772366400), "$.current[...].since"),
        (lambda d: d["current"][ORDERS].update(origin="magic"), "$.current[...].origin"),
        (lambda d: d["current"][ORDERS].update(parents=[]), "$.current[...].parents"),
        (lambda d: d["current"][ORDERS].update(stale_since=BEFORE), f'$.current["{ORDERS}"].stale_since'),
        (lambda d: d["stays"][ORDERS][0].update(left_at=BEFORE), f'$.stays["{ORDERS}"][0].left_at'),
        (lambda d: d["evidence"][ORDERS].append(d["evidence"][ORDERS][0]), f'$.evidence["{ORDERS}"]'),
        (lambda d: d["evidence"][ORDERS][0].update(last_pass=BEFORE), f'$.evidence["{ORDERS}"][0]'),
        (lambda d: d["evidence"][ORDERS][0].update(first_pass=None), f'$.evidence["{ORDERS}"][0]'),
        (lambda d: d["evidence"][ORDERS][0].update(runs=-1), "$.evidence[...][0].runs"),
    ],
)
def test_a_broken_document_is_an_error_with_its_place(break_it: Break, place: str) -> None:
    document = tree()
    break_it(document)
    with pytest.raises(CorruptStateError) as caught:
        decode(document)
    assert WHERE in str(caught.value)
    assert f"`{place}" in str(caught.value)


def test_an_instant_before_the_calendar_is_an_error() -> None:
    document = tree()
    document["current"][ORDERS]["since"] = "0001-01-01T00:00:00+02:00"
    with pytest.raises(CorruptStateError, match="out of range"):
        decode(document)


def _objects(value: object, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Yield the place of every field of every struct in a document."""
    fixed = {(), ("project",)} | {("current", ORDERS), ("stays", ORDERS, 0), ("evidence", ORDERS, 0)}
    if isinstance(value, dict):
        for key, inner in value.items():
            if place in fixed:
                yield (*place, key)
            yield from _objects(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _objects(inner, (*place, index))


@pytest.mark.parametrize("place", list(_objects(tree())), ids=lambda place: ".".join(map(str, place)))
def test_no_field_may_be_missing(place: tuple[str | int, ...]) -> None:
    """Nothing that is gone reads as nothing: no `current` is not an empty environment, no `missing` is not a pass."""
    document: Any = tree()
    holder = document
    for key in place[:-1]:
        holder = holder[key]
    del holder[place[-1]]
    with pytest.raises(CorruptStateError):
        decode(document)


@pytest.mark.parametrize(
    ("break_it", "place"),
    [
        (lambda d: d.update(notices=[]), "$.notices"),
        (lambda d: d["current"][ORDERS].update(note="mine"), f'$.current["{ORDERS}"].note'),
        (lambda d: d["project"].update({"an id": 1}), '$.project["an id"]'),
        (lambda d: d["evidence"][ORDERS][0]["outcomes"][UNIQUE].append(1), f'$.evidence["{ORDERS}"][0].outcomes'),
    ],
)
def test_what_would_be_lost_is_an_error(break_it: Break, place: str) -> None:
    document = tree()
    break_it(document)
    with pytest.raises(CorruptStateError) as caught:
        decode(document)
    assert f"`{place}" in str(caught.value)


def test_a_key_that_is_there_twice_is_an_error() -> None:
    document = tree()
    again = json.dumps(document["current"][ORDERS])
    twice = json.dumps(document).replace('"current": {', f'"current": {{"{ORDERS}": {again}, ')
    with pytest.raises(CorruptStateError, match=f"'{ORDERS}' is there twice"):
        decode(twice.encode())


def _marked(written: EnvironmentState) -> EnvironmentState:
    """Return a document with every version of it marked as one of format 1, but for what is history, and without
    rejections, which came later.
    """

    def version(one: Version) -> Version:
        return Version(f"1:{one}")

    def versions(told: Mapping[ModelId, Version]) -> dict[ModelId, Version]:
        return {model: version(one) for model, one in told.items()}

    def entry_of(one: Entry) -> Entry:
        return replace(one, version=version(one.version), parents=versions(one.parents))

    def evidence_of(one: Evidence) -> Evidence:
        outcomes = {test: replace(told, others=versions(told.others)) for test, told in one.outcomes.items()}
        return replace(one, version=version(one.version), outcomes=outcomes)

    return replace(
        written,
        current={model: entry_of(one) for model, one in written.current.items()},
        stays={
            model: tuple(replace(one, version=version(one.version), parents=versions(one.parents)) for one in several)
            for model, several in written.stays.items()
        },
        evidence={model: tuple(map(evidence_of, several)) for model, several in written.evidence.items()},
        drift={model: replace(one, version=version(one.version)) for model, one in written.drift.items()},
        blocks={
            model: tuple(replace(one, version=version(one.version)) for one in several)
            for model, several in written.blocks.items()
        },
        checkpoints=tuple(
            replace(one, before={model: held and entry_of(held) for model, held in one.before.items()})
            for one in written.checkpoints
        ),
        rejections={},
    )


def _as_schema_5(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as it was before promotions were opened."""
    old: dict[str, Any] = {key: told for key, told in document.items() if key != "rejections"} | {"schema_version": 5}
    if old["journal"] is not None:
        old["journal"] = {key: told for key, told in old["journal"].items() if key not in {"opened", "parts", "rows"}}
    if old["lock"] is not None:
        old["lock"] = {key: told for key, told in old["lock"].items() if key != "patience"}
    old["approvals"] = [{key: told for key, told in one.items() if key != "rows"} for one in old["approvals"]]
    return old


def _as_schema_4(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as it was before people were asked."""
    fifth = _as_schema_5(document)
    old: dict[str, Any] = {key: value for key, value in fifth.items() if key not in {"approvals", "freeze"}}
    old["schema_version"] = 4
    old["history"] = [{key: told for key, told in one.items() if key != "approved_by"} for one in old["history"]]
    if old["journal"] is not None:
        old["journal"] = {key: told for key, told in old["journal"].items() if key != "approved_by"}
    old["interventions"] = [{key: told for key, told in one.items() if key != "until"} for one in old["interventions"]]
    return old


def _as_schema_3(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as it was before it could be gone back."""
    new, fourth = {"checkpoints", "blocks", "hold", "interventions", "leftovers"}, _as_schema_4(document)
    old: dict[str, Any] = {key: value for key, value in fourth.items() if key not in new} | {"schema_version": 3}
    old["history"] = [{key: told for key, told in one.items() if key != "rollback_to"} for one in old["history"]]
    if old["journal"] is not None:
        journal = {"beside", "kept", "aside", "rollback_to"}
        old["journal"] = {key: told for key, told in old["journal"].items() if key not in journal}
    return old


def _as_schema_2(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as it was before it held the lock."""
    new, third = {"epoch", "lock", "unlocks"}, _as_schema_3(document)
    old: dict[str, Any] = {key: value for key, value in third.items() if key not in new} | {"schema_version": 2}
    record = {"run", "attempts"}
    old["history"] = [{key: told for key, told in one.items() if key not in record} for one in old["history"]]
    if old["journal"] is not None:
        journal = {"run", "epochs", "choices", "soak", "runs", "rests_on"}
        old["journal"] = {key: told for key, told in old["journal"].items() if key not in journal}
    return old


def _as_schema_1(document: dict[str, Any]) -> dict[str, Any]:
    """Return a document as the first release wrote it."""
    old: dict[str, Any] = {**_as_schema_2(document), "schema_version": 1}
    del old["release"]
    old["current"] = {
        model: {key: value for key, value in entry.items() if key != "release"}
        for model, entry in old["current"].items()
    }
    kept = {"version", "code", "entered_at", "left_at"}
    old["stays"] = {
        model: [{key: value for key, value in stay.items() if key in kept} for stay in stays]
        for model, stays in old["stays"].items()
    }
    return old


def test_a_document_of_the_first_schema_is_read_and_says_that_nothing_was_kept() -> None:
    whole = _marked(state())
    found = decode(json.dumps(_as_schema_1(tree())).encode())
    assert found.schema_version == SCHEMA_VERSION
    assert found.current == {model: replace(entry, release=None) for model, entry in whole.current.items()}
    assert [stay.release for stays in found.stays.values() for stay in stays] == [None]
    assert (found.evidence, found.serial, found.history) == (whole.evidence, whole.serial, whole.history)
    assert decode(codec.encode(found)) == found


def test_a_document_of_the_second_schema_is_read_and_nobody_has_its_lock() -> None:
    journal = Journal(plan_id=PlanId("p"), actor="me", started_at=NOON, source=STAGING, strategy="record", models={})
    told = PromotionRecord(
        plan_id=PlanId("p"),
        outcome=PromotionOutcome.PROMOTED,
        source=STAGING,
        strategy="build",
        actor="me",
        started_at=NOON,
        finished_at=NOON,
        models={},
    )
    whole = state(journal=journal, history=(told,))
    found = decode(json.dumps(_as_schema_2(json.loads(codec.encode(whole)))).encode())
    whole = _marked(whole)
    assert found == replace(whole, journal=replace(journal, choices=Choices(strategy=Strategy.RECORD)))
    assert (found.lock, found.epoch, found.unlocks) == (None, 0, ())


@given(our.states)
@settings(max_examples=50)
def test_a_document_of_the_third_schema_is_read_and_has_nothing_to_go_back_to(written: EnvironmentState) -> None:
    found = codec.decode(
        json.dumps(_as_schema_3(json.loads(codec.encode(written)))).encode(), WHERE, written.environment
    )
    told = tuple(replace(record, rollback_to=None, approved_by=()) for record in written.history)
    journal = written.journal and replace(
        written.journal, beside={}, kept={}, aside={}, rollback_to=None, approved_by=(), opened=False, parts={}, rows={}
    )
    lock = written.lock and replace(written.lock, patience=None)
    plain = replace(written, lock=lock, history=told, journal=journal, checkpoints=(), blocks={}, hold=None)
    assert found == _marked(replace(plain, interventions=(), leftovers=(), approvals=(), freeze=None))


@given(our.states)
@settings(max_examples=50)
def test_a_document_of_the_fourth_schema_is_read_and_nothing_is_frozen(written: EnvironmentState) -> None:
    found = codec.decode(
        json.dumps(_as_schema_4(json.loads(codec.encode(written)))).encode(), WHERE, written.environment
    )
    interventions = tuple(replace(one, until=None) for one in written.interventions)
    history = tuple(replace(one, approved_by=()) for one in written.history)
    journal = written.journal and replace(written.journal, approved_by=(), opened=False, parts={}, rows={})
    lock = written.lock and replace(written.lock, patience=None)
    expected = replace(written, lock=lock, freeze=None, interventions=interventions, history=history, journal=journal)
    assert found == _marked(replace(expected, approvals=()))


@given(our.states)
@settings(max_examples=50)
def test_a_document_of_the_fifth_schema_is_read_without_parts_and_rows(written: EnvironmentState) -> None:
    found = codec.decode(
        json.dumps(_as_schema_5(json.loads(codec.encode(written)))).encode(), WHERE, written.environment
    )
    journal = written.journal and replace(written.journal, opened=False, parts={}, rows={})
    approvals = tuple(replace(one, rows={}) for one in written.approvals)
    lock = written.lock and replace(written.lock, patience=None)
    assert found == _marked(replace(written, journal=journal, lock=lock, approvals=approvals))


@given(our.states)
@settings(max_examples=50)
def test_the_versions_of_a_document_of_the_seventh_schema_are_marked(written: EnvironmentState) -> None:
    document = {**json.loads(codec.encode(written)), "schema_version": 7}
    del document["rejections"]
    for entries in (document["current"], *(one["before"] for one in document["checkpoints"])):
        for one in entries.values():
            (one or {}).pop("formerly", None)
    for blocks in document["blocks"].values():
        for one in blocks:
            one.pop("formerly")
    assert codec.decode(json.dumps(document).encode(), WHERE, written.environment) == _marked(written)


@given(our.states)
@settings(max_examples=20)
def test_a_document_of_the_eighth_schema_is_read_without_rejections(written: EnvironmentState) -> None:
    document = {**json.loads(codec.encode(written)), "schema_version": 8}
    del document["rejections"]
    found = codec.decode(json.dumps(document).encode(), WHERE, written.environment)
    assert found == replace(written, rejections={})


def test_a_document_of_an_earlier_schema_is_checked_as_any_other() -> None:
    old = _as_schema_1(tree())
    again = json.dumps(old["current"][ORDERS])
    twice = json.dumps(old).replace('"current": {', f'"current": {{"{ORDERS}": {again}, ')
    for broken in (twice, json.dumps({**old, "current": []}), json.dumps({**old, "more": 1}), json.dumps(old)[:-5]):
        with pytest.raises(CorruptStateError, match=r"staging\.json"):
            decode(broken.encode())


# --- other schemas, other environments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "document",
    [
        {**tree(), "schema_version": SCHEMA_VERSION + 1},
        {**tree(), "schema_version": 99, "current": []},
        {"schema_version": SCHEMA_VERSION + 1, "all": "different"},
    ],
)
@pytest.mark.parametrize("read", [codec.decode, codec.head])
def test_a_document_of_the_future_says_so(document: object, read: Callable[..., object]) -> None:
    with pytest.raises(FutureSchemaError, match="newer release"):
        read(json.dumps(document).encode(), WHERE, STAGING)


def test_a_truncated_document_of_the_future_is_corrupt() -> None:
    with pytest.raises(CorruptStateError):
        decode(b'{"schema_version": 5, "all": ')


@pytest.mark.parametrize("read", [codec.decode, codec.head])
def test_the_document_of_another_environment_is_not_ours(read: Callable[..., object]) -> None:
    with pytest.raises(CorruptStateError, match="environment 'staging', not of 'production'"):
        read(codec.encode(state()), "production.json", EnvironmentName("production"))


@pytest.mark.parametrize("missing", ["schema_version", "environment", "lineage", "serial"])
def test_a_head_needs_its_fields(missing: str) -> None:
    document = tree()
    del document[missing]
    with pytest.raises(CorruptStateError):
        codec.head(json.dumps(document).encode(), WHERE, STAGING)


# --- what is not written ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        state(serial=-1),
        state(lineage=""),
        state(schema_version=0),
        state(schema_version=SCHEMA_VERSION + 1),
        state(environment=EnvironmentName("../staging")),
        state(current={ORDERS: entry(stale_since=NOON - timedelta(seconds=1))}),
        state(stays={ORDERS: (stay(left_at=NOON - timedelta(1)),)}),
        state(evidence={ORDERS: (evidence(), evidence())}),
        state(evidence={ORDERS: (evidence(first_pass=None),)}),
        state(evidence={ORDERS: (evidence(last_pass=NOON - timedelta(1)),)}),
        state(evidence={ORDERS: (evidence(runs=-1),)}),
        state(epoch=1, lock=Lock(owner="me", run=None, epoch=2, acquired_at=NOON, heartbeat_at=NOON, expires_at=NOON)),
        state(current={ORDERS: entry(by="\ud800")}),
        state(blocks={ORDERS: (BLOCK, BLOCK)}),
        state(checkpoints=(CHECKPOINT, CHECKPOINT)),
        state(checkpoints=(replace(CHECKPOINT, before={}),)),
        state(checkpoints=(CHECKPOINT,), leftovers=(LEFTOVER,)),
    ],
)
def test_what_could_not_be_read_back_is_not_written(wrong: EnvironmentState) -> None:
    with pytest.raises(CorruptStateError, match="not written"):
        codec.encode(wrong)


def test_the_schema_takes_nothing_else() -> None:
    validator = jsonschema.Draft202012Validator(codec.schema())
    jsonschema.Draft202012Validator.check_schema(codec.schema())
    whole = state(
        drift={ORDERS: Drift(version=version("a"), seen_at=NOON, by="x")},
        journal=Journal(plan_id=PlanId("p"), actor="me", started_at=NOON, source=STAGING, strategy="build", models={}),
        unfinalized=Unfinalized(plan_id=PlanId("p"), since=NOON, models=(ORDERS,), why="half of it failed"),
    )
    document = json.loads(codec.encode(whole))
    assert validator.is_valid(document)
    assert not validator.is_valid({**document, "more": 1})
    assert not validator.is_valid({**document, "schema_version": SCHEMA_VERSION + 1})
    assert not validator.is_valid({key: value for key, value in document.items() if key != "current"})
