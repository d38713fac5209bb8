"""What the macros make of a script: which statements dbt is given, in which transactions."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import jinja2
import pytest

from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import DbtError
from airflow_dbt_promotion.core.identity import environment_name
from airflow_dbt_promotion.dbt.invocation import DbtOutcome
from airflow_dbt_promotion.dbt.publish.catalog_digest import DIGESTS
from airflow_dbt_promotion.dbt.publish.operations import _MACROS, answered, done

PRODUCTION = Environment(name=environment_name("production"), target="production")
STEPS = [
    {"models": ["m"], "statements": ["rename a", "rename b"], "marks": "(1)"},
    {"models": [], "statements": ["drop c"]},
]


def printed(*lines: str) -> DbtOutcome:
    """Return the outcome of an operation that printed something."""
    return DbtOutcome(success=True, exit_code=0, target_path=Path(), printed=lines)


class Dbt:
    """Carries out macros, and remembers what a warehouse would be sent: the statements, and what is begun or not."""

    def __init__(self, script: object, schemas: frozenset[str] = frozenset(), kind: str = "any") -> None:
        """Take the script, the schemas that are there, and which warehouse it is."""
        self.sent: list[tuple[str, bool]] = []
        self.printed: list[str] = []
        self.names = {
            "dbt_promotion_script": lambda: script,
            "dbt_promotion_marks": lambda: "marks",
            "dbt_promotion_fence": lambda lineage, epoch: self.sent.append((f"fence {lineage} {epoch}", False)) or "",
            "dbt_promotion_share": lambda lineage: f"share {lineage}",
            "dbt_promotion_transaction": lambda: self.sent.append(("BEGIN", True)) or "" if kind == "postgres" else "",
            "statement": self.statement,
            "run_query": lambda sql: SimpleNamespace(rows=[[json.dumps([sql])]]),
            "adapter": SimpleNamespace(
                commit=lambda: self.sent.append(("COMMIT", False)), check_schema_exists=lambda _, name: name in schemas
            ),
            "print": lambda line: self.printed.append(line) or "",
            "tojson": json.dumps,
            "target": SimpleNamespace(type=kind, database="db", schema="prod"),
            "modules": SimpleNamespace(
                datetime=SimpleNamespace(
                    datetime=SimpleNamespace(now=lambda _: SimpleNamespace(isoformat=lambda: "2026-01-01T00:00:00Z"))
                ),
                pytz=SimpleNamespace(utc=None),
            ),
        }

    def statement(self, _name: str, *, auto_begin: bool, caller: Callable[[], str]) -> str:
        """Send a statement."""
        self.sent.append((" ".join(caller().split()), auto_begin))
        return ""

    def run(self, macro: str) -> DbtOutcome:
        """Carry out a macro of ours."""
        environment = jinja2.Environment(extensions=["jinja2.ext.do"], autoescape=False)  # noqa: S701 - SQL
        environment.from_string(f"{_MACROS[macro]}{{{{ {macro}() }}}}").render(**self.names)
        return printed(*self.printed)


def test_each_step_is_a_transaction_that_dbt_begins_and_commits() -> None:
    dbt = Dbt({"lineage": "line", "epoch": 3, "whole": False, "steps": STEPS})
    outcome = dbt.run("dbt_promotion_do")
    insert = "insert into marks (environment, lineage, epoch, plan_id, node, invocation_id, marked_at) values (1)"
    assert dbt.sent == [
        ("fence line 3", False),
        ("rename a", True),
        ("rename b", True),
        (insert, True),
        ("COMMIT", False),
        ("fence line 3", False),
        ("drop c", True),
        ("COMMIT", False),
    ]
    assert [step.done for step in done(outcome)] == [["m"], []]


def test_on_postgresql_it_is_begun_by_us_and_marked_before_anything_is_locked() -> None:
    dbt = Dbt({"lineage": "line", "epoch": 3, "whole": False, "steps": STEPS[:1]}, kind="postgres")
    dbt.run("dbt_promotion_do")
    told = [sql.partition(" marks (")[0] for sql, _begins in dbt.sent]
    assert told == ["BEGIN", "share line", "fence line 3", "insert into", "rename a", "rename b", "COMMIT"]


def test_a_whole_is_one_string_that_begins_and_commits_itself() -> None:
    dbt = Dbt({"lineage": "", "epoch": 0, "whole": True, "steps": STEPS})
    dbt.run("dbt_promotion_do")
    insert = "insert into marks (environment, lineage, epoch, plan_id, node, invocation_id, marked_at) values (1)"
    assert dbt.sent == [(f"begin; rename a; rename b; {insert}; commit", False), ("begin; drop c; commit", False)]


def test_what_lies_in_a_schema_is_asked_where_the_schema_is() -> None:
    dbt = Dbt({"relations|db|prod": "a", "relations|db|raw": "b", "views": "c"}, frozenset({"prod"}))
    answers = dict(answered(dbt.run("dbt_promotion_ask"), PRODUCTION))
    assert {name for name, _ in answers.pop(DIGESTS)} == {"target", "relations", "views"}
    assert answers == {
        "target": [["db", "prod"]],
        "relations": [["a"]],
        "views": [["c"]],
    }


def test_an_answer_that_cannot_be_read_is_not_taken_for_none() -> None:
    outcome = printed("a macro of the project", json.dumps({"asked": "views", "rows": ['["half']}))
    with pytest.raises(DbtError, match="its views that cannot be read"):
        answered(outcome, PRODUCTION)
