"""Statements with other names in them."""

from __future__ import annotations

import pytest

from airflow_dbt_promotion.dbt.publish.statements import index_parts, renamed

NAMES = {"order__next_1": "order", "a b__next_1": "a b", 'it"s__next_1': 'it"s', "it's__next_1": "it's"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("select order__next_1.id from wh.s.order__next_1", 'select "order".id from wh.s."order"'),
        ('from "a b__next_1" as "a b__next_1s"', 'from "a b" as "a bs"'),
        ("select 'in order__next_1, \"order__next_1\"'", "select 'in order, \"order\"'"),
        ("select 'it''s__next_1' as \"it's__next_1\"", "select 'it''s' as \"it's\""),
        ('from "it""s__next_1"', 'from "it""s"'),
        ("select 1 as order__next_1_rows", 'select 1 as "order_rows"'),
        ("select 'order__next_2' from orders", "select 'order__next_2' from orders"),
    ],
)
def test_a_name_is_another_wherever_it_stands_and_in_quotes_where_it_had_none(before: str, after: str) -> None:
    assert renamed(before, NAMES) == after


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ("CREATE INDEX i ON s.t(a);", ("CREATE INDEX i", "(a);")),
        (
            'CREATE UNIQUE INDEX "a ON (b)" ON s."t(u)" USING ART ((x + 1), y)',
            ('CREATE UNIQUE INDEX "a ON (b)"', "((x + 1), y)"),
        ),
    ],
)
def test_an_index_is_told_apart_whatever_it_is_called(statement: str, parts: tuple[str, str]) -> None:
    assert index_parts(statement) == parts


def test_what_makes_no_index_is_none() -> None:
    with pytest.raises(ValueError, match="no such part"):
        index_parts("create table t (a int)")
