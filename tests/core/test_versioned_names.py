"""A model that gets versions, or loses them, is promoted with the removal of what the target holds of it."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.change import Change, ChangeKind
from airflow_dbt_promotion.core.code_gate import Code, composed
from airflow_dbt_promotion.core.eligibility import Verdict
from airflow_dbt_promotion.core.identity import ModelId
from airflow_dbt_promotion.core.planning import plan
from airflow_dbt_promotion.core.reliance import Reliances
from airflow_dbt_promotion.core.state import EnvironmentState
from airflow_dbt_promotion.core.versioned_names import of_composition
from tests.scenarios import NOON, dbt_run, empty_state, model_id, question, recorded, release, situation

ORDERS, FIRST, SECOND = model_id("orders"), model_id("orders.v1"), model_id("orders.v2")


def holding(*names: str, environment: str = "staging", once: tuple[str, ...] = ()) -> EnvironmentState:
    """Return an environment that holds some models that stand on nothing, and held others once."""
    state = empty_state(environment)
    for several in (once, names):
        if several:
            project = release(dict.fromkeys(several, ()))
            state = recorded(project, dbt_run(project, NOON), state=state)
    gone = {model_id(name) for name in once} - {model_id(name) for name in names}
    return replace(state, current={model: entry for model, entry in state.current.items() if model not in gone})


def held(source: EnvironmentState, target: EnvironmentState, **chosen: object) -> dict[str, set[str]]:
    found = plan(situation(source, target), question(**chosen))
    return {change.name: {v.code for v in change.verdicts if not v.passed} for change in found.held}


@pytest.mark.parametrize(
    ("before", "now"), [(("orders",), ("orders.v1", "orders.v2")), (("orders.v1", "orders.v2"), ("orders",))]
)
def test_both_forms_are_not_in_one_project(before: tuple[str, ...], now: tuple[str, ...]) -> None:
    source, target = holding(*now, "shops"), holding(*before, environment="production")
    found = held(source, target)
    assert {name: found[name] for name in now} == {name: {"gets_versions"} for name in now}
    assert "shops" not in found


def test_it_goes_with_the_removal() -> None:
    source, target = holding("orders.v1", "orders.v2"), holding("orders", environment="production")
    found = held(source, target, allow_removals=True)
    assert not found.keys() & {"orders.v1", "orders.v2"}


def test_another_version_of_a_versioned_model_is_an_ordinary_addition() -> None:
    source, target = holding("orders.v1", "orders.v2"), holding("orders.v1", environment="production")
    assert held(source, target) == {}


def test_a_project_that_would_hold_both_is_refused() -> None:
    assert of_composition({ORDERS, model_id("shops")}, "production") is None
    assert of_composition({FIRST, SECOND}, "production") is None
    verdict = of_composition({ORDERS, SECOND}, "production")
    assert verdict is not None
    assert (verdict.code, verdict.reason.split(",")[0]) == ("gets_versions", "production holds orders")
    assert of_composition({ModelId("snapshot.shop.orders"), SECOND}, "production") is None


def test_a_composition_that_would_hold_both_is_not_put_together() -> None:
    target = holding("orders", environment="production")
    coming = holding("orders.v2").current[SECOND]
    change = Change(model=SECOND, kind=ChangeKind.ADDED, before=None, after=coming)
    code = Code(definitions={}, releases={}, reliances=Reliances({}))
    found = composed(target.environment, target, (change,), code)
    assert isinstance(found, Verdict)
    assert found.code == "gets_versions"
