"""The demo is run by hand; that its words still fit the command line and the example project is tested."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from airflow_dbt_promotion.cli.arguments import read

EXAMPLES = Path(__file__).parents[1] / "example_dags"
PRODUCTION = ("--environment", "production")


class Told:
    """What the demo did, in its order: commands with the exit code that they need, and questions with their answers."""

    def __init__(self) -> None:
        self.commands: list[tuple[list[str], int]] = []
        self.answers: list[str] = []
        self.chapters: list[str] = []

    def run(self, command: list[str], expect: int, *, only: str | None = None) -> None:  # noqa: ARG002 - as the demo's
        self.commands.append((command, expect))

    def ask(self, sql: str, expect: str) -> None:
        assert "production.drink_sales" in sql
        self.answers.append(expect)

    def chapter(self, number: str, told: str) -> None:
        assert told.endswith(".")
        self.chapters.append(number)

    def ours(self) -> list[tuple[list[str], int]]:
        return [(command[1:], code) for command, code in self.commands if command[0] == "dbt-promote"]


@pytest.fixture
def demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Return the demo, which works in a folder of the test's own."""
    spec = spec_from_file_location("demo_of_the_examples", EXAMPLES / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "DEMO", tmp_path / "demo")
    monkeypatch.setattr(module, "PROJECT", tmp_path / "demo" / "coffee_shop")
    return module


@pytest.fixture
def told(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> Told:
    """Return what the demo does, where nothing is executed; its project is copied and edited for real."""
    found = Told()
    monkeypatch.setattr(demo, "run", found.run)
    monkeypatch.setattr(demo, "ask", found.ask)
    monkeypatch.setattr(demo, "chapter", found.chapter)
    assert demo.main() == 0
    return found


def test_every_command_of_it_is_one_that_there_is(told: Told) -> None:
    assert len(told.ours()) > 10
    for words, _ in told.ours():
        assert read(words) is not None


def test_it_goes_early_with_a_reason_and_is_taken_back_in_one_command(told: Told) -> None:
    ours = told.ours()
    early = next(index for index, (words, _) in enumerate(ours) if "--min-days-in-staging" in words)
    (promoted, went), (back, undone), (why, shut), (released, lifted) = ours[early : early + 4]
    assert (promoted[0], "--reason" in promoted, went) == ("promote", True, 0)
    assert (back[:3], "--reason" in back, undone) == (["rollback", *PRODUCTION], True, 0)
    assert (why[:2], shut) == (["why", "drink_sales"], 3)
    assert (released[:3], "--reason" in released, lifted) == (["release", *PRODUCTION], True, 0)
    assert told.answers == ["HUGEINT", "INTEGER", "HUGEINT"]


def test_its_chapters_are_counted_as_they_come(told: Told) -> None:
    assert told.chapters == [str(number) for number in range(1, 10)]


def test_it_insists_on_what_the_warehouse_says(demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = type("Answer", (), {"stdout": "│ cups │ INTEGER │\n"})()
    monkeypatch.setattr(demo.subprocess, "run", lambda *_, **__: answer)
    demo.ask("describe select cups from production.drink_sales", expect="INTEGER")
    with pytest.raises(SystemExit, match="expected HUGEINT"):
        demo.ask("describe select cups from production.drink_sales", expect="HUGEINT")
