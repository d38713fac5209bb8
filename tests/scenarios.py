"""Scenarios: a small shop with its environments, in memory, for tests of everything that stands on the engine.

shop = Shop()                       # raw -> stg -> orders, orders -> revenue; production soaks for a day
shop.run("staging")                 # dbt build in staging, recorded
shop.clock.pass_by(timedelta(days=1))
shop.engine.promote(PromotionRequest(target="production"))
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from msgspec.structs import replace

from airflow_dbt_promotion.core.approvals import AgreedPlan
from airflow_dbt_promotion.core.choices import Choices
from airflow_dbt_promotion.core.definition import (
    Checksum,
    Definition,
    Exposure,
    Lineage,
    Node,
    Owner,
    ProjectIdentity,
)
from airflow_dbt_promotion.core.eligibility import Requirement
from airflow_dbt_promotion.core.environment import DeployedBy, Environment, PromotionPath
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, TestId, digest_of
from airflow_dbt_promotion.core.moving import as_approved
from airflow_dbt_promotion.core.plan import Plan, Question, Situation
from airflow_dbt_promotion.core.recording import Entering, Recording, record
from airflow_dbt_promotion.core.release import NO_TESTS, Release, Test
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.core.state import EntryOrigin, EnvironmentState
from airflow_dbt_promotion.engine import AdoptionRequest, Engine
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.core.definitions import definition, generic_test, node
from tests.fakes import FakeCalendar, FakeClock, FakeProcesses, FakeReader, FakeReleases, FakeWorkshop

NOON = datetime(2026, 7, 24, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)
PACKAGE = "shop"

PARENTS: Mapping[str, tuple[str, ...]] = {
    "raw_orders": (),
    "stg_orders": ("raw_orders",),
    "orders": ("stg_orders",),
    "revenue": ("orders",),
}


def model_id(name: str) -> ModelId:
    """Return the unique id of a model of the shop."""
    return ModelId(f"{'seed' if name.startswith('raw_') else 'model'}.{PACKAGE}.{name}")


def test_id(name: str) -> TestId:
    """Return the unique id of the one test of a model."""
    return TestId(f"test.{PACKAGE}.not_null_{name}_id.{digest_of(name)[:10]}")


test_id.__test__ = False  # type: ignore[attr-defined]  # pytest would take it for a test


def defined(
    parents: Mapping[str, tuple[str, ...]] = PARENTS,
    *,
    code: Mapping[str, str] | None = None,
    untested: Collection[str] = (),
    incremental: Collection[str] = (),
    exposures: tuple[Exposure, ...] = (),
) -> Definition:
    """Return one parse of a project: its models by name with their parents (parents first), each with one test."""
    nodes: list[Node] = []
    for name, above in parents.items():
        text, seed = (code or {}).get(name, "select 1"), name.startswith("raw_")
        nodes.append(
            node(
                name,
                *map(model_id, above),
                kind="seed" if seed else "model",
                materialized="incremental" if name in incremental else None,
                raw_code="" if seed else text,
                checksum=Checksum("sha256", text),
                relation_name=None,
            )
        )
        if name not in untested:
            test = generic_test(f"not_null_{name}_id", "not_null", model_id(name), relation_name=None)
            nodes.append(replace(test, unique_id=test_id(name)))
    return replace(definition(nodes), exposures={one.unique_id: one for one in exposures})


def release(
    parents: Mapping[str, tuple[str, ...]] = PARENTS,
    *,
    code: Mapping[str, str] | None = None,
    untested: Collection[str] = (),
    incremental: Collection[str] = (),
    exposures: tuple[Exposure, ...] = (),
) -> Release:
    """Return the release of a project: its models by name with their parents (parents first), each with one test."""
    return release_of(defined(parents, code=code, untested=untested, incremental=incremental, exposures=exposures))


def joint_test_id(*names: str) -> TestId:
    """Return the unique id of a test that reads several models."""
    return TestId(f"test.{PACKAGE}.agree_{'_'.join(names)}.{digest_of(names)[:10]}")


def unit_test_id(name: str) -> TestId:
    """Return the unique id of a model's unit test."""
    return TestId(f"unit_test.{PACKAGE}.{name}.sums")


