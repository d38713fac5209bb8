"""Queries that call a relation's columns by its name find them where it is built beside."""

# ruff: noqa: S608 - queries that nobody runs

from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.dbt.publish.aliases import aliased

ORDERS, MANY, OTHERS = ModelId("model.shop.orders"), ModelId("model.shop.many.v2"), ModelId("model.shop.others")
NAMES = {ORDERS: ("orders", '"orders"'), MANY: ("many_v2", '"many_v2"')}
ALIAS = "{{ ' as \"orders\"' }}"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("select orders.id from {{ ref('orders') }}", f"select orders.id from {{{{ ref('orders') }}}}{ALIAS}"),
        (
            'select "orders" .id from {{- ref( "shop", "orders" ) -}}\n-- why\nwhere 1 = 1',
            f'select "orders" .id from {{{{- ref( "shop", "orders" ) -}}}}{ALIAS}\n-- why\nwhere 1 = 1',
        ),
        (
            "select ORDERS.a from others JOIN {{ ref('orders') }} {% if a %}on x{% endif %}",
            f"select ORDERS.a from others JOIN {{{{ ref('orders') }}}}{ALIAS} {{% if a %}}on x{{% endif %}}",
        ),
        (
            "select many_v2.id from {{ ref('many', v=2) }}",
            "select many_v2.id from {{ ref('many', v=2) }}{{ ' as \"many_v2\"' }}",
        ),
    ],
)
def test_what_has_no_alias_gets_the_name_that_it_has_in_place(code: str, expected: str) -> None:
    assert aliased(code, [ORDERS, MANY, OTHERS], NAMES) == expected


@pytest.mark.parametrize(
    "code",
    [
        "select id from {{ ref('orders') }}",
        "select orders.id from {{ ref('orders') }} orders",
        "select orders.id from {{ ref('orders') }} as orders",
        "select orders.id from {{ ref('orders') }} {{ alias }}",
        "select orders.id, {{ ref('orders') }}.x from {{ ref('orders') }}",
        "select others.id from {{ ref('others') }}",
        "select my_orders.id, x.orders.id from {{ ref('orders') }}",
        "select orders.id from {{ ref('many', v=1) }}",
        "{{ union(ref('orders')) }} orders.",
    ],
)
def test_all_else_is_left_as_it_is(code: str) -> None:
    assert aliased(code, [ORDERS, MANY, OTHERS], NAMES) == code
