from __future__ import annotations

import ast
from datetime import timedelta
from pathlib import Path
from types import ModuleType

import pytest

import airflow_dbt_promotion.core.approval_gate
import airflow_dbt_promotion.core.bypasses
import airflow_dbt_promotion.core.code_gate
import airflow_dbt_promotion.core.eligibility
import airflow_dbt_promotion.core.incoherence
import airflow_dbt_promotion.core.planning
import airflow_dbt_promotion.core.rolling_back
import airflow_dbt_promotion.core.row_gate
import airflow_dbt_promotion.core.versioned_names
import airflow_dbt_promotion.core.weighing
import airflow_dbt_promotion.core.window_gate
import airflow_dbt_promotion.dbt.publish.checks
import airflow_dbt_promotion.dbt.publish.swapping
import airflow_dbt_promotion.engine.outcomes
import airflow_dbt_promotion.engine.planner
from airflow_dbt_promotion.core.eligibility import GateName, blocked, passed, waiting
from airflow_dbt_promotion.render.remedies import REMEDIES, Ends, moment, remedy, when
from tests.scenarios import NOON

ENDS = Ends(source="staging", target="production", now=NOON)
MODULES = (
    airflow_dbt_promotion.core.approval_gate,
    airflow_dbt_promotion.core.bypasses,
    airflow_dbt_promotion.core.versioned_names,
    airflow_dbt_promotion.core.code_gate,
    airflow_dbt_promotion.core.eligibility,
    airflow_dbt_promotion.core.incoherence,
    airflow_dbt_promotion.core.rolling_back,
    airflow_dbt_promotion.core.row_gate,
    airflow_dbt_promotion.core.weighing,
    airflow_dbt_promotion.core.window_gate,
    airflow_dbt_promotion.core.planning,
    airflow_dbt_promotion.dbt.publish.checks,
    airflow_dbt_promotion.dbt.publish.swapping,
    airflow_dbt_promotion.engine.planner,
    airflow_dbt_promotion.engine.outcomes,
)


def codes_in(module: ModuleType) -> set[str]:
    """Return every code with which a module shuts a gate: what it hands to `blocked`, `waiting`, `Obstacle`."""
    tree = ast.parse(Path(module.__file__).read_text(encoding="utf-8"))
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"blocked", "waiting"}:
            found.update(word.value for word in node.args[1:2] if isinstance(word, ast.Constant))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Obstacle":
            words = (keyword.value for keyword in node.keywords if keyword.arg == "code")
            found.update(word.value for word in words if isinstance(word, ast.Constant))
        if isinstance(node, ast.FunctionDef) and node.name == "incoherent":
            returned = [part.value for part in ast.walk(node) if isinstance(part, ast.Return)]
            codes = [value.elts[0] for value in returned if isinstance(value, ast.Tuple)]
            codes += [part.value for part in ast.walk(node) if isinstance(part, ast.Assign) and _is_code(part)]
            found.update(word.value for one in codes for word in ast.walk(one) if isinstance(word, ast.Constant))
    return found


def _is_code(assigned: ast.Assign) -> bool:
    return any(isinstance(name, ast.Name) and name.id == "code" for name in assigned.targets)


def test_each_code_that_shuts_a_gate_has_a_remedy_and_each_remedy_a_code() -> None:
    used = set().union(*(codes_in(module) for module in MODULES))
    assert {"soaking", "needs_upstream", "plan_moved"} <= used
    assert used == {code for codes in REMEDIES.values() for code in codes}


def test_each_gate_has_remedies() -> None:
    assert set(REMEDIES) == set(GateName)


@pytest.mark.parametrize(("gate", "code"), [(gate, code) for gate, codes in REMEDIES.items() for code in codes])
def test_a_remedy_is_a_sentence_without_holes(gate: GateName, code: str) -> None:
    told = remedy(blocked(gate, code, "no"), ENDS)
    assert told is not None
    assert told.endswith(".")
    assert "{" not in told


def test_an_open_gate_and_an_unknown_code_have_none() -> None:
    assert remedy(passed(GateName.TESTS, "passed", "yes"), ENDS) is None
    assert remedy(blocked(GateName.TESTS, "of_a_later_release", "no"), ENDS) is None


def test_waiting_says_until_when_in_utc_and_for_how_long() -> None:
    told = remedy(waiting(GateName.SOAK, "soaking", "soaks", NOON + timedelta(hours=3, minutes=12)), ENDS)
    assert told is not None
    assert told.startswith("Wait until 2026-07-24 15:12 UTC (in 3 h 12 min);")


def test_an_instant_that_has_come_is_now() -> None:
    assert when(NOON, NOON) == "2026-07-24 12:00 UTC (now)"


def test_no_instant_is_told_too_early() -> None:
    assert when(NOON + timedelta(milliseconds=1), NOON).startswith("2026-07-24 12:00:01 UTC")


def test_seconds_are_told_where_there_are_any() -> None:
    assert moment(NOON + timedelta(seconds=5)) == "2026-07-24 12:00:05 UTC"
