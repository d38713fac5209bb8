"""What the workshop makes of how dbt ends, and what it does with code that was kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.composition import Composition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.errors import (
    ConfigError,
    DbtError,
    EmptySelectionError,
    InvalidNameError,
    SourcesError,
    VersionsMovedError,
)
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId, TestId, Version
from airflow_dbt_promotion.core.orders import BuildRequest, OnProgress, Progress, RunCommand, RunRequest
from airflow_dbt_promotion.core.place import Place
from airflow_dbt_promotion.dbt.invocation import DbtInvocation, DbtOutcome, DbtProject
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.dbt.workshop import DbtWorkshop
from tests.dbt.shops import NOW, PRODUCTION, STAGING, Listed, Shop, files_below, keeper
from tests.fakes import FakeReleases

ENVIRONMENT = Environment(name="production", target="production")
HOW = "`dbt ls` ended with exit code 2"


class Ending:
    """A dbt that ends with an error."""

    def __init__(self, *words: str) -> None:
        """Take dbt's last words."""
        self.words = words

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: OnProgress | None = None) -> DbtOutcome:  # noqa: ARG002
        """End."""
        raise DbtError(HOW, self.words)

    def versions(self) -> str | None:
        """Tell nothing."""
        return None


def workshop(folder: Path, *words: str) -> DbtWorkshop:
    return DbtWorkshop(
        DbtProject(project_dir=folder, target_path=folder / "target"), Ending(*words), keeper(folder, FakeReleases())
    )


@pytest.mark.parametrize(
    "word", ["'nosuch' is not a valid method name", "Got a state selector method, but no manifest"]
)
def test_a_selector_that_dbt_refuses_is_bad_input(tmp_path: Path, word: str) -> None:
    with pytest.raises(InvalidNameError, match=word):
        workshop(tmp_path, f"Encountered an error:\nRuntime Error\n  {word}").select(ENVIRONMENT, "nosuch:thing")


