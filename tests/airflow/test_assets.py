"""Promotions as events of assets: sent once, and DAGs that are scheduled on them, in a real Airflow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Asset

import airflow_dbt_promotion
from airflow_dbt_promotion.hooks import acting, assets
from airflow_dbt_promotion.operators.promote import PromoteOperator
from airflow_dbt_promotion.operators.rollback import RollbackOperator
from tests.airflow.conftest import HOME
from tests.airflow.spellings import AirflowFailException, newer_than_3_1
from tests.airflow.tasks import FakeTaskInstance, LogOfLines, a_context, shop
from tests.scenarios import DAY, Shop, defined, model_id

__all__ = ["shop"]

ENVIRONMENT = "x-dbt-promotion://production"
MODELS = f"{ENVIRONMENT}/models"
NAMES = ["orders", "raw_orders", "revenue", "stg_orders"]
PRODUCER = """
from datetime import datetime
from airflow.sdk import DAG
from airflow_dbt_promotion.operators.promote import PromoteOperator

with DAG("producer", start_date=datetime(2026, 1, 1), schedule=None):
    PromoteOperator(task_id="promote", target_environment="production", dbt_project_dir="/shop")
"""
CONSUMERS = """
from datetime import datetime
from airflow.sdk import DAG, PartitionedAssetTimetable
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow_dbt_promotion import environment_asset, model_asset, models_asset

SCHEDULES = {
    "on_orders": [model_asset("production", "orders")],
    "on_another": [model_asset("production", "another")],
    "on_both": [model_asset("production", "orders"), model_asset("production", "revenue")],
    "on_production": [environment_asset("production")],
    "on_staging": [environment_asset("staging")],
    "by_model": PartitionedAssetTimetable(assets=models_asset("production")),
}
for dag_id, schedule in SCHEDULES.items():
    with DAG(dag_id, start_date=datetime(2026, 1, 1), schedule=schedule, is_paused_upon_creation=False) as dag:
        EmptyOperator(task_id="work")
    globals()[dag_id] = dag
