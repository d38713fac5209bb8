"""Drift as an event: told by the task that records, in a real Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import AssetAlias

from airflow_dbt_promotion.core.environment import OnDrift
from airflow_dbt_promotion.hooks.cosmos import record_run
from airflow_dbt_promotion.hooks.drift import drift_alias
from airflow_dbt_promotion.operators.record import RecordRunOperator
from tests.airflow.conftest import HOME
from tests.airflow.spellings import AirflowFailException, dag_bag
from tests.airflow.tasks import FakeTaskInstance, LogOfLines, a_context, shop
from tests.scenarios import DAY, Shop, defined, model_id, path, release

__all__ = ["shop"]

ALIAS = "dbt_promotion:production:drift"
DAG = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_dbt_promotion.operators.record import RecordRunOperator

with DAG("drifting", start_date=datetime(2026, 1, 1), schedule=None):
    RecordRunOperator(
        task_id="record", environment="production", dbt_project_dir={folder!r}, target_path={target!r}
    )
"""


class Events(dict[str, "Events"]):
    """What Airflow has in a context: an accessor for each alias, which takes events."""

    def __init__(self) -> None:
        super().__init__()
        self.added: list[tuple[str, Any]] = []

    def __getitem__(self, alias: Any) -> Events:
        return self.setdefault(alias.name, Events())

    def add(self, asset: Any, extra: Any) -> None:
        self.added.append((asset.name, extra))

    @property
    def all(self) -> dict[str, list[tuple[str, Any]]]:
        return {name: found.added for name, found in self.items()}

    __hash__ = object.__hash__


def promoted(shop: Shop, tmp_path: Path) -> Path:
    """Let production hold the first release while the checkout moves on; return the folder of the project."""
    (tmp_path / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (tmp_path / "target").mkdir()
    (tmp_path / "target" / "run_results.json").write_text("{}")
    shop.baseline("production")
    shop.clock.pass_by(DAY)
    shop.change(defined(code={"orders": "select 2"}))
    return tmp_path


def leave(shop: Shop, folder: Path) -> Path:
    """Leave a run of production in the target folder of the project."""
    target = folder / "target"
    shop.reader.runs[target] = shop.reader.runs[shop.leave_run("production")]
    return target


def told_of(environment: str, versions: Any, run: str) -> dict[str, Any]:
    models = [
        {"unique_id": model, "version": version, "promoted_version": release().models[model].version}
        for model, version in versions.items()
    ]
    return {"environment": environment, "run": run, "models": models}


def test_a_run_that_drifted_is_an_event_and_another_is_none(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = promoted(shop, tmp_path)
    task = RecordRunOperator(
        task_id="record", environment="production", dbt_project_dir=folder, target_path=leave(shop, folder)
    )
    assert task.outlets == [drift_alias("production")]
    events = Events()
    log = LogOfLines()
    monkeypatch.setattr(RecordRunOperator, "log", log)
    document: Any = task.execute({**a_context(), "outlet_events": events})
    assert any("drift: versions that were never promoted were built in production" in line for line in log.lines)
    new = {model_id(name): shop.project.models[model_id(name)].version for name in ("orders", "revenue")}
    assert events.all == {ALIAS: [(ALIAS, told_of("production", new, "run-1"))]}
    assert (document["drifted"], document["refused"]) == (sorted(new), False)
    shop.change(defined())
    shop.clock.pass_by(DAY)
    leave(shop, folder)
    events = Events()
    task.execute({**a_context(), "outlet_events": events})
    assert events.all == {}


def test_where_policy_blocks_it_the_task_fails_and_tells_all_the_same(shop: Shop, tmp_path: Path) -> None:
    folder = promoted(shop, tmp_path)
    shop.engine._recorder._memory.path = path(on_drift=OnDrift.BLOCK)
    target = leave(shop, folder)
    ti = FakeTaskInstance()
    task = RecordRunOperator(
        task_id="record", environment="production", dbt_project_dir=folder, target_path=target, outlets=AssetAlias("o")
    )
    assert task.outlets == [AssetAlias("o"), drift_alias("production")]
    with pytest.raises(AirflowFailException, match="built in production what was never promoted"):
        task.execute(a_context(ti))
    told: Any = ti.pushed["return_value"]
    assert (told["refused"], len(told["drifted"]), told["passed"]) == (True, 2, [])
    with pytest.raises(AirflowFailException, match="never promoted"):
        record_run("production")(str(folder), context={})


def test_cosmos_callback_adds_the_event_where_the_context_is_there(shop: Shop, tmp_path: Path) -> None:
    folder = promoted(shop, tmp_path)
    leave(shop, folder)
    events = Events()
    record_run("production")(str(folder), context={"outlet_events": events})
    assert list(events.all) == [ALIAS]
    record_run("production")(str(folder))  # as somebody may call it without a task


def test_an_environment_that_is_a_template_has_no_alias_yet() -> None:
    task = RecordRunOperator(task_id="record", environment="{{ params.environment }}", dbt_project_dir="/shop")
    assert task.outlets == []


@pytest.mark.airflow
@pytest.mark.slow
def test_airflow_takes_the_event(shop: Shop, tmp_path: Path, migrated: Path) -> None:  # noqa: ARG001 - an Airflow home
    from airflow.models.asset import AssetAliasModel, AssetEvent  # noqa: PLC0415 - as late
    from airflow.utils.session import create_session  # noqa: PLC0415 - as late

    folder = promoted(shop, tmp_path)
    target = leave(shop, folder)
    file = HOME / "dags" / "drifting.py"
    file.write_text(DAG.format(folder=str(folder), target=str(target)), encoding="utf-8")
    bag = dag_bag(file)
    assert bag.import_errors == {}
    ended = bag.dags["drifting"].test()
    file.unlink()
    assert str(ended.state) == "success"
    with create_session() as session:
        found = session.query(AssetEvent).filter_by(source_dag_id="drifting").all()
        assert [(event.extra["environment"], len(event.extra["models"])) for event in found] == [("production", 2)]
        aliases = session.query(AssetAliasModel).filter_by(name=ALIAS).all()
        assert [len(alias.asset_events) for alias in aliases] == [1]
