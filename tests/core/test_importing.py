"""Importing: what a file of another tool tells becomes records, or an error that says where; room in a history."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dbt_promotion.core.codec import decode, encode
from airflow_dbt_promotion.core.errors import ImportedStateError
from airflow_dbt_promotion.core.identity import EnvironmentName, PlanId
from airflow_dbt_promotion.core.importing import merged, past_promotions
from airflow_dbt_promotion.core.state import EnvironmentState, PromotionOutcome, PromotionRecord
from tests.locking import SHOP

PRODUCTION = EnvironmentName("production")
TEN = datetime(2025, 1, 31, 10, tzinfo=UTC)
SAID = "2025-01-31T10:00:00Z"
HOUR = timedelta(hours=1)


def taken(value: object, zone: timezone | ZoneInfo | None = None) -> tuple[PromotionRecord, ...]:
    """Return what is told by a value that is written as JSON."""
    return past_promotions(json.dumps(value).encode(), "old.json", PRODUCTION, zone)


def told(value: object, zone: timezone | ZoneInfo | None = None) -> list[tuple[datetime, list[str]]]:
    """Return instants and models of what is told."""
    return [(record.finished_at, list(record.models)) for record in taken(value, zone)]


ONE = {"models": ["orders", "customers"], "promoted_at": SAID}


@pytest.mark.parametrize(
    "value",
    [
        [ONE],
        {"promotions": [ONE]},
        {"last_promotions": [ONE], "version": 3},
        {"history": [ONE]},
        {"promotions": [ONE], "history": [ONE]},
        [{"model": "orders", "timestamp": SAID}, {"name": "customers", "at": SAID}],
        [{"models": "orders", "finished_at": SAID}, {"models": None, "name": "customers", "at": SAID, "rows": 7}],
        {"orders": SAID, "customers": TEN.timestamp()},
        {"last_promotions": {"orders": SAID, "customers": SAID}},
        {"models": {"orders": {"promoted_at": SAID, "models": 7}, "customers": {"at": SAID}}},
        {"models": [{"name": "orders", "promoted_at": SAID}, {"name": "customers", "promoted_at": SAID}]},
        {"orders": {"promoted_at": SAID}, "customers": SAID},
    ],
)
def test_each_way_of_telling_one_promotion_of_two_models(value: object) -> None:
    assert told(value) == [(TEN, ["customers", "orders"])]


@pytest.mark.parametrize("value", [[], {}, {"promotions": []}, {"models": {}}, [{"models": [], "promoted_at": SAID}]])
def test_who_tells_of_nothing_is_understood(value: object) -> None:
    assert told(value) == []


def test_a_record_says_what_is_known_and_that_the_rest_is_not() -> None:
    (record,) = taken([{"model": "model.shop.orders.v2", "at": SAID, "user": " ann\n b ", "actor": None}])
    assert record.outcome is PromotionOutcome.PROMOTED
    assert (record.source, record.strategy, record.actor) == ("unknown", "imported", "ann b")
    assert (record.started_at, record.finished_at, record.run) == (TEN, TEN, None)
    assert record.message == "imported from old.json"
    ((model, what),) = record.models.items()
    assert (model, what.from_version, what.to_version, what.result) == ("model.shop.orders.v2", None, None, "advanced")
    assert taken([ONE])[0].actor == "unknown"


def test_a_record_survives_its_document() -> None:
    state = EnvironmentState(project=SHOP, environment=PRODUCTION, lineage="one", history=taken([ONE]))
    assert decode(encode(state), "here", PRODUCTION) == state


@pytest.mark.parametrize(
    ("more", "outcome"),
    [
        ({}, "promoted"),
        ({"success": None, "status": None}, "promoted"),
        ({"success": True, "status": "Success"}, "promoted"),
        ({"success": False}, "failed"),
        ({"status": "failed"}, "failed"),
    ],
)
def test_how_it_ended(more: dict[str, object], outcome: str) -> None:
    (record,) = taken([ONE | more])
    assert record.outcome.value == outcome
    assert {one.result for one in record.models.values()} == {"advanced" if outcome == "promoted" else "failed"}


def test_promotions_of_other_environments_are_left_out() -> None:
    here, there = {"environment": "production"}, {"environment": "staging"}
    assert len(taken([ONE | here])) == 1
    assert taken([ONE | there, there]) == ()
    assert len(taken([ONE | there | {"target_environment": "production"}])) == 1
    assert taken({"promotions": [ONE], **there}) == ()
    assert len(taken({"promotions": [ONE | here], **there})) == 1


def test_what_differs_in_instant_outcome_or_actor_is_another_promotion_newest_first() -> None:
    later = (TEN + HOUR).isoformat()
    found = taken([ONE, ONE | {"at": later, "promoted_at": None}, ONE | {"success": False}, ONE | {"actor": "ann"}])
    assert [record.finished_at for record in found] == [TEN + HOUR, TEN, TEN, TEN]
    assert len({record.plan_id for record in found}) == 4


def test_the_plan_id_is_of_what_is_told_and_not_of_the_file() -> None:
    again = past_promotions(json.dumps({"orders": SAID, "customers": SAID}).encode(), "x", PRODUCTION, None)
    assert again[0].plan_id == taken([ONE])[0].plan_id


# --- instants ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("instant", "zone"),
    [
        ("2025-01-31T10:00:00Z", None),
        (" 2025-01-31t10:00:00z ", None),
        ("2025-01-31 11:00:00+01:00", None),
        ("20250131T100000Z", None),
        (1_738_317_600, None),
        (1_738_317_600.0, None),
        ("2025-01-31T11:00:00", ZoneInfo("Europe/Berlin")),
        ("2025-01-31", timezone(timedelta(hours=-10))),
        ("2025-01-31T10:00:00Z", ZoneInfo("Europe/Berlin")),
    ],
)
def test_an_instant_is_told_in_several_ways(instant: object, zone: timezone | ZoneInfo | None) -> None:
    assert told({"orders": instant}, zone) == [(TEN, ["orders"])]


@pytest.mark.parametrize(
    "instant",
    ["", "soon", True, None, [], "1738317600", "1612111100000", 1e300, 10**400, "2025-02-30T10:00Z", "9999-12-31T23Z"],
)
def test_what_is_no_instant_is_refused(instant: object) -> None:
    late = timezone(timedelta(hours=-1))
    instant = "9999-12-31T23:30-01:00" if instant == "9999-12-31T23Z" else instant
    with pytest.raises(ImportedStateError, match=r"it is no instant: .* - at `\$\.orders`; nothing was imported"):
        told({"orders": instant}, late)


def test_an_instant_without_a_zone_is_refused_where_none_is_given() -> None:
    with pytest.raises(ImportedStateError, match=r"it says no time zone.*at `\$\[0\]\.promoted_at`"):
        told([{"model": "orders", "promoted_at": "2025-01-31T10:00:00"}])


@pytest.mark.parametrize("instant", [1, 20_250_131, "1612-11-11T00:00:00Z"])
def test_an_instant_before_dbt_was_is_a_number_of_something_else(instant: object) -> None:
    with pytest.raises(ImportedStateError, match="before dbt was"):
        told({"orders": instant})


# --- what cannot be understood ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "place", "problem"),
    [
        ("orders", "$", "neither a list of promotions nor a mapping"),
        ({"promotions": [ONE, "orders"]}, "$.promotions[1]", "a promotion is an object"),
        ([{"promoted_at": SAID}], "$[0]", "none of the fields models, model, name"),
        ([{"model": "orders"}], "$[0]", "none of the fields promoted_at, timestamp"),
        ([{"models": ["orders", 7], "at": SAID}], "$[0].models[1]", "told by its name"),
        ([{"models": {"a": 1}, "at": SAID}], "$[0].models", "told by its name"),
        ({"../orders": SAID}, '$["../orders"]', "'../orders'"),
        ({"\ud800": SAID}, '$["\\ud800"]', "model name has"),
        ([ONE | {"success": "yes"}], "$[0].success", "true or false"),
        ([ONE | {"status": "running"}], "$[0].status", '"success" or "failed"'),
        ([ONE | {"status": 1}], "$[0].status", '"success" or "failed"'),
        ([ONE | {"status": "failed", "success": True}], "$[0]", "contradict"),
        ([ONE | {"environment": 7}], "$[0].environment", "must be a name"),
        ([ONE | {"actor": " "}], "$[0].actor", "must be a name"),
        ([ONE | {"user": "\ud800"}], "$[0].user", "must be a name"),
    ],
)
def test_what_cannot_be_understood_is_told_with_its_place(value: object, place: str, problem: str) -> None:
    with pytest.raises(ImportedStateError) as error:
        taken(value)
    assert (error.value.where, error.value.place, error.value.code) == ("old.json", place, "bad_import")
    assert problem in error.value.problem
    assert str(error.value).startswith("old.json: ")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xff",
        b'{"orders": NaN}',
        b'{"a": 1, "orders": 2, "orders": 3}',
        b"[" * 200_000,
        b'{"orders": ' + b"1" * 5000 + b"}",
    ],
    ids=["empty", "cut off", "no text", "no number", "twice", "deep", "huge"],
)
def test_what_is_no_json_is_refused(data: bytes) -> None:
    with pytest.raises(ImportedStateError, match=r"at `\$`; nothing was imported"):
        past_promotions(data, "old.json", PRODUCTION, None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just(SAID),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["models", "promotions", "model", "name", "at", "status", "success", "user"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_anything_is_understood_or_refused(value: object) -> None:
    try:
        found = taken(value, ZoneInfo("Europe/Berlin"))
    except ImportedStateError:
        return
    assert taken(value, ZoneInfo("Europe/Berlin")) == found
    state = EnvironmentState(project=SHOP, environment=PRODUCTION, lineage="one", history=found)
    assert decode(encode(state), "here", PRODUCTION) == state


# --- room in a history ------------------------------------------------------------------------------------------------


def record(hour: int, plan: str = "") -> PromotionRecord:
    """Return a promotion at some hour."""
    return PromotionRecord(
        plan_id=PlanId(plan or f"plan {hour}"),
        outcome=PromotionOutcome.PROMOTED,
        source=EnvironmentName("staging"),
        strategy="build",
        actor="ann",
        started_at=TEN + hour * HOUR,
        finished_at=TEN + hour * HOUR,
        models={},
    )


def hours(records: tuple[PromotionRecord, ...]) -> list[int]:
    """Return the hours of some promotions."""
    return [(one.finished_at - TEN) // HOUR for one in records]


def test_imported_promotions_go_between_those_that_are_there() -> None:
    assert hours(merged([record(5), record(2)], [record(1), record(3), record(9)], 10)) == [9, 5, 3, 2, 1]


def test_the_newest_are_taken_as_far_as_there_is_room_and_nothing_is_pushed_out() -> None:
    assert hours(merged([record(2), record(1)], [record(7), record(9), record(8)], 3)) == [9, 2, 1]
    assert hours(merged([record(2), record(1)], [record(9)], 1)) == [2, 1]


def test_what_is_known_is_not_taken_again() -> None:
    once = merged([record(2)], [record(3), record(1)], 10)
    assert merged(once, [record(3), record(1)], 10) == once


def test_what_is_there_stays_in_its_order_and_as_often_as_it_is_there() -> None:
    odd = (record(2), record(4, "same"), record(3, "same"))
    assert merged(odd, [], 10) == odd
    assert [one for one in merged(odd, [record(1)], 10) if one in odd] == list(odd)


@given(
    st.lists(st.integers(0, 9), unique=True, max_size=6),
    st.lists(st.integers(0, 9), unique=True, max_size=6),
    st.integers(1, 8),
)
def test_any_merge_keeps_what_was_there_and_is_newest_first(there: list[int], more: list[int], keep: int) -> None:
    history = tuple(record(hour) for hour in sorted(there, reverse=True))
    found = merged(history, [record(hour) for hour in more], keep)
    assert hours(found) == sorted(hours(found), reverse=True)
    assert all(one in found for one in history)
    assert len(found) == max(len(history), min(keep, len(set(there) | set(more))))
    assert merged(found, [record(hour) for hour in more], keep) == found
