"""A promotion drawn in Airflow: what is drawn, and what becomes of it with real dbt on a real warehouse."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pendulum
import pytest
from airflow.sdk import DAG

from airflow_dbt_promotion.core.approvals import Decision, Identity, Person, Vote
from airflow_dbt_promotion.core.errors import UnknownEnvironmentError
from airflow_dbt_promotion.engine import PromotionRequest
from airflow_dbt_promotion.hooks.params import promotion_arguments, promotion_params
from airflow_dbt_promotion.task_groups.promotion import DbtPromotionDag, DbtPromotionTaskGroup
from tests.airflow.conftest import HOME
from tests.airflow.spellings import dag_bag
from tests.airflow.test_examples import Run
from tests.integration.warehouse import DuckDb, Mill

PATH = """
version: 1
state: states
environments:
  staging: {target: staging}
  production: {target: production, promotes_from: staging%s}
"""
ASKS = ", approval: {min_approvals: 1}"
OPENS = """
    windows:
      allow: [{name: office, zone: UTC, opens: "08:00", closes: "18:00"}]
"""


def project(folder: Path, policy: str = "") -> str:
    (folder / "dbt_project.yml").write_text("name: shop\nprofile: shop\n")
    (folder / "promotion.yml").write_text(PATH % policy)
    return str(folder)


def drawn(dag: Any) -> list[str]:
    """Return the tasks of a DAG, one after the other, without the name of the group."""
    return [task.task_id.removeprefix("promotion.") for task in dag.topological_sort()]


def a_dag(folder: str, **arguments: Any) -> DbtPromotionDag:
    return DbtPromotionDag("pipeline", target_environment="production", dbt_project_dir=folder, **arguments)


def test_what_is_drawn_is_what_promotion_yml_asks_for(tmp_path: Path) -> None:
    plain = project(tmp_path)
    assert drawn(a_dag(plain)) == ["plan", "promote"]
    assert drawn(a_dag(plain, models="all-validated")) == ["plan", "promote"]
    assert drawn(a_dag(plain, models=["orders"])) == ["plan", "soaked", "plan_again", "promote"]
    assert drawn(a_dag(plain, select="tag:nightly")) == ["plan", "soaked", "plan_again", "promote"]
    assert drawn(a_dag(plain, models="{{ params.models }}")) == ["plan", "soaked", "plan_again", "promote"]
    assert drawn(a_dag(plain, wait=True)) == ["soaked", "plan", "promote"]
    assert drawn(a_dag(plain, skip_downstream=False)) == ["plan", "promote", "done"]
    assert drawn(a_dag(project(tmp_path, ASKS))) == ["plan", "approve", "promote"]


def test_where_people_are_asked_about_some_models_alone_the_others_go_before(tmp_path: Path) -> None:
    routine = ["promote_routine", "plan", "approve", "promote"]
    some = ", rules: [{select: 'tag:critical', approval: true}]"
    assert drawn(a_dag(project(tmp_path, some))) == routine
    all_but = f"{ASKS}, rules: [{{select: 'tag:routine', approval: false}}]"
    assert drawn(a_dag(project(tmp_path, all_but))) == routine
    assert drawn(a_dag(project(tmp_path, some), models=["orders"])) == [
        "plan",
        "soaked",
        "plan_again",
        "approve",
        "promote",
    ]
    none = ", rules: [{select: 'tag:slow', min_days_in_staging: 2}]"
    assert drawn(a_dag(project(tmp_path, none))) == ["plan", "promote"]


def test_where_promotion_yml_cannot_be_read_every_step_is_drawn(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    every = ["window_for_routine", "promote_routine", "plan", "approve", "window", "promote"]
    assert drawn(a_dag(str(tmp_path / "nowhere"))) == every
    assert "every step into production is drawn" in caplog.text
    assert drawn(a_dag(project(tmp_path), models=["orders"], promotion_conn_id="shop")) != every
    named = DbtPromotionDag("pipeline", target_environment="production", promotion_conn_id="shop", models="orders")
    assert drawn(named) == ["plan", "soaked", "plan_again", "approve", "window", "promote"]
    templated = DbtPromotionDag("pipeline", target_environment="{{ params.into }}", dbt_project_dir=project(tmp_path))
    assert drawn(templated) == every
    assert templated.get_task("promotion.promote").task_display_name == "Promote"


def test_an_environment_that_does_not_exist_is_an_error_where_the_dag_is_parsed(tmp_path: Path) -> None:
    folder = project(tmp_path)
    with pytest.raises(UnknownEnvironmentError, match="there is no environment 'prodction'"):
        DbtPromotionDag("pipeline", target_environment="prodction", dbt_project_dir=folder)


def test_each_task_has_a_name_that_people_read_and_says_what_it_does(tmp_path: Path) -> None:
    every = a_dag(str(tmp_path / "nowhere"), skip_downstream=False, wait=True)
    named = a_dag(str(tmp_path / "nowhere"), models="orders", operator_args={"doc_md": "ours"})
    names = {task.task_id: task.task_display_name for task in (*every.tasks, *named.tasks)}
    assert all(name != id_ and name[0].isupper() for id_, name in names.items())
    assert names["promotion.promote"] == "Promote to production"
    assert all(task.doc_md and task.doc_md.endswith(".") for task in every.tasks)
    assert {task.doc_md for task in named.tasks} == {"ours"}


def test_what_people_chose_in_a_form_reaches_the_pipeline(tmp_path: Path) -> None:
    folder = project(tmp_path, ASKS)
    chosen = {**promotion_arguments(), "target_environment": "production"}
    form = promotion_params(target_environment="production", dbt_project_dir=folder)
    dag = DbtPromotionDag("by_form", schedule=None, dbt_project_dir=folder, params=form, **chosen)
    assert drawn(dag) == ["plan", "soaked", "plan_again", "approve", "promote"]
    plan: Any = dag.get_task("promotion.plan")
    assert (plan.models, plan.plan_only) == (
        "{{ (params.models | reject('equalto', 'all-validated') | list or params.models) | tojson }}",
        "{{ params.dry_run }}",
    )


def test_a_dag_runs_once_at_a_time_and_catches_nothing_up_unless_it_is_told_to(tmp_path: Path) -> None:
    dag = a_dag(project(tmp_path), schedule="@daily", start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), tags=["dbt"])
    assert (dag.max_active_runs, dag.catchup, dag.tags) == (1, False, {"dbt"})
    told = a_dag(project(tmp_path), max_active_runs=3, catchup=True)
    assert (told.max_active_runs, told.catchup) == (3, True)


def test_what_is_built_in_parts_is_opened_before_and_finished_whatever_became_of_them(tmp_path: Path) -> None:
    dag = a_dag(project(tmp_path, ASKS), parallel=3, verify=True, lock_timeout=5, on_refused="skip")
    assert drawn(dag) == ["plan", "approve", "open", "build_part", "promote"]
    tasks: Any = {task.task_id.removeprefix("promotion."): task for task in dag.tasks}
    opening, part, promote = tasks["open"], tasks["build_part"], tasks["promote"]
    assert promote.upstream_task_ids == {"promotion.open", "promotion.build_part"}
    assert (promote.trigger_rule, promote.finishes) == ("all_done_min_one_success", True)
    assert (opening.parts, opening.lock_timeout, opening.on_refused, promote.verify) == (3, 5, "skip", True)
    assert (part.partial_kwargs["target_environment"], part.partial_kwargs["retries"]) == ("production", 2)
    assert part.task_display_name == "Build a part"
    after = a_dag(project(tmp_path), parallel=3, skip_downstream=False)
    assert drawn(after) == ["plan", "open", "build_part", "promote", "done"]


def test_a_promotion_that_died_is_tried_again_unless_somebody_says_how_often(tmp_path: Path) -> None:
    folder = project(tmp_path)
    assert [task.retries for task in a_dag(folder).tasks] == [2, 2]
    assert [task.retries for task in a_dag(folder, default_args={"retries": 5}).tasks] == [5, 5]
    assert [task.retries for task in a_dag(folder, operator_args={"retries": 0, "pool": "dbt"}).tasks] == [0, 0]
    assert {task.pool for task in a_dag(folder, operator_args={"pool": "dbt"}).tasks} == {"dbt"}
    with DAG("by_hand", schedule=None, default_args={"dbt_project_dir": folder}) as dag:
        DbtPromotionTaskGroup(target_environment="production", default_args={"retries": 4})
    assert drawn(dag) == ["plan", "promote", "done"]
    assert {task.retries for task in dag.tasks if task.task_id != "promotion.done"} == {4}


def test_each_argument_reaches_the_task_that_it_is_for(tmp_path: Path) -> None:
    dag = a_dag(
        project(tmp_path, ASKS),
        models=["orders"],
        include_upstream=True,
        verify=True,
        lock_timeout=5,
        approvers=["bob"],
        on_refused="skip",
        dry_run="{{ params.dry_run }}",
    )
    tasks: Any = {task.task_id.removeprefix("promotion."): task for task in dag.tasks}
    assert (tasks["plan"].models, tasks["plan_again"].include_upstream) == (["orders"], True)
    assert (tasks["plan"].plan_only, tasks["promote"].plan_only) == ("{{ params.dry_run }}", False)
    assert (tasks["promote"].in_backfills, tasks["soaked"].in_backfills) == (False, False)
    assert (tasks["promote"].verify, tasks["promote"].lock_timeout, tasks["promote"].models) == (True, 5, None)
    assert (tasks["approve"].approvers, tasks["approve"].on_rejected, tasks["soaked"].soft_fail) == (
        ["bob"],
        "skip",
        True,
    )
    every = a_dag(str(tmp_path / "nowhere"), dry_run=True, in_backfills=True)
    routine: Any = every.get_task("promotion.promote_routine")
    window: Any = every.get_task("promotion.window")
    assert (routine.plan_only, routine.in_backfills, window.in_backfills) == (True, True, True)
    before: Any = every.get_task("promotion.window_for_routine")
    assert (before.plan_only, window.plan_only) == (True, False)
    assert (tasks["approve"].on_refused, tasks["approve"].on_timeout) == ("skip", "skip")
    with pytest.raises(TypeError, match="no_such_argument"):
        a_dag(project(tmp_path), no_such_argument=1)


# --- run ------------------------------------------------------------------------------------------------------------

DAG_FILE = """
from airflow.sdk import DAG, Param, task, task_group
from airflow_dbt_promotion.task_groups.promotion import DbtPromotionDag, DbtPromotionTaskGroup

