from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from airflow_dbt_promotion.cli.failures import ExitCode
from airflow_dbt_promotion.cli.options import COMMANDS
from airflow_dbt_promotion.cli.shared_options import shared
from airflow_dbt_promotion.render.schemas import DOCUMENTS

PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def options(fill: object) -> list[str]:
    parser = argparse.ArgumentParser(add_help=False)
    fill(parser)  # type: ignore[operator]
    return [word for action in parser._actions for word in action.option_strings]


@pytest.mark.parametrize("name", [name for name, *_ in COMMANDS])
def test_each_command_has_its_section_with_each_of_its_options(name: str) -> None:
    section = PAGE.split(f"\n## {name}\n", 1)[1].split("\n## ", 1)[0]
    fill = next(fill for command, _, _, fill in COMMANDS if command == name)
    assert [word for word in options(fill) if f"`{word}" not in section] == []
    assert f"$ dbt-promote {name} " in section


def test_the_table_at_the_top_names_each_command_in_the_order_of_the_help() -> None:
    table = PAGE.split("\n## ", 1)[0]
    assert re.findall(r"^\| \[`(\w+)`\]\(#(\w+)\)", table, re.MULTILINE) == [(name, name) for name, *_ in COMMANDS]


def test_the_shared_options_the_exit_codes_and_the_schemas_are_there() -> None:
    assert [word for word in options(shared) if f"`{word}" not in PAGE] == []
    table = PAGE.split("## Exit codes", 1)[1].split("\n## ", 1)[0]
    assert [code for code in ExitCode if str(code.value) not in table] == []
    assert [name for name in DOCUMENTS if f"`{name}`" not in PAGE] == []
