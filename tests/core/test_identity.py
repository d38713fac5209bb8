"""Names of things, and digests."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dbt_promotion.core.errors import InvalidNameError
from airflow_dbt_promotion.core.identity import bare_name, digest, digest_of, environment_name, model_name, short


@given(st.binary())
def test_a_digest_is_the_first_half_of_a_sha256(data: bytes) -> None:
    assert digest(data) == hashlib.sha256(data).hexdigest()[:32]


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5), st.data())
def test_the_digest_of_a_value_does_not_depend_on_the_order_of_its_keys(
    value: dict[str, int], data: st.DataObject
) -> None:
    turned = dict(data.draw(st.permutations(list(value.items()))))
    assert digest_of({"a": [value]}) == digest_of({"a": [turned]})
    assert digest_of(value) != digest_of({**value, "one more": 1})


def test_the_digest_of_a_value_is_that_of_its_canonical_json() -> None:
    assert digest_of({"b": 1, "a": ["ä", None]}) == digest('{"a":["ä",null],"b":1}'.encode())


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "-"), ("", "-"), ("0123456789abcdef", "01234567"), ("m:0123456789abcdef", "m:01234567")]
)
def test_people_see_eight_digits(value: str | None, shown: str) -> None:
    assert short(value) == shown


@pytest.mark.parametrize("name", ["production", "dev", "1", "eu-west_2", "A" * 63])
def test_an_environment_name_is_usable_as_a_file_name(name: str) -> None:
    assert environment_name(name) == name


BAD = [
    "",
    " ",
    "..",
    "../x",
    "a/b",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\n",
    "-x",
    "$(id)",
    "`id`",
    "a;b",
    "{{ x }}",
    "{% x %}",
    "a'b",
    'a"b',
    "a*",
    "+a",
    "a@b",
    "a:b",
]


@pytest.mark.parametrize("name", [*BAD, "_x", "a b", "a.b", "ä", "A" * 64])
def test_anything_else_names_no_environment(name: str) -> None:
    with pytest.raises(InvalidNameError, match="is not a usable environment name") as caught:
        environment_name(name)
    assert (caught.value.what, caught.value.name) == ("environment", name)


@pytest.mark.parametrize(
    "name", ["orders", "shop.orders", "orders.v2", "model.shop.orders.v2", "dim-date", "größe", "with space", "1"]
)
def test_a_model_name_is_what_dbt_could_have_written(name: str) -> None:
    assert model_name(name) == name


@pytest.mark.parametrize("name", [*BAD, " orders", "orders ", "a..b", "--select", "a" * 513, "a\x1fb", "a\u2028b"])
def test_anything_else_names_no_model(name: str) -> None:
    with pytest.raises(InvalidNameError, match="is not a usable model name"):
        model_name(name)


def test_a_long_name_is_shown_in_part() -> None:
    with pytest.raises(InvalidNameError) as caught:
        model_name("x/" * 500)
    assert len(str(caught.value)) < 250
    assert caught.value.name == "x/" * 500


@pytest.mark.parametrize(
    ("model", "bare"),
    [
        ("model.shop.orders", "orders"),
        ("model.shop.orders.v2", "orders.v2"),
        ("orders", "orders"),
        ("shop.orders", "shop.orders"),
    ],
)
def test_the_bare_name_keeps_the_version(model: str, bare: str) -> None:
    assert bare_name(model) == bare
