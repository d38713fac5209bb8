from __future__ import annotations

import pytest

from airflow_dbt_promotion.core.errors import ConfigError, EmptySelectionError
from airflow_dbt_promotion.hooks import rendered


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (None, None),
        ("orders, shops", "orders, shops"),
        ("all-validated", "all-validated"),
        (["orders"], ["orders"]),
        (("orders", "shops"), ["orders", "shops"]),
        ('["orders", "shops"]', ["orders", "shops"]),
        ("['orders', 'shops']", ["orders", "shops"]),
        ("[]", []),
    ],
)
def test_names_come_as_values_or_as_their_text(value: object, names: object) -> None:
    assert rendered.names(value) == names


@pytest.mark.parametrize("value", ["", "  ", "None", "null"])
def test_a_template_that_came_out_empty_never_means_everything(value: str) -> None:
    with pytest.raises(EmptySelectionError):
        rendered.names(value)


@pytest.mark.parametrize("value", ["[orders]", "[1]", "[[]", 7, {"orders": 1}, ["orders", None], "[" * 5000])
def test_what_is_no_list_of_names_is_an_error(value: object) -> None:
    with pytest.raises(ConfigError, match="models"):
        rendered.names(value)


@pytest.mark.parametrize("value", [True, "True", "true", " yes", "1", 1])
def test_yes(value: object) -> None:
    assert rendered.flag("dry_run", value) is True


@pytest.mark.parametrize("value", [False, "False", "no", "off", "0", 0])
def test_no(value: object) -> None:
    assert rendered.flag("dry_run", value) is False


@pytest.mark.parametrize("value", [None, "", "None", "perhaps", 2])
def test_what_is_neither_yes_nor_no_is_an_error(value: object) -> None:
    with pytest.raises(ConfigError, match="dry_run"):
        rendered.flag("dry_run", value)


def test_numbers_and_texts_may_be_left_out() -> None:
    assert rendered.number("runs", "2") == 2
    assert rendered.number("runs", None) is None
    assert rendered.number("runs", "None") is None
    assert rendered.whole("runs", "2.0") == 2
    assert rendered.whole("runs", "") is None
    assert rendered.text("None") is None
    assert rendered.text(0) == "0"
    for wrong in (True, "two", "nan", "inf"):
        with pytest.raises(ConfigError, match="runs"):
            rendered.number("runs", wrong)
    with pytest.raises(ConfigError, match="no whole number"):
        rendered.whole("runs", 1.5)