def with_tests(
    project: Release,
    *,
    joint: Collection[tuple[str, ...]] = (),
    units: Collection[str] = (),
    revised: Mapping[str, str] | None = None,
) -> Release:
    """Return a release with more tests.

    `joint` tests read several models each, `units` are models with a unit test, `revised` are models whose tests are
    written otherwise.
    """
    tests = dict(project.tests)
    for names in joint:
        id_ = joint_test_id(*names)
        tests[id_] = Test(id=id_, name=f"agree_{'_'.join(names)}", unit=False, models=tuple(map(model_id, names)))
    for name in units:
        tests[unit_test_id(name)] = Test(id=unit_test_id(name), name="sums", unit=True, models=(model_id(name),))
    models = {}
    for model in project.models.values():
        required = tuple(sorted(id_ for id_, test in tests.items() if model.id in test.models))
        words = [*required, (revised or {}).get(model.name, "")]
        models[model.id] = replace(model, required=required, tests=digest_of(words) if required else NO_TESTS)
    return replace(project, models=models, tests=tests)


def dbt_run(
    project: Release,
    at: datetime,
    results: Mapping[str, ResultStatus] | None = None,
    *,
    only: Collection[str] | None = None,
    without: Collection[str] = (),
    name: str | None = None,
) -> Run:
    """Return a run that ended at an instant, in which every node succeeded but for `results`.

    `only` some nodes ran, or all `without` some.
    """
    nodes = [
        node for node in (*project.models, *project.tests) if (only is None or node in only) and node not in without
    ]
    good = {node: ResultStatus.SUCCESS if node in project.models else ResultStatus.PASS for node in nodes}
    told = good | {node: status for node, status in (results or {}).items() if node in nodes}
    return Run(
        invocation_id=name or f"run-{at:%d-%H%M%S}",
        command="build",
        where="run_results.json",
        started_at=at,
        finished_at=at,
        results=tuple(
            NodeResult(id=node, status=status, started_at=at, completed_at=at, message="boom")
            for node, status in told.items()
        ),
    )


def empty_state(environment: str = "staging") -> EnvironmentState:
    """Return the document of an environment of which nothing is known."""
    return EnvironmentState(
        project=ProjectIdentity(PACKAGE), environment=EnvironmentName(environment), lineage=f"lineage-of-{environment}"
    )


BY_OTHERS = Entering(only=None, origin=EntryOrigin.RUN, by="run")
"""What enters by a run of others: all that was built."""

BY_NOBODY = Entering(only=frozenset(), origin=EntryOrigin.RUN, by="run")
"""What enters by a run of others where only promotions may move anything: nothing."""


def recorded(
    project: Release, *runs: Run, state: EnvironmentState | None = None, others: Collection[EnvironmentState] = ()
) -> EnvironmentState:
    """Return a document (staging's, empty at first) after some runs of one release, in that order."""
    found = state or empty_state()
    for run in runs:
        found = record(found, project, run, BY_OTHERS, others).state
    return found


def situation(
    source: EnvironmentState | None,
    target: EnvironmentState | None = None,
    project: Release | None = None,
    now: datetime = NOON + 9 * DAY,
    **production: object,
) -> Situation:
    """Return what a plan from staging to production is computed from; more options are production's."""
    environments = path(**production)
    return Situation(
        source=environments.get("staging"),
        target=environments.get("production"),
        source_state=source,
        target_state=target or empty_state("production"),
        others=(),
        project=project,
        now=now,
    )


def question(*models: str, requirement: Requirement | None = None, **choices: object) -> Question:
    """Ask for some models by bare name (for all that may go where none is named), with some choices."""
    return Question(
        models=tuple(model_id(name) for name in models) or None,
        requirement=requirement or Requirement(),
        choices=Choices(**choices),  # type: ignore[arg-type]  # passed on
    )


def agreed_of(plan: Plan) -> AgreedPlan:
    """Return a plan as people agree to it."""
    return AgreedPlan(plan_id=plan.plan_id, models=as_approved(plan), rests_on=plan.rests_on)