@pytest.mark.parametrize("words", [(), ("Encountered an error:\n[Errno 28] No space left on device",)])
def test_a_dbt_that_breaks_down_over_a_selector_is_the_machines_fault(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(DbtError, match=HOW):
        workshop(tmp_path, *words).select(ENVIRONMENT, "tag:nightly")


UNIT, ACCEPTED = "unit_test.shop.orders.one_order", "test.shop.accepted_values_orders_status__open__closed.d09c9090ed"
NOT_NULL = "test.shop.not_null_customers_id.422908bfae"
UNIQUE = "test.shop.unique_customers_id.70f3d3fd20"


class Kept:
    """A shop of which one release is kept, after which the checkout has moved on, to something that is no project."""

    def __init__(self, folder: Path) -> None:
        self.shop = Shop(folder)
        self.release = self.shop.keep()
        self.shop.edit({"dbt_project.yml": "name: [no project", "models/orders.sql": None})
        self.composition: Composition = self.shop.mixed(self.release, {})

    def request(self, select: str | None = None, **fields: object) -> RunRequest:
        return RunRequest(environment=PRODUCTION, composition=self.composition, select=select, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    return Kept(tmp_path_factory.mktemp("kept") / "shop")


def order(kept: Kept, *names: str, tests: tuple[str, ...] = ()) -> BuildRequest:
    release = release_of(kept.composition.definition)
    return BuildRequest(
        environment=PRODUCTION,
        models=tuple(release.models[ModelId(name)] for name in names),
        tests=tuple(release.tests[TestId(name)] for name in tests),
        composition=kept.composition,
    )


def test_a_build_of_kept_code_executes_exactly_what_is_asked_for(kept: Kept) -> None:
    heard: list[Progress] = []
    request = order(kept, "model.shop.customers", "model.shop.orders", tests=(UNIT, NOT_NULL))

    report = kept.shop.workshop.build(request, heard.append)

    executed = {result.id for result in report.run.results if not result.id.startswith("operation.")}
    assert executed == {"model.shop.customers", "model.shop.orders", UNIT, NOT_NULL}
    assert report.success
    assert (report.run.target, report.run.command) == ("prod", "build")
    assert report.release == release_of(kept.composition.definition)
    assert {one.node for one in heard} >= executed
    assert kept.shop.query("select label from main.orders") == [("first",)]
    folder = kept.shop.folder / "target" / "promotion_runs" / "production"
    assert {"manifest.json", "run_results.json", "dbt.log"} <= {path.name for path in folder.iterdir()}


def test_tests_of_kept_code_run_alone(kept: Kept) -> None:
    kept.shop.workshop.build(order(kept, "model.shop.customers"), lambda _: None)
    report = kept.shop.workshop.build(order(kept, tests=(NOT_NULL, UNIQUE)), lambda _: None)
    assert {result.id for result in report.run.results} - {"operation.shop.shop-on-run-start-0"} == {NOT_NULL, UNIQUE}
    assert report.run.command == "test"


def test_a_build_of_other_versions_than_planned_does_not_begin(kept: Kept) -> None:
    request = order(kept, "model.shop.customers")
    moved = replace(request.models[0], version=Version("0" * 32))
    with pytest.raises(VersionsMovedError, match="customers"):
        kept.shop.workshop.build(replace(request, models=(moved,)), lambda _: None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"select": "customers"}, {"model.shop.customers", NOT_NULL, UNIQUE}),
        ({"select": "customers", "command": RunCommand.RUN}, {"model.shop.customers"}),
        (
            {"select": "customers orders", "exclude": "test_type:data"},
            {"model.shop.customers", "model.shop.orders", UNIT},
        ),
        ({"select": "orders", "command": RunCommand.TEST}, {UNIT, ACCEPTED}),
        ({"select": f"{UNIT.rpartition('.')[2]} customers", "exclude": "test_type:data"}, {"model.shop.customers"}),
        ({"command": RunCommand.SEED}, {"seed.shop.cities", "seed.shop.countries", "seed.tools.units"}),
        ({"command": RunCommand.SNAPSHOT}, {"snapshot.shop.history"}),
    ],
)
def test_what_is_listed_is_what_a_run_executes(kept: Kept, fields: dict[str, object], expected: set[str]) -> None:
    request = kept.request(**fields)  # type: ignore[arg-type]
    before = files_below(kept.shop.folder)
    assert kept.shop.workshop.listed(request) == tuple(sorted(expected))
    assert files_below(kept.shop.folder) == before
    kept.shop.workshop.build(order(kept, "model.shop.customers", "model.shop.orders"), lambda _: None)
    report = kept.shop.workshop.run(request, lambda _: None)
    assert {result.id for result in report.run.results if not result.id.startswith("operation.")} == expected
    assert report.run.command == request.command.value


def test_all_that_is_promoted_runs_where_nothing_is_selected(kept: Kept) -> None:
    definition = kept.composition.definition
    listed = set(kept.shop.workshop.listed(kept.request()))
    nodes = {id_ for id_, node in definition.nodes.items() if node.resource_type != "operation"}
    assert listed == nodes | definition.unit_tests.keys()


