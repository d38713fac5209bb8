"""A little shop with everything that a release can hold, and a workshop for it with a release store of its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import duckdb
from msgspec.structs import replace

from airflow_dbt_promotion.core.composition import Composition, whole
from airflow_dbt_promotion.core.definition import Definition
from airflow_dbt_promotion.core.environment import Environment
from airflow_dbt_promotion.core.identity import ReleaseId, environment_name
from airflow_dbt_promotion.core.kept import Provenance, Sources, SourceTree
from airflow_dbt_promotion.core.orders import Kept
from airflow_dbt_promotion.dbt.invocation import DbtProject, DbtRunner
from airflow_dbt_promotion.dbt.keeper import Keeper
from airflow_dbt_promotion.dbt.runner import InProcessRunner
from airflow_dbt_promotion.dbt.workshop import DbtWorkshop
from tests.dbt.projects import write_project
from tests.fakes import FakeReleases

NOW = datetime(2026, 5, 4, tzinfo=UTC)
STAGING = Environment(name=environment_name("staging"), target="staging")
PRODUCTION = Environment(name=environment_name("production"), target="prod")

FILES: dict[str, str] = {
    "dbt_project.yml": """
        name: shop
        version: "1.0"
        profile: shop
        vars:
          cutoff: 10
          shop:
            currency: EUR
        on-run-start: "create table if not exists {{ target.schema }}_runs as select 1 as run"
        models:
          shop:
            +materialized: "{{ 'table' if target.name == 'prod' else 'view' }}"
        flags:
          send_anonymous_usage_stats: false
    """,
    "packages.yml": """
        packages:
          - local: tools
    """,
    "tools/dbt_project.yml": """
        name: tools
        version: "1.0"
        vars:
          rounding: 2
    """,
    "tools/models/calendar.sql": "select 1 as day, {{ var('rounding') }} as rounding",
    "tools/seeds/units.csv": "unit\nkg\n",
    "tools/macros/cents.sql": "{% macro cents(column) %}round({{ column }}, {{ var('rounding', 3) }}){% endmacro %}",
    "macros/labels.sql": "{% macro label() %}'first'{% endmacro %}",
    "seeds/countries.csv": "code,name\nde,Germany\n",
    "seeds/cities.csv": "city\nBerlin\n",
    "models/customers.sql": "select 1 as id, '{{ var('cutoff') }}' as cutoff, 'old' as wording",
    "models/orders.sql": "select 1 as id, c.id as customer_id, {{ label() }} as label, "
    "{{ tools.cents('1.234') }} as amount, 'open' as status from {{ ref('customers') }} as c",
    "models/abroad.sql": "select code, '{{ var('currency') }}' as currency from {{ ref('countries') }}",
    "models/report_v1.sql": "select 1 as id",
    "models/report_v2.sql": "select 2 as id",
    "models/reader.sql": "select id from {{ ref('report') }}",
    "models/days.sql": "select cast('2026-01-01' as date) as day",
    "models/schema.yml": """
        models:
          - name: customers
            columns:
              - name: id
                data_tests: [not_null, unique]
          - name: orders
            columns:
              - name: status
                data_tests:
                  - accepted_values:
                      arguments: {values: [open, closed]}
          - name: report
            latest_version: 2
            versions:
              - v: 1
              - v: 2
          - name: days
            time_spine: {standard_granularity_column: day}
            columns:
              - {name: day, granularity: day}
        unit_tests:
          - name: one_order
            model: orders
            given:
              - input: ref('customers')
                rows: [{id: 7}]
            expect: {rows: [{id: 1, customer_id: 7}]}
        semantic_models:
          - name: orders
            model: ref('orders')
            defaults: {agg_time_dimension: ordered_on}
            entities: [{name: order_key, type: primary, expr: id}]
            dimensions: [{name: ordered_on, type: time, expr: "current_date", type_params: {time_granularity: day}}]
            measures: [{name: order_count, agg: count, expr: id}]
        metrics:
          - name: order_count
            label: Orders
            type: simple
            type_params: {measure: order_count}
        saved_queries:
          - name: daily
            query_params: {metrics: [order_count]}
        exposures:
          - name: board
            type: dashboard
            owner: {name: Ann}
            depends_on: [ref('orders')]
    """,
    "snapshots/history.yml": """
        snapshots:
          - name: history
            relation: ref('customers')
            config: {unique_key: id, strategy: check, check_cols: all}
    """,
    "profiles.yml": """
        shop:
          target: staging
          outputs:
            staging: {type: duckdb, path: warehouse.duckdb, schema: stg}
            prod: {type: duckdb, path: warehouse.duckdb, schema: main}
    """,
}


class Listed:
    """The files of a folder, found in the simplest way."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        files = {}
        for root, folders, names in os.walk(folder, followlinks=True):
            folders[:] = [name for name in folders if name not in {"target", "logs"}]
            for path in (Path(root) / name for name in names):
                if path.name != "profiles.yml" and path.suffix != ".duckdb":
                    files[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
        self.tree = SourceTree(files)

    def read(self, path: str) -> bytes:
        return (self.folder / path).read_bytes()


class Shelves(FakeReleases):
    """A release store in memory; counts the parses that were asked for, by whether one was there."""

    def __init__(self) -> None:
        super().__init__()
        self.blobs: dict[str, bytes] = {}
        self.trees: dict[ReleaseId, SourceTree] = {}
        self.provenances: dict[ReleaseId, Provenance] = {}
        self.parses: dict[tuple[ReleaseId, str], Mapping[str, bytes]] = {}

    def keep(self, sources: Sources, provenance: Provenance) -> ReleaseId:
        release = super().keep(sources, provenance)
        self.blobs |= {digest: sources.read(path) for path, digest in sources.tree.files.items()}
        self.trees[release], self.provenances[release] = sources.tree, provenance
        return release

    def tree(self, release: ReleaseId) -> SourceTree:
        return self.trees[release] if release in self.trees else super().tree(release)

    def read(self, digest: str, path: str) -> bytes:
        return self.blobs[digest] if digest in self.blobs else super().read(digest, path)

    def provenance(self, release: ReleaseId) -> Provenance:
        return self.provenances[release] if release in self.provenances else super().provenance(release)

    def parse(self, release: ReleaseId, key: str) -> Mapping[str, bytes] | None:
        return self.parses.get((release, key))

    def keep_parse(self, release: ReleaseId, key: str, files: Mapping[str, bytes]) -> None:
        self.parses[release, key] = dict(files)


def keeper(folder: Path, store: FakeReleases) -> Keeper:
    """Return what keeps the files of a folder; the sources of a run are never at hand."""
    return Keeper(
        store=store,
        sources=lambda: Listed(folder),
        clock=lambda: NOW,
        commit=lambda: "c0ffee",
        run=lambda target_path, _: Kept(release=None, why=f"what {target_path.name} ran is not at hand"),
    )


class Shop:
    """The shop in a folder, with a workshop and a release store."""

    def __init__(self, folder: Path, runner: DbtRunner | None = None, files: Mapping[str, str] = FILES) -> None:
        self.folder = write_project(folder, dict(files))
        self.store, self.runner = Shelves(), runner or InProcessRunner()
        self.workshop = self.another_workshop()

    def another_workshop(self, env: Mapping[str, str] | None = None) -> DbtWorkshop:
        """Return a workshop that remembers nothing, like that of another process."""
        project = DbtProject(project_dir=self.folder, target_path=self.folder / "target", env=env or {})
        return DbtWorkshop(project, self.runner, keeper(self.folder, self.store))

    def keep(self) -> ReleaseId:
        """Keep what is in the folder now, as a run in staging would."""
        found = self.workshop.at_hand(STAGING, dry=True)
        self.workshop.keep(found.release)
        return found.release

    @staticmethod
    def provenance() -> Provenance:
        """Return the provenance of something that others kept."""
        return Provenance(kept_at=NOW, dbt_version="1.8.0", adapter_type="postgres")

    def edit(self, changes: Mapping[str, str | None]) -> None:
        """Write files; None deletes."""
        edit(self.folder, changes)

    def released(self, release: ReleaseId, environment: Environment | None = None) -> Definition:
        return self.workshop.released(release, environment or PRODUCTION, dry=False)

    def mixed(self, base: ReleaseId, taken: Mapping[str, ReleaseId], less: tuple[str, ...] = ()) -> Composition:
        """Return a composition: all of a base, but some things (by unique id) from other releases, or not at all."""
        found = whole(base, self.released(base))
        origins = {id_: release for id_, release in {**found.origins, **taken}.items() if id_ not in less}
        definition = found.definition
        for section in ("nodes", "macros", "unit_tests", "exposures", "others", "written"):
            entries = dict(getattr(definition, section))
            for id_, release in taken.items():
                other = getattr(self.released(release), section)
                if id_ in other:
                    entries[id_] = other[id_]
            kept = {id_: entry for id_, entry in entries.items() if id_ not in less}
            definition = replace(definition, **{section: kept})
        return replace(found, definition=definition, origins=origins)

    def query(self, sql: str) -> list[tuple[object, ...]]:
        return query(self.folder, sql)


def edit(project: Path, changes: Mapping[str, str | None]) -> None:
    """Write files into a project; None deletes."""
    gone = [name for name, text in changes.items() if text is None]
    for name in gone:
        (project / name).unlink()
    for name, text in changes.items():
        if text is not None:
            (project / name).parent.mkdir(parents=True, exist_ok=True)
            (project / name).write_text(text, encoding="utf-8")


def query(project: Path, sql: str) -> list[tuple[object, ...]]:
    """Ask the shop's warehouse."""
    with duckdb.connect(project / "warehouse.duckdb", config={"threads": 1}) as connection:
        return connection.execute(sql).fetchall()


def files_below(folder: Path) -> dict[str, bytes]:
    """Return every file below a folder with its bytes."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