"""


class Sent(list[Any]):
    """What Airflow tells a task of the events of one asset."""

    def __getitem__(self, asset: Any) -> Any:
        return list(self)


class Accessor:
    """What Airflow has for one outlet: events added, or partition keys."""

    def __init__(self) -> None:
        self.added: list[tuple[str, Any]] = []
        self.extra: Any = None
        self.keys: list[str] = []

    def add(self, asset: Asset, extra: Any) -> None:
        self.added.append((asset.uri, extra))

    def add_partitions(self, keys: list[str]) -> None:
        self.keys.extend(keys)


class Events(dict[str, Accessor]):
    """What Airflow has in a context, by the name of the outlet."""

    def __getitem__(self, outlet: Any) -> Accessor:
        return self.setdefault(outlet.name, Accessor())

    @property
    def sent(self) -> dict[str, Any]:
        """What an alias sends, by asset."""
        return {uri: extra for accessor in self.values() for uri, extra in accessor.added}


def a_task(**arguments: Any) -> PromoteOperator:
    return PromoteOperator(task_id="promote", target_environment="production", dbt_project_dir="/shop", **arguments)


def names_of(task: Any) -> list[str]:
    return [one.name for one in task.outlets]


def run(task: Any, ti: FakeTaskInstance | None = None) -> Events:
    events = Events()
    task.execute({**a_context(ti, user="ada"), "outlet_events": events})
    return events


def soaked(shop: Shop) -> None:
    shop.run("staging")
    shop.clock.pass_by(DAY)


@newer_than_3_1
def test_a_promotion_is_an_event_of_the_environment_and_one_of_each_model(shop: Shop) -> None:
    soaked(shop)
    ti = FakeTaskInstance()
    events = run(a_task(), ti)
    assert set(events.sent) == {ENVIRONMENT, *(f"{MODELS}/{name}" for name in NAMES)}
    state = shop.engine.observer.state("production")
    assert state is not None
    version = state.current[model_id("orders")].version
    told = events.sent[f"{MODELS}/orders"]
    assert told["run"] == f"airflow:dag:{ti.run_id}:task:-1"
    assert {name: told[name] for name in ("name", "unique_id", "version", "from_version", "plan_id", "actor")} == {
        "name": "orders",
        "unique_id": model_id("orders"),
        "version": version,
        "from_version": None,
        "plan_id": state.history[0].plan_id,
        "actor": "ada",
    }
    assert told["evidence"] == {"tests_passed_at": "2026-07-24T12:00:00Z", "soaked_seconds": 86400}
    assert (told["approved_by"], told["rolled_back_to"], told["change"]) == ([], None, "added")
    whole = events.sent[ENVIRONMENT]
    assert (whole["environment"], whole["source_environment"]) == ("production", "staging")
    assert sorted(model["name"] for model in whole["models"]) == NAMES
    partitioned = events[assets.models_asset("production")]
    assert (sorted(partitioned.keys), partitioned.extra) == (NAMES, whole)


def test_only_models_that_advanced_have_events_and_a_rollback_tells_what_it_left(shop: Shop) -> None:
    shop.workshop.swaps = True
    shop.change(defined())
    soaked(shop)
    run(a_task())
    before = shop.engine.observer.state("production")
    shop.change(defined(code={"revenue": "select 2"}))
    soaked(shop)
    events = run(a_task())
    assert before is not None
    old, new = before.current[model_id("revenue")].version, shop.project.models[model_id("revenue")].version
    assert set(events.sent) == {ENVIRONMENT, f"{MODELS}/revenue"}
    assert (events.sent[f"{MODELS}/revenue"]["from_version"], events.sent[f"{MODELS}/revenue"]["version"]) == (old, new)

    back = RollbackOperator(task_id="back", environment="production", reason="wrong", dbt_project_dir="/shop")
    told = run(back).sent[f"{MODELS}/revenue"]
    assert (told["from_version"], told["version"], told["evidence"]) == (new, old, None)
    assert told["rolled_back_to"] is not None


@newer_than_3_1
def test_nothing_is_sent_of_a_dry_run_or_where_nothing_was_to_do(shop: Shop) -> None:
    soaked(shop)
    for task in (a_task(dry_run=True), a_task(update_state=False)):
        assert names_of(task) == ["dbt_promotion:production:promoted", MODELS]
        assert run(task) == {}
        assert task.outlets == []
    run(a_task())
    again = a_task(outlets=Asset("mine"))
    assert run(again) == {}
    assert names_of(again) == ["mine"]


def test_what_is_only_told_again_is_sent_unless_it_was_sent(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    soaked(shop)
    ti = FakeTaskInstance()
    first = run(a_task(), ti)
    sent: list[Any] = []
    monkeypatch.setattr("airflow.sdk.execution_time.context.InletEventsAccessors", lambda _: Sent(sent))
    died_before_it_was_sent = run(a_task(), ti)
    plain = {uri: extra["version"] for uri, extra in first.sent.items() if "version" in extra}
    assert {uri: extra["version"] for uri, extra in died_before_it_was_sent.sent.items() if "version" in extra} == plain

    sent.append(FakeEvent(first.sent[ENVIRONMENT]))
    cleared = a_task()
    assert run(cleared, ti) == {}
    assert cleared.outlets == []


class FakeEvent:
    def __init__(self, extra: Any) -> None:
        self.extra = extra


def test_a_refused_promotion_sends_nothing(shop: Shop) -> None:
    shop.run("staging")
    events = Events()
    with pytest.raises(AirflowFailException):
        a_task(models="orders", include_upstream=True).execute({**a_context(), "outlet_events": events})
    assert events == {}


@newer_than_3_1
def test_an_environment_that_is_a_template_has_its_outlets_once_it_is_known(shop: Shop) -> None:
    soaked(shop)
    task = PromoteOperator(task_id="promote", target_environment="{{ params.to }}", dbt_project_dir="/shop")
    assert task.outlets == []
    task.target_environment = "production"
    assert ENVIRONMENT in run(task).sent
    assert names_of(task) == ["dbt_promotion:production:promoted", MODELS]


def test_an_airflow_without_partitions_has_plain_events_alone(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("airflow.sdk.__all__", ["DAG"])
    soaked(shop)
    task = a_task()
    events = run(task)
    assert names_of(task) == list(events) == ["dbt_promotion:production:promoted"]
    assert ENVIRONMENT in events.sent


def test_a_promotion_of_very_many_models_says_what_it_left_out(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    soaked(shop)
    log = LogOfLines()
    monkeypatch.setattr(PromoteOperator, "log", log)
    monkeypatch.setattr(assets, "MOST_MODELS", 3)
    log.warning = lambda message, *arguments: log.lines.append(message % arguments)  # type: ignore[method-assign]
    assert len(run(a_task()).sent) == 4
    assert "1 models advanced without an event: one promotion sends 3 at most" in log.lines


def test_addresses_are_stable_and_named_at_the_root() -> None:
    assert airflow_dbt_promotion.environment_asset("production").uri == ENVIRONMENT
    assert airflow_dbt_promotion.models_asset("production").uri == MODELS
    for name in ("orders", "model.shop.orders"):
        assert airflow_dbt_promotion.model_asset("production", name).uri == f"{MODELS}/orders"
    assert airflow_dbt_promotion.model_asset("production", "orders.v2").uri == f"{MODELS}/orders.v2"
    assert airflow_dbt_promotion.model_asset("production", "seed.shop.a b").uri == f"{MODELS}/a%20b"


@newer_than_3_1
@pytest.mark.airflow
@pytest.mark.slow
def test_dags_are_scheduled_on_what_was_promoted(
    shop: Shop,
    migrated: Path,  # noqa: ARG001 - an Airflow home
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from airflow.dag_processing.bundles.manager import DagBundlesManager  # noqa: PLC0415 - needs the home of the fixture
    from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db  # noqa: PLC0415 - as late
    from airflow.models.asset import AssetEvent, AssetPartitionDagRun  # noqa: PLC0415 - as late
    from airflow.models.dag import DagModel  # noqa: PLC0415 - as late
    from airflow.utils.session import create_session  # noqa: PLC0415 - as late

    soaked(shop)
    (HOME / "dags" / "producer.py").write_text(PRODUCER, encoding="utf-8")
    (HOME / "dags" / "consumers.py").write_text(CONSUMERS, encoding="utf-8")
    consumers, producer = DagBag(HOME / "dags" / "consumers.py"), DagBag(HOME / "dags" / "producer.py")
    assert (consumers.import_errors, producer.import_errors) == ({}, {})
    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(consumers, "dags-folder", None)

    with monkeypatch.context() as patched:
        patched.setattr(acting, "run", lambda _: "one run")
        first = producer.dags["producer"].test()
        cleared = producer.dags["producer"].test()  # the same run for us, as if its task were cleared: it only tells
    again = producer.dags["producer"].test()  # nothing to do
    assert [str(one.state) for one in (first, cleared, again)] == ["success"] * 3
    with create_session() as session:
        found = session.query(AssetEvent).filter_by(source_dag_id="producer").all()
        assert {event.source_run_id for event in found} == {first.run_id}
        assert {event.extra["run"] for event in found} == {"one run"}
        plain = sorted(event.asset.uri for event in found if event.partition_key is None)
        assert plain == [ENVIRONMENT, *(f"{MODELS}/{name}" for name in NAMES)]
        waiting, _ = DagModel.dags_needing_dagruns(session)[:2]
        assert {dag.dag_id for dag in waiting} & set(consumers.dags) == {"on_orders", "on_both", "on_production"}
        keys = session.query(AssetPartitionDagRun).filter_by(target_dag_id="by_model").all()
        assert sorted(one.partition_key for one in keys) == NAMES
    for name in ("producer.py", "consumers.py"):
        (HOME / "dags" / name).unlink()
