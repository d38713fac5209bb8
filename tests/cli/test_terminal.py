from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_dbt_promotion.cli.terminal import EVERY, ProgressLine, Terminal
from airflow_dbt_promotion.core.orders import Progress

ROOT = Path(__file__).parents[2]


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


class Seconds:
    """Tells seconds as they are set."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def working(index: int) -> Progress:
    return Progress(node=f"model.shop.model_{index}", status="success", index=index, total=9)


def test_on_a_terminal_one_line_is_drawn_again_and_taken_away() -> None:
    screen = Screen()
    line = ProgressLine(screen, 80)
    line(working(1))
    line(working(2))
    line.clear()
    line.clear()
    assert screen.getvalue() == ("\r\x1b[2Kdbt: [1/9] model_1 success\r\x1b[2Kdbt: [2/9] model_2 success\r\x1b[2K")


def test_the_line_never_wraps() -> None:
    screen = Screen()
    ProgressLine(screen, 40).show("x" * 100)
    assert len(screen.getvalue().removeprefix("\r\x1b[2K")) == 39


def test_where_nobody_watches_a_line_is_written_now_and_then() -> None:
    stream, seconds = io.StringIO(), Seconds()
    line = ProgressLine(stream, None, seconds)
    for index in range(1, 8):
        seconds.now += EVERY / 3
        line(working(index))
    line.clear()
    assert stream.getvalue() == "dbt: [3/9] model_3 success\ndbt: [6/9] model_6 success\n"


@pytest.mark.parametrize("output_format", ["json", "markdown"])
def test_there_is_no_progress_for_machines(output_format: str) -> None:
    screen = Screen()
    line = Terminal(output_format, {}, Screen(), screen).progress()
    line(working(1))
    line.clear()
    assert screen.getvalue() == ""


def test_a_terminal_has_colours_unless_it_is_dumb_or_somebody_forbids_them() -> None:
    assert Terminal("text", {"TERM": "xterm"}).page(Screen()).colours
    assert not Terminal("text", {"TERM": "dumb"}).page(Screen()).colours
    assert not Terminal("text", {"NO_COLOR": "1"}).page(Screen()).colours
    assert Terminal("text", {"NO_COLOR": ""}).page(Screen()).colours
    assert not Terminal("text", {}).page(io.StringIO()).colours


def test_a_page_is_as_wide_as_the_terminal_and_as_columns_says() -> None:
    assert Terminal("text", {"COLUMNS": "100"}).page(Screen()).width == 100
    assert Terminal("text", {"COLUMNS": "1"}).page(Screen()).width == 40
    assert Terminal("text", {"COLUMNS": "wide"}).page(io.StringIO()).width is None


def started(*words: str, **streams: int) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-m", "airflow_dbt_promotion", *words], env=environ, **streams)


@pytest.mark.parametrize("words", [["--help"], ["promote", "--help"], ["status", "--environment", "nowhere"]])
def test_a_reader_that_goes_away_is_no_error(words: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    process = started(*words, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    _, told = process.communicate(timeout=60)
    assert b"BrokenPipe" not in told
    assert b"Traceback" not in told
    assert process.returncode == (0 if "--help" in words else 2)


def test_airflow_and_dbt_are_not_imported_before_they_are_needed(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n", encoding="utf-8")
    (tmp_path / "profiles.yml").write_text(
        "shop: {target: dev, outputs: {dev: {type: duckdb}, staging: {type: duckdb}}}\n", encoding="utf-8"
    )
    program = (
        "import sys; from airflow_dbt_promotion.cli import main; code = main(sys.argv[1:]); "
        "sys.exit(code or sorted({name.split('.')[0] for name in sys.modules} & {'airflow', 'cosmos', 'dbt', 'rich'}))"
    )
    words = ["status", "--dbt-project-dir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (1, "[]\n"), done.stdout
    assert "Nothing was ever promoted" in done.stdout


def test_on_a_real_terminal_the_page_is_coloured_and_fits() -> None:
    parent, child = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "COLUMNS"}}
    program = (
        "import sys; from airflow_dbt_promotion.cli.terminal import Terminal; "
        "print(Terminal('text', {'TERM': 'xterm', 'COLUMNS': '70'}).page(sys.stdout))"
    )
    subprocess.run(
        [sys.executable, "-c", program], stdout=child, env={**environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60
    )
    told = os.read(parent, 1000).decode()
    os.close(child)
    os.close(parent)
    assert "width=70, colours=True" in told