def test_listing_leaves_nothing_in_the_release_store_either(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    composition = shop.mixed(shop.keep(), {})
    shop.store.parses.clear()
    before = files_below(shop.folder)
    request = RunRequest(environment=PRODUCTION, composition=composition, select="customers")
    assert "model.shop.customers" in shop.another_workshop().listed(request)
    assert shop.another_workshop().select(PRODUCTION, "orders", composition) == ("model.shop.orders",)
    assert (shop.store.parses, files_below(shop.folder)) == ({}, before)


def test_asking_what_is_in_the_warehouse_leaves_nothing_behind(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    composition = shop.mixed(shop.keep(), {})
    shop.store.parses.clear()
    place = Place(database=None, schema="main", identifier="orders__was_1f0c22ab")
    before = files_below(shop.folder)
    for code in (composition, None):
        assert shop.another_workshop().present(PRODUCTION, code, [place]) == {}
    fresh = {path for path in files_below(shop.folder).keys() - before.keys() if ".duckdb" not in path}
    assert (shop.store.parses, fresh) == ({}, set())


def test_a_full_refresh_is_passed_on(kept: Kept) -> None:
    report = kept.shop.workshop.run(kept.request("days", full_refresh=True), lambda _: None)
    assert report.run.full_refresh
    with pytest.raises(ConfigError, match="full_refresh"):
        kept.shop.workshop.run(kept.request("days", command=RunCommand.TEST, full_refresh=True), lambda _: None)


@pytest.mark.parametrize("select", ["nosuchmodel", "exposure:board,board", "tag:nightly"])
def test_nothing_selected_is_told_before_anything_runs(kept: Kept, select: str) -> None:
    before = files_below(kept.shop.folder)
    for ask in (kept.shop.workshop.listed, lambda request: kept.shop.workshop.run(request, lambda _: None)):
        with pytest.raises(EmptySelectionError, match="names nothing that `dbt build` would run in production"):
            ask(kept.request(select))
    assert files_below(kept.shop.folder) == before


@pytest.mark.parametrize(
    "select",
    [
        "",
        " ",
        "--full-refresh",
        "orders -t prod",
        "state:modified",
        "+state:modified.body+",
        "2+result:error",
        "@state:new",
        "orders,source_status:fresher+",
        "nosuch:thing",
    ],
)
def test_selectors_that_are_no_good_are_refused(kept: Kept, select: str) -> None:
    workshop = kept.shop.workshop
    with pytest.raises(InvalidNameError):
        workshop.listed(kept.request(select))
    with pytest.raises(InvalidNameError):
        workshop.run(kept.request("orders", exclude=select), lambda _: None)
    with pytest.raises(InvalidNameError):
        workshop.select(PRODUCTION, select, kept.composition)


def test_models_are_selected_in_a_composition(kept: Kept) -> None:
    before = files_below(kept.shop.folder)
    assert kept.shop.workshop.select(PRODUCTION, "+orders", kept.composition) == (
        "model.shop.customers",
        "model.shop.orders",
    )
    assert files_below(kept.shop.folder) == before


def test_what_is_at_hand_is_parsed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    before = files_below(shop.folder)
    found = shop.workshop.at_hand(STAGING, dry=True)
    assert found.release == Listed(shop.folder).tree.id
    assert release_of(found.definition).models.keys() >= {"model.shop.orders"}
    assert files_below(shop.folder) == before
    assert shop.store.trees == {}


class Editing(InProcessRunner):
    """A dbt during whose work somebody edits a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def invoke(self, project: DbtProject, invocation: DbtInvocation, on_event: OnProgress | None = None) -> DbtOutcome:
        """Edit, then run dbt."""
        self.path.write_text("select 42 as id")
        return super().invoke(project, invocation, on_event)


def test_sources_that_change_while_they_are_parsed(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", Editing(tmp_path / "shop" / "models" / "customers.sql"))
    with pytest.raises(SourcesError, match=r"models/customers\.sql: changed"):
        shop.workshop.at_hand(STAGING, dry=True)


def test_only_the_expected_sources_are_kept(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    found = shop.workshop.at_hand(STAGING, dry=True)
    with pytest.raises(SourcesError, match="changed since"):
        shop.workshop.keep(ReleaseId("0" * 32))
    shop.workshop.keep(found.release)
    provenance = shop.store.provenance(found.release)
    assert (provenance.kept_at, provenance.adapter_type, provenance.commit) == (NOW, "duckdb", "c0ffee")
    assert provenance.dbt_version.startswith("1.")


def test_the_sources_of_a_run_are_kept_by_what_knows_runs(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    release = shop.workshop.release(STAGING, dry=True)
    kept_run = shop.workshop.keep_run(tmp_path / "nightly", release)
    assert (kept_run.release, kept_run.why) == (None, "what nightly ran is not at hand")


def test_selectors_of_exactly_some_models(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    before = files_below(shop.folder)
    models = (ModelId("model.shop.orders"), ModelId("model.shop.report.v2"))
    exact = shop.workshop.exact(STAGING, models)
    assert files_below(shop.folder) == before
    assert shop.workshop.select(STAGING, " ".join(exact)) == models