def dashboard(*models: str) -> Exposure:
    """Return an exposure that stands on some models."""
    nodes = tuple(model_id(name) for name in models)
    return Exposure(
        unique_id="exposure.shop.takings",
        name="takings",
        label="Daily takings",
        owner=Owner(name="Finance", email="finance@example.com"),
        depends_on=Lineage(nodes=nodes),
        url="https://example.com/takings",
    )


def path(soak: timedelta = DAY, **production: object) -> PromotionPath:
    """Return development -> staging -> production; more options are production's."""
    last = Environment(
        name=EnvironmentName("production"),
        target="prod",
        promotes_from=EnvironmentName("staging"),
        deployed_by=DeployedBy.PROMOTION,
        soak=soak,
    )
    return PromotionPath(
        (
            Environment(name=EnvironmentName("development"), target="dev", working=True),
            Environment(name=EnvironmentName("staging"), target="stg", promotes_from=EnvironmentName("development")),
            replace(last, **production),
        )
    )


class Shop:
    """A project with its environments in memory, and the engine over them."""

    def __init__(self, project: Release | Definition | None = None, environments: PromotionPath | None = None) -> None:
        """Take the project at hand and the promotion path; the shop's own where nothing is said."""
        self.clock = FakeClock(NOON)
        self.workshop = FakeWorkshop(release(), self.clock)
        self.change(project if project is not None else release())
        self.reader, self.store, self.releases = FakeReader(), MemoryStore(), FakeReleases()
        self.processes, self.calendar = FakeProcesses(), FakeCalendar()
        self.workshop.releases = self.releases.kept
        self._runs = 0
        self.engine = Engine(
            path=environments or path(),
            store=self.store,
            releases=self.releases,
            workshop=self.workshop,
            reader=self.reader,
            processes=self.processes,
            clock=self.clock,
            calendar=self.calendar,
            project=PACKAGE,
        )

    def change(self, project: Release | Definition) -> None:
        """Put another release at hand; as a definition, its sources are at hand too and can be kept."""
        self.workshop.definition = project if isinstance(project, Definition) else None
        self.project = release_of(project) if isinstance(project, Definition) else project
        self.workshop.project = self.project

    def baseline(self, environment: str, target_path: Path | None = None, reason: str | None = None) -> Recording:
        """Adopt what an environment holds."""
        return self.engine.baseline(
            AdoptionRequest(
                environment=environment, target_path=target_path, actor="ann", reason=reason, confirmed=True
            )
        )

    def run(self, environment: str, *, failing: Collection[str] = (), without: Collection[str] = ()) -> Recording:
        """Build the project at hand in an environment, as others would, and record it.

        `failing` are ids of nodes that fail, `without` ids that do not run.
        """
        return self.engine.record(environment, self.leave_run(environment, failing=failing, without=without))

    def leave_run(self, environment: str, *, failing: Collection[str] = (), without: Collection[str] = ()) -> Path:
        """Leave a run of the project at hand in a target folder; return the folder."""
        self._runs += 1
        results = [
            self._result(node, node in failing, built=True) for node in self.project.models if node not in without
        ]
        results += [
            self._result(node, node in failing, built=False) for node in self.project.tests if node not in without
        ]
        run = Run(
            invocation_id=f"run-{self._runs}",
            command="build",
            where="run_results.json",
            started_at=self.clock(),
            finished_at=self.clock(),
            results=tuple(results),
            target=self.engine.path.get(environment).target,
        )
        folder = Path(f"/runs/{self._runs}")
        self.reader.runs[folder] = (run, self.project)
        if self.workshop.definition is not None:
            self.reader.definitions[folder] = self.workshop.definition
        return folder

    def _result(self, node: str, failed: bool, *, built: bool) -> NodeResult:
        """Return how one node ended."""
        good, bad = (ResultStatus.SUCCESS, ResultStatus.FAILED) if built else (ResultStatus.PASS, ResultStatus.FAIL)
        return NodeResult(
            id=node,
            status=bad if failed else good,
            started_at=self.clock(),
            completed_at=self.clock(),
            message="boom" if failed else "",
        )
