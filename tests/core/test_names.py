"""From what people type to the models that it means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dbt_promotion.core.errors import (
    AmbiguousModelError,
    EmptySelectionError,
    InvalidNameError,
    TooManyNamesError,
    UnknownModelError,
)
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.names import MOST_NAMES, Names, split

IDS = [
    ModelId(id_)
    for id_ in (
        "model.shop.orders",
        "model.shop.customers",
        "model.tools.customers",
        "model.shop.report.v1",
        "model.shop.report.v2",
        "seed.shop.countries",
        "snapshot.shop.countries",
    )
]


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (None, None),
        ("all-validated", None),
        (["all-validated"], None),
        (" all-validated ", None),
        ("orders", ("orders",)),
        ("orders,customers", ("orders", "customers")),
        ("orders customers", ("orders", "customers")),
        (" orders ,, customers,\torders ", ("orders", "customers")),
        (["orders", "customers orders", "a,b"], ("orders", "customers", "a", "b")),
        (("all-validated", "orders"), ("all-validated", "orders")),
    ],
)
def test_names_are_parted_by_commas_or_spaces(names: str | list[str] | None, found: tuple[str, ...] | None) -> None:
    assert split(names) == found


@given(
    st.lists(st.from_regex(r"[a-z][a-z0-9_]{0,60}", fullmatch=True), min_size=1, max_size=200, unique=True), st.data()
)
def test_any_number_of_names_may_stand_in_one_text(names: list[str], data: st.DataObject) -> None:
    between = data.draw(st.sampled_from([",", " ", ", ", " , "]))
    assert split(between.join(names)) == split(names) == tuple(names)


@pytest.mark.parametrize("names", ["", " ", ",", [], [""], (), ["", ", "]])
def test_an_empty_list_is_an_error(names: str | list[str]) -> None:
    with pytest.raises(EmptySelectionError, match="empty list"):
        split(names)


@pytest.mark.parametrize("count", [MOST_NAMES + 1, 10_000])
def test_ten_thousand_names_are_an_error(count: int) -> None:
    names = [f"model_{number}" for number in range(count)]
    for given_ in (names, ",".join(names)):
        with pytest.raises(TooManyNamesError) as caught:
            split(given_)
        assert (caught.value.count, caught.value.limit) == (count, MOST_NAMES)
    assert split(names[:MOST_NAMES]) == tuple(names[:MOST_NAMES])


@pytest.mark.parametrize(
    "name",
    [
        "../x",
        "a/b",
        "a\0b",
        "a\nb",
        "orders\n",
        "a\rb",
        "a\x0bb",
        "a\u2028b",
        "{{ x }}",
        "{%x%}",
        "$(id)",
        "a;b",
        "tag:x",
        "+a",
        "a+",
        "@a",
        "a*",
        "-x",
        "--all",
    ],
)
def test_what_is_more_than_a_name_is_an_error(name: str) -> None:
    for given_ in (name, [name], f"orders,{name}", ["orders", name]):
        with pytest.raises(InvalidNameError):
            split(given_)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("orders", "model.shop.orders"),
        ("shop.orders", "model.shop.orders"),
        ("model.shop.orders", "model.shop.orders"),
        ("report.v1", "model.shop.report.v1"),
        ("shop.report.v2", "model.shop.report.v2"),
        ("tools.customers", "model.tools.customers"),
        ("seed.shop.countries", "seed.shop.countries"),
    ],
)
def test_a_name_means_one_model(name: str, model: str) -> None:
    names = Names(IDS)
    assert names.resolve(name) == model
    assert names.knows(name)


def test_an_unknown_name_is_an_error_that_names_the_near_ones() -> None:
    with pytest.raises(UnknownModelError, match="did you mean orders") as caught:
        Names(IDS).resolve("oders")
    assert caught.value.near == ("orders",)
    assert not Names(IDS).knows("oders")
    with pytest.raises(UnknownModelError, match="dbt-promote status"):
        Names([]).resolve("anything")


@pytest.mark.parametrize("name", ["customers", "countries", "shop.countries"])
def test_an_ambiguous_name_is_an_error_that_names_what_it_could_be(name: str) -> None:
    with pytest.raises(AmbiguousModelError, match="could be any of") as caught:
        Names(IDS).resolve(name)
    assert len(caught.value.candidates) == 2
    assert Names(IDS).knows(name)


def test_a_model_that_is_told_twice_is_one() -> None:
    assert Names([*IDS, *IDS]).resolve("orders") == "model.shop.orders"


def test_the_shortest_name_means_the_model_again() -> None:
    names = Names(IDS)
    assert [names.shortest(id_) for id_ in IDS] == [
        "orders",
        "shop.customers",
        "tools.customers",
        "report.v1",
        "report.v2",
        "seed.shop.countries",
        "snapshot.shop.countries",
    ]


_PARTS = st.sampled_from(["a", "b", "shop", "v1"])


@given(
    st.lists(
        st.builds("{}.{}.{}".format, st.sampled_from(["model", "seed"]), _PARTS, _PARTS | st.just("a.v1")).map(ModelId),
        min_size=1,
        unique=True,
    )
)
def test_every_model_can_be_named(ids: list[ModelId]) -> None:
    names = Names(ids)
    for id_ in ids:
        assert names.resolve(names.shortest(id_)) == id_
        assert names.resolve(id_) == id_
