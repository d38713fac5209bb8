from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_dbt_promotion.render.table import Cell, Column, Page, Tone, clean, columns_of, table

ANSI = re.compile(r"\x1b\[[0-9;]*m")
COLUMNS = (Column(title="model", least=8), Column(title="version"), Column(title="why", least=8))

cells = st.lists(
    st.tuples(st.text(max_size=60), st.just("1a2b3c4d"), st.text("abc _.日", max_size=60)), min_size=1, max_size=4
)


@given(cells, st.integers(40, 160))
def test_no_line_is_wider_than_the_page(rows: list[tuple[str, str, str]], width: int) -> None:
    for line in table(Page(width=width), COLUMNS, rows):
        assert columns_of(line) <= width


@given(cells, st.integers(40, 160))
def test_nothing_is_cut_off(rows: list[tuple[str, str, str]], width: int) -> None:
    told = "".join("".join(line.split()) for line in table(Page(width=width), COLUMNS, rows))
    for row in rows:
        for cell in row:
            letters = "".join(clean(cell).split())
            assert sorted(set(letters) - set(told)) == []


@given(st.text("abcd_.", min_size=1, max_size=80), st.integers(20, 60))
def test_a_long_name_is_broken_and_whole_again_when_put_together(name: str, width: int) -> None:
    lines = table(Page(width=width), (Column(title="model", least=8),), [[name]])
    assert "".join(line.strip() for line in lines[1:]) == name


@given(cells)
def test_colours_change_nothing_but_colours(rows: list[tuple[str, str, str]]) -> None:
    toned = [[Cell(cell, Tone.BAD) for cell in row] for row in rows]
    plain = table(Page(width=80), COLUMNS, toned)
    coloured = table(Page(width=80, colours=True), COLUMNS, toned)
    assert [ANSI.sub("", line).rstrip() for line in coloured] == plain


@pytest.mark.parametrize(
    "text", ["\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\rb", "a\x08b", "\u202eevil", "\x9b31m", "\x00"]
)
def test_text_from_outside_cannot_steer_the_terminal(text: str) -> None:
    (_, line) = table(Page(), (Column(title="model"),), [[f"x{text}"]])
    assert line.isprintable()
    assert line.strip().startswith("x")


def test_an_empty_column_is_left_out_and_no_rows_make_no_lines() -> None:
    assert table(Page(), COLUMNS, [["orders", "", "late"]]) == ["  model   why", "  orders  late"]
    assert table(Page(), COLUMNS, []) == []


def test_wide_characters_count_twice_and_combining_ones_not_at_all() -> None:
    assert columns_of("日本") == 4
    assert columns_of("e\u0301") == 1


def test_a_page_without_a_width_wraps_nothing() -> None:
    assert Page().paragraph("word " * 100, "  ") == ["  " + "word " * 100]


def test_a_paragraph_hangs() -> None:
    lines = Page(width=40).paragraph("word " * 20, "  => ", "     ")
    assert lines[0].startswith("  => word")
    assert all(line.startswith("     word") for line in lines[1:])
    assert max(map(len, lines)) <= 40
