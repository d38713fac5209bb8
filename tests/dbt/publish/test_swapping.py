"""What a swap makes of the answers of a warehouse that has no transactions over DDL."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
import msgspec
import pytest

from airflow_dbt_promotion.core.beside import Arrangement, ArrangeRequest, Fill, Swapped
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError, NotSwappedError
from airflow_dbt_promotion.core.identity import ModelId, environment_name
from airflow_dbt_promotion.core.orders import SwapRequest
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome
from airflow_dbt_promotion.dbt.publish.snowflake import Snowflake
from airflow_dbt_promotion.dbt.publish.swapping import Swapping
from tests.dbt.publish.arrangements import TOKEN, beside

PRODUCTION = Environment(name=environment_name("production"), target="production")
ORDERS = Place(database="analytics", schema="prod", identifier="orders", quoted=(False, False, False))
STAGING = Place(database="analytics", schema="stg", identifier="orders", quoted=(False, False, False))
NEXT, WAS = "ORDERS__NEXT_1F0C22AB", "ORDERS__WAS_1F0C22AB"
MODEL = ModelId("model.shop.orders")


class Desk:
    """A warehouse with tables in one schema, to which things happen when something is done there."""

    target = "production"

    def __init__(self, *tables: str, grants: dict[str, object] | None = None) -> None:
        """Take the tables that are there, and what the model's config grants."""
        self.tables = list(tables)
        self.done: list[list[str]] = []
        self.then: list[tuple[str, ...] | None] = []
        node = {
            "resource_type": "model",
            "database": "analytics",
            "schema": "prod",
            "alias": "orders",
            "relation_name": "analytics.prod.orders",
            "config": {"materialized": "table", "grants": grants or {}},
        }
        macros = {"macro.dbt.run_query": {"name": "run_query"}}
        self.parse = msgspec.msgpack.encode({"nodes": {MODEL: node}, "macros": macros})

    def operate(self, parse: bytes, invocation: DbtInvocation) -> DbtOutcome:
        """Answer a question; or do something, after which other tables are there, or fail (None: as they are)."""
        if invocation.operation is not None and invocation.operation.name == "dbt_promotion_ask":
            rows = [json.dumps(["ANALYTICS", "PROD", name, "BASE TABLE", "DBT", "NO"]) for name in self.tables]
            return told({"asked": "target", "rows": ['["analytics", "prod"]']}, {"asked": "relations", "rows": rows})
        steps = script_of(parse)["steps"]
        self.done.append([statement for step in steps for statement in step["statements"]])
        after = self.then.pop(0)
        if after is None:
            return told(success=False)
        self.tables = list(after)
        at = datetime(2026, 1, 1, tzinfo=UTC).isoformat()
        return told(*({"done": step["models"], "at": at} for step in steps))

    def swapping(self) -> Swapping:
        """Return what swaps there."""
        return Swapping(self, Snowflake(), PRODUCTION, "shop")  # type: ignore[arg-type]

    def swap(self, arrangement: Arrangement) -> Swapped:
        """Swap there."""
        request = SwapRequest(
            environment=PRODUCTION, arrangement=arrangement, composition=None, mark=None, invocation_id="one"
        )
        return self.swapping().swap(request)


def told(*printed: object, success: bool = True) -> DbtOutcome:
    """Return the outcome of an operation."""
    lines = tuple(json.dumps(line) for line in printed)
    return DbtOutcome(success=success, exit_code=int(not success), target_path=Path(), printed=lines)


def script_of(parse: bytes) -> Any:
    """Return the script that a parse has in a macro."""
    macro = msgspec.msgpack.decode(parse)["macros"]["macro.shop.dbt_promotion_script"]["macro_sql"]
    said: list[object] = []
    template = jinja2.Environment(autoescape=False).from_string(macro + "{{ dbt_promotion_script() }}")  # noqa: S701
    template.render(fromjson=json.loads, **{"return": lambda found: said.append(found) or ""})
    return said[0]


def arranged(fill: Fill = Fill.BUILD, origin: Place | None = None) -> Arrangement:
    """Return an arrangement of one table that replaces another."""
    return Arrangement(token=TOKEN, besides=(beside(ORDERS, fill, origin),))


def test_clones_that_nothing_has_made_are_made_before_the_swap() -> None:
    desk = Desk("ORDERS")
    desk.then = [("ORDERS", NEXT), ("ORDERS", WAS)]
    assert desk.swap(arranged(Fill.CLONE, STAGING)).at is not None
    made, swapped = desk.done
    assert made == ["create table analytics.prod.orders__next_1f0c22ab clone analytics.stg.orders"]
    assert swapped[1] == "alter table analytics.prod.orders swap with analytics.prod.orders__next_1f0c22ab"


def test_clones_that_are_there_are_swapped() -> None:
    desk = Desk("ORDERS", NEXT)
    desk.then = [("ORDERS", WAS)]
    assert desk.swap(arranged(Fill.CLONE, STAGING)).at is not None
    assert len(desk.done) == 1


def test_readers_see_what_they_saw_before_where_nothing_has_a_name_aside() -> None:
    desk = Desk("ORDERS", NEXT)
    desk.then = [None]
    with pytest.raises(NotSwappedError):
        desk.swap(arranged())


def test_where_something_has_a_name_aside_it_is_not_known_what_readers_see() -> None:
    desk = Desk("ORDERS", NEXT, WAS)
    desk.then = [None]
    with pytest.raises(DbtError, match="or not all of it") as caught:
        desk.swap(arranged())
    assert not isinstance(caught.value, NotSwappedError)


@pytest.mark.parametrize("grants", [{}, {"select": ["reporter"]}])
def test_a_model_with_grants_is_no_clone(grants: dict[str, object]) -> None:
    request = ArrangeRequest(models=(MODEL,), token=TOKEN)
    found = Desk("ORDERS", grants=grants).swapping().arrange(request, {MODEL: STAGING})
    if grants:
        assert isinstance(found, tuple)
        assert "a clone does not get" in found[0].reason
    else:
        assert isinstance(found, Arrangement)
        assert [(one.fill, one.origin) for one in found.besides] == [(Fill.CLONE, STAGING)]
