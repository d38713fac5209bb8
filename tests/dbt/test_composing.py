"""Compositions on a real dbt: what the warehouse holds afterwards is of the releases that it was taken from."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

import msgspec
import pytest
from msgspec.structs import replace

from airflow_dbt_promotion.core.composing import compose
from airflow_dbt_promotion.core.composition import Composition, verify, whole
from airflow_dbt_promotion.core.errors import ReleaseError, UnservableError
from airflow_dbt_promotion.core.fingerprint import release_of
from airflow_dbt_promotion.core.identity import ModelId, ReleaseId
from airflow_dbt_promotion.core.orders import BuildReport, RunCommand, RunRequest
from airflow_dbt_promotion.core.release import Release
from airflow_dbt_promotion.core.run import ResultStatus
from airflow_dbt_promotion.core.state import Entry, EntryOrigin
from airflow_dbt_promotion.dbt.composing import composed
from airflow_dbt_promotion.dbt.invocation import DbtRunner
from airflow_dbt_promotion.dbt.remote import SubprocessRunner
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.dbt.workspace import Workspace
from tests.dbt.shops import FILES, PRODUCTION, STAGING, Shop

BIN = Path(sys.executable).parent
RUNNERS: dict[str, Callable[[], DbtRunner]] = {
    "in process": InProcessRunner,
    "dbt executable": lambda: SubprocessRunner(BIN / "dbt"),
    "another python": lambda: SubprocessRunner(Path(sys.executable)),
}
ORDERS = (
    "model.shop.orders",
    "unit_test.shop.orders.one_order",
    "test.shop.accepted_values_orders_status__open__closed.d09c9090ed",
    "semantic_model.shop.orders",
    "metric.shop.order_count",
    "saved_query.shop.daily",
    "exposure.shop.board",
    "macro.shop.label",
    "model.shop.days",
)
NEWER: dict[str, str | None] = {
    "models/customers.sql": FILES["models/customers.sql"].replace("old", "new"),
    "models/orders.sql": None,
    "models/days.sql": None,
    "macros/labels.sql": None,
    "seeds/cities.csv": "city\nParis\n",
    "models/schema.yml": "models:\n  - name: customers\n    columns: [{name: id, data_tests: [not_null]}]\n"
    "  - {name: report, latest_version: 1, versions: [{v: 1}, {v: 2}]}\n",
}


def run(shop: Shop, composition: Composition, command: RunCommand = RunCommand.BUILD) -> BuildReport:
    return shop.workshop.run(
        RunRequest(environment=PRODUCTION, composition=composition, command=command), lambda _: None
    )


def built(shop: Shop, composition: Composition) -> BuildReport:
    report = run(shop, composition)
    assert report.success, report.words
    return report


@pytest.mark.parametrize("name", RUNNERS)
def test_an_old_model_and_a_new_one(tmp_path: Path, name: str) -> None:
    shop = Shop(tmp_path / "shop", RUNNERS[name]())
    older = shop.keep()
    shop.edit(NEWER)
    newer = shop.keep()
    shop.edit({"models/customers.sql": "select this is no SQL", "dbt_project.yml": "name: [broken"})

    report = built(shop, shop.mixed(newer, dict.fromkeys(ORDERS, older)))

    assert shop.query("select wording from customers") == [("new",)]
    assert shop.query("select customer_id, label, status from orders") == [(1, "first", "open")]
    assert shop.query("select city from cities") == [("Paris",)]
    results = {result.id: result.status for result in report.run.results}
    assert results["unit_test.shop.orders.one_order"] is ResultStatus.PASS
    assert results[ORDERS[2]] is ResultStatus.PASS
    assert results["snapshot.shop.history"] is ResultStatus.SUCCESS
    assert not any(id_.startswith("test.shop.unique_customers") for id_ in results)
    assert not (shop.folder / "target" / "manifest.json").exists()


def test_what_is_newer_than_the_base(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    older = shop.keep()
    shop.edit(
        {"models/later.sql": "select '{{ fresh() }}' as word", "macros/fresh.sql": "{% macro fresh() %}x{% endmacro %}"}
    )
    newer = shop.keep()
    built(shop, shop.mixed(older, {"model.shop.later": newer, "macro.shop.fresh": newer}))
    assert shop.query("select word from later") == [("x",)]


def test_seeds_have_the_rows_of_their_releases(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    older = shop.keep()
    shop.edit({"seeds/cities.csv": "city\nParis\n", "seeds/countries.csv": "code,name\nfr,France\n"})
    shop.edit({"tools/seeds/units.csv": "unit\nlb\n"})
    newer = shop.keep()
    built(shop, shop.mixed(newer, {"seed.shop.countries": older, "seed.tools.units": older}))
    assert shop.query("select city from cities") == [("Paris",)]
    assert shop.query("select code from countries") == [("de",)]
    assert shop.query("select code from abroad") == [("de",)]
    assert shop.query("select unit from units") == [("kg",)]


@pytest.mark.parametrize("latest", [1, 2])
def test_the_latest_version_is_what_the_composition_says(tmp_path: Path, latest: int) -> None:
    shop = Shop(tmp_path / "shop")
    older = shop.keep()
    shop.edit(NEWER)
    newer = shop.keep()
    reader, first, second = "model.shop.reader", "model.shop.report.v1", "model.shop.report.v2"
    # The reader is of the release in which the version is the latest, the family of the other.
    release, other = (older, newer) if latest == 2 else (newer, older)
    composition = shop.mixed(other, {reader: release}, less=ORDERS if other == older else ())
    built(shop, replace(composition, latest={first: latest, second: latest}))
    assert shop.query("select id from reader") == [(latest,)]


def test_vars_are_declared_as_in_the_release_that_they_are_taken_from(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    older = shop.keep()
    project = FILES["dbt_project.yml"].replace("cutoff: 10", "cutoff: 2026-01-02\n          later: 1")
    shop.edit({"tools/dbt_project.yml": "name: tools\nvars: {rounding: 5}\n"})
    shop.edit({"dbt_project.yml": project.replace("EUR", "USD").replace("\n        ", "\n").lstrip()})
    newer = shop.keep()
    base = shop.mixed(newer, {})

    built(shop, base)
    assert shop.query("select cutoff from customers") == [("2026-01-02",)]
    assert shop.query("select currency from abroad") == [("USD",)]
    assert shop.query("select rounding from calendar") == [(5,)]

    built(shop, replace(base, vars={"cutoff": older, "rounding": older, "later": older}))
    assert shop.query("select cutoff from customers") == [("10",)]
    assert shop.query("select currency from abroad") == [("USD",)]
    assert shop.query("select rounding from calendar") == [(2,)]

    built(shop, replace(base, vars={"currency": older}))
    assert shop.query("select cutoff from customers") == [("2026-01-02",)]
    assert shop.query("select currency from abroad") == [("EUR",)]


def test_a_model_that_became_private_still_serves_those_that_were_promoted_before(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    older = shop.keep()
    private = (
        "groups: [{name: g, owner: {name: Ann}}]\nmodels: [{name: customers, config: {group: g, access: private}}]\n"
    )
    shop.edit(
        {
            **NEWER,
            "models/schema.yml": private + "  \n",
            "models/report_v1.sql": None,
            "models/report_v2.sql": None,
            "models/reader.sql": None,
            "snapshots/history.yml": None,
        }
    )
    newer = shop.keep()
    built(shop, shop.mixed(newer, dict.fromkeys(ORDERS, older)))
    assert shop.query("select customer_id from orders") == [(1,)]
    assert shop.query("select wording from customers") == [("new",)]


def test_a_package_in_a_folder_of_another_name(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    (shop.folder / "dbt_packages" / "tools").rename(shop.folder / "dbt_packages" / "tools-1.2")
    release = shop.keep()
    built(shop, shop.mixed(release, {}))
    assert shop.query("select unit from units") == [("kg",)]


def test_a_model_that_is_disabled_by_now(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    older = shop.keep()
    shop.edit({"models/abroad.sql": "{{ config(enabled=false) }}" + FILES["models/abroad.sql"]})
    newer = shop.keep()
    built(shop, shop.mixed(newer, {"model.shop.abroad": older}))
    assert shop.query("select code from abroad") == [("de",)]


def test_a_release_as_it_was_parsed_is_passed_on_untouched(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    release = shop.keep()
    packed = shop.workshop._releases.parsed(release, "prod", {}, dry=True).packed
    composition = whole(release, shop.released(release))
    assert composed(composition, {release: packed}, {}) is packed
    less = replace(composition, origins={k: v for k, v in composition.origins.items() if k != "model.shop.reader"})
    sections = msgspec.msgpack.decode(composed(less, {release: packed}, {}))
    before = msgspec.msgpack.decode(packed)
    assert before["nodes"].keys() - sections["nodes"].keys() == {"model.shop.reader"}
    assert {**sections, "nodes": 0, "files": 0} == {**before, "nodes": 0, "files": 0}


def test_what_is_not_in_its_release_is_told(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    release = shop.keep()
    composition = shop.mixed(release, {})
    lost = replace(composition, origins={**composition.origins, "model.shop.lost": release})
    with pytest.raises(ReleaseError, match=r"model\.shop\.lost"):
        run(shop, lost)


def test_two_seeds_that_need_other_bytes_in_one_place(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    older = shop.keep()
    shop.edit({"seeds/cities.csv": "city\nParis\n"})
    newer = shop.keep()
    composition = shop.mixed(newer, {"seed.shop.countries": older})
    nodes = dict(composition.definition.nodes)
    nodes["seed.shop.countries"] = replace(nodes["seed.shop.countries"], original_file_path="seeds/cities.csv")
    twice = replace(composition, definition=replace(composition.definition, nodes=nodes))
    layouts = {release: shop.workshop._releases.layout(release) for release in (older, newer)}
    with pytest.raises(UnservableError, match=r"seeds/cities\.csv.*seed\.shop\.c"):
        Workspace("production", twice, layouts)


def test_a_seed_whose_file_is_not_kept(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    release = shop.keep()
    composition = shop.mixed(release, {})
    files = dict(shop.store.trees[release].files)
    del files["seeds/cities.csv"]
    shop.store.trees[release] = type(shop.store.trees[release])(files)
    with pytest.raises(UnservableError, match=r"seeds/cities\.csv is not among the kept sources"):
        run(shop, composition)


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(tmp_path / "shop")
    release = shop.keep()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    built(shop, shop.mixed(release, {}))
    assert list((tmp_path / "tmp").iterdir()) == []


def test_macros_see_the_whole_composition(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    count = "select {{ graph.nodes.values() | selectattr('resource_type', 'equalto', 'model') | list | length }} as n"
    shop.edit({"models/counted.sql": "-- depends on nothing\n" + count})
    older: ReleaseId = shop.keep()
    shop.edit({"models/one_more.sql": "select 1 as id"})
    newer = shop.keep()
    composition = shop.mixed(older, {"model.shop.one_more": newer})
    built(shop, composition)
    models = [node for node in composition.definition.nodes.values() if node.resource_type == "model"]
    assert shop.query("select n from counted") == [(len(models),)]
    assert shop.workshop.released(older, STAGING, dry=True).nodes.keys() < composition.definition.nodes.keys()


def test_what_core_puts_together_and_verifies_is_what_dbt_builds(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    older = shop.keep()
    shop.edit(
        {
            "models/customers.sql": FILES["models/customers.sql"].replace("old", "new"),
            "models/reader.sql": "select id + 40 as id from {{ ref('report') }}",
            "macros/labels.sql": "{% macro label() %}'second'{% endmacro %}",
            "seeds/countries.csv": "code,name\nfr,France\n",
            "seeds/cities.csv": "city\nParis\n",
            "dbt_project.yml": dedent(FILES["dbt_project.yml"].replace("cutoff: 10", "cutoff: 20")).lstrip(),
        }
    )
    newer = shop.keep()
    shutil.rmtree(shop.folder / "models")
    definitions = {release: shop.released(release) for release in (older, newer)}
    promoted = {"model.shop.abroad", "seed.shop.countries", "model.shop.reader"}
    served = {
        **served_from(older, release_of(definitions[older]), day=1),
        **{
            id_: entry
            for id_, entry in served_from(newer, release_of(definitions[newer]), day=2).items()
            if id_ in promoted
        },
    }

    composition = compose(PRODUCTION.name, served, definitions)
    verify(composition, PRODUCTION.name, served, definitions)
    report = built(shop, composition)

    assert composition.base == newer
    assert report.release.models["model.shop.abroad"].version == served[ModelId("model.shop.abroad")].version
    assert shop.query("select code from abroad") == [("fr",)]
    assert shop.query("select id from reader") == [(42,)]
    assert shop.query("select cutoff, wording from customers") == [("10", "old")]
    assert shop.query("select label from orders") == [("first",)]
    assert shop.query("select city from cities") == [("Berlin",)]
    listed = shop.workshop.listed(RunRequest(environment=PRODUCTION, composition=composition))
    assert listed == tuple(sorted(one.id for one in report.run.results if one.id.partition(".")[0] in EXECUTED))


EXECUTED = {"model", "seed", "snapshot", "test", "unit_test"}


def served_from(release: ReleaseId, found: Release, day: int) -> dict[ModelId, Entry]:
    """Return the entries of an environment in which all of a release was built on one day."""
    since = datetime(2026, 5, day, tzinfo=UTC)
    return {
        model.id: Entry(
            version=model.version,
            code=model.code,
            tests=model.tests,
            meta=model.meta,
            parents={parent: found.models[parent].version for parent in model.parents},
            since=since,
            origin=EntryOrigin.PROMOTION,
            by="plan",
            release=release,
        )
        for model in found.models.values()
    }
