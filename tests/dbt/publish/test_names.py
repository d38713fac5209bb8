"""Names as dbt writes them, and as SQL has them; texts that no template engine looks into."""

from __future__ import annotations

import json

import jinja2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.publish.dialect import Quoting, literal, place_in
from airflow_dbt_promotion.dbt.publish.operations import _script
from airflow_dbt_promotion.dbt.publish.postgres import Postgres

NAMES = st.text(min_size=1, max_size=12).filter(lambda text: '"' not in text)


@pytest.mark.parametrize(
    ("written", "quoted"),
    [
        ('"db"."analytics"."orders"', (True, True, True)),
        ("db.analytics.orders", (False, False, False)),
        ('db.analytics."orders"', (False, False, True)),
        ('"db".analytics.orders', (True, False, False)),
    ],
)
def test_a_relation_name_tells_which_parts_are_in_quotes(written: str, quoted: tuple[bool, bool, bool]) -> None:
    place = place_in(written, "db", "analytics", "orders", '"')
    assert place == Place(database="db", schema="analytics", identifier="orders", quoted=quoted)
    assert Quoting().sql(place) == written


@given(NAMES, NAMES, NAMES, st.tuples(st.booleans(), st.booleans(), st.booleans()), st.booleans())
def test_whatever_dbt_writes_comes_out_again(
    database: str, schema: str, identifier: str, quoted: tuple[bool, bool, bool], named: bool
) -> None:
    parts = ((database, quoted[0]),) if named else ()
    every = (*parts, (schema, quoted[1]), (identifier, quoted[2]))
    written = ".".join(f'"{part}"' if flag else part for part, flag in every)
    place = place_in(written, database, schema, identifier, '"')
    assert place is not None
    assert Quoting().sql(place) == written


@pytest.mark.parametrize("written", ["", "orders", '"db"."analytics"."orders_v2"', "read_parquet('orders')"])
def test_what_is_not_made_of_the_parts_is_not_guessed(written: str) -> None:
    assert place_in(written, "db", "analytics", "orders", '"') is None


def test_a_quote_in_a_name_is_not_guessed_either() -> None:
    assert place_in('"db"."analytics"."or"ders"', "db", "analytics", 'or"ders', '"') is None


def test_without_quotes_postgres_folds_to_lower_case() -> None:
    place = Place(database="DB", schema="Analytics", identifier="Orders", quoted=(False, False, True))
    assert Postgres().spot(place) == ("", "analytics", "Orders")


@given(st.text(max_size=40))
def test_a_text_in_sql_is_that_text(text: str) -> None:
    assert literal(text)[1:-1].replace("''", "'") == text


@given(st.recursive(st.text(max_size=30), lambda inner: st.lists(inner, max_size=3), max_leaves=5))
def test_a_script_says_what_it_was_given_whatever_that_looks_like(value: object) -> None:
    said: list[object] = []
    template = jinja2.Environment(autoescape=False).from_string(_script(value) + "{{ dbt_promotion_script() }}")  # noqa: S701
    template.render(fromjson=json.loads, **{"return": lambda found: said.append(found) or ""})
    assert said == [value]


@pytest.mark.parametrize("text", ["{{ this }}", "{% do x() %}", "{# no #}", '\\" }}', "a'b", "\n\t\\n", "😀ü$1$"])
def test_a_script_is_no_template(text: str) -> None:
    test_a_script_says_what_it_was_given_whatever_that_looks_like.hypothesis.inner_test([text])  # type: ignore[attr-defined]