PROJECT = {project!r}
"""
SCHEDULED = """
DbtPromotionDag("scheduled", target_environment="production", dbt_project_dir=PROJECT)
"""
EVERY_STEP = """
DbtPromotionDag("every_step", target_environment="{{ 'production' }}", dbt_project_dir=PROJECT)
"""
BY_HAND = """
with DAG("by_hand", params={"models": Param([], type="array")}, default_args={"dbt_project_dir": PROJECT}):
    @task
    def after() -> None:
        ...

    DbtPromotionTaskGroup(
        target_environment="production", models="{{ params.models }}", include_upstream=True
    ) >> after()
"""
MAPPED = """
with DAG("mapped", default_args={"dbt_project_dir": PROJECT}):
    @task_group
    def each(models: list[str]) -> None:
        DbtPromotionTaskGroup(target_environment="production", models=models, include_upstream=True)

    each.expand(models=[["lonely"], ["weights"]])
"""


class Pipelines:
    """A project on DuckDB, and DAGs that promote it."""

    def __init__(self, mill: Mill) -> None:
        self.mill, self.dags = mill, dict[str, Any]()

    def policy(self, policy: str) -> None:
        self.mill.write("promotion.yml", PATH % policy)
        from airflow_dbt_promotion.wiring import Place, engine_for  # noqa: PLC0415 - beside its use

        self.mill.engine = engine_for(Place(project_dir=self.mill.folder))

    def run(self, dag_id: str, text: str, at: pendulum.DateTime | None = None, **params: Any) -> Run:
        """Parse a DAG and run it to its end; a run at the same instant is that run cleared."""
        for old in (HOME / "dags").iterdir():
            old.unlink()
        file = HOME / "dags" / f"{dag_id}.py"
        file.write_text(DAG_FILE.format(project=str(self.mill.folder)) + dedent(text))
        bag = dag_bag(file)
        assert bag.import_errors == {}
        when = {} if at is None else {"logical_date": at}
        return Run(bag.dags[dag_id].test(run_conf=params or None, **when))

    def state(self) -> Any:
        return self.mill.engine.observer.state("production")

    def names(self) -> set[str]:
        """Return what production holds."""
        return {model.rsplit(".", 1)[-1] for model in self.state().current}


@pytest.fixture
def pipelines(migrated: Path, tmp_path: Path) -> Iterator[Pipelines]:  # noqa: ARG001 - its home
    made = Pipelines(Mill(tmp_path, DuckDb(tmp_path)))
    made.policy("")
    assert made.mill.build_staging()
    yield made
    from dbt.adapters.duckdb.connections import DuckDBConnectionManager  # noqa: PLC0415 - only once dbt ran

    DuckDBConnectionManager.close_all_connections()


IN_PARTS = """
DbtPromotionDag("in_parts", target_environment="production", dbt_project_dir=PROJECT, parallel=3)
"""


@pytest.mark.airflow
@pytest.mark.dbt
@pytest.mark.slow
def test_what_cannot_be_divided_is_built_by_the_last_task_and_clearing_the_run_promotes_nothing_again(
    pipelines: Pipelines,
) -> None:
    noon = pendulum.datetime(2026, 7, 24, 12, tz="UTC")
    run = pipelines.run("in_parts", IN_PARTS, noon)
    assert (run.state, set(states(run).values())) == ("success", {"success"})
    (part,) = run.told("promotion.open")
    assert (part["part"], part["models"]) == (None, [])
    assert run.told("promotion.promote")["outcome"] == "promoted"
    assert pipelines.names() == {"sacks", "stg_sacks", "weights", "lonely"}
    again = pipelines.run("in_parts", IN_PARTS, noon)
    assert again.state == "success"
    assert states(again) == {"plan": "success", "open": "skipped", "build_part": "skipped", "promote": "skipped"}
    assert len(pipelines.state().history) == 1


def states(run: Run) -> dict[str, str]:
    return {task.removeprefix("promotion."): state for task, state in run.tasks.items()}


@pytest.mark.airflow
@pytest.mark.dbt
@pytest.mark.slow
def test_a_run_promotes_and_what_comes_after_goes_on_where_there_is_nothing_to_do(pipelines: Pipelines) -> None:
    noon = pendulum.datetime(2026, 7, 24, 12, tz="UTC")
    first = pipelines.run("scheduled", SCHEDULED, noon)
    assert (first.state, states(first)) == ("success", {"plan": "success", "promote": "success"})
    plan, told = first.told("promotion.plan"), first.told("promotion.promote")
    assert told["outcome"] == "promoted"
    assert told["plan_id"] == plan["plan_id"] == pipelines.state().history[0].plan_id
    assert pipelines.names() == {"sacks", "stg_sacks", "weights", "lonely"}

    again = pipelines.run("scheduled", SCHEDULED, noon)
    assert (again.state, states(again)) == ("success", {"plan": "success", "promote": "skipped"})
    assert again.told("promotion.plan")["models"] == []

    by_hand = pipelines.run("by_hand", BY_HAND, models=["lonely"])
    assert states(by_hand) == {
        "plan": "success",
        "soaked": "skipped",
        "plan_again": "skipped",
        "promote": "skipped",
        "done": "success",
        "after": "success",
    }
    assert len(pipelines.state().history) == 1


@pytest.mark.airflow
@pytest.mark.dbt
@pytest.mark.slow
def test_named_models_are_waited_for_and_planned_again_or_refused_at_once_and_groups_are_mapped(
    pipelines: Pipelines,
) -> None:
    done = pipelines.run("by_hand", BY_HAND, models=["stg_sacks"])
    assert set(states(done).values()) == {"success"}
    assert done.told("promotion.soaked") == ["sacks", "stg_sacks"]
    assert done.told("promotion.plan_again")["moved"] == []
    assert pipelines.names() == {"sacks", "stg_sacks"}

    refused = pipelines.run("by_hand", BY_HAND, models=["no_such_model"])
    assert states(refused)["plan"] == "failed"
    assert states(refused)["after"] == "upstream_failed"

    mapped = pipelines.run("mapped", MAPPED)
    assert mapped.state == "success"
    assert pipelines.names() == {"sacks", "stg_sacks", "weights", "lonely"}
    assert len(pipelines.state().history) == 3


@pytest.mark.airflow
@pytest.mark.dbt
@pytest.mark.slow
def test_an_approval_that_is_there_already_is_the_plans_and_a_rejected_version_is_held_back(
    pipelines: Pipelines,
) -> None:
    pipelines.policy(ASKS)
    say(pipelines, Decision.APPROVE)
    done = pipelines.run("asking", SCHEDULED.replace("scheduled", "asking"))  # Airflow 3.1 keeps DAGs by their id
    assert states(done) == {"plan": "success", "approve": "success", "promote": "success"}
    assert done.told("promotion.approve")["by"] == ["bob"]
    assert pipelines.state().history[0].approved_by == ("bob",)

    pipelines.mill.write("models/lonely.sql", "select 2 as id")
    assert pipelines.mill.build_staging()
    say(pipelines, Decision.REJECT)
    rejected = pipelines.run("every_step", EVERY_STEP)
    assert states(rejected) == {
        "window_for_routine": "success",
        "promote_routine": "success",
        "plan": "success",
        "approve": "skipped",
        "window": "skipped",
        "promote": "skipped",
    }
    assert rejected.told("promotion.promote_routine")["outcome"] == "nothing_to_do"
    assert len(pipelines.state().history) == 1


def say(pipelines: Pipelines, decision: Decision) -> None:
    """Let bob have a word on the plan of all that may go, before it is asked for."""
    engine = pipelines.mill.engine
    request = PromotionRequest(target="production", to_approve=True, actor="ann")
    asked = engine.approvals.ask(request, engine.plan(request), Person(name="ann", identity=Identity.AIRFLOW))
    vote = Vote(decision=decision, at=engine.clock(), actor="bob", identity=Identity.AIRFLOW)
    engine.approvals.vote("production", asked.plan_id, vote)
