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

from airflow_dbt_promotion.core.definition import Exposure, Lineage, Origin, Owner, ProjectIdentity
from airflow_dbt_promotion.core.environment import DeployedBy, Environment, PromotionPath
from airflow_dbt_promotion.core.identity import EnvironmentName, ModelId, TestId, Version, digest_of
from airflow_dbt_promotion.core.recording import Recording
from airflow_dbt_promotion.core.release import NO_TESTS, Model, ModelKind, Release, Test
from airflow_dbt_promotion.core.run import NodeResult, ResultStatus, Run
from airflow_dbt_promotion.engine import Engine
from airflow_dbt_promotion.stores.memory import MemoryStore
from tests.fakes import FakeClock, FakeReader, FakeWorkshop

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


def release(
    parents: Mapping[str, tuple[str, ...]] = PARENTS,
    *,
    code: Mapping[str, str] | None = None,
    untested: Collection[str] = (),
    incremental: Collection[str] = (),
    exposures: tuple[Exposure, ...] = (),
) -> Release:
    """Return the release of a project: its models by name with their parents (parents first), each with one test."""
    models: dict[ModelId, Model] = {}
    tests: dict[TestId, Test] = {}
    for name, above in parents.items():
        text = (code or {}).get(name, "select 1")
        ids = tuple(model_id(parent) for parent in above)
        required = () if name in untested else (test_id(name),)
        models[model_id(name)] = Model(
            id=model_id(name),
            name=name,
            package=PACKAGE,
            kind=ModelKind.SEED if name.startswith("raw_") else ModelKind.MODEL,
            version=Version(digest_of([name, text, sorted(models[parent].version for parent in ids)])),
            code=digest_of([name, text]),
            tests=digest_of(required) if required else NO_TESTS,
            meta=digest_of("meta"),
            parents=ids,
            required=required,
            incremental=name in incremental,
        )
        for test in required:
            tests[test] = Test(id=test, name=f"not_null_{name}_id", unit=False, models=(model_id(name),))
    return Release(
        project=ProjectIdentity(PACKAGE),
        origin=Origin.PARSE,
        where="manifest.json",
        manifest=digest_of("manifest"),
        invocation_id="parse",
        generated_at=None,
        dbt_version="1.11.16",
        adapter_type="duckdb",
        models=models,
        tests=tests,
        exposures=exposures,
    )


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

    def __init__(self, project: Release | None = None, environments: PromotionPath | None = None) -> None:
        """Take the project at hand and the promotion path; the shop's own where nothing is said."""
        self.project = project or release()
        self.clock = FakeClock(NOON)
        self.workshop = FakeWorkshop(self.project, self.clock)
        self.reader, self.store = FakeReader(), MemoryStore()
        self._runs = 0
        self.engine = Engine(
            path=environments or path(),
            store=self.store,
            workshop=self.workshop,
            reader=self.reader,
            clock=self.clock,
            project=PACKAGE,
        )

    def change(self, project: Release) -> None:
        """Put another release at hand."""
        self.project = self.workshop.project = project

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
